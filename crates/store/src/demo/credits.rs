//! The demo's credits: some weeks of use, with everything that a ledger can show.

use domain::catalog::{Catalog, Mode, Plan};
use domain::{AppError, Timestamp, UserId, WorkspaceId, days, hours};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::credits::dto::Use;
use crate::credits::ledger::LockedAccount;
use crate::credits::{give_plan, purchase_into, spend_from};
use crate::db::Tx;
use crate::db::entity::{self, credit_account, credit_entry, credit_grant};
use crate::events::Origin;

/// What Acme uses on a day, and how often. The days take turns, and on one of them nobody works.
const WEEK: [Option<(&str, u32)>; 7] = [
    Some(("suggest_reply", 58)),
    Some(("analyze_and_suggest", 18)),
    Some(("suggest_reply", 44)),
    Some(("contact_insights", 29)),
    Some(("classify_chat", 64)),
    None,
    Some(("quick_answer", 19)),
];
/// When Acme's plan began, was renewed, and is renewed next; when it bought more. In days from today.
const BEGAN: u64 = 40;
const BOUGHT: u64 = 12;
const RENEWED: u64 = 10;
const NEXT: u64 = 20;

/// Acme, which uses a lot, and has bought more: the first of `people` did, the others spend.
pub async fn busy(
    tx: &mut Tx,
    catalog: &Catalog,
    workspace: WorkspaceId,
    people: [(UserId, &str); 3],
) -> Result<(), AppError> {
    close_books(tx, workspace).await?;
    let now = Timestamp::now();
    let plan = catalog.plan(&catalog.trial_plan);
    let plan = plan.ok_or(AppError::NotFound)?;
    let [buyer, one, other] = people.map(|(id, name)| Origin::person(id, name));
    let begin = now.before(days(BEGAN)).before(hours(9));
    grant(tx, workspace, plan, begin, now.before(days(RENEWED))).await?;
    for ago in (0..BEGAN).rev() {
        let morning = now.before(days(ago)).before(hours(5));
        if ago == RENEWED {
            grant(tx, workspace, plan, morning, now.after(days(NEXT))).await?;
        }
        if ago == BOUGHT {
            let mut account = LockedAccount::open_at(tx, workspace, Mode::Live, morning).await?;
            purchase_into(&mut account, &buyer, 1000, "demo purchase").await?;
        }
        let used = WEEK[usize::try_from(ago % 7).unwrap_or_default()];
        if let Some((feature, times)) = used {
            let wanted = Use::new(catalog, feature, Some(times), Some("Welcome sequence"));
            let wanted = wanted.map_err(AppError::Invalid)?;
            let at = morning.after(hours(1));
            let mut account = LockedAccount::open_at(tx, workspace, Mode::Live, at).await?;
            let who = if ago % 2 == 0 { &one } else { &other };
            spend_from(&mut account, who, &wanted, None).await?;
        }
    }
    Ok(())
}

/// Globex, which has only begun.
pub async fn calm(tx: &mut Tx, catalog: &Catalog, workspace: WorkspaceId) -> Result<(), AppError> {
    close_books(tx, workspace).await?;
    let now = Timestamp::now();
    let plan = catalog.plans.first().ok_or(AppError::NotFound)?;
    grant(
        tx,
        workspace,
        plan,
        now.before(days(3)),
        now.after(days(27)),
    )
    .await
}

/// Plan credits in both accounts.
async fn grant(
    tx: &mut Tx,
    workspace: WorkspaceId,
    plan: &Plan,
    at: Timestamp,
    until: Timestamp,
) -> Result<(), AppError> {
    for mode in Mode::ALL {
        let mut account = LockedAccount::open_at(tx, workspace, mode, at).await?;
        let period = format!("demo period {}", at.millis());
        give_plan(&mut account, &Origin::system(), plan, until, &period).await?;
    }
    Ok(())
}

/// What the workspace was given on its founding is of today; its story begins earlier.
async fn close_books(tx: &mut Tx, workspace: WorkspaceId) -> Result<(), AppError> {
    entity::CreditEntry::delete_many()
        .filter(credit_entry::Column::WorkspaceId.eq(workspace))
        .exec(tx)
        .await?;
    entity::CreditGrant::delete_many()
        .filter(credit_grant::Column::WorkspaceId.eq(workspace))
        .exec(tx)
        .await?;
    entity::CreditAccount::delete_many()
        .filter(credit_account::Column::WorkspaceId.eq(workspace))
        .exec(tx)
        .await?;
    Ok(())
}
