"""Memory at its peak."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

from benchmarks.harness.workloads import WORKLOADS
from benchmarks.peers import training
from benchmarks.peers.driver import importable, process
from benchmarks.peers.findings import Found
from benchmarks.peers.rounds import Session

TITLE = "Memory"
NOTES = """\
Megabytes (2^20 bytes) that a process has had at most (VmHWM) once it has trained on mnist for an epoch: the library,
40 MB of data, and what training takes, one step to a call. loaded: with library and data, the network not yet built."""
CASES = ("mnist",)
FEW = 3
VALUES = {"MB": lambda found: found.get("peak"), "MB loaded": lambda found: found.get("before")}


def measure(session: Session, cases: Sequence[str]) -> None:
    """Run a process a turn."""
    if not (late := session.due(cases)):
        return
    versions, missing = importable(late, session.pythons)
    names = [name for name in late if name in session.without(missing).present]
    rows = FEW * WORKLOADS["mnist"].batch_size if session.quick else None
    for case in cases:
        file = str(training.exercise(case, rows).save(session.folder / f"{case}.npz"))

        def turn(name: str, file: str = file) -> Found:
            found: Found = json.loads(process(session.pythons, name, "-m", "benchmarks.peers.once", name, file, "1"))
            return found

        session.play(case, {name: partial(turn, name) for name in names}, versions)
