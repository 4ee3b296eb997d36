//! Where a request comes from.

use std::net::IpAddr;

/// Where a request comes from. The IP address is the peer's, or the one that a trusted proxy reports.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    pub address: IpAddr,
    pub user_agent: String,
}
