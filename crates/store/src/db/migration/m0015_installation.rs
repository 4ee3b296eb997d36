//! What processes on one database share: which key it belongs to, and answers to forms on their way to the next page.

super::step::step!(
    "m0015_installation",
    "
-- One row.
CREATE TABLE installation (
    id integer PRIMARY KEY CHECK (id = 1),
    -- A tag made with WHEELHOUSE_SECRET_KEY: it tells whether a key is the same, and nothing else of it.
    key_check text NOT NULL,
    created_at bigint NOT NULL
);

-- Answers to forms that were posted without script, until the page that follows shows them.
CREATE TABLE flashes (
    -- SHA-256 of the id in the browser's cookie.
    id {bytes} PRIMARY KEY,
    -- Who keeps the browser's answers within bounds: a person, or a network where nobody is signed in, as a tag.
    owner text NOT NULL,
    signed_in boolean NOT NULL,
    -- Sealed: the page, what was typed there, and the answer, which may hold a secret that is shown once.
    sealed {bytes} NOT NULL,
    bytes integer NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX flashes_by_owner ON flashes (owner, created_at, bytes);
CREATE INDEX flashes_by_age ON flashes (signed_in, created_at, bytes);
CREATE INDEX flashes_expired ON flashes (expires_at);
"
);
