//! Which addresses the deliveries of an owner may go to: the one place where that is decided.
//!
//! Asked with each address that is about to be connected to: those that a name resolves to (by the client's resolver), and the one that
//! stands in the URL itself, which no resolver sees. Redirects are not followed, so that there is no other.

use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

use crate::job::SafeUrl;

/// An address that deliveries of this owner may not go to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("deliveries of this owner may not go to {address}")]
pub(super) struct Forbidden {
    address: IpAddr,
}

/// A name that leads nowhere.
#[derive(Debug, thiserror::Error)]
#[error("the name could not be resolved: {0}")]
pub(super) struct NotResolved(pub(super) String);

/// Whether a delivery of this owner may go to this address. Every owner may reach what the daemon can reach: there is one owner.
pub(super) const fn may_connect(_owner: &str, _address: IpAddr) -> Result<(), Forbidden> {
    Ok(())
}

/// The system's resolver, as far as one owner may connect to what it finds.
#[derive(Debug)]
pub(super) struct OwnersResolver {
    pub(super) owner: String,
}

impl Resolve for OwnersResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let owner = self.owner.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found: Vec<SocketAddr> = found.map_err(|error| NotResolved(error.to_string()))?.collect();
            let mut refused = None;
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| match may_connect(&owner, address.ip()) {
                    Ok(()) => true,
                    Err(forbidden) => {
                        refused = Some(forbidden);
                        false
                    }
                })
                .collect();
            match (allowed.is_empty(), refused) {
                (false, _) => {
                    let allowed: Addrs = Box::new(allowed.into_iter());
                    Ok(allowed)
                }
                (true, Some(forbidden)) => Err(forbidden.into()),
                (true, None) => Err(NotResolved("the name has no address".to_owned()).into()),
            }
        })
    }
}

/// Checks the address that stands in a URL itself, if one does.
pub(super) fn check_literal(owner: &str, url: &SafeUrl) -> Result<(), Forbidden> {
    match url.expose().host() {
        Some(Host::Ipv4(address)) => may_connect(owner, address.into()),
        Some(Host::Ipv6(address)) => may_connect(owner, address.into()),
        Some(Host::Domain(_)) | None => Ok(()),
    }
}

/// Whether what is sent to this URL stays on this machine, by what the URL says.
pub(super) fn is_loopback(url: &SafeUrl) -> bool {
    match url.expose().host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // RFC 6761 section 6.3: names that never leave the machine.
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_from_what_only_looks_like_it() {
        let is = |url: &str| is_loopback(&SafeUrl::parse(url).unwrap());
        for url in
            ["http://127.0.0.1:1/", "http://[::1]/", "http://localhost/", "http://a.localhost/", "http://2130706433/"]
        {
            assert!(is(url), "{url}");
        }
        for url in ["http://10.0.0.1/", "http://localhost.example.org/", "http://[::2]/", "http://notlocalhost/"] {
            assert!(!is(url), "{url}");
        }
    }
}
