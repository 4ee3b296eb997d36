//! Standard names for tables and columns. Nothing but names changes.

super::step::step!(
    "m0019_standard_names",
    "
ALTER TABLE mails RENAME TO outbox_emails;
ALTER TABLE webhook_hours RENAME TO webhook_hourly_stats;
ALTER TABLE credit_days RENAME TO credit_daily_stats;
ALTER TABLE credit_parts RENAME TO credit_allocations;

ALTER TABLE webhooks RENAME COLUMN blocked_until TO circuit_open_until;
ALTER TABLE events RENAME COLUMN about_user_id TO subject_user_id;
ALTER TABLE credit_accounts RENAME COLUMN low_mark TO low_balance_threshold;
ALTER TABLE credit_top_ups RENAME COLUMN wanted_below TO top_up_requested_below;
ALTER TABLE simulated_events RENAME COLUMN told_at TO delivered_at;
ALTER TABLE payment_reversals RENAME COLUMN told_at TO reported_at;
ALTER TABLE subscriptions RENAME COLUMN anchor_at TO billing_cycle_anchor;

DROP INDEX mails_by_event;
DROP INDEX mails_by_age;
DROP INDEX mails_due;
DROP INDEX credit_parts_by_grant;
DROP INDEX simulated_events_untold;
DROP INDEX simulated_events_told;
CREATE INDEX outbox_emails_by_event ON outbox_emails (event_id);
CREATE INDEX outbox_emails_by_age ON outbox_emails (created_at);
CREATE INDEX outbox_emails_due ON outbox_emails (next_attempt_at) WHERE sent_at IS NULL AND failed_at IS NULL;
CREATE INDEX credit_allocations_by_grant ON credit_allocations (grant_id);
CREATE INDEX simulated_events_undelivered ON simulated_events (created_at) WHERE delivered_at IS NULL;
CREATE INDEX simulated_events_delivered ON simulated_events (delivered_at) WHERE delivered_at IS NOT NULL;
"
);
