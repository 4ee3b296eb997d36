//! The demo: two workspaces, Acme and Globex, with named people in every role, invitations in every status, contacts,
//! and some weeks of events, so that no page is empty.

mod billing;
mod credits;
mod keys;
mod webhooks;

use std::time::Duration;

use domain::catalog::{Catalog, EventType, Mode};
use domain::contacts::Stage;
use domain::{
    AppError, ContactId, Email, InvitationId, Name, Role, Secret, Slug, Timestamp, UserId,
    WorkspaceId, days, fold, hours,
};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, Set};
use serde_json::json;

use crate::auth::sessions;
use crate::contacts::folded;
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::events::{self, NewEvent, Origin};

/// Everybody's password in the demo.
pub const PASSWORD: &str = "correct horse battery staple";

/// A person you can sign in as.
pub struct DemoPerson {
    pub email: &'static str,
    pub who: &'static str,
}

const OLIVIA: (&str, &str) = ("Olivia Owens", "olivia@acme.example");
const ADAM: (&str, &str) = ("Adam Archer", "adam@acme.example");
const MIA: (&str, &str) = ("Mia Moreno", "mia@acme.example");
const CLEO: (&str, &str) = ("Cleo Chen", "cleo@acme.example");
const GRETA: (&str, &str) = ("Greta Gruber", "greta@globex.example");

fn people() -> Vec<DemoPerson> {
    vec![
        DemoPerson {
            email: OLIVIA.1,
            who: "Olivia Owens, owner of Acme",
        },
        DemoPerson {
            email: ADAM.1,
            who: "Adam Archer, admin of Acme, member of Globex",
        },
        DemoPerson {
            email: MIA.1,
            who: "Mia Moreno, member of Acme",
        },
        DemoPerson {
            email: CLEO.1,
            who: "Cleo Chen, client of Acme",
        },
        DemoPerson {
            email: GRETA.1,
            who: "Greta Gruber, owner of Globex",
        },
    ]
}

/// The demo's events and their times. They are written in order of time once all are known.
#[derive(Default)]
struct Story(Vec<(Timestamp, Origin, NewEvent)>);

impl Story {
    fn add(&mut self, at: Timestamp, origin: Origin, event: NewEvent) {
        self.0.push((at, origin, event));
    }

    async fn write(mut self, tx: &mut Tx) -> Result<(), AppError> {
        self.0.sort_by_key(|(at, ..)| *at);
        for (at, origin, event) in self.0 {
            events::record_at(tx, origin, event, at).await?;
        }
        Ok(())
    }
}

/// How many of the demo's five people identify a demo database. Some may have left or changed their email address.
const ENOUGH_OF_THEM: u64 = 3;

/// Whether this database can be shown as the demo: it is empty or was filled by [`demo`]. Other databases contain
/// people with private email.
pub async fn is_demo_or_empty(ctx: &AppContext) -> Result<bool, AppError> {
    let read = ctx.db().read();
    if entity::User::find().count(read).await? == 0 {
        return Ok(true);
    }
    let known = entity::user::Column::Email.is_in(people().iter().map(|person| person.email));
    Ok(entity::User::find().filter(known).count(read).await? >= ENOUGH_OF_THEM)
}

