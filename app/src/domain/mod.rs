//! The domain types. Pure: no database, no page, no clock except [`Timestamp::now`]. A value of one of these types is
//! always valid, because parsing is the only way to create one.

mod email;
mod error;
mod id;
mod money;
mod name;
mod permission;
mod role;
mod secret;
mod slug;
mod timestamp;

pub use email::{Email, EmailError};
pub use error::{AppError, FieldErrors};
pub use id::*;
pub use money::{Money, grouped};
#[cfg(feature = "ssr")]
pub use name::fold;
pub use name::{Name, NameError};
pub use permission::Permission;
pub use role::Role;
pub use secret::{PasswordError, Secret, check_new_password};
pub use slug::{Slug, SlugError};
pub use timestamp::{Timestamp, days, hours, minutes};

/// A newtype over text that only parsing creates: reading a row or a wire value applies the same rule, so an invalid
/// value cannot get in.
macro_rules! parsed_text {
    ($name:ident, $error:ty) => {
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use parsed_text;
