use domain::billing::BillingView;
use domain::subscriptions::{SubscriptionStatus, charge_for};
use domain::{Topic, WorkspaceId};
use leptos::prelude::*;
use leptos_meta::Title;
use server_fn::ServerFn;

use super::api::{CancelSubscription, LoadBilling, ManagePaymentMethod, ResumeSubscription};
use super::list::{details, payments};
use super::plan_picker::{cdr_mode, plans, preview};
use crate::payments::notice::outcome;
use crate::ui::{
    Badge, CancelDialog, Card, Data, Dialog, Form, Hidden, Icon, OpenDialog, PageHeader, Submit,
    Time, callout, guarded, use_asked, use_slug, view, was_refused,
};

#[component]
pub fn BillingPage() -> impl IntoView {
    let (slug, plan, cdr) = (use_slug(), use_asked("plan"), use_asked("cdr"));
    let payment = use_asked("payment");
    view! {
        <Title text="Billing"/>
        <PageHeader title="Billing" lead="Manage your plan, payment method and invoices."/>
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
    // The subjects of dialogs. An open dialog stays open when other data changes.
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

/// The result of the payment the user returns from, and why a choice is refused.
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

/// What happens next with the subscription, in one or two sentences.
fn outlook(view: &BillingView) -> AnyView {
    let at = view.ends_at;
    let cost = view.cost.map(|cost| charge_for(cost, view.balance).0);
    let cost = cost.map(|cost| cost.to_string()).unwrap_or_default();
    let text = match view.status {
        SubscriptionStatus::Trial => format!(
            "Your trial includes every feature and ends {}. After that the workspace becomes read-only until you choose \
             a plan. Your data stays safe.",
            at.exact()
        ),
        SubscriptionStatus::Frozen if view.terms.is_none() => {
            "Your trial has ended and the workspace is read-only. Choose a plan to continue."
                .to_owned()
        }
        SubscriptionStatus::Frozen => {
            "Your subscription has ended and the workspace is read-only. Choose a plan to continue."
                .to_owned()
        }
        SubscriptionStatus::PastDue => {
            let again = view.retry_at.map_or_else(
                || "We're trying again now.".to_owned(),
                |at| format!("We'll try again on {}.", at.date()),
            );
            format!(
                "Your last payment of {cost} was declined. {again} Update your payment method to avoid interruption, or choose a plan to pay now."
            )
        }
        SubscriptionStatus::Active if view.cancelled => format!(
            "Cancels on {}. You keep full access until then; after that the workspace is read-only.",
            at.date()
        ),
        SubscriptionStatus::Active => match &view.next {
            Some(next) => format!(
                "Changes to {} ({} per month) on {}.",
                next.name,
                next.cost,
                at.date()
            ),
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
        (None, Some(plan)) if view.status == SubscriptionStatus::Trial => plan.name.clone(),
        (None, _) => "No plan".to_owned(),
    };
    let seats = match &view.plan {
        Some(plan) => format!("{} of {} used", view.seats_used, plan.seats),
        None => format!("{} used", view.seats_used),
    };
    let cost = match (view.status, view.cost) {
        (SubscriptionStatus::Trial, _) => "Free during trial".to_owned(),
        (SubscriptionStatus::Frozen, _) | (_, None) => "$0".to_owned(),
        (_, Some(cost)) => format!("{cost} per month"),
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
            format!("{} on {}", charge_for(cost, view.balance).0, ends.date()),
        )),
        (SubscriptionStatus::Trial, _) => Some(("Trial ends", ends.date())),
        (SubscriptionStatus::Active, _) => Some(("Ends", ends.date())),
        _ => None,
    };
    let balance = Some(view.balance).filter(|balance| balance.cents() > 0);
    let owed = view.owed().map(|owed| {
        let text = format!(
            "You owe {owed} because a payment was refunded or disputed. We'll add it to your next plan payment."
        );
        callout("warning", Icon::Warning, text)
    });
    let workspace = view.workspace;
    let outlook = outlook(view);
    let paying = view.paying.then(|| {
        let text = "A payment is being processed.".to_owned();
        callout("info", Icon::Clock, text)
    });
    let manage = (view.status != SubscriptionStatus::Trial).then(|| {
        simple(
            ManagePaymentMethod::PATH,
            workspace,
            "Manage Payment Method",
        )
    });
    let resume = (view.is_active() && view.cancelled)
        .then(|| simple(ResumeSubscription::PATH, workspace, "Resume Subscription"));
    let cancel = may_cancel(view).then(|| {
        view! {
            <OpenDialog dialog=CANCEL>"Cancel Subscription"</OpenDialog>
        }
    });
    view! {
        <Card title="Current Plan">
            <p class="plan-now">
                <strong data-testid="current-plan">{name}</strong>" "<Badge tone=tone>{label}</Badge>
            </p>
            {outlook}
            {paying}
            {owed}
            <dl class="facts">
                <dt>"Cost"</dt><dd data-testid="plan-price">{cost}</dd>
                {next_row.map(|(label, text)| view! { <dt>{label}</dt><dd><span data-testid="next-billing-date">{text}</span>" ("<Time at=ends ahead=true/>")"</dd> })}
                {balance.map(|amount| view! { <dt>"Account credit"</dt><dd>{amount.to_string()}<span class="muted small block">"Applied to your next invoices"</span></dd> })}
                <dt>"Seats"</dt>
                <dd>{seats}<span class="muted small block">"Includes pending invitations"</span></dd>
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

/// A form with a button only.
fn simple(action: &'static str, workspace: WorkspaceId, label: &'static str) -> AnyView {
    view! {
        <Form action=action class="inline-form" reload=true>
            <Hidden name="workspace" value=workspace.to_string()/>
            <Submit class="button">{label}</Submit>
        </Form>
    }
    .into_any()
}

/// The subscription only, without the rest of the page.
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

/// The dialog that asks before a subscription is canceled.
const CANCEL: &str = "cancel-subscription";

/// How a subscription ends if it is canceled now.
#[derive(Clone, PartialEq)]
struct Ending {
    workspace: WorkspaceId,
    /// When, or none if immediately.
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
            "You'll keep full access until {at}. After that the workspace is read-only. Your data stays safe and you can resubscribe any time."
        ),
        None => "The workspace becomes read-only immediately. Your data stays safe and you can resubscribe any time.".to_owned(),
    };
    let open = was_refused(CancelSubscription::PATH, "");
    view! {
        <Dialog id=CANCEL title="Cancel the subscription?" open>
            <p class="dialog-text">{text}</p>
            <Form action=CancelSubscription::PATH reload=true>
                <Hidden name="workspace" value=ending.workspace.to_string()/>
                <div class="dialog-actions">
                    <CancelDialog text="Keep Subscription"/>
                    <Submit class="button button-danger">"Cancel Subscription"</Submit>
                </div>
            </Form>
        </Dialog>
    }
    .into_any()
}
