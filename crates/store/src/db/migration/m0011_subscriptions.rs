//! Subscriptions: what each workspace may use, until when, and what is to be done about it next.

super::step::step!(
    "m0011_subscriptions",
    "
CREATE TABLE subscriptions (
    workspace_id {uuid} PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    status text NOT NULL CHECK (status IN ('trial', 'active', 'past_due', 'frozen')),
    -- NULL: the trial's plan, whichever the catalogue names.
    plan text CHECK (plan IS NOT NULL OR status IN ('trial', 'frozen')),
    cdr_mode boolean NOT NULL,
    -- Periods end so many months after this: the 31st of January, the 28th of February, the 31st of March.
    anchor_at bigint NOT NULL,
    months bigint NOT NULL,
    begins_at bigint NOT NULL,
    ends_at bigint NOT NULL,
    -- What it becomes when the period ends.
    next_plan text,
    next_cdr_mode boolean,
    cancelled boolean NOT NULL,
    -- From when on nothing can be changed, unless something happens before.
    freezes_at bigint,
    -- Who pays for it: whoever paid last.
    payer_id {uuid},
    payer_name text,
    -- The renewal or change that is being paid.
    payment_id {uuid},
    -- Cents that were paid beside what a month costs: the next charges are less by them.
    balance bigint NOT NULL CHECK (balance >= 0),
    -- How often this period's renewal was declined.
    declines bigint NOT NULL,
    -- How many reminders of the trial's end went out.
    reminders bigint NOT NULL,
    -- When there is something to do next.
    due_at bigint,
    CHECK ((next_plan IS NULL) = (next_cdr_mode IS NULL)),
    CHECK ((payer_id IS NULL) = (payer_name IS NULL))
);
CREATE INDEX subscriptions_due ON subscriptions (due_at) WHERE due_at IS NOT NULL;

-- Workspaces that are there already get a trial from now on.
INSERT INTO subscriptions
SELECT id, 'trial', NULL, FALSE, {now}, 0, {now}, {now} + 604800000, NULL, NULL, FALSE, {now} + 604800000, NULL, NULL, NULL, 0, 0, 0,
    {now} + 345600000
FROM workspaces;

-- Whose card a simulated checkout keeps; NULL: it keeps none.
ALTER TABLE simulated_checkouts ADD COLUMN customer text;

-- The simulated provider's cards, by whose they are.
CREATE TABLE simulated_cards (
    customer text PRIMARY KEY,
    -- The secret part of the address of the page where it is managed.
    token text NOT NULL UNIQUE,
    -- Whether a charge of it goes through; NULL: there is no card yet.
    works boolean,
    return_path text NOT NULL
);
"
);
