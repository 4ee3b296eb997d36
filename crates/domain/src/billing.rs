use serde::{Deserialize, Serialize};

use crate::catalog::{CdrMode, Plan};
use crate::payments::{PaymentStatus, PaymentView};
use crate::subscriptions::{Details, Seller, SubscriptionStatus, Terms};
use crate::{Email, FieldErrors, Money, PaymentId, Timestamp, WorkspaceId};

/// The number of payments on the page.
pub const PAYMENTS: u64 = 50;
/// The number of members that a preview names if a smaller plan has too few seats.
pub const NAMED: usize = 5;

/// The page of a workspace's subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillingView {
    pub workspace: WorkspaceId,
    /// The payment that the user returns from.
    pub payment: Option<PaymentView>,
    pub status: SubscriptionStatus,
    /// `None` on trial, and if the workspace never subscribed.
    pub terms: Option<Terms>,
    /// The plan in use: the trial's, or the subscribed one.
    pub plan: Option<Plan>,
    /// The monthly price of the terms.
    pub cost: Option<Money>,
    pub ends_at: Timestamp,
    /// The terms and their price after the period ends. `None` if they stay the same.
    pub next: Option<Next>,
    pub cancelled: bool,
    /// When a declined renewal is retried.
    pub retry_at: Option<Timestamp>,
    /// Whether a payment for a renewal or change is in progress.
    pub paying: bool,
    /// Money paid beyond the monthly price, deducted from the next charges. Negative: debt.
    pub balance: Money,
    pub seats_used: u64,
    pub plans: Vec<Plan>,
    pub cdr_mode: CdrMode,
    /// The preview of the requested choice.
    pub preview: Option<Preview>,
    /// The preview of turning CDR Mode on, or off if it is on. `None` if the plan does not have it.
    pub cdr_preview: Option<Preview>,
    /// Why the requested choice is refused.
    pub refusal: Option<String>,
    pub payments: Vec<PaymentRow>,
    pub details: Details,
}

/// The subscription after the period ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    pub terms: Terms,
    pub name: String,
    pub cost: Money,
}

impl BillingView {
    /// The debt, if there is any.
    pub fn owed(&self) -> Option<Money> {
        let owed = Money::default() - self.balance;
        Some(owed).filter(|owed| *owed > Money::default())
    }

    /// Whether a month is paid, so that a choice changes the plan instead of starting one.
    pub fn is_active(&self) -> bool {
        self.status == SubscriptionStatus::Active
    }
}

/// How a choice takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// The first month is paid on the provider's page.
    Begin,
    /// Immediately, for the rest of the month.
    Now,
    /// When the paid month ends.
    Later,
    /// The current terms stay: a scheduled change or cancellation is undone.
    Keep,
}

/// The preview of choosing a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    pub terms: Terms,
    /// `Scale with CDR Mode`.
    pub name: String,
    pub effect: Effect,
    /// The amount charged immediately.
    pub today: Money,
    /// The part of that amount that pays a debt.
    pub owed: Money,
    /// The monthly price from then on, the next charge after the balance is applied, and its date.
    pub next: Money,
    pub next_charge: Money,
    pub next_at: Timestamp,
    /// The remaining trial days that extend the first month.
    pub days_added: u64,
    /// Members that exceed the plan's limit.
    pub beyond: Option<OverLimit>,
}

/// Members who exceed a plan's seats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverLimit {
    pub seats: u32,
    pub used: u64,
    /// The members who joined last, up to a limit.
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

/// A payment in the page's list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PaymentRow {
    pub id: PaymentId,
    pub what: String,
    pub amount: Money,
    /// How much of it was refunded, and how much the bank took back in a dispute.
    pub refunded: Money,
    pub disputed: Money,
    pub status: PaymentStatus,
    pub at: Timestamp,
    /// The number of its invoice, and its written form.
    pub invoice: Option<(i64, String)>,
}

/// The written form of an invoice number: a part unique to the workspace, and the invoice's number in it.
pub fn invoice_number(workspace: WorkspaceId, number: i64) -> String {
    let id = workspace.uuid().simple().to_string();
    // The end of the id: its start is a timestamp, which workspaces created together share.
    format!("{}-{number:04}", id[id.len() - 8..].to_uppercase())
}

/// An issued invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceView {
    pub number: String,
    pub what: String,
    pub amount: Money,
    pub seller: Seller,
    pub buyer: Details,
    pub issued_at: Timestamp,
    /// How much of it was refunded since, and how much the bank took back in a dispute.
    pub refunded: Money,
    pub disputed: Money,
}

/// The billing details for invoices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DetailsForm {
    pub workspace: String,
    pub company: String,
    pub address: String,
    pub vat_number: String,
    pub email: String,
}

/// Maximum length of company and postal address, in characters.
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
        // Accepts the forms that people write: `DE 123.456.789`.
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

/// The chosen plan. The form contains the preview's price, so that the charge is the agreed amount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChooseForm {
    pub workspace: String,
    pub plan: String,
    pub cdr_mode: String,
    /// The preview's price in cents.
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
