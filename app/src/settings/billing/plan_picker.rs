//! Choosing a plan: the plans side by side, CDR Mode, and the preview of a choice.

use domain::billing::{BillingView, Effect, Preview};
use domain::catalog::Plan;
use domain::subscriptions::{SubscriptionStatus, Terms};
use domain::{Money, WorkspaceId, grouped};
use leptos::prelude::*;
use server_fn::ServerFn;

use super::api::ChoosePlan;
use crate::ui::callout;
use crate::ui::{Badge, CancelDialog, Card, Dialog, Form, Hidden, Icon, Submit, view, was_refused};

/// The preview of a choice, and the button that confirms it.
pub fn preview(view: &BillingView) -> AnyView {
    let Some(preview) = view.preview.clone() else {
        return ().into_any();
    };
    let Preview {
        terms,
        name,
        effect,
        today,
        owed,
        next,
        next_charge,
        next_at,
        days_added,
        beyond,
    } = preview;
    let at = next_at.date();
    let lead = match effect {
        Effect::Begin if days_added > 0 => format!(
            "Your first billing period starts today. We've added the {} left in your trial.",
            if days_added == 1 {
                "1 day".to_owned()
            } else {
                format!("{days_added} days")
            }
        ),
        Effect::Begin => "Your first billing period starts today.".to_owned(),
        Effect::Now => format!(
            "You'll move to {name} now and pay a prorated {today} today. Plan credits are prorated too."
        ),
        Effect::Later => format!(
            "You'll keep your current plan until {at}, then move to {name}. You can cancel this change any time before."
        ),
        Effect::Keep => format!("You'll stay on {name}. The scheduled change will be cancelled."),
    };
    let owed = (owed.cents() > 0).then(|| {
        view! { <span class="muted small block">{format!("Includes {owed} previously owed")}</span> }
    });
    let after = if next_charge == next {
        format!("on {at}, then every month")
    } else {
        format!("on {at}, then {next} per month")
    };
    let ending = view.cancelled && effect != Effect::Keep;
    let label = match effect {
        Effect::Begin => format!("Pay {today}"),
        Effect::Now if today.cents() > 0 => format!("Upgrade and Pay {today}"),
        Effect::Now => "Change Now".to_owned(),
        Effect::Later => "Schedule Downgrade".to_owned(),
        Effect::Keep => format!("Keep {name}"),
    };
    view! {
        <section class="card" id="preview" aria-labelledby="preview-title">
            <div class="card-header">
                <h2 class="card-title" id="preview-title">{format!("Choose {name}")}</h2>
                <p class="card-text">{lead}</p>
            </div>
            <dl class="facts">
                <dt>"Due today"</dt><dd><strong class="tabular" data-testid="today">{today.to_string()}</strong>{owed}</dd>
                <dt>"Next charge"</dt>
                <dd><strong class="tabular">{next_charge.to_string()}</strong><span class="muted small block">{after}</span></dd>
            </dl>
            {ending.then(|| callout("info", Icon::Info, "This also resumes your cancelled subscription.".to_owned()))}
            {beyond.map(|beyond| callout("warning", Icon::Warning, beyond.sentence()))}
            <div class="form-actions">
                {choice("preview", view.workspace, terms, today, label)}
                <a class="button" href="?">"Cancel"</a>
            </div>
        </section>
    }
    .into_any()
}

