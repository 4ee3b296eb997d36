use domain::billing::{BillingView, ChooseForm, DetailsForm, InvoiceView};
use domain::form::FormSuccess;
use leptos::prelude::*;

use crate::rpc::{Postcard, RpcError};

#[cfg(feature = "ssr")]
use {
    crate::session::caller,
    domain::AppError,
    domain::{Money, Timestamp, subscriptions::Terms},
    store::settlement,
    store::{
        auth::Actor,
        billing::{self, Chosen},
    },
};

#[cfg(feature = "ssr")]
fn page(actor: &Actor) -> String {
    format!("/w/{}/settings/billing", actor.slug())
}

/// `plan`, `cdr` and `payment` are query parameters: the choice to preview, and the payment that the user returns from.
#[server(output = Postcard)]
pub async fn load_billing(
    workspace: String,
    plan: String,
    cdr: String,
    payment: String,
) -> Result<BillingView, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let cdr_mode = cdr == "1";
    let asked = (!plan.is_empty()).then_some(Terms { plan, cdr_mode });
    let mut view = billing::view(caller.ctx(), &actor.permit_read()?, asked).await?;
    if let Ok(payment) = payment.parse() {
        view.payment = settlement::view(caller.ctx(), &actor.permit()?, payment).await?;
    }
    Ok(view)
}

/// Chooses a plan. The charge never exceeds the amount that the user agreed to in the form.
#[server(output = Postcard)]
pub async fn choose_plan(#[server(default)] form: ChooseForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let agreed = form.today.parse().map_err(|_| AppError::Malformed)?;
    let (page, agreed) = (page(&actor), Money::from_cents(agreed));
    match billing::choose(
        caller.ctx(),
        &actor.permit()?,
        form.terms(),
        agreed,
        &page,
        Timestamp::now(),
    )
    .await?
    {
        Chosen::Pay(place) => {
            leptos_axum::redirect(&place);
            Ok(FormSuccess::default())
        }
        Chosen::Done(done) => {
            // The preview is no longer needed.
            leptos_axum::redirect(&page);
            Ok(done)
        }
    }
}

#[server(output = Postcard)]
pub async fn cancel_subscription(workspace: String) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    Ok(billing::cancel(caller.ctx(), &actor.permit()?, Timestamp::now()).await?)
}

#[server(output = Postcard)]
pub async fn resume_subscription(workspace: String) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    Ok(billing::resume(caller.ctx(), &actor.permit()?, Timestamp::now()).await?)
}

#[server(output = Postcard)]
pub async fn load_invoice(workspace: String, number: String) -> Result<InvoiceView, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let number = number.parse().map_err(|_| AppError::NotFound)?;
    Ok(billing::invoice(caller.ctx(), &actor.permit_read()?, number).await?)
}

#[server(output = Postcard)]
pub async fn set_billing_details(
    #[server(default)] form: DetailsForm,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let details = form.parse().map_err(AppError::Invalid)?;
    billing::set_details(caller.ctx(), &actor.permit()?, &details).await?;
    Ok(FormSuccess::with_message("Changes saved"))
}

/// Redirects to the provider's page for changing the saved card.
#[server(output = Postcard)]
pub async fn manage_payment_method(workspace: String) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let place = billing::manage(caller.ctx(), &actor.permit()?, &page(&actor)).await?;
    leptos_axum::redirect(&place);
    Ok(FormSuccess::default())
}
