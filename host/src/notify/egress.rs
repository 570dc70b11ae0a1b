//! Which addresses the deliveries of an owner may go to: the one place where that is decided.
//!
//! Asked with each address that is about to be connected to: those that a name resolves to (by the client's resolver), and the one that
//! stands in the URL itself, which no resolver sees. Redirects are not followed, so that there is no other.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

use crate::access::EgressRules;
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

/// Whether a delivery may go to this address: under the rules of its owner, which are those of the owner's jobs.
pub(super) fn may_connect(rules: &EgressRules, address: IpAddr) -> Result<(), Forbidden> {
    if rules.permits(address) { Ok(()) } else { Err(Forbidden { address }) }
}

/// The system's resolver, as far as one owner may connect to what it finds.
#[derive(Debug)]
pub(super) struct OwnersResolver {
    pub(super) rules: Arc<EgressRules>,
}

impl Resolve for OwnersResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = Arc::clone(&self.rules);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found: Vec<SocketAddr> = found.map_err(|error| NotResolved(error.to_string()))?.collect();
            let mut refused = None;
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| match may_connect(&rules, address.ip()) {
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
pub(super) fn check_literal(rules: &EgressRules, url: &SafeUrl) -> Result<(), Forbidden> {
    match url.expose().host() {
        Some(Host::Ipv4(address)) => may_connect(rules, address.into()),
        Some(Host::Ipv6(address)) => may_connect(rules, address.into()),
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
    use crate::access::EgressConfig;

    #[test]
    fn no_spelling_of_an_address_that_is_forbidden_is_let_through() {
        let tokens = EgressRules::of_tokens(&EgressConfig::default());
        let check = |rules: &EgressRules, url: &str| check_literal(rules, &SafeUrl::parse(url).unwrap()).is_ok();
        for url in ["http://127.0.0.1/", "http://2130706433/", "http://[::ffff:127.0.0.1]/", "https://169.254.169.254/"]
        {
            assert!(!check(&tokens, url), "{url}");
            assert!(check(&EgressRules::default(), url), "{url}");
        }
        assert!(check(&tokens, "https://8.8.8.8/") && check(&tokens, "https://receiver.example/"));
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_forbidden_address_leads_nowhere() {
        let resolve = async |rules: EgressRules| {
            let resolver = OwnersResolver { rules: Arc::new(rules) };
            resolver.resolve("localhost".parse().unwrap()).await.map(|addresses| addresses.count())
        };
        assert!(resolve(EgressRules::default()).await.unwrap() > 0);
        let Err(error) = resolve(EgressRules::of_tokens(&EgressConfig::default())).await else {
            panic!("it is let through")
        };
        assert!(error.is::<Forbidden>(), "{error}");
    }

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
