-- Everything the server knows except the metrics themselves. Portable between SQLite and PostgreSQL; {pk} is an id that counts up.
-- A digest stands for a name in indexes, because names may be longer than PostgreSQL's index rows. Times are microseconds since the Unix epoch. Columns named like a table hold that table's id.

CREATE TABLE server (
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE projects (
  id {pk},
  entity TEXT NOT NULL,
  name TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  activity_us BIGINT NOT NULL,
  rev BIGINT NOT NULL,
  UNIQUE (entity, name)
);

CREATE TABLE runs (
  id {pk},
  project BIGINT NOT NULL REFERENCES projects (id),
  run_id TEXT NOT NULL,
  name TEXT NOT NULL,
  notes TEXT NOT NULL,
  tags TEXT NOT NULL,
  group_name TEXT NOT NULL,
  job_type TEXT NOT NULL,
  host TEXT NOT NULL,
  state TEXT NOT NULL,
  exit_code INTEGER,
  attempts INTEGER NOT NULL,
  created_us BIGINT NOT NULL,
  started_us BIGINT NOT NULL,
  ended_us BIGINT,
  heartbeat_us BIGINT NOT NULL,
  config TEXT NOT NULL,
  metadata TEXT NOT NULL,
  rev BIGINT NOT NULL,
  UNIQUE (project, run_id)
);

CREATE TABLE attempts (
  run BIGINT NOT NULL REFERENCES runs (id),
  attempt INTEGER NOT NULL,
  started_us BIGINT NOT NULL,
  first_step BIGINT,
  PRIMARY KEY (run, attempt)
);

CREATE TABLE streams (
  id {pk},
  stream_id TEXT NOT NULL UNIQUE,
  run BIGINT NOT NULL REFERENCES runs (id),
  attempt INTEGER NOT NULL,
  rank INTEGER,
  next_seq BIGINT NOT NULL,
  machine_id TEXT NOT NULL,
  host TEXT NOT NULL,
  daemon_version TEXT NOT NULL,
  started_us BIGINT NOT NULL
);
CREATE INDEX streams_by_run ON streams (run);

CREATE TABLE gaps (
  stream BIGINT NOT NULL REFERENCES streams (id),
  first_seq BIGINT NOT NULL,
  records BIGINT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (stream, first_seq)
);

CREATE TABLE writers (
  stream BIGINT NOT NULL REFERENCES streams (id),
  writer_id TEXT NOT NULL,
  rank INTEGER NOT NULL,
  local_rank INTEGER NOT NULL,
  world_size INTEGER NOT NULL,
  host TEXT NOT NULL,
  pid BIGINT NOT NULL,
  forked INTEGER NOT NULL,
  state TEXT NOT NULL,
  exit_code INTEGER,
  last_step BIGINT,
  started_us BIGINT NOT NULL,
  ended_us BIGINT,
  records_dropped BIGINT NOT NULL,
  PRIMARY KEY (stream, writer_id)
);

CREATE TABLE writer_keys (
  stream BIGINT NOT NULL REFERENCES streams (id),
  writer_id TEXT NOT NULL,
  key_id BIGINT NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (stream, writer_id, key_id)
);

CREATE TABLE keys (
  id {pk},
  project BIGINT NOT NULL REFERENCES projects (id),
  system INTEGER NOT NULL,
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  rev BIGINT NOT NULL,
  UNIQUE (project, system, digest)
);

-- What is known of a series without reading its points. minimum, maximum, total and finite are over the finite values.
CREATE TABLE series (
  run BIGINT NOT NULL REFERENCES runs (id),
  key BIGINT NOT NULL REFERENCES keys (id),
  rank INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  n BIGINT NOT NULL,
  texts BIGINT NOT NULL,
  first_step BIGINT NOT NULL,
  last_step BIGINT NOT NULL,
  first_us BIGINT NOT NULL,
  last_us BIGINT NOT NULL,
  first_value TEXT NOT NULL,
  last_value TEXT NOT NULL,
  last_stream BIGINT NOT NULL,
  last_seq BIGINT NOT NULL,
  minimum DOUBLE PRECISION,
  maximum DOUBLE PRECISION,
  total DOUBLE PRECISION NOT NULL,
  finite BIGINT NOT NULL,
  ascending INTEGER NOT NULL,
  gen INTEGER NOT NULL,
  rev BIGINT NOT NULL,
  PRIMARY KEY (run, key, rank, attempt)
);
CREATE INDEX series_by_key ON series (key, run);

CREATE TABLE metric_defs (
  run BIGINT NOT NULL REFERENCES runs (id),
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  definition TEXT NOT NULL,
  PRIMARY KEY (run, digest)
);

-- Summary values that were set by hand.
CREATE TABLE summary_values (
  run BIGINT NOT NULL REFERENCES runs (id),
  key TEXT NOT NULL,
  digest TEXT NOT NULL,
  value TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  stream BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  PRIMARY KEY (run, digest)
);

CREATE TABLE events (
  stream BIGINT NOT NULL REFERENCES streams (id),
  seq BIGINT NOT NULL,
  run BIGINT NOT NULL REFERENCES runs (id),
  time_us BIGINT NOT NULL,
  level TEXT NOT NULL,
  code TEXT NOT NULL,
  text TEXT NOT NULL,
  details TEXT NOT NULL,
  PRIMARY KEY (stream, seq)
);
CREATE INDEX events_by_run ON events (run, time_us);
