use domain::credits::{BuyForm, CreditsView, LowBalanceThresholdForm, TopUpForm};
use domain::form::FormSuccess;
use leptos::prelude::*;

use crate::rpc::{Postcard, RpcError};

#[cfg(feature = "ssr")]
use {
    crate::session::caller,
    domain::AppError,
    domain::{Timestamp, payments::PaymentPurpose},
    store::auth::Principal,
    store::credits::{self, top_up, view},
    store::settlement,
};

/// `kind`, `before` and `payment` as they stand in the address; what makes no sense counts as nothing.
#[server(output = Postcard)]
pub async fn load_credits(
    workspace: String,
    kind: String,
    before: String,
    payment: String,
) -> Result<CreditsView, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let (kind, before) = (kind.parse().ok(), before.parse().ok());
    let mut view = view::page(
        caller.ctx(),
        &Principal::from(actor.clone()).permit()?,
        kind,
        before,
    )
    .await?;
    if view.may_buy
        && let Ok(payment) = payment.parse()
    {
        view.payment = settlement::view(caller.ctx(), &actor.permit()?, payment).await?;
    }
    Ok(view)
}

#[server(output = Postcard)]
pub async fn set_low_balance_threshold(
    #[server(default)] form: LowBalanceThresholdForm,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let mark = form.parse().map_err(AppError::Invalid)?;
    credits::set_low_balance_threshold(caller.ctx(), &actor.permit()?, mark).await?;
    Ok(FormSuccess::with_message("Changes saved"))
}

#[server(output = Postcard)]
pub async fn set_top_up(#[server(default)] form: TopUpForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let wanted = form.parse().map_err(AppError::Invalid)?;
    top_up::set(caller.ctx(), &actor.permit()?, wanted, Timestamp::now()).await?;
    Ok(FormSuccess::with_message(if wanted.is_some() {
        "Auto top-up is on"
    } else {
        "Auto top-up is off"
    }))
}

/// Redirects to the page where a package is paid. The price comes from the catalog.
#[server(output = Postcard)]
pub async fn buy_credits(#[server(default)] form: BuyForm) -> Result<FormSuccess, RpcError> {
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
    let place = settlement::begin(
        caller.ctx(),
        &actor.permit()?,
        &purpose,
        package.price,
        &page,
    )
    .await?;
    leptos_axum::redirect(&place);
    Ok(FormSuccess::default())
}
