"""The metadata store: projects, runs, streams, series statistics, in SQL."""
