"""Sends logs to servers: `plan` decides, `batch` cuts bodies from the log, `client` speaks HTTP, `worker` runs them."""
