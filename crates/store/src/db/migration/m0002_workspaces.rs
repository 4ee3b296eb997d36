//! Workspaces, their addresses, who is in them and who is asked to be.

super::step::step!(
    "m0002_workspaces",
    "
CREATE TABLE workspaces (
    id {uuid} PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    slug text NOT NULL UNIQUE CHECK (length(slug) BETWEEN 3 AND 40),
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

-- Every address that a workspace has or had. The primary key is what makes two workspaces wanting one address
-- impossible; a released address keeps leading to its workspace and is given to nobody else for 90 days.
CREATE TABLE slug_claims (
    slug text PRIMARY KEY,
    workspace_id {uuid} REFERENCES workspaces (id) ON DELETE SET NULL,
    released_at bigint
);
CREATE INDEX slug_claims_by_workspace ON slug_claims (workspace_id);
CREATE UNIQUE INDEX slug_claims_current ON slug_claims (workspace_id) WHERE released_at IS NULL;

CREATE TABLE memberships (
    id {uuid} PRIMARY KEY,
    workspace_id {uuid} NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'client')),
    joined_at bigint NOT NULL,
    last_active_at bigint,
    UNIQUE (workspace_id, user_id)
);
CREATE INDEX memberships_by_user ON memberships (user_id);

CREATE TABLE invitations (
    id {uuid} PRIMARY KEY,
    workspace_id {uuid} NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    email text NOT NULL CHECK (email = lower(email)),
    role text NOT NULL CHECK (role IN ('admin', 'member', 'client')),
    invited_by {uuid} REFERENCES users (id) ON DELETE SET NULL,
    generation integer NOT NULL CHECK (generation > 0),
    created_at bigint NOT NULL,
    sent_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    accepted_at bigint,
    accepted_by {uuid} REFERENCES users (id) ON DELETE SET NULL,
    cancelled_at bigint
);
-- An address is invited to a workspace once at a time; a second invitation renews the first.
CREATE UNIQUE INDEX invitations_open ON invitations (workspace_id, email)
    WHERE accepted_at IS NULL AND cancelled_at IS NULL;
CREATE INDEX invitations_by_workspace ON invitations (workspace_id, id);
"
);
