//! The members as CSV.

use domain::{AppError, Timestamp};

use super::search::find;
use crate::auth::{Permit, Sensitive, can};
use crate::context::AppContext;
use crate::csv;

/// Every member as CSV (RFC 4180).
pub async fn export_csv(
    ctx: &AppContext,
    actor: &Permit<can::SeeMemberEmails>,
) -> Result<String, AppError> {
    actor.person().require_fresh(Sensitive::Export)?;
    let (rows, _) = find(ctx, actor, "", None, u64::from(u32::MAX)).await?;
    let mut csv = String::from("Name,Email,Role,Joined,Last active\r\n");
    for (_, _, name, email, role, joined_at, last_active_at) in rows {
        let active = last_active_at.map(Timestamp::rfc3339).unwrap_or_default();
        let fields = [
            &name,
            email.as_str(),
            role.label(),
            &joined_at.rfc3339(),
            &active,
        ]
        .map(csv::field);
        csv += &(fields.join(",") + "\r\n");
    }
    Ok(csv)
}
