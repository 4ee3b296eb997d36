use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::{Mode, Scope, string_enum};
use crate::{
    ApiKeyId, ApiRequestId, FieldErrors, Name, Secret, Slug, Timestamp, WorkspaceId, days, hours,
};

/// The maximum number of keys in a workspace, without those that are revoked or replaced.
pub const MAX_KEYS: u64 = 100;
/// The maximum number of IP addresses and CIDR ranges that a key allows.
pub const MAX_NETWORKS: usize = 50;
/// A key that was unused for this long gets a badge.
pub const UNUSED_AFTER: Duration = days(90);
/// Unused scopes are counted once a key is this old, because a new integration may not have used all of them yet.
pub const SETTLED_AFTER: Duration = days(30);
/// How long an entry of the request log is kept.
pub const LOG_LIFE: Duration = days(7);
/// The page size of the list of keys, and of the request log.
pub const PAGE: u64 = 25;
pub const LOG_PAGE: u64 = 50;

string_enum! {
    /// The status of a key.
    Status {
        Active = "active",
        /// It was rotated, and works until the end of the rotation.
        Rotating = "rotating",
        /// The rotation has ended: only the new key works.
        Retired = "retired",
        Expired = "expired",
        Revoked = "revoked",
    }
}

impl Status {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Rotating => "Rotating",
            Self::Retired => "Rotated",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
        }
    }

    /// Whether the API accepts the key.
    pub const fn works(self) -> bool {
        matches!(self, Self::Active | Self::Rotating)
    }
}

string_enum! {
    /// The tabs above the list.
    Filter {
        All = "all",
        Active = "active",
        Expired = "expired",
        Revoked = "revoked",
    }
}

impl Filter {
    pub const fn label(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Active => "Active",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
        }
    }

    /// Reads the query parameter; any other value is All.
    pub fn read(text: &str) -> Self {
        text.parse().unwrap_or(Self::All)
    }
}

string_enum! {
    /// How long a rotated key keeps working beside the new one.
    Grace {
        Now = "now",
        Hour = "hour",
        Day = "day",
        Week = "week",
    }
}

impl Grace {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Now => "Immediately",
            Self::Hour => "In 1 hour",
            Self::Day => "In 24 hours",
            Self::Week => "In 7 days",
        }
    }

    pub const fn duration(self) -> Duration {
        match self {
            Self::Now => Duration::ZERO,
            Self::Hour => hours(1),
            Self::Day => hours(24),
            Self::Week => days(7),
        }
    }
}

string_enum! {
    /// When a new key expires.
    Expiry {
        Never = "never",
        Month = "30",
        Quarter = "90",
        Year = "365",
        Date = "date",
    }
}

impl Expiry {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Never => "Never",
            Self::Month => "In 30 days",
            Self::Quarter => "In 90 days",
            Self::Year => "In 1 year",
            Self::Date => "Custom date",
        }
    }
}

/// The buttons that check several scopes at once, beside those of the groups.
pub const SELECT_ALL: &str = "all";
pub const SELECT_READ: &str = "read";
pub const SELECT_NONE: &str = "none";

