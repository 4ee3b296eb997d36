use domain::payments::{PaymentStatus, PaymentView};
use leptos::prelude::*;

use crate::ui::{Icon, icon, view};

/// The outcome of the payment that the user returns from.
pub fn outcome(payment: &PaymentView) -> AnyView {
    let (tone, mark) = match payment.status {
        PaymentStatus::Paid => ("info", Icon::CircleCheck),
        PaymentStatus::Declined | PaymentStatus::Expired => ("warning", Icon::CircleX),
        PaymentStatus::Started | PaymentStatus::Open | PaymentStatus::Confirming => {
            ("info", Icon::Clock)
        }
    };
    let text = payment.sentence();
    view! { <div class="callout" data-tone=tone>{icon(mark)}<p>{text}</p></div> }.into_any()
}
