//! The texts of emails: those that a person gets whatever their preferences say, and notifications.

use domain::{Email, Role, grouped};

use super::EmailMessage;
use super::plain::plain;
use crate::context::Site;

const IGNORE: &str = "If you didn't request this, you can safely ignore this email.";

/// The first line of an email to someone with an account, by their first name.
fn greeting(name: &str) -> String {
    format!("Hi {},", name.split(' ').next().unwrap_or(name))
}

/// The address may be anybody's, so the email repeats nothing that whoever signed up chose, not even a name.
pub fn confirm_address(site: &Site, token: &str) -> EmailMessage {
    EmailMessage::new("Confirm your email for Wheelhouse")
        .paragraph("Hi,")
        .paragraph(
            "Please confirm your email address. This link expires in 1 hour and can be used once.",
        )
        .button(
            "Confirm Email",
            site.url(&format!("/confirm-email/{token}")),
        )
        .footnote(IGNORE)
}

/// `name`: none for an address that is not confirmed, like [`confirm_address`].
pub fn reset_password(site: &Site, name: Option<&str>, token: &str) -> EmailMessage {
    EmailMessage::new("Reset your Wheelhouse password")
        .paragraph(name.map_or_else(|| "Hi,".to_owned(), greeting))
        .paragraph(
            "We received a request to reset your password. This link expires in 1 hour and can be used once.",
        )
        .button("Reset Password", site.url(&format!("/reset-password/{token}")))
        .footnote(IGNORE)
}

/// The address may be anybody's, as in [`confirm_address`].
pub fn confirm_new_address(site: &Site, token: &str) -> EmailMessage {
    EmailMessage::new("Confirm your new email for Wheelhouse")
        .paragraph("Hi,")
        .paragraph(
            "You asked to change your sign-in email to this address. Confirm within 1 hour to complete the change.",
        )
        .button("Confirm New Email", site.url(&format!("/confirm-email/{token}")))
        .footnote(IGNORE)
}

pub fn address_changes(site: &Site, name: &str, new: &Email, token: &str) -> EmailMessage {
    EmailMessage::new("Someone requested an email change")
        .paragraph(greeting(name))
        .paragraph(format!(
            "A request was made to change your account email to {}.",
            new.masked()
        ))
        .paragraph(
            "If this wasn't you, cancel the change. This link works for 7 days, even after the change.",
        )
        .button("Keep My Current Email", site.url(&format!("/confirm-email/{token}")))
}

pub fn address_changed(name: &str, new: &Email) -> EmailMessage {
    EmailMessage::new("Your email address was changed")
        .paragraph(greeting(name))
        .paragraph(format!("Your account email is now {}.", new.masked()))
        .paragraph("If this wasn't you, use the link in our earlier email to reverse it.")
}

pub fn address_taken_back(name: &str, kept: &Email) -> EmailMessage {
    EmailMessage::new("Your email address was changed back")
        .paragraph(greeting(name))
        .paragraph(format!(
            "Your account email has been restored to {}.",
            kept.masked()
        ))
        .paragraph("If you didn't do this, contact support.")
}

pub fn address_in_use(site: &Site, name: &str) -> EmailMessage {
    EmailMessage::new("Someone tried to use your email address")
        .paragraph(greeting(name))
        .paragraph("Someone tried to use this email for another account. No changes were made.")
        .button("Sign In", site.url("/login"))
}

pub struct InvitationEmail<'a> {
    pub inviter: &'a str,
    pub workspace: &'a str,
    pub role: Role,
    pub link: &'a str,
    pub days: u64,
}

pub fn invitation(message: &InvitationEmail<'_>) -> EmailMessage {
    EmailMessage::new(format!(
        "{} invited you to {}",
        message.inviter, message.workspace
    ))
    .paragraph(format!(
        "{} invited you to join {} as {}.",
        message.inviter,
        message.workspace,
        message.role.with_article()
    ))
    .button("Accept Invitation", message.link)
    .footnote(format!(
        "This invitation is only for you and expires in {} days.",
        message.days
    ))
    .footnote(format!("Wheelhouse · {}", plain(message.workspace)))
}

pub fn workspace_deleted(workspace: &str, actor: &str) -> EmailMessage {
    EmailMessage::new(format!("{workspace} was deleted"))
        .paragraph(format!("{actor} deleted {workspace} and all of its data."))
}

/// A digest's entry for one workspace: how many notifications of each kind were not sent one by one.
pub struct DigestEntry {
    /// The workspace's name and the URL of its inbox; none for notifications about the account itself.
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

/// One email instead of many: how many notifications there were beyond those sent one by one.
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
    let mut message = EmailMessage::new(format!("{} in {place}", more(sum))).paragraph(
        "You had too many notifications to send an email for each one. Here is a summary.",
    );
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
        "You're receiving this because email is on for these notifications. Manage notifications: {settings}"
    ))
}

/// A notification: one sentence, a link to it, and the reason why it was sent.
pub fn notification(
    sentence: &str,
    category: &str,
    workspace: Option<&str>,
    link: &str,
    settings: &str,
) -> EmailMessage {
    let workspace = workspace.map(plain);
    let (place, name) = workspace.map_or_else(
        || (String::new(), String::new()),
        |name| (format!(" in {name}"), format!(" · {name}")),
    );
    EmailMessage::new(sentence)
        .paragraph(format!("{sentence}."))
        .button("Open Wheelhouse", link)
        .footnote(format!(
            "You're receiving this because email is on for {category}{place}. Manage notifications: {settings}"
        ))
        .footnote(format!("Wheelhouse{name}"))
}
