-- Attempts by launch of the job, forks, deleted runs. A fork names its parent by run id, because that may arrive later.
-- parent_us: start of the parent's last attempt that counts, 0 = all count. launch: hexadecimal, '' = not known.

ALTER TABLE runs ADD COLUMN parent TEXT NOT NULL DEFAULT '';

ALTER TABLE runs ADD COLUMN parent_step BIGINT;

ALTER TABLE runs ADD COLUMN parent_us BIGINT NOT NULL DEFAULT 0;

ALTER TABLE runs ADD COLUMN deleted_us BIGINT;

ALTER TABLE attempts ADD COLUMN launch TEXT NOT NULL DEFAULT '';
