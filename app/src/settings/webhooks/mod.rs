//! Settings → Webhooks: events sent to other people's programs as they happen, signed, with every attempt to be seen.

pub mod model;
