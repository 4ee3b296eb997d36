//! The list of invoices, and the billing details on them.

use domain::Money;
use domain::billing::{BillingView, PaymentRow};
use domain::payments::PaymentStatus;
use domain::subscriptions::Details;
use leptos::prelude::*;
use server_fn::ServerFn;

use super::api::SetBillingDetails;
use crate::ui::{Badge, Card, Data, Empty, Field, Form, Hidden, Icon, Submit, rows, view};

pub fn payments(data: Data<BillingView>, slug: Memo<String>) -> AnyView {
    let none = Memo::new(move |_| data.with(|view| view.payments.is_empty()));
    view! {
        <Card title="Invoices" text="Your invoices and payments, newest first.">
            {move || if none.get() {
                view! { <Empty mark=Icon::CreditCard title="No invoices yet" text="Invoices appear here after each payment."/> }.into_any()
            } else {
                view! {
                    <div class="table-wrap">
                        <table class="table table-stack">
                            <caption class="visually-hidden">"Invoices"</caption>
                            <thead><tr>
                                <th scope="col">"Description"</th><th scope="col">"Amount"</th><th scope="col">"Status"</th>
                                <th scope="col">"Invoice"</th><th scope="col">"Date"</th>
                            </tr></thead>
                            <tbody>{rows(move || data.with(|view| view.payments.clone()), move |row| payment_row(row, slug))}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
    }
    .into_any()
}

fn payment_row(row: PaymentRow, slug: Memo<String>) -> AnyView {
    let (tone, label) = match row.status {
        PaymentStatus::Paid if row.refunded == row.amount => ("neutral", "Refunded"),
        PaymentStatus::Paid if row.disputed.cents() > 0 => ("danger", "Disputed"),
        PaymentStatus::Paid => ("success", "Paid"),
        PaymentStatus::Declined => ("danger", "Declined"),
        _ => ("neutral", "Processing"),
    };
    let invoice = match row.invoice {
        Some((number, text)) => {
            let href = move || format!("/w/{}/settings/billing/invoices/{number}", slug.get());
            view! { <a class="tabular" href=href>{text}</a> }.into_any()
        }
        None => view! { "—" }.into_any(),
    };
    let of = |part: Money, what: &str| {
        (part.cents() > 0 && part < row.amount)
            .then(|| view! { <span class="muted small block">{format!("{part} {what}")}</span> })
    };
    let part = view! { {of(row.refunded, "refunded")}{of(row.disputed, "disputed")} };
    view! {
        <tr>
            <th scope="row" data-label="Description">{row.what}</th>
            <td data-label="Amount" class="tabular">{row.amount.to_string()}</td>
            <td data-label="Status"><Badge tone=tone>{label}</Badge>{part}</td>
            <td data-label="Invoice">{invoice}</td>
            <td data-label="Date">{row.at.date()}</td>
        </tr>
    }
    .into_any()
}

/// The billing details shown on invoices.
pub fn details(data: Data<BillingView>) -> AnyView {
    let workspace = data.with_untracked(|view| view.workspace);
    let stored = |of: fn(&Details) -> &String| {
        Signal::derive(move || data.with(|view| of(&view.details).clone()))
    };
    let company = stored(|details| &details.company);
    let address = stored(|details| &details.address);
    let vat_number = stored(|details| &details.vat_number);
    let email = stored(|details| &details.email);
    view! {
        <Card title="Billing Details" text="Shown on future invoices. Past invoices don't change.">
            <Form action=SetBillingDetails::PATH guard=true>
                <Hidden name="form[workspace]" value=workspace.to_string()/>
                <Field name="company" label="Company name" value=company autocomplete="organization" hint="Leave blank to use the workspace name".to_owned()/>
                <Field name="address" label="Address" value=address autocomplete="street-address"/>
                <Field name="vat_number" label="VAT number" value=vat_number/>
                <Field name="email" label="Billing email" kind="email" value=email autocomplete="email"/>
                <div class="form-actions"><Submit>"Save Changes"</Submit></div>
            </Form>
        </Card>
    }
    .into_any()
}
