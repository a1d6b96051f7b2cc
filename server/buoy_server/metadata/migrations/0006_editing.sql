-- What people change about runs, and how they look at them.

-- archived_us: hidden from lists unless asked for, null = not. edited: JSON, by field the time at which a person set it
-- by the server's clock; what a process says of the field counts only if it is said later.
ALTER TABLE runs ADD COLUMN archived_us BIGINT;
ALTER TABLE runs ADD COLUMN edited TEXT NOT NULL DEFAULT '{}';

-- What has changed since a revision; which runs have a summary value that was set by hand.
CREATE INDEX runs_by_rev ON runs (project, rev);
CREATE INDEX summary_values_by_key ON summary_values (digest, run);

-- How a project is looked at: JSON of the dashboard's, which the server keeps as it is.
CREATE TABLE views (
  project BIGINT NOT NULL REFERENCES projects (id),
  view_id TEXT NOT NULL,
  name TEXT NOT NULL,
  content TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  changed_us BIGINT NOT NULL,
  changed_by TEXT NOT NULL,
  rev BIGINT NOT NULL,
  PRIMARY KEY (project, view_id)
);
