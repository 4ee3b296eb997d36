//! The forms and data of the sign-in pages.

use serde::{Deserialize, Serialize};

use crate::{Email, FieldErrors, Name, Role, Secret, Slug, Timestamp, UserId, WorkspaceId};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SignUpForm {
    pub name: String,
    pub email: String,
    pub password: Secret,
    pub workspace: String,
}

/// A [`SignUpForm`] with valid fields; the strength of the password is not checked yet.
#[derive(Clone, Debug)]
pub struct SignUp {
    pub name: Name,
    pub email: Email,
    pub password: Secret,
    pub workspace: Name,
}

impl SignUpForm {
    pub fn parse(self) -> Result<SignUp, FieldErrors> {
        let mut errors = FieldErrors::new();
        let name = errors.check("name", Name::parse(&self.name));
        let email = errors.check("email", Email::parse(&self.email));
        if self.workspace.trim().is_empty() {
            errors.add("workspace", "Enter a workspace name");
        }
        let workspace = errors.check("workspace", Name::parse(&self.workspace));
        if let Err(error) = crate::check_new_password(self.password.expose()) {
            errors.add("password", error);
        }
        match (name, email, workspace) {
            (Some(name), Some(email), Some(workspace)) if errors.is_empty() => Ok(SignUp {
                name,
                email,
                password: self.password,
                workspace,
            }),
            _ => Err(errors),
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SignInForm {
    pub email: String,
    pub password: Secret,
    /// The page to open afterwards: a path of this site.
    pub next: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfirmPasswordForm {
    pub current_password: Secret,
    /// The page to open afterwards.
    pub next: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ForgotForm {
    pub email: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResetForm {
    pub token: Secret,
    pub password: Secret,
    pub confirm: Secret,
}

/// A link from an email, confirmed by a button.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenForm {
    pub token: Secret,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AcceptForm {
    pub token: Secret,
    pub name: String,
    pub password: Secret,
}

/// One of a person's workspaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceMembership {
    pub id: WorkspaceId,
    pub name: String,
    pub slug: Slug,
    pub role: Role,
}

/// The data around every page of a workspace: the user, the workspace and unread counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayoutData {
    pub user: UserId,
    pub name: String,
    pub email: Email,
    /// Whether they can do what requires a confirmed email address.
    pub confirmed: bool,
    /// The time until which their sign-in is fresh enough for sensitive changes.
    pub fresh_until: Timestamp,
    pub here: WorkspaceMembership,
    pub places: Vec<WorkspaceMembership>,
    pub unread: u64,
    /// Whether only billing can be changed here.
    pub frozen: bool,
    pub demo: bool,
}

/// The part of an invitation that its link's holder can see, and what they can do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationView {
    pub workspace: String,
    pub inviter: String,
    pub email: String,
    pub role: Role,
    pub state: InvitationState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InvitationState {
    /// Signed in with the invited email address.
    Ready,
    /// Nobody is signed in, and the email address has no account yet.
    NewPerson,
    /// Nobody is signed in, and the email address has an account.
    SignInFirst,
    /// Signed in with another email address.
    OtherPerson {
        email: String,
    },
    /// Already a member; the workspace's slug.
    Member {
        slug: Slug,
    },
    Expired,
    /// Already accepted, perhaps by the visitor: nobody is signed in.
    Accepted,
}

/// What a link from an email does, for the page that shows its button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkKind {
    /// Confirms the email address given at sign-up.
    ConfirmAddress,
    /// Confirms a changed email address.
    ConfirmChange,
    /// Reverts a change of email address.
    KeepAddress,
    /// Unknown, used or expired.
    Dead,
}

/// A path of this site, or `/`: a path from outside could lead elsewhere (`//evil.example`, `/\evil.example`).
pub fn own_path(path: &str) -> &str {
    let inside = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && !path.chars().any(|c| c.is_control() || c.is_whitespace());
    if inside { path } else { "/" }
}

/// The browser and system in a User-Agent header, in common names: `Firefox on Windows`.
pub fn browser_label(user_agent: &str) -> String {
    const BROWSERS: [(&str, &str); 7] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("CriOS/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let find = |list: &[(&str, &'static str)]| {
        list.iter()
            .find(|(mark, _)| user_agent.contains(mark))
            .map(|&(_, name)| name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "Unknown browser".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_our_own_are_followed() {
        for good in ["/", "/w/acme/settings/account", "/w/acme?tab=x&y=%2F"] {
            assert_eq!(own_path(good), good);
        }
        for bad in [
            "",
            "w/acme",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nSet-Cookie: x",
            "/\t/evil.example",
        ] {
            assert_eq!(own_path(bad), "/", "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn wherever_a_path_leads_it_is_inside(path in "[/\\\\ -~\\t\\r\\n\\PC]{0,12}") {
            let led = own_path(&path);
            proptest::prop_assert!(led == path || led == "/");
            proptest::prop_assert!(led.starts_with('/'));
            proptest::prop_assert!(!led[1..].starts_with(['/', '\\']));
            proptest::prop_assert!(!led.contains(|c: char| c.is_control() || c.is_whitespace()));
        }
    }

    #[test]
    fn browsers_are_named_as_people_name_them() {
        for (user_agent, label) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36",
                "Chrome on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
                "Firefox on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1",
                "Safari on iPhone",
            ),
            ("", "Unknown browser"),
        ] {
            assert_eq!(browser_label(user_agent), label);
        }
    }
}
