//! API keys, what they are used for, and the answers kept for repeated requests.

super::step::step!(
    "m0005_api_keys",
    "
CREATE TABLE api_keys (
    id {uuid} PRIMARY KEY,
    workspace_id {uuid} NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    mode text NOT NULL CHECK (mode IN ('live', 'test')),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    -- SHA-256 of the key: a stolen database opens nothing. What is shown of it is kept beside.
    token_hash {bytes} NOT NULL UNIQUE,
    token_start text NOT NULL,
    token_end text NOT NULL,
    scopes {json} NOT NULL,
    allowed_networks {json} NOT NULL,
    -- Keys outlive the person who made them; the name stays.
    created_by {uuid} REFERENCES users (id) ON DELETE SET NULL,
    created_by_name text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    expires_at bigint,
    last_used_at bigint,
    last_used_address text,
    -- A rotated key names its successor and works until it retires.
    replaced_by {uuid} REFERENCES api_keys (id) ON DELETE SET NULL,
    retires_at bigint,
    revoked_at bigint,
    revoked_by_name text
);
CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id, id);
CREATE INDEX api_keys_by_creator ON api_keys (created_by);

CREATE TABLE api_key_scope_uses (
    key_id {uuid} NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    scope text NOT NULL,
    last_used_at bigint NOT NULL,
    PRIMARY KEY (key_id, scope)
);

CREATE TABLE api_requests (
    id {uuid} PRIMARY KEY,
    key_id {uuid} NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    at bigint NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    status integer NOT NULL,
    duration_us bigint NOT NULL,
    address text NOT NULL
);
CREATE INDEX api_requests_by_key ON api_requests (key_id, id);
CREATE INDEX api_requests_by_age ON api_requests (at);

CREATE TABLE idempotency_keys (
    key_id {uuid} NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    -- SHA-256 of method, path and body: the same key with another request is a mistake.
    fingerprint {bytes} NOT NULL,
    status integer,
    -- Sealed: the answer may hold a secret that is shown once.
    body {bytes},
    created_at bigint NOT NULL,
    PRIMARY KEY (key_id, idempotency_key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
"
);
