"""`buoy export`: runs as Parquet, CSV or JSON lines, from the server or from their folders.

    source (server pages, or a log) -> batches of rows -> staged on disk -> one file a run, renamed when it is complete

Memory holds a few batches, however long a run is. What type a column has is known once all its values have been seen,
so batches wait in a temporary file until then.
"""
