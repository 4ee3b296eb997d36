use leptos::prelude::*;
use leptos_meta::Title;
use server_fn::ServerFn;

use super::api::{CancelSubscription, LoadBilling, ManagePaymentMethod, ResumeSubscription};
use super::list::{details, payments};
use super::model::BillingView;
use super::plan_picker::{cdr_mode, plans, preview};
use crate::billing::model::{SubscriptionStatus, charge_for};
use crate::domain::WorkspaceId;
use crate::live::Topic;
use crate::payments::notice::outcome;
use crate::ui::{
    Badge, CancelDialog, Card, Data, Dialog, Form, Hidden, Icon, OpenDialog, PageHeader, Submit,
    Time, guarded, icon, use_asked, use_slug, view, was_refused,
};

#[component]
pub fn BillingPage() -> impl IntoView {
    let (slug, plan, cdr) = (use_slug(), use_asked("plan"), use_asked("cdr"));
    let payment = use_asked("payment");
    view! {
        <Title text="Billing"/>
        <PageHeader title="Billing" lead="The plan, what it costs, and when."/>
        {guarded(
            move || LoadBilling {
                workspace: slug.get(), plan: plan.get(), cdr: cdr.get(), payment: payment.get(),
            },
            &[Topic::Billing, Topic::Members],
            move |data| billing(data, slug),
        )}
    }
}

fn billing(data: Data<BillingView>, slug: Memo<String>) -> impl IntoView {
    // What dialogs are about: one that is open stays so, whatever else changes.
    let ending = Memo::new(move |_| data.with(Ending::of));
    let subscribed = Memo::new(move |_| data.with(subscription));
    view! {
        {move || data.with(notice)}
        {move || data.with(preview)}
        {move || data.with(current)}
        {move || ending.get().map(cancel)}
        {move || data.with(plans)}
        {move || subscribed.with(cdr_mode)}
        {payments(data, slug)}
        {details(data)}
    }
}

pub fn callout(tone: &'static str, mark: Icon, text: String) -> AnyView {
    view! { <div class="callout" data-tone=tone>{icon(mark)}<p>{text}</p></div> }.into_any()
}

/// What became of the payment from which one comes back, and why a choice is none.
fn notice(view: &BillingView) -> AnyView {
    let paid = view.payment.as_ref().map(outcome);
    let refused = view.refusal.clone();
    let refused = refused.map(|text| callout("warning", Icon::Warning, text));
    view! { {paid}{refused} }.into_any()
}

fn status(view: &BillingView) -> (&'static str, &'static str) {
    match view.status {
        SubscriptionStatus::Trial => ("info", "Trial"),
        SubscriptionStatus::Active if view.cancelled => ("warning", "Cancelled"),
        SubscriptionStatus::Active => ("success", "Active"),
        SubscriptionStatus::PastDue => ("danger", "Past due"),
        SubscriptionStatus::Frozen => ("danger", "Frozen"),
    }
}

/// What happens next with the subscription, in a sentence or two.
fn outlook(view: &BillingView) -> AnyView {
    let at = view.ends_at;
    let cost = view.cost.map(|cost| charge_for(cost, view.balance).0);
    let cost = cost.map(|cost| cost.to_string()).unwrap_or_default();
    let text = match view.status {
        SubscriptionStatus::Trial => format!(
            "Everything can be used until {}. Then the workspace is frozen until a plan is paid: all can be read, and \
             nothing is lost.",
            at.exact()
        ),
        SubscriptionStatus::Frozen if view.terms.is_none() => {
            "The trial is over. All can be read, and nothing is lost; to change anything, choose a plan.".to_owned()
        }
        SubscriptionStatus::Frozen => {
            "The subscription has ended. All can be read, and nothing is lost; to change anything, choose a plan.".to_owned()
        }
        SubscriptionStatus::PastDue => {
            let again = view.retry_at.map_or_else(
                || "It is being tried again now.".to_owned(),
                |at| format!("It is tried again on {}.", at.date()),
            );
            format!("The last charge of {cost} was declined. {again} Change the payment method before, or choose a plan to pay at once.")
        }
        SubscriptionStatus::Active if view.cancelled => format!(
            "Cancelled. Everything works until {}; then the workspace is frozen, and nothing is lost.",
            at.date()
        ),
        SubscriptionStatus::Active => match &view.next {
            Some(next) => format!("On {} the plan becomes {}, for {} a month.", at.date(), next.name, next.cost),
            None => return ().into_any(),
        },
    };
    view! { <p>{text}</p> }.into_any()
}

