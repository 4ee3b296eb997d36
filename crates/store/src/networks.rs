//! Networks as people write them.

use std::net::IpAddr;

use ipnet::IpNet;

/// A CIDR range, or one IP address.
pub fn parse_network(text: &str) -> Option<IpNet> {
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .ok()
}
