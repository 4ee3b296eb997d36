use leptos::prelude::*;
use leptos_meta::Title;
use server_fn::ServerFn;

use super::api::{
    CancelSubscription, ChoosePlan, LoadBilling, ManagePaymentMethod, ResumeSubscription,
    SetBillingDetails,
};
use super::model::{BillingView, Effect, PaymentRow, Preview};
use crate::billing::model::{Details, SubscriptionStatus, Terms};
use crate::catalog::Plan;
use crate::domain::{Money, WorkspaceId, grouped};
use crate::live::Topic;
use crate::payments::model::PaymentStatus;
use crate::ui::{
    Badge, Card, Data, Dialog, Empty, Field, Form, Hidden, Icon, PageHeader, Submit, Time, guarded,
    icon, rows, use_asked, use_slug, view,
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
    view! {
        {move || data.with(notice)}
        {move || data.with(preview)}
        {move || data.with(current)}
        {move || data.with(plans)}
        {move || data.with(cdr_mode)}
        {payments(data, slug)}
        {details(data)}
    }
}

fn callout(tone: &'static str, mark: Icon, text: String) -> AnyView {
    view! { <div class="callout" data-tone=tone>{icon(mark)}<p>{text}</p></div> }.into_any()
}

/// What became of the payment from which one comes back, and why a choice is none.
fn notice(view: &BillingView) -> AnyView {
    let paid = view.payment.as_ref().map(|payment| {
        let (tone, mark) = match payment.status {
            PaymentStatus::Paid => ("info", Icon::CircleCheck),
            PaymentStatus::Declined | PaymentStatus::Expired => ("warning", Icon::CircleX),
            _ => ("info", Icon::Clock),
        };
        callout(tone, mark, payment.sentence())
    });
    let refused = view.refusal.clone();
    let refused = refused.map(|text| callout("warning", Icon::Warning, text));
    view! { {paid}{refused} }.into_any()
}

