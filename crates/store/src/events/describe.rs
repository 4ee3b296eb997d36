use domain::catalog::EventType;
use domain::{Money, grouped};
use serde_json::Value;

/// Maximum length, in characters, of a text from an event's data in its sentence. Programs choose these texts, and
/// sentences appear in lists and email subjects.
pub const SHOWN_TEXT: usize = 200;
/// Maximum length of a sentence, in characters.
pub const MAX_SENTENCE_LEN: usize = 500;

/// The text as a sentence shows it: one line, at most `longest` characters.
fn shorten(text: &str, longest: usize) -> String {
    let line = |c: char| if c.is_control() { ' ' } else { c };
    let mut letters = text.chars().map(line);
    let mut out: String = letters.by_ref().take(longest).collect();
    if letters.next().is_some() {
        out.pop();
        out.push('…');
    }
    out
}

/// One sentence about an event, for inbox, email and audit log: "Adam Archer invited mia@acme.example as a member".
pub fn describe(event_type: EventType, actor: &str, data: &Value) -> String {
    shorten(&sentence(event_type, actor, data), MAX_SENTENCE_LEN)
}

#[expect(clippy::too_many_lines, reason = "a table: a sentence for each type")]
fn sentence(event_type: EventType, actor: &str, data: &Value) -> String {
    let text = |key: &str| {
        let text = data.get(key).and_then(Value::as_str).unwrap_or_default();
        shorten(text, SHOWN_TEXT)
    };
    let list = |key: &str| {
        let texts = data.get(key).and_then(Value::as_array);
        let texts = texts.into_iter().flatten().filter_map(Value::as_str);
        let texts: Vec<&str> = texts.take(SHOWN_TEXT).collect();
        shorten(&texts.join("”, “"), SHOWN_TEXT)
    };
    let number = |key: &str| data.get(key).and_then(Value::as_i64).unwrap_or_default();
    let money = |key: &str| Money::from_cents(number(key));
    let role = |key: &str| {
        text(key)
            .parse::<domain::Role>()
            .map_or("", |role| role.label())
    };
    let role_noun = |key: &str| {
        text(key)
            .parse::<domain::Role>()
            .map_or("", domain::Role::with_article)
    };
    let stage = |key: &str| {
        let text = text(key);
        let mut letters = text.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(letters).collect()
        })
    };
    match event_type {
        EventType::WorkspaceCreated => format!("{actor} created the workspace {}", text("name")),
        EventType::WorkspaceDeleted => format!("{actor} deleted the workspace {}", text("name")),
        EventType::WorkspaceRenamed => format!("{actor} renamed the workspace to {}", text("to")),
        EventType::WorkspaceUrlChanged => {
            format!("{actor} changed the workspace URL to /w/{}", text("to"))
        }
        EventType::MemberInvited => {
            format!("{actor} invited {} as {}", text("email"), role_noun("role"))
        }
        EventType::InvitationResent => {
            format!("{actor} resent the invitation to {}", text("email"))
        }
        EventType::InvitationCancelled => {
            format!("{actor} cancelled the invitation to {}", text("email"))
        }
        // An undone removal: the actor is not the person who joined.
        EventType::MemberJoined if !text("name").is_empty() && text("name") != actor => {
            format!("{actor} added {} as {}", text("name"), role_noun("role"))
        }
        EventType::MemberJoined => format!("{} joined as {}", text("name"), role_noun("role")),
        EventType::MemberRoleChanged => {
            format!(
                "{actor} changed the role of {} from {} to {}",
                text("name"),
                role("from"),
                role("to")
            )
        }
        EventType::MemberRemoved if data.get("left") == Some(&Value::Bool(true)) => {
            format!("{} left the workspace", text("name"))
        }
        EventType::MemberRemoved => format!("{actor} removed {} from the workspace", text("name")),
        EventType::SecuritySignedIn => {
            format!("New sign-in from {} ({})", text("browser"), text("address"))
        }
        EventType::SecurityPasswordChanged => "Your password was changed".to_owned(),
        EventType::SecurityEmailChanged => {
            format!("Your email address was changed to {}", text("to"))
        }
        EventType::SecuritySessionsEnded => match data.get("count").and_then(Value::as_u64) {
            Some(1) => "You were signed out of 1 session".to_owned(),
            Some(n) => format!("You were signed out of {n} sessions"),
            None => "You were signed out of other sessions".to_owned(),
        },
        EventType::WebhookCreated => format!("{actor} created the webhook {}", text("url")),
        EventType::WebhookUpdated => format!("{actor} updated the webhook {}", text("url")),
        EventType::WebhookDeleted => format!("{actor} deleted the webhook {}", text("url")),
        EventType::WebhookDisabled => format!(
            "The webhook {} was disabled: {}",
            text("url"),
            text("reason")
        ),
        EventType::ContactCreated if actor == super::origin::SYSTEM => {
            format!("{} was added to contacts", text("name"))
        }
        EventType::ContactCreated => format!("{actor} added the contact {}", text("name")),
        EventType::ContactUpdated => format!("{actor} updated the contact {}", text("name")),
        EventType::ContactDeleted => format!("{actor} deleted the contact {}", text("name")),
        EventType::ContactStageChanged => format!(
            "{actor} moved {} from {} to {}",
            text("name"),
            stage("from"),
            stage("to")
        ),
        EventType::ContactTagged => {
            format!("{actor} tagged {} “{}”", text("name"), list("added"))
        }
        EventType::ApiKeyCreated if !text("name").is_empty() => {
            format!("{actor} created the API key {}", text("name"))
        }
        EventType::ApiKeyUpdated if !text("name").is_empty() => {
            format!("{actor} updated the API key {}", text("name"))
        }
        EventType::ApiKeyRotated if !text("name").is_empty() => {
            format!("{actor} rotated the API key {}", text("name"))
        }
        EventType::ApiKeyRevoked if !text("name").is_empty() => {
            format!("{actor} revoked the API key {}", text("name"))
        }
        EventType::CreditsPurchased if number("credits") > 0 => {
            format!("{actor} bought {} credits", grouped(number("credits")))
        }
        EventType::CreditsGranted if number("credits") > 0 => {
            let credits = grouped(number("credits"));
            format!("{credits} credits added from your {} plan", text("name"))
        }
        EventType::CreditsSpent if number("credits") > 0 => {
            format!("{actor} spent {} credits", grouped(number("credits")))
        }
        EventType::CreditsReserved if number("credits") > 0 => {
            format!("{actor} reserved {} credits", grouped(number("credits")))
        }
        EventType::CreditsReleased | EventType::CreditsRefunded | EventType::CreditsExpired
            if number("credits") > 0 =>
        {
            let credits = grouped(number("credits"));
            match event_type {
                EventType::CreditsReleased => format!("{credits} reserved credits released"),
                EventType::CreditsRefunded => format!("{credits} credits refunded"),
                _ => format!("{credits} unused plan credits expired"),
            }
        }
        EventType::CreditsLow if data.get("balance").is_some() => {
            format!("Only {} credits left", grouped(number("balance")))
        }
        EventType::CreditsTopUpChanged if data.get("to").is_some() => {
            let to = |name: &str| {
                data["to"]
                    .get(name)
                    .and_then(Value::as_i64)
                    .unwrap_or_default()
            };
            match data.get("to") {
                Some(Value::Null) => format!("{actor} turned off auto top-up"),
                _ => format!(
                    "{actor} turned on auto top-up: {} credits at a time, up to {} per month",
                    grouped(to("credits")),
                    Money::from_cents(to("monthly_limit"))
                ),
            }
        }
        EventType::CreditsWarningChanged if data.get("to").is_some() => {
            match data.get("to").and_then(Value::as_i64) {
                Some(0) => format!("{actor} turned off the low-balance alert"),
                Some(mark) => {
                    format!(
                        "{actor} set the low-balance alert to {} credits",
                        grouped(mark)
                    )
                }
                None => format!("{actor} reset the low-balance alert to the default"),
            }
        }
        EventType::BillingPaymentSucceeded if text("why") == "dispute_won" => format!(
            "{} for {} counts as paid again because the dispute was won",
            money("amount"),
            text("for")
        ),
        EventType::BillingPaymentSucceeded if text("why") == "refund_failed" => format!(
            "{} for {} counts as paid again because its refund failed",
            money("amount"),
            text("for")
        ),
        EventType::BillingPaymentSucceeded if !text("for").is_empty() => {
            format!("{actor} paid {} for {}", money("amount"), text("for"))
        }
        EventType::BillingPaymentRefunded if text("why") == "dispute" => format!(
            "The bank reversed {} of the payment for {} because of a dispute",
            money("amount"),
            text("for")
        ),
        EventType::BillingPaymentRefunded if !text("for").is_empty() => {
            format!(
                "{} of the payment for {} was refunded",
                money("amount"),
                text("for")
            )
        }
        EventType::BillingPaymentFailed if !text("for").is_empty() => {
            format!(
                "Your {} payment for {} was declined",
                money("amount"),
                text("for")
            )
        }
        EventType::BillingPlanChanged if data.get("why").is_some() => {
            let (name, at) = (text("name"), text("at"));
            match text("why").as_str() {
                "subscribed" => format!("{actor} subscribed to {name}"),
                "changed" => format!("{actor} changed the plan to {name}"),
                "began" => format!("Plan changed to {name}"),
                "later" => format!("{actor} scheduled a change to {name} on {at}"),
                "kept" => format!("{actor} kept the {name} plan"),
                "to_cancel" => format!("{actor} cancelled the subscription; it ends on {at}"),
                "resumed" => format!("{actor} resumed the {name} subscription"),
                "cancelled" => "Subscription ended".to_owned(),
                _ => "Subscription ended because the renewal payment failed".to_owned(),
            }
        }
        EventType::BillingCdrModeChanged if !text("name").is_empty() => {
            let on = data.get("on") == Some(&Value::Bool(true));
            format!("{} turned {}", text("name"), if on { "on" } else { "off" })
        }
        EventType::BillingTrialEnding if number("days") > 0 => match number("days") {
            1 => "Your trial ends in 1 day. Choose a plan to avoid interruption".to_owned(),
            days => {
                format!("Your trial ends in {days} days. Choose a plan to avoid interruption")
            }
        },
        EventType::BillingDetailsChanged => format!("{actor} changed the billing details"),
        EventType::BillingTrialEnded => {
            "Your trial has ended. Choose a plan to continue. Your data is safe".to_owned()
        }
        EventType::SystemAnnouncement
        | EventType::SystemMaintenanceScheduled
        | EventType::SystemIncident
            if !text("title").is_empty() =>
        {
            text("title")
        }
        EventType::AutomationStarted
        | EventType::AutomationCompleted
        | EventType::AutomationFailed
        | EventType::SequenceReplied
        | EventType::SequenceFinished
            if !text("name").is_empty() =>
        {
            let detail = text("detail");
            let colon = if detail.is_empty() { "" } else { ": " };
            let what = match event_type {
                EventType::AutomationStarted => ("Automation", " started"),
                EventType::AutomationCompleted => ("Automation", " completed"),
                EventType::AutomationFailed => ("Automation", " failed"),
                EventType::SequenceFinished => ("Sequence", " finished"),
                _ => ("Reply to", ""),
            };
            format!("{} “{}”{}{colon}{detail}", what.0, text("name"), what.1)
        }
        other => other.label().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_type_has_a_sentence_even_without_data() {
        for event_type in EventType::ALL {
            assert!(
                !describe(event_type, "Adam Archer", &json!({}))
                    .trim()
                    .is_empty(),
                "{event_type}"
            );
        }
    }

    #[test]
    fn a_sentence_is_short_whatever_the_event_carries() {
        let long = "x".repeat(60_000);
        let many: Vec<&str> = vec!["tag"; 60_000];
        for event_type in EventType::ALL {
            let data = json!({"title": long, "name": long, "detail": long, "from": long, "to": long, "added": many,
                "url": long, "email": long, "reason": long, "for": long});
            let sentence = describe(event_type, &long, &data);
            assert!(sentence.chars().count() <= MAX_SENTENCE_LEN, "{event_type}");
            assert!(
                !describe(event_type, "a\nb", &json!({"title": "a\r\nb"})).contains(['\r', '\n'])
            );
        }
    }

    #[test]
    fn a_sentence_names_who_did_what_to_whom() {
        let data = json!({"name": "Mia Moreno", "from": "member", "to": "admin"});
        assert_eq!(
            describe(EventType::MemberRoleChanged, "Olivia Owens", &data),
            "Olivia Owens changed the role of Mia Moreno from Member to Admin"
        );
        let left = json!({"name": "Mia Moreno", "left": true});
        assert_eq!(
            describe(EventType::MemberRemoved, "Mia Moreno", &left),
            "Mia Moreno left the workspace"
        );
    }
}
