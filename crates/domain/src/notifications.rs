use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::catalog::{Category, Channel, EventType};

/// A switch: one cell of the matrix, or one of the high-volume event types that are off by default. The text is
/// `security.email` for a cell and `contact.updated` for a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Switch {
    Cell(Category, Channel),
    Quiet(EventType),
}

impl Switch {
    /// The switch that put an event into the inbox.
    pub fn behind(event: EventType) -> Self {
        if event.is_quiet() {
            Self::Quiet(event)
        } else {
            Self::Cell(event.category(), Channel::InApp)
        }
    }

    /// Its anchor on the page: `security-email`, `contact.updated`.
    pub fn place(self) -> String {
        match self {
            Self::Cell(category, channel) => format!("{category}-{channel}"),
            Self::Quiet(event) => event.to_string(),
        }
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cell(category, channel) => write!(f, "{category}.{channel}"),
            Self::Quiet(event) => write!(f, "{event}"),
        }
    }
}

impl FromStr for Switch {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Ok(event) = text.parse::<EventType>() {
            return if event.is_quiet() {
                Ok(Self::Quiet(event))
            } else {
                Err(())
            };
        }
        let (category, channel) = text.split_once('.').ok_or(())?;
        Ok(Self::Cell(
            category.parse().map_err(|_| ())?,
            channel.parse().map_err(|_| ())?,
        ))
    }
}

/// Several cells together: a row or a column, each with the buttons "All on" and "All off".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    Row(Category),
    Column(Channel),
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(category) => write!(f, "row.{category}"),
            Self::Column(channel) => write!(f, "column.{channel}"),
        }
    }
}

impl FromStr for Range {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once('.') {
            Some(("row", category)) => category.parse().map(Self::Row).map_err(|_| ()),
            Some(("column", channel)) => channel.parse().map(Self::Column).map_err(|_| ()),
            _ => Err(()),
        }
    }
}

impl Range {
    pub fn cells(self) -> Vec<(Category, Channel)> {
        match self {
            Self::Row(category) => Channel::ALL
                .into_iter()
                .map(|channel| (category, channel))
                .collect(),
            Self::Column(channel) => Category::ALL
                .into_iter()
                .map(|category| (category, channel))
                .collect(),
        }
    }
}

/// A row of the matrix as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub category: Category,
    pub in_app: bool,
    pub email: bool,
    /// How many events of this type the person was notified of in the last 30 days, by any channel.
    pub sent: u64,
}

impl Row {
    pub fn is_on(&self, channel: Channel) -> bool {
        match channel {
            Channel::InApp => self.in_app,
            Channel::Email => self.email,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatrixView {
    pub rows: Vec<Row>,
    /// The high-volume event types, and whether the person turned them on.
    pub quiet: Vec<(EventType, bool)>,
}

impl MatrixView {
    pub fn is_on(&self, switch: Switch) -> bool {
        match switch {
            Switch::Cell(category, channel) => self
                .rows
                .iter()
                .find(|row| row.category == category)
                .is_some_and(|row| row.is_on(channel)),
            Switch::Quiet(event) => self.quiet.iter().any(|&(other, on)| other == event && on),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_came_by_its_types_switch_or_by_its_own() {
        assert_eq!(
            Switch::behind(EventType::MemberJoined).place(),
            "workspace-in_app"
        );
        assert_eq!(
            Switch::behind(EventType::ContactUpdated).place(),
            "contact.updated"
        );
    }

    #[test]
    fn switches_and_ranges_read_back() {
        for category in Category::ALL {
            for channel in Channel::ALL {
                let switch = Switch::Cell(category, channel);
                assert_eq!(switch.to_string().parse(), Ok(switch));
            }
            assert_eq!(
                Range::Row(category).to_string().parse(),
                Ok(Range::Row(category))
            );
        }
        for event in EventType::QUIET {
            assert_eq!(
                Switch::Quiet(event).to_string().parse(),
                Ok(Switch::Quiet(event))
            );
        }
        assert_eq!("contact.created".parse::<Switch>(), Err(()));
        assert_eq!("security".parse::<Switch>(), Err(()));
        assert_eq!("column.fax".parse::<Range>(), Err(()));
    }
}
