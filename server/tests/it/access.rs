//! Who gets which answer from every server function and every page: one table under snapshot. A function or page that
//! is not in it fails the test.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use app::pages::PAGES;
use domain::catalog::{Category, Channel};
use domain::notifications::Switch;
use domain::webhooks::DeliveryStatus;
use domain::{ApiKeyId, EventId, InvitationId, MembershipId, NotificationId, Slug, SlugError};
use store::auth::links::{LinkChannel, invitation_token};
use store::db::entity;
use store::db::sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use store::demo::PASSWORD;
use store::notifications::unsubscribe_token;
use wheelhouse::http::ROUTES;
use wheelhouse::work::dispatch::dispatch_all;

use crate::support::{Kind, Server, Template, freeze, site};

/// Nobody; Acme's client, member, admin and owner; the owner of another workspace; who was removed from Acme; and Acme's
/// owner while it is frozen.
const CALLERS: [&str; 8] = [
    "nobody", "cleo", "mia", "adam", "olivia", "greta", "removed", "frozen",
];

/// What the calls need to name, found in the demo.
pub struct Names {
    pub workspace: String,
    cleo: MembershipId,
    pub invitation: InvitationId,
    token: String,
    notification: NotificationId,
    session: String,
    unsubscribe: String,
    key: ApiKeyId,
    rotating_key: ApiKeyId,
    webhook: String,
    delivery: String,
}

impl Names {
    pub async fn find(server: &Server) -> Self {
        let read = server.ctx.db().read();
        let workspace = entity::Workspace::find()
            .filter(entity::workspace::Column::Slug.eq("acme"))
            .one(read)
            .await
            .unwrap()
            .unwrap();
        let user = async |email: &str| {
            entity::User::find()
                .filter(entity::user::Column::Email.eq(email))
                .one(read)
                .await
                .unwrap()
                .unwrap()
                .id
        };
        let (cleo, mia) = (
            user("cleo@acme.example").await,
            user("mia@acme.example").await,
        );
        let cleo = entity::Membership::find()
            .filter(entity::membership::Column::UserId.eq(cleo))
            .one(read)
            .await
            .unwrap()
            .unwrap();
        let invitation = entity::Invitation::find()
            .filter(entity::invitation::Column::Email.eq("ben@acme.example"))
            .one(read)
            .await
            .unwrap()
            .unwrap();
        let notification = entity::Notification::find()
            .filter(entity::notification::Column::UserId.eq(mia))
            .one(read)
            .await
            .unwrap()
            .unwrap();
        let session = entity::Session::find()
            .filter(entity::session::Column::UserId.eq(mia))
            .one(read)
            .await
            .unwrap()
            .unwrap();
        let key = async |filter: store::db::sea_orm::sea_query::SimpleExpr| {
            entity::ApiKey::find()
                .filter(filter)
                .one(read)
                .await
                .unwrap()
                .unwrap()
                .id
        };
        let delivery = entity::Delivery::find()
            .filter(entity::delivery::Column::Status.eq(DeliveryStatus::Failed))
            .one(read)
            .await
            .unwrap()
            .unwrap();
        Self {
            webhook: delivery.webhook_id.to_string(),
            delivery: delivery.id.to_string(),
            workspace: workspace.id.to_string(),
            cleo: cleo.id,
            invitation: invitation.id,
            token: invitation_token(
                &server.ctx,
                invitation.id,
                invitation.generation,
                LinkChannel::Email,
            ),
            notification: notification.id,
            session: session.id.to_string(),
            unsubscribe: unsubscribe_token(
                &server.ctx,
                mia,
                Switch::Cell(Category::Security, Channel::Email),
            ),
            key: key(entity::api_key::Column::Name.eq("Website form")).await,
            rotating_key: key(entity::api_key::Column::ReplacedBy.is_not_null()).await,
        }
    }
}

