//! Contacts: the one thing of the product's that is kept here, so that events have something real to be about.

super::step::step!(
    "m0004_contacts",
    "
CREATE TABLE contacts (
    id {uuid} PRIMARY KEY,
    workspace_id {uuid} NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    mode text NOT NULL CHECK (mode IN ('live', 'test')),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    email text,
    phone text,
    company text,
    stage text NOT NULL CHECK (stage IN ('lead', 'contacted', 'qualified', 'won', 'lost')),
    tags {json} NOT NULL,
    -- What a search looks through, its case folded by the program: what SQLite calls lower case ends with ASCII.
    search_text text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX contacts_by_workspace ON contacts (workspace_id, mode, id);
"
);
