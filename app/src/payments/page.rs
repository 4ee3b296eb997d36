use domain::payments::{CardView, CheckoutStatus, CheckoutView, Choice};
use leptos::prelude::*;
use server_fn::ServerFn;

use super::api::{ChooseCard, ChoosePayment, LoadCard, LoadCheckout};
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
                {choose(Choice::Confirm, "button button-wide", "Succeed after Bank Confirmation")}
                {choose(Choice::Decline, "button button-wide", "Decline")}
            </Form>
            <p class="auth-foot"><a href=return_path rel="external">"Cancel and return"</a></p>
        }
        .into_any()
    } else {
        let said = match status {
            CheckoutStatus::Confirming => "Your bank is confirming this payment.",
            CheckoutStatus::Paid => "Payment complete.",
            CheckoutStatus::Declined => "This payment was declined. You weren't charged.",
            CheckoutStatus::Open | CheckoutStatus::Expired => {
                "This payment session expired. You weren't charged."
            }
        };
        view! {
            <p>{said}</p>
            <p><a class="button button-primary button-wide" href=return_path rel="external">"Go Back"</a></p>
        }
        .into_any()
    };
    view! {
        <AuthLayout title="Payment">
            <p class="lead"><strong class="tabular">{amount.to_string()}</strong>" for "<strong>{description}</strong></p>
            <p class="muted">"Test mode: no real money is charged. Choose an outcome."</p>
            {step}
        </AuthLayout>
    }
}

/// The simulated provider's page for the card on file.
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
        Some(true) => "Current card: works.",
        Some(false) => "Current card: gets declined.",
        None => "No card on file.",
    };
    view! {
        <AuthLayout title="Payment Method">
            <p class="lead">{now}</p>
            <p class="muted">"Test mode: no real money is charged. Choose a card for future payments."</p>
            <Form action=ChooseCard::PATH reload=true>
                <Hidden name="form[card]" value=token/>
                <button type="submit" class="button button-primary button-wide" name="form[works]" value="yes">"Use a Card That Works"</button>
                <button type="submit" class="button button-wide" name="form[works]" value="no">"Use a Card That Gets Declined"</button>
            </Form>
            <p class="auth-foot"><a href=return_path rel="external">"Cancel"</a></p>
        </AuthLayout>
    }
}
