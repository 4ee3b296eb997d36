//! What is written in the mail that a person must get whatever their preferences say, and in notifications.

use super::Letter;
use crate::domain::{Email, Role};
use crate::house::Site;

const IGNORE: &str =
    "If this was not you, you can ignore this mail: nothing happens until the link is used.";

pub fn confirm_address(site: &Site, name: &str, token: &str) -> Letter {
    Letter::new("Confirm your email address")
        .paragraph(format!("Hello {name},"))
        .paragraph(
            "please confirm that this is your email address. The link works once, within one hour.",
        )
        .button(
            "Confirm email address",
            site.url(&format!("/confirm-email/{token}")),
        )
        .footnote(IGNORE)
}

pub fn reset_password(site: &Site, name: &str, token: &str) -> Letter {
    Letter::new("Choose a new password")
        .paragraph(format!("Hello {name},"))
        .paragraph("someone, probably you, asked for a new password. The link works once, within one hour.")
        .button("Choose a new password", site.url(&format!("/reset-password/{token}")))
        .footnote(IGNORE)
}

pub fn confirm_new_address(site: &Site, name: &str, token: &str) -> Letter {
    Letter::new("Confirm your new email address")
        .paragraph(format!("Hello {name},"))
        .paragraph("you asked to use this address from now on. It counts once you confirm it, within one hour.")
        .button("Confirm new address", site.url(&format!("/confirm-email/{token}")))
        .footnote(IGNORE)
}

pub fn address_changes(site: &Site, name: &str, new: &Email, token: &str) -> Letter {
    Letter::new("Your email address is about to change")
        .paragraph(format!("Hello {name},"))
        .paragraph(format!("the email address of your account is to become {}.", new.masked()))
        .paragraph("If this was not you, take it back. The link works for seven days, also after the change.")
        .button("Keep this address", site.url(&format!("/confirm-email/{token}")))
}

pub fn address_changed(name: &str, new: &Email) -> Letter {
    Letter::new("Your email address was changed")
        .paragraph(format!("Hello {name},"))
        .paragraph(format!(
            "the email address of your account is now {}.",
            new.masked()
        ))
        .paragraph("If this was not you, use the link in our earlier mail to take it back.")
}

pub fn address_taken_back(name: &str, kept: &Email) -> Letter {
    Letter::new("Your email address was changed back")
        .paragraph(format!("Hello {name},"))
        .paragraph(format!(
            "the email address of your account is {} again: the change was taken back from there.",
            kept.masked()
        ))
        .paragraph("If this was not you, ask whoever reads that mailbox.")
}

pub fn address_in_use(site: &Site, name: &str) -> Letter {
    Letter::new("Someone tried to use your email address")
        .paragraph(format!("Hello {name},"))
        .paragraph("someone tried to set this address for another account. Nothing was changed.")
        .button("Sign in", site.url("/login"))
}

pub struct InvitationLetter<'a> {
    pub inviter: &'a str,
    pub workspace: &'a str,
    pub role: Role,
    pub link: &'a str,
    pub days: u64,
}

pub fn invitation(letter: &InvitationLetter<'_>) -> Letter {
    Letter::new(format!(
        "{} invited you to {}",
        letter.inviter, letter.workspace
    ))
    .paragraph(format!(
        "{} invites you to join the workspace {} as {}.",
        letter.inviter,
        letter.workspace,
        letter.role.label()
    ))
    .button("See invitation", letter.link)
    .footnote(format!(
        "The invitation is for you alone and expires in {} days.",
        letter.days
    ))
}

pub fn workspace_deleted(workspace: &str, actor: &str) -> Letter {
    Letter::new(format!("The workspace {workspace} was deleted")).paragraph(format!(
        "{actor} deleted the workspace {workspace} and everything in it."
    ))
}

/// A notification: one sentence, a way to see it, and why it came.
pub fn notification(
    sentence: &str,
    category: &str,
    workspace: Option<&str>,
    link: &str,
    settings: &str,
) -> Letter {
    let place = workspace
        .map(|name| format!(" · {name}"))
        .unwrap_or_default();
    Letter::new(sentence)
        .paragraph(format!("{sentence}."))
        .button("Open Wheelhouse", link)
        .footnote(format!(
            "{category}{place}. You get this because Email is on for {category}: {settings}"
        ))
}
