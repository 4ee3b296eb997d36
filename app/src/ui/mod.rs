//! What pages are made of.

mod command_palette;
mod copy;
mod form;
mod frame;
mod guard;
mod icon;
mod live;
mod rows;
mod secret;
mod status;
mod switch;
mod time;
mod unsaved;

pub use command_palette::{Command, CommandPalette};
pub use copy::CopyLink;
pub use form::{
    Checkbox, CurrentPassword, Field, Form, GroupError, Hidden, Radios, Select, Submit, TextArea,
    use_flash_outcome, use_typed, was_refused,
};
pub use frame::{Avatar, Badge, Card, Dialog, Empty, PageHeader, popover_id};
pub use guard::{Data, ErrorPage, guarded, search};
pub use icon::{Icon, icon};
pub use live::{Live, provide_live};
pub use rows::rows;
pub use secret::{NewSecret, forget_secret_on_leaving};
pub use status::{Said, StatusRegion};
pub use switch::Switch;
pub use time::{Time, provide_clock};
pub use unsaved::provide_unsaved_guard;