pub fn plans(view: &BillingView) -> AnyView {
    let all = &view.plans;
    let cdr = &view.cdr_mode;
    let now = view
        .terms
        .as_ref()
        .filter(|_| view.status != SubscriptionStatus::Frozen);
    let fact = |label: &'static str, of: &dyn Fn(&Plan) -> String| {
        let cells = all
            .iter()
            .map(|plan| view! { <td class="tabular">{of(plan)}</td> })
            .collect_view();
        view! { <tr><th scope="row">{label}</th>{cells}</tr> }
    };
    let heads = all
        .iter()
        .map(|plan| view! { <th scope="col">{plan.name.clone()}</th> })
        .collect_view();
    let planned = view.cancelled || view.next.is_some();
    let choices = all
        .iter()
        .map(|plan| {
            let is_now = view.is_active() && now.is_some_and(|now| now.plan == plan.id);
            let next = view
                .next
                .as_ref()
                .is_some_and(|next| next.terms.plan == plan.id);
            let next = next && !is_now && !view.cancelled;
            let mark = match (is_now, next) {
                (true, _) => Some(view! { <Badge tone="success">"Current"</Badge> }),
                (_, true) => {
                    let starts = format!("Starts {}", view.ends_at.date());
                    Some(view! { <Badge tone="info">{starts}</Badge> })
                }
                _ => None,
            };
            // Choosing the current plan cancels a scheduled change; without one there is nothing to choose.
            let nothing = is_now && !planned || next;
            let cdr_mode = plan.cdr_mode && now.is_some_and(|now| now.cdr_mode);
            let button = ask(
                plan.id.clone(),
                cdr_mode,
                format!("Choose {}", plan.name),
                nothing,
            );
            view! { <td><div class="plan-choice">{button}{mark}</div></td> }
        })
        .collect_view();
    let facts = view! {
        {fact("Price per month", &|plan| plan.price.to_string())}
        {fact("Seats", &|plan| plan.seats.to_string())}
        {fact("Credits per month", &|plan| grouped(plan.credits.into()))}
        {fact("LinkedIn accounts", &|plan| match plan.linkedin_accounts {
            1 => "1".to_owned(),
            n => format!("Up to {n}"),
        })}
    };
    let option = all
        .iter()
        .map(|plan| {
            let text = if plan.cdr_mode {
                format!("+{} per month", cdr.price)
            } else {
                "—".to_owned()
            };
            view! { <td class="tabular">{text}</td> }
        })
        .collect_view();
    let name = cdr.name.clone();
    view! {
        <Card title="Plans" text="Upgrades take effect immediately. Downgrades take effect at the end of the billing period.">
            <div class="table-wrap">
                <table class="table plan-table">
                    <caption class="visually-hidden">"Plans"</caption>
                    <thead><tr><td><span class="visually-hidden">"Features"</span></td>{heads}</tr></thead>
                    <tbody>
                        {facts}
                        <tr><th scope="row">{name}</th>{option}</tr>
                        <tr><td><span class="visually-hidden">"Choose"</span></td>{choices}</tr>
                    </tbody>
                </table>
            </div>
        </Card>
    }
    .into_any()
}

/// The dialog that confirms turning CDR Mode on or off.
const CDR: &str = "cdr-dialog";

/// CDR Mode: its state and price. It costs money, so its switch asks for confirmation.
pub fn cdr_mode(view: &BillingView) -> AnyView {
    let cdr = &view.cdr_mode;
    let (name, workspace) = (cdr.name.clone(), view.workspace);
    let on = view.is_active() && view.terms.as_ref().is_some_and(|terms| terms.cdr_mode);
    let ends = on && view.next.as_ref().is_some_and(|next| !next.terms.cdr_mode);
    let offered: Vec<&str> = view
        .plans
        .iter()
        .filter(|plan| plan.cdr_mode)
        .map(|plan| plan.name.as_str())
        .collect();
    let text = format!(
        "Add-on, {} per month. Available on {}.",
        cdr.price,
        offered.join(" and ")
    );
    let said = match view.status {
        SubscriptionStatus::Active if ends => {
            format!("On until {}", view.ends_at.date())
        }
        SubscriptionStatus::Active if on => "On".to_owned(),
        SubscriptionStatus::Active if view.cdr_preview.is_some() => "Off".to_owned(),
        SubscriptionStatus::Active => "Not available on this plan".to_owned(),
        SubscriptionStatus::Trial => {
            "Included in your trial. Add it when you choose a plan.".to_owned()
        }
        SubscriptionStatus::PastDue | SubscriptionStatus::Frozen => {
            "Add it when you choose a plan".to_owned()
        }
    };
    let dialog = match &view.cdr_preview {
        Some(preview) if !ends => Some(flip(workspace, &name, preview, on)),
        Some(_) => view
            .terms
            .clone()
            .map(|terms| keep_on(workspace, &name, terms)),
        None => with_plan(view),
    };
    let disabled = dialog.is_none();
    let label = name.clone();
    view! {
        <section class="card" aria-labelledby="cdr-mode">
            <div class="card-header">
                <h2 class="card-title" id="cdr-mode">{name}</h2>
                <p class="card-text" id="cdr-price">{text}</p>
            </div>
            <p class="cdr-state">
                <button type="button" class="switch" role="switch" aria-checked=on.to_string() aria-label=label
                    aria-describedby="cdr-price" aria-haspopup="dialog" commandfor=CDR command="show-modal" popovertarget=CDR disabled=disabled></button>
                <span>{said}</span>
            </p>
            {dialog}
        </section>
    }
    .into_any()
}

