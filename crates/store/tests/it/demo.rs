//! The demo itself: it has something of everything, in order.

use domain::catalog::Category;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use store::db::entity::{Event, event};

use crate::support::{OLIVIA, both};

both! {
    async fn what_happened_is_read_in_the_order_of_time(env) {
        let events = Event::find().order_by_asc(event::Column::Id).all(env.ctx.db().read()).await.unwrap();
        assert!(events.len() > 30);
        assert!(events.is_sorted_by_key(|event| event.created_at));
        let olivia = env.actor(OLIVIA, "acme").await;
        let latest = store::activity::latest(&env.ctx, &olivia, 20).await.unwrap();
        assert!(latest.is_sorted_by(|a, b| a.created_at >= b.created_at));
    }

    async fn every_filter_of_the_inbox_shows_something(env) {
        let acme = env.actor(OLIVIA, "acme").await.workspace();
        let here = Event::find().filter(event::Column::WorkspaceId.eq(acme)).all(env.ctx.db().read()).await.unwrap();
        for category in Category::ALL.into_iter().filter(|category| *category != Category::Security) {
            let many = here.iter().filter(|event| event.category == category).count();
            assert!(many >= 2, "{category}: {many}");
        }
        assert_eq!(env.events(domain::catalog::EventType::SecuritySignedIn).await, 1, "Security begins with signing in");
        let renamed = here.iter().find(|event| event.data["from"] == "Acme Trading").unwrap();
        assert_eq!(store::events::describe(renamed.event_type, &renamed.actor_name, &renamed.data), "Olivia Owens renamed the workspace to Acme");
    }
}
