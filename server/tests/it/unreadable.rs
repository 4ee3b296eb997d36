//! A row that this version cannot read, as a newer one or a hand at the database may have left it, hides nothing else.

use domain::catalog::Scope;
use serde_json::Value;
use store::db::sea_orm::{ConnectionTrait, DbBackend};
use wheelhouse::work::dispatch::dispatch_all;

use crate::api::{ACME, Wish, ask, get, make_key, read};
use crate::both::both;
use crate::support::Server;

/// Puts a value that means nothing into the newest row of Acme's, or into that of another condition.
async fn spoil(server: &Server, table: &str, column: &str, value: &str, condition: &str) {
    let tx = server.ctx.db().begin().await.unwrap();
    // A newer version's tables may allow more.
    let lift = match tx.get_database_backend() {
        DbBackend::Postgres => {
            format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_{column}_check")
        }
        _ => "PRAGMA ignore_check_constraints = ON".to_owned(),
    };
    tx.execute_unprepared(&lift).await.unwrap();
    let sql = format!(
        "UPDATE {table} SET {column} = {value} WHERE id = (SELECT id FROM {table} WHERE {condition} ORDER BY id DESC LIMIT 1)"
    );
    let changed = tx.execute_unprepared(&sql).await.unwrap().rows_affected();
    assert_eq!(changed, 1, "{sql}");
    tx.commit().await.unwrap();
}

const OF_ACME: &str = "workspace_id = (SELECT id FROM workspaces WHERE slug = 'acme')";

both! {
    async fn pages_show_every_row_but_the_one_that_cannot_be_read(server) {
        dispatch_all(&server.ctx).await.unwrap();
        for (table, column, value, condition, path, shown) in [
            ("events", "category", "'of the future'", OF_ACME, "/w/acme", "<time"),
            ("notifications", "category", "'of the future'", OF_ACME, "/w/acme/inbox", "<time"),
            ("memberships", "role", "'of the future'", &format!("{OF_ACME} AND role = 'client'"), "/w/acme/settings/members", "Mia"),
            ("invitations", "role", "'of the future'", OF_ACME, "/w/acme/settings/members", "Mia"),
            ("api_keys", "mode", "'of the future'", OF_ACME, "/w/acme/settings/api-keys", "Website form"),
            ("webhooks", "status", "'of the future'", OF_ACME, "/w/acme/settings/webhooks", "https://"),
            ("credit_entries", "kind", "'of the future'", OF_ACME, "/w/acme/settings/credits", "Suggest Reply"),
            ("payments", "purpose", "'{}'", &format!("{OF_ACME} AND status = 'paid'"), "/w/acme/settings/billing", "current-plan"),
        ] {
            let before = server.page("olivia", path).await;
            assert_eq!(before.status, 200, "{path}");
            assert!(before.body.contains(shown), "{path} shows {shown}");
            spoil(server, table, column, value, condition).await;
            let after = server.page("olivia", path).await;
            assert_eq!(after.status, 200, "{path} after {table}.{column}");
            assert!(after.body.contains(shown), "{path} still shows {shown}");
        }
    }

    async fn a_list_of_the_api_goes_on_behind_a_row_that_cannot_be_read(server) {
        let scopes = &[Scope::ContactsRead];
        let key = make_key(&server.ctx, Wish { scopes, ..ACME }).await;
        let all = async || {
            let (mut ids, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = read(&ask(server, &key, get(&format!("/contacts?limit=2{cursor}"))).await);
                ids.extend(page["data"].as_array().unwrap().iter().map(|contact| contact["id"].clone()));
                match &page["next_cursor"] {
                    Value::String(next) => cursor = format!("&cursor={next}"),
                    _ => return ids,
                }
            }
        };
        let before = all().await;
        assert!(before.len() > 4);
        let live = format!("{OF_ACME} AND mode = 'live' AND stage <> 'of the future'");
        for spoiled in 1..=3 {
            spoil(server, "contacts", "stage", "'of the future'", &live).await;
            assert_eq!(all().await, before[spoiled..], "the others are all there");
        }
    }
}
