//! Which events a webhook gets: by the world they happened in, by their type, and by its filters.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::filter::{self, Filter};
use super::model::DRY_RUN;
use super::{envelope, wire};
use crate::catalog::{EventType, Mode};
use crate::db::entity::{self, event, webhook};
use crate::domain::{AppError, Permission, Timestamp};
use crate::form::{Done, Line};
use crate::house::House;
use crate::session::Agent;

/// What is to be read of a webhook to tell whether it gets an event, read once for many events.
#[derive(Clone, Debug)]
pub struct Wants {
    pub mode: Mode,
    /// Whether a live one also gets what test keys cause.
    pub include_test_events: bool,
    /// None is every type.
    pub event_types: Vec<EventType>,
    pub filters: Vec<Filter>,
}

impl From<&webhook::Model> for Wants {
    fn from(row: &webhook::Model) -> Self {
        Self {
            mode: row.mode,
            include_test_events: row.include_test_events,
            event_types: wire::event_types(row),
            filters: wire::filters(row),
        }
    }
}

impl Wants {
    /// Whether it gets an event; if not, why.
    pub fn verdict(&self, event: &event::Model) -> Result<(), String> {
        match (self.mode, event.mode) {
            (Mode::Test, Mode::Live) => return Err("it is a live event".to_owned()),
            (Mode::Live, Mode::Test) if !self.include_test_events => {
                return Err("it is a test event".to_owned());
            }
            _ => {}
        }
        if !self.event_types.is_empty() && !self.event_types.contains(&event.event_type) {
            return Err("its type is not chosen".to_owned());
        }
        if self.filters.is_empty() {
            return Ok(());
        }
        filter::verdict(&self.filters, &envelope::value(event))
    }
}

/// Which of the workspace's last events would have been let through, and why not the others.
pub async fn dry_run(house: &House, agent: &Agent, wants: &Wants) -> Result<Done, AppError> {
    agent.require_sight(Permission::ManageWebhooks)?;
    let last = entity::Event::find()
        .filter(event::Column::WorkspaceId.eq(agent.workspace()))
        .order_by_desc(event::Column::Id)
        .limit(DRY_RUN)
        .all(house.db().read())
        .await?;
    let now = Timestamp::now();
    let results: Vec<Line> = last
        .iter()
        .map(|event| {
            let verdict = wants.verdict(event);
            Line {
                subject: format!(
                    "{}, {}",
                    event.event_type,
                    event.created_at.relative_to(now)
                ),
                good: verdict.is_ok(),
                message: verdict.err().unwrap_or_else(|| "would be sent".to_owned()),
            }
        })
        .collect();
    let good = results.iter().filter(|line| line.good).count();
    Ok(Done {
        message: format!(
            "{good} of the last {} events would have been sent",
            results.len()
        ),
        results,
        keep: true,
        ..Done::default()
    })
}
