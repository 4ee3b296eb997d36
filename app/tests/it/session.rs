use app::catalog::EventType;
use app::domain::{AppError, Email, Name, Secret};
use app::session::model::SignUp;
use app::session::store;
use sea_orm::EntityTrait;

use crate::support::{CLEO, OLIVIA, both, info, token_in};

const GOOD: &str = "seven unrelated purple teapots";

fn new_person(email: &str) -> SignUp {
    SignUp {
        name: Name::parse("Zoe Zimmer").unwrap(),
        email: Email::parse(email).unwrap(),
        password: Secret::from(GOOD),
        workspace: Name::parse("Acme").unwrap(),
    }
}

both! {
    async fn signing_up_makes_an_account_and_a_workspace_of_its_own(world) {
        let begun = store::sign_up(&world.house, &info(), new_person("zoe@new.example")).await.unwrap();
        assert_eq!(begun.path, "/w/acme-2", "the name is taken as a URL, so the next free one is");
        let actor = world.caller(Some(&begun.cookie)).actor("acme-2").await.unwrap();
        assert!(actor.role().is_owner());
        assert!(!actor.person().is_confirmed());
        let letters = world.letters_to("zoe@new.example").await;
        let token = Secret::from(token_in(&letters[0], "https://house.example/confirm-email/"));
        assert!(store::confirm_address(&world.house, &token).await.unwrap());
        assert!(!store::confirm_address(&world.house, &token).await.unwrap(), "a link works once");
        assert!(world.caller(Some(&begun.cookie)).person().await.unwrap().is_confirmed());
    }

    async fn an_address_has_one_account(world) {
        let refused = store::sign_up(&world.house, &info(), new_person(OLIVIA)).await.err().unwrap();
        assert!(matches!(refused, AppError::Invalid(errors) if errors.get("email").is_some()));
        assert_eq!(world.events(EventType::WorkspaceCreated).await, 2, "nothing was left behind");
    }

    async fn a_wrong_password_and_an_unknown_address_get_the_same_answer(world) {
        let wrong = store::sign_in(&world.house, &info(), OLIVIA, &Secret::from("wrong")).await.err().unwrap();
        let unknown = store::sign_in(&world.house, &info(), "x@y.example", &Secret::from("wrong")).await.err().unwrap();
        assert_eq!(wrong, unknown);
    }

    async fn a_session_is_kept_as_a_hash_and_ends_at_sign_out(world) {
        let cookie = world.cookie(OLIVIA).await;
        let rows = app::db::entity::Session::find().all(world.house.db().read()).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].token_hash.len(), 32);
        assert_ne!(rows[0].token_hash, cookie.expose().as_bytes());
        let person = world.caller(Some(&cookie)).person().await.unwrap();
        store::sign_out(&world.house, &person).await.unwrap();
        assert_eq!(world.caller(Some(&cookie)).person().await.err(), Some(AppError::Unauthenticated));
        assert_eq!(world.events(EventType::SecuritySignedIn).await, 1);
    }

    async fn a_reset_works_once_and_ends_every_session(world) {
        let cookie = world.cookie(OLIVIA).await;
        store::request_reset(&world.house, &info(), OLIVIA).await.unwrap();
        store::request_reset(&world.house, &info(), "nobody@acme.example").await.unwrap();
        assert!(world.letters_to("nobody@acme.example").await.is_empty());
        let token = Secret::from(token_in(world.letters_to(OLIVIA).await.last().unwrap(), "/reset-password/"));
        let weak = store::reset_password(&world.house, &info(), &token, &Secret::from("password1234")).await;
        assert!(matches!(weak, Err(AppError::Invalid(_))), "a refused password does not use the link up");
        store::reset_password(&world.house, &info(), &token, &Secret::from(GOOD)).await.unwrap();
        assert!(matches!(
            store::reset_password(&world.house, &info(), &token, &Secret::from(GOOD)).await,
            Err(AppError::Conflict(_))
        ));
        assert_eq!(world.caller(Some(&cookie)).person().await.err(), Some(AppError::Unauthenticated));
        assert!(store::sign_in(&world.house, &info(), OLIVIA, &Secret::from(GOOD)).await.is_ok());
    }

    async fn another_workspace_does_not_exist(world) {
        let caller = world.caller(Some(&world.cookie(CLEO).await));
        assert_eq!(caller.actor("globex").await.err(), Some(AppError::NotFound));
        assert_eq!(caller.actor("no-such-place").await.err(), Some(AppError::NotFound));
    }
}
