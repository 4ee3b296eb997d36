//! What pages are made of.

mod command_palette;
mod copy;
mod field;
mod flash;
mod form;
mod frame;
mod guard;
mod icon;
mod journey;
mod live;
mod rows;
mod script;
mod status;
mod switch;
mod time;
mod unsaved;

pub use command_palette::{Command, CommandPalette, Target};
pub use copy::CopyLink;
pub use field::{CurrentPassword, Field, Hidden, Select, Submit, TextArea, Username};
pub use flash::provide_flash;
pub use form::Form;
pub use frame::{Avatar, Badge, Card, Doorway, Empty, PageHeader, popover_id};
pub use guard::{Data, ErrorPage, WithinMain, guarded, percent_encode, provide_refresh, search};
pub use icon::{Icon, icon};
pub use journey::Journey;
pub use live::{Live, connect_live, provide_live};
pub use rows::rows;
pub use status::{Said, StatusRegion};
pub use switch::Switch;
pub use time::{Time, provide_clock};
pub use unsaved::provide_unsaved_guard;
