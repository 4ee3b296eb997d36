//! What the sign-in pages post and show.

use serde::{Deserialize, Serialize};

use crate::domain::{Email, FieldErrors, Name, Role, Secret, Slug, Timestamp, UserId, WorkspaceId};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SignUpForm {
    pub name: String,
    pub email: String,
    pub password: Secret,
    pub workspace: String,
}

/// A [`SignUpForm`] whose fields hold; the password is still to be judged.
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
        if let Err(error) = crate::domain::check_new_password(self.password.expose()) {
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
    /// Where to go afterwards: a path of our own.
    pub next: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfirmPasswordForm {
    pub current_password: Secret,
    /// Where to go on.
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

/// A link from a mail that was followed and confirmed by a button.
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

/// A workspace among those of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceMembership {
    pub id: WorkspaceId,
    pub name: String,
    pub slug: Slug,
    pub role: Role,
}

/// What stands around every page of a workspace: who, where, and what is waiting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayoutData {
    pub user: UserId,
    pub name: String,
    pub email: Email,
    /// Whether they may do what takes a confirmed email address.
    pub confirmed: bool,
    /// Until when their sign-in is fresh enough for sensitive changes.
    pub fresh_until: Timestamp,
    pub here: WorkspaceMembership,
    pub places: Vec<WorkspaceMembership>,
    pub unread: u64,
    /// Whether nothing but billing can be changed here.
    pub frozen: bool,
    pub demo: bool,
}

/// What someone with an invitation's link may see of it, and what they can do next.
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
    /// Signed in with the invited address.
    Ready,
    /// Nobody is signed in, and the address has no account yet.
    NewPerson,
    /// Nobody is signed in, and the address has an account.
    SignInFirst,
    /// Signed in with another address.
    OtherPerson {
        email: String,
    },
    /// A member already; the workspace's address.
    Member {
        slug: Slug,
    },
    Expired,
    /// Accepted already, perhaps by the one who looks: nobody is signed in.
    Accepted,
}

/// What a link from a mail is about, for the page that asks for the button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkKind {
    /// Confirms the address given at sign-up.
    ConfirmAddress,
    /// Confirms a changed address.
    ConfirmChange,
    /// Takes a change of address back.
    KeepAddress,
    /// Unknown, used, or too old.
    Dead,
}

/// A path of our own, or `/`: what comes from outside could lead elsewhere (`//evil.example`, `/\evil.example`).
pub fn own_path(path: &str) -> &str {
    let inside = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && !path.chars().any(|c| c.is_control() || c.is_whitespace());
    if inside { path } else { "/" }
}

/// The browser and system that a User-Agent header tells of, as people name them: `Firefox on Windows`.
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
        for (agent, label) in [
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
            assert_eq!(browser_label(agent), label);
        }
    }
}
