//! What is written in the mail that a person must get whatever their preferences say, and in notifications.

use super::EmailMessage;
use super::plain::plain;
use crate::context::Site;
use crate::domain::{Email, Role, grouped};

const IGNORE: &str =
    "If this was not you, you can ignore this mail: nothing happens until the link is used.";

/// To an address that may be anybody's, so it says nothing that whoever signed up chose, not even a name.
pub fn confirm_address(site: &Site, token: &str) -> EmailMessage {
    EmailMessage::new("Confirm your email address")
        .paragraph("Hello,")
        .paragraph(
            "please confirm that this is your email address. The link works once, within one hour.",
        )
        .button(
            "Confirm email address",
            site.url(&format!("/confirm-email/{token}")),
        )
        .footnote(IGNORE)
}

/// `name`: none for an address that is not confirmed, like [`confirm_address`].
pub fn reset_password(site: &Site, name: Option<&str>, token: &str) -> EmailMessage {
    EmailMessage::new("Choose a new password")
        .paragraph(name.map_or_else(|| "Hello,".to_owned(), |name| format!("Hello {name},")))
        .paragraph("someone, probably you, asked for a new password. The link works once, within one hour.")
        .button("Choose a new password", site.url(&format!("/reset-password/{token}")))
        .footnote(IGNORE)
}

/// To an address that may be anybody's, like [`confirm_address`].
pub fn confirm_new_address(site: &Site, token: &str) -> EmailMessage {
    EmailMessage::new("Confirm your new email address")
        .paragraph("Hello,")
        .paragraph("you asked to use this address from now on. It counts once you confirm it, within one hour.")
        .button("Confirm new address", site.url(&format!("/confirm-email/{token}")))
        .footnote(IGNORE)
}

pub fn address_changes(site: &Site, name: &str, new: &Email, token: &str) -> EmailMessage {
    EmailMessage::new("Your email address is about to change")
        .paragraph(format!("Hello {name},"))
        .paragraph(format!("the email address of your account is to become {}.", new.masked()))
        .paragraph("If this was not you, take it back. The link works for seven days, also after the change.")
        .button("Keep this address", site.url(&format!("/confirm-email/{token}")))
}

pub fn address_changed(name: &str, new: &Email) -> EmailMessage {
    EmailMessage::new("Your email address was changed")
        .paragraph(format!("Hello {name},"))
        .paragraph(format!(
            "the email address of your account is now {}.",
            new.masked()
        ))
        .paragraph("If this was not you, use the link in our earlier mail to take it back.")
}

pub fn address_taken_back(name: &str, kept: &Email) -> EmailMessage {
    EmailMessage::new("Your email address was changed back")
        .paragraph(format!("Hello {name},"))
        .paragraph(format!(
            "the email address of your account is {} again: the change was taken back from there.",
            kept.masked()
        ))
        .paragraph("If this was not you, ask whoever reads that mailbox.")
}

pub fn address_in_use(site: &Site, name: &str) -> EmailMessage {
    EmailMessage::new("Someone tried to use your email address")
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

pub fn invitation(message: &InvitationLetter<'_>) -> EmailMessage {
    EmailMessage::new(format!(
        "{} invited you to {}",
        message.inviter, message.workspace
    ))
    .paragraph(format!(
        "{} invites you to join the workspace {} as {}.",
        message.inviter,
        message.workspace,
        message.role.label()
    ))
    .button("See invitation", message.link)
    .footnote(format!(
        "The invitation is for you alone and expires in {} days.",
        message.days
    ))
}

pub fn workspace_deleted(workspace: &str, actor: &str) -> EmailMessage {
    EmailMessage::new(format!("The workspace {workspace} was deleted")).paragraph(format!(
        "{actor} deleted the workspace {workspace} and everything in it."
    ))
}

/// What a digest says of one workspace: how many notifications of each kind were not sent one by one.
pub struct DigestEntry {
    /// The workspace's name and the address of its inbox; none for what concerns the person alone.
    pub place: Option<(String, String)>,
    /// The kind, and how many.
    pub counts: Vec<(&'static str, i64)>,
}

impl DigestEntry {
    fn sum(&self) -> i64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    fn place(&self) -> &str {
        self.place
            .as_ref()
            .map_or("your account", |(name, _)| name.as_str())
    }
}

/// One email instead of many: how many notifications there were beyond those that were sent one by one.
pub fn digest(held: &[DigestEntry], link: &str, settings: &str) -> EmailMessage {
    let sum: i64 = held.iter().map(DigestEntry::sum).sum();
    let more = |count: i64| match count {
        1 => "1 more notification".to_owned(),
        count => format!("{} more notifications", grouped(count)),
    };
    let place = match held {
        [only] => only.place().to_owned(),
        several => format!("{} places", several.len()),
    };
    let mut message = EmailMessage::new(format!("{} in {place}", more(sum)))
        .paragraph("There were too many notifications to send each in an email of its own.");
    for one in held {
        let kinds: Vec<String> = one
            .counts
            .iter()
            .map(|(kind, count)| format!("{kind} {}", grouped(*count)))
            .collect();
        let sentence = format!(
            "{} in {}: {}.",
            more(one.sum()),
            one.place(),
            kinds.join(", ")
        );
        message = message.paragraph(sentence);
    }
    message.button("Open Wheelhouse", link).footnote(format!(
        "You get this because Email is on for these kinds of notifications: {settings}"
    ))
}

/// A notification: one sentence, a way to see it, and why it came.
pub fn notification(
    sentence: &str,
    category: &str,
    workspace: Option<&str>,
    link: &str,
    settings: &str,
) -> EmailMessage {
    let place = workspace
        .map(|name| format!(" · {}", plain(name)))
        .unwrap_or_default();
    EmailMessage::new(sentence)
        .paragraph(format!("{sentence}."))
        .button("Open Wheelhouse", link)
        .footnote(format!(
            "{category}{place}. You get this because Email is on for {category}: {settings}"
        ))
}
