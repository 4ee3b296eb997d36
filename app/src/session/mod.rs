//! Identity: sign-up, sign-in and sign-out, password reset, email confirmation and accepting invitations. Also the two
//! proofs that every store function requires: [`SignedInUser`] (signed in) and [`Actor`] (signed in and a member of a
//! workspace).

pub mod api;
pub mod model;
pub mod notice;
pub mod page;

#[cfg(feature = "ssr")]
mod actor;
#[cfg(feature = "ssr")]
mod caller;
#[cfg(feature = "ssr")]
mod key;
#[cfg(feature = "ssr")]
pub mod links;
#[cfg(feature = "ssr")]
mod networks;
#[cfg(feature = "ssr")]
mod reauth;
#[cfg(feature = "ssr")]
mod sensitive;
#[cfg(feature = "ssr")]
pub mod store;

#[cfg(feature = "ssr")]
pub use actor::{Actor, SignedInUser};
#[cfg(feature = "ssr")]
pub use caller::{Caller, RequestInfo, Seen, app_context, caller};
#[cfg(feature = "ssr")]
pub use key::{ApiKeyInfo, ApiKeyPrincipal, Principal};
#[cfg(feature = "ssr")]
pub use sensitive::Sensitive;
