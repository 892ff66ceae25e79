-- Names: aliases that are split between apps, domains of one's own, and where a copied app came from.

-- A CHECK cannot be changed, so the table is made anew around the new kind.
CREATE TABLE alias_anew (
  name TEXT PRIMARY KEY,                            -- a label below the node's domain
  kind TEXT NOT NULL CHECK (kind IN ('app', 'redirect', 'reserved', 'split')),
  app TEXT REFERENCES app (id) ON DELETE CASCADE,   -- for kind 'app'
  target TEXT,                                      -- for kind 'redirect': an absolute URL
  created_at INTEGER NOT NULL,                      -- unix ms
  CHECK ((kind = 'app') = (app IS NOT NULL)),
  CHECK ((kind = 'redirect') = (target IS NOT NULL))
) STRICT, WITHOUT ROWID;

INSERT INTO alias_anew (name, kind, app, target, created_at)
  SELECT name, kind, app, target, created_at FROM alias;

DROP TABLE alias;

ALTER TABLE alias_anew RENAME TO alias;

CREATE INDEX alias_of_app ON alias (app);

CREATE TABLE alias_split (
  alias TEXT NOT NULL REFERENCES alias (name) ON DELETE CASCADE,
  app TEXT NOT NULL REFERENCES app (id),            -- an app that visitors are sent to is not removed
  weight INTEGER NOT NULL CHECK (weight BETWEEN 1 AND 100), -- percent; those of an alias add up to 100
  PRIMARY KEY (alias, app)
) STRICT, WITHOUT ROWID;

CREATE INDEX alias_split_of_app ON alias_split (app);

CREATE TABLE domain (
  name TEXT PRIMARY KEY,                            -- a whole host name: ASCII, lower-case, no dot at its end
  app TEXT REFERENCES app (id) ON DELETE CASCADE,   -- the app that it leads to
  redirect_to TEXT,                                 -- or the host name that it redirects to
  created_at INTEGER NOT NULL,                      -- unix ms
  verified_at INTEGER,                              -- unix ms; NULL until the node was reached under the name
  checked_at INTEGER,                               -- unix ms of the latest check
  problem TEXT,                                     -- why the latest check failed
  CHECK ((app IS NULL) <> (redirect_to IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX domain_of_app ON domain (app);

ALTER TABLE app ADD COLUMN forked_from TEXT;        -- id of the app that it was copied from, which may be gone