/// Fills an empty database. A database with people stays as it is.
pub async fn demo(ctx: &AppContext) -> Result<Vec<DemoPerson>, AppError> {
    if entity::User::find().count(ctx.db().read()).await? > 0 {
        return Ok(people());
    }
    let hash = ctx.passwords().hash(&Secret::from(PASSWORD)).await?;
    let mut tx = ctx.db().begin().await?;
    let mut story = Story::default();
    let olivia = person(&mut tx, OLIVIA, &hash).await?;
    let adam = person(&mut tx, ADAM, &hash).await?;
    let mia = person(&mut tx, MIA, &hash).await?;
    let cleo = person(&mut tx, CLEO, &hash).await?;
    let greta = person(&mut tx, GRETA, &hash).await?;

    let catalog = ctx.catalog();
    let acme = workspace(
        &mut tx,
        catalog,
        &mut story,
        (olivia, OLIVIA.0),
        "Acme",
        "acme",
        62,
    )
    .await?;
    for (user, role, ago) in [
        (adam, Role::Admin, 55),
        (mia, Role::Member, 40),
        (cleo, Role::Client, 12),
    ] {
        member(&mut tx, &mut story, acme, user, role, ago).await?;
    }
    let globex = workspace(
        &mut tx,
        catalog,
        &mut story,
        (greta, GRETA.0),
        "Globex",
        "globex",
        30,
    )
    .await?;
    member(&mut tx, &mut story, globex, adam, Role::Member, 20).await?;

    let life = catalog.invitation_life();
    for (index, invited) in INVITATIONS.into_iter().enumerate() {
        invitation(&mut tx, acme, adam, invited, index as u64, life).await?;
    }
    let hank = ("hank@globex.example", Role::Admin, Pending);
    invitation(&mut tx, globex, greta, hank, 1, life).await?;
    for (index, (name, company, stage)) in CONTACTS.into_iter().enumerate() {
        let workspace = if index % 4 == 3 { globex } else { acme };
        contact(
            &mut tx,
            &mut story,
            workspace,
            name,
            company,
            stage,
            40 - 2 * index as u64,
        )
        .await?;
    }
    let acmes = [(olivia, OLIVIA.0), (adam, ADAM.0), (mia, MIA.0)];
    history(&mut story, acme, ("Acme Trading", "Acme"), acmes);
    let globexes = [(greta, GRETA.0), (adam, ADAM.0), (greta, GRETA.0)];
    history(&mut story, globex, ("Globex Ventures", "Globex"), globexes);
    story.write(&mut tx).await?;
    credits::busy(&mut tx, catalog, acme, acmes).await?;
    credits::calm(&mut tx, catalog, globex).await?;
    let scale = (catalog.trial_plan.as_str(), (olivia, OLIVIA.0));
    billing::subscribed(&mut tx, catalog, acme, scale, (&[40, 10], 20)).await?;
    let first = catalog.plans.first().ok_or(AppError::NotFound)?;
    let light = (first.id.as_str(), (greta, GRETA.0));
    billing::subscribed(&mut tx, catalog, globex, light, (&[3], 27)).await?;
    keys::keys(&mut tx, acme, (olivia, OLIVIA.0), (adam, ADAM.0)).await?;
    webhooks::demo(&mut tx, ctx, acme).await?;
    tx.commit().await?;
    Ok(people())
}

async fn person(tx: &mut Tx, (name, email): (&str, &str), hash: &str) -> Result<UserId, AppError> {
    let joined = Timestamp::now().before(days(63));
    let id = UserId::new();
    entity::user::ActiveModel {
        id: Set(id),
        email: Set(Email::parse(email).map_err(|_| AppError::Malformed)?),
        name: Set(name.to_owned()),
        folded_name: Set(fold(name)),
        password_hash: Set(hash.to_owned()),
        email_confirmed_at: Set(Some(joined)),
        created_at: Set(joined),
        updated_at: Set(joined),
    }
    .insert(tx)
    .await?;
    Ok(id)
}

async fn workspace(
    tx: &mut Tx,
    catalog: &Catalog,
    story: &mut Story,
    (owner, owner_name): (UserId, &str),
    name: &str,
    slug: &str,
    days_ago: u64,
) -> Result<WorkspaceId, AppError> {
    let name = Name::parse(name).map_err(|_| AppError::Malformed)?;
    let owner_name = Name::parse(owner_name).map_err(|_| AppError::Malformed)?;
    let slug = Slug::parse(slug).map_err(|_| AppError::Malformed)?;
    sessions::create_workspace(tx, catalog, owner, &owner_name, &name, Some(&slug)).await?;
    let made = Timestamp::now().before(days(days_ago));
    let workspace = entity::Workspace::find()
        .filter(entity::workspace::Column::Slug.eq(slug))
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)?;
    entity::Workspace::update_many()
        .col_expr(entity::workspace::Column::CreatedAt, Expr::value(made))
        .filter(entity::workspace::Column::Id.eq(workspace.id))
        .exec(tx)
        .await?;
    entity::Membership::update_many()
        .col_expr(entity::membership::Column::JoinedAt, Expr::value(made))
        .filter(entity::membership::Column::WorkspaceId.eq(workspace.id))
        .exec(tx)
        .await?;
    // Delete its event, which has today's date. The story adds it on its own day.
    entity::Event::delete_many()
        .filter(entity::event::Column::WorkspaceId.eq(workspace.id))
        .exec(tx)
        .await?;
    let data = json!({"name": workspace.name, "slug": workspace.slug});
    story.add(
        made,
        Origin::person(owner, owner_name.as_str()),
        NewEvent::in_workspace(workspace.id, EventType::WorkspaceCreated, data),
    );
    Ok(workspace.id)
}

