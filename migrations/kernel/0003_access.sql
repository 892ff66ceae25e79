-- The owner: a password, ways to sign in, sessions, API keys. Secrets are stored as hashes only.

CREATE TABLE owner (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  username TEXT NOT NULL,
  password TEXT NOT NULL,                           -- argon2id, PHC string format
  changed_at INTEGER NOT NULL                       -- unix ms
) STRICT;

CREATE TABLE login_link (
  hash BLOB PRIMARY KEY CHECK (length(hash) = 32),  -- SHA-256 of the token
  expires_at INTEGER NOT NULL                       -- unix ms
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
  hash BLOB PRIMARY KEY CHECK (length(hash) = 32),  -- SHA-256 of the token
  created_at INTEGER NOT NULL,                      -- unix ms
  expires_at INTEGER NOT NULL                       -- unix ms
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
  id TEXT PRIMARY KEY,                              -- public part, 8 characters of base 62
  name TEXT NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32),     -- SHA-256 of the secret part
  scopes INTEGER NOT NULL,                          -- bits: 1 read, 2 deploy, 4 admin
  app TEXT,                                         -- the only app that it may touch
  created_at INTEGER NOT NULL,                      -- unix ms
  expires_at INTEGER                                -- unix ms
) STRICT, WITHOUT ROWID;
