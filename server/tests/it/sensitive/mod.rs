//! What takes a fresh sign-in, and what giving the password again does to a session.

mod reauth;

use std::collections::{BTreeMap, BTreeSet};

use app::rpc::read;
use app::session::api::cookie_name;
use domain::form::FormSuccess;
use domain::{AppError, MembershipId, Role, Timestamp, minutes};
use store::auth::Sensitive;
use store::db::entity;
use store::db::sea_orm::sea_query::Expr;
use store::db::sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use store::demo::PASSWORD;
use wheelhouse::http::ROUTES;
use wheelhouse::work::dispatch::dispatch_all;

use crate::access::{Fields, Names, calls};
use crate::support::{Answer, Kind, Server, Template};

/// Every other server function and route that changes something or shows much, and why it needs no fresh sign-in.
const NOT_SENSITIVE: &[(&str, &str)] = &[
    (
        "accept_invitation",
        "the link is the proof, and it was sent to this person",
    ),
    ("cancel_email_change", "keeps what is"),
    (
        "cancel_invitation",
        "takes away, and Undo is sensitive where it grants",
    ),
    ("check_confirmation_link", "the link is the proof"),
    ("check_reset_link", "the link is the proof"),
    ("check_slug", "looks"),
    ("choose_card", "the link is the proof"),
    ("choose_payment", "the link is the proof"),
    ("confirm_email", "the link is the proof"),
    ("confirm_password", "this is how one proves it"),
    ("create_workspace", "touches nothing that there is"),
    ("end_other_sessions", "protects"),
    ("end_session", "protects"),
    ("finish_api_key_rotation", "takes away"),
    ("load_account", "looks"),
    ("load_api_key", "looks"),
    ("load_api_keys", "looks"),
    ("load_billing", "looks"),
    ("load_card", "looks"),
    ("load_checkout", "looks"),
    ("load_credits", "looks"),
    ("load_first_path", "looks"),
    ("load_inbox", "looks"),
    ("load_invitation", "looks"),
    ("load_invoice", "looks"),
    ("load_matrix", "looks"),
    ("load_members", "looks; links that grant Admin are left out"),
    ("load_new_workspace", "looks"),
    ("load_outbox", "the demo's"),
    ("load_overview", "looks"),
    ("load_surroundings", "looks"),
    ("load_unsubscribe", "looks"),
    ("load_webhook", "looks"),
    ("load_webhooks", "looks"),
    ("load_workspace", "looks"),
    ("mark_all_read", "one's own"),
    ("mark_notification", "one's own"),
    ("narrow_api_key", "takes away"),
    ("recover_deliveries", "goes where it went"),
    ("rename_api_key", "a name"),
    ("rename_workspace", "a name, and can be taken back"),
    ("request_password_reset", "nobody is signed in"),
    ("resend_confirmation", "to the person's own address"),
    ("resend_delivery", "goes where it went"),
    ("resend_email_change", "was asked for with a fresh sign-in"),
    ("reset_password", "the link is the proof"),
    ("revoke_api_key", "protects: must be quick"),
    ("set_billing_details", "costs nothing"),
    ("set_low_balance_threshold", "costs nothing"),
    ("set_notification", "one's own"),
    ("set_notifications", "one's own"),
    ("set_webhook_status", "goes where it went"),
    ("sign_in", "gives the password"),
    ("sign_out", "protects"),
    ("sign_up", "nobody is signed in"),
    ("test_webhook", "a sample, to where events go"),
    ("undo_mark_all_read", "one's own"),
    ("undo_workspace_rename", "a name"),
    ("undo_workspace_url", "can be taken back"),
    ("unsubscribe", "the link is the proof"),
    ("update_workspace_url", "can be taken back"),
    ("/unsubscribe/{token}", "the link is the proof"),
    ("/live", "looks"),
    ("/stripe/webhook", "the signature is the proof"),
    ("/healthz", "for programs"),
    ("/readyz", "for programs"),
    ("/metrics", "for programs"),
];

/// The demo's things, also what follows from its events.
async fn names(server: &Server) -> Names {
    dispatch_all(&server.ctx).await.unwrap();
    Names::find(server).await
}

#[test]
fn every_function_and_route_is_sensitive_or_says_why_not() {
    let all: BTreeSet<&str> = server_fn::axum::server_fn_paths()
        .map(|(path, _)| path.trim_start_matches("/fn/"))
        .chain(ROUTES.iter().map(|route| route.path))
        .collect();
    let sensitive: Vec<&str> = Sensitive::ALL
        .into_iter()
        .flat_map(|operation| operation.done_by().iter().copied())
        .collect();
    let listed: Vec<&str> = sensitive
        .iter()
        .copied()
        .chain(NOT_SENSITIVE.iter().map(|(name, _)| *name))
        .collect();
    let set: BTreeSet<&str> = listed.iter().copied().collect();
    assert_eq!(set.len(), listed.len(), "each stands in one list, once");
    assert_eq!(set, all);
}

