//! Invoices, and whom they are made out to.

super::step::step!(
    "m0012_invoices",
    "
CREATE TABLE billing_details (
    workspace_id {uuid} PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    -- Empty: not given.
    company text NOT NULL,
    address text NOT NULL,
    vat_number text NOT NULL,
    email text NOT NULL
);

-- As they were issued, and never changed. No reference to the workspace: they stay on record when it is gone.
CREATE TABLE invoices (
    workspace_id {uuid} NOT NULL,
    -- From 1 on without gaps, in each workspace.
    number bigint NOT NULL CHECK (number > 0),
    payment_id {uuid} NOT NULL UNIQUE REFERENCES payments (id),
    what text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    -- Who sold it and who bought it, as they were called then.
    seller {json} NOT NULL,
    buyer {json} NOT NULL,
    issued_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, number)
);
"
);
