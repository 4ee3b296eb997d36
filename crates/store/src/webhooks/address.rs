//! Where webhooks can go. A webhook makes this server connect to an IP address of the customer's choice. IP addresses
//! that are not public are refused, whatever name or notation leads there, unless the operator allows them
//! (`WHEELHOUSE_WEBHOOK_ALLOW`). The IP address that is dialed decides, so the sender asks [`Policy`] after resolving
//! the name, at every attempt.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

pub const MAX_URL_LEN: usize = 2000;

/// IPv4 that is not of the public network, by the IANA registry of special-purpose addresses (RFC 6890).
const REFUSED_V4: [&str; 16] = [
    "0.0.0.0/8",        // this network
    "10.0.0.0/8",       // private
    "100.64.0.0/10",    // carrier-grade NAT; a cloud's metadata at 100.100.100.200
    "127.0.0.0/8",      // loopback
    "168.63.129.16/32", // a cloud's metadata in public clothes
    "169.254.0.0/16",   // link-local, metadata
    "172.16.0.0/12",    // private
    "192.0.0.0/24",     // protocol assignments
    "192.0.2.0/24",     // documentation
    "192.31.196.0/24",  // AS112
    "192.88.99.0/24",   // 6to4 relays
    "192.168.0.0/16",   // private
    "198.18.0.0/15",    // benchmarks
    "198.51.100.0/24",  // documentation
    "203.0.113.0/24",   // documentation
    "224.0.0.0/3",      // multicast, reserved, broadcast
];

/// Of IPv6 only global unicast (`2000::/3`) is public, and of that not these. Loopback, unique local, link-local,
/// multicast, IPv4-compatible and NAT64 (`64:ff9b::/96`) lie outside of it.
const PUBLIC_V6: &str = "2000::/3";
const REFUSED_V6: [&str; 5] = [
    "2001::/23",         // protocol assignments: Teredo, ORCHID, benchmarks
    "2001:db8::/32",     // documentation
    "2002::/16",         // 6to4: an IPv4 address of anyone's choice
    "3fff::/20",         // documentation
    "2620:4f:8000::/48", // AS112
];

/// Which IP addresses can be dialed.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    allow: Vec<IpNet>,
}

impl Policy {
    /// Allows these networks although they are not public.
    pub fn allowing(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }

    pub fn permits(&self, address: IpAddr) -> bool {
        // ::ffff:10.0.0.1 is 10.0.0.1.
        let address = address.to_canonical();
        self.allow.iter().any(|network| network.contains(&address)) || is_public(address)
    }
}

fn is_public(address: IpAddr) -> bool {
    let within = |network: &str| {
        network
            .parse::<IpNet>()
            .is_ok_and(|network| network.contains(&address))
    };
    match address {
        IpAddr::V4(_) => !REFUSED_V4.into_iter().any(within),
        IpAddr::V6(_) => within(PUBLIC_V6) && !REFUSED_V6.into_iter().any(within),
    }
}

/// Parses a URL as browsers do, so that `http://0x7f.1` is recognized as loopback, and says what is wrong with it.
pub fn parse_url(text: &str, policy: &Policy) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("Enter a URL".to_owned());
    }
    let mut url =
        Url::parse(text).map_err(|_| "Enter a URL like https://example.com/webhooks".to_owned())?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err("URL must start with https:// or http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("Don't put credentials in the URL. Use a custom header instead.".to_owned());
    }
    url.set_fragment(None);
    if url.as_str().len() > MAX_URL_LEN {
        return Err(format!("Enter a URL of up to {MAX_URL_LEN} characters"));
    }
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) => None,
        None => return Err("Enter a full URL".to_owned()),
    };
    if literal.is_some_and(|address| !policy.permits(address)) {
        return Err("Webhooks can't be sent to private or reserved addresses".to_owned());
    }
    Ok(url.into())
}

/// Whether two URLs have the same origin: scheme, host and port, as in browsers. A trailing dot of the host name makes no
/// difference.
pub fn same_origin(one: &str, other: &str) -> bool {
    let origin = |text: &str| {
        let url = Url::parse(text).ok()?;
        let host = url.host_str()?;
        let host = host.strip_suffix('.').unwrap_or(host).to_owned();
        Some((url.scheme().to_owned(), host, url.port_or_known_default()?))
    };
    origin(one).is_some_and(|one| origin(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(text: &str) -> bool {
        Policy::default().permits(text.parse().unwrap())
    }

    #[test]
    fn only_public_addresses_are_dialled() {
        for address in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "::8.8.8.8",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2001::1",
            "2001:0:4136:e378::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "100::1",
            "5f00::1",
            "4000::1",
        ] {
            assert!(!permits(address), "{address}");
        }
        for address in [
            "8.8.8.8",
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450:4001::200e",
            "::ffff:8.8.8.8",
        ] {
            assert!(permits(address), "{address}");
        }
    }

    #[test]
    fn an_operator_lets_networks_through_and_no_more() {
        let policy = Policy::allowing(vec!["127.0.0.0/8".parse().unwrap()]);
        assert!(policy.permits("127.0.0.1".parse().unwrap()));
        assert!(policy.permits("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!policy.permits("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn every_spelling_of_loopback_is_loopback() {
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://0x7f.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://①②⑦.⓪.⓪.①/",
            "http://[::ffff:7f00:1]:8080/x",
        ] {
            let refused = parse_url(url, &Policy::default()).unwrap_err();
            assert!(refused.contains("private or reserved"), "{url}: {refused}");
        }
    }

    #[test]
    fn what_is_no_url_for_a_webhook_says_so() {
        for url in [
            "",
            "example.com",
            "ftp://example.com",
            "javascript:alert(1)",
            "https://",
            "https://user:pass@example.com/",
            "https://user@example.com",
            "https://exa mple.com",
        ] {
            assert!(parse_url(url, &Policy::default()).is_err(), "{url}");
        }
        assert!(
            parse_url(
                &format!("https://example.com/{}", "x".repeat(2000)),
                &Policy::default()
            )
            .is_err()
        );
        assert_eq!(
            parse_url(" https://Hooks.Example.com/in?x=1#top ", &Policy::default()).unwrap(),
            "https://hooks.example.com/in?x=1"
        );
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_however_they_are_written() {
        let first = "https://hooks.acme.example/in?a=1";
        for same in [
            "https://hooks.acme.example",
            "https://HOOKS.Acme.example:443/elsewhere#part",
            "https://hooks.acme.example./in",
            "https:hooks.acme.example",
        ] {
            assert!(same_origin(first, same), "{same}");
        }
        for other in [
            "http://hooks.acme.example/in?a=1",
            "https://hooks.acme.example:8443/in?a=1",
            "https://acme.example/in?a=1",
            "https://hooks.acme.example.evil.example/in",
            "https://hooks.acme.example@evil.example/in",
            "https://xhooks.acme.example/in",
            "nonsense",
        ] {
            assert!(!same_origin(first, other), "{other}");
        }
        assert!(same_origin("http://0x7f.1/", "http://127.0.0.1:80/in"));
        assert!(!same_origin("nonsense", "nonsense"));
    }
}