/// Makes every sign-in too old for what is sensitive.
async fn age(server: &Server) {
    let tx = server.ctx.db().begin().await.unwrap();
    entity::Session::update_many()
        .col_expr(
            entity::session::Column::AuthenticatedAt,
            Expr::value(Timestamp::now().before(minutes(16))),
        )
        .exec(&tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn membership(server: &Server, email: &str, workspace: &str) -> MembershipId {
    let read = server.ctx.db().read();
    let user = entity::User::find()
        .filter(entity::user::Column::Email.eq(email))
        .one(read)
        .await
        .unwrap()
        .unwrap();
    entity::Membership::find()
        .filter(entity::membership::Column::UserId.eq(user.id))
        .filter(
            entity::membership::Column::WorkspaceId
                .eq(workspace.parse::<domain::WorkspaceId>().unwrap()),
        )
        .one(read)
        .await
        .unwrap()
        .unwrap()
        .id
}

async fn make_owner(server: &Server, member: MembershipId) {
    let tx = server.ctx.db().begin().await.unwrap();
    entity::Membership::update_many()
        .col_expr(entity::membership::Column::Role, Expr::value(Role::Owner))
        .filter(entity::membership::Column::Id.eq(member))
        .exec(&tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn make_admins_invitation(server: &Server, names: &Names) {
    let tx = server.ctx.db().begin().await.unwrap();
    entity::Invitation::update_many()
        .col_expr(entity::invitation::Column::Role, Expr::value(Role::Admin))
        .filter(entity::invitation::Column::Id.eq(names.invitation))
        .exec(&tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

fn set(fields: &mut Fields, name: &'static str, value: &str) {
    fields.retain(|(field, _)| *field != name);
    fields.push((name, value.to_owned()));
}

/// What taking back names after this was done.
async fn undo(server: &Server, names: &Names, function: &str, fields: &Fields) -> Fields {
    let answer = server
        .call("olivia", &format!("/fn/{function}"), fields)
        .await;
    assert_eq!(answer.status, 200, "{function}: {}", answer.body);
    let done: FormSuccess = read(answer.body.as_bytes()).unwrap();
    vec![
        ("workspace", names.workspace.clone()),
        ("event", done.undo.unwrap().event.to_string()),
    ]
}

/// The call of a function that makes it sensitive, without the password.
async fn fields(server: &Server, name: &str) -> Fields {
    let names = names(server).await;
    let mut all: BTreeMap<_, _> = calls(&names).into_iter().collect();
    let mut fields = all.remove(name).unwrap();
    fields.retain(|(field, _)| *field != "form[current_password]");
    let adam = membership(server, "adam@acme.example", &names.workspace).await;
    let workspace = || ("workspace", names.workspace.clone());
    match name {
        "invite_members" | "change_role" => set(&mut fields, "form[role]", "admin"),
        "resend_invitation" => make_admins_invitation(server, &names).await,
        "undo_cancel_invitation" => {
            make_admins_invitation(server, &names).await;
            let cancelled = vec![workspace(), ("invitation", names.invitation.to_string())];
            fields = undo(server, &names, "cancel_invitation", &cancelled).await;
        }
        "undo_change_role" => {
            let demoted = vec![
                ("form[workspace]", names.workspace.clone()),
                ("form[member]", adam.to_string()),
                ("form[role]", "member".to_owned()),
            ];
            fields = undo(server, &names, "change_role", &demoted).await;
        }
        "undo_remove_member" => {
            let removed = vec![workspace(), ("member", adam.to_string())];
            fields = undo(server, &names, "remove_member", &removed).await;
        }
        "remove_member" => {
            make_owner(server, adam).await;
            set(&mut fields, "member", &adam.to_string());
        }
        "leave_workspace" => make_owner(server, adam).await,
        "update_webhook" => set(&mut fields, "form[url]", "https://elsewhere.example.com/"),
        "save_profile" => set(&mut fields, "form[email]", "olivia@elsewhere.example"),
        _ => {}
    }
    fields
}

/// The current password that an answer asks for.
fn asked(answer: &Answer) -> Option<String> {
    if answer.status != 422 {
        return None;
    }
    match read::<AppError>(answer.body.as_bytes()) {
        Ok(AppError::Invalid(errors)) => errors.get("current_password").map(str::to_owned),
        _ => None,
    }
}

async fn every_sensitive_function(kind: Kind) {
    let template = Template::new(kind).await;
    let functions: Vec<&str> = Sensitive::ALL
        .into_iter()
        .flat_map(|operation| operation.done_by().iter().copied())
        .filter(|name| !name.starts_with('/'))
        .collect();
    for name in functions {
        let path = format!("/fn/{name}");
        let fresh = {
            let server = template.copy().await;
            dispatch_all(&server.ctx).await.unwrap();
            let fields = fields(&server, name).await;
            server.call("olivia", &path, &fields).await
        };
        assert_eq!(asked(&fresh), None, "{name} in a fresh session");

        let server = template.copy().await;
        dispatch_all(&server.ctx).await.unwrap();
        age(&server).await;
        let fields = fields(&server, name).await;
        let refused = server.call("olivia", &path, &fields).await;
        assert_eq!(refused.status, 422, "{name}: {}", refused.body);
        assert!(asked(&refused).is_some(), "{name}: {}", refused.body);
        let with = |password: &str| {
            let mut fields = fields.clone();
            fields.push(("_current_password", password.to_owned()));
            fields
        };
        let wrong = server.call("olivia", &path, &with("not it")).await;
        assert_eq!(
            asked(&wrong).as_deref(),
            Some("Incorrect password"),
            "{name}"
        );
        assert_eq!(wrong.cookie(cookie_name(false)), None, "{name}");
        let done = server.call("olivia", &path, &with(PASSWORD)).await;
        assert_eq!(done.status, fresh.status, "{name}: {}", done.body);
        let cookie = done.cookie(cookie_name(false)).expect(name);
        assert_ne!(cookie, server.cookies["olivia"].expose(), "{name}");
        let stolen = server.call("olivia", "/fn/load_account", &[]).await;
        assert_eq!(stolen.status, 401, "{name}: the old token is dead");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sensitive_function_wants_a_fresh_sign_in_on_sqlite() {
    every_sensitive_function(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sensitive_function_wants_a_fresh_sign_in_on_postgres() {
    every_sensitive_function(Kind::Postgres).await;
}
