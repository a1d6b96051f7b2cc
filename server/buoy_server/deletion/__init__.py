"""Deleted runs: hidden at once, brought back on demand, removed for good after a while.

    shown --delete--> deleted --nobody wants it back, nothing arrives for --removed-after--> removed
          <-restore--

A deleted run is a mark in SQL: no question finds it, uploads to it are stored all the same, and its forks go on reading
its points. A removed one has given its name away; what is left of it is the position of its streams, because a machine
may still have something to send, and the points that forks have from it.
"""
