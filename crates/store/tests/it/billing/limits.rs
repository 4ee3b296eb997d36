//! What a plan limits: the seats of a workspace, and what the keys of a frozen one can do.

use domain::api_keys::NewKey;
use domain::catalog::{Mode, Scope};
use domain::{AppError, Name, Permission, Role, Secret, Timestamp};
use store::api_keys as keys;
use store::auth::Principal;
use store::auth::sessions::{Accepting, accept_invitation};
use store::billing;
use store::members::invitations;
use store::passwords::Passwords;
use store::rate_limit::auth::AuthLimits;

use super::{row, set, terms};
use crate::support::{ADAM, OLIVIA, both, check_key, info, token_in};

both! {
    async fn a_preview_names_who_is_beyond_the_seats(env) {
        let ctx = env.house_with(Passwords::quick_for_tests(), AuthLimits::off());
        let adam = env.actor(ADAM, "acme").await;
        let view = billing::view(&ctx, &adam.permit_read().unwrap(), Some(terms("light", false))).await.unwrap();
        let beyond = view.preview.unwrap().beyond.unwrap();
        assert_eq!((beyond.seats, beyond.used), (3, 7));
        assert_eq!(beyond.names, ["Cleo Chen", "Mia Moreno", "Adam Archer"]);
    }

    async fn nobody_is_invited_or_joins_beyond_the_seats(env) {
        let ctx = env.house_with(Passwords::quick_for_tests(), AuthLimits::off());
        let adam = env.actor(ADAM, "acme").await;
        // Ten seats: four members and three invitations hold seven of them.
        let invited = invitations::invite(&ctx, &adam.permit().unwrap(), "a@x.example, b@x.example, c@x.example, d@x.example", Role::Member)
            .await
            .unwrap();
        assert_eq!(invited.message, "3 of 4 invitations sent");
        assert_eq!(invited.results[3].message, "All 10 seats on Scale are in use. Upgrade your plan or remove someone to invite more people.");
        // On a smaller plan, who was invited in good time finds the seats taken.
        let mut smaller = row(env, adam.workspace()).await;
        smaller.plan = Some("light".to_owned());
        set(env, smaller).await;
        let message = env.letters_to("a@x.example").await.pop().unwrap();
        let token = token_in(&message, "/invite/");
        let joining = Accepting::Newcomer {
            name: "A",
            password: &Secret::from("seven unrelated purple teapots"),
        };
        let refused = accept_invitation(&ctx, &info(), joining, &token).await.unwrap_err();
        assert!(matches!(refused, AppError::LimitReached(_)), "{refused}");
    }

    async fn keys_of_a_frozen_workspace_read_and_change_nothing(env) {
        let olivia = env.actor(OLIVIA, "acme").await;
        let wish = NewKey {
            name: Name::parse("Importer").unwrap(),
            mode: Mode::Live,
            scopes: Scope::ALL.to_vec(),
            expires_at: None,
        };
        let key = keys::create(&env.ctx, &info(), &olivia.permit().unwrap(), wish, Vec::new(), &Secret::default())
            .await
            .unwrap()
            .secret
            .unwrap();
        let mut frozen = row(env, olivia.workspace()).await;
        frozen.freezes_at = Some(Timestamp::now());
        set(env, frozen).await;
        let holder = check_key(&env.keys, &env.ctx, key.expose(), info().address).await.unwrap();
        for principal in [Principal::from(holder), Principal::from(env.actor(OLIVIA, "acme").await)] {
            assert_eq!(principal.require(Permission::SpendCredits), Err(AppError::Frozen));
            assert_eq!(principal.require(Permission::WriteContacts), Err(AppError::Frozen));
            assert_eq!(principal.require(Permission::SeeCredits), Ok(()));
            assert_eq!(principal.require_read(Permission::ManageWebhooks), Ok(()));
        }
    }
}