async fn member(
    tx: &mut Tx,
    story: &mut Story,
    workspace: WorkspaceId,
    user: UserId,
    role: Role,
    days_ago: u64,
) -> Result<(), AppError> {
    let id = sessions::insert_membership(tx, workspace, user, role).await?;
    let joined = Timestamp::now().before(days(days_ago));
    entity::Membership::update_many()
        .col_expr(entity::membership::Column::JoinedAt, Expr::value(joined))
        .col_expr(
            entity::membership::Column::LastActiveAt,
            Expr::value(Timestamp::now().before(hours(days_ago))),
        )
        .filter(entity::membership::Column::Id.eq(id))
        .exec(tx)
        .await?;
    let person = entity::User::find_by_id(user)
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)?;
    let data = json!({"member": id, "user": user, "name": person.name, "email": person.email, "role": role});
    let event = NewEvent::in_workspace(workspace, EventType::MemberJoined, data);
    story.add(joined, Origin::person(user, &person.name), event);
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SeedInvitation {
    Pending,
    Expired,
    Accepted,
    Cancelled,
}
use SeedInvitation::{Accepted, Cancelled, Expired, Pending};

const INVITATIONS: [(&str, Role, SeedInvitation); 8] = [
    ("ben@acme.example", Role::Member, Pending),
    ("dora@partner.example", Role::Client, Pending),
    ("emil@acme.example", Role::Admin, Pending),
    ("fay@acme.example", Role::Member, Expired),
    ("gus@partner.example", Role::Client, Expired),
    ("mia@acme.example", Role::Member, Accepted),
    ("cleo@acme.example", Role::Client, Accepted),
    ("ivy@acme.example", Role::Member, Cancelled),
];

async fn invitation(
    tx: &mut Tx,
    workspace: WorkspaceId,
    inviter: UserId,
    (email, role, fate): (&str, Role, SeedInvitation),
    index: u64,
    life: Duration,
) -> Result<(), AppError> {
    let now = Timestamp::now();
    let age = match fate {
        Pending => hours(5 + 20 * index),
        Cancelled => days(2),
        Expired => days(9 + 3 * index),
        Accepted => days(10 + 5 * index),
    };
    let sent = now.before(age);
    entity::invitation::ActiveModel {
        id: Set(InvitationId::at(sent)),
        workspace_id: Set(workspace),
        email: Set(Email::parse(email).map_err(|_| AppError::Malformed)?),
        role: Set(role),
        invited_by: Set(Some(inviter)),
        generation: Set(1),
        created_at: Set(sent),
        sent_at: Set(sent),
        expires_at: Set(sent.after(life)),
        accepted_at: Set((fate == Accepted).then(|| sent.after(hours(7)))),
        accepted_by: Set(None),
        cancelled_at: Set((fate == Cancelled).then_some(now)),
    }
    .insert(tx)
    .await?;
    Ok(())
}

const CONTACTS: [(&str, &str, &str); 16] = [
    ("Ana Álvarez", "Nordlicht AG", "qualified"),
    ("Bogdan Ionescu", "Carpathia SRL", "lead"),
    ("Chiara Conti", "Conti & Figli", "contacted"),
    ("Daniel Okafor", "Lagos Logistics", "won"),
    ("Elif Yılmaz", "Bosphorus Foods", "lead"),
    ("Farid Haddad", "Cedar Trading", "qualified"),
    ("Grace Kim", "Hanok Robotics", "contacted"),
    ("Henrik Larsen", "Fjord Shipping", "lost"),
    ("Ines Duarte", "Porto Ceramics", "lead"),
    ("Jakub Nowak", "Wisła Software", "won"),
    ("Kavya Rao", "Deccan Labs", "qualified"),
    ("Liam Murphy", "Atlantic Dairy", "contacted"),
    ("Meera Patel", "Sabarmati Textiles", "lead"),
    ("Noah Fischer", "Alpenwerk GmbH", "qualified"),
    ("Oksana Koval", "Dnipro Grain", "contacted"),
    ("Pedro Silva", "Mata Verde", "lead"),
];

