//! To which addresses jobs may connect.
//!
//! A host stands where its callers do not: behind the firewall, beside services that trust whoever reaches them. A job of a token must
//! not become a way there. What is judged is the address that is connected to, not the name: a name may lead anywhere.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A block of addresses, for example `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    bits: u8,
}

/// Why a text is no block of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no block of addresses: write 10.0.0.0/8, fd00::/8, or one address")]
pub struct CidrError(String);

impl Cidr {
    const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Self {
        Self { network: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    const fn v6(first: u16, second: u16, bits: u8) -> Self {
        Self { network: IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0)), bits }
    }

    /// Whether an address is in the block.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let first_bits = |number: u128, width: u32| number.checked_shr(width - u32::from(self.bits)).unwrap_or(0);
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                first_bits(network.to_bits().into(), 32) == first_bits(address.to_bits().into(), 32)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                first_bits(network.to_bits(), 128) == first_bits(address.to_bits(), 128)
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let error = || CidrError(text.to_owned());
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let network: IpAddr = address.parse().map_err(|_| error())?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= width).ok_or_else(error)?,
            None => width,
        };
        // A block of mapped addresses is one of the addresses that they stand for.
        match (network, embedded(network)) {
            (IpAddr::V6(_), Some(Embedded::Mapped(v4))) if bits >= 96 => {
                Ok(Self { network: IpAddr::V4(v4), bits: bits - 96 })
            }
            _ => Ok(Self { network, bits }),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.bits)
    }
}

/// An IPv4 address within an IPv6 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Embedded {
    /// `::ffff:a.b.c.d`: the system connects to the IPv4 address.
    Mapped(Ipv4Addr),
    /// A translator or a tunnel on the way may (NAT64, 6to4, IPv4-compatible).
    Translated(Ipv4Addr),
}

fn embedded(address: IpAddr) -> Option<Embedded> {
    let IpAddr::V6(v6) = address else { return None };
    let segments = v6.segments();
    let v4_at = |position: usize| {
        let [a, b] = segments[position].to_be_bytes();
        let [c, d] = segments[position + 1].to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, _, _] => Some(Embedded::Mapped(v4_at(6))),
        // The unspecified address and loopback are none of the addresses that would be in them.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(Embedded::Translated(v4_at(6))),
        [0x2002, ..] => Some(Embedded::Translated(v4_at(1))),
        _ => None,
    }
}

/// Where tokens' jobs may not connect to, unless the operator allows it: everything that is not the public internet.
const NOT_PUBLIC: [Cidr; 24] = [
    // This network, and the unspecified address, which reaches this machine.
    Cidr::v4(0, 0, 0, 0, 8),
    // Private (RFC 1918).
    Cidr::v4(10, 0, 0, 0, 8),
    Cidr::v4(172, 16, 0, 0, 12),
    Cidr::v4(192, 168, 0, 0, 16),
    // Carrier-grade NAT (RFC 6598).
    Cidr::v4(100, 64, 0, 0, 10),
    // Loopback.
    Cidr::v4(127, 0, 0, 0, 8),
    // Link-local; the metadata services of clouds.
    Cidr::v4(169, 254, 0, 0, 16),
    // Protocol assignments, and the relay anycast of 6to4.
    Cidr::v4(192, 0, 0, 0, 24),
    Cidr::v4(192, 88, 99, 0, 24),
    // Documentation and benchmarks: where they lead somewhere, it is a laboratory.
    Cidr::v4(192, 0, 2, 0, 24),
    Cidr::v4(198, 18, 0, 0, 15),
    Cidr::v4(198, 51, 100, 0, 24),
    Cidr::v4(203, 0, 113, 0, 24),
    // Multicast, reserved and broadcast.
    Cidr::v4(224, 0, 0, 0, 4),
    Cidr::v4(240, 0, 0, 0, 4),
    // Unspecified, loopback, IPv4-compatible.
    Cidr::v6(0, 0, 96),
    // NAT64 for local use (RFC 8215); that of the well-known prefix is judged by the address in it.
    Cidr { network: IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0)), bits: 48 },
    // Discard only.
    Cidr::v6(0x100, 0, 64),
    // Teredo: tunnels to an address that is hidden in it.
    Cidr::v6(0x2001, 0, 32),
    // Documentation.
    Cidr::v6(0x2001, 0xdb8, 32),
    // Unique local.
    Cidr::v6(0xfc00, 0, 7),
    // Link-local, and what was site-local.
    Cidr::v6(0xfe80, 0, 10),
    Cidr::v6(0xfec0, 0, 10),
    // Multicast.
    Cidr::v6(0xff00, 0, 8),
];

