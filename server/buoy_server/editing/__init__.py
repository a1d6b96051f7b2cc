"""What people change: a run's own words, many runs at once, and how a project is looked at."""
