//! From which balance on a workspace's people are warned.

super::step::step!(
    "m0010_low_credits",
    "
-- NULL: a tenth of what the plan gave. 0: never.
ALTER TABLE credit_accounts ADD COLUMN low_mark bigint CHECK (low_mark IS NULL OR low_mark >= 0);
"
);
