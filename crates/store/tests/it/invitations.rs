use domain::catalog::EventType;
use domain::members::Status;
use domain::session::InvitationState;
use domain::{AppError, InvitationId, Role, Secret};
use sea_orm::prelude::Uuid;
use store::auth::sessions::{self, Accepting};
use store::members;
use store::members::invitations;

use crate::support::{ADAM, CLEO, GRETA, MIA, OLIVIA, TestEnv, both, info, token_in};

const GOOD: &str = "seven unrelated purple teapots";
const ZOE: &str = "zoe@new.example";

async fn invite(env: &TestEnv, email: &str, role: Role) -> String {
    let adam = env.actor(ADAM, "acme").await;
    invitations::invite(&env.ctx, &adam.permit().unwrap(), email, role)
        .await
        .unwrap();
    token_in(env.letters_to(email).await.last().unwrap(), "/invite/")
}

async fn pending(env: &TestEnv, email: &str) -> (InvitationId, String) {
    let adam = env.actor(ADAM, "acme").await;
    let view = members::view(
        &env.ctx,
        &adam.permit().unwrap(),
        Status::Pending,
        "",
        None,
        None,
    )
    .await
    .unwrap();
    let row = view
        .invitations
        .into_iter()
        .find(|row| row.email == email)
        .expect("the invitation is pending");
    (row.id, token_in(&row.link.unwrap(), "/invite/"))
}

