"""buoy's data path: records, spools, blocks and the write-ahead log."""
