//! Answers to forms on their way to the next page, whichever process is asked for it.

use domain::form::{Flash, FormSuccess};
use domain::{Secret, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{EntityTrait, PaginatorTrait};
use store::auth::{Caller, RequestInfo};
use store::context::AppContext;
use store::db::{Db, entity};
use store::flashes::{self, Found, Owner, ROOM_OF_ONE, ROOM_SIGNED_OUT};
use store::master_key::MasterKey;
use store::passwords::Passwords;
use store::rate_limit::auth::AuthLimits;
use tokio::task::JoinSet;

use crate::support::{ADAM, Kind, MIA, TestEnv, both, database_url, info, info_from};

const PAGE: &str = "/w/acme/settings/account";

fn flash(typed: &str) -> Flash {
    Flash {
        action: "/fn/save_profile".into(),
        key: String::new(),
        typed: vec![("form[name]".into(), typed.into())],
        outcome: Ok(FormSuccess::with_message("Saved.")),
    }
}

async fn keep(ctx: &AppContext, owner: &Owner, typed: &str) -> Secret {
    let kept = flashes::insert(ctx, owner, PAGE, flash(typed)).await;
    kept.unwrap().expect("it is small enough")
}

/// What was typed, if it is handed over.
async fn taken(ctx: &AppContext, id: &Secret) -> Option<String> {
    match flashes::take(ctx, id.expose(), PAGE).await.unwrap() {
        Found::Here(flash) => flash.typed("form[name]").map(str::to_owned),
        Found::ForAnother | Found::Nothing => None,
    }
}

async fn stranger(env: &TestEnv, from: RequestInfo) -> Owner {
    Owner::of(&Caller::new(env.ctx.clone(), from, None)).await
}

async fn person(env: &TestEnv, email: &str) -> Owner {
    let caller = env.caller(Some(&env.cookie(email).await));
    caller.person().await.unwrap();
    Owner::of(&caller).await
}

async fn waiting(env: &TestEnv) -> u64 {
    entity::Flash::find()
        .count(env.ctx.db().read())
        .await
        .unwrap()
}

both! {
    async fn an_answer_is_handed_over_once_and_to_its_page_alone(env) {
        let ctx = &env.ctx;
        let owner = stranger(env, info()).await;
        let id = keep(ctx, &owner, "Mia").await;
        let other = flashes::take(ctx, id.expose(), "/login").await.unwrap();
        assert!(matches!(other, Found::ForAnother), "{other:?}");
        assert_eq!(taken(ctx, &Secret::from("guessed")).await, None);
        assert_eq!(taken(ctx, &id).await.as_deref(), Some("Mia"));
        assert_eq!(taken(ctx, &id).await, None);
        assert_eq!(waiting(env).await, 0, "nothing of it is left");
        // A query is not part of the page.
        let id = flashes::insert(ctx, &owner, &format!("{PAGE}?tab=2#top"), flash("Mia")).await.unwrap().unwrap();
        assert_eq!(taken(ctx, &id).await.as_deref(), Some("Mia"));
    }

    async fn an_answer_waits_for_two_minutes(env) {
        let owner = stranger(env, info()).await;
        let (old, new) = (keep(&env.ctx, &owner, "old").await, keep(&env.ctx, &owner, "new").await);
        let tx = env.ctx.db().begin().await.unwrap();
        let (now, hash) = (Timestamp::now(), store::master_key::hash_token(old.expose()));
        entity::Flash::update(entity::flash::ActiveModel {
            id: sea_orm::Set(hash),
            expires_at: sea_orm::Set(now),
            ..Default::default()
        })
        .exec(&tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(taken(&env.ctx, &old).await, None);
        assert_eq!(flashes::sweep(&env.ctx).await.unwrap(), 1);
        assert_eq!(flashes::sweep(&env.ctx).await.unwrap(), 0);
        assert_eq!(taken(&env.ctx, &new).await.as_deref(), Some("new"));
    }

    async fn who_posts_much_pushes_out_nobody_else(env) {
        let ctx = &env.ctx;
        let (mia, adam) = (person(env, MIA).await, person(env, ADAM).await);
        let (here, there) = (stranger(env, info()).await, stranger(env, info_from(9)).await);
        let adams = keep(ctx, &adam, "Adam").await;
        let strangers = keep(ctx, &there, "there").await;
        let (mut mias, mut heres) = (Vec::new(), Vec::new());
        for n in 0..ROOM_OF_ONE.answers + 5 {
            mias.push(keep(ctx, &mia, &n.to_string()).await);
            heres.push(keep(ctx, &here, &n.to_string()).await);
            // Their order is that of time.
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        let room = u64::try_from(ROOM_OF_ONE.answers).unwrap();
        assert_eq!(waiting(env).await, 2 * room + 2);
        assert_eq!(taken(ctx, &mias[0]).await, None, "the oldest of her own gave way");
        assert!(taken(ctx, mias.last().unwrap()).await.is_some());
        assert!(taken(ctx, heres.last().unwrap()).await.is_some());
        assert_eq!(taken(ctx, &adams).await.as_deref(), Some("Adam"));
        assert_eq!(taken(ctx, &strangers).await.as_deref(), Some("there"));
    }

    async fn large_answers_are_bounded_by_their_bytes(env) {
        let owner = stranger(env, info()).await;
        let mut last = None;
        for _ in 0..8 {
            last = Some(keep(&env.ctx, &owner, &"x".repeat(60_000)).await);
        }
        let bytes: Vec<entity::flash::Model> = entity::Flash::find().all(env.ctx.db().read()).await.unwrap();
        let bytes: i64 = bytes.iter().map(|row| i64::from(row.bytes)).sum();
        assert!((60_000..=ROOM_OF_ONE.bytes).contains(&bytes), "{bytes}");
        assert!(taken(&env.ctx, &last.unwrap()).await.is_some(), "the newest stays");
        // More than that was typed into no form of ours; the rest of the answer is kept.
        let id = keep(&env.ctx, &owner, &"x".repeat(100_000)).await;
        let found = flashes::take(&env.ctx, id.expose(), PAGE).await.unwrap();
        assert!(matches!(found, Found::Here(found) if found.typed.is_empty()));
        let endless = Flash { key: "x".repeat(200_000), ..flash("") };
        assert!(flashes::insert(&env.ctx, &owner, PAGE, endless).await.unwrap().is_none());
    }

    async fn strangers_together_have_their_own_room(env) {
        let ctx = &env.ctx;
        let mias = keep(ctx, &person(env, MIA).await, "Mia").await;
        let now = Timestamp::now().before(domain::minutes(1));
        let rows = (0..ROOM_SIGNED_OUT.answers).map(|n| entity::flash::ActiveModel {
            id: sea_orm::Set(n.to_be_bytes().to_vec()),
            owner: sea_orm::Set(format!("network {n}")),
            signed_in: sea_orm::Set(false),
            sealed: sea_orm::Set(vec![0; 40]),
            bytes: sea_orm::Set(40),
            created_at: sea_orm::Set(now),
            expires_at: sea_orm::Set(now.after(domain::minutes(2))),
        });
        let tx = ctx.db().begin().await.unwrap();
        entity::Flash::insert_many(rows).exec_without_returning(&tx).await.unwrap();
        tx.commit().await.unwrap();
        let newest = keep(ctx, &stranger(env, info()).await, "newest").await;
        let left = i64::try_from(waiting(env).await).unwrap();
        assert!(left <= ROOM_SIGNED_OUT.answers + 1, "{left}");
        assert_eq!(taken(ctx, &newest).await.as_deref(), Some("newest"));
        assert_eq!(taken(ctx, &mias).await.as_deref(), Some("Mia"));
    }

    async fn an_answer_sealed_for_another_row_or_with_another_key_is_not_shown(env) {
        let owner = stranger(env, info()).await;
        let (one, two) = (keep(&env.ctx, &owner, "one").await, keep(&env.ctx, &owner, "two").await);
        let rows = entity::Flash::find().all(env.ctx.db().read()).await.unwrap();
        let hash = store::master_key::hash_token(one.expose());
        let other = rows.iter().find(|row| row.id != hash).unwrap();
        let tx = env.ctx.db().begin().await.unwrap();
        entity::Flash::update_many()
            .col_expr(entity::flash::Column::Sealed, Expr::value(other.sealed.clone()))
            .exec(&tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(taken(&env.ctx, &one).await, None);
        let elsewhere = AppContext::new(
            env.ctx.db().clone(),
            env.ctx.site().clone(),
            MasterKey::new([8; 32]),
            Passwords::quick_for_tests(),
            AuthLimits::off(),
        );
        assert_eq!(taken(&elsewhere, &two).await, None);
        assert_eq!(taken(&env.ctx, &two).await.as_deref(), Some("two"));
    }
}

/// As many processes as there are connections ask for the same answer at the same moment.
async fn races(kind: Kind) {
    let (url, folder) = database_url(kind).await;
    let db = Db::connect(&url).await.unwrap();
    db.migrate().await.unwrap();
    let ctx = |db: Db| {
        let site = store::context::Site {
            public_url: "https://settings.example".into(),
            sends_mail: false,
            demo: false,
        };
        let master_key = MasterKey::new([7; 32]);
        AppContext::new(
            db,
            site,
            master_key,
            Passwords::quick_for_tests(),
            AuthLimits::off(),
        )
    };
    let first = ctx(db);
    let second = ctx(Db::connect(&url).await.unwrap());
    for round in 0..20 {
        let owner = Owner::of(&Caller::new(first.clone(), info(), None)).await;
        let id = keep(&first, &owner, "once").await;
        let mut asking = JoinSet::new();
        for n in 0..6 {
            let ctx = if n % 2 == 0 {
                first.clone()
            } else {
                second.clone()
            };
            let id = id.clone();
            asking.spawn(async move { taken(&ctx, &id).await });
        }
        let shown = asking.join_all().await.into_iter().flatten().count();
        assert_eq!(shown, 1, "in round {round}");
    }
    if let Some(folder) = folder {
        let _ = std::fs::remove_dir_all(folder);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_ask_at_once_one_is_answered_on_sqlite() {
    races(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_ask_at_once_one_is_answered_on_postgresql() {
    races(Kind::Postgres).await;
}
