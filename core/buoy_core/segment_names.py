"""Which segments are in a folder, by their names."""

from __future__ import annotations

import os


def indices_in(directory: str, suffix: str) -> list[int]:
    """The indices of the segments in a folder, ascending.

    Names that no writer gives are passed over: a folder that people can reach has files of theirs in it, too.
    """
    found = []
    for name in os.listdir(directory):  # noqa: PTH208
        digits = name.removesuffix(suffix)
        if digits.isdecimal() and name == f"{int(digits):08d}{suffix}":
            found.append(int(digits))
    return sorted(found)
