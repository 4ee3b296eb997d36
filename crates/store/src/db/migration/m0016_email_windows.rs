//! How many notifications were sent to whom by email lately, and how many wait for the email that sums them up.

super::step::step!(
    "m0016_email_windows",
    "
-- A window of a person, from the first notification that was sent to them until `ends_at`.
CREATE TABLE email_windows (
    user_id {uuid} PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    ends_at bigint NOT NULL,
    -- Sent one by one: of what happened in workspaces, and of their own security.
    sent bigint NOT NULL,
    security_sent bigint NOT NULL,
    -- Not sent, in all; held_emails has those of workspaces by kind, and the rest are about their own security.
    held bigint NOT NULL
);
CREATE INDEX email_windows_ends_at ON email_windows (ends_at);

-- What was not sent, by workspace and kind, until the window ends.
CREATE TABLE held_emails (
    user_id {uuid} NOT NULL REFERENCES email_windows (user_id) ON DELETE CASCADE,
    workspace_id {uuid} NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    category text NOT NULL,
    held bigint NOT NULL,
    PRIMARY KEY (user_id, workspace_id, category)
);
CREATE INDEX held_emails_workspace ON held_emails (workspace_id);

-- The same of a workspace, for all of its members together.
CREATE TABLE workspace_email_windows (
    workspace_id {uuid} PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    ends_at bigint NOT NULL,
    sent bigint NOT NULL
);
"
);
