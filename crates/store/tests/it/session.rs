use domain::catalog::EventType;
use domain::session::SignUp;
use domain::{AppError, Email, Name, Secret, Timestamp, days, minutes};
use sea_orm::sea_query::Expr;
use sea_orm::{EntityTrait, PaginatorTrait};
use store::auth::sessions;
use store::passwords::Passwords;
use store::rate_limit::auth::AuthLimits;

use crate::support::{CLEO, OLIVIA, TestEnv, both, info, info_from, token_in};

const GOOD: &str = "seven unrelated purple teapots";

fn new_person(email: &str) -> SignUp {
    SignUp {
        name: Name::parse("Zoe Zimmer").unwrap(),
        email: Email::parse(email).unwrap(),
        password: Secret::from(GOOD),
        workspace: Name::parse("Acme").unwrap(),
    }
}

/// Someone whose workspace has a name that suggests no address of its own.
fn person_of_a_company(n: usize) -> SignUp {
    SignUp {
        email: Email::parse(&format!("person{n}@new.example")).unwrap(),
        workspace: Name::parse("株式会社").unwrap(),
        ..new_person("zoe@new.example")
    }
}

async fn set_sessions(env: &TestEnv, column: store::db::entity::session::Column, at: Timestamp) {
    let tx = env.ctx.db().begin().await.unwrap();
    store::db::entity::Session::update_many()
        .col_expr(column, Expr::value(at))
        .exec(&tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

both! {
    async fn signing_up_makes_an_account_and_a_workspace_of_its_own(env) {
        let begun = sessions::sign_up(&env.ctx, &info(), new_person("zoe@new.example")).await.unwrap();
        assert_eq!(begun.path, "/w/acme-2", "the name is taken as a URL, so the next free one is");
        let actor = env.caller(Some(&begun.cookie)).actor("acme-2").await.unwrap();
        assert!(actor.role().is_owner());
        assert!(!actor.person().is_confirmed());
        let messages = env.letters_to("zoe@new.example").await;
        let token = Secret::from(token_in(&messages[0], "https://settings.example/confirm-email/"));
        assert!(sessions::confirm_address(&env.ctx, &token).await.unwrap());
        assert!(!sessions::confirm_address(&env.ctx, &token).await.unwrap(), "a link works once");
        assert!(env.caller(Some(&begun.cookie)).person().await.unwrap().is_confirmed());
    }

    async fn seventy_workspaces_of_one_name_find_seventy_urls(env) {
        let mut paths = std::collections::BTreeSet::new();
        for n in 0..70 {
            let begun = sessions::sign_up(&env.ctx, &info(), person_of_a_company(n)).await.unwrap();
            assert!(begun.path.starts_with("/w/my-workspace"), "{}", begun.path);
            paths.insert(begun.path);
        }
        assert_eq!(paths.len(), 70);
    }

    async fn ten_who_sign_up_at_once_with_one_name_all_get_in(env) {
        let mut racing = tokio::task::JoinSet::new();
        for n in 0..10 {
            let ctx = env.ctx.clone();
            racing.spawn(async move { sessions::sign_up(&ctx, &info(), person_of_a_company(n)).await.map(|begun| begun.path) });
        }
        let paths: Result<std::collections::BTreeSet<String>, AppError> = racing.join_all().await.into_iter().collect();
        assert_eq!(paths.unwrap().len(), 10);
    }

    async fn an_address_has_one_account(env) {
        let refused = sessions::sign_up(&env.ctx, &info(), new_person(OLIVIA)).await.err().unwrap();
        assert!(matches!(refused, AppError::Invalid(errors) if errors.get("email").is_some()));
        assert_eq!(env.events(EventType::WorkspaceCreated).await, 2, "nothing was left behind");
    }

    async fn a_wrong_password_and_an_unknown_address_get_the_same_answer(env) {
        let wrong = sessions::sign_in(&env.ctx, &info(), OLIVIA, &Secret::from("wrong")).await.err().unwrap();
        let unknown = sessions::sign_in(&env.ctx, &info(), "x@y.example", &Secret::from("wrong")).await.err().unwrap();
        assert_eq!(wrong, unknown);
    }

    async fn a_session_is_kept_as_a_hash_and_ends_at_sign_out(env) {
        let cookie = env.cookie(OLIVIA).await;
        let rows = store::db::entity::Session::find().all(env.ctx.db().read()).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].token_hash.len(), 32);
        assert_ne!(rows[0].token_hash, cookie.expose().as_bytes());
        let person = env.caller(Some(&cookie)).person().await.unwrap();
        sessions::sign_out(&env.ctx, &person).await.unwrap();
        assert_eq!(env.caller(Some(&cookie)).person().await.err(), Some(AppError::Unauthenticated));
        assert_eq!(env.events(EventType::SecuritySignedIn).await, 1);
    }

    async fn a_reset_works_once_and_ends_every_session(env) {
        let cookie = env.cookie(OLIVIA).await;
        sessions::request_reset(&env.ctx, &info(), OLIVIA).await.unwrap();
        sessions::request_reset(&env.ctx, &info(), "nobody@acme.example").await.unwrap();
        assert!(env.letters_to("nobody@acme.example").await.is_empty());
        let token = Secret::from(token_in(env.letters_to(OLIVIA).await.last().unwrap(), "/reset-password/"));
        let weak = sessions::reset_password(&env.ctx, &info(), &token, &Secret::from("password1234")).await;
        assert!(matches!(weak, Err(AppError::Invalid(_))), "a refused password does not use the link up");
        sessions::reset_password(&env.ctx, &info(), &token, &Secret::from(GOOD)).await.unwrap();
        assert!(matches!(
            sessions::reset_password(&env.ctx, &info(), &token, &Secret::from(GOOD)).await,
            Err(AppError::Conflict(_))
        ));
        assert_eq!(env.caller(Some(&cookie)).person().await.err(), Some(AppError::Unauthenticated));
        assert!(sessions::sign_in(&env.ctx, &info(), OLIVIA, &Secret::from(GOOD)).await.is_ok());
    }

    async fn asking_for_another_reset_leaves_the_first_link_alive_and_using_one_ends_all(env) {
        for _ in 0..2 {
            sessions::request_reset(&env.ctx, &info(), OLIVIA).await.unwrap();
        }
        let links: Vec<Secret> = env.letters_to(OLIVIA).await.iter()
            .map(|message| Secret::from(token_in(message, "/reset-password/")))
            .collect();
        sessions::reset_password(&env.ctx, &info(), &links[0], &Secret::from(GOOD)).await.unwrap();
        let other = sessions::reset_password(&env.ctx, &info(), &links[1], &Secret::from(GOOD)).await;
        assert!(matches!(other, Err(AppError::Conflict(_))));
    }

    async fn strangers_lock_nobody_out_of_where_they_have_signed_in(env) {
        let ctx = env.house_with(Passwords::quick_for_tests(), AuthLimits::on());
        let person = env.person(OLIVIA).await;
        sessions::sign_out(&ctx, &person).await.unwrap();
        let refused = async |n: u8| sessions::sign_in(&ctx, &info_from(n), OLIVIA, &Secret::from("wrong")).await.err();
        for n in 0..60 {
            refused(n).await;
        }
        assert!(matches!(refused(200).await, Some(AppError::RateLimited { .. })), "the account's allowance is used up");
        let password = Secret::from(store::demo::PASSWORD);
        assert!(sessions::sign_in(&ctx, &info(), OLIVIA, &password).await.is_ok(), "but not at home, signed out as she is");
        for n in 0..10 {
            let _ = sessions::request_reset(&ctx, &info_from(n), OLIVIA).await;
        }
        assert!(sessions::request_reset(&ctx, &info_from(201), OLIVIA).await.is_err());
        assert!(sessions::request_reset(&ctx, &info(), OLIVIA).await.is_ok());
    }

    async fn the_last_twenty_networks_are_remembered_for_half_a_year(env) {
        use store::db::entity::{KnownNetwork, known_network::Column};
        let password = Secret::from(store::demo::PASSWORD);
        for n in 0..25 {
            sessions::sign_in(&env.ctx, &info_from(n), OLIVIA, &password).await.unwrap();
        }
        let read = env.ctx.db().read();
        assert_eq!(KnownNetwork::find().count(read).await.unwrap(), 20);
        let tx = env.ctx.db().begin().await.unwrap();
        let old = Timestamp::now().before(days(181));
        KnownNetwork::update_many().col_expr(Column::LastSeenAt, Expr::value(old)).exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        sessions::sweep(&env.ctx).await.unwrap();
        assert_eq!(KnownNetwork::find().count(read).await.unwrap(), 0);
    }

    async fn a_session_unused_for_two_weeks_has_ended(env) {
        use store::db::entity::session::Column;
        let cookie = env.cookie(OLIVIA).await;
        let here = async || env.caller(Some(&cookie)).person().await.is_ok();
        set_sessions(env, Column::LastSeenAt, Timestamp::now().before(days(14)).after(minutes(1))).await;
        assert!(here().await);
        set_sessions(env, Column::LastSeenAt, Timestamp::now().before(days(14))).await;
        assert!(!here().await);
        // Well before, so that the sweep, which asks a moment later, is not in the same millisecond.
        set_sessions(env, Column::LastSeenAt, Timestamp::now().before(days(14)).before(minutes(1))).await;
        sessions::sweep(&env.ctx).await.unwrap();
        assert_eq!(store::db::entity::Session::find().count(env.ctx.db().read()).await.unwrap(), 0);
    }

    async fn a_session_ends_after_ninety_days_however_much_it_is_used(env) {
        use store::db::entity::session::Column;
        let cookie = env.cookie(OLIVIA).await;
        let session = store::db::entity::Session::find().one(env.ctx.db().read()).await.unwrap().unwrap();
        assert_eq!(session.expires_at, session.created_at.after(days(90)));
        let seen = env.caller(Some(&cookie));
        seen.person().await.unwrap();
        sessions::record_last_seen(&env.ctx, &seen.seen().await.unwrap()).await.unwrap();
        let later = store::db::entity::Session::find().one(env.ctx.db().read()).await.unwrap().unwrap();
        assert_eq!(later.expires_at, session.expires_at, "using it does not prolong it");
        set_sessions(env, Column::ExpiresAt, Timestamp::now()).await;
        assert_eq!(env.caller(Some(&cookie)).person().await.err(), Some(AppError::Unauthenticated));
    }

    async fn a_weak_hash_is_made_anew_at_the_next_sign_in(env) {
        let hash = async || {
            let users = store::db::entity::User::find().all(env.ctx.db().read()).await.unwrap();
            users.into_iter().find(|user| user.email.as_str() == OLIVIA).unwrap().password_hash
        };
        let weak = hash().await;
        let ctx = env.house_with(Passwords::new(1), AuthLimits::off());
        let sign_in = async |password: &str| sessions::sign_in(&ctx, &info(), OLIVIA, &Secret::from(password)).await;
        assert!(sign_in("wrong").await.is_err());
        assert_eq!(hash().await, weak, "a wrong password changes nothing");
        assert!(sign_in(store::demo::PASSWORD).await.is_ok());
        let strong = hash().await;
        assert!(ctx.passwords().is_outdated(&weak) && !ctx.passwords().is_outdated(&strong));
        assert!(sign_in(store::demo::PASSWORD).await.is_ok());
        assert_eq!(hash().await, strong, "once is enough");
    }

    async fn a_sign_in_that_races_a_new_password_leaves_no_session_of_the_old_one(env) {
        use domain::account::PasswordForm;
        use store::account;
        let mut old = store::demo::PASSWORD.to_owned();
        for n in 0..6 {
            let new = format!("{n} {GOOD}");
            let here = sessions::sign_in(&env.ctx, &info(), OLIVIA, &Secret::from(old.as_str())).await.unwrap().cookie;
            let olivia = env.caller(Some(&here)).person().await.unwrap();
            let form = PasswordForm { password: new.as_str().into(), confirm: new.as_str().into(), current_password: Secret::default() };
            let (old_password, from) = (Secret::from(old.as_str()), info());
            let (changed, signed_in) = tokio::join!(
                account::update_password(&env.ctx, &from, &olivia, &form),
                sessions::sign_in(&env.ctx, &from, OLIVIA, &old_password),
            );
            changed.unwrap();
            if let Ok(begun) = signed_in {
                assert!(env.caller(Some(&begun.cookie)).person().await.is_err());
            }
            old = new;
        }
    }

    async fn another_workspace_does_not_exist(env) {
        let caller = env.caller(Some(&env.cookie(CLEO).await));
        assert_eq!(caller.actor("globex").await.err(), Some(AppError::NotFound));
        assert_eq!(caller.actor("no-such-place").await.err(), Some(AppError::NotFound));
    }
}
