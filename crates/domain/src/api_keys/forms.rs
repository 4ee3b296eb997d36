//! The forms of API keys, and how they are parsed.

use serde::{Deserialize, Serialize};

use super::choices::Expiry;
use crate::catalog::{Mode, Scope};
use crate::{FieldErrors, Name, Secret, Timestamp, days};

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
