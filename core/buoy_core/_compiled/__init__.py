"""The compiled data path. Import it through `buoy_core` or `buoy_core.compiled`."""
