//! Invitations: created, resent, cancelled. The link is the invitation; the email only delivers it.

mod change;
mod invite;
mod list;
mod pending;
mod sending;

pub use self::invite::invite;
pub use self::list::{InvitationCounts, list, tally};
pub use self::pending::{cancel, resend, undo_cancel};
