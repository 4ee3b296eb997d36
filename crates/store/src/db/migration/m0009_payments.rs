//! Payments: what is asked for, what the provider told of it, and the books of the simulated provider.

super::step::step!(
    "m0009_payments",
    "
-- Written before the provider is asked. No reference to the workspace: who paid what stays on record when it is gone.
CREATE TABLE payments (
    id {uuid} PRIMARY KEY,
    workspace_id {uuid} NOT NULL,
    -- What it is for.
    purpose {json} NOT NULL,
    -- Cents.
    amount bigint NOT NULL CHECK (amount > 0),
    status text NOT NULL CHECK (status IN ('started', 'open', 'confirming', 'paid', 'declined', 'expired')),
    -- The provider's name for the page on which it is paid.
    checkout_id text UNIQUE,
    buyer_id {uuid} NOT NULL,
    buyer_name text NOT NULL,
    created_at bigint NOT NULL,
    finished_at bigint,
    -- When the provider is asked next what became of it.
    look_at bigint,
    CHECK ((status IN ('paid', 'declined', 'expired')) = (finished_at IS NOT NULL)),
    CHECK (finished_at IS NULL OR look_at IS NULL)
);
CREATE INDEX payments_of_workspace ON payments (workspace_id, id);
CREATE INDEX payments_under_way ON payments (look_at) WHERE look_at IS NOT NULL;

-- What the provider told, each once by the provider's own id.
CREATE TABLE payment_events (
    id text PRIMARY KEY,
    type text NOT NULL,
    payment_id {uuid},
    received_at bigint NOT NULL
);
CREATE INDEX payment_events_by_age ON payment_events (received_at);

-- The simulated provider's own books. It and Wheelhouse know of each other what they are told, and no more.
CREATE TABLE simulated_checkouts (
    id text PRIMARY KEY,
    -- What Wheelhouse calls it: asked twice for the same, it answers with the same.
    reference text NOT NULL UNIQUE,
    amount bigint NOT NULL CHECK (amount > 0),
    description text NOT NULL,
    return_path text NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'confirming', 'paid', 'declined', 'expired')),
    created_at bigint NOT NULL,
    -- When an open one expires, or the bank confirms.
    due_at bigint,
    CHECK ((status IN ('open', 'confirming')) = (due_at IS NOT NULL))
);
CREATE INDEX simulated_checkouts_due ON simulated_checkouts (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE simulated_events (
    id text PRIMARY KEY,
    body text NOT NULL,
    created_at bigint NOT NULL,
    told_at bigint
);
CREATE INDEX simulated_events_untold ON simulated_events (created_at) WHERE told_at IS NULL;
CREATE INDEX simulated_events_told ON simulated_events (told_at) WHERE told_at IS NOT NULL;
"
);
