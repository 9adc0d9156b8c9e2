"""The command line: do tasks, print and write their tables."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.peers import report
from benchmarks.peers.libraries import LIBRARIES, OURS
from benchmarks.peers.rounds import Session
from benchmarks.record import Record

TASKS = ("train", "predict", "startup", "memory", "search", "alone", "sizes")
RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what is asked for; see ``--help``."""
    options = parse(arguments)
    print("\n".join(machine.lines(machine.describe())), end="\n\n", flush=True)
    for name in options.tasks:
        task, record = load(name), Record(options.results / f"{name}.jsonl")
        with tempfile.TemporaryDirectory() as folder:
            session = Session(
                record=record,
                names=options.peers,
                pythons=options.python,
                rounds=options.rounds,
                seconds=options.seconds,
                folder=Path(folder),
                quick=options.quick,
            )
            task.measure(session, [case for case in task.CASES if not options.cases or case in options.cases])
    shown = {name: Record(options.results / f"{name}.jsonl") for name in options.tasks or TASKS}
    written = {name: (load(name), record) for name, record in shown.items() if record.runs()}
    for task, record in written.values():
        print(f"\n{report.section(task, record)}")
    if options.readme:
        options.readme.write_text(report.filled(options.readme.read_text(), written))
    if options.plot:
        report.draw(written, options.plot)


def load(name: str) -> Any:
    """The module of a task."""
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
    parser.add_argument("--rounds", type=int, default=7, help="that shall be on record (7)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of the slowest turn in a round (1)")
    parser.add_argument("--quick", action="store_true", help="little work, and nothing tried out: no measurement")
    parser.add_argument("--results", type=Path, metavar="FOLDER", default=RESULTS)
    parser.add_argument("--readme", type=Path, metavar="FILE", help="write tables between its markers")
    parser.add_argument("--plot", type=Path, metavar="FOLDER", help="draw what can be drawn (the extra plot)")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.tasks if name not in TASKS]:
        parser.error(f"TASK: wants names out of {', '.join(TASKS)}, got {', '.join(unknown)}")
    known = {case for name in options.tasks for case in load(name).CASES}
    if unknown := [case for case in options.cases or () if case not in known]:
        parser.error(f"--cases: wants names out of {', '.join(sorted(known))}, got {', '.join(unknown)}")
    if options.rounds < 1 or not options.seconds > 0:
        parser.error("--rounds and --seconds: want numbers above 0")
    if options.quick and options.results == RESULTS:
        parser.error("--quick: wants another folder in --results")
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
            parser.error(f"--python: wants LIBRARY=PATH with one of {', '.join(LIBRARIES)}, got {text}")
        found[name] = path
    return found
