//! Decides who is notified of an event, and how: inbox rows and outbox emails, by each user's preferences. All of it is
//! computed before the transaction that writes it. An unconfirmed email address may belong to a stranger, so it gets
//! only the account's own security events. `email_limits` bounds the number of emails per email address.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use domain::catalog::{Category, Channel};
use domain::notifications::Switch;
use domain::{
    AppError, Email, EventId, NotificationId, Role, Timestamp, Topic, UserId, WorkspaceId,
};
use entity::event::Model as Event;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};

use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::email::limits::{Allowances, LimitedRecipient};
use crate::email::{self, NotificationMeta, PreparedEmail, Recipient, templates};
use crate::events::describe;
use crate::live::Invalidation;
use crate::notifications::{Preferences, preferences, unsubscribe_token};

/// The most values that one statement binds in a list: SQLite allows 32,766 in total.
const VALUES: usize = 5_000;
/// How many rows one statement inserts.
const ROWS: usize = 500;
/// How many inbox rows and emails are computed before they are written: for as many events as that covers, and for at
/// least one.
const MAX_ROWS: usize = 5_000;
const MAX_EMAILS: usize = 500;

/// Someone to notify.
struct NotificationTarget<'a> {
    user: UserId,
    address: &'a Address,
    /// The workspace whose inbox shows it; `None` for events outside a workspace, or if the user has left it.
    workspace: Option<WorkspaceId>,
}

/// An email address and whether it counts as confirmed.
struct Address {
    email: Email,
    confirmed: bool,
}

impl NotificationTarget<'_> {
    /// Whether an email about the event can go to this email address.
    fn may_be_written_to(&self, event: &Event) -> bool {
        let own_security = event.category == Category::Security
            && self.workspace.is_none()
            && event.subject_user_id == Some(self.user);
        self.address.confirmed || own_security
    }
}

/// An email to send if the allowances of its recipient and workspace permit.
struct Notification {
    to: LimitedRecipient,
    workspace: Option<WorkspaceId>,
    category: Category,
    email: PreparedEmail,
}

/// The rows to write to notify users of some events.
#[derive(Default)]
pub struct Told {
    inbox: Vec<InboxRow>,
    outbox: Vec<Notification>,
    invalidations: HashSet<Invalidation>,
}

/// Computes whom to notify of these events and how, and how many events that covers: the rest must wait.
pub async fn work_out(ctx: &AppContext, events: &[Arc<Event>]) -> Result<(Told, usize), AppError> {
    let mut told = Told::default();
    if events.is_empty() {
        return Ok((told, 0));
    }
    let people = People::load(ctx, events).await?;
    for (index, event) in events.iter().enumerate() {
        if told.inbox.len() >= MAX_ROWS || told.outbox.len() >= MAX_EMAILS {
            return Ok((told, index));
        }
        for listener in people.listeners(event) {
            let wishes = people.wishes(listener.user);
            if !wishes.wants(event.event_type) {
                continue;
            }
            if wishes.is_on(event.category, Channel::InApp) {
                told.inbox.push(inbox_row(&listener, event));
                told.invalidations
                    .insert(Invalidation::user(listener.user, Topic::Inbox));
            }
            if wishes.is_on(event.category, Channel::Email) && listener.may_be_written_to(event) {
                told.outbox.push(notice(ctx, &listener, event, &people));
            }
        }
    }
    Ok((told, events.len()))
}

impl Told {
    /// Leaves out the events of another process.
    #[must_use]
    pub fn only(mut self, events: &HashSet<EventId>) -> Self {
        self.inbox.retain(|row| {
            row.event_id
                .try_as_ref()
                .is_some_and(|id| events.contains(id))
        });
        self.outbox
            .retain(|one| one.email.event().is_some_and(|id| events.contains(&id)));
        self
    }

    pub async fn write(self, tx: &mut Tx) -> Result<(), AppError> {
        use entity::notification::Column;
        let mut inbox = self.inbox.into_iter().peekable();
        while inbox.peek().is_some() {
            entity::Notification::insert_many(inbox.by_ref().take(ROWS).collect::<Vec<_>>())
                .on_conflict(
                    OnConflict::columns([Column::UserId, Column::EventId])
                        .do_nothing()
                        .to_owned(),
                )
                .exec_without_returning(tx)
                .await?;
        }
        tx.invalidate_all(self.invalidations);
        send(tx, self.outbox).await
    }
}

/// Adds to the outbox the emails that the allowances permit, and counts the rest for the digest.
async fn send(tx: &Tx, outbox: Vec<Notification>) -> Result<(), AppError> {
    if outbox.is_empty() {
        return Ok(());
    }
    let people = outbox.iter().map(|one| one.to).collect();
    let places: BTreeSet<_> = outbox.iter().filter_map(|one| one.workspace).collect();
    let mut allowances = Allowances::lock(tx, Timestamp::now(), people, places).await?;
    let allowed = outbox
        .into_iter()
        .filter(|one| allowances.take(one.to, one.workspace, one.category))
        .map(|one| one.email)
        .collect();
    email::insert_notifications(tx, allowed).await?;
    allowances.save(tx).await
}

