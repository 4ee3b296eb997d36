use app::catalog::EventType;
use app::domain::{AppError, Email, Name, Secret};
use app::session::model::LinkKind;
use app::session::store as sessions;
use app::settings::account::model::PasswordForm;
use app::settings::account::store;

use crate::support::{ADAM, MIA, OLIVIA, World, age_sign_ins, both, info, token_in};

const GOOD: &str = "seven unrelated purple teapots";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

/// Someone who is in the account behind `from` moves it to `to`. The links that the two mailboxes got: one to confirm
/// it, one to take it back.
async fn begin_move(world: &World, from: &str, to: &str) -> (Secret, Secret) {
    let person = world.person(from).await;
    let kept = name(person.name());
    store::save_profile(
        &world.ctx,
        &info(),
        &person,
        kept,
        email(to),
        &Secret::default(),
    )
    .await
    .unwrap();
    let link = async |who: &str| {
        let letters = world.letters_to(who).await;
        let letter = letters
            .iter()
            .rfind(|letter| letter.contains("/confirm-email/"));
        Secret::from(token_in(letter.unwrap(), "/confirm-email/"))
    };
    (link(to).await, link(from).await)
}

/// The same, confirmed at once. What is left is the link to take it back.
async fn finish_move(world: &World, from: &str, to: &str) -> Secret {
    let (confirm, revert) = begin_move(world, from, to).await;
    store::follow_link(&world.ctx, &confirm).await.unwrap();
    revert
}

async fn is_dead(world: &World, link: &Secret) -> bool {
    let dead = store::link_kind(&world.ctx, link).await.unwrap() == LinkKind::Dead;
    assert_eq!(
        store::follow_link(&world.ctx, link).await.is_err(),
        dead,
        "what the page says of a link is what the link does"
    );
    dead
}

const MALLORY: &str = "mallory@evil.example";
const MALLORY_TOO: &str = "mallory@worse.example";

