//! Credits: what came in, every line of the ledger, and what is set aside. Live and test are books of their own.

super::step::step!(
    "m0008_credits",
    "
-- One row a book. It is locked before anything in the book changes, and its balance is the gate.
CREATE TABLE credit_accounts (
    workspace_id {uuid} NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    mode text NOT NULL CHECK (mode IN ('live', 'test')),
    balance bigint NOT NULL CHECK (balance >= 0),
    -- How many lines the book has: the number of the last.
    entries bigint NOT NULL CHECK (entries >= 0),
    PRIMARY KEY (workspace_id, mode)
);

CREATE TABLE credit_grants (
    id {uuid} PRIMARY KEY,
    workspace_id {uuid} NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    mode text NOT NULL CHECK (mode IN ('live', 'test')),
    kind text NOT NULL CHECK (kind IN ('plan', 'purchased')),
    amount bigint NOT NULL CHECK (amount > 0),
    remaining bigint NOT NULL CHECK (remaining >= 0 AND remaining <= amount),
    expires_at bigint,
    granted_at bigint NOT NULL,
    -- What is bought does not expire, what the plan gives does.
    CHECK ((kind = 'plan') = (expires_at IS NOT NULL))
);
CREATE INDEX credit_grants_by_book ON credit_grants (workspace_id, mode, kind, id);
CREATE INDEX credit_grants_left ON credit_grants (workspace_id, mode) WHERE remaining > 0;
CREATE INDEX credit_grants_due ON credit_grants (expires_at) WHERE remaining > 0 AND expires_at IS NOT NULL;

CREATE TABLE credit_holds (
    id {uuid} PRIMARY KEY,
    workspace_id {uuid} NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    mode text NOT NULL CHECK (mode IN ('live', 'test')),
    feature text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    reserved bigint NOT NULL CHECK (reserved > 0),
    captured bigint NOT NULL CHECK (captured >= 0 AND captured <= reserved),
    reference text,
    status text NOT NULL CHECK (status IN ('held', 'captured', 'released', 'expired')),
    expires_at bigint NOT NULL,
    created_at bigint NOT NULL,
    finished_at bigint,
    CHECK ((status = 'held') = (finished_at IS NULL)),
    CHECK ((status = 'captured') = (captured > 0))
);
CREATE INDEX credit_holds_open ON credit_holds (workspace_id, mode, expires_at) WHERE status = 'held';
CREATE INDEX credit_holds_due ON credit_holds (expires_at) WHERE status = 'held';

-- Lines are added and never changed.
CREATE TABLE credit_entries (
    id {uuid} PRIMARY KEY,
    workspace_id {uuid} NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    mode text NOT NULL CHECK (mode IN ('live', 'test')),
    number bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('grant', 'purchase', 'spend', 'refund', 'expiry', 'hold', 'release')),
    feature text,
    quantity bigint,
    amount bigint NOT NULL CHECK (amount <> 0),
    -- What there was afterwards.
    balance bigint NOT NULL CHECK (balance >= 0),
    reference text,
    idempotency_key text,
    hold_id {uuid} REFERENCES credit_holds (id) ON DELETE CASCADE,
    -- The spend that a refund gives back.
    refunds {uuid} REFERENCES credit_entries (id) ON DELETE CASCADE,
    actor_kind text NOT NULL,
    actor_id {uuid},
    actor_name text NOT NULL,
    created_at bigint NOT NULL,
    UNIQUE (workspace_id, mode, number),
    UNIQUE (workspace_id, mode, idempotency_key)
);
CREATE INDEX credit_entries_by_kind ON credit_entries (workspace_id, mode, kind, number);
CREATE INDEX credit_entries_by_hold ON credit_entries (hold_id) WHERE hold_id IS NOT NULL;
CREATE INDEX credit_entries_by_refunded ON credit_entries (refunds) WHERE refunds IS NOT NULL;

-- Out of which grants a line came, or into which it went back: what is returned goes where it was taken.
CREATE TABLE credit_parts (
    entry_id {uuid} NOT NULL REFERENCES credit_entries (id) ON DELETE CASCADE,
    grant_id {uuid} NOT NULL REFERENCES credit_grants (id) ON DELETE CASCADE,
    amount bigint NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (entry_id, grant_id)
);
CREATE INDEX credit_parts_by_grant ON credit_parts (grant_id);

-- What the chart shows, counted as credits are spent, so that no chart reads every line.
CREATE TABLE credit_days (
    workspace_id {uuid} NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    mode text NOT NULL CHECK (mode IN ('live', 'test')),
    -- Days since the Unix epoch, in UTC.
    day bigint NOT NULL,
    feature text NOT NULL,
    credits bigint NOT NULL CHECK (credits >= 0),
    PRIMARY KEY (workspace_id, mode, day, feature)
);
"
);
