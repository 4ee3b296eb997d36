//! Members and their roles.

pub mod invitations;
pub mod list;

mod change;
mod export;
mod removal;
mod roles;
mod search;
mod view;

pub use self::export::export_csv;
pub use self::removal::{remove, undo_remove};
pub use self::roles::{change_role, undo_change_role};
pub use self::view::view;
