//! The demo's subscriptions.

use domain::catalog::Catalog;
use domain::payments::{PaymentPurpose, PaymentStatus};
use domain::subscriptions::{SubscriptionStatus, Terms};
use domain::{AppError, Money, PaymentId, Timestamp, UserId, WorkspaceId, days, internal};
use sea_orm::{ActiveModelTrait, Set};

use crate::billing::{invoices, subscriptions};
use crate::db::Tx;
use crate::db::entity::{payment, simulated_card};
use crate::master_key::Token;

/// A workspace that subscribed `paid` days ago for one month at a time. The last month runs for `left` more days. The
/// saved card can be charged.
pub async fn subscribed(
    tx: &mut Tx,
    catalog: &Catalog,
    workspace: WorkspaceId,
    (plan, payer): (&str, (UserId, &str)),
    (paid, left): (&[u64], u64),
) -> Result<(), AppError> {
    let now = Timestamp::now();
    let terms = Terms {
        plan: plan.to_owned(),
        cdr_mode: false,
    };
    let price = terms.price(catalog).ok_or(AppError::NotFound)?;
    for ago in paid {
        let at = now.before(days(*ago));
        let purpose = PaymentPurpose::Subscribe {
            what: format!("{}, 1 month", terms.name(catalog)),
            terms: terms.clone(),
            balance: Money::default(),
        };
        let what = purpose.describe();
        let paid = payment::ActiveModel {
            id: Set(PaymentId::at(at)),
            workspace_id: Set(workspace),
            purpose: Set(serde_json::to_value(purpose).map_err(|e| internal("a payment", &e))?),
            amount: Set(price),
            status: Set(PaymentStatus::Paid),
            checkout_id: Set(None),
            buyer_id: Set(payer.0),
            buyer_name: Set(payer.1.to_owned()),
            created_at: Set(at),
            finished_at: Set(Some(at)),
            look_at: Set(None),
            refunded: Set(Money::from_cents(0)),
            disputed: Set(Money::from_cents(0)),
            intent_id: Set(None),
        }
        .insert(tx)
        .await?;
        invoices::issue(tx, catalog, &paid, what, at).await?;
    }
    let mut row = subscriptions::locked(tx, workspace)
        .await?
        .ok_or(AppError::NotFound)?;
    row.status = SubscriptionStatus::Active;
    row.plan = Some(terms.plan);
    row.begins_at = now.before(days(paid.last().copied().unwrap_or_default()));
    row.ends_at = now.after(days(left));
    // Later months are counted from the end of this one.
    (row.billing_cycle_anchor, row.months) = (row.ends_at, 0);
    row.freezes_at = None;
    row.payer_id = Some(payer.0);
    row.payer_name = Some(payer.1.to_owned());
    row.due_at = Some(row.ends_at);
    subscriptions::save(tx, row).await?;
    simulated_card::ActiveModel {
        customer: Set(workspace.to_string()),
        token: Set(Token::generate().plain().expose().to_owned()),
        works: Set(Some(true)),
        return_path: Set("/".to_owned()),
    }
    .insert(tx)
    .await?;
    Ok(())
}
