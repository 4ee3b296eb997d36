//! What Stripe calls our workspaces, and what was paid back.

super::step::step!(
    "m0013_stripe",
    "
-- No reference to the workspace: when it is gone, Stripe is asked to forget the card, and then the row goes.
CREATE TABLE stripe_customers (
    workspace_id {uuid} PRIMARY KEY,
    customer_id text NOT NULL UNIQUE,
    -- The payment whose card is the one that is charged.
    card_of {uuid}
);

-- Cents of it that were paid back.
ALTER TABLE payments ADD COLUMN refunded bigint NOT NULL DEFAULT 0 CHECK (refunded >= 0);
ALTER TABLE simulated_checkouts ADD COLUMN refunded bigint NOT NULL DEFAULT 0 CHECK (refunded >= 0);
"
);
