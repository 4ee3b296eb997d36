//! What takes a fresh sign-in, and what giving the password again does to a session.

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
use crate::both::both;
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

/// A server for a browser that has taken the new cookie.
fn with_cookie(server: &Server, answer: &Answer) -> Server {
    let mut cookies = server.cookies.clone();
    let cookie = answer.cookie(cookie_name(false)).expect("a new cookie");
    cookies.insert("olivia", cookie.as_str().into());
    Server {
        router: server.router.clone(),
        state: server.state.clone(),
        ctx: server.ctx.clone(),
        cookies,
        database: crate::support::Database {
            url: server.database.url.clone(),
            folder: None,
        },
    }
}

both! {
    async fn what_is_taken_out_in_bulk_asks_for_the_password_and_goes_on(server) {
        for path in ["/w/acme/members.csv", "/w/acme/credits.csv"] {
            age(server).await;
            let answer = server.page("adam", path).await;
            assert_eq!(answer.status, 303, "{path}");
            assert_eq!(answer.header("location"), format!("/confirm-password?next={path}"));
            assert!(!answer.body.contains("olivia@acme.example"));
        }
        let fields = |password: &str| [
            ("form[current_password]", password.to_owned()),
            ("form[next]", "/w/acme/members.csv".to_owned()),
        ];
        let page = server.page("olivia", "/confirm-password?next=/w/acme/members.csv").await;
        assert!(page.body.contains("Current Password"));
        let wrong = server.call("olivia", "/fn/confirm_password", &fields("not it")).await;
        assert_eq!(wrong.status, 422);
        let right = server.submit("olivia", "/fn/confirm_password", &fields(PASSWORD)).await;
        assert_eq!((right.status.as_u16(), right.header("location")), (303, "/w/acme/members.csv"));
        let server = with_cookie(server, &right);
        let file = server.page("olivia", "/w/acme/members.csv").await;
        assert_eq!(file.status, 200);
        assert!(file.body.contains("olivia@acme.example"));
    }

    async fn without_script_the_form_comes_back_with_a_field_for_the_password(server) {
        age(server).await;
        let names = names(server).await;
        let fields = vec![
            ("form[workspace]", names.workspace.clone()),
            ("form[email]", "eve@new.example".to_owned()),
            ("form[role]", "admin".to_owned()),
            ("_back", "/w/acme/settings/members".to_owned()),
        ];
        let answer = server.submit("olivia", "/fn/invite_members", &fields).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/w/acme/settings/members"));
        let flash = format!("wheelhouse_flash={}", answer.cookie("wheelhouse_flash").unwrap());
        let page = server.page_with("olivia", "/w/acme/settings/members", &flash).await;
        assert!(page.body.contains("Enter your current password to continue"), "{}", page.body);
        assert!(page.body.contains("eve@new.example"), "what was typed stays");
        let mut fields = fields;
        fields.push(("form[current_password]", PASSWORD.to_owned()));
        let answer = server.submit("olivia", "/fn/invite_members", &fields).await;
        assert!(answer.cookie(cookie_name(false)).is_some(), "the redirect brings the new cookie");
        let invited = entity::Invitation::find()
            .filter(entity::invitation::Column::Email.eq("eve@new.example"))
            .one(server.ctx.db().read())
            .await
            .unwrap();
        assert_eq!(invited.unwrap().role, Role::Admin);
    }

    async fn without_script_an_undo_and_a_purchase_ask_where_they_stand(server) {
        let names = names(server).await;
        let undo = fields(server, "undo_remove_member").await;
        age(server).await;
        let ask = async |path: &str, page: &str, fields: &Fields, key: &str| {
            let mut fields = fields.clone();
            fields.push(("_back", page.to_owned()));
            fields.push(("_form", key.to_owned()));
            let answer = server.submit("olivia", path, &fields).await;
            let flash = format!("wheelhouse_flash={}", answer.cookie("wheelhouse_flash").unwrap());
            let page = server.page_with("olivia", page, &flash).await;
            assert!(page.body.contains("name=\"_current_password\""), "{path}: {}", page.body);
        };
        ask("/fn/undo_remove_member", "/w/acme/settings/members", &undo, "").await;
        let buy = vec![("form[workspace]", names.workspace.clone()), ("form[credits]", "1000".to_owned())];
        ask("/fn/buy_credits", "/w/acme/settings/credits", &buy, "1000").await;
    }

    async fn what_only_takes_away_needs_no_password(server) {
        age(server).await;
        let names = names(server).await;
        let all: BTreeMap<_, _> = calls(&names).into_iter().collect();
        for name in ["invite_members", "change_role", "remove_member", "update_webhook", "rename_workspace"] {
            let answer = server.call("olivia", &format!("/fn/{name}"), &all[name]).await;
            assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        }
        let off = vec![("form[workspace]", names.workspace.clone()), ("form[package]", String::new())];
        let answer = server.call("olivia", "/fn/set_top_up", &off).await;
        assert_eq!(asked(&answer), None, "turned off: {}", answer.body);
    }

    async fn a_link_that_grants_admin_is_not_shown_to_a_stale_session(server) {
        let names = names(server).await;
        make_admins_invitation(server, &names).await;
        let page = server.page("olivia", "/w/acme/settings/members").await;
        let links = page.body.matches("/invite/").count();
        age(server).await;
        let page = server.page("olivia", "/w/acme/settings/members").await;
        assert!(page.body.matches("/invite/").count() < links);
        assert!(page.body.contains("/confirm-password?next=/w/acme/settings/members"));
    }

    async fn a_changed_password_gives_the_session_another_token(server) {
        let fields = [
            ("form[password]", "seven unrelated purple teapots".to_owned()),
            ("form[confirm]", "seven unrelated purple teapots".to_owned()),
        ];
        let answer = server.submit("olivia", "/fn/update_password", &fields).await;
        let browser = with_cookie(server, &answer);
        assert_eq!(server.call("olivia", "/fn/load_account", &[]).await.status, 401, "the thief");
        assert_eq!(browser.call("olivia", "/fn/load_account", &[]).await.status, 200, "the owner");
        let sessions = entity::Session::find().all(server.ctx.db().read()).await.unwrap();
        let olivia = membership(server, "olivia@acme.example", &names(server).await.workspace).await;
        let olivia = entity::Membership::find_by_id(olivia).one(server.ctx.db().read()).await.unwrap().unwrap();
        assert_eq!(sessions.iter().filter(|session| session.user_id == olivia.user_id).count(), 1);
    }

    async fn signing_in_ends_the_session_that_the_browser_had(server) {
        let fields = [
            ("form[email]", "mia@acme.example".to_owned()),
            ("form[password]", PASSWORD.to_owned()),
        ];
        let wrong = [fields[0].clone(), ("form[password]", "not it".to_owned())];
        server.call("olivia", "/fn/sign_in", &wrong).await;
        assert_eq!(server.call("olivia", "/fn/load_account", &[]).await.status, 200);
        let answer = server.call("olivia", "/fn/sign_in", &fields).await;
        assert_eq!(answer.status, 200);
        assert_eq!(server.call("olivia", "/fn/load_account", &[]).await.status, 401);
        let browser = with_cookie(server, &answer);
        assert_eq!(browser.call("olivia", "/fn/load_account", &[]).await.status, 200);
    }

    async fn whoever_asks_at_the_same_time_is_not_signed_out(server) {
        age(server).await;
        let fields = [("form[current_password]", PASSWORD.to_owned())];
        let (first, second) = tokio::join!(
            server.call("olivia", "/fn/confirm_password", &fields),
            server.call("olivia", "/fn/confirm_password", &fields),
        );
        let cookies: Vec<String> = [&first, &second].into_iter().filter_map(|answer| answer.cookie(cookie_name(false))).collect();
        assert_eq!(cookies.len(), 1, "one of them brings the new cookie: {} {}", first.status, second.status);
        let winner = if first.status == 200 { &first } else { &second };
        let browser = with_cookie(server, winner);
        // What the script does with a 401: it asks once more, with the cookie that has come meanwhile.
        assert_eq!(browser.call("olivia", "/fn/confirm_password", &fields).await.status, 200);
    }
}
