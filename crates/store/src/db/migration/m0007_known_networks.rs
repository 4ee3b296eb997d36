//! From where people have signed in: what a stranger elsewhere uses up does not count there.

super::step::step!(
    "m0007_known_networks",
    "
CREATE TABLE known_networks (
    user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    network text NOT NULL,
    last_seen_at bigint NOT NULL,
    PRIMARY KEY (user_id, network)
);
CREATE INDEX known_networks_by_age ON known_networks (last_seen_at);
"
);
