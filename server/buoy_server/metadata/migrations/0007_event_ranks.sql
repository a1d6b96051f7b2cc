-- Which rank's process has told of an event; null = the daemon of the machine.

ALTER TABLE events ADD COLUMN rank INTEGER;
