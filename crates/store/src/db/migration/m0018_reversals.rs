//! Refunds and disputes, each as the provider tells it; and a balance that may be owed.

super::step::step!(
    "m0018_reversals",
    "
-- Cents of it that the bank took back, as the buyer disputes it; and what the provider calls the payment.
ALTER TABLE payments ADD COLUMN disputed bigint NOT NULL DEFAULT 0 CHECK (disputed >= 0);
ALTER TABLE payments ADD COLUMN intent_id text;
CREATE INDEX payments_by_intent ON payments (intent_id) WHERE intent_id IS NOT NULL;

-- What the provider told of money that went back. How much of a payment that is follows from all of these, in whatever
-- order they come.
CREATE TABLE payment_reversals (
    -- The provider's name for the refund or the dispute; that of the event which told a total.
    id text PRIMARY KEY,
    payment_id {uuid} NOT NULL REFERENCES payments (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('refund', 'total', 'dispute')),
    status text NOT NULL CHECK (status IN ('inquiry', 'standing', 'undone')),
    -- Cents.
    amount bigint NOT NULL CHECK (amount >= 0),
    -- By the provider's clock: when it began, and when it became what it is.
    begun_at bigint NOT NULL,
    told_at bigint NOT NULL
);
CREATE INDEX payment_reversals_by_payment ON payment_reversals (payment_id);

-- What was paid back before this step was told by totals alone.
INSERT INTO payment_reversals
SELECT 'before ' || CAST(id AS text), id, 'total', 'standing', refunded, {now}, {now} FROM payments WHERE refunded > 0;

-- A balance below nothing is owed. The column is made anew, as SQLite drops no check.
ALTER TABLE subscriptions ADD COLUMN new_balance bigint NOT NULL DEFAULT 0;
UPDATE subscriptions SET new_balance = balance;
ALTER TABLE subscriptions DROP COLUMN balance;
ALTER TABLE subscriptions RENAME COLUMN new_balance TO balance;
"
);
