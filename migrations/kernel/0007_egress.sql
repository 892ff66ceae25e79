-- Where apps may connect to. An app without any rule reaches every public address.

CREATE TABLE egress_rule (
  app TEXT NOT NULL,                                -- app id; empty for a rule that holds for all apps
  host TEXT NOT NULL,                               -- a host in its canonical form, or *.HOST for all below it
  port INTEGER NOT NULL CHECK (port BETWEEN 0 AND 65535), -- 0: the scheme's own
  plain INTEGER NOT NULL CHECK (plain IN (0, 1)),   -- whether plain HTTP is allowed too
  created_at INTEGER NOT NULL,                      -- unix ms
  PRIMARY KEY (app, host, port)
) STRICT, WITHOUT ROWID;
