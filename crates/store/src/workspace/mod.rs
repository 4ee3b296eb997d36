//! A workspace itself: its name and URL, its creation and deletion, leaving it, and the transfer of its ownership.

mod confirmation;
mod create;
mod delete;
mod leave;
mod name;
mod slug_check;
mod transfer;
mod undo;
mod url;
mod view;

pub use self::create::create;
pub use self::delete::delete;
pub use self::leave::{leave, owners};
pub use self::name::{rename, undo_rename};
pub use self::slug_check::{check_slug, with_free_slug};
pub use self::transfer::transfer;
pub use self::url::{move_to, undo_move};
pub use self::view::view;
