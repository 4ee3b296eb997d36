use app::catalog::EventType;
use app::domain::{AppError, Email, Name, Secret};
use app::session::model::LinkKind;
use app::session::store as sessions;
use app::settings::account::model::PasswordForm;
use app::settings::account::store;

use crate::support::{ADAM, MIA, OLIVIA, both, info, token_in};

const GOOD: &str = "seven unrelated purple teapots";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

both! {
    async fn a_name_is_saved_at_once(world) {
        let mia = world.person(MIA).await;
        let done = store::save_profile(&world.house, &info(), &mia, name("Mia M."), email(MIA), &Secret::default()).await;
        assert_eq!(done.unwrap().message, "Changes saved");
        assert_eq!(world.person(MIA).await.name(), "Mia M.");
        assert!(world.letters_to(MIA).await.is_empty());
    }

    async fn a_new_address_counts_when_it_is_confirmed_and_ends_sessions(world) {
        let cookie = world.cookie(MIA).await;
        let mia = world.caller(Some(&cookie)).person().await.unwrap();
        let new = email("mia@new.example");
        store::save_profile(&world.house, &info(), &mia, name("Mia Moreno"), new, &Secret::default()).await.unwrap();
        let view = store::view(&world.house, &mia).await.unwrap();
        assert_eq!(view.email.as_str(), MIA);
        assert_eq!(view.pending.unwrap().email.as_str(), "mia@new.example");

        let token = Secret::from(token_in(&world.letters_to("mia@new.example").await[0], "/confirm-email/"));
        assert_eq!(store::link_kind(&world.house, &token).await.unwrap(), LinkKind::ConfirmChange);
        store::follow_link(&world.house, &token).await.unwrap();
        assert!(store::follow_link(&world.house, &token).await.is_err());
        assert_eq!(world.caller(Some(&cookie)).person().await.err(), Some(AppError::Unauthenticated));
        assert_eq!(world.person("mia@new.example").await.id(), mia.id());
        assert_eq!(world.events(EventType::SecurityEmailChanged).await, 1);
    }

    async fn an_address_that_waits_already_is_not_asked_for_again(world) {
        let mia = world.person(MIA).await;
        for wanted in ["Mia Moreno", "Mia M."] {
            let new = email("mia@new.example");
            store::save_profile(&world.house, &info(), &mia, name(wanted), new, &Secret::default()).await.unwrap();
        }
        assert_eq!(world.person(MIA).await.name(), "Mia M.");
        assert_eq!(world.letters_to("mia@new.example").await.len(), 1, "the first link still holds");
        let token = Secret::from(token_in(&world.letters_to("mia@new.example").await[0], "/confirm-email/"));
        assert_eq!(store::link_kind(&world.house, &token).await.unwrap(), LinkKind::ConfirmChange);
    }

    async fn the_old_address_takes_a_change_back_even_afterwards(world) {
        let mia = world.person(MIA).await;
        let new = email("mallory@evil.example");
        store::save_profile(&world.house, &info(), &mia, name("Mia Moreno"), new, &Secret::default()).await.unwrap();
        let confirm = token_in(&world.letters_to("mallory@evil.example").await[0], "/confirm-email/");
        store::follow_link(&world.house, &Secret::from(confirm)).await.unwrap();
        let revert = Secret::from(token_in(&world.letters_to(MIA).await[0], "/confirm-email/"));
        assert_eq!(store::link_kind(&world.house, &revert).await.unwrap(), LinkKind::KeepAddress);
        store::follow_link(&world.house, &revert).await.unwrap();
        assert_eq!(world.person(MIA).await.id(), mia.id());
        assert_eq!(store::link_kind(&world.house, &revert).await.unwrap(), LinkKind::Dead);
    }

    async fn an_address_of_someone_else_is_neither_taken_nor_revealed(world) {
        let mia = world.person(MIA).await;
        let done = store::save_profile(&world.house, &info(), &mia, name("Mia Moreno"), email(ADAM), &Secret::default()).await;
        assert!(done.unwrap().message.contains("We sent a link to adam@acme.example"));
        let letter = world.letters_to(ADAM).await.pop().unwrap();
        assert!(!letter.contains("/confirm-email/"), "{letter}");
    }

    async fn a_cancelled_change_leaves_dead_links(world) {
        let mia = world.person(MIA).await;
        store::save_profile(&world.house, &info(), &mia, name("Mia"), email("mia@new.example"), &Secret::default())
            .await
            .unwrap();
        store::cancel_change(&world.house, &mia).await.unwrap();
        let confirm = Secret::from(token_in(&world.letters_to("mia@new.example").await[0], "/confirm-email/"));
        assert_eq!(store::link_kind(&world.house, &confirm).await.unwrap(), LinkKind::Dead);
        assert!(store::follow_link(&world.house, &confirm).await.is_err());
        assert!(matches!(store::cancel_change(&world.house, &mia).await, Err(AppError::Conflict(_))));
    }

    async fn a_new_password_ends_the_other_sessions_and_says_how_many(world) {
        let (here, there) = (world.cookie(OLIVIA).await, world.cookie(OLIVIA).await);
        let olivia = world.caller(Some(&here)).person().await.unwrap();
        let form = PasswordForm { password: GOOD.into(), confirm: GOOD.into(), current_password: Secret::default() };
        assert_eq!(store::update_password(&world.house, &info(), &olivia, &form).await.unwrap(), 1);
        assert!(world.caller(Some(&here)).person().await.is_ok());
        assert_eq!(world.caller(Some(&there)).person().await.err(), Some(AppError::Unauthenticated));
        assert!(sessions::sign_in(&world.house, &info(), OLIVIA, &Secret::from(GOOD)).await.is_ok());
    }

    async fn an_old_sign_in_is_asked_for_the_password(world) {
        use app::db::entity::{Session, session::Column};
        use sea_orm::{EntityTrait, sea_query::Expr};
        let cookie = world.cookie(OLIVIA).await;
        let long_ago = app::domain::Timestamp::now().before(app::domain::minutes(16));
        let tx = world.house.db().begin().await.unwrap();
        Session::update_many().col_expr(Column::AuthenticatedAt, Expr::value(long_ago)).exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        let olivia = world.caller(Some(&cookie)).person().await.unwrap();
        let change = |current: &str| PasswordForm { password: GOOD.into(), confirm: GOOD.into(), current_password: current.into() };
        for wrong in ["", "not my password"] {
            let refused = store::update_password(&world.house, &info(), &olivia, &change(wrong)).await.unwrap_err();
            assert!(matches!(refused, AppError::Invalid(errors) if errors.get("current_password").is_some()));
        }
        let right = change(app::db::seed::PASSWORD);
        assert!(store::update_password(&world.house, &info(), &olivia, &right).await.is_ok());
    }

    async fn sessions_of_others_do_not_exist(world) {
        let olivia = world.person(OLIVIA).await;
        let adam = world.person(ADAM).await;
        assert_eq!(store::end_session(&world.house, &adam, olivia.session()).await, Err(AppError::NotFound));
        assert_eq!(store::end_others(&world.house, &adam).await, Ok(0));
        assert!(store::end_session(&world.house, &olivia, olivia.session()).await.is_ok());
    }
}
