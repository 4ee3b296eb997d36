use domain::account::PasswordForm;
use domain::catalog::EventType;
use domain::session::LinkKind;
use domain::{AppError, Email, Name, Secret};
use store::account;
use store::auth::sessions;

use crate::support::{ADAM, MIA, OLIVIA, TestEnv, age_sign_ins, both, info, token_in};

const GOOD: &str = "seven unrelated purple teapots";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

/// Someone who is in the account behind `from` moves it to `to`. The links that the two mailboxes got: one to confirm
/// it, one to take it back.
async fn begin_move(env: &TestEnv, from: &str, to: &str) -> (Secret, Secret) {
    let person = env.person(from).await;
    let kept = name(person.name());
    account::save_profile(
        &env.ctx,
        &info(),
        &person,
        kept,
        email(to),
        &Secret::default(),
    )
    .await
    .unwrap();
    let link = async |who: &str| {
        let messages = env.letters_to(who).await;
        let message = messages
            .iter()
            .rfind(|message| message.contains("/confirm-email/"));
        Secret::from(token_in(message.unwrap(), "/confirm-email/"))
    };
    (link(to).await, link(from).await)
}

/// The same, confirmed at once. What is left is the link to take it back.
async fn finish_move(env: &TestEnv, from: &str, to: &str) -> Secret {
    let (confirm, revert) = begin_move(env, from, to).await;
    account::follow_link(&env.ctx, &confirm).await.unwrap();
    revert
}

async fn is_dead(env: &TestEnv, link: &Secret) -> bool {
    let dead = account::link_kind(&env.ctx, link).await.unwrap() == LinkKind::Dead;
    assert_eq!(
        account::follow_link(&env.ctx, link).await.is_err(),
        dead,
        "what the page says of a link is what the link does"
    );
    dead
}

const MALLORY: &str = "mallory@evil.example";
const MALLORY_TOO: &str = "mallory@worse.example";

