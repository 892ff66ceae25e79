-- Apps whose schedules are to be compared with their manifest, because they were activated. `*` stands for
-- all of them, which is what a node begins with.
CREATE TABLE js_cron_due (
    app    TEXT    NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL              -- grows with each activation, until the row is worked off
) STRICT, WITHOUT ROWID;

INSERT INTO js_cron_due (app, number) VALUES ('*', 0);
