"""The metrics store: points and texts in ClickHouse, embedded or as a cluster."""
