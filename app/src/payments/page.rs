use leptos::prelude::*;
use server_fn::ServerFn;

use super::api::{ChooseCard, ChoosePayment, LoadCard, LoadCheckout};
use super::model::{CardView, CheckoutStatus, CheckoutView, Choice};
use crate::ui::{AuthLayout, Data, Form, Hidden, guarded, last_part, view};

/// The simulated provider's page.
#[component]
pub fn CheckoutPage() -> impl IntoView {
    let checkout = StoredValue::new(last_part());
    guarded(
        move || LoadCheckout {
            checkout: checkout.get_value(),
        },
        &[],
        |data: Data<CheckoutView>| checkout_page(data.get_untracked()),
    )
}

fn checkout_page(checkout: CheckoutView) -> impl IntoView {
    let CheckoutView {
        id,
        amount,
        description,
        status,
        return_path,
    } = checkout;
    let choose = |choice: Choice, class: &'static str, label: &'static str| {
        view! { <button type="submit" class=class name="form[choice]" value=choice.as_str()>{label}</button> }
    };
    let step = if status == CheckoutStatus::Open {
        view! {
            <Form action=ChoosePayment::PATH reload=true>
                <Hidden name="form[checkout]" value=id/>
                {choose(Choice::Pay, "button button-primary button-wide", "Pay")}
                {choose(Choice::Confirm, "button button-wide", "Pay, and let the bank confirm")}
                {choose(Choice::Decline, "button button-wide", "Decline")}
            </Form>
            <p class="auth-foot"><a href=return_path rel="external">"Go back without paying"</a></p>
        }
        .into_any()
    } else {
        let said = match status {
            CheckoutStatus::Confirming => "The bank is confirming this payment.",
            CheckoutStatus::Paid => "This payment is made.",
            CheckoutStatus::Declined => "This payment was declined. Nothing was charged.",
            CheckoutStatus::Open | CheckoutStatus::Expired => {
                "This payment was not made in time. Nothing was charged."
            }
        };
        view! {
            <p>{said}</p>
            <p><a class="button button-primary button-wide" href=return_path rel="external">"Go back"</a></p>
        }
        .into_any()
    };
    view! {
        <AuthLayout title="Payment">
            <p class="lead"><strong class="tabular">{amount.to_string()}</strong>" for "<strong>{description}</strong></p>
            <p class="muted">"Payments are simulated here: no money moves. Choose what is to become of this one."</p>
            {step}
        </AuthLayout>
    }
}

/// The simulated provider's page of a kept card.
#[component]
pub fn CardPage() -> impl IntoView {
    let card = StoredValue::new(last_part());
    guarded(
        move || LoadCard {
            card: card.get_value(),
        },
        &[],
        |data: Data<CardView>| card_page(data.get_untracked()),
    )
}

fn card_page(card: CardView) -> impl IntoView {
    let CardView {
        token,
        works,
        return_path,
    } = card;
    let now = match works {
        Some(true) => "The card that is kept can be charged.",
        Some(false) => "The card that is kept will be declined.",
        None => "No card is kept yet.",
    };
    view! {
        <AuthLayout title="Payment method">
            <p class="lead">{now}</p>
            <p class="muted">"Payments are simulated here: no money moves. Choose which card is charged from now on."</p>
            <Form action=ChooseCard::PATH reload=true>
                <Hidden name="form[card]" value=token/>
                <button type="submit" class="button button-primary button-wide" name="form[works]" value="yes">"A card that can be charged"</button>
                <button type="submit" class="button button-wide" name="form[works]" value="no">"A card that is declined"</button>
            </Form>
            <p class="auth-foot"><a href=return_path rel="external">"Go back without changing it"</a></p>
        </AuthLayout>
    }
}
