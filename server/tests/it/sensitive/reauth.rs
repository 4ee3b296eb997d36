//! Where the password is asked for again, and what giving it does to the session.

use std::collections::BTreeMap;

use app::session::api::cookie_name;
use domain::Role;
use store::db::entity;
use store::db::sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use store::demo::PASSWORD;

use super::{age, asked, fields, make_admins_invitation, membership, names};
use crate::access::{Fields, calls};
use crate::both::both;
use crate::support::{Answer, Server};

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
