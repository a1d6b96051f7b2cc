-- What becomes of a deleted run when it can no longer be brought back. It keeps its row, because streams that a machine
-- may still send belong to it, under a name that no run can have, so that its id is free again.
-- removed_us: since when; leftover: above 0 while the metrics may hold points of it that nobody needs; kept: JSON, what
-- its forks need of it, by attempt the step below which it is needed; '' = nothing.

ALTER TABLE runs ADD COLUMN removed_us BIGINT;

ALTER TABLE runs ADD COLUMN leftover BIGINT NOT NULL DEFAULT 0;

ALTER TABLE runs ADD COLUMN kept TEXT NOT NULL DEFAULT '';

CREATE INDEX runs_deleted ON runs (deleted_us) WHERE deleted_us IS NOT NULL;
