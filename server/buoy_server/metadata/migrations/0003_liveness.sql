-- Signs of life, requests to stop, and what the server itself has to tell about a run. All times are the server's own.

-- When anything was last heard of a stream; when its daemon last said that its writers live (null: it never did, so it
-- is an older one, and silence means nothing); since when it has been silent for too long.
ALTER TABLE streams ADD COLUMN seen_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN beat_us BIGINT;
ALTER TABLE streams ADD COLUMN missing_us BIGINT;
CREATE INDEX writers_running ON writers (stream) WHERE state = 'running';

-- One request for each attempt; a resume is another attempt and goes on. Not open once all its writers have ended.
CREATE TABLE stops (
  run BIGINT NOT NULL REFERENCES runs (id),
  attempt BIGINT NOT NULL,
  requested_us BIGINT NOT NULL,
  via TEXT NOT NULL,
  requested_by TEXT NOT NULL,
  open INTEGER NOT NULL,
  PRIMARY KEY (run, attempt)
);
CREATE INDEX stops_open ON stops (run, attempt) WHERE open = 1;

-- Events that no stream has told.
CREATE TABLE notices (
  id {pk},
  run BIGINT NOT NULL REFERENCES runs (id),
  time_us BIGINT NOT NULL,
  level TEXT NOT NULL,
  code TEXT NOT NULL,
  text TEXT NOT NULL,
  details TEXT NOT NULL
);
CREATE INDEX notices_by_run ON notices (run, time_us);
