//! A printable invoice.

use domain::Money;
use domain::billing::InvoiceView;
use leptos::prelude::*;
use leptos_meta::Title;

use super::api::LoadInvoice;
use crate::ui::{Data, PageHeader, guarded, last_part, use_slug, view};

#[component]
pub fn InvoicePage() -> impl IntoView {
    let slug = use_slug();
    let number = last_part();
    view! {
        <Title text="Invoice"/>
        {guarded(
            move || LoadInvoice { workspace: slug.get(), number: number.clone() },
            &[],
            move |data: Data<InvoiceView>| shown(data.get_untracked(), slug),
        )}
    }
}

/// Shows the texts that are not empty, one per line.
fn lines(of: impl IntoIterator<Item = String>) -> AnyView {
    of.into_iter()
        .filter(|line| !line.is_empty())
        .map(|line| view! { <span class="block">{line}</span> })
        .collect_view()
        .into_any()
}

fn shown(invoice: InvoiceView, slug: Memo<String>) -> impl IntoView {
    let InvoiceView {
        number,
        what,
        amount,
        seller,
        buyer,
        issued_at,
        refunded,
        disputed,
    } = invoice;
    let labelled = |label: &str, text: String| {
        if text.is_empty() {
            text
        } else {
            format!("{label} {text}")
        }
    };
    let from = lines([
        seller.name,
        seller.address,
        labelled("VAT", seller.vat_number),
        seller.email,
    ]);
    let to = lines([
        buyer.company,
        buyer.address,
        labelled("VAT", buyer.vat_number),
        buyer.email,
    ]);
    let amount = amount.to_string();
    let total = amount.clone();
    let since = |label: &'static str, part: Money| {
        (part.cents() > 0).then(|| {
            view! { <tr><th scope="row">{label}</th><td class="tabular">{part.to_string()}</td></tr> }
        })
    };
    let since = view! { {since("Refunded", refunded)}{since("Disputed", disputed)} };
    let name = format!("Invoice {number}");
    view! {
        <PageHeader title="Invoice" lead="To print or save this invoice as a PDF, use your browser's Print command.">
            <a class="button" href=move || format!("/w/{}/settings/billing", slug.get())>"All Invoices"</a>
        </PageHeader>
        <article class="card invoice" aria-label=name>
            <dl class="facts">
                <dt>"Number"</dt><dd class="tabular">{number}</dd>
                <dt>"Date"</dt><dd>{issued_at.date()}</dd>
                <dt>"From"</dt><dd>{from}</dd>
                <dt>"To"</dt><dd>{to}</dd>
            </dl>
            <table class="table">
                <caption class="visually-hidden">"Line items"</caption>
                <thead><tr><th scope="col">"Description"</th><th scope="col">"Amount"</th></tr></thead>
                <tbody><tr><th scope="row">{what}</th><td class="tabular">{amount}</td></tr></tbody>
                <tfoot><tr><th scope="row">"Total paid"</th><td class="tabular"><strong>{total}</strong></td></tr>{since}</tfoot>
            </table>
        </article>
    }
}
