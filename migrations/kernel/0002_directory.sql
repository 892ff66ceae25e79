-- The directory: apps, and the names that lead to them.

CREATE TABLE app (
  id TEXT PRIMARY KEY,                              -- fazt_app_ and 12 characters of base 62
  name TEXT NOT NULL,                               -- for people; routes nothing
  created_at INTEGER NOT NULL                       -- unix ms
) STRICT, WITHOUT ROWID;

CREATE TABLE alias (
  name TEXT PRIMARY KEY,                            -- a label below the node's domain
  kind TEXT NOT NULL CHECK (kind IN ('app', 'redirect', 'reserved')),
  app TEXT REFERENCES app (id) ON DELETE CASCADE,   -- for kind 'app'
  target TEXT,                                      -- for kind 'redirect': an absolute URL
  created_at INTEGER NOT NULL,                      -- unix ms
  CHECK ((kind = 'app') = (app IS NOT NULL)),
  CHECK ((kind = 'redirect') = (target IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX alias_of_app ON alias (app);
