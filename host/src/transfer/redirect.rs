//! Where a redirect leads, and what may be sent there. Pure.
//!
//! A job's own headers and the userinfo of its URL go to the origin of its remote name only. Once a chain has left that origin
//! they are not sent again, even if it leads back: whoever it passed through could have chosen the way.

use url::Url;

use super::error::RedirectRefusal;
use crate::job::{Origin, SafeUrl};

/// Redirects followed for one request. Browsers follow 20; chains beyond 10 are mistakes.
pub(crate) const REDIRECTS_MAX: usize = 10;

/// Whether a redirect may lead from https to http.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Downgrade {
    Refused,
    Allowed,
}

/// A chain of redirects, from a remote name to where it has led.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    remote_name: SafeUrl,
    /// Every URL so far, userinfo removed; the last is the present one.
    visited: Vec<SafeUrl>,
    home: Origin,
    left_home: bool,
    downgrade: Downgrade,
}

/// Where a chain has led, as a remote name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Led {
    pub(crate) remote_name: SafeUrl,
    /// The chain has left its origin: what was given for that one is not for this name.
    pub(crate) headers_withheld: bool,
}

impl Chain {
    /// Begins at a remote name. A resumed transfer begins there too, wherever the chain had led before.
    pub(crate) fn new(remote_name: &SafeUrl, downgrade: Downgrade) -> Self {
        Self {
            remote_name: remote_name.clone(),
            visited: vec![without_userinfo(remote_name.expose().clone())],
            home: remote_name.origin(),
            left_home: false,
            downgrade,
        }
    }

    /// Where to ask now. It has no userinfo.
    pub(crate) fn present(&self) -> &SafeUrl {
        self.visited.last().expect("it begins with one and none is removed")
    }

    /// Where redirects had led, if there was one.
    pub(crate) fn final_url(&self) -> Option<&SafeUrl> {
        (self.visited.len() > 1).then(|| self.present())
    }

    /// Where redirects had led, as the remote name that the file may get. The userinfo stays with it as long as the chain has not left its
    /// origin: without it, the next request would be another one.
    pub(crate) fn led(&self) -> Option<Led> {
        let mut url = self.final_url()?.expose().clone();
        if !self.left_home {
            let from = self.remote_name.expose();
            // Neither call fails for a URL that has a host, which every http URL has.
            let _ = url.set_username(from.username());
            let _ = url.set_password(from.password());
        }
        // With the userinfo it may be longer than a remote name can be.
        let remote_name = SafeUrl::from_url(url).ok()?;
        Some(Led { remote_name, headers_withheld: self.left_home })
    }

    /// Whether the job's headers and the URL's userinfo may be sent.
    pub(crate) const fn may_send_secrets(&self) -> bool {
        !self.left_home
    }

    /// Follows a Location field.
    pub(crate) fn follow(&mut self, location: &str) -> Result<(), RedirectRefusal> {
        if self.visited.len() > REDIRECTS_MAX {
            return Err(RedirectRefusal::TooMany(REDIRECTS_MAX));
        }
        let present = self.present().expose();
        let target = present.join(location).map_err(|_| RedirectRefusal::NotHttp)?;
        // What has the scheme http or https has a host: the parser sees to that.
        let target = SafeUrl::from_url(target).map_err(|_| RedirectRefusal::NotHttp)?;
        let is_downgrade = present.scheme() == "https" && target.expose().scheme() == "http";
        if is_downgrade && self.downgrade == Downgrade::Refused {
            return Err(RedirectRefusal::Downgrade);
        }
        let target = without_userinfo(target.expose().clone());
        if self.visited.contains(&target) {
            return Err(RedirectRefusal::Circle);
        }
        self.left_home |= target.origin() != self.home;
        self.visited.push(target);
        Ok(())
    }
}

