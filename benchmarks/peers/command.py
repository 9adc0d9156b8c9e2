"""The command line: do tasks, print and write their tables."""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from benchmarks.harness.record import Record
from benchmarks.peers import findings, report
from benchmarks.peers.libraries import LIBRARIES, OURS
from benchmarks.peers.rounds import OutOfTime, Session

TASKS = ("train", "predict", "startup", "memory", "search", "alone", "sizes")
RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what is asked for; see ``--help``."""
    options = parse(arguments)
    print("\n".join(machine.lines(machine.describe())), end="\n\n", flush=True)
    records = {name: (load(name), Record(options.results / f"{name}.jsonl")) for name in TASKS}
    with suppress(OutOfTime):
        for name in options.tasks:
            do(*records[name], options)
    for name, (task, record) in records.items():
        if name in (options.tasks or TASKS) and findings.cases(record):
            print(f"\n{report.section(task, record)}")
    if options.plot:
        report.draw(records, options.results)
    for path in options.readme:
        pictures = [os.path.relpath(picture, path.parent) for picture in sorted(options.results.glob("*.svg"))]
        path.write_text(report.filled(path.read_text(), records, pictures))


def do(task: Any, record: Record, options: argparse.Namespace) -> None:
    """Do the missing rounds of a task; if it is stopped, finished rounds stay on record."""
    with tempfile.TemporaryDirectory() as folder:
        session = Session(
            record=record,
            names=options.peers,
            pythons=options.python,
            rounds=options.rounds,
            seconds=options.seconds,
            folder=Path(folder),
            quick=options.quick,
            retry=options.retry,
            deadline=options.deadline,
        )
        try:
            task.measure(session, [case for case in task.CASES if not options.cases or case in options.cases])
        except OutOfTime:
            print("the time is over; the same command goes on", flush=True)
            raise


def load(name: str) -> Any:
    """Import the module of a task."""
    return import_module(f"benchmarks.peers.tasks.{name}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description="Measure nbnet beside other libraries; without a task, show what is on record.",
    )
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)}")
    parser.add_argument("--cases", nargs="+", metavar="CASE", help="of the tasks (all)")
    parser.add_argument("--peers", nargs="+", choices=LIBRARIES, default=list(LIBRARIES), metavar="LIBRARY")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="LIBRARY=PATH",
        help=f"its interpreter, this one by default; LIBRARY is one of {', '.join(LIBRARIES)}",
    )
    parser.add_argument("--rounds", type=int, default=5, help="that each shall have on record (5)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a turn, where work can be cut (0.5)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no round that would not be over by then")
    parser.add_argument("--retry", action="store_true", help="give those another try that failed before")
    parser.add_argument("--quick", action="store_true", help="little work, and nothing tried out: no measurement")
    parser.add_argument("--results", type=Path, metavar="FOLDER", default=RESULTS)
    parser.add_argument(
        "--readme", nargs="+", type=Path, default=[], metavar="FILE", help="write tables between its markers"
    )
    parser.add_argument("--plot", action="store_true", help="draw what can be drawn, beside results (the extra plot)")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.tasks if name not in TASKS]:
        parser.error(f"TASK: expected names out of {', '.join(TASKS)}, got {', '.join(unknown)}")
    known = {case for name in options.tasks for case in load(name).CASES}
    if unknown := [case for case in options.cases or () if case not in known]:
        parser.error(f"--cases: expected names out of {', '.join(sorted(known))}, got {', '.join(unknown)}")
    if options.rounds < 1 or not options.seconds > 0 or not options.minutes > 0:
        parser.error("--rounds, --seconds and --minutes: expected numbers above 0")
    if options.quick and options.results == RESULTS:
        parser.error("--quick: expected another folder in --results")
    options.deadline = time.monotonic() + 60 * options.minutes
    options.python = interpreters(parser, options.python)
    # Results are compared with nbnet's, and it is the first to be asked.
    options.peers = [OURS, *(name for name in LIBRARIES if name in options.peers and name != OURS)]
    return options


def interpreters(parser: argparse.ArgumentParser, given: Sequence[str]) -> dict[str, str]:
    """By library."""
    found = {OURS: sys.executable}
    for text in given:
        name, _, path = text.partition("=")
        if name not in LIBRARIES or not path:
            parser.error(f"--python: expected LIBRARY=PATH with one of {', '.join(LIBRARIES)}, got {text}")
        found[name] = path
    return found
