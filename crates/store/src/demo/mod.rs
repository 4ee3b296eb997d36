//! The demo: two workspaces, Acme and Globex, with named people in every role, invitations in every status, contacts,
//! and some weeks of events, so that no page is empty.

mod billing;
mod contacts;
mod credits;
mod invitations;
mod keys;
mod people;
mod story;
mod webhooks;
mod workspaces;

pub use people::DemoPerson;

use domain::{AppError, Role, Secret};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use self::contacts::{CONTACTS, contact};
use self::invitations::{INVITATIONS, SeedInvitation, invitation};
use self::people::{ADAM, CLEO, GRETA, MIA, OLIVIA, people, person};
use self::story::{Story, history};
use self::workspaces::{member, workspace};
use crate::context::AppContext;
use crate::db::entity;

/// Everybody's password in the demo.
pub const PASSWORD: &str = "correct horse battery staple";
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
    let hank = ("hank@globex.example", Role::Admin, SeedInvitation::Pending);
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
