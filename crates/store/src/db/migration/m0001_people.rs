//! People, how they sign in, and the links that prove an address is theirs.

super::step::step!(
    "m0001_people",
    "
CREATE TABLE users (
    id {uuid} PRIMARY KEY,
    email text NOT NULL UNIQUE CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    -- The name in lower case, for searches: SQLite would fold ASCII alone.
    folded_name text NOT NULL,
    password_hash text NOT NULL,
    email_confirmed_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE sessions (
    id {uuid} PRIMARY KEY,
    token_hash {bytes} NOT NULL UNIQUE,
    user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address text NOT NULL,
    user_agent text NOT NULL,
    created_at bigint NOT NULL,
    authenticated_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE tokens (
    id {uuid} PRIMARY KEY,
    purpose text NOT NULL CHECK (purpose IN ('confirm_email', 'reset_password')),
    hash {bytes} NOT NULL UNIQUE,
    user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint
);
CREATE INDEX tokens_by_user ON tokens (user_id, purpose);

CREATE TABLE email_changes (
    id {uuid} PRIMARY KEY,
    user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    old_email text NOT NULL,
    new_email text NOT NULL CHECK (new_email = lower(new_email)),
    confirm_hash {bytes} NOT NULL UNIQUE,
    revert_hash {bytes} NOT NULL UNIQUE,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    confirmed_at bigint,
    ended_at bigint
);
-- One change at a time waits for its confirmation.
CREATE UNIQUE INDEX email_changes_pending ON email_changes (user_id) WHERE confirmed_at IS NULL AND ended_at IS NULL;
"
);
