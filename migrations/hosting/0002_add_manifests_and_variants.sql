-- Deployments have a host of their own, content may arrive after the list of files, and content has
-- compressed forms.

-- The label before `--` in the host that shows this deployment.
ALTER TABLE hosting_deployment ADD COLUMN preview TEXT NOT NULL DEFAULT '';

-- Milliseconds since 1970 when the app last began to serve it; NULL: never.
ALTER TABLE hosting_deployment ADD COLUMN activated_at INTEGER;

UPDATE hosting_deployment SET preview = lower(hex(randomblob(6))), activated_at = created_at;

CREATE UNIQUE INDEX hosting_deployment_by_preview ON hosting_deployment (app, preview);

-- A deployment whose content still arrives. Its files are in hosting_file already, so that the content
-- that is here stays here.
CREATE TABLE hosting_pending (
    id         TEXT    NOT NULL PRIMARY KEY,  -- what the deployment will be called
    app        TEXT    NOT NULL,              -- the app's id; the wanted name while there is no app
    site       TEXT    NOT NULL,              -- the app in the client's words
    expires_at INTEGER NOT NULL,              -- milliseconds since 1970
    file_count INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,              -- of all files together
    new_files  INTEGER NOT NULL,              -- contents that were not here when it began
    spa        INTEGER,                       -- NULL: the app's manifest decides
    preview    INTEGER NOT NULL,              -- 1: stored without being activated
    private    INTEGER NOT NULL,              -- 1: files below private/ are meant to be deployed
    source     TEXT                           -- a JSON object: where the files came from
) STRICT, WITHOUT ROWID;

CREATE INDEX hosting_pending_by_app ON hosting_pending (app);
CREATE INDEX hosting_pending_by_end ON hosting_pending (expires_at);

-- A compressed form of a content. It is made once, however many files have the content.
CREATE TABLE hosting_variant (
    hash     BLOB    NOT NULL,                -- SHA-256 of the content
    encoding TEXT    NOT NULL,                -- br, zstd, gzip
    variant  BLOB,                            -- SHA-256 of the compressed form; NULL: it does not pay
    size     INTEGER NOT NULL,                -- bytes of the compressed form
    PRIMARY KEY (hash, encoding)
) STRICT, WITHOUT ROWID;

-- Answers whether a blob is a compressed form of something.
CREATE INDEX hosting_variant_by_variant ON hosting_variant (variant) WHERE variant IS NOT NULL;