/// What would come of a choice, and the button that makes it.
fn preview(view: &BillingView) -> AnyView {
    let Some(preview) = view.preview.clone() else {
        return ().into_any();
    };
    let Preview {
        terms,
        name,
        effect,
        today,
        next,
        next_at,
        days_added,
        beyond,
    } = preview;
    let at = next_at.date();
    let lead = match effect {
        Effect::Begin if days_added > 0 => format!(
            "The first month begins today, and the {days_added} days that are left of the trial are added to it."
        ),
        Effect::Begin => "The first month begins today.".to_owned(),
        Effect::Now => format!(
            "{name} begins at once. Today you pay the difference for the rest of the month, and the plan's credits come \
             in by the same part."
        ),
        Effect::Later => format!(
            "What is paid stays until {at}; then the plan becomes {name}. Until then you can take it back."
        ),
        Effect::Keep => format!("The plan stays {name}: what was planned otherwise is taken back."),
    };
    let ending = view.cancelled && effect != Effect::Keep;
    let label = match effect {
        Effect::Begin => format!("Pay {today}"),
        Effect::Now if today.cents() > 0 => format!("Pay {today} and change"),
        Effect::Now => "Change now".to_owned(),
        Effect::Later => format!("Change on {at}"),
        Effect::Keep => format!("Keep {name}"),
    };
    view! {
        <section class="card" id="preview" aria-labelledby="preview-title">
            <div class="card-header">
                <h2 class="card-title" id="preview-title">{format!("Choose {name}")}</h2>
                <p class="card-text">{lead}</p>
            </div>
            <dl class="facts">
                <dt>"Charged today"</dt><dd><strong class="tabular" data-testid="today">{today.to_string()}</strong></dd>
                <dt>"Next charge"</dt>
                <dd><strong class="tabular">{next.to_string()}</strong><span class="muted small block">{format!("on {at}, and each month after")}</span></dd>
            </dl>
            {ending.then(|| callout("info", Icon::Info, "The subscription is cancelled now. This takes that back.".to_owned()))}
            {beyond.map(|beyond| callout("warning", Icon::Warning, beyond.sentence()))}
            <div class="form-actions">
                {choice("preview", view.workspace, terms, today, label)}
                <a class="button" href="?">"Not now"</a>
            </div>
        </section>
    }
    .into_any()
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
    let cost = view.cost.map(|cost| cost.to_string()).unwrap_or_default();
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
        (_, Some(cost)) => Some(("Next billing date", format!("{}, {cost}", ends.date()))),
        (SubscriptionStatus::Trial, _) => Some(("Trial ends", ends.date())),
        (SubscriptionStatus::Active, _) => Some(("Ends", ends.date())),
        _ => None,
    };
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
    let cancel = may_cancel(view).then(|| cancel(workspace, view.is_active(), ends.date()));
    view! {
        <Card title="Current plan">
            <p class="plan-now">
                <strong data-testid="current-plan">{name}</strong>" "<Badge tone=tone>{label}</Badge>
            </p>
            {outlook}
            {paying}
            <dl class="facts">
                <dt>"Cost"</dt><dd data-testid="plan-price">{cost}</dd>
                {next_row.map(|(label, text)| view! { <dt>{label}</dt><dd><span data-testid="next-billing-date">{text}</span>" ("<Time at=ends/>")"</dd> })}
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

fn cancel(workspace: WorkspaceId, active: bool, at: String) -> AnyView {
    let text = if active {
        format!(
            "Everything works until {at}. Then the workspace is frozen: all can be read, and nothing is lost."
        )
    } else {
        "The workspace is frozen at once: all can be read, and nothing is lost.".to_owned()
    };
    view! {
        <button type="button" class="button" popovertarget="cancel-subscription">"Cancel subscription"</button>
        <Dialog id="cancel-subscription".to_owned() title="Cancel the subscription?".to_owned()>
            <p>{text}</p>
            <Form action=CancelSubscription::PATH reload=true>
                <Hidden name="workspace" value=workspace.to_string()/>
                <div class="form-actions"><Submit class="button button-danger">"Cancel subscription"</Submit></div>
            </Form>
        </Dialog>
    }
    .into_any()
}

fn plans(view: &BillingView) -> AnyView {
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
                (_, true) => Some(view! { <Badge tone="info">"Next"</Badge> }),
                _ => None,
            };
            // Choosing what is there takes back what was planned; where nothing was, there is nothing to choose.
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
        {fact("Price a month", &|plan| plan.price.to_string())}
        {fact("Seats", &|plan| plan.seats.to_string())}
        {fact("Credits a month", &|plan| grouped(plan.credits.into()))}
        {fact("LinkedIn accounts", &|plan| match plan.linkedin_accounts {
            1 => "1".to_owned(),
            n => format!("Up to {n}"),
        })}
    };
    let option = all
        .iter()
        .map(|plan| {
            let text = if plan.cdr_mode {
                format!("+ {}", cdr.price)
            } else {
                "—".to_owned()
            };
            view! { <td class="tabular">{text}</td> }
        })
        .collect_view();
    let name = cdr.name.clone();
    view! {
        <Card title="Plans" text="What each holds, by the month. More counts at once, less when the month that is paid is over.">
            <div class="table-wrap">
                <table class="table plan-table">
                    <caption class="visually-hidden">"Plans"</caption>
                    <thead><tr><td><span class="visually-hidden">"What it holds"</span></td>{heads}</tr></thead>
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

/// CDR Mode: whether it is on, and what it costs. It is money, so its switch asks before it flips.
fn cdr_mode(view: &BillingView) -> AnyView {
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
        "{} a month on top of the plan, offered with {}.",
        cdr.price,
        offered.join(" and ")
    );
    let said = match view.status {
        SubscriptionStatus::Active if ends => {
            format!("On until {}, and off after.", view.ends_at.date())
        }
        SubscriptionStatus::Active if on => "On.".to_owned(),
        SubscriptionStatus::Active if view.cdr_preview.is_some() => "Off.".to_owned(),
        SubscriptionStatus::Active => "Not offered with this plan.".to_owned(),
        SubscriptionStatus::Trial => {
            "Can be used on trial. To keep it, choose it with a plan.".to_owned()
        }
        SubscriptionStatus::PastDue | SubscriptionStatus::Frozen => "Comes with a plan.".to_owned(),
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
                    aria-describedby="cdr-price" popovertarget="cdr-dialog" disabled=disabled></button>
                <span>{said}</span>
            </p>
            {dialog}
        </section>
    }
    .into_any()
}

