"""`python -m buoy`: the same as the command `buoy`."""

from buoy.cli import main

main()
