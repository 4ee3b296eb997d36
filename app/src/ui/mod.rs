//! What pages are made of.

mod command_palette;
mod copy;
mod dialog;
mod field;
mod first;
mod flash;
mod form;
mod frame;
mod guard;
mod icon;
mod journey;
mod later;
mod live;
mod place;
mod rows;
mod script;
mod secret;
mod snapshot;
mod status;
mod switch;
mod time;
mod unsaved;
mod view;

pub use command_palette::{Asked, Command, CommandPalette, PaletteDialog, Target};
pub use copy::CopyLink;
pub use dialog::{CancelDialog, Dialog, OpenDialog, dialog_id, provide_dialogs};
pub use field::{
    Checkbox, CurrentPassword, Field, GroupError, Hidden, Radios, Select, StaleSignIn, Submit,
    TextArea, Username, use_stale_sign_in,
};
pub use flash::{provide_flash, use_flash_outcome};
pub use form::{Form, use_typed, was_refused};
pub use frame::{Avatar, Badge, Card, Doorway, Empty, PageHeader};
pub use guard::{
    Data, ErrorPage, PageSkeleton, WithinMain, guarded, percent_encode, provide_refresh, redirect,
    search,
};
pub use icon::{Icon, icon};
pub use journey::Journey;
pub use later::later;
pub use live::{Live, connect_live, provide_live};
pub use place::{last_part, use_asked, use_slug};
pub use rows::{LiveRow, live_rows, rows};
pub use secret::{NewSecret, forget_secret_on_leaving};
pub use status::{Said, StatusRegion};
pub use switch::Switch;
pub use time::{Time, now, provide_clock, use_clock};
pub use unsaved::provide_unsaved_guard;
pub(crate) use view::view;