both! {
    async fn a_name_is_saved_at_once(env) {
        let mia = env.person(MIA).await;
        let done = account::save_profile(&env.ctx, &info(), &mia, name("Mia M."), email(MIA), &Secret::default()).await;
        assert_eq!(done.unwrap().message, "Changes saved");
        assert_eq!(env.person(MIA).await.name(), "Mia M.");
        assert!(env.letters_to(MIA).await.is_empty());
    }

    async fn a_new_address_counts_when_it_is_confirmed_and_ends_sessions(env) {
        let cookie = env.cookie(MIA).await;
        let mia = env.caller(Some(&cookie)).person().await.unwrap();
        let new = email("mia@new.example");
        account::save_profile(&env.ctx, &info(), &mia, name("Mia Moreno"), new, &Secret::default()).await.unwrap();
        let view = account::view(&env.ctx, &mia).await.unwrap();
        assert_eq!(view.email.as_str(), MIA);
        assert_eq!(view.pending.unwrap().email.as_str(), "mia@new.example");

        let token = Secret::from(token_in(&env.letters_to("mia@new.example").await[0], "/confirm-email/"));
        assert_eq!(account::link_kind(&env.ctx, &token).await.unwrap(), LinkKind::ConfirmChange);
        account::follow_link(&env.ctx, &token).await.unwrap();
        assert!(account::follow_link(&env.ctx, &token).await.is_err());
        assert_eq!(env.caller(Some(&cookie)).person().await.err(), Some(AppError::Unauthenticated));
        assert_eq!(env.person("mia@new.example").await.id(), mia.id());
        assert_eq!(env.events(EventType::SecurityEmailChanged).await, 1);
    }

    async fn an_address_that_waits_already_is_not_asked_for_again(env) {
        let mia = env.person(MIA).await;
        for wanted in ["Mia Moreno", "Mia M."] {
            let new = email("mia@new.example");
            account::save_profile(&env.ctx, &info(), &mia, name(wanted), new, &Secret::default()).await.unwrap();
        }
        assert_eq!(env.person(MIA).await.name(), "Mia M.");
        assert_eq!(env.letters_to("mia@new.example").await.len(), 1, "the first link still holds");
        let token = Secret::from(token_in(&env.letters_to("mia@new.example").await[0], "/confirm-email/"));
        assert_eq!(account::link_kind(&env.ctx, &token).await.unwrap(), LinkKind::ConfirmChange);
    }

    async fn the_old_address_takes_a_change_back_even_afterwards(env) {
        let mia = env.person(MIA).await;
        let new = email("mallory@evil.example");
        account::save_profile(&env.ctx, &info(), &mia, name("Mia Moreno"), new, &Secret::default()).await.unwrap();
        let confirm = token_in(&env.letters_to("mallory@evil.example").await[0], "/confirm-email/");
        account::follow_link(&env.ctx, &Secret::from(confirm)).await.unwrap();
        let revert = Secret::from(token_in(&env.letters_to(MIA).await[0], "/confirm-email/"));
        assert_eq!(account::link_kind(&env.ctx, &revert).await.unwrap(), LinkKind::KeepAddress);
        account::follow_link(&env.ctx, &revert).await.unwrap();
        assert_eq!(env.person(MIA).await.id(), mia.id());
        assert_eq!(account::link_kind(&env.ctx, &revert).await.unwrap(), LinkKind::Dead);
    }

    async fn the_old_address_takes_the_account_back_however_often_it_was_moved_on(env) {
        let mia = env.person(MIA).await.id();
        let mias_link = finish_move(env, MIA, MALLORY).await;
        let mallorys_link = finish_move(env, MALLORY, MALLORY_TOO).await;
        sessions::request_reset(&env.ctx, &info(), MALLORY_TOO).await.unwrap();
        let reset = Secret::from(token_in(env.letters_to(MALLORY_TOO).await.last().unwrap(), "/reset-password/"));
        let cookie = env.cookie(MALLORY_TOO).await;
        let (waiting, waiting_revert) = begin_move(env, MALLORY_TOO, "mallory@worst.example").await;

        account::follow_link(&env.ctx, &mias_link).await.unwrap();
        assert_eq!(env.caller(Some(&cookie)).person().await.err(), Some(AppError::Unauthenticated));
        assert!(sessions::reset_password(&env.ctx, &info(), &reset, &Secret::from(GOOD)).await.is_err());
        for dead in [&mallorys_link, &waiting, &waiting_revert, &mias_link] {
            assert!(is_dead(env, dead).await);
        }
        assert_eq!(env.person(MIA).await.id(), mia);
        assert!(env.letters_to(MALLORY_TOO).await.last().unwrap().contains("changed back"));
    }

    async fn a_change_that_waits_dies_when_an_earlier_one_is_taken_back(env) {
        let revert = finish_move(env, MIA, MALLORY).await;
        let (waiting, _) = begin_move(env, MALLORY, MALLORY_TOO).await;
        account::follow_link(&env.ctx, &revert).await.unwrap();
        assert!(is_dead(env, &waiting).await);
        assert!(env.person(MIA).await.is_confirmed());
    }

    async fn whom_the_account_belonged_to_before_keeps_their_link(env) {
        let mia = env.person(MIA).await.id();
        let mias_link = finish_move(env, MIA, MALLORY).await;
        let mallorys_link = finish_move(env, MALLORY, MALLORY_TOO).await;
        account::follow_link(&env.ctx, &mallorys_link).await.unwrap();
        assert_eq!(env.person(MALLORY).await.id(), mia);
        account::follow_link(&env.ctx, &mias_link).await.unwrap();
        assert_eq!(env.person(MIA).await.id(), mia);
    }

    async fn nobody_takes_an_address_that_can_still_take_its_account_back(env) {
        let mia = env.person(MIA).await.id();
        let revert = finish_move(env, MIA, MALLORY).await;
        let squat = domain::session::SignUp {
            name: name("Mallory"),
            email: email(MIA),
            password: GOOD.into(),
            workspace: name("Mallory"),
        };
        assert!(matches!(sessions::sign_up(&env.ctx, &info(), squat).await.err(), Some(AppError::Invalid(_))));
        let adam = env.person(ADAM).await;
        account::save_profile(&env.ctx, &info(), &adam, name("Adam Archer"), email(MIA), &Secret::default()).await.unwrap();
        assert!(!env.letters_to(MIA).await.last().unwrap().contains("/confirm-email/"));
        account::follow_link(&env.ctx, &revert).await.unwrap();
        assert_eq!(env.person(MIA).await.id(), mia);
    }

    async fn a_new_password_ends_a_change_that_waits(env) {
        let (confirm, revert) = begin_move(env, MIA, MALLORY).await;
        let mia = env.person(MIA).await;
        let form = PasswordForm { password: GOOD.into(), confirm: GOOD.into(), current_password: Secret::default() };
        account::update_password(&env.ctx, &info(), &mia, &form).await.unwrap();
        assert!(is_dead(env, &confirm).await);
        assert!(is_dead(env, &revert).await);
    }

    async fn a_reset_password_ends_a_change_that_waits_but_not_the_way_back_from_one(env) {
        let (confirm, _) = begin_move(env, MIA, MALLORY).await;
        let reset = async |who: &str| {
            sessions::request_reset(&env.ctx, &info(), who).await.unwrap();
            let token = token_in(env.letters_to(who).await.last().unwrap(), "/reset-password/");
            sessions::reset_password(&env.ctx, &info(), &Secret::from(token), &Secret::from(GOOD)).await.unwrap();
        };
        reset(MIA).await;
        assert!(is_dead(env, &confirm).await);

        let revert = finish_move(env, ADAM, MALLORY).await;
        reset(MALLORY).await;
        account::follow_link(&env.ctx, &revert).await.unwrap();
        assert!(sessions::sign_in(&env.ctx, &info(), ADAM, &Secret::from(GOOD)).await.is_ok(), "Adam has his account back");
    }

    async fn a_confirmation_that_races_the_way_back_leaves_the_old_address(env) {
        let mia = env.person(MIA).await.id();
        for _ in 0..8 {
            let (confirm, revert) = begin_move(env, MIA, MALLORY).await;
            let (confirmed, reverted) = tokio::join!(
                account::follow_link(&env.ctx, &confirm),
                account::follow_link(&env.ctx, &revert),
            );
            assert!(reverted.is_ok(), "{reverted:?} after {confirmed:?}");
            assert_eq!(env.person(MIA).await.id(), mia);
            assert!(is_dead(env, &confirm).await && is_dead(env, &revert).await);
        }
    }

    async fn a_session_that_has_ended_begins_no_change(env) {
        let mia = env.person(MIA).await;
        sessions::sign_out(&env.ctx, &mia).await.unwrap();
        let begun = account::save_profile(&env.ctx, &info(), &mia, name("Mia"), email(MALLORY), &Secret::default()).await;
        assert_eq!(begun, Err(AppError::Unauthenticated));
        assert!(env.letters_to(MALLORY).await.is_empty());
    }

    async fn an_address_of_someone_else_is_neither_taken_nor_revealed(env) {
        let mia = env.person(MIA).await;
        let done = account::save_profile(&env.ctx, &info(), &mia, name("Mia Moreno"), email(ADAM), &Secret::default()).await;
        assert!(done.unwrap().message.contains("Check adam@acme.example for a confirmation link"));
        let letter = env.letters_to(ADAM).await.pop().unwrap();
        assert!(!letter.contains("/confirm-email/"), "{letter}");
    }

    async fn a_cancelled_change_leaves_dead_links(env) {
        let mia = env.person(MIA).await;
        account::save_profile(&env.ctx, &info(), &mia, name("Mia"), email("mia@new.example"), &Secret::default())
            .await
            .unwrap();
        account::cancel_change(&env.ctx, &mia).await.unwrap();
        let confirm = Secret::from(token_in(&env.letters_to("mia@new.example").await[0], "/confirm-email/"));
        assert_eq!(account::link_kind(&env.ctx, &confirm).await.unwrap(), LinkKind::Dead);
        assert!(account::follow_link(&env.ctx, &confirm).await.is_err());
        assert!(matches!(account::cancel_change(&env.ctx, &mia).await, Err(AppError::Conflict(_))));
    }

    async fn a_new_password_ends_the_other_sessions_and_says_how_many(env) {
        let (here, there) = (env.cookie(OLIVIA).await, env.cookie(OLIVIA).await);
        let caller = env.caller(Some(&here));
        let olivia = caller.person().await.unwrap();
        let form = PasswordForm { password: GOOD.into(), confirm: GOOD.into(), current_password: Secret::default() };
        assert_eq!(account::update_password(&env.ctx, &info(), &olivia, &form).await.unwrap(), 1);
        assert!(env.caller(caller.new_cookie().as_ref()).person().await.is_ok(), "this one goes on with another token");
        assert_eq!(env.caller(Some(&here)).person().await.err(), Some(AppError::Unauthenticated));
        assert_eq!(env.caller(Some(&there)).person().await.err(), Some(AppError::Unauthenticated));
        assert!(sessions::sign_in(&env.ctx, &info(), OLIVIA, &Secret::from(GOOD)).await.is_ok());
    }

    async fn an_old_sign_in_is_asked_for_the_password(env) {
        let cookie = env.cookie(OLIVIA).await;
        age_sign_ins(env).await;
        let olivia = env.caller(Some(&cookie)).person().await.unwrap();
        let change = |current: &str| PasswordForm { password: GOOD.into(), confirm: GOOD.into(), current_password: current.into() };
        for wrong in ["", "not my password"] {
            let refused = account::update_password(&env.ctx, &info(), &olivia, &change(wrong)).await.unwrap_err();
            assert!(matches!(refused, AppError::Invalid(errors) if errors.get("current_password").is_some()));
        }
        let right = change(store::demo::PASSWORD);
        assert!(account::update_password(&env.ctx, &info(), &olivia, &right).await.is_ok());
    }

    async fn sessions_of_others_do_not_exist(env) {
        let olivia = env.person(OLIVIA).await;
        let adam = env.person(ADAM).await;
        assert_eq!(account::end_session(&env.ctx, &adam, olivia.session()).await, Err(AppError::NotFound));
        assert_eq!(account::end_others(&env.ctx, &adam).await, Ok(0));
        assert!(account::end_session(&env.ctx, &olivia, olivia.session()).await.is_ok());
    }
}
