//! Ids: a prefix for the kind, then a UUID version 7 in the 26 characters of TypeID 0.3 (Crockford's base32, lower
//! case). Internally they are UUIDs, so they sort by time and take 16 bytes; externally they are text that cannot be
//! mistaken for another kind's id.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 26 characters of 5 bits hold 130; the first character therefore never exceeds 7.
const LENGTH: usize = 26;

/// A text that is not an id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdError {
    prefix: &'static str,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an id of the form {}_…", self.prefix)
    }
}

impl std::error::Error for IdError {}

fn encode(uuid: Uuid) -> String {
    let value = uuid.as_u128();
    (0..LENGTH)
        .rev()
        .map(|place| char::from(ALPHABET[(value >> (5 * place)) as usize & 31]))
        .collect()
}

fn decode(text: &str) -> Option<Uuid> {
    if text.len() != LENGTH || text.as_bytes()[0] > b'7' {
        return None;
    }
    let mut value: u128 = 0;
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|&letter| letter == byte)?;
        value = value << 5 | digit as u128;
    }
    Some(Uuid::from_u128(value))
}

#[cfg(feature = "server")]
fn uuid_at(moment: super::timestamp::Timestamp) -> Uuid {
    let since = std::time::Duration::from_millis(u64::try_from(moment.millis()).unwrap_or(0));
    let moment = uuid::Timestamp::from_unix(uuid::NoContext, since.as_secs(), since.subsec_nanos());
    Uuid::new_v7(moment)
}

macro_rules! prefixed_id {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "server", derive(sea_orm::DeriveValueType))]
        pub struct $name(Uuid);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            /// A new id, which sorts after all earlier ones.
            #[cfg(feature = "server")]
            #[expect(clippy::new_without_default, reason = "each is another: a default would promise sameness")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// A new id that sorts among those made at that time.
            #[cfg(feature = "server")]
            pub fn at(moment: super::timestamp::Timestamp) -> Self {
                Self(uuid_at(moment))
            }

            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(Self)
                    .ok_or(IdError { prefix: $prefix })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

    )*

        #[cfg(test)]
        const PREFIXES: &[&str] = &[$($prefix),*];
    };
}

prefixed_id! {
    /// A person's account.
    UserId = "usr";
    /// A workspace.
    WorkspaceId = "ws";
    /// A person's membership in a workspace.
    MembershipId = "mem";
    /// An invitation.
    InvitationId = "inv";
    /// An entry of the event log.
    EventId = "evt";
    /// A row of an inbox.
    NotificationId = "ntf";
    /// A signed-in browser.
    SessionId = "ses";
    /// An email in the outbox.
    EmailId = "mail";
    /// A contact.
    ContactId = "con";
    /// A change of email address.
    EmailChangeId = "emc";
    /// A link that works once.
    TokenId = "tok";
    /// An API key.
    ApiKeyId = "key";
    /// An entry of the request log.
    ApiRequestId = "req";
    /// A webhook endpoint.
    WebhookId = "whk";
    /// The delivery of one event to one webhook.
    DeliveryId = "dlv";
    /// One attempt to deliver.
    AttemptId = "att";
    /// Credits that were granted together.
    CreditGrantId = "cgr";
    /// An entry of the credit ledger.
    CreditEntryId = "cen";
    /// Credits reserved for work in progress.
    CreditHoldId = "hold";
    /// A payment.
    PaymentId = "pay";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values_of_the_typeid_specification() {
        let id = UserId::from_uuid("01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap());
        assert_eq!(id.to_string(), "usr_01h455vb4pex5vsknk084sn02q");
        assert_eq!(
            WorkspaceId::from_uuid(Uuid::nil()).to_string(),
            "ws_00000000000000000000000000"
        );
        assert_eq!(
            WorkspaceId::from_uuid(Uuid::max()).to_string(),
            "ws_7zzzzzzzzzzzzzzzzzzzzzzzzz"
        );
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in [
            "",
            "usr_",
            "01h455vb4pex5vsknk084sn02q",
            "ws_01h455vb4pex5vsknk084sn02q",
            "usr_01h455vb4pex5vsknk084sn02",
            "usr_01h455vb4pex5vsknk084sn02qq",
            "usr_81h455vb4pex5vsknk084sn02q",
            "usr_01H455VB4PEX5VSKNK084SN02Q",
            "usr_01h455vb4pex5vsknk084sn02u",
            "usr_01h455vb4pex5vsknk084sn0é",
        ] {
            assert!(text.parse::<UserId>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_kind_has_a_prefix_of_its_own() {
        let mut prefixes = PREFIXES.to_vec();
        prefixes.sort_unstable();
        prefixes.dedup();
        assert_eq!(prefixes.len(), PREFIXES.len());
    }

    proptest! {
        #[test]
        fn text_and_back(value: u128) {
            let id = EventId::from_uuid(Uuid::from_u128(value));
            prop_assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<EventId>(&json).unwrap(), id);
        }

        #[test]
        fn text_sorts_as_the_ids_do(a: u128, b: u128) {
            let (x, y) = (EventId::from_uuid(Uuid::from_u128(a)), EventId::from_uuid(Uuid::from_u128(b)));
            prop_assert_eq!(x.cmp(&y), x.to_string().cmp(&y.to_string()));
        }

        #[test]
        #[cfg(feature = "server")]
        fn ids_of_moments_sort_as_the_moments_do(a in 0_i64..4_102_444_800_000, later in 1_i64..10_000) {
            let moment = crate::Timestamp::from_millis;
            prop_assert!(EventId::at(moment(a)) < EventId::at(moment(a + later)));
        }

        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = text.parse::<EventId>();
            let _ = format!("evt_{text}").parse::<EventId>();
        }
    }
}
