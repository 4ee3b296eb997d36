//! Webhooks, and every attempt to deliver an event to one.

super::step::step!(
    "m0006_webhooks",
    "
CREATE TABLE webhooks (
    id {uuid} PRIMARY KEY,
    workspace_id {uuid} NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    url text NOT NULL CHECK (length(url) BETWEEN 1 AND 2000),
    description text NOT NULL,
    -- Names of event types; an empty list is every type.
    event_types {json} NOT NULL,
    filters {json} NOT NULL,
    -- Sealed with the server's key, each bound to its row.
    headers {bytes},
    secret {bytes} NOT NULL,
    previous_secret {bytes},
    previous_secret_until bigint,
    -- The world of whoever made it. A test webhook gets test events alone, and always those.
    mode text NOT NULL CHECK (mode IN ('live', 'test')),
    include_test_events boolean NOT NULL CHECK (include_test_events OR mode = 'live'),
    status text NOT NULL CHECK (status IN ('enabled', 'paused', 'disabled')),
    status_reason text,
    status_by text,
    status_at bigint,
    -- Attempts failed in a row, since when, and until when nothing is tried.
    failures integer NOT NULL,
    failing_since bigint,
    blocked_until bigint,
    -- When an attempt last succeeded, to the minute.
    last_success_at bigint,
    created_by_name text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX webhooks_by_workspace ON webhooks (workspace_id, id);

CREATE TABLE deliveries (
    id {uuid} PRIMARY KEY,
    webhook_id {uuid} NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    -- No foreign key: a sample that Test sends is no event of the log, and a delivery tells its own story.
    event_id {uuid} NOT NULL,
    event_type text NOT NULL,
    -- A sample's envelope. Every other is made from its event, which never changes.
    payload text,
    status text NOT NULL CHECK (status IN ('pending', 'delivered', 'failed', 'cancelled')),
    attempts integer NOT NULL,
    -- Where the schedule of waits began: a resend begins it anew.
    scheduled_from integer NOT NULL,
    next_attempt_at bigint,
    lease_token {uuid},
    lease_until bigint,
    last_status_code integer,
    last_error text,
    created_at bigint NOT NULL,
    finished_at bigint,
    -- Once, however often the event is dispatched.
    UNIQUE (webhook_id, event_id),
    CHECK ((status = 'pending') = (next_attempt_at IS NOT NULL)),
    CHECK (status = 'pending' OR lease_token IS NULL)
);
CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE status = 'pending';
-- For putting off what waits for one webhook.
CREATE INDEX deliveries_due_by_webhook ON deliveries (webhook_id, next_attempt_at) WHERE status = 'pending';
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_by_age ON deliveries (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE delivery_attempts (
    id {uuid} PRIMARY KEY,
    delivery_id {uuid} NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    number integer NOT NULL,
    at bigint NOT NULL,
    status_code integer,
    error text,
    duration_ms bigint NOT NULL,
    -- Headers and bodies go after 30 days; the outcome stays.
    request_headers {json},
    response_headers {json},
    response_body text,
    UNIQUE (delivery_id, number)
);
CREATE INDEX delivery_attempts_by_age ON delivery_attempts (at) WHERE request_headers IS NOT NULL;

-- What the charts show, counted as attempts end, so that no chart reads every attempt.
CREATE TABLE webhook_hours (
    webhook_id {uuid} NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    hour bigint NOT NULL,
    succeeded bigint NOT NULL,
    failed bigint NOT NULL,
    duration_ms bigint NOT NULL,
    slowest_ms bigint NOT NULL,
    PRIMARY KEY (webhook_id, hour)
);
"
);
