use domain::catalog::EventType;
use domain::workspace::{NewWorkspaceForm, SlugCheck};
use domain::{AppError, Name, Role, Secret, Slug};
use store::workspace;

use crate::support::{ADAM, CLEO, GRETA, MIA, OLIVIA, both, info};

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

both! {
    async fn every_role_is_told_what_there_is_in_the_live_world(env) {
        use domain::catalog::Mode;
        use store::events::{NewEvent, record};
        use store::overview::view as overview;
        let adam = env.actor(ADAM, "acme").await;
        let mut tx = env.ctx.db().begin().await.unwrap();
        for (mode, name) in [(Mode::Live, "Lily Live"), (Mode::Test, "Tess Test")] {
            let data = serde_json::json!({"name": name});
            let event = NewEvent::in_workspace(adam.workspace(), EventType::ContactCreated, data).in_mode(mode);
            record(&mut tx, &adam, event).await.unwrap();
        }
        tx.commit().await.unwrap();
        let told = overview(&env.ctx, &env.actor(OLIVIA, "acme").await.permit().unwrap()).await.unwrap();
        assert_eq!(told.members, 4);
        assert!(told.contacts > 0);
        for who in [OLIVIA, ADAM, MIA, CLEO] {
            let view = overview(&env.ctx, &env.actor(who, "acme").await.permit().unwrap()).await.unwrap();
            assert_eq!((view.members, view.contacts), (told.members, told.contacts), "{who}");
            assert!(view.events.iter().any(|(sentence, _)| sentence.contains("Lily Live")), "{who}");
            assert!(!view.events.iter().any(|(sentence, _)| sentence.contains("Tess Test")), "{who}");
        }
    }

    async fn a_new_name_can_be_taken_back(env) {
        let adam = env.actor(ADAM, "acme").await;
        let undo = workspace::rename(&env.ctx, &adam.permit().unwrap(), Name::parse("Acme Corp").unwrap()).await.unwrap().undo.unwrap();
        let adam = env.actor(ADAM, "acme").await;
        assert_eq!(adam.workspace_name(), "Acme Corp");
        workspace::undo_rename(&env.ctx, &adam.permit().unwrap(), undo.event).await.unwrap();
        assert_eq!(env.actor(ADAM, "acme").await.workspace_name(), "Acme");
    }

    async fn an_old_url_leads_to_the_workspace_and_to_nobody_else(env) {
        let adam = env.actor(ADAM, "acme").await;
        workspace::move_to(&env.ctx, &adam.permit().unwrap(), slug("acme-corp")).await.unwrap();
        assert_eq!(env.actor(ADAM, "acme").await.slug().as_str(), "acme-corp", "the old one still finds it");
        let greta = env.actor(GRETA, "globex").await;
        let check = workspace::check_slug(&env.ctx, Some(&greta), "acme").await.unwrap();
        assert!(matches!(check, SlugCheck::No { suggestion: Some(ref free), .. } if free.as_str() == "acme-2"), "{check:?}");
        let taken = async { workspace::move_to(&env.ctx, &greta.permit()?, slug("acme")).await }.await.err().unwrap();
        assert!(matches!(taken, AppError::Invalid(errors) if errors.get("slug").is_some()));
        assert_eq!(env.actor(GRETA, "globex").await.slug().as_str(), "globex", "nothing moved");
        // Its own old address a workspace may have back.
        let adam = env.actor(ADAM, "acme-corp").await;
        assert_eq!(workspace::check_slug(&env.ctx, Some(&adam), "acme").await.unwrap(), SlugCheck::Free);
        workspace::move_to(&env.ctx, &adam.permit().unwrap(), slug("acme")).await.unwrap();
        assert_eq!(env.actor(ADAM, "acme-corp").await.slug().as_str(), "acme");
    }

    async fn after_ninety_days_a_url_is_free_again(env) {
        use store::db::entity::{SlugClaim, slug_claim::Column};
        use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
        let adam = env.actor(ADAM, "acme").await;
        workspace::move_to(&env.ctx, &adam.permit().unwrap(), slug("acme-corp")).await.unwrap();
        let tx = env.ctx.db().begin().await.unwrap();
        let long_ago = domain::Timestamp::now().before(domain::days(91));
        SlugClaim::update_many()
            .col_expr(Column::ReleasedAt, Expr::value(long_ago))
            .filter(Column::Slug.eq("acme"))
            .exec(&tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let gone = env.caller(Some(&env.cookie(ADAM).await)).actor("acme").await;
        assert_eq!(gone.err(), Some(AppError::NotFound), "it leads nowhere before anybody takes it");
        let greta = env.actor(GRETA, "globex").await;
        assert_eq!(workspace::check_slug(&env.ctx, Some(&greta), "acme").await.unwrap(), SlugCheck::Free);
        workspace::move_to(&env.ctx, &greta.permit().unwrap(), slug("acme")).await.unwrap();
        assert_eq!(env.actor(GRETA, "acme").await.workspace(), greta.workspace());
    }

    async fn a_new_url_can_be_taken_back(env) {
        let adam = env.actor(ADAM, "acme").await;
        let undo = workspace::move_to(&env.ctx, &adam.permit().unwrap(), slug("acme-corp")).await.unwrap().undo.unwrap();
        let adam = env.actor(ADAM, "acme-corp").await;
        assert_eq!(workspace::undo_move(&env.ctx, &adam.permit().unwrap(), undo.event).await.unwrap().as_str(), "acme");
        assert_eq!(env.events(EventType::WorkspaceUrlChanged).await, 2);
    }

    async fn reserved_and_malformed_urls_come_with_a_free_one(env) {
        let check = workspace::check_slug(&env.ctx, None, "Settings").await.unwrap();
        let expected = SlugCheck::No { reason: "That URL is reserved".into(), suggestion: Some(slug("settings-team")) };
        assert_eq!(check, expected);
    }

    async fn a_refused_url_comes_with_a_free_one(env) {
        let greta = env.actor(GRETA, "globex").await;
        let refused = async { workspace::move_to(&env.ctx, &greta.permit()?, slug("acme")).await }.await.unwrap_err();
        let offered = workspace::with_free_slug(&env.ctx, Some(&greta), "acme", refused).await;
        assert!(matches!(offered, AppError::Invalid(errors) if errors.get("slug") == Some("That URL is taken. Try acme-2.")));
        let other = workspace::with_free_slug(&env.ctx, None, "acme", AppError::field("name", "Enter a name")).await;
        assert_eq!(other, AppError::field("name", "Enter a name"), "what is not about the URL stays as it is");
    }

    async fn of_two_who_want_one_url_one_gets_it(env) {
        let (adam, greta) = (env.actor(ADAM, "acme").await, env.actor(GRETA, "globex").await);
        let (a, b) = tokio::join!(
            async { workspace::move_to(&env.ctx, &adam.permit().unwrap(), slug("wanted")).await },
            async { workspace::move_to(&env.ctx, &greta.permit().unwrap(), slug("wanted")).await },
        );
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    }

    async fn members_and_clients_edit_nothing(env) {
        for who in [MIA, CLEO] {
            let actor = env.actor(who, "acme").await;
            assert!(matches!(async { workspace::rename(&env.ctx, &actor.permit()?, Name::parse("X").unwrap()).await }.await, Err(AppError::Forbidden { .. })));
            assert!(matches!(async { workspace::move_to(&env.ctx, &actor.permit()?, slug("xyz")).await }.await, Err(AppError::Forbidden { .. })));
        }
    }

    async fn leaving_is_for_everyone_but_the_last_owner(env) {
        let olivia = env.actor(OLIVIA, "acme").await;
        assert!(matches!(workspace::leave(&env.ctx, &olivia, "acme").await, Err(AppError::Conflict(_))));
        let cookie = env.cookie(CLEO).await;
        let cleo = env.caller(Some(&cookie)).actor("acme").await.unwrap();
        let untyped = workspace::leave(&env.ctx, &cleo, "").await.unwrap_err();
        assert!(matches!(untyped, AppError::Invalid(errors) if errors.get("slug") == Some("Type acme to confirm")));
        workspace::leave(&env.ctx, &cleo, "acme").await.unwrap();
        assert_eq!(env.caller(Some(&cookie)).actor("acme").await.err(), Some(AppError::NotFound));
    }

    async fn ownership_passes_in_one_step(env) {
        let (olivia, adam) = (env.actor(OLIVIA, "acme").await, env.actor(ADAM, "acme").await);
        let refused = async { workspace::transfer(&env.ctx, &info(), &adam.permit()?, olivia.membership(), "acme", &Secret::default()).await }.await;
        assert!(matches!(refused, Err(AppError::Forbidden { .. })));
        let untyped = workspace::transfer(&env.ctx, &info(), &olivia.permit().unwrap(), adam.membership(), "", &Secret::default()).await;
        assert!(matches!(untyped, Err(AppError::Invalid(errors)) if errors.get("slug").is_some()));
        assert_eq!(env.actor(OLIVIA, "acme").await.role(), Role::Owner, "nothing was handed over");
        workspace::transfer(&env.ctx, &info(), &olivia.permit().unwrap(), adam.membership(), "acme", &Secret::default()).await.unwrap();
        assert_eq!(env.actor(ADAM, "acme").await.role(), Role::Owner);
        assert_eq!(env.actor(OLIVIA, "acme").await.role(), Role::Admin);
    }

    async fn deleting_wants_the_slug_and_takes_everything_along(env) {
        use store::db::entity::{Contact, Event, Invitation, SlugClaim};
        use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
        let olivia = env.actor(OLIVIA, "acme").await;
        let adam = env.actor(ADAM, "acme").await;
        let none = Secret::default();
        assert!(matches!(async { workspace::delete(&env.ctx, &info(), &adam.permit()?, "acme", &none).await }.await, Err(AppError::Forbidden { .. })));
        assert!(matches!(async { workspace::delete(&env.ctx, &info(), &olivia.permit()?, "acm", &none).await }.await, Err(AppError::Invalid(_))));
        workspace::delete(&env.ctx, &info(), &olivia.permit().unwrap(), "acme", &none).await.unwrap();
        let read = env.ctx.db().read();
        let id = olivia.workspace();
        assert_eq!(Contact::find().filter(store::db::entity::contact::Column::WorkspaceId.eq(id)).count(read).await.unwrap(), 0);
        assert_eq!(Event::find().filter(store::db::entity::event::Column::WorkspaceId.eq(id)).count(read).await.unwrap(), 0);
        assert_eq!(Invitation::find().filter(store::db::entity::invitation::Column::WorkspaceId.eq(id)).count(read).await.unwrap(), 0);
        assert_eq!(env.events(EventType::WorkspaceDeleted).await, 1);
        assert!(env.letters_to(ADAM).await.last().unwrap().contains("Olivia Owens deleted Acme and all of its data"));
        let claim = SlugClaim::find_by_id(slug("acme")).one(read).await.unwrap().unwrap();
        assert!(claim.released_at.is_some() && claim.workspace_id.is_none(), "the address stays held");
    }

    async fn another_workspace_can_be_made(env) {
        let cleo = env.person(CLEO).await;
        let form = NewWorkspaceForm { name: "Cleo & Co".into(), slug: String::new() };
        assert_eq!(workspace::create(&env.ctx, &cleo, &form).await.unwrap().as_str(), "cleo-and-co");
        let taken = NewWorkspaceForm { name: "Again".into(), slug: "acme".into() };
        assert!(matches!(workspace::create(&env.ctx, &cleo, &taken).await, Err(AppError::Invalid(_))));
        assert!(env.actor(CLEO, "cleo-and-co").await.role().is_owner());
    }
}
