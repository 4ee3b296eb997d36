//! The event log and what follows from it: inbox rows by preference, and mail.

super::step::step!(
    "m0003_events",
    "
CREATE TABLE events (
    id {uuid} PRIMARY KEY,
    workspace_id {uuid} REFERENCES workspaces (id) ON DELETE CASCADE,
    type text NOT NULL,
    category text NOT NULL,
    mode text NOT NULL CHECK (mode IN ('live', 'test')),
    actor_kind text NOT NULL CHECK (actor_kind IN ('person', 'key', 'system')),
    actor_id {uuid},
    actor_name text NOT NULL,
    about_user_id {uuid},
    data {json} NOT NULL,
    created_at bigint NOT NULL,
    dispatched_at bigint
);
CREATE INDEX events_by_workspace ON events (workspace_id, id);
CREATE INDEX events_waiting ON events (id) WHERE dispatched_at IS NULL;

CREATE TABLE notifications (
    id {uuid} PRIMARY KEY,
    user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    workspace_id {uuid} REFERENCES workspaces (id) ON DELETE CASCADE,
    event_id {uuid} NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    category text NOT NULL,
    created_at bigint NOT NULL,
    read_at bigint,
    UNIQUE (user_id, event_id)
);
CREATE INDEX notifications_by_user ON notifications (user_id, workspace_id, id);
CREATE INDEX notifications_by_event ON notifications (event_id);
CREATE INDEX notifications_unread ON notifications (user_id, workspace_id) WHERE read_at IS NULL;

-- Only what differs from the default has a row. A topic is a category, or one of the quiet event types.
CREATE TABLE notification_preferences (
    user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    topic text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('in_app', 'email')),
    enabled boolean NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (user_id, topic, channel)
);

CREATE TABLE mails (
    id {uuid} PRIMARY KEY,
    user_id {uuid} REFERENCES users (id) ON DELETE SET NULL,
    event_id {uuid} REFERENCES events (id) ON DELETE SET NULL,
    category text,
    recipient text NOT NULL,
    subject text NOT NULL,
    -- Sealed with the server's key; blanked once the letter has left or failed for good.
    body_text {bytes} NOT NULL,
    body_html {bytes} NOT NULL,
    unsubscribe_url {bytes},
    created_at bigint NOT NULL,
    attempts integer NOT NULL,
    next_attempt_at bigint,
    lease_token {uuid},
    lease_until bigint,
    sent_at bigint,
    failed_at bigint,
    last_error text,
    UNIQUE (user_id, event_id)
);
CREATE INDEX mails_by_event ON mails (event_id);
CREATE INDEX mails_by_age ON mails (created_at);
CREATE INDEX mails_due ON mails (next_attempt_at) WHERE sent_at IS NULL AND failed_at IS NULL;
"
);
