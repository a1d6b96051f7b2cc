"""Questions about runs and series; knows no HTTP."""
