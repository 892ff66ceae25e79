-- Values under keys, and what each app takes of what its quotas bound.

-- Counted in the same transaction as the rows that it counts.
CREATE TABLE storage_app (
  app TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL DEFAULT 0,               -- of the newest write; versions are never used twice
  kv_count INTEGER NOT NULL DEFAULT 0,
  kv_bytes INTEGER NOT NULL DEFAULT 0,              -- keys and values
  document_count INTEGER NOT NULL DEFAULT 0,
  document_bytes INTEGER NOT NULL DEFAULT 0,        -- bodies
  object_count INTEGER NOT NULL DEFAULT 0,
  object_bytes INTEGER NOT NULL DEFAULT 0           -- contents, counted once for every object
) STRICT, WITHOUT ROWID;

CREATE TABLE storage_kv (
  app TEXT NOT NULL,
  user TEXT NOT NULL,                               -- '' is what all visitors share
  key TEXT NOT NULL,
  value TEXT NOT NULL,                              -- JSON without spaces
  version INTEGER NOT NULL,
  expires_at INTEGER,                               -- unix ms
  PRIMARY KEY (app, user, key)
) STRICT, WITHOUT ROWID;

-- For the sweep of what has expired.
CREATE INDEX storage_kv_expiry ON storage_kv (expires_at) WHERE expires_at IS NOT NULL;

-- For the removal of a user.
CREATE INDEX storage_kv_user ON storage_kv (user) WHERE user <> '';

-- Apps that are gone, whose data a task removes piece by piece.
CREATE TABLE storage_removal (
  app TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
