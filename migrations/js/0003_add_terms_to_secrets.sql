-- Where a secret goes in a request, and to which hosts: names with spaces between them, all hosts without any.
ALTER TABLE js_secret ADD COLUMN place TEXT NOT NULL DEFAULT 'bearer'
    CHECK (place IN ('bearer', 'basic', 'header', 'query'));
ALTER TABLE js_secret ADD COLUMN place_name TEXT NOT NULL DEFAULT '';
ALTER TABLE js_secret ADD COLUMN hosts TEXT NOT NULL DEFAULT '';