/// The question before CDR Mode is turned on or off, with what that costs.
fn flip(workspace: WorkspaceId, name: &str, preview: &Preview, on: bool) -> AnyView {
    let (today, at) = (preview.today, preview.next_at.date());
    let (title, text, label) = if on {
        let text = format!(
            "It stays on until {at}, as it is paid until then. From then on a month costs {}.",
            preview.next
        );
        (
            format!("Turn off {name}?"),
            text,
            format!("Turn off {name}"),
        )
    } else {
        let text = format!(
            "Charged today, for the rest of the month: {today}. From {at} on a month costs {}.",
            preview.next
        );
        (
            format!("Turn on {name}?"),
            text,
            format!("Pay {today} and turn on"),
        )
    };
    let terms = preview.terms.clone();
    view! {
        <Dialog id="cdr-dialog".to_owned() title=title>
            <p>{text}</p>
            {choice("cdr", workspace, terms, today, label)}
        </Dialog>
    }
    .into_any()
}

/// What was to be turned off stays on.
fn keep_on(workspace: WorkspaceId, name: &str, terms: Terms) -> AnyView {
    let (title, label) = (format!("Keep {name} on?"), format!("Keep {name}"));
    view! {
        <Dialog id="cdr-dialog".to_owned() title=title>
            <p>"It is not turned off when the month ends. Nothing is charged today."</p>
            {choice("cdr", workspace, terms, Money::from_cents(0), label)}
        </Dialog>
    }
    .into_any()
}

/// The form that makes a choice, at no more than `today`.
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

/// The cheapest plan that CDR Mode can be had with, where nothing is subscribed to.
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
            <Dialog id="cdr-dialog".to_owned() title=title>
                <p>"You see what it costs before you pay."</p>
                {ask(id, true, label, false)}
            </Dialog>
        }
        .into_any(),
    )
}

/// The button by which a choice is looked at before it is made.
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

fn payments(data: Data<BillingView>, slug: Memo<String>) -> AnyView {
    let none = Memo::new(move |_| data.with(|view| view.payments.is_empty()));
    view! {
        <Card title="Invoices" text="What was paid here, newest first.">
            {move || if none.get() {
                view! { <Empty mark=Icon::CreditCard title="Nothing yet" text="Invoices appear here as payments are made."/> }.into_any()
            } else {
                view! {
                    <div class="table-wrap">
                        <table class="table table-stack">
                            <caption class="visually-hidden">"Invoices"</caption>
                            <thead><tr>
                                <th scope="col">"What"</th><th scope="col">"Amount"</th><th scope="col">"Status"</th>
                                <th scope="col">"Invoice"</th><th scope="col">"When"</th>
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
        PaymentStatus::Paid => ("success", "Paid"),
        PaymentStatus::Declined => ("danger", "Declined"),
        _ => ("neutral", "Under way"),
    };
    let invoice = match row.invoice {
        Some((number, text)) => {
            let href = move || format!("/w/{}/settings/billing/invoices/{number}", slug.get());
            view! { <a class="tabular" href=href>{text}</a> }.into_any()
        }
        None => view! { "—" }.into_any(),
    };
    view! {
        <tr>
            <th scope="row" data-label="What">{row.what}</th>
            <td data-label="Amount" class="tabular">{row.amount.to_string()}</td>
            <td data-label="Status"><Badge tone=tone>{label}</Badge></td>
            <td data-label="Invoice">{invoice}</td>
            <td data-label="When"><Time at=row.at/></td>
        </tr>
    }
    .into_any()
}

/// Whom invoices are made out to.
fn details(data: Data<BillingView>) -> AnyView {
    let workspace = data.with_untracked(|view| view.workspace);
    let stored = |of: fn(&Details) -> &String| {
        Signal::derive(move || data.with(|view| of(&view.details).clone()))
    };
    let company = stored(|details| &details.company);
    let address = stored(|details| &details.address);
    let vat_number = stored(|details| &details.vat_number);
    let email = stored(|details| &details.email);
    view! {
        <Card title="Billing details" text="They stand on invoices from now on; those that were issued stay as they are.">
            <Form action=SetBillingDetails::PATH guard=true>
                <Hidden name="form[workspace]" value=workspace.to_string()/>
                <Field name="company" label="Company name" value=company autocomplete="organization" hint="Empty: the workspace's name".to_owned()/>
                <Field name="address" label="Address" value=address autocomplete="street-address"/>
                <Field name="vat_number" label="VAT number" value=vat_number/>
                <Field name="email" label="Billing email" kind="email" value=email autocomplete="email"/>
                <Submit>"Save Changes"</Submit>
            </Form>
        </Card>
    }
    .into_any()
}