/// The state that the button `select` gives this scope's checkbox, or `None` if it leaves the checkbox alone.
pub fn picked(select: &str, scope: Scope) -> Option<bool> {
    match select {
        SELECT_ALL => Some(true),
        SELECT_READ => Some(scope.is_read()),
        SELECT_NONE => Some(false),
        group => (scope.group().as_str() == group).then_some(true),
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CreateForm {
    pub workspace: String,
    pub name: String,
    pub mode: String,
    pub scopes: Vec<String>,
    /// Without scripts, the button that was pressed instead of Create Key and that only checks scopes.
    pub select: String,
    pub expiry: String,
    pub expires_on: String,
    /// IP addresses and CIDR ranges, one per line.
    pub networks: String,
    pub current_password: Secret,
}

/// A new key; the server parses its allowed IP addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    pub name: Name,
    pub mode: Mode,
    pub scopes: Vec<Scope>,
    pub expires_at: Option<Timestamp>,
}

impl CreateForm {
    pub fn parse(&self, now: Timestamp) -> Result<NewKey, FieldErrors> {
        let mut errors = FieldErrors::new();
        let name = errors.check("name", Name::parse(&self.name));
        let mode = errors.check(
            "mode",
            self.mode.parse::<Mode>().map_err(|_| "Choose Live or Test"),
        );
        let scopes = errors.check("scopes", read_scopes(&self.scopes));
        let expires_at = self.expires_at(now, &mut errors);
        match (name, mode, scopes) {
            (Some(name), Some(mode), Some(scopes)) if errors.is_empty() => Ok(NewKey {
                name,
                mode,
                scopes,
                expires_at,
            }),
            _ => Err(errors),
        }
    }

    fn expires_at(&self, now: Timestamp, errors: &mut FieldErrors) -> Option<Timestamp> {
        let expiry = match self.expiry.as_str() {
            "" => Expiry::Never,
            text => errors.check(
                "expiry",
                text.parse().map_err(|_| "Choose when the key expires"),
            )?,
        };
        match expiry {
            Expiry::Never => None,
            Expiry::Month => Some(now.after(days(30))),
            Expiry::Quarter => Some(now.after(days(90))),
            Expiry::Year => Some(now.after(days(365))),
            Expiry::Date => {
                // To the end of that day.
                let end = Timestamp::of_day(&self.expires_on).map(|day| day.after(days(1)));
                match end {
                    Some(end) if end > now => Some(end),
                    Some(_) => {
                        errors.add("expires_on", "Choose a date in the future");
                        None
                    }
                    None => {
                        errors.add("expires_on", "Enter a date like 2030-12-31");
                        None
                    }
                }
            }
        }
    }
}

/// Scopes as checkboxes post them: each once, in the order of the catalogue, and at least one.
pub fn read_scopes(names: &[String]) -> Result<Vec<Scope>, &'static str> {
    if names.iter().any(|name| name.parse::<Scope>().is_err()) {
        return Err("Choose scopes from the list");
    }
    let scopes: Vec<Scope> = Scope::ALL
        .into_iter()
        .filter(|scope| names.iter().any(|name| name == scope.as_str()))
        .collect();
    if scopes.is_empty() {
        return Err("Choose at least one scope");
    }
    Ok(scopes)
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RotateForm {
    pub workspace: String,
    pub key: String,
    pub grace: String,
    pub current_password: Secret,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyNameForm {
    pub workspace: String,
    pub key: String,
    pub name: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ScopesForm {
    pub workspace: String,
    pub key: String,
    /// The scopes that the key keeps.
    pub scopes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysView {
    pub workspace: WorkspaceId,
    pub slug: Slug,
    /// The URL of the public API, for examples.
    pub api: String,
    pub ask_password: bool,
    pub filter: Filter,
    /// The number of keys in each tab, in the order of [`Filter::ALL`].
    pub counts: [u64; 4],
    pub keys: Vec<KeyRow>,
    /// The cursor of the next page.
    pub next: Option<ApiKeyId>,
}

/// A key as the list shows it, with only the first and last characters of the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyRow {
    pub id: ApiKeyId,
    pub name: String,
    pub mode: Mode,
    pub start: String,
    pub end: String,
    pub scopes: Vec<Scope>,
    pub created_by: String,
    pub created_at: Timestamp,
    pub last_used: Option<(Timestamp, String)>,
    pub expires_at: Option<Timestamp>,
    pub retires_at: Option<Timestamp>,
    pub status: Status,
    /// It works, but was not used for 90 days.
    pub unused: bool,
    /// The number of scopes it never used, once it is old enough to tell.
    pub idle_scopes: u32,
}

impl KeyRow {
    /// The part that can be shown: `wh_live_Ab12…x9Yz`.
    pub fn hidden(&self) -> String {
        format!("{}…{}", self.start, self.end)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    pub workspace: WorkspaceId,
    pub slug: Slug,
    pub api: String,
    pub ask_password: bool,
    pub key: KeyRow,
    pub networks: Vec<String>,
    pub revoked: Option<(Timestamp, String)>,
    /// The key that replaced this one, and the one that this one replaced.
    pub successor: Option<ApiKeyId>,
    pub predecessor: Option<ApiKeyId>,
    /// When each scope was last used.
    pub scopes: Vec<(Scope, Option<Timestamp>)>,
    pub requests: Vec<RequestRow>,
    pub request_count: u64,
    pub next: Option<ApiRequestId>,
}

/// An entry of the request log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestRow {
    pub id: ApiRequestId,
    pub at: Timestamp,
    pub method: String,
    pub path: String,
    pub status: i32,
    pub duration_us: i64,
    pub address: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_435_200_000);

    fn form() -> CreateForm {
        CreateForm {
            name: "Importer".into(),
            mode: "live".into(),
            scopes: vec!["contacts:write".into(), "contacts:read".into()],
            ..CreateForm::default()
        }
    }

    #[test]
    fn a_key_wants_a_name_a_type_and_a_scope() {
        let key = form().parse(NOW).unwrap();
        assert_eq!(key.scopes, [Scope::ContactsRead, Scope::ContactsWrite]);
        assert_eq!((key.mode, key.expires_at), (Mode::Live, None));
        let errors = CreateForm::default().parse(NOW).unwrap_err();
        for field in ["name", "mode", "scopes"] {
            assert!(errors.get(field).is_some(), "{field}");
        }
        let mut unknown = form();
        unknown.scopes.push("everything".into());
        assert!(unknown.parse(NOW).unwrap_err().get("scopes").is_some());
    }

    #[test]
    fn a_key_lives_for_some_days_or_to_the_end_of_one() {
        let until = |expiry: &str, on: &str| {
            CreateForm {
                expiry: expiry.into(),
                expires_on: on.into(),
                ..form()
            }
            .parse(NOW)
            .map(|key| key.expires_at.map(Timestamp::rfc3339))
        };
        assert_eq!(until("never", ""), Ok(None));
        assert_eq!(until("30", ""), Ok(Some("2026-12-23T12:00:00Z".into())));
        // Today is not over.
        assert_eq!(
            until("date", "2026-11-23"),
            Ok(Some("2026-11-24T00:00:00Z".into()))
        );
        for bad in ["", "2026-11-22", "tomorrow"] {
            assert!(
                until("date", bad).unwrap_err().get("expires_on").is_some(),
                "{bad}"
            );
        }
        assert!(until("31", "").unwrap_err().get("expiry").is_some());
    }

    #[test]
    fn buttons_select_all_one_group_or_what_reads() {
        let count = |select: &str, what: Option<bool>| {
            let all = Scope::ALL.into_iter();
            all.filter(|scope| picked(select, *scope) == what).count()
        };
        assert_eq!(count(SELECT_ALL, Some(true)), Scope::ALL.len());
        assert_eq!(count(SELECT_NONE, Some(false)), Scope::ALL.len());
        assert_eq!(count("messaging", Some(true)), 4);
        assert_eq!(
            count("messaging", Some(false)),
            0,
            "other groups stay as they are"
        );
        assert_eq!(count("", None), Scope::ALL.len());
        for scope in Scope::ALL {
            assert_eq!(picked(SELECT_READ, scope), Some(scope.is_read()));
        }
    }
}
