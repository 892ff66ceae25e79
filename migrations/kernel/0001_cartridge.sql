-- The cartridge itself: which migrations ran, content, events.

CREATE TABLE migration (
  owner TEXT NOT NULL,
  number INTEGER NOT NULL,
  name TEXT NOT NULL,
  sha256 BLOB NOT NULL CHECK (length(sha256) = 32), -- of the SQL text that ran
  applied_at INTEGER NOT NULL,                      -- unix ms
  PRIMARY KEY (owner, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: the id of a deleted blob is never given to another one, so a reader that holds an
-- id reads that blob or nothing.
CREATE TABLE blob (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  hash BLOB UNIQUE CHECK (length(hash) = 32),       -- SHA-256; NULL while the content still arrives
  size INTEGER NOT NULL CHECK (size >= 0),          -- bytes
  put_at INTEGER NOT NULL,                          -- unix ms of the latest put
  data BLOB                                         -- the content up to 256 KiB; NULL when in chunks
) STRICT;

CREATE TABLE blob_chunk (
  id INTEGER PRIMARY KEY,                           -- blob.id * 1048576 + n
  data BLOB NOT NULL                                -- 256 KiB, the last one less
) STRICT;

CREATE INDEX blob_arriving ON blob (put_at) WHERE hash IS NULL;

CREATE TABLE event (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  owner TEXT NOT NULL,
  kind TEXT NOT NULL,
  app BLOB,
  payload BLOB NOT NULL,
  created_at INTEGER NOT NULL                       -- unix ms
) STRICT;

CREATE TABLE event_cursor (
  owner TEXT NOT NULL,
  subscriber TEXT NOT NULL,
  seq INTEGER NOT NULL,                             -- the last event that was dealt with
  PRIMARY KEY (owner, subscriber)
) STRICT, WITHOUT ROWID;
