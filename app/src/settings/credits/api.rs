use leptos::prelude::*;

use super::model::CreditsView;
use crate::call::Compact;
use crate::domain::AppError;

#[cfg(feature = "ssr")]
use {super::view, crate::session::caller};

/// `kind` and `before` as they stand in the address; what makes no sense counts as nothing.
#[server(output = Compact)]
pub async fn load_credits(
    workspace: String,
    kind: String,
    before: String,
) -> Result<CreditsView, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let (kind, before) = (kind.parse().ok(), before.parse().ok());
    view::page(caller.house(), &actor.into(), kind, before).await
}
