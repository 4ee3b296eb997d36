//! Credits that are bought without asking when few are left.

super::step::step!(
    "m0014_top_up",
    "
-- No row: off.
CREATE TABLE credit_top_ups (
    workspace_id {uuid} PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    -- The package, by how many credits it holds.
    credits bigint NOT NULL CHECK (credits > 0),
    -- Cents that may be charged in a calendar month, in UTC.
    monthly_limit bigint NOT NULL CHECK (monthly_limit > 0),
    -- Who said so, in whose name it is paid.
    payer_id {uuid} NOT NULL,
    payer_name text NOT NULL,
    -- Months since January of the year 0, and what was charged in that month.
    month bigint NOT NULL,
    charged bigint NOT NULL CHECK (charged >= 0),
    -- Below which balance one is wanted, since somebody used credits; NULL: nobody has.
    wanted_below bigint,
    -- Whether the last charge was declined: then it waits for somebody.
    paused boolean NOT NULL,
    -- The payment that is under way.
    payment_id {uuid}
);
CREATE INDEX credit_top_ups_wanted ON credit_top_ups (workspace_id) WHERE wanted_below IS NOT NULL;
"
);
