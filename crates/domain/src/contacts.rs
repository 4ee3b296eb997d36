//! The format of a contact in the public API, and its rules.

use serde::{Deserialize, Serialize};

use crate::catalog::string_enum;
use crate::{ContactId, Email, FieldErrors};

/// Maximum length of names and companies, in characters.
pub const MAX_NAME_LEN: usize = 200;
/// Maximum length of phone numbers, in characters: 15 digits (ITU-T E.164) with room for common formatting.
pub const MAX_PHONE_LEN: usize = 40;
/// Maximum number of tags on a contact.
pub const MAX_TAGS: usize = 50;
/// Maximum length of a tag, in characters.
pub const MAX_TAG_LEN: usize = 50;
/// Maximum number of tags in one search: each is a separate condition.
pub const MAX_SEARCH_TAGS: usize = 10;
/// Maximum length of a search text, in characters.
pub const MAX_SEARCH_LEN: usize = 200;

string_enum! {
    /// The stage of a contact on the way to becoming a customer.
    Stage {
        Lead = "lead",
        Contacted = "contacted",
        Qualified = "qualified",
        Won = "won",
        Lost = "lost",
    }
}

/// A contact as it is sent: the whole of it, on creation and on replacement.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct CreateContactRequest {
    /// 1 to 200 characters.
    #[cfg_attr(
        feature = "server",
        schema(min_length = 1, max_length = 200, example = "Grace Kim")
    )]
    pub name: String,
    #[cfg_attr(
        feature = "server",
        schema(max_length = 254, example = "grace@hanok.example")
    )]
    pub email: Option<String>,
    #[cfg_attr(
        feature = "server",
        schema(max_length = 40, example = "+82 2 555 0101")
    )]
    pub phone: Option<String>,
    #[cfg_attr(
        feature = "server",
        schema(max_length = 200, example = "Hanok Robotics")
    )]
    pub company: Option<String>,
    /// `lead` if it is left out.
    #[cfg_attr(feature = "server", schema(value_type = Option<Stage>))]
    pub stage: Option<String>,
    /// At most 50, of 1 to 50 characters each. A tag that comes twice is kept once.
    #[cfg_attr(feature = "server", schema(max_items = 50, example = json!(["priority"])))]
    pub tags: Option<Vec<String>>,
}

/// A contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Contact {
    #[cfg_attr(feature = "server", schema(value_type = String, example = "con_01h455vb4pex5vsknk084sn02q"))]
    pub id: ContactId,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub email: Option<Email>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub company: Option<String>,
    pub stage: Stage,
    pub tags: Vec<String>,
    /// RFC 3339, in UTC.
    #[cfg_attr(feature = "server", schema(format = DateTime))]
    pub created_at: String,
    /// RFC 3339, in UTC.
    #[cfg_attr(feature = "server", schema(format = DateTime))]
    pub updated_at: String,
}

/// A valid contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactDraft {
    pub name: String,
    pub email: Option<Email>,
    pub phone: Option<String>,
    pub company: Option<String>,
    pub stage: Stage,
    pub tags: Vec<String>,
}

impl CreateContactRequest {
    pub fn parse(self) -> Result<ContactDraft, FieldErrors> {
        let mut errors = FieldErrors::new();
        let name = errors.check("name", text(&self.name, MAX_NAME_LEN));
        let email = match self.email.as_deref() {
            None => Some(None),
            Some(email) => errors.check("email", Email::parse(email)).map(Some),
        };
        let phone = errors.check("phone", optional(self.phone.as_deref(), MAX_PHONE_LEN));
        let company = errors.check("company", optional(self.company.as_deref(), MAX_NAME_LEN));
        let stage = errors.check("stage", stage(self.stage.as_deref()));
        let tags = errors.check("tags", tags(&self.tags.unwrap_or_default()));
        match (name, email, phone, company, stage, tags) {
            (Some(name), Some(email), Some(phone), Some(company), Some(stage), Some(tags)) => {
                Ok(ContactDraft {
                    name,
                    email,
                    phone,
                    company,
                    stage,
                    tags,
                })
            }
            _ => Err(errors),
        }
    }
}

/// One line of text without surrounding white space, of 1 to `longest` characters.
pub fn text(text: &str, longest: usize) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("Must not be empty".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("Must be a single line without control characters".to_owned());
    }
    if text.chars().count() > longest {
        return Err(format!("Must be {longest} characters or fewer"));
    }
    Ok(text.to_owned())
}

fn optional(value: Option<&str>, longest: usize) -> Result<Option<String>, String> {
    value.map(|value| text(value, longest)).transpose()
}