fn without_userinfo(mut url: Url) -> SafeUrl {
    // Neither call fails for a URL that has a host, which every http URL has.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    SafeUrl::from_url(url).expect("it was an http URL within the limit, and became no longer")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chain(remote_name: &str) -> Chain {
        Chain::new(&SafeUrl::parse(remote_name).unwrap(), Downgrade::Refused)
    }

    fn led(chain: &Chain) -> &str {
        chain.present().expose().as_str()
    }

    #[test]
    fn relative_locations_are_resolved_against_the_present_url() {
        let mut chain = chain("http://a.example/x/y?q");
        assert_eq!(chain.final_url(), None);
        chain.follow("../z?r#fragment").unwrap();
        assert_eq!(led(&chain), "http://a.example/z?r");
        chain.follow("//b.example/w").unwrap();
        assert_eq!(led(&chain), "http://b.example/w");
        assert_eq!(chain.final_url().unwrap().to_string(), "http://b.example/w");
    }

    #[test]
    fn ten_are_followed_and_the_eleventh_is_not() {
        let mut chain = chain("http://a.example/0");
        for hop in 1..=10 {
            chain.follow(&format!("/{hop}")).unwrap();
        }
        assert_eq!(chain.follow("/11"), Err(RedirectRefusal::TooMany(10)));
    }

    #[test]
    fn circles_are_seen_at_any_length() {
        let mut chain = chain("http://a.example/0");
        assert_eq!(chain.follow("/0"), Err(RedirectRefusal::Circle));
        chain.follow("/1").unwrap();
        assert_eq!(chain.follow("http://a.example:80/0"), Err(RedirectRefusal::Circle));
        assert_eq!(chain.follow("http://user@a.example/0#x"), Err(RedirectRefusal::Circle));
    }

    #[test]
    fn from_https_to_http_is_refused_and_the_other_way_is_not() {
        assert_eq!(chain("https://a.example/").follow("http://a.example/"), Err(RedirectRefusal::Downgrade));
        let mut up = chain("http://a.example/");
        up.follow("https://a.example/").unwrap();
        assert_eq!(up.follow("http://b.example/"), Err(RedirectRefusal::Downgrade));
    }

    #[test]
    fn from_https_to_http_is_followed_where_the_job_allows_it_and_takes_no_secrets_along() {
        let mut down = Chain::new(&SafeUrl::parse("https://u:p@a.example/").unwrap(), Downgrade::Allowed);
        down.follow("http://a.example/x").unwrap();
        assert!(!down.may_send_secrets());
        let remote_name = SafeUrl::parse("http://a.example/x").unwrap();
        assert_eq!(down.led(), Some(Led { remote_name, headers_withheld: true }));
    }

    #[test]
    fn the_new_remote_name_keeps_the_userinfo_of_its_own_origin_only() {
        let mut chain = chain("https://user:se%20cret@a.example/x");
        assert_eq!(chain.led(), None);
        chain.follow("/y?signed").unwrap();
        let at_home = chain.led().unwrap();
        assert_eq!(at_home.remote_name.expose().as_str(), "https://user:se%20cret@a.example/y?signed");
        assert!(!at_home.headers_withheld);
        chain.follow("https://bait:x@b.example/z").unwrap();
        let away = chain.led().unwrap();
        assert_eq!(away.remote_name.expose().as_str(), "https://b.example/z");
        assert!(away.headers_withheld);
        // Nor when it leads back: whoever it passed through could have chosen the way.
        chain.follow("https://a.example/back").unwrap();
        let back = chain.led().unwrap();
        assert_eq!((back.remote_name.expose().as_str(), back.headers_withheld), ("https://a.example/back", true));
    }

    #[test]
    fn what_is_no_http_url_is_refused() {
        for location in [
            "file:///etc/passwd",
            "ftp://a.example/",
            "data:,x",
            "javascript:1",
            "http://",
            "http://[",
            "https://?x",
            "unix:x",
        ] {
            assert_eq!(chain("http://a.example/").follow(location), Err(RedirectRefusal::NotHttp), "{location}");
        }
    }

    #[test]
    fn secrets_stay_at_home() {
        let mut chain = chain("https://user:secret@a.example/x");
        assert!(chain.may_send_secrets());
        assert_eq!(led(&chain), "https://a.example/x");
        chain.follow("/y").unwrap();
        assert!(chain.may_send_secrets());
        chain.follow("https://user:bait@a.example:8443/z").unwrap();
        assert!(!chain.may_send_secrets());
        assert_eq!(led(&chain), "https://a.example:8443/z");
        chain.follow("https://a.example/home").unwrap();
        assert!(!chain.may_send_secrets());
    }

    proptest! {
        #[test]
        fn whatever_the_location_says_no_hop_is_worse_than_the_one_before(locations in prop::collection::vec(
            "(https?://)?([ab]\\.example)?(:[0-9]{1,5})?/?[a-c./?#@%\\\\]{0,8}", 0..14,
        )) {
            let mut chain = chain("https://user:secret@a.example/");
            let mut left = false;
            for location in locations {
                if chain.follow(&location).is_ok() {
                    prop_assert_eq!(chain.present().expose().scheme(), "https");
                    prop_assert_eq!(chain.present().expose().username(), "");
                    prop_assert_eq!(chain.present().expose().password(), None);
                    left |= chain.present().origin().as_str() != "https://a.example";
                    prop_assert_eq!(chain.may_send_secrets(), !left);
                }
            }
            prop_assert!(chain.visited.len() <= REDIRECTS_MAX + 1);
        }
    }
}
