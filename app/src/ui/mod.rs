//! Components and helpers for pages.

mod command_palette;
mod copy;
mod deferred;
mod dialog;
mod field;
mod flash;
mod form;
mod form_state;
mod icon;
mod initial_data;
mod js_interop;
mod layout;
mod live;
mod navigation_effects;
mod outdated;
mod page_loader;
mod route_params;
mod rows;
mod secret;
mod snapshot;
mod status;
mod status_region;
mod switch;
mod time;
mod unsaved;
mod url;
mod view;

pub use command_palette::{Command, CommandPalette, PaletteDialog, PaletteQuery, Target};
pub use copy::CopyLink;
pub use deferred::deferred;
pub use dialog::{CancelDialog, Dialog, OpenDialog, dialog_id, provide_dialogs};
pub use field::{
    Checkbox, CurrentPassword, Field, GroupError, Hidden, Radios, Select, StaleSignIn, Submit,
    TextArea, Username, use_stale_sign_in,
};
pub use flash::{provide_flash, use_flash_outcome};
pub use form::Form;
pub use form_state::{use_typed, was_refused};
pub use icon::{Icon, icon};
pub use layout::{AuthLayout, Avatar, Badge, Card, Empty, PageHeader, callout};
pub use live::{Live, connect_live, provide_live};
pub use navigation_effects::NavigationEffects;
pub use page_loader::{
    Data, ErrorPage, PageSkeleton, WithinMain, guarded, provide_refresh, redirect,
};
pub use route_params::{last_part, use_asked, use_slug};
pub use rows::{LiveRow, live_rows, rows};
pub use secret::{NewSecret, forget_secret_on_leaving};
pub use status::StatusMessages;
pub use status_region::StatusRegion;
pub use switch::Switch;
pub use time::{Time, now, provide_clock, use_clock};
pub use unsaved::provide_unsaved_guard;
pub use url::{percent_encode, search};
pub(crate) use view::view;