/// The stage with this name; `lead` if there is none.
pub fn stage(value: Option<&str>) -> Result<Stage, String> {
    let Some(value) = value else {
        return Ok(Stage::Lead);
    };
    value.parse().map_err(|_| {
        format!(
            "Must be one of {}",
            Stage::ALL.map(Stage::as_str).join(", ")
        )
    })
}

fn tags(given: &[String]) -> Result<Vec<String>, String> {
    let mut kept: Vec<String> = Vec::new();
    for tag in given {
        let tag = text(tag, MAX_TAG_LEN).map_err(|problem| format!("Each tag: {problem}"))?;
        if !kept.contains(&tag) {
            kept.push(tag);
        }
        // Check this before comparing more tags: a body can contain a hundred thousand.
        if kept.len() > MAX_TAGS {
            return Err(format!("A contact can have up to {MAX_TAGS} tags"));
        }
    }
    Ok(kept)
}

/// The form for comparing texts: each character's upper case in lower case, so that `STRASSE` finds `Straße` and `Σ`
/// finds `ς`, and white space as single blanks. SQLite's own lower case covers only ASCII.
pub fn fold(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grace() -> CreateContactRequest {
        CreateContactRequest {
            name: "  Grace Kim ".into(),
            email: Some("Grace@Hanok.example".into()),
            tags: Some(vec!["vip".into(), " vip ".into(), "korea".into()]),
            ..CreateContactRequest::default()
        }
    }

    #[test]
    fn what_is_left_out_has_a_default_and_what_comes_twice_is_kept_once() {
        let draft = grace().parse().unwrap();
        assert_eq!(draft.name, "Grace Kim");
        assert_eq!(draft.email.unwrap().as_str(), "grace@hanok.example");
        assert_eq!(draft.stage, Stage::Lead);
        assert_eq!(draft.tags, ["vip", "korea"]);
        assert_eq!(draft.phone, None);
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let bad = CreateContactRequest {
            name: " ".into(),
            email: Some("nobody".into()),
            phone: Some("1".repeat(41)),
            company: Some("a\nb".into()),
            stage: Some("client".into()),
            tags: Some(vec!["x".repeat(51)]),
        };
        let errors = bad.parse().unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|(field, _)| field).collect();
        assert_eq!(
            fields,
            ["company", "email", "name", "phone", "stage", "tags"]
        );
        assert_eq!(
            errors.get("stage"),
            Some("Must be one of lead, contacted, qualified, won, lost")
        );
    }

    #[test]
    fn tags_are_counted_after_doubles_are_gone() {
        let with = |n: usize| CreateContactRequest {
            tags: Some((0..n).map(|n| format!("tag {n}")).collect()),
            ..grace()
        };
        assert!(with(MAX_TAGS).parse().is_ok());
        assert!(
            with(MAX_TAGS + 1)
                .parse()
                .unwrap_err()
                .get("tags")
                .is_some()
        );
        let doubled = CreateContactRequest {
            tags: Some(vec!["same".into(); 80]),
            ..grace()
        };
        assert_eq!(doubled.parse().unwrap().tags, ["same"]);
    }

    #[test]
    fn case_is_folded_in_every_script() {
        assert_eq!(fold("STRASSE"), fold("Straße"));
        assert_eq!(fold("ΟΔΟΣ"), fold("οδος"));
        assert_eq!(fold("Ärger  im\tBÜRO"), "ärger im büro");
    }

    proptest! {
        #[test]
        fn what_parses_is_within_its_limits_and_parses_to_itself(
            name in ".{0,210}", phone in proptest::option::of(".{0,45}"), tags in proptest::collection::vec(".{0,55}", 0..60),
        ) {
            let given = CreateContactRequest { name, phone, tags: Some(tags), ..CreateContactRequest::default() };
            if let Ok(draft) = given.parse() {
                prop_assert!((1..=MAX_NAME_LEN).contains(&draft.name.chars().count()));
                prop_assert!(draft.tags.len() <= MAX_TAGS);
                for text in draft.tags.iter().chain(&draft.phone).chain([&draft.name]) {
                    prop_assert!(!text.contains(char::is_control));
                }
                let again = CreateContactRequest {
                    name: draft.name.clone(),
                    phone: draft.phone.clone(),
                    tags: Some(draft.tags.clone()),
                    ..CreateContactRequest::default()
                };
                prop_assert_eq!(again.parse().unwrap(), draft);
            }
        }

        #[test]
        fn a_part_of_a_text_is_found_in_it_in_any_case(text in "\\PC{1,30}") {
            let folded = fold(&text);
            prop_assert!(folded.contains(&fold(&text.chars().take(5).collect::<String>())));
            prop_assert!(!folded.contains(char::is_control));
        }
    }
}
