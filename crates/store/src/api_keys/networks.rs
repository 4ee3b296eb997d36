//! The IP addresses and CIDR ranges from which a key can be used, as people type them.

use domain::AppError;
use domain::api_keys::MAX_NETWORKS;
use ipnet::IpNet;

use crate::networks::parse_network;

/// IP addresses and CIDR ranges as they are typed: separated by spaces, commas or line breaks.
pub fn read_networks(text: &str) -> Result<Vec<IpNet>, AppError> {
    let mut networks = Vec::new();
    for word in text
        .split([' ', ',', ';', '\t', '\r', '\n'])
        .filter(|word| !word.is_empty())
    {
        let network = parse_network(word).ok_or_else(|| {
            let message = format!("“{word}” isn't a valid IP address or CIDR range");
            AppError::field("networks", message)
        })?;
        let network = plain(network).trunc();
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    if networks.len() > MAX_NETWORKS {
        let message = format!("Enter up to {MAX_NETWORKS} IP addresses or CIDR ranges");
        return Err(AppError::field("networks", message));
    }
    Ok(networks)
}

/// An IPv4-mapped IPv6 network becomes the IPv4 network.
fn plain(network: IpNet) -> IpNet {
    const CLOTHES: u8 = 96;
    match network {
        IpNet::V6(v6) if v6.prefix_len() >= CLOTHES => v6
            .addr()
            .to_ipv4_mapped()
            .and_then(|v4| IpNet::new(v4.into(), v6.prefix_len() - CLOTHES).ok())
            .unwrap_or(network),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_people_write_them() {
        let read = |text: &str| {
            let networks = read_networks(text).ok()?;
            Some(
                networks
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        };
        assert_eq!(read("").as_deref(), Some(""));
        assert_eq!(
            read("203.0.113.7\n198.51.100.9/24, 2001:db8::/32").as_deref(),
            Some("203.0.113.7/32 198.51.100.0/24 2001:db8::/32")
        );
        assert_eq!(read("::ffff:192.0.2.1").as_deref(), Some("192.0.2.1/32"));
        assert_eq!(read("192.0.2.1 192.0.2.1").as_deref(), Some("192.0.2.1/32"));
        for bad in ["here", "203.0.113.0/33", "203.0.113", "*"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let many: Vec<String> = (0..=MAX_NETWORKS).map(|n| format!("192.0.2.{n}")).collect();
        assert_eq!(read(&many.join("\n")), None);
    }
}
