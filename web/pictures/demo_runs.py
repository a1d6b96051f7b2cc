"""Twelve made-up trainings of a small language model, logged by the SDK: what the pictures of the documents show.

Everything is seeded. The last run goes on until standard input ends; `ready` is said when all others have finished.
"""

from __future__ import annotations

import itertools
import math
import random
import sys

import buoy

STEPS = 1500
GROUPS = {"adamw": 2.05, "lion": 2.18, "muon": 1.92}
RATES = [1e-4, 3e-4, 1e-3, 3e-3]


def rows(group: str, rate: float, noise: random.Random) -> list[dict[str, float]]:
    """The rows of one training. The highest rate with lion diverges; one run of muon has a spike of a single step."""
    floor = GROUPS[group] + 0.05 * abs(math.log10(rate / 5e-4))
    speed = 260 / (1 + 0.6 * math.log10(rate / 1e-4))
    found = []
    for step in range(STEPS):
        warm = min(1.0, step / 100)
        loss = floor + 7.5 * math.exp(-step / speed) + 0.9 * math.exp(-step / 700) + noise.gauss(0, 0.05)
        norm = 0.35 + 1.8 * math.exp(-step / 150) + abs(noise.gauss(0, 0.06))
        if group == "lion" and rate == RATES[-1] and step > 900:
            loss += ((step - 900) / 90) ** 2
            norm += (step - 900) / 40
        if group == "muon" and rate == RATES[-1] and step == 1040:
            norm = 14.0
        row = {
            "train/loss": loss,
            "train/grad_norm": norm,
            "train/lr": rate * warm * 0.5 * (1 + math.cos(math.pi * step / STEPS)),
            "perf/tokens_per_s": 412_000 + noise.gauss(0, 2500) - (60_000 if step % 400 < 4 else 0),
        }
        if step % 50 == 0:
            row["val/loss"] = loss + 0.06 + noise.gauss(0, 0.01)
            row["val/accuracy"] = 0.62 / (1 + math.exp((loss - 3.1) * 1.4))
        found.append(row)
        if loss > floor + 9 and step > 900:
            break
    return found


def train(group: str, rate: float, seed: int, share: float = 1.0) -> tuple[buoy.Run, bool]:
    """Logs one training as far as asked; says whether it has diverged."""
    run = buoy.init(
        project="tiny-gpt",
        id=f"{group}-{seed}",
        name=f"{group}-{rate:g}",
        group=group,
        tags=["baseline"] if (group, rate) == ("adamw", RATES[1]) else [],
        notes="Diverged after step 900." if (group, rate) == ("lion", RATES[-1]) else "",
        config={
            "optimizer": {"name": group, "lr": rate, "warmup": 100, "weight_decay": 0.1},
            "model": {"layers": 12, "width": 768, "heads": 12},
            "batch": 512,
            "seed": seed,
        },
        settings={"telemetry": False},
    )
    run.define_metric("val/accuracy", goal="maximize")
    run.define_metric("val/loss", goal="minimize")
    done = rows(group, rate, random.Random(seed))
    for row in done[: int(len(done) * share)]:
        run.log(row)
    return run, len(done) < STEPS


def main() -> None:
    """Logs all of them."""
    trainings = [(group, rate, seed) for seed, (group, rate) in enumerate(itertools.product(GROUPS, RATES))]
    for group, rate, seed in trainings[:-1]:
        run, diverged = train(group, rate, seed)
        run.finish(exit_code=1 if diverged else 0)
    run, _ = train(*trainings[-1], share=0.8)
    sys.stdout.write(f"ready {run.id}\n")
    sys.stdout.flush()
    sys.stdin.read()
    run.finish()


if __name__ == "__main__":
    main()
