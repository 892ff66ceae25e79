-- How often each app's visitors were greeted, by path.

CREATE TABLE template_greeting (
  app TEXT NOT NULL,
  path TEXT NOT NULL,
  count INTEGER NOT NULL CHECK (count > 0),
  last_at INTEGER NOT NULL,                         -- unix ms
  PRIMARY KEY (app, path)
) STRICT, WITHOUT ROWID;
