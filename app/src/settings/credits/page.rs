use domain::credits::{CreditsView, EntryKind, EntryRow, Lasts, TopUpView};
use domain::{Topic, grouped};
use leptos::prelude::*;
use leptos_meta::Title;
use server_fn::ServerFn;

use super::api::{BuyCredits, LoadCredits, SetLowBalanceThreshold, SetTopUp};
use super::chart::chart;
use crate::payments::notice::outcome;
use crate::ui::{
    Badge, Card, Data, Empty, Field, Form, Hidden, Icon, PageHeader, Select, Submit, Time, guarded,
    icon, rows, use_asked, use_slug, use_stale_sign_in, view,
};

#[component]
pub fn CreditsPage() -> impl IntoView {
    let (slug, kind, before) = (use_slug(), use_asked("kind"), use_asked("before"));
    let payment = use_asked("payment");
    view! {
        <Title text="Credits"/>
        <PageHeader title="Credits" lead="Track and buy credits for AI features."/>
        {guarded(
            move || LoadCredits {
                workspace: slug.get(), kind: kind.get(), before: before.get(), payment: payment.get(),
            },
            &[Topic::Credits],
            move |data| credits(data, slug, kind),
        )}
    }
}

fn credits(data: Data<CreditsView>, slug: Memo<String>, kind: Memo<String>) -> impl IntoView {
    let paid = move || data.with(|view| view.payment.as_ref().map(outcome));
    view! {
        {paid}
        {balance(data)}
        {packages(data)}
        {costs(data)}
        {warning(data)}
        {top_up(data)}
        <Card title="Usage" text="Credits used per day (UTC).">
            {move || data.with(|view| chart(&view.days))}
        </Card>
        {ledger(data, slug, kind)}
    }
}

fn balance(data: Data<CreditsView>) -> AnyView {
    let plan = move || {
        data.with(|view| {
            let renewed = view.renews_at.map(|at| {
                let verb = if view.renews { "Renews " } else { "Expires " };
                view! { <span class="muted small block">{verb}{at.date()}" ("<Time at ahead=true/>")"</span> }
            });
            view! { <strong class="tabular">{grouped(view.plan)}</strong>{renewed} }
        })
    };
    let lasts = move || {
        data.with(|view| match view.lasts {
            Some(Lasts::Until(at)) => Some(format!("lasts until about {}", at.date())),
            Some(Lasts::MoreThanAYear) => Some("lasts for more than a year".to_owned()),
            None => None,
        })
        .map(|lasts| view! { <p class="muted">"At your recent pace, this "{lasts}"."</p> })
    };
    let buys = move || {
        data.with(|view| view.buys.clone())
            .into_iter()
            .enumerate()
            .map(|(index, text)| {
                let lead = if index == 0 { "Enough for about" } else { "or" };
                view! { <li class="tabular">{format!("{lead} {text}")}</li> }
            })
            .collect_view()
    };
    view! {
        <Card title="Balance">
            <p class="credit-balance">
                <strong class="tabular" data-testid="credit-balance">{move || data.with(|view| grouped(view.balance()))}</strong>
                " credits"
            </p>
            <ul class="credit-buys" aria-label="What the balance covers">{buys}</ul>
            {lasts}
            <dl class="facts">
                <dt>"Plan credits"</dt><dd>{plan}</dd>
                <dt>"Purchased credits"</dt>
                <dd>
                    <strong class="tabular">{move || data.with(|view| grouped(view.purchased))}</strong>
                    <span class="muted small block">"Never expires. Used after plan credits."</span>
                </dd>
            </dl>
        </Card>
    }
    .into_any()
}

fn packages(data: Data<CreditsView>) -> AnyView {
    let (workspace, may_buy) = data.with_untracked(|view| (view.workspace, view.may_buy));
    // A refused purchase shows its error in its row, so the row stays when the balance changes.
    let sold = Memo::new(move |_| data.with(|view| view.packages.clone()));
    let rows = move || {
        sold.get()
            .into_iter()
            .map(|(package, discount)| {
                let discount = discount.map_or("—".to_owned(), |percent| format!("{percent}%"));
                let name = format!("package-{}", package.credits);
                let described_by = name.clone();
                let buy = may_buy.then(move || {
                    view! {
                        <td class="actions">
                            <Form action=BuyCredits::PATH key=package.credits.to_string() class="inline-form" reload=true>
                                <Hidden name="form[workspace]" value=workspace.to_string()/>
                                <Hidden name="form[credits]" value=package.credits.to_string()/>
                                <button type="submit" class="button" aria-describedby=described_by>"Buy"</button>
                            </Form>
                        </td>
                    }
                });
                view! {
                    <tr>
                        <th scope="row" id=name>{grouped(package.credits.into())}" credits"</th>
                        <td class="tabular">{package.price.to_string()}</td>
                        <td class="tabular">{discount}</td>
                        {buy}
                    </tr>
                }
            })
            .collect_view()
    };
    view! {
        <Card title="Credit packages" text="One-time purchase, no expiry.">
            <div class="table-wrap">
                <table class="table">
                    <caption class="visually-hidden">"Credit packages"</caption>
                    <thead><tr>
                        <th scope="col">"Package"</th><th scope="col">"Price"</th><th scope="col">"Discount"</th>
                        {may_buy.then(|| view! { <td><span class="visually-hidden">"Buy"</span></td> })}
                    </tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            {(!may_buy).then(|| view! { <p class="muted">"Ask an owner or admin to buy more credits."</p> })}
        </Card>
    }
    .into_any()
}

