-- What becomes of a deleted run when it can no longer be brought back. It keeps its row, because streams that a machine
-- may still send belong to it, under a name that no run can have, so that its id is free again.
-- removed_us: since when; leftover: above 0 while the metrics may hold points of it that nobody needs; kept_below: its
-- steps below this one are still there for its forks, null = none are.

ALTER TABLE runs ADD COLUMN removed_us BIGINT;

ALTER TABLE runs ADD COLUMN leftover BIGINT NOT NULL DEFAULT 0;

ALTER TABLE runs ADD COLUMN kept_below BIGINT;

CREATE INDEX runs_deleted ON runs (deleted_us) WHERE deleted_us IS NOT NULL;
