use domain::form::FormSuccess;
use domain::payments::{CardForm, CardView, CheckoutView, ChoiceForm};
use leptos::prelude::*;

use crate::rpc::{Postcard, RpcError};

#[cfg(feature = "ssr")]
use {
    crate::session::app_context, domain::AppError, domain::payments::Choice,
    store::payments::simulated, store::settlement::simulated_events,
};

/// Anyone with the link can pay, as with any provider.
#[server(output = Postcard)]
pub async fn load_checkout(checkout: String) -> Result<CheckoutView, RpcError> {
    Ok(simulated::view(app_context()?.db(), &checkout).await?)
}

#[server(output = Postcard)]
pub async fn choose_payment(#[server(default)] form: ChoiceForm) -> Result<FormSuccess, RpcError> {
    let choice: Choice = form
        .choice
        .parse()
        .map_err(|_| AppError::field("choice", "Choose an outcome"))?;
    let back = simulated_events::choose(&app_context()?, &form.checkout, choice).await?;
    leptos_axum::redirect(&back);
    Ok(FormSuccess::with_message(match choice {
        Choice::Pay => "Payment complete",
        Choice::Confirm => "Waiting for your bank",
        Choice::Decline => "Payment declined",
    }))
}

/// Anyone with the link can change the card, as with any provider.
#[server(output = Postcard)]
pub async fn load_card(card: String) -> Result<CardView, RpcError> {
    Ok(simulated::card(app_context()?.db(), &card).await?)
}

#[server(output = Postcard)]
pub async fn choose_card(#[server(default)] form: CardForm) -> Result<FormSuccess, RpcError> {
    let works = match form.works.as_str() {
        "yes" => true,
        "no" => false,
        _ => return Err(AppError::field("works", "Choose a card").into()),
    };
    let back = simulated::set_card(app_context()?.db(), &form.card, works).await?;
    leptos_axum::redirect(&back);
    Ok(FormSuccess::with_message("Payment method updated"))
}
