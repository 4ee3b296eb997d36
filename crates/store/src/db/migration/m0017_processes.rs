//! Which processes are there: what they lease is held as long as they say so.

super::step::step!(
    "m0017_processes",
    "
CREATE TABLE processes (
    -- The first lease that it can give out: all of them begin alike.
    id {uuid} PRIMARY KEY,
    -- When it last said that it is there, by the database's clock.
    seen_at bigint NOT NULL
);
"
);