/// Everybody whom a batch of events may concern, loaded once.
struct People {
    members: HashMap<WorkspaceId, Vec<(UserId, Role)>>,
    workspaces: HashMap<WorkspaceId, entity::workspace::Model>,
    addresses: HashMap<UserId, Address>,
    preferences: HashMap<UserId, Preferences>,
    nothing_chosen: Preferences,
}

impl People {
    async fn load(ctx: &AppContext, events: &[Arc<Event>]) -> Result<Self, AppError> {
        let read = ctx.db().read();
        // A batch holds 100 events, so its workspaces and users need no chunks.
        let places: HashSet<WorkspaceId> = events.iter().filter_map(|e| e.workspace_id).collect();
        let mut users: HashSet<UserId> = events.iter().filter_map(|e| e.subject_user_id).collect();
        let workspaces = entity::Workspace::find()
            .filter(entity::workspace::Column::Id.is_in(places.iter().copied()))
            .all(read)
            .await?;
        let mut members: HashMap<_, Vec<_>> = HashMap::new();
        for member in entity::Membership::find()
            .filter(entity::membership::Column::WorkspaceId.is_in(places))
            .all(read)
            .await?
        {
            let place = members.entry(member.workspace_id).or_default();
            place.push((member.user_id, member.role));
            users.insert(member.user_id);
        }
        let users: Vec<UserId> = users.into_iter().collect();
        let (mut addresses, mut wishes) = (HashMap::new(), HashMap::new());
        for users in users.chunks(VALUES) {
            let found = entity::User::find()
                .filter(entity::user::Column::Id.is_in(users.iter().copied()))
                .all(read)
                .await?;
            addresses.extend(found.into_iter().map(|user| {
                let confirmed = ctx.site().counts_as_confirmed(user.email_confirmed_at);
                let address = Address {
                    email: user.email,
                    confirmed,
                };
                (user.id, address)
            }));
            wishes.extend(preferences(read, users).await?);
        }
        Ok(Self {
            members,
            workspaces: workspaces.into_iter().map(|w| (w.id, w)).collect(),
            addresses,
            preferences: wishes,
            nothing_chosen: Preferences::default(),
        })
    }

    fn wishes(&self, user: UserId) -> &Preferences {
        self.preferences.get(&user).unwrap_or(&self.nothing_chosen)
    }

    /// A security event about a user notifies that user, even if the user caused it. Other events notify every member
    /// who can see the subject, and the user whom they are about, except the user who caused them.
    fn listeners(&self, event: &Event) -> Vec<NotificationTarget<'_>> {
        let did_it = |user: UserId| event.actor_id == Some(user.uuid());
        let listener = |user: UserId, workspace| {
            let address = self.addresses.get(&user)?;
            Some(NotificationTarget {
                user,
                address,
                workspace,
            })
        };
        let members = event
            .workspace_id
            .and_then(|place| self.members.get(&place))
            .map_or(&[][..], Vec::as_slice);
        let mut found: Vec<NotificationTarget<'_>> = members
            .iter()
            .filter(|(_, role)| role.may(event.event_type.required_permission()))
            .filter(|(user, _)| !did_it(*user))
            .filter_map(|(user, _)| listener(*user, event.workspace_id))
            .collect();
        if let Some(about) = event.subject_user_id {
            let own = event.category == Category::Security || !did_it(about);
            if own && !found.iter().any(|listener| listener.user == about) {
                found.extend(listener(about, None));
            }
        }
        found
    }
}

type InboxRow = entity::notification::ActiveModel;
fn inbox_row(listener: &NotificationTarget<'_>, event: &Event) -> InboxRow {
    InboxRow {
        // Inboxes are sorted by ID, so the ID reflects when the event happened, not when it was processed.
        id: Set(NotificationId::at(event.created_at)),
        user_id: Set(listener.user),
        workspace_id: Set(listener.workspace),
        event_id: Set(event.id),
        category: Set(event.category),
        created_at: Set(event.created_at),
        read_at: Set(None),
    }
}

fn notice(
    ctx: &AppContext,
    listener: &NotificationTarget<'_>,
    event: &Event,
    people: &People,
) -> Notification {
    let site = ctx.site();
    let place = listener
        .workspace
        .and_then(|place| people.workspaces.get(&place));
    let link = place.map_or_else(
        || site.url("/"),
        |place| site.url(&format!("/w/{}/inbox", place.slug)),
    );
    let settings = place.map_or_else(
        || site.url("/"),
        |place| {
            site.url(&format!(
                "/w/{}/settings/notifications#{}-email",
                place.slug, event.category
            ))
        },
    );
    let message = templates::notification(
        &describe(event.event_type, &event.actor_name, &event.data),
        event.category.label(),
        place.map(|place| place.name.as_str()),
        &link,
        &settings,
    );
    let cell = Switch::Cell(event.category, Channel::Email);
    let token = unsubscribe_token(ctx, listener.user, cell);
    let to = Recipient {
        email: listener.address.email.clone(),
        user: Some(listener.user),
    };
    let notice = NotificationMeta {
        event: event.id,
        category: event.category,
        unsubscribe_url: site.url(&format!("/unsubscribe/{token}")),
    };
    Notification {
        to: LimitedRecipient {
            user: listener.user,
            confirmed: listener.address.confirmed,
        },
        workspace: listener.workspace,
        category: event.category,
        email: PreparedEmail::new(ctx, to, &message, notice),
    }
}
