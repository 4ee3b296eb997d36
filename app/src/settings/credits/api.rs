use leptos::prelude::*;

use super::model::{BuyForm, CreditsView, LowBalanceThresholdForm, TopUpForm};
use crate::domain::AppError;
use crate::form::FormSuccess;
use crate::rpc::Postcard;

#[cfg(feature = "ssr")]
use {
    super::{store, top_up, view},
    crate::domain::Timestamp,
    crate::payments::{self, model::PaymentPurpose},
    crate::session::caller,
};

/// `kind`, `before` and `payment` as they stand in the address; what makes no sense counts as nothing.
#[server(output = Postcard)]
pub async fn load_credits(
    workspace: String,
    kind: String,
    before: String,
    payment: String,
) -> Result<CreditsView, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let (kind, before) = (kind.parse().ok(), before.parse().ok());
    let mut view = view::page(caller.ctx(), &actor.clone().into(), kind, before).await?;
    if view.may_buy
        && let Ok(payment) = payment.parse()
    {
        view.payment = payments::store::view(caller.ctx(), &actor, payment).await?;
    }
    Ok(view)
}

#[server(output = Postcard)]
pub async fn set_low_balance_threshold(
    #[server(default)] form: LowBalanceThresholdForm,
) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let mark = form.parse().map_err(AppError::Invalid)?;
    store::set_low_balance_threshold(caller.ctx(), &actor, mark).await?;
    Ok(FormSuccess::with_message("Changes saved"))
}

#[server(output = Postcard)]
pub async fn set_top_up(#[server(default)] form: TopUpForm) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let wanted = form.parse().map_err(AppError::Invalid)?;
    top_up::set(caller.ctx(), &actor, wanted, Timestamp::now()).await?;
    Ok(FormSuccess::with_message(if wanted.is_some() {
        "Auto top-up is on"
    } else {
        "Auto top-up is off"
    }))
}

/// Redirects to the page where a package is paid. The price comes from the catalog.
#[server(output = Postcard)]
pub async fn buy_credits(#[server(default)] form: BuyForm) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let credits = form.credits.parse().ok();
    let package = credits
        .and_then(|credits| caller.ctx().catalog().package(credits))
        .ok_or_else(|| AppError::field("credits", "Choose a package"))?;
    let page = format!("/w/{}/settings/credits", actor.slug());
    let purpose = PaymentPurpose::Credits {
        credits: package.credits,
    };
    let place =
        payments::store::begin(caller.ctx(), &actor, &purpose, package.price, &page).await?;
    leptos_axum::redirect(&place);
    Ok(FormSuccess::default())
}
