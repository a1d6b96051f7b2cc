-- How far each writer is, and what is told of ranks that fall behind.

-- The time of a writer's newest row by its own clock, and when rows of it last arrived, by the server's (null: none did).
-- Backlog: what the writer has handed over on its machine, as its daemon last said, less what has arrived, both offsets of
-- its spool; log_seq is the same for the records of the whole stream, next to next_seq.
ALTER TABLE writers ADD COLUMN row_us BIGINT;
ALTER TABLE writers ADD COLUMN heard_us BIGINT;
ALTER TABLE writers ADD COLUMN arrived BIGINT NOT NULL DEFAULT 0;
ALTER TABLE writers ADD COLUMN handed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN log_seq BIGINT NOT NULL DEFAULT 0;

-- What is remembered of an attempt's ranks from one judgement to the next. Whoever moves judged_us on has judged.
CREATE TABLE watches (
  run BIGINT NOT NULL REFERENCES runs (id),
  attempt BIGINT NOT NULL,
  judged_us BIGINT NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (run, attempt)
);
