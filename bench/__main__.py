"""`python -m bench [NAME...]`: runs the named comparisons, or all of them."""

from __future__ import annotations

import sys

from bench import log_call, ranks, runs_table, series, start_up

COMPARISONS = {
    "log_call": log_call.main,
    "start_up": start_up.main,
    "ranks": ranks.main,
    "series": series.main,
    "runs_table": runs_table.main,
}


def main() -> None:
    """Reads the command line."""
    names = sys.argv[1:] or list(COMPARISONS)
    if unknown := [name for name in names if name not in COMPARISONS]:
        raise SystemExit(f"no such comparison: {', '.join(unknown)}; there are: {', '.join(COMPARISONS)}")
    for name in names:
        COMPARISONS[name]()


if __name__ == "__main__":
    main()
