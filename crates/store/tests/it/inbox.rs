use std::time::Duration;

use domain::catalog::Category::{self, Billing, Contacts, Security};
use domain::catalog::EventType;
use domain::{AppError, NotificationId, Timestamp};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, Set};
use store::auth::Actor;
use store::db::entity::{Event, Notification, event, notification};
use store::inbox;

use crate::support::{GRETA, MIA, OLIVIA, TestEnv, both};

const NOT: Option<Category> = None;

/// Gives somebody an inbox of their own making: one unread notification for each category, oldest first.
async fn fill(env: &TestEnv, actor: &Actor, categories: &[Category]) -> Vec<NotificationId> {
    let tx = env.ctx.db().begin().await.unwrap();
    let event = Event::find()
        .filter(event::Column::EventType.eq(EventType::ContactCreated))
        .one(&tx)
        .await
        .unwrap()
        .unwrap();
    // One event may be told of once.
    let events = Event::find()
        .filter(event::Column::WorkspaceId.eq(event.workspace_id))
        .all(&tx)
        .await
        .unwrap();
    Notification::delete_many()
        .filter(notification::Column::UserId.eq(actor.person().id()))
        .exec(&tx)
        .await
        .unwrap();
    let mut ids = Vec::new();
    for (category, event) in categories.iter().zip(&events) {
        let id = NotificationId::new();
        notification::ActiveModel {
            id: Set(id),
            user_id: Set(actor.person().id()),
            workspace_id: Set(Some(actor.workspace())),
            event_id: Set(event.id),
            category: Set(*category),
            created_at: Set(Timestamp::now()),
            read_at: Set(None),
        }
        .insert(&tx)
        .await
        .unwrap();
        ids.push(id);
        // Ids of one millisecond have no order.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tx.commit().await.unwrap();
    ids
}

async fn unread(env: &TestEnv, actor: &Actor) -> Vec<NotificationId> {
    let page = inbox::list(&env.ctx, actor, NOT, None).await.unwrap();
    page.items
        .iter()
        .filter(|item| !item.read)
        .map(|item| item.id)
        .rev()
        .collect()
}

both! {
    async fn all_of_the_category_that_is_shown_are_marked_and_no_other(env) {
        let mia = env.actor(MIA, "acme").await;
        let ids = fill(env, &mia, &[Billing, Contacts, Billing, Security]).await;
        let done = inbox::mark_all_read(&env.ctx, &mia, Some(Billing), None).await.unwrap();
        assert_eq!(done.message, "2 Billing notifications marked as read");
        assert_eq!(unread(env, &mia).await, [ids[1], ids[3]]);
        let done = inbox::mark_all_read(&env.ctx, &mia, Some(Billing), None).await.unwrap();
        assert_eq!(done.message, "No unread notifications");
        assert_eq!(done.undo_read, None);
        let done = inbox::mark_all_read(&env.ctx, &mia, NOT, None).await.unwrap();
        assert_eq!(done.message, "2 notifications marked as read");
        assert_eq!(unread(env, &mia).await, []);
    }

    async fn what_came_after_the_page_was_shown_stays_unread(env) {
        let mia = env.actor(MIA, "acme").await;
        let ids = fill(env, &mia, &[Billing, Contacts, Billing]).await;
        let done = inbox::mark_all_read(&env.ctx, &mia, NOT, Some(ids[1])).await.unwrap();
        assert_eq!(done.message, "2 notifications marked as read");
        assert_eq!(unread(env, &mia).await, [ids[2]]);
    }

    async fn undo_marks_as_unread_what_that_press_had_marked_and_nothing_else(env) {
        let mia = env.actor(MIA, "acme").await;
        let ids = fill(env, &mia, &[Billing, Contacts, Billing, Billing]).await;
        inbox::mark(&env.ctx, &mia, ids[0], true).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        let undo = inbox::mark_all_read(&env.ctx, &mia, Some(Billing), None).await.unwrap().undo_read.unwrap();
        assert_eq!(undo.workspace, mia.workspace().to_string());
        assert_eq!(unread(env, &mia).await, [ids[1]]);
        tokio::time::sleep(Duration::from_millis(2)).await;
        // Read once more since: that is another mark.
        inbox::mark(&env.ctx, &mia, ids[3], true).await.unwrap();
        let done = inbox::undo_mark_all_read(&env.ctx, &mia, undo.read_at).await.unwrap();
        assert_eq!(done.message, "1 notification marked as unread");
        assert_eq!(unread(env, &mia).await, [ids[1], ids[2]]);
        let again = inbox::undo_mark_all_read(&env.ctx, &mia, undo.read_at).await;
        assert_eq!(again.err(), Some(AppError::NotFound));
    }

    async fn nobody_marks_or_unmarks_what_is_anothers(env) {
        let mia = env.actor(MIA, "acme").await;
        let olivia = env.actor(OLIVIA, "acme").await;
        let greta = env.actor(GRETA, "globex").await;
        let ids = fill(env, &mia, &[Billing, Contacts]).await;
        for other in [&olivia, &greta] {
            inbox::mark_all_read(&env.ctx, other, NOT, None).await.unwrap();
            let marked = inbox::mark(&env.ctx, other, ids[0], true).await;
            assert_eq!(marked.err(), Some(AppError::NotFound));
        }
        assert_eq!(unread(env, &mia).await, ids);
        let undo = inbox::mark_all_read(&env.ctx, &mia, NOT, None).await.unwrap().undo_read.unwrap();
        for other in [&olivia, &greta] {
            let taken_back = inbox::undo_mark_all_read(&env.ctx, other, undo.read_at).await;
            assert_eq!(taken_back.err(), Some(AppError::NotFound));
        }
        assert_eq!(unread(env, &mia).await, []);
    }
}
