-- The address book: other nodes that commands on this machine can be sent to. Tokens are sealed.

CREATE TABLE peer (
  name TEXT PRIMARY KEY,
  url TEXT NOT NULL,                                -- of the node, without a path
  token BLOB NOT NULL,                              -- an API key of that node, sealed
  created_at INTEGER NOT NULL                       -- unix ms
) STRICT, WITHOUT ROWID;

-- The peer that commands go to when they name none: one row at most.
CREATE TABLE peer_default (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  name TEXT NOT NULL REFERENCES peer (name) ON DELETE CASCADE
) STRICT;
