-- What the node is made of: settings, and plugins.

CREATE TABLE setting (
  name TEXT PRIMARY KEY,                            -- plugin.name
  value TEXT NOT NULL CHECK (json_valid(value)),
  changed_at INTEGER NOT NULL                       -- unix ms
) STRICT, WITHOUT ROWID;

CREATE TABLE plugin (
  name TEXT PRIMARY KEY,
  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  manifest TEXT,                                    -- JSON, of a library
  library BLOB CHECK (length(library) = 32),        -- SHA-256 of the blob that holds it
  target TEXT,                                      -- the machine that it was built for
  changed_at INTEGER NOT NULL                       -- unix ms
) STRICT, WITHOUT ROWID;
