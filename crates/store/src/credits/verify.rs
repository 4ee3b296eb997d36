//! Proves every balance from the entries. A mismatch is a fault in Wheelhouse and is reported.

use std::fmt;

use domain::catalog::Mode;
use domain::{AppError, WorkspaceId};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};

/// An inconsistency in an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub workspace: WorkspaceId,
    pub mode: Mode,
    /// How many of these exist.
    pub count: i64,
    pub what: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {}: {} × {}",
            self.workspace, self.mode, self.count, self.what
        )
    }
}

/// Conditions that must never occur, each as a query that returns the affected accounts.
const CHECKS: [(&str, &str); 9] = [
    (
        "a balance that is not the sum of the account's lines",
        "SELECT account.workspace_id, account.mode, COUNT(*) AS count FROM credit_accounts account
         WHERE account.balance <> (SELECT COALESCE(SUM(entry.amount), 0) FROM credit_entries entry
             WHERE entry.workspace_id = account.workspace_id AND entry.mode = account.mode)
         GROUP BY account.workspace_id, account.mode",
    ),
    (
        "a balance that is not what the grants hold",
        "SELECT account.workspace_id, account.mode, COUNT(*) AS count FROM credit_accounts account
         WHERE account.balance <> (SELECT COALESCE(SUM(g.remaining), 0) FROM credit_grants g
             WHERE g.workspace_id = account.workspace_id AND g.mode = account.mode)
         GROUP BY account.workspace_id, account.mode",
    ),
    (
        "a number of lines that is not the number of the last",
        "SELECT account.workspace_id, account.mode, COUNT(*) AS count FROM credit_accounts account
         WHERE account.entries <> (SELECT COUNT(*) FROM credit_entries entry
             WHERE entry.workspace_id = account.workspace_id AND entry.mode = account.mode)
         OR account.entries <> (SELECT COALESCE(MAX(entry.number), 0) FROM credit_entries entry
             WHERE entry.workspace_id = account.workspace_id AND entry.mode = account.mode)
         GROUP BY account.workspace_id, account.mode",
    ),
    (
        "a line whose balance is not the sum of the lines up to it",
        "SELECT workspace_id, mode, COUNT(*) AS count FROM (
             SELECT workspace_id, mode, balance,
                 SUM(amount) OVER (PARTITION BY workspace_id, mode ORDER BY number) AS sum
             FROM credit_entries) AS running
         WHERE balance <> sum GROUP BY workspace_id, mode",
    ),
    (
        "a line that is not the sum of its parts",
        "SELECT workspace_id, mode, COUNT(*) AS count FROM credit_entries entry
         WHERE amount <> (SELECT COALESCE(SUM(part.amount), 0) FROM credit_allocations part WHERE part.entry_id = entry.id)
         GROUP BY workspace_id, mode",
    ),
    (
        "a grant that does not hold the sum of its parts",
        "SELECT workspace_id, mode, COUNT(*) AS count FROM credit_grants g
         WHERE remaining <> (SELECT COALESCE(SUM(part.amount), 0) FROM credit_allocations part WHERE part.grant_id = g.id)
         GROUP BY workspace_id, mode",
    ),
    (
        "a hold whose lines do not say what became of it",
        "SELECT workspace_id, mode, COUNT(*) AS count FROM credit_holds hold
         WHERE (SELECT COALESCE(SUM(entry.amount), 0) FROM credit_entries entry WHERE entry.hold_id = hold.id)
             <> -(CASE WHEN hold.status = 'held' THEN hold.reserved ELSE hold.captured END)
         GROUP BY workspace_id, mode",
    ),
    (
        "days that do not count what was spent and not given back",
        "SELECT account.workspace_id, account.mode, COUNT(*) AS count FROM credit_accounts account
         WHERE (SELECT COALESCE(SUM(day.credits), 0) FROM credit_daily_stats day
             WHERE day.workspace_id = account.workspace_id AND day.mode = account.mode)
         <> -(SELECT COALESCE(SUM(entry.amount), 0) FROM credit_entries entry
             WHERE entry.workspace_id = account.workspace_id AND entry.mode = account.mode
             AND entry.kind IN ('spend', 'refund') AND entry.feature IS NOT NULL)
         GROUP BY account.workspace_id, account.mode",
    ),
    (
        "a payment of which another part is disputed than the bank took back, or more went back than was paid",
        "SELECT workspace_id, 'live' AS mode, COUNT(*) AS count FROM (
             SELECT workspace_id, amount, refunded, disputed,
                 (SELECT COALESCE(SUM(r.amount), 0) FROM payment_reversals r
                     WHERE r.payment_id = payments.id AND r.kind = 'dispute' AND r.status = 'standing') AS told
             FROM payments) AS payment
         WHERE refunded + disputed > amount
         OR disputed <> CASE WHEN told < amount - refunded THEN told ELSE amount - refunded END
         GROUP BY workspace_id",
    ),
];

#[derive(FromQueryResult)]
struct Row {
    workspace_id: WorkspaceId,
    mode: Mode,
    count: i64,
}

/// Every inconsistency in every account.
pub async fn verify(db: &impl ConnectionTrait) -> Result<Vec<Fault>, AppError> {
    let mut faults = Vec::new();
    for (what, sql) in CHECKS {
        let statement = Statement::from_string(db.get_database_backend(), sql);
        for row in Row::find_by_statement(statement).all(db).await? {
            faults.push(Fault {
                workspace: row.workspace_id,
                mode: row.mode,
                count: row.count,
                what,
            });
        }
    }
    Ok(faults)
}
