"""Coverage-guided fuzzing of one target with Atheris: `python -m tests.fuzz.campaign TARGET --seconds 60`.

The plain-Python twin and everything around it is instrumented; the compiled core is fed the same bytes and has to
agree, so what guides the search through the one exercises the other. Half of the inputs get their checksums repaired.
The corpus is kept under `.cache/fuzz/TARGET`; what fails is saved beside it, with the command that shows it again.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "fuzz"
INPUT_BYTES_MAX = 1 << 15
HANG_S = 20
MEMORY_MIB = 2048


def main() -> None:
    """Fuzzes, or runs one saved input; the exit code is not 0 if something was found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.campaign", description=__doc__.splitlines()[0]
    )
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--replay", type=Path, help="run this input and nothing else")
    options = parser.parse_args()
    with atheris.instrument_imports(include=["buoy_core", "buoy_daemon", "buoy_server", "buoy"]):
        from tests.fuzz.targets import TARGETS
    # What readers say about damage, they would say a thousand times.
    logging.disable()
    target = TARGETS[options.target]
    if options.replay:
        target.run(options.replay.read_bytes())
        print(f"{options.replay} does no harm")
        return
    corpus = CACHE / options.target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)

    def mutate(data: bytes, size_max: int, seed: int) -> bytes:
        changed: bytes = atheris.Mutate(data, size_max)
        return target.repair(changed)[:size_max] if random.Random(seed).random() < 0.5 else changed

    arguments = [
        sys.argv[0],
        str(corpus),
        f"-max_total_time={options.seconds}",
        f"-max_len={INPUT_BYTES_MAX}",
        f"-timeout={HANG_S}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-artifact_prefix={CACHE}/{options.target}-",
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    if options.seed:
        arguments.append(f"-seed={options.seed}")
    atheris.Setup(arguments, target.run, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