fn warning(data: Data<CreditsView>) -> AnyView {
    let (workspace, may_change) = data.with_untracked(|view| (view.workspace, view.may_buy));
    let mark = Signal::derive(move || {
        data.with(|view| view.low_balance_threshold)
            .map(|mark| mark.to_string())
            .unwrap_or_default()
    });
    let usual = Signal::derive(move || {
        let usual = grouped(data.with(|view| view.default_low_balance_threshold));
        format!(
            "Leave blank for 10% of your plan credits (currently {usual}). Enter 0 to turn off."
        )
    });
    let inside = if may_change {
        view! {
            <Form action=SetLowBalanceThreshold::PATH guard=true>
                <Hidden name="form[workspace]" value=workspace.to_string()/>
                <Field name="low_balance_threshold" label="Alert threshold" value=mark hint=usual/>
                <div class="form-actions"><Submit class="button">"Save Changes"</Submit></div>
            </Form>
        }
        .into_any()
    } else {
        let now = move || {
            data.with(|view| {
                match view
                    .low_balance_threshold
                    .unwrap_or(view.default_low_balance_threshold)
                {
                    0 => "Alerts are off.".to_owned(),
                    mark => format!("Alert at {} credits.", grouped(mark)),
                }
            })
        };
        view! { <p>{now}</p> }.into_any()
    };
    view! {
        <Card title="Low-Balance Alert" text="Notify everyone who can see credits when the balance drops below this amount.">
            {inside}
        </Card>
    }
    .into_any()
}

/// Automatic purchases.
fn top_up(data: Data<CreditsView>) -> AnyView {
    let (workspace, may_change) = data.with_untracked(|view| (view.workspace, view.may_buy));
    if !may_change {
        return ().into_any();
    }
    let state = move || {
        data.with(|view| {
            top_up_state(
                &view.top_up,
                view.low_balance_threshold,
                view.default_low_balance_threshold,
            )
        })
    };
    // Redrawn only when it appears or disappears, so typed text stays when the page reloads.
    let shown =
        Memo::new(move |_| data.with(|view| view.top_up.possible || view.top_up.now.is_some()));
    let limit = Signal::derive(move || {
        let now = data.with(|view| view.top_up.now);
        now.map(|now| (now.limit.cents() / 100).to_string())
            .unwrap_or_default()
    });
    let form = move || {
        if !shown.get() {
            return ().into_any();
        }
        let packages = data.with_untracked(|view| view.packages.clone());
        let mut options = vec![(String::new(), "Off".to_owned())];
        options.extend(packages.into_iter().map(|(package, _)| {
            let text = format!(
                "{} credits for {}",
                grouped(package.credits.into()),
                package.price
            );
            (package.credits.to_string(), text)
        }));
        let selected = Signal::derive(move || {
            let now = data.with(|view| view.top_up.now);
            now.map(|now| now.credits.to_string()).unwrap_or_default()
        });
        view! {
            <Form action=SetTopUp::PATH key="top-up" guard=true>
                <Hidden name="form[workspace]" value=workspace.to_string()/>
                <Select name="package" label="Package" options=options selected=selected/>
                <Field name="limit" label="Monthly limit ($)" value=limit hint="Resets on the 1st of each month (UTC)"/>
                <div class="form-actions"><Submit class="button">"Save Changes"</Submit></div>
            </Form>
        }
        .into_any()
    };
    view! {
        <Card title="Auto Top-Up" text="Automatically buy a package when the balance drops below the alert threshold. We'll charge your card on file.">
            {state}
            {form}
        </Card>
    }
    .into_any()
}

