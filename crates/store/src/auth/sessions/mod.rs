//! Sign-up, sign-in and sign-out; password reset; email confirmation; accepting invitations; creating a workspace.

mod confirmation;
mod invitations;
mod password_reset;
mod passwords;
mod retention;
mod session;
mod sign_in;
mod sign_up;
mod slugs;
mod workspaces;

pub use self::confirmation::{
    confirm_address, end_links, end_waiting_change, mark_confirmed, resend_confirmation,
    send_confirmation,
};
pub use self::invitations::{Accepting, accept_invitation, view_invitation};
pub use self::password_reset::{request_reset, reset_password};
pub use self::passwords::{check_password_strength, set_password_hash};
pub use self::retention::sweep;
pub use self::session::{NewSession, SEEN_EVERY, end_other_sessions, record_last_seen, sign_out};
pub use self::sign_in::{first_path, places, sign_in};
pub use self::sign_up::{create_owner, sign_up};
pub use self::slugs::{claim_slug, free_slug};
pub use self::workspaces::{create_workspace, insert_membership, lock_workspace, reload_actor};
pub use super::reauth::{confirm_identity, lock_person, lock_user, renew, rotate};
