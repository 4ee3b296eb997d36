use domain::catalog::EventType;
use domain::form::FormSuccess;
use domain::members::Status;
use domain::{AppError, MembershipId, Role, Secret};
use store::auth::Actor;
use store::members;

use crate::support::{ADAM, CLEO, GRETA, MIA, OLIVIA, TestEnv, age_sign_ins, both, info};

async fn membership(env: &TestEnv, email: &str) -> MembershipId {
    env.actor(email, "acme").await.membership()
}

/// A change of role without the current password.
async fn set_role(
    env: &TestEnv,
    actor: &Actor,
    member: MembershipId,
    role: Role,
) -> Result<FormSuccess, AppError> {
    members::change_role(
        &env.ctx,
        &info(),
        &actor.permit()?,
        member,
        role,
        &Secret::default(),
    )
    .await
}

async fn roles(env: &TestEnv) -> Vec<(String, Role)> {
    let olivia = env.actor(OLIVIA, "acme").await;
    let view = members::view(
        &env.ctx,
        &olivia.permit().unwrap(),
        Status::Pending,
        "",
        None,
        None,
    )
    .await
    .unwrap();
    view.members
        .into_iter()
        .map(|row| (row.name, row.role))
        .collect()
}

both! {
    async fn the_list_shows_who_is_there_and_clients_see_no_addresses(env) {
        let names: Vec<String> = roles(env).await.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Olivia Owens", "Adam Archer", "Mia Moreno", "Cleo Chen"]);
        let cleo = env.actor(CLEO, "acme").await;
        let view = members::view(&env.ctx, &cleo.permit().unwrap(), Status::Pending, "", None, None).await.unwrap();
        let addresses: Vec<_> = view.members.iter().filter_map(|row| row.email.as_deref()).collect();
        assert_eq!(addresses, [CLEO]);
        let by_address = members::view(&env.ctx, &cleo.permit().unwrap(), Status::Pending, "olivia@", None, None).await.unwrap();
        assert!(by_address.members.is_empty(), "a search must not reveal what the list hides");
        assert!(matches!(async { members::export_csv(&env.ctx, &cleo.permit()?).await }.await, Err(AppError::Forbidden { .. })));
    }

    async fn search_finds_by_name_and_address_and_takes_wildcards_literally(env) {
        let adam = env.actor(ADAM, "acme").await;
        let found = async |text: &str| members::view(&env.ctx, &adam.permit().unwrap(), Status::Pending, text, None, None).await.unwrap().member_count;
        assert_eq!(found("MOREN").await, 1);
        assert_eq!(found("@acme.example").await, 4);
        assert_eq!(found("%").await, 0);
        assert_eq!(found("_").await, 0);
    }

    async fn a_role_change_counts_from_the_next_request_and_can_be_taken_back(env) {
        let olivia = env.actor(OLIVIA, "acme").await;
        let mia = membership(env, MIA).await;
        let undo = set_role(env, &olivia, mia, Role::Admin).await.unwrap().undo.unwrap();
        assert_eq!(env.actor(MIA, "acme").await.role(), Role::Admin);
        members::undo_change_role(&env.ctx, &olivia.permit().unwrap(), undo.event).await.unwrap();
        assert_eq!(env.actor(MIA, "acme").await.role(), Role::Member);
        assert!(async { members::undo_change_role(&env.ctx, &olivia.permit()?, undo.event).await }.await.is_err(), "once is enough");
        assert_eq!(env.events(EventType::MemberRoleChanged).await, 2);
    }

    async fn making_or_unmaking_an_owner_takes_a_fresh_sign_in_or_the_password(env) {
        let cookie = std::sync::Mutex::new(env.cookie(OLIVIA).await);
        let (mia, adam) = (membership(env, MIA).await, env.actor(ADAM, "acme").await);
        age_sign_ins(env).await;
        let olivia = async || {
            let held = cookie.lock().unwrap().clone();
            let caller = env.caller(Some(&held));
            let actor = caller.actor("acme").await.unwrap();
            (caller, actor)
        };
        let change = async |to: Role, password: &str| {
            let (caller, actor) = olivia().await;
            let done = members::change_role(&env.ctx, &info(), &actor.permit().unwrap(), mia, to, &Secret::from(password)).await;
            if let Some(new) = caller.new_cookie() {
                *cookie.lock().unwrap() = new;
            }
            done
        };
        for wrong in ["", "not my password"] {
            let refused = change(Role::Owner, wrong).await.unwrap_err();
            assert!(matches!(refused, AppError::Invalid(errors) if errors.get("current_password").is_some()));
        }
        assert!(change(Role::Client, "").await.is_ok(), "other roles do not");
        let undo = change(Role::Owner, store::demo::PASSWORD).await.unwrap().undo.unwrap();
        members::undo_change_role(&env.ctx, &olivia().await.1.permit().unwrap(), undo.event).await.unwrap();
        assert_eq!(env.actor(MIA, "acme").await.role(), Role::Client);

        let undo = change(Role::Owner, "").await.unwrap().undo.unwrap();
        age_sign_ins(env).await;
        let refused = members::undo_change_role(&env.ctx, &olivia().await.1.permit().unwrap(), undo.event).await;
        assert!(matches!(refused, Err(AppError::Invalid(_))), "{refused:?}");
        assert!(matches!(change(Role::Member, "").await, Err(AppError::Invalid(_))), "nor unmaking one");
        let adam = set_role(env, &adam, mia, Role::Admin).await;
        assert!(matches!(adam, Err(AppError::Forbidden { .. })), "whoever may not is not asked for a password");
    }

    async fn an_admin_neither_makes_nor_touches_an_owner(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (olivia, mia) = (membership(env, OLIVIA).await, membership(env, MIA).await);
        for result in [
            set_role(env, &adam, olivia, Role::Client).await,
            set_role(env, &adam, mia, Role::Owner).await,
            set_role(env, &adam, adam.membership(), Role::Owner).await,
            async { members::remove(&env.ctx, &adam.permit()?, olivia).await }.await,
        ] {
            assert!(matches!(result, Err(AppError::Forbidden { .. })), "{result:?}");
        }
        assert_eq!(env.events(EventType::MemberRoleChanged).await, 0);
    }

    async fn a_workspace_keeps_an_owner(env) {
        let olivia = env.actor(OLIVIA, "acme").await;
        let demote = set_role(env, &olivia, olivia.membership(), Role::Admin).await;
        assert!(matches!(demote, Err(AppError::Conflict(_))));
    }

    async fn two_owners_who_demote_each_other_leave_one(env) {
        let olivia = env.actor(OLIVIA, "acme").await;
        let mia = membership(env, MIA).await;
        set_role(env, &olivia, mia, Role::Owner).await.unwrap();
        let mia = env.actor(MIA, "acme").await;
        for _ in 0..5 {
            let (a, b) = (
                set_role(env, &olivia, mia.membership(), Role::Admin),
                set_role(env, &mia, olivia.membership(), Role::Admin),
            );
            let (a, b) = tokio::join!(a, b);
            assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
            let owners = roles_of(env).await;
            assert_eq!(owners.iter().filter(|role| role.is_owner()).count(), 1);
            // Make both owners again, by whoever is left.
            let (left, other) = if a.is_ok() { (&olivia, &mia) } else { (&mia, &olivia) };
            set_role(env, left, other.membership(), Role::Owner).await.unwrap();
        }
    }

    async fn a_removal_counts_from_the_next_request_and_can_be_taken_back(env) {
        let adam = env.actor(ADAM, "acme").await;
        let cookie = env.cookie(MIA).await;
        let before = env.caller(Some(&cookie)).actor("acme").await.unwrap();
        let undo = members::remove(&env.ctx, &adam.permit().unwrap(), before.membership()).await.unwrap().undo.unwrap();
        assert_eq!(env.caller(Some(&cookie)).actor("acme").await.err(), Some(AppError::NotFound));
        members::undo_remove(&env.ctx, &adam.permit().unwrap(), undo.event).await.unwrap();
        let after = env.caller(Some(&cookie)).actor("acme").await.unwrap();
        assert_eq!((after.membership(), after.role()), (before.membership(), before.role()));
    }

    async fn a_removal_is_taken_back_once_and_only_while_nothing_came_after_it(env) {
        let adam = env.actor(ADAM, "acme").await;
        let mia = membership(env, MIA).await;
        let before = row(env, mia).await;
        let remove = async || members::remove(&env.ctx, &adam.permit().unwrap(), mia).await.unwrap().undo.unwrap().event;
        let removal = remove().await;
        members::undo_remove(&env.ctx, &adam.permit().unwrap(), removal).await.unwrap();
        assert_eq!(row(env, mia).await, before, "role, joining and last visit");
        let blind = members::undo_remove(&env.ctx, &adam.permit().unwrap(), removal).await;
        assert!(matches!(blind, Err(AppError::Conflict(_))), "{blind:?}");

        let leaver = env.actor(MIA, "acme").await;
        store::workspace::leave(&env.ctx, &leaver, "acme").await.unwrap();
        let blind = members::undo_remove(&env.ctx, &adam.permit().unwrap(), removal).await;
        assert!(matches!(blind, Err(AppError::Conflict(_))), "whoever left by themselves is not brought back: {blind:?}");
        assert!(row(env, mia).await.is_none());
    }

    async fn one_is_found_by_a_name_in_any_script_and_nonsense_finds_nobody(env) {
        let mia = env.person(MIA).await;
        let name = domain::Name::parse("Ünal ØSTERGÅRD Ивáнова").unwrap();
        let email = domain::Email::parse(MIA).unwrap();
        store::account::save_profile(&env.ctx, &info(), &mia, name, email, &Secret::default()).await.unwrap();
        let adam = env.actor(ADAM, "acme").await;
        let found = async |text: &str| members::view(&env.ctx, &adam.permit().unwrap(), Status::Pending, text, None, None).await.unwrap().member_count;
        for text in ["ünal", "ÜNAL", "østergård", "ИВ", "MIA@ACME"] {
            assert_eq!(found(text).await, 1, "{text}");
        }
        for text in ["\0", "mi\0a", "m\u{7}", "x".repeat(255).as_str()] {
            assert_eq!(found(text).await, 0, "{text:?}");
        }
    }

    async fn a_reference_that_is_no_address_leads_nowhere(env) {
        let caller = env.caller(Some(&env.cookie(MIA).await));
        for text in ["ac\0me", "\0", "acme\n", "ACME", "", "ws_", "x".repeat(10_000).as_str()] {
            assert_eq!(caller.actor(text).await.err(), Some(AppError::NotFound), "{text:?}");
        }
    }

    async fn members_of_another_workspace_do_not_exist(env) {
        let adam = env.actor(ADAM, "acme").await;
        let greta = env.actor(GRETA, "globex").await.membership();
        assert_eq!(async { members::remove(&env.ctx, &adam.permit()?, greta).await }.await.err(), Some(AppError::NotFound));
        assert_eq!(set_role(env, &adam, greta, Role::Client).await.err(), Some(AppError::NotFound));
    }

    async fn the_export_holds_every_member(env) {
        let mia = env.actor(MIA, "acme").await;
        let csv = members::export_csv(&env.ctx, &mia.permit().unwrap()).await.unwrap();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0], "Name,Email,Role,Joined,Last active");
        assert!(lines[1].starts_with("\"Olivia Owens\",\"olivia@acme.example\",\"Owner\",\""));
    }
}

async fn row(env: &TestEnv, id: MembershipId) -> Option<store::db::entity::membership::Model> {
    use sea_orm::EntityTrait;
    store::db::entity::Membership::find_by_id(id)
        .one(env.ctx.db().read())
        .await
        .unwrap()
}

async fn roles_of(env: &TestEnv) -> Vec<Role> {
    use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
    use store::db::entity::Membership;
    let workspace = env.actor(OLIVIA, "acme").await.workspace();
    Membership::find()
        .filter(store::db::entity::membership::Column::WorkspaceId.eq(workspace))
        .all(env.ctx.db().read())
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.role)
        .collect()
}
