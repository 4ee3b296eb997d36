//! What keys are used for.

use std::net::IpAddr;
use std::time::Duration;

use crate::catalog::Scope;
use crate::domain::{ApiKeyId, Timestamp};
use crate::session::KeyHolder;

/// One request that a key made.
#[derive(Clone, Debug)]
pub struct RequestLine {
    pub key: ApiKeyId,
    pub at: Timestamp,
    pub method: String,
    pub path: String,
    pub status: u16,
    pub duration: Duration,
    pub address: IpAddr,
}

#[derive(Debug, Default)]
pub struct Keys(());

impl Keys {
    pub fn note_use(&self, key: &KeyHolder, scope: Option<Scope>, address: IpAddr) {
        tracing::trace!(key = %key.facts().id, ?scope, %address, "used");
    }

    pub fn note_request(&self, line: RequestLine) {
        tracing::trace!(?line, "asked");
    }
}
