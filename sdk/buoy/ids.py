"""Names of runs, made without asking anybody.

Ids come from `secrets`: users seed the `random` module, and runs with the same seed would collide.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from buoy.settings import check_project

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 8
_PROJECT_LENGTH_MAX = 128

_FIRST = [
    "amber", "ample", "azure", "balmy", "bold", "brave", "bright", "brisk", "calm", "clear", "coral",
    "crisp", "deep", "deft", "eager", "early", "fair", "fleet", "fresh", "gentle", "glad", "golden",
    "grand", "hardy", "hazy", "ivory", "jolly", "keen", "kind", "light", "lively", "lucid", "lunar",
    "mellow", "mild", "misty", "neat", "nimble", "noble", "northern", "olive", "open", "pale", "patient",
    "placid", "polar", "proud", "quick", "quiet", "rapid", "ready", "rosy", "ruby", "sage", "salty",
    "silver", "sleek", "smooth", "solar", "steady", "still", "stout", "sunny", "swift", "tidal", "trusty",
    "vivid", "warm", "western", "wide", "wild", "wise",
]  # fmt: skip
_SECOND = [
    "anchor", "atoll", "bay", "beacon", "boat", "breeze", "buoy", "cape", "channel", "cliff", "clipper",
    "coast", "compass", "cove", "crane", "current", "cutter", "dawn", "deck", "delta", "dock", "dolphin",
    "drift", "dune", "fjord", "flag", "fleet", "foam", "gale", "galley", "gull", "harbor", "haven", "heron",
    "horizon", "island", "jetty", "kayak", "keel", "lagoon", "lantern", "lighthouse", "mast", "mooring",
    "ocean", "orca", "osprey", "otter", "pearl", "pelican", "pier", "port", "reef", "ripple", "river",
    "sail", "sailor", "schooner", "seal", "shoal", "shore", "sloop", "sound", "spray", "star", "strait",
    "surf", "tern", "tide", "voyage", "wake", "wave", "wharf", "wind",
]  # fmt: skip


def random_id() -> str:
    """Eight random base-36 characters."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))


def derived_id(source: str) -> str:
    """Eight base-36 characters that depend on nothing but `source`: every rank of a job finds the same ones."""
    number = int.from_bytes(hashlib.sha256(source.encode()).digest()[:16], "big")
    characters = []
    for _ in range(_ID_LENGTH):
        number, index = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[index])
    return "".join(characters)


def name_of(run_id: str) -> str:
    """Two words and a number for people.

    They follow from the id, so that all ranks of a job, and a run that is resumed, agree on the name without talking.
    """
    digest = hashlib.sha256(b"name of " + run_id.encode()).digest()
    first = _FIRST[int.from_bytes(digest[:4], "big") % len(_FIRST)]
    second = _SECOND[int.from_bytes(digest[4:8], "big") % len(_SECOND)]
    return f"{first}-{second}-{int.from_bytes(digest[8:12], 'big') % 999 + 1}"


def default_project(folder: Path) -> str:
    """The git repository that holds `folder`, with the way down to it; "uncategorized" outside of any."""
    for root in (folder, *folder.parents):
        if (root / ".git").exists():
            name = "-".join((root.name, *folder.relative_to(root).parts))
            break
    else:
        return "uncategorized"
    name = "".join("-" if character in "/\\#?%:" else character for character in name)[:_PROJECT_LENGTH_MAX]
    try:
        return check_project(name)
    except ValueError:
        return "uncategorized"
