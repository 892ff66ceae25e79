-- Documents in collections, the keys of their indexes, and the words of those that are searched.

CREATE TABLE storage_collection (
  id INTEGER PRIMARY KEY,
  app TEXT NOT NULL,
  user TEXT NOT NULL,                               -- '' is what all visitors share
  name TEXT NOT NULL,
  next INTEGER NOT NULL DEFAULT 1,                  -- number of the next document; none is used twice
  count INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,                 -- of ids and bodies
  version INTEGER NOT NULL DEFAULT 0,               -- of the newest write to any of its documents
  searched INTEGER NOT NULL DEFAULT 0,              -- 0: storage_text has no words of it, 1: some, 2: all
  UNIQUE (app, user, name)
) STRICT;

-- For the removal of a user.
CREATE INDEX storage_collection_user ON storage_collection (user) WHERE user <> '';

CREATE TABLE storage_document (
  place INTEGER PRIMARY KEY,                        -- collection * 2^39 + number: one range a collection
  collection INTEGER NOT NULL REFERENCES storage_collection (id),
  id TEXT NOT NULL,
  body TEXT NOT NULL,                               -- a JSON object without spaces, id and times
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,                      -- unix ms
  updated_at INTEGER NOT NULL,                      -- unix ms
  UNIQUE (collection, id)
) STRICT;

CREATE TABLE storage_index (
  id INTEGER PRIMARY KEY,
  collection INTEGER NOT NULL REFERENCES storage_collection (id),
  field TEXT NOT NULL,
  path TEXT NOT NULL,                               -- the field for json_extract()
  is_unique INTEGER NOT NULL,
  missing_to INTEGER,                               -- no entries yet at this place and below it
  UNIQUE (collection, field)
) STRICT;

CREATE TABLE storage_index_entry (
  idx INTEGER NOT NULL,
  key ANY NOT NULL,                                 -- null -Inf, numbers, texts, x'00' false, x'01' true, x'02'
  place INTEGER NOT NULL,
  PRIMARY KEY (idx, key, place)
) STRICT, WITHOUT ROWID;

-- Its row ids are places.
CREATE VIRTUAL TABLE storage_text USING fts5 (
  words, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
