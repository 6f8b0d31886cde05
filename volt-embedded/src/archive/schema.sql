CREATE TABLE IF NOT EXISTS document (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- The updates that make up the documents. Older ones are merged.
CREATE TABLE IF NOT EXISTS edit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    document_id INTEGER NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    created     INTEGER NOT NULL,
    identity    TEXT NOT NULL,
    payload     BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS edit_by_document ON edit (document_id, id);

CREATE TABLE IF NOT EXISTS version (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    document_id INTEGER NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    created     INTEGER NOT NULL,
    identity    TEXT NOT NULL,
    label       TEXT NOT NULL,
    hash        TEXT NOT NULL,
    payload     BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS version_by_document ON version (document_id, number);

-- What a synapse says of a document.
CREATE TABLE IF NOT EXISTS description (
    name         TEXT PRIMARY KEY,
    publish_hash INTEGER NOT NULL,
    blob_hash    TEXT NOT NULL,
    -- Set when the description was deleted.
    deleted      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS root (
    document    TEXT NOT NULL REFERENCES description (name) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    type        TEXT NOT NULL,
    json_schema TEXT NOT NULL,
    PRIMARY KEY (document, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS blob (
    hash TEXT PRIMARY KEY,
    size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS block (
    hash     TEXT NOT NULL REFERENCES blob (hash) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    content  BLOB NOT NULL,
    PRIMARY KEY (hash, position)
) STRICT;
