//! What belongs to another workspace is not found, although the caller owns one.

use store::db::entity;
use store::db::sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use store::demo::PASSWORD;

use super::{Fields, server, template};
use crate::support::Kind;

/// Olivia may do all this in Acme, and names Globex's things.
#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::too_many_lines,
    reason = "a table: what is named, and what names it"
)]
async fn anothers_things_are_not_found_through_ones_own_workspace() {
    let server = server(&template(Kind::Sqlite).await, "olivia").await;
    let read = server.ctx.db().read();
    let workspace = async |slug: &str| {
        entity::Workspace::find()
            .filter(entity::workspace::Column::Slug.eq(slug))
            .one(read)
            .await
            .unwrap()
            .unwrap()
            .id
    };
    let (acme, globex) = (workspace("acme").await, workspace("globex").await);
    let invitation = entity::Invitation::find()
        .filter(entity::invitation::Column::WorkspaceId.eq(globex))
        .one(read)
        .await
        .unwrap()
        .unwrap()
        .id
        .to_string();
    let member = entity::Membership::find()
        .filter(entity::membership::Column::WorkspaceId.eq(globex))
        .filter(entity::membership::Column::Role.ne("owner"))
        .one(read)
        .await
        .unwrap()
        .unwrap()
        .id
        .to_string();
    let notification = entity::Notification::find()
        .filter(entity::notification::Column::WorkspaceId.eq(globex))
        .one(read)
        .await
        .unwrap()
        .unwrap()
        .id
        .to_string();
    let event = entity::Event::find()
        .filter(entity::event::Column::WorkspaceId.eq(globex))
        .one(read)
        .await
        .unwrap()
        .unwrap()
        .id
        .to_string();
    let own = || ("workspace", acme.to_string());
    let own_form = || ("form[workspace]", acme.to_string());
    let calls: Vec<(&str, Fields)> = vec![
        (
            "cancel_invitation",
            vec![own(), ("invitation", invitation.clone())],
        ),
        (
            "resend_invitation",
            vec![own(), ("invitation", invitation.clone())],
        ),
        ("remove_member", vec![own(), ("member", member.clone())]),
        (
            "change_role",
            vec![
                own_form(),
                ("form[member]", member.clone()),
                ("form[role]", "client".to_owned()),
            ],
        ),
        (
            "mark_notification",
            vec![
                own(),
                ("notification", notification.clone()),
                ("read", "true".to_owned()),
            ],
        ),
        (
            "undo_cancel_invitation",
            vec![own(), ("event", event.clone())],
        ),
        ("undo_change_role", vec![own(), ("event", event.clone())]),
        ("undo_remove_member", vec![own(), ("event", event.clone())]),
        (
            "undo_workspace_rename",
            vec![own(), ("event", event.clone())],
        ),
        ("undo_workspace_url", vec![own(), ("event", event.clone())]),
        // Last: the password replaces the session's token.
        (
            "transfer_ownership",
            vec![
                own_form(),
                ("form[member]", member.clone()),
                ("form[current_password]", PASSWORD.to_owned()),
            ],
        ),
    ];
    for (name, fields) in calls {
        let answer = server.call("olivia", &format!("/fn/{name}"), &fields).await;
        // A form says it at the field where the member was chosen.
        let status = if name == "transfer_ownership" {
            422
        } else {
            404
        };
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
    }
}
