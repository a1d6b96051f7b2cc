"""A run while it is being recorded: everything between `init()` and `finish()`."""
