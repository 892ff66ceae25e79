-- Variables of apps' code. The value of a secret is sealed, and is in the cell only when `in_env` says so.
CREATE TABLE js_env (
    app        TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (app, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE js_secret (
    app        TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    sealed     BLOB    NOT NULL,
    in_env     INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (app, name)
) STRICT, WITHOUT ROWID;

-- What apps' code says. Bounded per app by rows and by bytes.
CREATE TABLE js_log (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    app        TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    level      INTEGER NOT NULL,
    request_id TEXT    NOT NULL,
    text       TEXT    NOT NULL
) STRICT;

CREATE INDEX js_log_app ON js_log (app, id);
