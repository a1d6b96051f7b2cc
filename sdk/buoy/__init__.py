"""Part of buoy."""
