//! The start page of a workspace.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    pub members: u64,
    pub contacts: u64,
    /// Sentence and time, newest first.
    pub events: Vec<(String, Timestamp)>,
}