/// The current state, in one or two sentences.
fn top_up_state(view: &TopUpView, low_balance_threshold: Option<i64>, usual: i64) -> AnyView {
    let Some(now) = view.now else {
        let text = if view.possible {
            "Auto top-up is off."
        } else {
            "Auto top-up needs a card on file. Choose a plan in Billing first."
        };
        return view! { <p>{text}</p> }.into_any();
    };
    let mark = low_balance_threshold
        .filter(|mark| *mark > 0)
        .unwrap_or(usual);
    let text = format!(
        "Buys {} credits when the balance drops below {}. {} of {} used this month.",
        grouped(now.credits.into()),
        grouped(mark),
        view.charged,
        now.limit
    );
    let trouble = if view.paused {
        Some(
            "Paused: the last charge was declined or disputed. Update your payment method in Billing, then save again.",
        )
    } else if !view.possible {
        Some("Paused: auto top-up needs a card on file. Choose a plan in Billing.")
    } else {
        None
    };
    let trouble = trouble.map(|text| {
        view! { <div class="callout" data-tone="warning">{icon(Icon::Warning)}<p>{text}</p></div> }
    });
    let under_way = view
        .under_way
        .then(|| view! { <p class="muted">"Top-up in progress…"</p> });
    view! { <p>{text}</p>{under_way}{trouble} }.into_any()
}

fn costs(data: Data<CreditsView>) -> AnyView {
    let rows = move || {
        data.with(|view| view.features.clone())
            .into_iter()
            .map(|feature| {
                view! { <tr><th scope="row">{feature.name}</th><td class="tabular">{feature.credits}</td></tr> }
            })
            .collect_view()
    };
    view! {
        <Card title="Credit cost by feature" text="Credits used each time.">
            <div class="table-wrap">
                <table class="table">
                    <caption class="visually-hidden">"Credit cost by feature"</caption>
                    <thead><tr><th scope="col">"Feature"</th><th scope="col">"Credits"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </Card>
    }
    .into_any()
}

/// The kinds that filter the credit history, in the order of the tabs.
const KINDS: [EntryKind; 7] = [
    EntryKind::Spend,
    EntryKind::Purchase,
    EntryKind::Grant,
    EntryKind::Refund,
    EntryKind::Expiry,
    EntryKind::Hold,
    EntryKind::Release,
];

fn ledger(data: Data<CreditsView>, slug: Memo<String>, kind: Memo<String>) -> AnyView {
    let none = Memo::new(move |_| data.with(|view| view.entries.is_empty()));
    let tab = move |value: &'static str, label: &'static str| {
        let current = move || {
            data.with(|view| view.kind.map_or("", EntryKind::as_str) == value)
                .then_some("page")
        };
        let href = if value.is_empty() {
            "?".to_owned()
        } else {
            format!("?kind={value}")
        };
        view! { <a class="tab" href=href aria-current=current>{label}</a> }
    };
    let stale = use_stale_sign_in();
    let older = move |next: String| match kind.get() {
        kind if kind.is_empty() => format!("?before={next}"),
        kind => format!("?kind={kind}&before={next}"),
    };
    view! {
        <Card title="Credit History" text="Every change to your balance, newest first.">
            <div class="filters">
                <nav class="tabs" aria-label="Credit history by type">
                    {tab("", "All")}
                    {KINDS.map(|kind| tab(kind.as_str(), kind.label())).collect_view()}
                </nav>
                <a class="button" href=move || format!("/w/{}/credits.csv", slug.get()) download=move || (!stale.get()).then_some("") rel="external">
                    {icon(Icon::Download)}"Export CSV"
                </a>
            </div>
            {move || if none.get() {
                view! { <Empty mark=Icon::Coins title="No credit activity yet" text="Activity appears here as credits are added and used."/> }.into_any()
            } else {
                view! {
                    <div class="table-wrap">
                        <table class="table table-stack">
                            <caption class="visually-hidden">"Credit history"</caption>
                            <thead><tr>
                                <th scope="col">"Activity"</th><th scope="col">"Credits"</th><th scope="col">"Balance"</th>
                                <th scope="col">"By"</th><th scope="col">"Date"</th>
                            </tr></thead>
                            <tbody>{rows(move || data.with(|view| view.entries.clone()), entry_row)}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
            {move || data.with(|view| view.next).map(|next| view! {
                <p class="pager"><a class="button" href=move || older(next.to_string())>"Next"</a></p>
            })}
        </Card>
    }
    .into_any()
}

fn entry_row(row: EntryRow) -> AnyView {
    let tone = match row.kind {
        EntryKind::Spend | EntryKind::Hold => "neutral",
        EntryKind::Expiry => "danger",
        EntryKind::Grant | EntryKind::Purchase | EntryKind::Refund | EntryKind::Release => {
            "success"
        }
    };
    let plus = if row.amount > 0 { "+" } else { "" };
    view! {
        <tr>
            <th scope="row" data-label="Activity">
                <Badge tone=tone>{row.kind.label()}</Badge>" "{row.what}
                {row.reference.map(|text| view! { <span class="muted small block">{text}</span> })}
            </th>
            <td data-label="Credits" class="tabular">{plus}{grouped(row.amount)}</td>
            <td data-label="Balance" class="tabular">{grouped(row.balance)}</td>
            <td data-label="By">{row.who}</td>
            <td data-label="Date"><Time at=row.at/></td>
        </tr>
    }
    .into_any()
}