pub type Fields = Vec<(&'static str, String)>;

/// A call of every server function that would succeed for someone who may.
#[expect(clippy::too_many_lines, reason = "a table: a row for each function")]
pub fn calls(names: &Names) -> Vec<(&'static str, Fields)> {
    let s = str::to_owned;
    let workspace = || ("workspace", names.workspace.clone());
    let form_workspace = || ("form[workspace]", names.workspace.clone());
    let key = || names.key.to_string();
    let unknown_event = || ("event", EventId::new().to_string());
    vec![
        (
            "accept_invitation",
            vec![
                ("form[token]", names.token.clone()),
                ("form[name]", s("Ben")),
                ("form[password]", s("seven unrelated purple teapots")),
            ],
        ),
        ("cancel_email_change", vec![]),
        (
            "cancel_invitation",
            vec![workspace(), ("invitation", names.invitation.to_string())],
        ),
        (
            "change_role",
            vec![
                form_workspace(),
                ("form[member]", names.cleo.to_string()),
                ("form[role]", s("member")),
            ],
        ),
        ("check_confirmation_link", vec![("token", s("x"))]),
        ("check_reset_link", vec![("token", s("x"))]),
        ("check_slug", vec![workspace(), ("slug", s("new-place"))]),
        ("confirm_email", vec![("form[token]", s("x"))]),
        (
            "confirm_password",
            vec![("form[current_password]", s(PASSWORD))],
        ),
        (
            "create_api_key",
            vec![
                form_workspace(),
                ("form[name]", s("Importer")),
                ("form[mode]", s("live")),
                ("form[scopes][]", s("contacts:read")),
                ("form[scopes][]", s("contacts:write")),
                ("form[current_password]", s(PASSWORD)),
            ],
        ),
        (
            "create_workspace",
            vec![("form[name]", s("Another")), ("form[slug]", s(""))],
        ),
        (
            "delete_workspace",
            vec![
                form_workspace(),
                ("form[slug]", s("acme")),
                ("form[current_password]", s(PASSWORD)),
            ],
        ),
        ("end_other_sessions", vec![]),
        ("end_session", vec![("session", names.session.clone())]),
        (
            "finish_api_key_rotation",
            vec![workspace(), ("key", names.rotating_key.to_string())],
        ),
        (
            "invite_members",
            vec![
                form_workspace(),
                ("form[email]", s("new@acme.example")),
                ("form[role]", s("member")),
            ],
        ),
        (
            "leave_workspace",
            vec![form_workspace(), ("form[slug]", s("acme"))],
        ),
        ("load_account", vec![]),
        (
            "load_api_key",
            vec![workspace(), ("key", key()), ("before", s(""))],
        ),
        (
            "load_api_keys",
            vec![
                workspace(),
                ("status", s("")),
                ("mode", s("")),
                ("search", s("")),
                ("before", s("")),
            ],
        ),
        ("load_first_path", vec![]),
        (
            "load_inbox",
            vec![workspace(), ("category", s("")), ("before", s(""))],
        ),
        ("load_invitation", vec![("token", names.token.clone())]),
        ("load_matrix", vec![]),
        (
            "load_members",
            vec![
                workspace(),
                ("status", s("")),
                ("search", s("")),
                ("after", s("")),
                ("before", s("")),
            ],
        ),
        ("load_new_workspace", vec![]),
        ("load_outbox", vec![]),
        ("load_overview", vec![workspace()]),
        ("load_surroundings", vec![workspace()]),
        (
            "load_unsubscribe",
            vec![("token", names.unsubscribe.clone())],
        ),
        ("load_workspace", vec![workspace()]),
        ("mark_all_read", vec![workspace()]),
        (
            "mark_notification",
            vec![
                workspace(),
                ("notification", names.notification.to_string()),
                ("read", s("true")),
            ],
        ),
        (
            "narrow_api_key",
            vec![
                form_workspace(),
                ("form[key]", key()),
                ("form[scopes][]", s("contacts:read")),
            ],
        ),
        (
            "remove_member",
            vec![workspace(), ("member", names.cleo.to_string())],
        ),
        (
            "rename_api_key",
            vec![
                form_workspace(),
                ("form[key]", key()),
                ("form[name]", s("Renamed")),
            ],
        ),
        (
            "rename_workspace",
            vec![form_workspace(), ("form[name]", s("Renamed"))],
        ),
        (
            "request_password_reset",
            vec![("form[email]", s("mia@acme.example"))],
        ),
        ("resend_confirmation", vec![]),
        ("resend_email_change", vec![]),
        (
            "resend_invitation",
            vec![workspace(), ("invitation", names.invitation.to_string())],
        ),
        (
            "reset_password",
            vec![
                ("form[token]", s("x")),
                ("form[password]", s("x")),
                ("form[confirm]", s("x")),
            ],
        ),
        (
            "revoke_api_key",
            vec![
                form_workspace(),
                ("form[key]", key()),
                ("form[name]", s("Website form")),
            ],
        ),
        (
            "rotate_api_key",
            vec![
                form_workspace(),
                ("form[key]", key()),
                ("form[grace]", s("day")),
                ("form[current_password]", s(PASSWORD)),
            ],
        ),
        (
            "save_profile",
            vec![
                ("form[name]", s("Somebody")),
                ("form[email]", s("cleo@acme.example")),
                ("form[current_password]", s(PASSWORD)),
            ],
        ),
        (
            "set_notification",
            vec![("switch", s("billing.email")), ("on", s("false"))],
        ),
        (
            "set_notifications",
            vec![("range", s("row.billing")), ("on", s("false"))],
        ),
        (
            "sign_in",
            vec![
                ("form[email]", s("mia@acme.example")),
                ("form[password]", s(PASSWORD)),
            ],
        ),
        ("sign_out", vec![]),
        (
            "sign_up",
            vec![
                ("form[name]", s("Zoe")),
                ("form[email]", s("zoe@new.example")),
                ("form[password]", s("seven unrelated purple teapots")),
                ("form[workspace]", s("Zoe")),
            ],
        ),
        (
            "transfer_ownership",
            vec![
                form_workspace(),
                ("form[member]", names.cleo.to_string()),
                ("form[slug]", s("acme")),
                ("form[current_password]", s(PASSWORD)),
            ],
        ),
        ("undo_cancel_invitation", vec![workspace(), unknown_event()]),
        ("undo_change_role", vec![workspace(), unknown_event()]),
        ("undo_mark_all_read", vec![workspace(), ("read_at", s("0"))]),
        ("undo_remove_member", vec![workspace(), unknown_event()]),
        ("undo_workspace_rename", vec![workspace(), unknown_event()]),
        ("undo_workspace_url", vec![workspace(), unknown_event()]),
        ("unsubscribe", vec![("token", names.unsubscribe.clone())]),
        (
            "update_password",
            vec![
                ("form[password]", s("seven unrelated purple teapots")),
                ("form[confirm]", s("seven unrelated purple teapots")),
            ],
        ),
        (
            "update_workspace_url",
            vec![form_workspace(), ("form[slug]", s("acme-corp"))],
        ),
        (
            "create_webhook",
            vec![
                form_workspace(),
                ("form[url]", s("https://hooks.acme.example/new")),
            ],
        ),
        (
            "delete_webhook",
            vec![
                form_workspace(),
                ("form[webhook]", names.webhook.clone()),
                ("form[host]", s("hooks.acme.example")),
            ],
        ),
        (
            "load_webhook",
            vec![
                workspace(),
                ("webhook", names.webhook.clone()),
                ("status", s("")),
                ("event_type", s("")),
                ("hours", s("")),
                ("before", s("")),
                ("delivery", names.delivery.clone()),
            ],
        ),
        ("load_webhooks", vec![workspace()]),
        (
            "load_credits",
            vec![
                workspace(),
                ("kind", s("")),
                ("before", s("")),
                ("payment", s("")),
            ],
        ),
        (
            "buy_credits",
            vec![form_workspace(), ("form[credits]", s("1000"))],
        ),
        (
            "set_low_balance_threshold",
            vec![form_workspace(), ("form[low_balance_threshold]", s("300"))],
        ),
        (
            "set_top_up",
            vec![
                form_workspace(),
                ("form[package]", s("1000")),
                ("form[limit]", s("100")),
            ],
        ),
        (
            "load_billing",
            vec![
                workspace(),
                ("plan", s("max")),
                ("cdr", s("")),
                ("payment", s("")),
            ],
        ),
        (
            "choose_plan",
            vec![
                form_workspace(),
                ("form[plan]", s("max")),
                ("form[cdr_mode]", s("false")),
                ("form[today]", s("19900")),
            ],
        ),
        ("load_invoice", vec![workspace(), ("number", s("1"))]),
        (
            "set_billing_details",
            vec![form_workspace(), ("form[company]", s("Acme GmbH"))],
        ),
        ("cancel_subscription", vec![workspace()]),
        ("resume_subscription", vec![workspace()]),
        ("manage_payment_method", vec![workspace()]),
        ("load_card", vec![("card", s("nothing"))]),
        (
            "choose_card",
            vec![("form[card]", s("nothing")), ("form[works]", s("yes"))],
        ),
        // The link is the proof, and nobody has one that leads nowhere.
        ("load_checkout", vec![("checkout", s("nothing"))]),
        (
            "choose_payment",
            vec![("form[checkout]", s("nothing")), ("form[choice]", s("pay"))],
        ),
        (
            "recover_deliveries",
            vec![
                workspace(),
                ("webhook", names.webhook.clone()),
                ("hours", s("24")),
            ],
        ),
        (
            "resend_delivery",
            vec![workspace(), ("delivery", names.delivery.clone())],
        ),
        (
            "rotate_webhook_secret",
            vec![form_workspace(), ("form[webhook]", names.webhook.clone())],
        ),
        (
            "set_webhook_status",
            vec![
                workspace(),
                ("webhook", names.webhook.clone()),
                ("status", s("paused")),
            ],
        ),
        (
            "show_delivery_curl",
            vec![form_workspace(), ("form[delivery]", names.delivery.clone())],
        ),
        (
            "show_webhook_secret",
            vec![form_workspace(), ("form[webhook]", names.webhook.clone())],
        ),
        (
            "test_webhook",
            vec![
                workspace(),
                ("webhook", names.webhook.clone()),
                // Refused before anything is sent: this server has no sender, and the answer would be waited for.
                ("event_type", s("no.such.type")),
            ],
        ),
        (
            "update_webhook",
            vec![
                form_workspace(),
                ("form[webhook]", names.webhook.clone()),
                ("form[url]", s("https://hooks.acme.example/wheelhouse")),
                ("form[description]", s("Changed")),
            ],
        ),
    ]
}

/// The demo with its events dispatched, and someone removed from Acme who is still signed in.
async fn template(kind: Kind) -> Template {
    let mut template = Template::new(kind).await;
    let removed = template.cookies["mia"].clone();
    template.cookies.insert("removed", removed);
    let owner = template.cookies["olivia"].clone();
    template.cookies.insert("frozen", owner);
    template
}

async fn server(template: &Template, caller: &str) -> Server {
    let server = template.copy().await;
    dispatch_all(&server.ctx).await.unwrap();
    if caller == "frozen" {
        freeze(&server.ctx).await;
    }
    if caller == "removed" {
        let tx = server.ctx.db().begin().await.unwrap();
        let mia = entity::User::find()
            .filter(entity::user::Column::Email.eq("mia@acme.example"))
            .one(&tx)
            .await
            .unwrap()
            .unwrap();
        entity::Membership::delete_many()
            .filter(entity::membership::Column::UserId.eq(mia.id))
            .exec(&tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn every_server_function() {
    let template = template(Kind::Sqlite).await;
    let listed = {
        let server = server(&template, "nobody").await;
        calls(&Names::find(&server).await)
    };
    let known: BTreeSet<&str> = server_fn::axum::server_fn_paths()
        .map(|(path, _)| path.trim_start_matches("/fn/"))
        .collect();
    let covered: BTreeSet<&str> = listed.iter().map(|(name, _)| *name).collect();
    assert_eq!(known, covered, "every server function stands in this table");

    let mut table = format!("{:<24}", "");
    for caller in CALLERS {
        let _ = write!(table, " {caller:>7}");
    }
    table.push('\n');
    for (index, (name, _)) in listed.iter().enumerate() {
        let _ = write!(table, "{name:<24}");
        for caller in CALLERS {
            let server = server(&template, caller).await;
            let names = Names::find_again(&server, &template, caller).await;
            let fields = &calls(&names)[index].1;
            let answer = server.call(caller, &format!("/fn/{name}"), fields).await;
            let _ = write!(table, " {:>7}", answer.status.as_u16());
            assert_ne!(
                answer.status.as_u16(),
                500,
                "{name} as {caller}: {}",
                answer.body
            );
            let in_workspace = fields
                .iter()
                .any(|(field, _)| field.ends_with("workspace") || *field == "form[workspace]")
                && !["sign_up"].contains(name);
            if in_workspace {
                match caller {
                    "nobody" => assert_eq!(answer.status, 401, "{name}"),
                    "greta" | "removed" => assert_eq!(answer.status, 404, "{name} as {caller}"),
                    _ => {}
                }
            }
        }
        table.push('\n');
    }
    insta::assert_snapshot!("server_functions", table);
}

impl Names {
    /// The names as they were before someone was removed.
    async fn find_again(server: &Server, template: &Template, caller: &str) -> Self {
        if caller == "removed" {
            let before = template.copy().await;
            dispatch_all(&before.ctx).await.unwrap();
            return Self::find(&before).await;
        }
        Self::find(server).await
    }
}

/// A workspace is at `/w/…` today. Its address must not be the first word of any other of ours, so that it can stand
/// alone one day, and so that nobody takes `/w/login` for what it is not.
#[test]
fn no_workspace_has_an_address_of_ours() {
    let mut words: BTreeSet<String> = PAGES
        .iter()
        .map(|page| page.path.to_owned())
        .chain(server_fn::axum::server_fn_paths().map(|(path, _)| path.to_owned()))
        .chain(["/live", "/healthz", "/readyz", "/pkg", "/unsubscribe"].map(str::to_owned))
        .filter_map(|path| path.split('/').nth(1).map(str::to_owned))
        .collect();
    words.retain(|word| !word.is_empty());
    assert!(words.len() > 12, "{words:?}");
    for word in words {
        let refused = Slug::parse(&word);
        assert!(
            matches!(refused, Err(SlugError::Reserved | SlugError::TooShort)),
            "{word}: {refused:?}"
        );
    }
}

async fn webhook_of_acme(server: &Server) -> String {
    let webhook = entity::Webhook::find()
        .one(server.ctx.db().read())
        .await
        .unwrap()
        .unwrap();
    webhook.id.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page() {
    let template = template(Kind::Sqlite).await;
    let key = {
        let server = server(&template, "nobody").await;
        Names::find(&server).await.key.to_string()
    };

    let mut table = format!("{:<34}", "");
    for caller in CALLERS {
        let _ = write!(table, " {caller:>7}");
    }
    table.push('\n');
    let others = ROUTES
        .iter()
        .filter(|route| route.method == "GET")
        .map(|route| route.path);
    for path in PAGES
        .iter()
        .map(|page| page.path)
        .chain(others)
        .chain(["/no/such/page"])
    {
        let _ = write!(table, "{path:<34}");
        for caller in CALLERS {
            let server = server(&template, caller).await;
            let webhook = webhook_of_acme(&server).await;
            let path = path
                .replace("{slug}", "acme")
                .replace("{key}", &key)
                .replace("{token}", "nonsense")
                .replace("{checkout}", "nonsense")
                .replace("{card}", "nonsense")
                .replace("{number}", "1")
                .replace("{webhook}", &webhook);
            // A stream has no end to wait for.
            if path == "/live" && caller != "nobody" {
                let _ = write!(table, " {:>7}", "stream");
                continue;
            }
            let answer = server.page(caller, &path).await;
            let _ = write!(table, " {:>7}", answer.status.as_u16());
            if path.starts_with("/w/") {
                match caller {
                    "nobody" => assert!(answer.status == 302 || answer.status == 401, "{path}"),
                    "greta" | "removed" => assert_eq!(answer.status, 404, "{path} as {caller}"),
                    _ => {}
                }
            }
        }
        table.push('\n');
    }
    insta::assert_snapshot!("pages", table);
}

/// What is posted neither to a server function nor from a page of ours: by mail programs, and by whoever collects the
/// money. No cookie matters there.
#[tokio::test(flavor = "multi_thread")]
async fn every_other_post() {
    let template = template(Kind::Sqlite).await;
    let posts: Vec<&str> = ROUTES
        .iter()
        .filter(|route| route.method != "GET")
        .map(|route| route.path)
        .collect();
    assert_eq!(
        posts,
        ["/unsubscribe/{token}", "/stripe/webhook"],
        "every such route is called below"
    );
    for caller in CALLERS {
        let server = server(&template, caller).await;
        let token = Names::find_again(&server, &template, caller)
            .await
            .unsubscribe;
        let forged = format!("{token}x");
        for (token, status) in [(token, 200), ("nonsense".to_owned(), 404), (forged, 404)] {
            let fields = [("List-Unsubscribe", "One-Click".to_owned())];
            let path = format!("/unsubscribe/{token}");
            let answer = server.call(caller, &path, &fields).await;
            assert_eq!(answer.status, status, "{path} as {caller}");
        }
        let answer = server.call(caller, "/stripe/webhook", &[]).await;
        assert_eq!(answer.status, 400, "nothing unsigned, from {caller}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_is_the_demos_alone() {
    let template = template(Kind::Sqlite).await;
    let ctx = store::context::Site {
        demo: false,
        ..site()
    };
    let server = template
        .copy_as(ctx, store::rate_limit::auth::AuthLimits::off())
        .await;
    for caller in ["nobody", "olivia"] {
        assert_eq!(server.page(caller, "/outbox").await.status, 404, "{caller}");
        let answer = server.call(caller, "/fn/load_outbox", &[]).await;
        assert_eq!(answer.status, 404, "{caller}");
    }
}

/// Olivia may do all this in Acme, and names Globex's things.
#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::too_many_lines,
    reason = "a table: what is named, and what names it"
)]
async fn anothers_things_are_not_found_through_ones_own_workspace() {
    let server = server(&template(Kind::Sqlite).await, "olivia").await;
    let read = server.ctx.db().read();
    let workspace = async |slug: &str| {
        entity::Workspace::find()
            .filter(entity::workspace::Column::Slug.eq(slug))
            .one(read)
            .await
            .unwrap()
            .unwrap()
            .id
    };
    let (acme, globex) = (workspace("acme").await, workspace("globex").await);
    let invitation = entity::Invitation::find()
        .filter(entity::invitation::Column::WorkspaceId.eq(globex))
        .one(read)
        .await
        .unwrap()
        .unwrap()
        .id
        .to_string();
    let member = entity::Membership::find()
        .filter(entity::membership::Column::WorkspaceId.eq(globex))
        .filter(entity::membership::Column::Role.ne("owner"))
        .one(read)
        .await
        .unwrap()
        .unwrap()
        .id
        .to_string();
    let notification = entity::Notification::find()
        .filter(entity::notification::Column::WorkspaceId.eq(globex))
        .one(read)
        .await
        .unwrap()
        .unwrap()
        .id
        .to_string();
    let event = entity::Event::find()
        .filter(entity::event::Column::WorkspaceId.eq(globex))
        .one(read)
        .await
        .unwrap()
        .unwrap()
        .id
        .to_string();
    let own = || ("workspace", acme.to_string());
    let own_form = || ("form[workspace]", acme.to_string());
    let calls: Vec<(&str, Fields)> = vec![
        (
            "cancel_invitation",
            vec![own(), ("invitation", invitation.clone())],
        ),
        (
            "resend_invitation",
            vec![own(), ("invitation", invitation.clone())],
        ),
        ("remove_member", vec![own(), ("member", member.clone())]),
        (
            "change_role",
            vec![
                own_form(),
                ("form[member]", member.clone()),
                ("form[role]", "client".to_owned()),
            ],
        ),
        (
            "mark_notification",
            vec![
                own(),
                ("notification", notification.clone()),
                ("read", "true".to_owned()),
            ],
        ),
        (
            "undo_cancel_invitation",
            vec![own(), ("event", event.clone())],
        ),
        ("undo_change_role", vec![own(), ("event", event.clone())]),
        ("undo_remove_member", vec![own(), ("event", event.clone())]),
        (
            "undo_workspace_rename",
            vec![own(), ("event", event.clone())],
        ),
        ("undo_workspace_url", vec![own(), ("event", event.clone())]),
        // Last: the password replaces the session's token.
        (
            "transfer_ownership",
            vec![
                own_form(),
                ("form[member]", member.clone()),
                ("form[current_password]", PASSWORD.to_owned()),
            ],
        ),
    ];
    for (name, fields) in calls {
        let answer = server.call("olivia", &format!("/fn/{name}"), &fields).await;
        // A form says it at the field where the member was chosen.
        let status = if name == "transfer_ownership" {
            422
        } else {
            404
        };
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
    }
}

/// The matrix runs on SQLite, for speed; that PostgreSQL answers the same is seen by one caller.
#[tokio::test(flavor = "multi_thread")]
async fn postgresql_answers_olivia_as_sqlite_does() {
    let (sqlite, postgres) = (template(Kind::Sqlite).await, template(Kind::Postgres).await);
    let count = calls(&Names::find(&server(&sqlite, "olivia").await).await).len();
    for index in 0..count {
        let mut statuses = Vec::new();
        let mut called = "";
        for template in [&sqlite, &postgres] {
            let server = server(template, "olivia").await;
            let (name, fields) = calls(&Names::find(&server).await).swap_remove(index);
            let answer = server.call("olivia", &format!("/fn/{name}"), &fields).await;
            assert_ne!(answer.status, 500, "{name}: {}", answer.body);
            statuses.push(answer.status);
            called = name;
        }
        assert_eq!(statuses[0], statuses[1], "{called}");
    }
}

/// Nobody sends us more than a form holds.
#[tokio::test(flavor = "multi_thread")]
async fn every_post_has_a_largest_body() {
    let server = template(Kind::Sqlite).await.copy().await;
    let functions = server_fn::axum::server_fn_paths().map(|(path, _)| path.to_owned());
    let others = ROUTES
        .iter()
        .filter(|route| route.method != "GET")
        .map(|route| route.path.replace("{token}", "nonsense"));
    let large = [("form[name]", "x".repeat(300 * 1024))];
    for path in functions.chain(others) {
        let answer = server.call("olivia", &path, &large).await;
        assert_eq!(answer.status, 413, "{path}");
    }
}
