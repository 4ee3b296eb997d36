use serde::{Deserialize, Serialize};

use crate::billing::model::{Details, Seller, SubscriptionStatus, Terms};
use crate::catalog::{CdrMode, Plan};
use crate::domain::{Email, FieldErrors, Money, PaymentId, Timestamp, WorkspaceId};
use crate::payments::model::{PaymentStatus, PaymentView};

/// How many payments the page lists.
pub const PAYMENTS: u64 = 50;
/// How many members a preview names who are beyond the seats of a smaller plan.
pub const NAMED: usize = 5;

/// The page of a workspace's subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillingView {
    pub workspace: WorkspaceId,
    /// The payment from which one comes back.
    pub payment: Option<PaymentView>,
    pub status: SubscriptionStatus,
    /// Nothing on trial, and where nothing ever was subscribed to.
    pub terms: Option<Terms>,
    /// The plan that can be used now: that of the trial, or the one subscribed to.
    pub plan: Option<Plan>,
    /// What the terms cost a month.
    pub cost: Option<Money>,
    pub ends_at: Timestamp,
    /// What it becomes when the period ends, and what that costs; nothing where it stays.
    pub next: Option<Next>,
    pub cancelled: bool,
    /// When a declined renewal is tried again.
    pub retry_at: Option<Timestamp>,
    /// Whether a renewal or change is being paid just now.
    pub paying: bool,
    /// What was paid beside what a month costs, and is taken off the next charges; below nothing, what is owed.
    pub balance: Money,
    pub seats_used: u64,
    pub plans: Vec<Plan>,
    pub cdr_mode: CdrMode,
    /// The preview of the requested choice.
    pub preview: Option<Preview>,
    /// What would come of turning CDR Mode on, or off where it is on; nothing where the plan does not have it.
    pub cdr_preview: Option<Preview>,
    /// Why the requested choice is refused.
    pub refusal: Option<String>,
    pub payments: Vec<PaymentRow>,
    pub details: Details,
}

/// What a subscription becomes when the period ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    pub terms: Terms,
    pub name: String,
    pub cost: Money,
}

impl BillingView {
    /// What is owed, if anything is.
    pub fn owed(&self) -> Option<Money> {
        let owed = Money::default() - self.balance;
        Some(owed).filter(|owed| *owed > Money::default())
    }

    /// Whether a month is paid, so that changing means less than beginning.
    pub fn is_active(&self) -> bool {
        self.status == SubscriptionStatus::Active
    }
}

/// How a choice takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// The first month is paid on the provider's page.
    Begin,
    /// At once, for the rest of the month.
    Now,
    /// When the month that is paid is over.
    Later,
    /// What is there stays: a change or an end that was planned is taken back.
    Keep,
}

/// The preview of choosing a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    pub terms: Terms,
    /// `Scale with CDR Mode`.
    pub name: String,
    pub effect: Effect,
    /// What is charged at once.
    pub today: Money,
    /// How much of that was owed from before.
    pub owed: Money,
    /// What a month costs from then on, and what the next charge is with the balance as it is then; and when.
    pub next: Money,
    pub next_charge: Money,
    pub next_at: Timestamp,
    /// Of the trial that is left, days that the first month is longer.
    pub days_added: u64,
    /// What the plan would not hold.
    pub beyond: Option<OverLimit>,
}

/// Members beyond a plan's seats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverLimit {
    pub seats: u32,
    pub used: u64,
    /// Who joined last, the first of them.
    pub names: Vec<String>,
}

impl OverLimit {
    /// `This plan includes 3 seats and you're using 7. …`
    pub fn sentence(&self) -> String {
        let Self { seats, used, names } = self;
        let beyond = used.saturating_sub(u64::from(*seats));
        let unnamed = beyond.saturating_sub(names.len() as u64);
        let mut list = names.join(", ");
        if unnamed > 0 && !names.is_empty() {
            list = format!("{list} and {unnamed} more");
        }
        let who = if names.is_empty() {
            String::new()
        } else {
            format!(" Over the limit: {list}.")
        };
        format!(
            "This plan includes {seats} seats and you're using {used}.{who} Nobody will be removed, but you can't invite \
             anyone until you're under the limit."
        )
    }
}

/// A payment, as the page lists it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PaymentRow {
    pub id: PaymentId,
    pub what: String,
    pub amount: Money,
    /// How much of it was paid back, and how much the bank took back as it is disputed.
    pub refunded: Money,
    pub disputed: Money,
    pub status: PaymentStatus,
    pub at: Timestamp,
    /// The number of its invoice, and how that is written.
    pub invoice: Option<(i64, String)>,
}

