//! The password given again: what becomes of the session, and of whoever stole it.

use domain::account::PasswordForm;
use domain::{AppError, Secret};
use store::account;
use store::auth::{Caller, sessions};
use store::demo::PASSWORD;
use store::passwords::Passwords;
use store::rate_limit::auth::AuthLimits;

use crate::support::{OLIVIA, TestEnv, age_sign_ins, both, info, info_from};

fn new_password(current: &str) -> PasswordForm {
    PasswordForm {
        password: Secret::from("seven unrelated purple teapots"),
        confirm: Secret::from("seven unrelated purple teapots"),
        current_password: Secret::from(current),
    }
}

async fn is_dead(env: &TestEnv, cookie: &Secret) -> bool {
    env.caller(Some(cookie)).visitor().await.unwrap().is_none()
}

both! {
    async fn the_password_given_again_makes_fresh_and_changes_the_token(env) {
        let old = env.cookie(OLIVIA).await;
        age_sign_ins(env).await;
        let caller = env.caller(Some(&old));
        let person = caller.person().await.unwrap();
        assert!(!person.is_fresh());
        let given = Secret::from(PASSWORD);
        sessions::confirm_identity(&env.ctx, &info(), &person, &given).await.unwrap();
        assert!(person.is_fresh());
        let new = caller.new_cookie().expect("the browser is told");
        assert!(is_dead(env, &old).await, "whoever stole it has nothing");
        let again = env.caller(Some(&new)).person().await.unwrap();
        assert_eq!(again.session(), person.session(), "the session goes on");
        assert!(again.is_fresh());
    }

    async fn a_wrong_password_changes_nothing(env) {
        let cookie = env.cookie(OLIVIA).await;
        let caller = env.caller(Some(&cookie));
        let person = caller.person().await.unwrap();
        let wrong = sessions::confirm_identity(&env.ctx, &info(), &person, &Secret::from("not it")).await;
        assert!(matches!(wrong, Err(AppError::Invalid(_))));
        assert_eq!(caller.new_cookie(), None);
        assert!(!is_dead(env, &cookie).await);
    }

    async fn a_changed_password_ends_a_stolen_token_whether_or_not_it_was_asked_for(env) {
        for current in ["", PASSWORD] {
            let stolen = env.cookie(OLIVIA).await;
            let owner = env.caller(Some(&stolen));
            let person = owner.person().await.unwrap();
            // The thief's request is under way already.
            let thief = env.caller(Some(&stolen)).person().await.unwrap();
            account::update_password(&env.ctx, &info(), &person, &new_password(current)).await.unwrap();
            assert!(is_dead(env, &stolen).await);
            let new = owner.new_cookie().unwrap();
            assert!(!is_dead(env, &new).await);
            let late = account::update_password(&env.ctx, &info(), &thief, &new_password("")).await;
            assert_eq!(late.err(), Some(AppError::Unauthenticated));
            // Back to the old one, for the next round.
            let person = env.caller(Some(&new)).person().await.unwrap();
            let back = PasswordForm {
                password: Secret::from(PASSWORD),
                confirm: Secret::from(PASSWORD),
                current_password: Secret::default(),
            };
            account::update_password(&env.ctx, &info(), &person, &back).await.unwrap();
        }
    }

    async fn a_stolen_session_guesses_no_more_than_a_stranger(env) {
        let cookie = env.cookie(OLIVIA).await;
        let ctx = env.house_with(Passwords::quick_for_tests(), AuthLimits::on());
        let person = Caller::new(ctx.clone(), info(), Some(cookie.expose().to_owned())).person().await.unwrap();
        let mut tried = 0;
        for n in 0..60 {
            let guess = Secret::from(format!("guess {n}"));
            match sessions::confirm_identity(&ctx, &info_from(n), &person, &guess).await {
                Err(AppError::RateLimited { .. }) => {}
                Err(AppError::Invalid(_)) => tried += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(tried <= 10, "{tried} guesses from sixty places");
    }
}
