//! What a stolen database is worth: nothing that opens an account stands in it as it is.

use domain::form::{Flash, FormSuccess};
use domain::session::SignUp;
use domain::{Email, Name, Role, Secret};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use store::auth::sessions;
use store::members::invitations;
use store::{account, flashes};

use crate::support::{ADAM, MIA, OLIVIA, TestEnv, both, info, token_in};

const ZOE: &str = "zoe@new.example";
const NINA: &str = "nina@new.example";
const NEW: &str = "mia@new.example";

/// Every table with its columns, and whether each holds bytes.
async fn columns(env: &TestEnv) -> Vec<(String, String, bool)> {
    let db = env.ctx.db();
    let sql = match db.backend() {
        DbBackend::Postgres => {
            "SELECT table_name, column_name, data_type = 'bytea' FROM information_schema.columns \
             WHERE table_schema = 'public'"
        }
        _ => {
            "SELECT tables.name, columns.name, columns.type = 'blob' FROM sqlite_master AS tables \
             JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'"
        }
    };
    let rows = db
        .read()
        .query_all_raw(Statement::from_string(db.backend(), sql))
        .await
        .unwrap();
    rows.iter()
        .map(|row| {
            (
                row.try_get_by_index(0).unwrap(),
                row.try_get_by_index(1).unwrap(),
                row.try_get_by_index(2).unwrap(),
            )
        })
        .collect()
}

/// Everything that is written in the database, cell by cell, as bytes.
async fn everything(env: &TestEnv) -> Vec<(String, Vec<u8>)> {
    let db = env.ctx.db();
    let mut cells = Vec::new();
    for (table, column, bytes) in columns(env).await {
        let value = match (db.backend(), bytes) {
            (DbBackend::Postgres, true) => format!("\"{column}\""),
            (DbBackend::Postgres, false) => format!("convert_to(\"{column}\"::text, 'UTF8')"),
            _ => format!("CAST(\"{column}\" AS BLOB)"),
        };
        let sql = format!("SELECT {value} FROM \"{table}\"");
        let rows = db
            .read()
            .query_all_raw(Statement::from_string(db.backend(), sql))
            .await
            .unwrap();
        cells.extend(rows.iter().filter_map(|row| {
            let value: Option<Vec<u8>> = row.try_get_by_index(0).unwrap();
            Some((format!("{table}.{column}"), value?))
        }));
    }
    cells
}

fn holds(cell: &[u8], text: &str) -> bool {
    cell.windows(text.len())
        .any(|window| window == text.as_bytes())
}

both! {
    async fn no_link_and_no_cookie_stands_in_the_database(env) {
        let ctx = &env.ctx;
        let begun = sessions::sign_up(ctx, &info(), SignUp {
            name: Name::parse("Zoe Zimmer").unwrap(),
            email: Email::parse(ZOE).unwrap(),
            password: Secret::from("seven unrelated purple teapots"),
            workspace: Name::parse("Zoe").unwrap(),
        }).await.unwrap();
        sessions::request_reset(ctx, &info(), OLIVIA).await.unwrap();
        let mia = env.person(MIA).await;
        let name = Name::parse(mia.name()).unwrap();
        account::save_profile(ctx, &info(), &mia, name, Email::parse(NEW).unwrap(), &Secret::default())
            .await
            .unwrap();
        let adam = env.actor(ADAM, "acme").await;
        invitations::invite(ctx, &adam.permit().unwrap(), NINA, Role::Member).await.unwrap();

        let mut secrets = vec![begun.cookie.expose().to_owned()];
        for (who, path) in [
            (ZOE, "/confirm-email/"),
            (OLIVIA, "/reset-password/"),
            (NEW, "/confirm-email/"),
            (MIA, "/confirm-email/"),
            (NINA, "/invite/"),
        ] {
            secrets.push(token_in(env.letters_to(who).await.last().unwrap(), path));
        }
        let cells = everything(env).await;
        assert!(cells.iter().any(|(_, cell)| holds(cell, ZOE)), "the search itself works");
        for secret in &secrets {
            for (column, cell) in &cells {
                assert!(!holds(cell, secret), "{column} holds {secret}");
            }
        }
    }

    async fn no_answer_to_a_form_stands_in_the_database(env) {
        let ctx = &env.ctx;
        let flash = Flash {
            action: "/fn/reset_password".into(),
            key: String::new(),
            typed: vec![("form[name]".into(), "typed-by-mia".into())],
            outcome: Ok(FormSuccess::with_message("said-to-mia").with_secret(Secret::from("wh_live_shown-once"))),
        };
        let owner = flashes::Owner::of(&env.caller(None)).await;
        let page = "/reset-password/token-in-the-path";
        let id = flashes::insert(ctx, &owner, page, flash.clone()).await.unwrap().unwrap();
        let cells = everything(env).await;
        assert!(cells.iter().any(|(column, _)| column == "flashes.sealed"), "it is there");
        let address = info().address.to_string();
        for text in ["typed-by-mia", "said-to-mia", "wh_live_shown-once", "token-in-the-path", id.expose(), &address] {
            for (column, cell) in cells.iter().filter(|(column, _)| column.starts_with("flashes.")) {
                assert!(!holds(cell, text), "{column} holds {text}");
            }
        }
        let found = flashes::take(ctx, id.expose(), page).await.unwrap();
        assert!(matches!(found, flashes::Found::Here(found) if *found == flash));
    }

    async fn a_letter_opens_in_its_own_row_alone(env) {
        use store::db::entity::OutboxEmail;
        use sea_orm::EntityTrait;
        for who in [OLIVIA, ADAM] {
            sessions::request_reset(&env.ctx, &info(), who).await.unwrap();
        }
        let messages = OutboxEmail::find().all(env.ctx.db().read()).await.unwrap();
        let [first, second] = messages.as_slice() else { panic!("two letters") };
        assert!(store::email::decrypt(&env.ctx, first).is_some());
        let mut moved = first.clone();
        moved.body_text.clone_from(&second.body_text);
        assert!(store::email::decrypt(&env.ctx, &moved).is_none());
    }

    async fn old_letters_and_changes_that_are_over_are_swept_away(env) {
        use store::db::entity::{EmailChange, OutboxEmail, outbox_email::Column};
        use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, sea_query::Expr};
        for who in [OLIVIA, ADAM] {
            sessions::request_reset(&env.ctx, &info(), who).await.unwrap();
        }
        let tx = env.ctx.db().begin().await.unwrap();
        let old = domain::Timestamp::now().before(domain::days(31));
        OutboxEmail::update_many().col_expr(Column::CreatedAt, Expr::value(old)).filter(Column::Recipient.eq(OLIVIA)).exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        let mia = env.person(MIA).await;
        let name = Name::parse(mia.name()).unwrap();
        account::save_profile(&env.ctx, &info(), &mia, name, Email::parse(NEW).unwrap(), &Secret::default()).await.unwrap();
        sessions::sweep(&env.ctx).await.unwrap();
        assert!(env.letters_to(OLIVIA).await.is_empty());
        assert_eq!(env.letters_to(ADAM).await.len(), 1);
        assert_eq!(EmailChange::find().count(env.ctx.db().read()).await.unwrap(), 1, "this one still waits");
        account::cancel_change(&env.ctx, &mia).await.unwrap();
        sessions::sweep(&env.ctx).await.unwrap();
        assert_eq!(EmailChange::find().count(env.ctx.db().read()).await.unwrap(), 0);
    }
}
