-- JavaScript that was made of TypeScript when it was deployed, by the hash of the source. It can be made
-- again at any time: copies of an app go without it.
CREATE TABLE js_stripped (
    hash  BLOB    NOT NULL PRIMARY KEY,  -- SHA-256 of the TypeScript
    maker TEXT    NOT NULL,              -- what made it, with its version
    code  TEXT    NOT NULL,
    at_ms INTEGER NOT NULL               -- when; the oldest go first
) STRICT;

CREATE INDEX js_stripped_at ON js_stripped (at_ms);