/// How an invoice's number is written: the workspace's part, so that no two are alike, and its place among them.
pub fn invoice_number(workspace: WorkspaceId, number: i64) -> String {
    let id = workspace.uuid().simple().to_string();
    // The end of the id: its beginning is a moment, and alike for those founded together.
    format!("{}-{number:04}", id[id.len() - 8..].to_uppercase())
}

/// An invoice, as it was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceView {
    pub number: String,
    pub what: String,
    pub amount: Money,
    pub seller: Seller,
    pub buyer: Details,
    pub issued_at: Timestamp,
    /// How much of it was paid back since, and how much the bank took back as it is disputed.
    pub refunded: Money,
    pub disputed: Money,
}

/// Whom invoices are to be made out to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DetailsForm {
    pub workspace: String,
    pub company: String,
    pub address: String,
    pub vat_number: String,
    pub email: String,
}

/// Longest company and address, in characters.
const MAX_COMPANY_LEN: usize = 120;
const MAX_ADDRESS_LEN: usize = 300;

impl DetailsForm {
    /// Blank fields are left out.
    pub fn parse(&self) -> Result<Details, FieldErrors> {
        let mut errors = FieldErrors::new();
        let (company, address) = (self.company.trim(), self.address.trim());
        for (field, text, longest) in [
            ("company", company, MAX_COMPANY_LEN),
            ("address", address, MAX_ADDRESS_LEN),
        ] {
            if text.chars().count() > longest {
                errors.add(field, format!("Use {longest} characters or fewer"));
            } else if text.chars().any(char::is_control) {
                errors.add(field, "Remove invisible characters");
            }
        }
        // As people write them: `DE 123.456.789`.
        let vat: String = self
            .vat_number
            .chars()
            .filter(|c| !matches!(c, ' ' | '.' | '-'))
            .collect();
        let vat = vat.to_uppercase();
        let good = vat.is_empty()
            || (4..=20).contains(&vat.len()) && vat.bytes().all(|b| b.is_ascii_alphanumeric());
        if !good {
            errors.add("vat_number", "Enter a valid VAT number, like DE123456789");
        }
        let email = match self.email.trim() {
            "" => Some(String::new()),
            text => errors
                .check("email", Email::parse(text))
                .map(|email| email.to_string()),
        };
        match email {
            Some(email) if errors.is_empty() => Ok(Details {
                company: company.to_owned(),
                address: address.to_owned(),
                vat_number: vat,
                email,
            }),
            _ => Err(errors),
        }
    }
}

/// Which plan is chosen. The preview's price comes along: what was agreed to is what is charged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChooseForm {
    pub workspace: String,
    pub plan: String,
    pub cdr_mode: String,
    /// Cents, as the preview said.
    pub today: String,
}

impl ChooseForm {
    pub fn terms(&self) -> Terms {
        Terms {
            plan: self.plan.clone(),
            cdr_mode: self.cdr_mode == "true",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_as_people_write_them_or_told_what_is_wrong() {
        let form = |company: &str, vat: &str, email: &str| {
            let form = DetailsForm {
                company: company.to_owned(),
                vat_number: vat.to_owned(),
                email: email.to_owned(),
                ..DetailsForm::default()
            };
            form.parse()
        };
        assert_eq!(form("", "", ""), Ok(Details::default()));
        let given = form(" Acme GmbH ", "de 123.456-789", "Bills@Acme.example").unwrap();
        assert_eq!(
            (given.company.as_str(), given.vat_number.as_str()),
            ("Acme GmbH", "DE123456789")
        );
        for (wrong, field) in [
            (form(&"x".repeat(121), "", ""), "company"),
            (form("Acme\u{0}", "", ""), "company"),
            (form("", "DE1", ""), "vat_number"),
            (form("", "DE 12/34", ""), "vat_number"),
            (form("", "", "nobody"), "email"),
        ] {
            assert!(wrong.unwrap_err().get(field).is_some(), "{field}");
        }
    }

    #[test]
    fn who_is_beyond_the_seats_is_named() {
        let sentence = |used, names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            OverLimit {
                seats: 3,
                used,
                names,
            }
            .sentence()
        };
        assert!(
            sentence(4, &["Cleo"]).contains("3 seats and you're using 4. Over the limit: Cleo.")
        );
        assert!(sentence(9, &["A", "B"]).contains("A, B and 4 more."));
        assert!(sentence(5, &[]).contains("using 5. Nobody"));
    }
}
