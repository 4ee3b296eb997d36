use serde::{Deserialize, Serialize};

use crate::{Email, FieldErrors, Name, Secret, SessionId, Timestamp};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProfileForm {
    pub name: String,
    pub email: String,
    pub current_password: Secret,
}

impl ProfileForm {
    pub fn parse(&self) -> Result<(Name, Email), FieldErrors> {
        let mut errors = FieldErrors::new();
        let name = errors.check("name", Name::parse(&self.name));
        let email = errors.check("email", Email::parse(&self.email));
        match (name, email) {
            (Some(name), Some(email)) => Ok((name, email)),
            _ => Err(errors),
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PasswordForm {
    pub password: Secret,
    pub confirm: Secret,
    pub current_password: Secret,
}

impl PasswordForm {
    /// The rules that can be checked without the server.
    pub fn check(&self) -> Result<(), FieldErrors> {
        let mut errors = FieldErrors::new();
        errors.check(
            "password",
            crate::check_new_password(self.password.expose()),
        );
        if self.password != self.confirm {
            errors.add("confirm", "Passwords don't match");
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    pub name: String,
    pub email: Email,
    pub confirmed: bool,
    /// A new email address that is not confirmed yet.
    pub pending: Option<PendingEmail>,
    /// Whether a sensitive change requires the current password first.
    pub ask_password: bool,
    pub sessions: Vec<SessionView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingEmail {
    pub email: Email,
    pub expires_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionView {
    pub id: SessionId,
    pub browser: String,
    pub address: String,
    pub last_seen_at: Timestamp,
    pub current: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_fields_are_checked_at_once() {
        let errors = ProfileForm {
            name: " ".into(),
            email: "x".into(),
            ..ProfileForm::default()
        }
        .parse()
        .unwrap_err();
        assert_eq!(errors.get("name"), Some("Enter a name"));
        assert_eq!(
            errors.get("email"),
            Some("Enter a valid email address, like name@example.com")
        );
    }

    #[test]
    fn a_password_is_long_enough_and_typed_twice_the_same() {
        let errors = PasswordForm {
            password: "short".into(),
            confirm: "other".into(),
            ..PasswordForm::default()
        }
        .check();
        let errors = errors.unwrap_err();
        assert_eq!(
            errors.get("password"),
            Some("Password must be at least 12 characters")
        );
        assert_eq!(errors.get("confirm"), Some("Passwords don't match"));
    }
}