async fn accept_as_newcomer(
    env: &TestEnv,
    token: &str,
) -> Result<(String, Option<Secret>), AppError> {
    let password = Secret::from(GOOD);
    sessions::accept_invitation(
        &env.ctx,
        &info(),
        Accepting::Newcomer {
            name: "Zoe Zimmer",
            password: &password,
        },
        token,
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_good_for_its_invitation_generation_and_way_alone() {
    use store::auth::links::{InvitationLink, LinkChannel, invitation_token};
    let env = TestEnv::new(crate::support::Kind::Sqlite).await;
    let ctx = &env.ctx;
    let invitation = |value: u128| InvitationId::from_uuid(Uuid::from_u128(value));
    proptest::proptest!(|(a: u128, b: u128, generation in 1_i32..1000, other in 1_i32..1000)| {
        for carrier in [LinkChannel::Email, LinkChannel::Copied] {
            let token = invitation_token(ctx, invitation(a), generation, carrier);
            let link = InvitationLink::parse(&token).unwrap();
            proptest::prop_assert_eq!(link.id(), invitation(a));
            proptest::prop_assert_eq!(link.verify(ctx, generation), Some(carrier));
            proptest::prop_assert_eq!(link.verify(ctx, other).is_some(), other == generation);
            let elsewhere = invitation_token(ctx, invitation(b), generation, carrier);
            let mixed = format!("{}{}", &elsewhere[..26], &token[26..]);
            let mixed = InvitationLink::parse(&mixed).unwrap();
            proptest::prop_assert_eq!(mixed.verify(ctx, generation).is_some(), a == b);
        }
    });
    proptest::proptest!(|(text in ".{0,80}", place in 0_usize..59, letter in "[A-Za-z0-9_-]")| {
        let link = InvitationLink::parse(&text);
        proptest::prop_assert!(link.is_none_or(|link| link.verify(ctx, 1).is_none()));
        let good = invitation_token(ctx, invitation(7), 1, LinkChannel::Email);
        let mut bent = good.clone();
        bent.replace_range(place..=place, &letter);
        let opens = InvitationLink::parse(&bent)
            .is_some_and(|link| link.id() == invitation(7) && link.verify(ctx, 1).is_some());
        proptest::prop_assert_eq!(opens, bent == good);
    });
}

both! {
    async fn someone_new_joins_by_a_link_from_a_mail(env) {
        let token = invite(env, ZOE, Role::Member).await;
        let seen = sessions::view_invitation(&env.ctx, &info(), None, &token).await.unwrap();
        assert_eq!((seen.workspace.as_str(), seen.inviter.as_str(), seen.state), ("Acme", "Adam Archer", InvitationState::NewPerson));
        let (path, cookie) = accept_as_newcomer(env, &token).await.unwrap();
        assert_eq!(path, "/w/acme");
        let zoe = env.caller(cookie.as_ref()).actor("acme").await.unwrap();
        assert_eq!(zoe.role(), Role::Member);
        assert!(zoe.person().is_confirmed(), "whoever got the mail owns the mailbox");
        assert_eq!(env.events(EventType::MemberInvited).await, 1);
        assert!(matches!(accept_as_newcomer(env, &token).await, Err(AppError::Conflict(_))));
        let later = sessions::view_invitation(&env.ctx, &info(), None, &token).await.unwrap();
        assert_eq!(later.state, InvitationState::Accepted, "signed out, Zoe is told to sign in");
        let greta = env.person(GRETA).await;
        let other = sessions::view_invitation(&env.ctx, &info(), Some(&greta), &token).await;
        assert_eq!(other.err(), Some(AppError::NotFound));
    }

    async fn a_long_list_has_pages(env) {
        let adam = env.actor(ADAM, "acme").await;
        for batch in 0..2 {
            let many: Vec<String> = (0..40).map(|n| format!("p{batch}-{n}@new.example")).collect();
            invitations::invite(&env.ctx, &adam.permit().unwrap(), &many.join(","), Role::Member).await.unwrap();
        }
        let page = async |before| members::view(&env.ctx, &adam.permit().unwrap(), Status::Pending, "", None, before).await.unwrap();
        let first = page(None).await;
        assert_eq!((first.invitations.len(), first.counts[0]), (50, 83));
        let second = page(first.invitations_next).await;
        assert_eq!((second.invitations.len(), second.invitations_next), (33, None));
        let all: std::collections::BTreeSet<_> = first.invitations.iter().chain(&second.invitations).map(|row| row.id).collect();
        assert_eq!(all.len(), 83);
        assert!(second.invitations.iter().any(|row| row.email == "ben@acme.example"), "the oldest come last");
    }

    async fn a_copied_link_lets_in_but_proves_no_mailbox(env) {
        invite(env, ZOE, Role::Client).await;
        let (_, copied) = pending(env, ZOE).await;
        let (_, cookie) = accept_as_newcomer(env, &copied).await.unwrap();
        let zoe = env.caller(cookie.as_ref()).person().await.unwrap();
        assert!(!zoe.is_confirmed());
        assert!(env.letters_to(ZOE).await.last().unwrap().contains("/confirm-email/"));
    }

    async fn of_fifty_acceptances_one_wins(env) {
        let token = invite(env, GRETA, Role::Member).await;
        let greta = env.person(GRETA).await;
        let mut racing = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (ctx, greta, token) = (env.ctx.clone(), greta.clone(), token.clone());
            racing.spawn(async move {
                sessions::accept_invitation(&ctx, &info(), Accepting::Person(&greta), &token).await
            });
        }
        let results = racing.join_all().await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        assert!(results.iter().filter_map(|result| result.as_ref().err()).all(|error| matches!(error, AppError::Conflict(_))));
        let joined = env.actor(GRETA, "acme").await;
        assert_eq!(joined.role(), Role::Member);
    }

    async fn a_resend_replaces_the_link_and_the_date(env) {
        let old = invite(env, ZOE, Role::Member).await;
        let (id, _) = pending(env, ZOE).await;
        let adam = env.actor(ADAM, "acme").await;
        invitations::resend(&env.ctx, &adam.permit().unwrap(), id).await.unwrap();
        assert_eq!(accept_as_newcomer(env, &old).await.err(), Some(AppError::NotFound));
        let new = token_in(env.letters_to(ZOE).await.last().unwrap(), "/invite/");
        assert_ne!(old, new);
        assert!(accept_as_newcomer(env, &new).await.is_ok());
    }

    async fn of_an_acceptance_and_a_resend_that_race_one_wins(env) {
        let adam = env.actor(ADAM, "acme").await;
        for n in 0..6 {
            let email = format!("race{n}@new.example");
            let token = invite(env, &email, Role::Member).await;
            let (id, _) = pending(env, &email).await;
            let (accepted, resent) = tokio::join!(
                accept_as_newcomer(env, &token),
                async { invitations::resend(&env.ctx, &adam.permit().unwrap(), id).await },
            );
            assert!(accepted.is_ok() != resent.is_ok(), "{accepted:?} {resent:?}");
        }
    }

    async fn of_an_acceptance_and_a_new_invitation_that_race_one_wins(env) {
        let adam = env.actor(ADAM, "acme").await;
        for n in 0..6 {
            let email = format!("race{n}@new.example");
            let token = invite(env, &email, Role::Member).await;
            let (accepted, invited) = tokio::join!(
                accept_as_newcomer(env, &token),
                async { invitations::invite(&env.ctx, &adam.permit().unwrap(), &email, Role::Client).await },
            );
            assert!(accepted.is_ok() != invited.is_ok(), "{accepted:?} {invited:?}");
        }
    }

    async fn two_who_invite_one_person_at_once_make_one_invitation(env) {
        let (adam, olivia) = (env.actor(ADAM, "acme").await, env.actor(OLIVIA, "acme").await);
        let (a, b) = tokio::join!(
            async { invitations::invite(&env.ctx, &adam.permit().unwrap(), ZOE, Role::Member).await },
            async { invitations::invite(&env.ctx, &olivia.permit().unwrap(), ZOE, Role::Member).await },
        );
        assert!(a.is_ok() && b.is_ok(), "{a:?} {b:?}");
        assert_eq!(env.events(EventType::MemberInvited).await, 1);
        assert_eq!(env.events(EventType::InvitationResent).await, 1);
    }

    async fn one_mailbox_is_not_flooded(env) {
        let ctx = env.house_with(store::passwords::Passwords::quick_for_tests(), store::rate_limit::auth::AuthLimits::on());
        let adam = env.actor(ADAM, "acme").await;
        let mut refused = None;
        for _ in 0..8 {
            refused = async { invitations::invite(&ctx, &adam.permit()?, ZOE, Role::Member).await }.await.err();
        }
        assert!(matches!(refused, Some(AppError::Invalid(errors)) if errors.get("email").unwrap().contains("Too many attempts")));
        assert_eq!(env.letters_to(ZOE).await.len(), 5);
        assert!(invitations::invite(&ctx, &adam.permit().unwrap(), "nina@new.example", Role::Member).await.is_ok());
    }

    async fn a_cancelled_invitation_is_dead_until_it_is_taken_back(env) {
        let token = invite(env, ZOE, Role::Member).await;
        let (id, _) = pending(env, ZOE).await;
        let adam = env.actor(ADAM, "acme").await;
        let undo = invitations::cancel(&env.ctx, &adam.permit().unwrap(), id).await.unwrap().undo.unwrap();
        assert_eq!(accept_as_newcomer(env, &token).await.err(), Some(AppError::NotFound));
        let olivia = env.actor(OLIVIA, "acme").await;
        assert_eq!(async { invitations::undo_cancel(&env.ctx, &olivia.permit()?, undo.event).await }.await.err(), Some(AppError::NotFound), "it was not hers");
        invitations::undo_cancel(&env.ctx, &adam.permit().unwrap(), undo.event).await.unwrap();
        assert!(accept_as_newcomer(env, &token).await.is_ok());
    }

    async fn an_expired_invitation_explains_itself(env) {
        use store::db::entity::{Invitation, invitation::Column};
        use sea_orm::{EntityTrait, sea_query::Expr};
        let token = invite(env, ZOE, Role::Member).await;
        let tx = env.ctx.db().begin().await.unwrap();
        let past = domain::Timestamp::now().before(domain::minutes(1));
        Invitation::update_many().col_expr(Column::ExpiresAt, Expr::value(past)).exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        let seen = sessions::view_invitation(&env.ctx, &info(), None, &token).await.unwrap();
        assert_eq!(seen.state, InvitationState::Expired);
        assert!(matches!(accept_as_newcomer(env, &token).await, Err(AppError::Conflict(_))));
    }

    async fn an_invitation_is_for_one_address(env) {
        let token = invite(env, ZOE, Role::Member).await;
        let greta = env.person(GRETA).await;
        let seen = sessions::view_invitation(&env.ctx, &info(), Some(&greta), &token).await.unwrap();
        assert_eq!(seen.state, InvitationState::OtherPerson { email: GRETA.into() });
        let refused = sessions::accept_invitation(&env.ctx, &info(), Accepting::Person(&greta), &token).await;
        assert!(matches!(refused, Err(AppError::Conflict(_))));
    }

    async fn accepting_never_overwrites_an_account(env) {
        let token = invite(env, GRETA, Role::Member).await;
        let seen = sessions::view_invitation(&env.ctx, &info(), None, &token).await.unwrap();
        assert_eq!(seen.state, InvitationState::SignInFirst);
        assert!(matches!(accept_as_newcomer(env, &token).await, Err(AppError::Conflict(_))));
        assert_eq!(env.person(GRETA).await.name(), "Greta Gruber", "her password still holds");
    }

    async fn an_invitation_is_worth_no_more_than_its_inviter(env) {
        let token = invite(env, ZOE, Role::Member).await;
        let (olivia, adam) = (env.actor(OLIVIA, "acme").await, env.actor(ADAM, "acme").await);
        members::change_role(&env.ctx, &info(), &olivia.permit().unwrap(), adam.membership(), Role::Client, &Secret::default()).await.unwrap();
        assert!(matches!(accept_as_newcomer(env, &token).await, Err(AppError::Conflict(_))));
        members::remove(&env.ctx, &olivia.permit().unwrap(), adam.membership()).await.unwrap();
        assert!(matches!(accept_as_newcomer(env, &token).await, Err(AppError::Conflict(_))));
    }

    async fn a_pasted_list_gives_each_address_its_own_result(env) {
        let adam = env.actor(ADAM, "acme").await;
        let text = format!("Zoe <{ZOE}>, nonsense; {MIA}\nben@acme.example");
        let done = invitations::invite(&env.ctx, &adam.permit().unwrap(), &text, Role::Client).await.unwrap();
        let results: Vec<(&str, bool)> = done.results.iter().map(|line| (line.subject.as_str(), line.good)).collect();
        assert_eq!(results, [(ZOE, true), ("nonsense", false), (MIA, false), ("ben@acme.example", true)]);
        assert_eq!(done.message, "2 of 4 invitations sent");
        assert_eq!(env.letters_to(MIA).await.len(), 0, "a member gets no invitation");
    }

    async fn a_forged_link_opens_nothing(env) {
        let token = invite(env, ZOE, Role::Member).await;
        let mut forged = token.clone();
        let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
        forged.push(last);
        // The same tag under the other way of travelling is another tag.
        let swapped = format!("{}h{}", &token[..26], &token[27..]);
        for bad in [forged.as_str(), swapped.as_str(), "", "x", &token[..26], "é".repeat(30).as_str()] {
            let seen = sessions::view_invitation(&env.ctx, &info(), None, bad).await;
            assert_eq!(seen.err(), Some(AppError::NotFound), "{bad}");
        }
    }

    async fn members_and_clients_invite_nobody(env) {
        for who in [MIA, CLEO] {
            let actor = env.actor(who, "acme").await;
            let refused = async { invitations::invite(&env.ctx, &actor.permit()?, ZOE, Role::Client).await }.await;
            assert!(matches!(refused, Err(AppError::Forbidden { .. })));
            let view = members::view(&env.ctx, &actor.permit().unwrap(), Status::Pending, "", None, None).await.unwrap();
            assert!(view.invitations.is_empty() && view.counts == [0; 3]);
        }
    }
}
