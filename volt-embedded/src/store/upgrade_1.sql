CREATE TABLE tombstone (
    id       TEXT PRIMARY KEY,
    owner    TEXT NOT NULL,
    identity INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE identity_alias ADD COLUMN proven INTEGER NOT NULL DEFAULT 1;
CREATE INDEX session_by_status ON session (status);
CREATE INDEX access_by_identity ON access (identity_did);
CREATE INDEX resource_by_owner ON resource (owner);