fn current(view: &BillingView) -> AnyView {
    let (tone, label) = status(view);
    let name = match (&view.terms, &view.plan) {
        (Some(terms), Some(plan)) if terms.cdr_mode => {
            format!("{} with {}", plan.name, view.cdr_mode.name)
        }
        (Some(_), Some(plan)) => plan.name.clone(),
        (Some(terms), None) => terms.plan.clone(),
        (None, Some(plan)) if view.status == SubscriptionStatus::Trial => {
            format!("{} on trial", plan.name)
        }
        (None, _) => "None".to_owned(),
    };
    let seats = match &view.plan {
        Some(plan) => format!("{} of {} used", view.seats_used, plan.seats),
        None => format!("{} used", view.seats_used),
    };
    let cost = match (view.status, view.cost) {
        (SubscriptionStatus::Trial, _) => "Nothing on trial".to_owned(),
        (SubscriptionStatus::Frozen, _) | (_, None) => "Nothing".to_owned(),
        (_, Some(cost)) => format!("{cost} a month"),
    };
    let renews = view.is_active() && !view.cancelled;
    let next = match (view.status, &view.next) {
        (SubscriptionStatus::Active, Some(next)) if renews => Some(next.cost),
        (SubscriptionStatus::Active, None) if renews => view.cost,
        _ => None,
    };
    let ends = view.ends_at;
    let next_row = match (view.status, next) {
        (_, Some(cost)) => Some((
            "Next billing date",
            format!("{}, {}", ends.date(), charge_for(cost, view.balance).0),
        )),
        (SubscriptionStatus::Trial, _) => Some(("Trial ends", ends.date())),
        (SubscriptionStatus::Active, _) => Some(("Ends", ends.date())),
        _ => None,
    };
    let balance = Some(view.balance).filter(|balance| balance.cents() > 0);
    let owed = view.owed().map(|owed| {
        let text = format!(
            "You owe {owed}, as a payment was refunded or disputed. It is collected with the next payment for the plan."
        );
        callout("warning", Icon::Warning, text)
    });
    let workspace = view.workspace;
    let outlook = outlook(view);
    let paying = view.paying.then(|| {
        let text = "A payment for this subscription is under way.".to_owned();
        callout("info", Icon::Clock, text)
    });
    let manage = (view.status != SubscriptionStatus::Trial).then(|| {
        simple(
            ManagePaymentMethod::PATH,
            workspace,
            "Manage payment method",
        )
    });
    let resume = (view.is_active() && view.cancelled)
        .then(|| simple(ResumeSubscription::PATH, workspace, "Resume subscription"));
    let cancel = may_cancel(view).then(|| {
        view! {
            <OpenDialog dialog=CANCEL>"Cancel subscription"</OpenDialog>
        }
    });
    view! {
        <Card title="Current plan">
            <p class="plan-now">
                <strong data-testid="current-plan">{name}</strong>" "<Badge tone=tone>{label}</Badge>
            </p>
            {outlook}
            {paying}
            {owed}
            <dl class="facts">
                <dt>"Cost"</dt><dd data-testid="plan-price">{cost}</dd>
                {next_row.map(|(label, text)| view! { <dt>{label}</dt><dd><span data-testid="next-billing-date">{text}</span>" ("<Time at=ends ahead=true/>")"</dd> })}
                {balance.map(|amount| view! { <dt>"Paid ahead"</dt><dd>{amount.to_string()}<span class="muted small block">"Taken off the next charges"</span></dd> })}
                <dt>"Seats"</dt>
                <dd>{seats}<span class="muted small block">"Members, and invitations that wait"</span></dd>
            </dl>
            <div class="form-actions">
                {manage}{resume}{cancel}
            </div>
        </Card>
    }
    .into_any()
}

fn may_cancel(view: &BillingView) -> bool {
    match view.status {
        SubscriptionStatus::Active => !view.cancelled,
        SubscriptionStatus::PastDue => !view.paying,
        SubscriptionStatus::Trial | SubscriptionStatus::Frozen => false,
    }
}

/// A form that wants nothing but its button pressed.
fn simple(action: &'static str, workspace: WorkspaceId, label: &'static str) -> AnyView {
    view! {
        <Form action=action class="inline-form" reload=true>
            <Hidden name="workspace" value=workspace.to_string()/>
            <Submit class="button">{label}</Submit>
        </Form>
    }
    .into_any()
}

/// The subscription alone, without what else stands on the page.
fn subscription(view: &BillingView) -> BillingView {
    BillingView {
        payment: None,
        preview: None,
        refusal: None,
        payments: Vec::new(),
        seats_used: 0,
        ..view.clone()
    }
}

/// The dialog that asks before a subscription is cancelled.
const CANCEL: &str = "cancel-subscription";

/// How a subscription ends if it is cancelled now.
#[derive(Clone, PartialEq)]
struct Ending {
    workspace: WorkspaceId,
    /// When, or nothing if at once.
    at: Option<String>,
}

impl Ending {
    fn of(view: &BillingView) -> Option<Self> {
        may_cancel(view).then(|| Self {
            workspace: view.workspace,
            at: view.is_active().then(|| view.ends_at.date()),
        })
    }
}

fn cancel(ending: Ending) -> AnyView {
    let text = match ending.at {
        Some(at) => format!(
            "Everything works until {at}. Then the workspace is frozen: all can be read, and nothing is lost."
        ),
        None => "The workspace is frozen at once: all can be read, and nothing is lost.".to_owned(),
    };
    let open = was_refused(CancelSubscription::PATH, "");
    view! {
        <Dialog id=CANCEL title="Cancel the subscription?" open>
            <p class="dialog-text">{text}</p>
            <Form action=CancelSubscription::PATH reload=true>
                <Hidden name="workspace" value=ending.workspace.to_string()/>
                <div class="dialog-actions">
                    <CancelDialog text="Keep subscription"/>
                    <Submit class="button button-danger">"Cancel subscription"</Submit>
                </div>
            </Form>
        </Dialog>
    }
    .into_any()
}