both! {
    async fn a_name_is_saved_at_once(world) {
        let mia = world.person(MIA).await;
        let done = store::save_profile(&world.ctx, &info(), &mia, name("Mia M."), email(MIA), &Secret::default()).await;
        assert_eq!(done.unwrap().message, "Changes saved");
        assert_eq!(world.person(MIA).await.name(), "Mia M.");
        assert!(world.letters_to(MIA).await.is_empty());
    }

    async fn a_new_address_counts_when_it_is_confirmed_and_ends_sessions(world) {
        let cookie = world.cookie(MIA).await;
        let mia = world.caller(Some(&cookie)).person().await.unwrap();
        let new = email("mia@new.example");
        store::save_profile(&world.ctx, &info(), &mia, name("Mia Moreno"), new, &Secret::default()).await.unwrap();
        let view = store::view(&world.ctx, &mia).await.unwrap();
        assert_eq!(view.email.as_str(), MIA);
        assert_eq!(view.pending.unwrap().email.as_str(), "mia@new.example");

        let token = Secret::from(token_in(&world.letters_to("mia@new.example").await[0], "/confirm-email/"));
        assert_eq!(store::link_kind(&world.ctx, &token).await.unwrap(), LinkKind::ConfirmChange);
        store::follow_link(&world.ctx, &token).await.unwrap();
        assert!(store::follow_link(&world.ctx, &token).await.is_err());
        assert_eq!(world.caller(Some(&cookie)).person().await.err(), Some(AppError::Unauthenticated));
        assert_eq!(world.person("mia@new.example").await.id(), mia.id());
        assert_eq!(world.events(EventType::SecurityEmailChanged).await, 1);
    }

    async fn an_address_that_waits_already_is_not_asked_for_again(world) {
        let mia = world.person(MIA).await;
        for wanted in ["Mia Moreno", "Mia M."] {
            let new = email("mia@new.example");
            store::save_profile(&world.ctx, &info(), &mia, name(wanted), new, &Secret::default()).await.unwrap();
        }
        assert_eq!(world.person(MIA).await.name(), "Mia M.");
        assert_eq!(world.letters_to("mia@new.example").await.len(), 1, "the first link still holds");
        let token = Secret::from(token_in(&world.letters_to("mia@new.example").await[0], "/confirm-email/"));
        assert_eq!(store::link_kind(&world.ctx, &token).await.unwrap(), LinkKind::ConfirmChange);
    }

    async fn the_old_address_takes_a_change_back_even_afterwards(world) {
        let mia = world.person(MIA).await;
        let new = email("mallory@evil.example");
        store::save_profile(&world.ctx, &info(), &mia, name("Mia Moreno"), new, &Secret::default()).await.unwrap();
        let confirm = token_in(&world.letters_to("mallory@evil.example").await[0], "/confirm-email/");
        store::follow_link(&world.ctx, &Secret::from(confirm)).await.unwrap();
        let revert = Secret::from(token_in(&world.letters_to(MIA).await[0], "/confirm-email/"));
        assert_eq!(store::link_kind(&world.ctx, &revert).await.unwrap(), LinkKind::KeepAddress);
        store::follow_link(&world.ctx, &revert).await.unwrap();
        assert_eq!(world.person(MIA).await.id(), mia.id());
        assert_eq!(store::link_kind(&world.ctx, &revert).await.unwrap(), LinkKind::Dead);
    }

    async fn the_old_address_takes_the_account_back_however_often_it_was_moved_on(world) {
        let mia = world.person(MIA).await.id();
        let mias_link = finish_move(world, MIA, MALLORY).await;
        let mallorys_link = finish_move(world, MALLORY, MALLORY_TOO).await;
        sessions::request_reset(&world.ctx, &info(), MALLORY_TOO).await.unwrap();
        let reset = Secret::from(token_in(world.letters_to(MALLORY_TOO).await.last().unwrap(), "/reset-password/"));
        let cookie = world.cookie(MALLORY_TOO).await;
        let (waiting, waiting_revert) = begin_move(world, MALLORY_TOO, "mallory@worst.example").await;

        store::follow_link(&world.ctx, &mias_link).await.unwrap();
        assert_eq!(world.caller(Some(&cookie)).person().await.err(), Some(AppError::Unauthenticated));
        assert!(sessions::reset_password(&world.ctx, &info(), &reset, &Secret::from(GOOD)).await.is_err());
        for dead in [&mallorys_link, &waiting, &waiting_revert, &mias_link] {
            assert!(is_dead(world, dead).await);
        }
        assert_eq!(world.person(MIA).await.id(), mia);
        assert!(world.letters_to(MALLORY_TOO).await.last().unwrap().contains("changed back"));
    }

    async fn a_change_that_waits_dies_when_an_earlier_one_is_taken_back(world) {
        let revert = finish_move(world, MIA, MALLORY).await;
        let (waiting, _) = begin_move(world, MALLORY, MALLORY_TOO).await;
        store::follow_link(&world.ctx, &revert).await.unwrap();
        assert!(is_dead(world, &waiting).await);
        assert!(world.person(MIA).await.is_confirmed());
    }

    async fn whom_the_account_belonged_to_before_keeps_their_link(world) {
        let mia = world.person(MIA).await.id();
        let mias_link = finish_move(world, MIA, MALLORY).await;
        let mallorys_link = finish_move(world, MALLORY, MALLORY_TOO).await;
        store::follow_link(&world.ctx, &mallorys_link).await.unwrap();
        assert_eq!(world.person(MALLORY).await.id(), mia);
        store::follow_link(&world.ctx, &mias_link).await.unwrap();
        assert_eq!(world.person(MIA).await.id(), mia);
    }

    async fn nobody_takes_an_address_that_can_still_take_its_account_back(world) {
        let mia = world.person(MIA).await.id();
        let revert = finish_move(world, MIA, MALLORY).await;
        let squat = app::session::model::SignUp {
            name: name("Mallory"),
            email: email(MIA),
            password: GOOD.into(),
            workspace: name("Mallory"),
        };
        assert!(matches!(sessions::sign_up(&world.ctx, &info(), squat).await.err(), Some(AppError::Invalid(_))));
        let adam = world.person(ADAM).await;
        store::save_profile(&world.ctx, &info(), &adam, name("Adam Archer"), email(MIA), &Secret::default()).await.unwrap();
        assert!(!world.letters_to(MIA).await.last().unwrap().contains("/confirm-email/"));
        store::follow_link(&world.ctx, &revert).await.unwrap();
        assert_eq!(world.person(MIA).await.id(), mia);
    }

    async fn a_new_password_ends_a_change_that_waits(world) {
        let (confirm, revert) = begin_move(world, MIA, MALLORY).await;
        let mia = world.person(MIA).await;
        let form = PasswordForm { password: GOOD.into(), confirm: GOOD.into(), current_password: Secret::default() };
        store::update_password(&world.ctx, &info(), &mia, &form).await.unwrap();
        assert!(is_dead(world, &confirm).await);
        assert!(is_dead(world, &revert).await);
    }

    async fn a_reset_password_ends_a_change_that_waits_but_not_the_way_back_from_one(world) {
        let (confirm, _) = begin_move(world, MIA, MALLORY).await;
        let reset = async |who: &str| {
            sessions::request_reset(&world.ctx, &info(), who).await.unwrap();
            let token = token_in(world.letters_to(who).await.last().unwrap(), "/reset-password/");
            sessions::reset_password(&world.ctx, &info(), &Secret::from(token), &Secret::from(GOOD)).await.unwrap();
        };
        reset(MIA).await;
        assert!(is_dead(world, &confirm).await);

        let revert = finish_move(world, ADAM, MALLORY).await;
        reset(MALLORY).await;
        store::follow_link(&world.ctx, &revert).await.unwrap();
        assert!(sessions::sign_in(&world.ctx, &info(), ADAM, &Secret::from(GOOD)).await.is_ok(), "Adam has his account back");
    }

    async fn a_confirmation_that_races_the_way_back_leaves_the_old_address(world) {
        let mia = world.person(MIA).await.id();
        for _ in 0..8 {
            let (confirm, revert) = begin_move(world, MIA, MALLORY).await;
            let (confirmed, reverted) = tokio::join!(
                store::follow_link(&world.ctx, &confirm),
                store::follow_link(&world.ctx, &revert),
            );
            assert!(reverted.is_ok(), "{reverted:?} after {confirmed:?}");
            assert_eq!(world.person(MIA).await.id(), mia);
            assert!(is_dead(world, &confirm).await && is_dead(world, &revert).await);
        }
    }

    async fn a_session_that_has_ended_begins_no_change(world) {
        let mia = world.person(MIA).await;
        sessions::sign_out(&world.ctx, &mia).await.unwrap();
        let begun = store::save_profile(&world.ctx, &info(), &mia, name("Mia"), email(MALLORY), &Secret::default()).await;
        assert_eq!(begun, Err(AppError::Unauthenticated));
        assert!(world.letters_to(MALLORY).await.is_empty());
    }

    async fn an_address_of_someone_else_is_neither_taken_nor_revealed(world) {
        let mia = world.person(MIA).await;
        let done = store::save_profile(&world.ctx, &info(), &mia, name("Mia Moreno"), email(ADAM), &Secret::default()).await;
        assert!(done.unwrap().message.contains("Check adam@acme.example for a confirmation link"));
        let letter = world.letters_to(ADAM).await.pop().unwrap();
        assert!(!letter.contains("/confirm-email/"), "{letter}");
    }

    async fn a_cancelled_change_leaves_dead_links(world) {
        let mia = world.person(MIA).await;
        store::save_profile(&world.ctx, &info(), &mia, name("Mia"), email("mia@new.example"), &Secret::default())
            .await
            .unwrap();
        store::cancel_change(&world.ctx, &mia).await.unwrap();
        let confirm = Secret::from(token_in(&world.letters_to("mia@new.example").await[0], "/confirm-email/"));
        assert_eq!(store::link_kind(&world.ctx, &confirm).await.unwrap(), LinkKind::Dead);
        assert!(store::follow_link(&world.ctx, &confirm).await.is_err());
        assert!(matches!(store::cancel_change(&world.ctx, &mia).await, Err(AppError::Conflict(_))));
    }

    async fn a_new_password_ends_the_other_sessions_and_says_how_many(world) {
        let (here, there) = (world.cookie(OLIVIA).await, world.cookie(OLIVIA).await);
        let caller = world.caller(Some(&here));
        let olivia = caller.person().await.unwrap();
        let form = PasswordForm { password: GOOD.into(), confirm: GOOD.into(), current_password: Secret::default() };
        assert_eq!(store::update_password(&world.ctx, &info(), &olivia, &form).await.unwrap(), 1);
        assert!(world.caller(caller.new_cookie().as_ref()).person().await.is_ok(), "this one goes on with another token");
        assert_eq!(world.caller(Some(&here)).person().await.err(), Some(AppError::Unauthenticated));
        assert_eq!(world.caller(Some(&there)).person().await.err(), Some(AppError::Unauthenticated));
        assert!(sessions::sign_in(&world.ctx, &info(), OLIVIA, &Secret::from(GOOD)).await.is_ok());
    }

    async fn an_old_sign_in_is_asked_for_the_password(world) {
        let cookie = world.cookie(OLIVIA).await;
        age_sign_ins(world).await;
        let olivia = world.caller(Some(&cookie)).person().await.unwrap();
        let change = |current: &str| PasswordForm { password: GOOD.into(), confirm: GOOD.into(), current_password: current.into() };
        for wrong in ["", "not my password"] {
            let refused = store::update_password(&world.ctx, &info(), &olivia, &change(wrong)).await.unwrap_err();
            assert!(matches!(refused, AppError::Invalid(errors) if errors.get("current_password").is_some()));
        }
        let right = change(app::db::seed::PASSWORD);
        assert!(store::update_password(&world.ctx, &info(), &olivia, &right).await.is_ok());
    }

    async fn sessions_of_others_do_not_exist(world) {
        let olivia = world.person(OLIVIA).await;
        let adam = world.person(ADAM).await;
        assert_eq!(store::end_session(&world.ctx, &adam, olivia.session()).await, Err(AppError::NotFound));
        assert_eq!(store::end_others(&world.ctx, &adam).await, Ok(0));
        assert!(store::end_session(&world.ctx, &olivia, olivia.session()).await.is_ok());
    }
}
