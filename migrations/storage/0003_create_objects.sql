-- Objects: content of any size under a path.

CREATE TABLE storage_object (
  app TEXT NOT NULL,
  user TEXT NOT NULL,                               -- '' is what all visitors share
  path TEXT NOT NULL,
  hash BLOB NOT NULL,                               -- SHA-256 of the content, a blob of the cartridge
  size INTEGER NOT NULL,                            -- bytes
  content_type TEXT NOT NULL,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,                      -- unix ms
  updated_at INTEGER NOT NULL,                      -- unix ms
  PRIMARY KEY (app, user, path)
) STRICT, WITHOUT ROWID;

-- For the question whether content is in use.
CREATE INDEX storage_object_hash ON storage_object (hash);

-- For the removal of a user.
CREATE INDEX storage_object_user ON storage_object (user) WHERE user <> '';

-- Keys that sign, sealed.
CREATE TABLE storage_key (
  name TEXT NOT NULL PRIMARY KEY,
  sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
