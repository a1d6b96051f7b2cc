"""Compares what `log()` accepted with what the server holds: every row, its value, its order, once.

Two views: the API, as users read it, and the tables, in which a row that was inserted twice cannot hide behind a query
that picks one of them.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.crash.chaos.journal import Account, read_account
from tests.crash.stack import Stack

ERRORS_MAX = 40


@dataclass
class Verdict:
    """What was compared, and what is wrong."""

    lanes: int = 0
    accepted: int = 0
    dropped: int = 0
    unsure: int = 0
    on_server: int = 0
    points: int = 0
    errors: list[str] = field(default_factory=list)


def read_accounts(folder: Path) -> list[Account]:
    """All journals of a storm."""
    accounts = (read_account(path) for path in sorted(folder.glob("*.journal")))
    return [account for account in accounts if account is not None]


def judge(stack: Stack, accounts: Sequence[Account]) -> Verdict:
    """Compares by the API. The server runs, and everything is at rest."""
    verdict = Verdict()
    keys: dict[str, dict[str, int]] = {}
    for account in accounts:
        lane = account.lane
        if lane.run_id not in keys:
            answer = stack.get(f"p/local:chaos/keys?run={lane.run_id}") or {"keys": []}
            keys[lane.run_id] = {entry["key"]: entry["n"] for entry in answer["keys"]}
        verdict.lanes += 1
        verdict.accepted += len(account.accepted)
        verdict.dropped += len(account.dropped)
        verdict.unsure += len(account.unsure)
        verdict.on_server += _judge_lane(stack, account, keys[lane.run_id], verdict.errors)
    _judge_drops(stack, accounts, verdict)
    return verdict


def _judge_lane(stack: Stack, account: Account, counts: dict[str, int], errors: list[str]) -> int:
    """The lane's rows on the server."""
    lane = account.lane
    wanted = list(lane.row(0))
    here = [key for key in wanted if key in counts]
    if not here:
        if account.accepted:
            errors.append(f"{lane.name}: all of its {len(account.accepted)} rows are missing")
        return 0
    rows = _history(stack, lane.run_id, wanted) if len(here) == len(wanted) else []
    found = [int(row[f"{lane.name}/n"]) for row in rows]
    present = set(found)
    if missing := account.accepted - present:
        errors.append(
            f"{lane.name}: {len(missing)} accepted rows are missing: {_some(missing)}; {_of(account)}"
        )
    if extra := present - account.accepted - account.possible:
        errors.append(f"{lane.name}: {len(extra)} rows too many: {_some(extra)}; {_of(account)}")
    if len(found) != len(present) or found != sorted(found):
        errors.append(f"{lane.name}: rows are out of order or twice there")
    for row, n in zip(rows, found, strict=True):
        expected = lane.row(n)
        if {key: row[key] for key in wanted} != expected or (
            lane.step_base >= 0 and row["_step"] != lane.step_base + n
        ):
            errors.append(f"{lane.name}: row {n} is {row}, not {expected}")
            break
    for key in wanted:
        if counts.get(key, 0) != len(present):
            errors.append(
                f"{lane.name}: {len(present)} rows, but {counts.get(key, 0)} points of {key} are counted"
            )
    return len(present)


def _history(stack: Stack, run_id: str, keys: list[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = None
    wanted = "&".join(f"key={quote(key)}" for key in keys)
    while True:
        path = f"p/local:chaos/runs/{run_id}/history?{wanted}&limit=10000"
        page = stack.get(path + (f"&cursor={cursor}" if cursor else ""))
        rows += page["rows"]
        cursor = page["cursor"]
        if cursor is None:
            return rows


def _judge_drops(stack: Stack, accounts: Sequence[Account], verdict: Verdict) -> None:
    """What the writers of a run could not keep is shown with them: not less than they know, and not more.

    A process without a spool takes its count with it when it is killed; and a call under way at a kill may have been
    dropped before it could be noted.
    """
    # The lanes of a process share its writer's count; whoever looked last has seen the most.
    processes: dict[str, list[Account]] = {}
    for account in accounts:
        processes.setdefault(account.lane.name.rpartition(".")[0], []).append(account)
    known: Counter[str] = Counter()
    possible: Counter[str] = Counter()
    for lanes in processes.values():
        run_id, dropped = lanes[0].lane.run_id, max(account.writer_dropped for account in lanes)
        known[run_id] += dropped if any(account.has_spool for account in lanes) else 0
        possible[run_id] += dropped + len(lanes)
    for run_id, dropped in known.items():
        run = stack.get(f"p/local:chaos/runs/{run_id}")
        shown = sum(writer["records_dropped"] for writer in run["writers"]) if run else 0
        if not dropped <= shown <= possible[run_id]:
            verdict.errors.append(f"run {run_id}: {dropped} records were dropped, {shown} are shown")


def _some(numbers: set[int] | frozenset[int]) -> str:
    """The stretches of a set of numbers, the first few of them."""
    stretches: list[list[int]] = []
    for number in sorted(numbers):
        if stretches and stretches[-1][1] == number - 1:
            stretches[-1][1] = number
        else:
            stretches.append([number, number])
    return ", ".join(f"{first}-{last}" for first, last in stretches[:5]) + (
        " ..." if len(stretches) > 5 else ""
    )


def _of(account: Account) -> str:
    return f"{account.calls} calls, {len(account.dropped)} dropped, pid {account.pid}"


TABLES = """
import json, sys, chdb.session
session = chdb.session.Session(sys.argv[1])
totals = session.query("select count() from points", "TSV").bytes().decode()
twice = session.query(
    "select count(), uniqExact(run, key, rank, attempt, stream, seq) from points format TSV").bytes().decode()
texts = session.query(
    "select count(), uniqExact(run, key, rank, attempt, stream, seq) from texts format TSV").bytes().decode()
order = session.query(
    "select key, stream, groupArray(value) = arraySort(groupArray(value)) from "
    "(select key, stream, seq, value from points where key in ("
    + (sys.argv[2] or "0") + ") order by key, stream, seq) group by key, stream format TSV").bytes().decode()
print(json.dumps([twice.split(), texts.split(), [line.split() for line in order.splitlines()]]))
"""


def judge_tables(data: Path, verdict: Verdict) -> None:
    """Compares by the tables. The server must have ended: the engine has one user."""
    with sqlite3.connect(data / "metadata.sqlite") as metadata:
        names = dict(metadata.execute("SELECT id, name FROM keys WHERE name LIKE '%/n' AND system = 0"))
    done = subprocess.run(
        [sys.executable, "-c", TABLES, str(data / "metrics"), ",".join(map(str, names))],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        verdict.errors.append(f"the tables cannot be read: {done.stderr[-500:]}")
        return
    points, texts, order = json.loads(done.stdout.splitlines()[-1])
    verdict.points = int(points[0])
    for table, (count, different) in (("points", points), ("texts", texts)):
        if count != different:
            verdict.errors.append(f"the table {table} has {count} rows of which {different} are different")
    verdict.errors += [
        f"{names[int(key)]} in stream {stream} is not in the order of its calls"
        for key, stream, in_order in order
        if in_order not in ("1", "true")
    ]
