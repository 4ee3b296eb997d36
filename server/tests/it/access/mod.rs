//! Who gets which answer from every server function and every page: one table under snapshot. A function or page that
//! is not in it fails the test.

mod function_calls;
mod other_workspaces;
mod routes;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use app::pages::PAGES;
use domain::catalog::{Category, Channel};
use domain::notifications::Switch;
use domain::webhooks::DeliveryStatus;
use domain::{ApiKeyId, InvitationId, MembershipId, NotificationId};
use store::auth::links::{LinkChannel, invitation_token};
use store::db::entity;
use store::db::sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use store::notifications::unsubscribe_token;
use wheelhouse::http::ROUTES;
use wheelhouse::work::dispatch::dispatch_all;

use crate::support::{Kind, Server, Template, freeze};

pub use function_calls::calls;

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
