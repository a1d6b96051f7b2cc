"""`python -m buoy_server`: what `buoy server` runs."""

from __future__ import annotations

import sys

from buoy_server.config import parse
from buoy_server.errors import StartError
from buoy_server.serve import configure_logging, serve


def main(arguments: list[str] | None = None) -> int:
    """Runs the server; 0 after a clean stop, 2 if it cannot start."""
    configure_logging()
    try:
        serve(parse(sys.argv[1:] if arguments is None else arguments))
    except StartError as error:
        sys.stderr.write(f"buoy server: {' '.join(str(error).split())}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