/// `[egress]`: what the operator says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EgressConfig {
    /// Where tokens' jobs may connect to although it is not public.
    pub allow: Vec<Cidr>,
    /// Where no job may connect to. Stronger than `allow`.
    pub deny: Vec<Cidr>,
}

/// What holds for one kind of subjects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EgressRules {
    allow: Vec<Cidr>,
    deny: Vec<Cidr>,
    public_only: bool,
}

impl EgressRules {
    /// For users of the machine: they reach from it what they want, but for what the operator denies.
    #[must_use]
    pub fn of_users(config: &EgressConfig) -> Self {
        Self { allow: Vec::new(), deny: config.deny.clone(), public_only: false }
    }

    /// For tokens.
    #[must_use]
    pub fn of_tokens(config: &EgressConfig) -> Self {
        Self { allow: config.allow.clone(), deny: config.deny.clone(), public_only: true }
    }

    /// Whether an address may be connected to. One with another in it only if both may be.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        match embedded(address) {
            Some(Embedded::Mapped(v4)) => self.permits_itself(v4.into()),
            Some(Embedded::Translated(v4)) => self.permits_itself(address) && self.permits_itself(v4.into()),
            None => self.permits_itself(address),
        }
    }

    fn permits_itself(&self, address: IpAddr) -> bool {
        let is_in = |blocks: &[Cidr]| blocks.iter().any(|block| block.contains(address));
        !is_in(&self.deny) && (!self.public_only || is_in(&self.allow) || !is_in(&NOT_PUBLIC))
    }

    /// Whether a host of a URL that is written as an address may be connected to; a name is judged once it is resolved.
    #[must_use]
    pub fn permits_host(&self, host: Option<url::Host<&str>>) -> bool {
        match host {
            Some(url::Host::Ipv4(address)) => self.permits(address.into()),
            Some(url::Host::Ipv6(address)) => self.permits(address.into()),
            Some(url::Host::Domain(_)) => true,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(allow: &[&str], deny: &[&str]) -> EgressRules {
        let blocks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        EgressRules::of_tokens(&EgressConfig { allow: blocks(allow), deny: blocks(deny) })
    }

    /// Addresses at both ends of every block, and their neighbours.
    #[rustfmt::skip]
    const ADDRESSES: [(&str, bool); 78] = [
        ("0.0.0.0", false), ("0.255.255.255", false), ("1.0.0.0", true), ("9.255.255.255", true),
        ("10.0.0.0", false), ("10.255.255.255", false), ("11.0.0.0", true),
        ("100.63.255.255", true), ("100.64.0.0", false), ("100.127.255.255", false), ("100.128.0.0", true),
        ("126.255.255.255", true), ("127.0.0.1", false), ("127.255.255.255", false), ("128.0.0.0", true),
        ("169.253.255.255", true), ("169.254.0.0", false), ("169.254.169.254", false), ("169.254.255.255", false), ("169.255.0.0", true),
        ("172.15.255.255", true), ("172.16.0.0", false), ("172.31.255.255", false), ("172.32.0.0", true),
        ("192.0.0.0", false), ("192.0.0.255", false), ("192.0.1.0", true), ("192.0.2.1", false), ("192.88.99.1", false),
        ("192.167.255.255", true), ("192.168.0.0", false), ("192.168.255.255", false), ("192.169.0.0", true),
        ("198.17.255.255", true), ("198.18.0.0", false), ("198.19.255.255", false), ("198.20.0.0", true),
        ("198.51.100.7", false), ("203.0.113.7", false), ("8.8.8.8", true), ("93.184.216.34", true),
        ("223.255.255.255", true), ("224.0.0.0", false), ("239.255.255.255", false), ("240.0.0.0", false), ("255.255.255.255", false),
        ("::", false), ("::1", false), ("::2", false), ("::127.0.0.1", false), ("::8.8.8.8", false),
        ("::ffff:0.0.0.0", false), ("::ffff:127.0.0.1", false), ("::ffff:10.1.2.3", false), ("::ffff:169.254.169.254", false),
        ("::ffff:100.64.0.1", false), ("::ffff:8.8.8.8", true), ("::ffff:7f00:1", false),
        ("64:ff9b::7f00:1", false), ("64:ff9b::a00:1", false), ("64:ff9b::808:808", true), ("64:ff9b:1::808:808", false),
        ("100::1", false), ("2001::1", false), ("2001:db8::1", false), ("2001:4860:4860::8888", true),
        ("2002:7f00:1::", false), ("2002:a00:1::1", false), ("2002:808:808::1", true),
        ("fbff::1", true), ("fc00::1", false), ("fdff::1", false), ("fe00::1", true),
        ("fe80::1", false), ("febf::1", false), ("fec0::1", false), ("ff00::1", false), ("ff02::1", false),
    ];

    #[test]
    fn tokens_reach_the_public_internet_only_and_users_everything() {
        let (tokens, users) = (tokens(&[], &[]), EgressRules::of_users(&EgressConfig::default()));
        for (address, is_public) in ADDRESSES {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(tokens.permits(address), is_public, "{address}");
            assert!(users.permits(address) && EgressRules::default().permits(address), "{address}");
        }
    }

    /// Spellings of one host, as the URL standard reads them: what is connected to is the address, however it is written.
    #[rustfmt::skip]
    const SPELLINGS: [(&str, bool); 34] = [
        ("http://127.0.0.1/", false), ("http://2130706433/", false), ("http://0x7f000001/", false), ("http://0x7f.1/", false),
        ("http://017700000001/", false), ("http://0177.0.0.1/", false), ("http://127.1/", false), ("http://127.0.1/", false),
        ("http://127.0.0.1./", false), ("http://0/", false), ("http://0.0.0.0/", false), ("http://0x0/", false),
        ("http://%31%32%37.0.0.1/", false), ("http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/", false), ("http://127\u{3002}0\u{3002}0\u{3002}1/", false),
        ("http://\u{2460}\u{2461}\u{2466}.0.0.1/", false), ("http://user@127.0.0.1:80/", false), ("http://a:b@169.254.169.254/latest/", false),
        ("http://2852039166/", false), ("http://0xa9fea9fe/", false), ("http://0251.0376.0251.0376/", false),
        ("http://[::1]/", false), ("http://[0:0:0:0:0:0:0:1]/", false), ("http://[::]/", false), ("http://[::ffff:127.0.0.1]/", false),
        ("http://[::ffff:7f00:1]/", false), ("http://[::127.0.0.1]/", false), ("http://[64:ff9b::127.0.0.1]/", false),
        ("http://[fe80::1]/", false), ("http:\\\\10.0.0.1\\", false), ("http:10.0.0.1", false),
        ("http://8.8.8.8/", true), ("http://134744072/", true), ("http://[2001:4860:4860::8888]/", true),
    ];

    #[test]
    fn no_spelling_of_an_address_hides_it() {
        let rules = tokens(&[], &[]);
        for (text, is_permitted) in SPELLINGS {
            let url = url::Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(!matches!(url.host(), Some(url::Host::Domain(_))), "{text} is an address");
            assert_eq!(rules.permits_host(url.host()), is_permitted, "{text}");
        }
        // Zones and other forms are no hosts at all.
        for text in ["http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://256.0.0.1/", "http://0x7f.0.0.0.1/"]
        {
            assert!(url::Url::parse(text).is_err(), "{text}");
        }
        // Names are judged when they are resolved.
        assert!(rules.permits_host(url::Url::parse("http://localhost/").unwrap().host()));
        assert!(!rules.permits_host(None));
    }

    #[test]
    fn what_is_denied_is_denied_to_all_and_stronger_than_what_is_allowed() {
        let permits = |rules: &EgressRules, address: &str| rules.permits(address.parse().unwrap());
        let rules = tokens(&["10.0.0.0/8", "::1", "64:ff9b:1::/48"], &["10.9.0.0/16", "8.8.8.8", "::ffff:1.1.1.1/128"]);
        for (address, is_permitted) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.9.1.1", false),
            ("::ffff:10.9.1.1", false),
            ("192.168.0.1", false),
            ("8.8.8.8", false),
            ("64:ff9b::808:808", false),
            ("1.1.1.1", false),
            ("::1", true),
            ("::2", false),
        ] {
            assert_eq!(permits(&rules, address), is_permitted, "{address}");
        }
        let users = EgressRules::of_users(&EgressConfig {
            deny: vec!["169.254.0.0/16".parse().unwrap()],
            ..EgressConfig::default()
        });
        assert!(permits(&users, "127.0.0.1") && !permits(&users, "169.254.169.254"));
        assert!(!permits(&users, "::ffff:169.254.169.254"));
    }

    #[test]
    fn blocks_are_read_and_written() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("fd00::/8", "fd00::/8"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("::1", "::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), shown);
        }
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "a/8", "10.0.0.0/8/8", "fe80::1%eth0"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
        assert!("0.0.0.0/0".parse::<Cidr>().unwrap().contains("255.1.2.3".parse().unwrap()));
        assert!("::/0".parse::<Cidr>().unwrap().contains("ff::1".parse().unwrap()));
    }
}
