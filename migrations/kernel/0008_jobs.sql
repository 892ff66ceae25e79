-- Work that outlives a request and a restart, and when it is to begin.

CREATE TABLE job (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  app TEXT NOT NULL,                                -- app id; empty for work of the node itself
  kind TEXT NOT NULL,                               -- what kind of work; workers lease by it
  state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'dead', 'cancelled')),
  priority INTEGER NOT NULL,                        -- the higher first, within an app
  unique_key TEXT,                                  -- at most one that waits or runs, per app and kind
  payload BLOB NOT NULL,
  run_at INTEGER NOT NULL,                          -- unix ms; not before
  attempt INTEGER NOT NULL,                         -- attempts that began
  attempts_max INTEGER NOT NULL,
  backoff_ms INTEGER NOT NULL,                      -- the bound of the first delay after a failure
  timeout_ms INTEGER NOT NULL,                      -- of one attempt; 0 for none
  daemon INTEGER NOT NULL CHECK (daemon IN (0, 1)), -- begins again after every failure
  schedule TEXT,                                    -- name of the schedule that made it
  lease INTEGER NOT NULL,                           -- number of the latest lease
  cancel INTEGER NOT NULL CHECK (cancel IN (0, 1)), -- asked to stop
  progress INTEGER NOT NULL,                        -- percent
  checkpoint BLOB,
  result BLOB,
  problem TEXT,                                     -- why the latest attempt failed
  created_at INTEGER NOT NULL,                      -- unix ms
  started_at INTEGER,                               -- unix ms, of the latest attempt
  finished_at INTEGER                               -- unix ms
) STRICT;

CREATE UNIQUE INDEX job_unique ON job (app, kind, unique_key)
  WHERE unique_key IS NOT NULL AND state IN ('waiting', 'running');

CREATE INDEX job_waiting ON job (kind, app, priority DESC, run_at, id) WHERE state = 'waiting';

CREATE INDEX job_due ON job (kind, run_at) WHERE state = 'waiting';

CREATE INDEX job_running ON job (kind, app) WHERE state = 'running';

CREATE INDEX job_finished ON job (finished_at) WHERE finished_at IS NOT NULL;

CREATE INDEX job_of_app ON job (app, id);

CREATE TABLE job_log (
  job INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,                          -- grows within a job
  at INTEGER NOT NULL,                              -- unix ms
  line TEXT NOT NULL,
  PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_schedule (
  app TEXT NOT NULL,                                -- app id; empty for the node itself
  name TEXT NOT NULL,
  source TEXT NOT NULL,                             -- who made it: each replaces its own only
  cron TEXT NOT NULL,                               -- five fields, UTC
  missed TEXT NOT NULL CHECK (missed IN ('skip', 'run-once', 'all')),
  paused INTEGER NOT NULL CHECK (paused IN (0, 1)),
  kind TEXT NOT NULL,                               -- of its jobs
  payload BLOB NOT NULL,
  attempts_max INTEGER NOT NULL,
  timeout_ms INTEGER NOT NULL,
  next_at INTEGER,                                  -- unix ms; NULL when it is paused or never comes
  last_at INTEGER,                                  -- unix ms of the latest moment that led to a job
  last_job INTEGER,                                 -- which may be gone
  created_at INTEGER NOT NULL,                      -- unix ms
  PRIMARY KEY (app, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_schedule_next ON job_schedule (next_at) WHERE next_at IS NOT NULL;
