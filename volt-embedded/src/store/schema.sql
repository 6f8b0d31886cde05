CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE resource (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    description   TEXT NOT NULL,
    share_mode    INTEGER NOT NULL,
    owner         TEXT NOT NULL,
    created       INTEGER NOT NULL,
    modified      INTEGER NOT NULL,
    version       INTEGER NOT NULL,
    status        INTEGER NOT NULL,
    online_status INTEGER NOT NULL,
    size          INTEGER NOT NULL,
    store         TEXT NOT NULL,
    content_hash  TEXT NOT NULL,
    -- A ServiceDescription as JSON.
    service       TEXT
) STRICT;

CREATE INDEX resource_by_owner ON resource (owner);

CREATE TABLE kind (
    resource_id TEXT NOT NULL REFERENCES resource (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    PRIMARY KEY (resource_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX kind_by_name ON kind (kind);

CREATE TABLE alias (
    alias       TEXT PRIMARY KEY,
    resource_id TEXT NOT NULL REFERENCES resource (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_by_resource ON alias (resource_id);

CREATE TABLE attribute (
    id           INTEGER PRIMARY KEY,
    resource_id  TEXT NOT NULL REFERENCES resource (id) ON DELETE CASCADE,
    attribute_id TEXT NOT NULL,
    data_type    INTEGER NOT NULL,
    -- A JSON array of AttributeValue.
    value        TEXT NOT NULL,
    UNIQUE (resource_id, attribute_id)
) STRICT;

-- The tree. A resource can have several parents; there are no cycles.
CREATE TABLE link (
    parent_id TEXT NOT NULL REFERENCES resource (id) ON DELETE CASCADE,
    child_id  TEXT NOT NULL REFERENCES resource (id) ON DELETE CASCADE,
    PRIMARY KEY (parent_id, child_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_by_child ON link (child_id);

-- The aliases of identities, such as their keys. The identity itself is a resource.
CREATE TABLE identity_alias (
    id           INTEGER PRIMARY KEY,
    identity_did TEXT NOT NULL REFERENCES resource (id) ON DELETE CASCADE,
    alias        TEXT NOT NULL,
    alias_type   TEXT NOT NULL,
    public_key   TEXT NOT NULL,
    issuer_id    TEXT NOT NULL,
    authenticate INTEGER NOT NULL,
    description  TEXT NOT NULL,
    -- Whether a key has signed a call that names the identity. Others cannot be used to authenticate.
    proven       INTEGER NOT NULL DEFAULT 1,
    UNIQUE (alias_type, alias)
) STRICT;
CREATE INDEX identity_alias_by_identity ON identity_alias (identity_did);

CREATE TABLE session (
    id           TEXT PRIMARY KEY,
    identity_did TEXT NOT NULL REFERENCES resource (id) ON DELETE CASCADE,
    -- Distinguishes the sessions of one client.
    name         TEXT NOT NULL,
    public_key   TEXT NOT NULL,
    fingerprint  TEXT NOT NULL,
    origin       TEXT NOT NULL,
    created      INTEGER NOT NULL,
    modified     INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    status       INTEGER NOT NULL
) STRICT;
CREATE INDEX session_by_key ON session (fingerprint, name);
CREATE INDEX session_by_status ON session (status);

CREATE TABLE access (
    id                TEXT PRIMARY KEY,
    resource_id       TEXT NOT NULL REFERENCES resource (id) ON DELETE CASCADE,
    identity_did      TEXT NOT NULL,
    credential_lookup TEXT NOT NULL,
    access            TEXT NOT NULL,
    extra             TEXT NOT NULL,
    decision          INTEGER NOT NULL,
    recursive         INTEGER NOT NULL,
    request_time      INTEGER NOT NULL,
    decision_time     INTEGER NOT NULL,
    request_count     INTEGER NOT NULL
) STRICT;
CREATE INDEX access_by_resource ON access (resource_id);
CREATE INDEX access_by_identity ON access (identity_did);

-- Deleted resources, whose ids others cannot take over.
CREATE TABLE tombstone (
    id       TEXT PRIMARY KEY,
    owner    TEXT NOT NULL,
    identity INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
