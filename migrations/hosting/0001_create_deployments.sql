-- A deployment: what an app's files were at one moment. Immutable once it is here.
CREATE TABLE hosting_deployment (
    id         TEXT    NOT NULL PRIMARY KEY,  -- dep_ and 12 characters of base 62
    app        TEXT    NOT NULL,              -- the app's id
    version    INTEGER NOT NULL,              -- counts from 1 in each app
    created_at INTEGER NOT NULL,              -- milliseconds since 1970
    file_count INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,              -- of all files together, unpacked
    spa        INTEGER NOT NULL,              -- 1: index.html answers paths without a file
    source     TEXT,                          -- a JSON object: where the files came from
    principal  TEXT    NOT NULL,              -- who deployed, as in key:ID
    UNIQUE (app, version)
) STRICT, WITHOUT ROWID;

-- A file of a deployment; its content is the blob with that hash.
CREATE TABLE hosting_file (
    deployment   TEXT    NOT NULL,
    path         TEXT    NOT NULL,            -- canonical: relative, `/` between segments
    hash         BLOB    NOT NULL,            -- SHA-256, 32 bytes
    size         INTEGER NOT NULL,            -- bytes
    content_type TEXT    NOT NULL,
    visibility   TEXT    NOT NULL,            -- public, private, server
    PRIMARY KEY (deployment, path)
) STRICT, WITHOUT ROWID;

-- Answers whether content is in use, and exports content once however many files share it.
CREATE INDEX hosting_file_by_hash ON hosting_file (hash);

-- The deployment that an app serves.
CREATE TABLE hosting_active (
    app        TEXT NOT NULL PRIMARY KEY,
    deployment TEXT NOT NULL
) STRICT, WITHOUT ROWID;