/// The confirmation of turning CDR Mode on or off, with the price.
fn flip(workspace: WorkspaceId, name: &str, preview: &Preview, on: bool) -> AnyView {
    let (today, at) = (preview.today, preview.next_at.date());
    let (title, text, label) = if on {
        let text = format!(
            "{name} stays on until {at}. After that you'll pay {} per month.",
            preview.next
        );
        (
            format!("Turn off {name}?"),
            text,
            format!("Turn Off {name}"),
        )
    } else {
        let text = format!(
            "You'll pay {today} today (prorated), then {} per month from {at}.",
            preview.next
        );
        (
            format!("Turn on {name}?"),
            text,
            format!("Turn On and Pay {today}"),
        )
    };
    let terms = preview.terms.clone();
    view! {
        <Dialog id=CDR title open=was_refused(ChoosePlan::PATH, "cdr")>
            <p class="dialog-text">{text}</p>
            <div class="dialog-actions"><CancelDialog/>{choice("cdr", workspace, terms, today, label)}</div>
        </Dialog>
    }
    .into_any()
}

/// Cancels a scheduled switch-off.
fn keep_on(workspace: WorkspaceId, name: &str, terms: Terms) -> AnyView {
    let (title, label) = (format!("Keep {name} on?"), format!("Keep {name}"));
    let text = format!("{name} will stay on. No charge today.");
    view! {
        <Dialog id=CDR title open=was_refused(ChoosePlan::PATH, "cdr")>
            <p class="dialog-text">{text}</p>
            <div class="dialog-actions"><CancelDialog/>{choice("cdr", workspace, terms, Money::from_cents(0), label)}</div>
        </Dialog>
    }
    .into_any()
}

/// The form that confirms a choice, at no more than `today`.
fn choice(
    key: &'static str,
    workspace: WorkspaceId,
    terms: Terms,
    today: Money,
    label: String,
) -> AnyView {
    view! {
        <Form action=ChoosePlan::PATH key=key class="inline-form" reload=true>
            <Hidden name="form[workspace]" value=workspace.to_string()/>
            <Hidden name="form[plan]" value=terms.plan/>
            <Hidden name="form[cdr_mode]" value=terms.cdr_mode.to_string()/>
            <Hidden name="form[today]" value=today.cents().to_string()/>
            <Submit>{label}</Submit>
        </Form>
    }
    .into_any()
}

/// The cheapest plan that offers CDR Mode, if there is no subscription.
fn with_plan(view: &BillingView) -> Option<AnyView> {
    if view.is_active() {
        return None;
    }
    let plan = view.plans.iter().find(|plan| plan.cdr_mode)?;
    let (id, name) = (plan.id.clone(), view.cdr_mode.name.clone());
    let (title, label) = (
        format!("Choose a plan with {name}"),
        format!("Choose {} with {name}", plan.name),
    );
    Some(
        view! {
            <Dialog id=CDR title>
                <p class="dialog-text">"You'll review the price before paying."</p>
                <div class="dialog-actions"><CancelDialog/>{ask(id, true, label, false)}</div>
            </Dialog>
        }
        .into_any(),
    )
}

/// The button that opens the preview of a choice.
fn ask(plan: String, cdr_mode: bool, label: String, disabled: bool) -> AnyView {
    let cdr = cdr_mode.then(|| view! { <input type="hidden" name="cdr" value="1"/> });
    view! {
        <form method="get" class="inline-form">
            <input type="hidden" name="plan" value=plan/>
            {cdr}
            <button class="button" disabled=disabled>{label}</button>
        </form>
    }
    .into_any()
}
