use domain::payments::{PaymentStatus, PaymentView};
use leptos::prelude::*;

use crate::ui::{Icon, callout};

/// The outcome of the payment that the user returns from.
pub fn outcome(payment: &PaymentView) -> AnyView {
    let (tone, mark) = match payment.status {
        PaymentStatus::Paid => ("info", Icon::CircleCheck),
        PaymentStatus::Declined | PaymentStatus::Expired => ("warning", Icon::CircleX),
        PaymentStatus::Started | PaymentStatus::Open | PaymentStatus::Confirming => {
            ("info", Icon::Clock)
        }
    };
    callout(tone, mark, payment.sentence())
}
