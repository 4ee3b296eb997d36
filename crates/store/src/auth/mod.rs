//! Identity: who is calling, and what proves it. People sign in ([`sessions`]); programs present an API key
//! ([`api_keys`]). Store functions require one of three proofs: [`SignedInUser`] (signed in), [`Actor`] (signed in and a
//! member of a workspace), or [`ApiKeyPrincipal`] (a valid key). [`Principal`] is either of the last two.

pub mod api_keys;
pub mod key_changes;
pub mod key_token;
pub mod links;
pub mod sessions;

mod actor;
mod caller;
mod change;
pub(crate) mod key;
mod networks;
mod permit;
mod presented;
mod reauth;
mod request;
mod sensitive;

pub use actor::{Actor, SESSION_LIFE, SignedInUser};
pub use caller::{Caller, Seen};
pub use change::begin_change;
pub use key::{ApiKeyInfo, ApiKeyPrincipal, Principal};
pub use permit::{Granted, Permit, ReadPermit, Unattended, can};
pub use request::RequestInfo;
pub use sensitive::Sensitive;