async fn contact(
    tx: &mut Tx,
    story: &mut Story,
    workspace: WorkspaceId,
    name: &str,
    company: &str,
    stage: &str,
    days_ago: u64,
) -> Result<(), AppError> {
    let at = Timestamp::now().before(days(days_ago));
    let id = ContactId::at(at);
    let first = Slug::suggest(name.split(' ').next().unwrap_or(name));
    let email = format!("{first}@{}.example", Slug::suggest(company));
    let stage: Stage = stage.parse().map_err(|_| AppError::Malformed)?;
    entity::contact::ActiveModel {
        id: Set(id),
        workspace_id: Set(workspace),
        mode: Set(Mode::Live),
        name: Set(name.to_owned()),
        email: Set(Email::parse(&email).ok()),
        phone: Set(None),
        company: Set(Some(company.to_owned())),
        stage: Set(stage),
        tags: Set(json!(["demo"])),
        search_text: Set(folded([Some(name), Some(&email), Some(company)])),
        created_at: Set(at),
        updated_at: Set(at),
    }
    .insert(tx)
    .await?;
    let event = NewEvent::in_workspace(
        workspace,
        EventType::ContactCreated,
        json!({"id": id, "name": name, "stage": stage}),
    );
    story.add(at, Origin::system(), event);
    Ok(())
}

/// Some weeks of a workspace's events: automations, a contact that progresses, bills and credits, system notices.
/// `renamed`: the workspace's old and new names.
fn history(
    story: &mut Story,
    workspace: WorkspaceId,
    renamed: (&str, &str),
    people: [(UserId, &str); 3],
) {
    let [first, second, third] = people.map(|(id, name)| Origin::person(id, name));
    let system = Origin::system;
    let steps: Vec<(u64, Origin, EventType, serde_json::Value)> = vec![
        (
            26,
            system(),
            EventType::SystemAnnouncement,
            json!({"title": "Settings pages are faster now"}),
        ),
        (
            21,
            first.clone(),
            EventType::WorkspaceRenamed,
            json!({"from": renamed.0, "to": renamed.1}),
        ),
        (
            12,
            first.clone(),
            EventType::BillingPaymentSucceeded,
            json!({"amount": 2900, "for": "1,000 credits"}),
        ),
        (
            18,
            second.clone(),
            EventType::AutomationStarted,
            json!({"name": "Welcome sequence"}),
        ),
        (
            17,
            system(),
            EventType::SequenceReplied,
            json!({"name": "Welcome sequence", "detail": "Grace Kim asked for a demo"}),
        ),
        (
            15,
            third.clone(),
            EventType::ContactStageChanged,
            json!({"name": "Grace Kim", "from": "lead", "to": "contacted"}),
        ),
        (
            11,
            system(),
            EventType::AutomationFailed,
            json!({"name": "Nightly enrichment", "detail": "the source did not respond"}),
        ),
        (
            9,
            system(),
            EventType::SystemMaintenanceScheduled,
            json!({"title": "Maintenance on Sunday, 02:00 to 02:30 UTC"}),
        ),
        (
            6,
            second,
            EventType::ContactTagged,
            json!({"name": "Ana Álvarez", "added": ["priority"]}),
        ),
        (
            4,
            system(),
            EventType::AutomationCompleted,
            json!({"name": "Nightly enrichment"}),
        ),
        (
            2,
            third,
            EventType::ContactStageChanged,
            json!({"name": "Kavya Rao", "from": "contacted", "to": "qualified"}),
        ),
        (
            1,
            system(),
            EventType::SequenceFinished,
            json!({"name": "Welcome sequence"}),
        ),
    ];
    for (days_ago, origin, event_type, data) in steps {
        let at = Timestamp::now()
            .before(days(days_ago))
            .before(Duration::from_secs(days_ago * 977));
        story.add(
            at,
            origin,
            NewEvent::in_workspace(workspace, event_type, data),
        );
    }
}
