"""Tables and pictures of all tasks, from what is on record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.peers import rounds, tables
from benchmarks.record import Record
from benchmarks.train import between_markers


def overviews(task: Any, record: Record) -> str:
    """What a task found, in brief."""
    made = [tables.overview(record, value, unit) for unit, value in task.VALUES.items()]
    return "\n\n".join([*made, *conditions(record)])


def section(task: Any, record: Record) -> str:
    """All that a task found, and how."""
    details = [tables.detailed(record, value, unit) for unit, value in task.VALUES.items()]
    return "\n\n".join([f"## {task.TITLE}", task.NOTES, overviews(task, record), *details])


def conditions(record: Record) -> list[str]:
    """Paragraphs: how to read it, and what it was measured on and with."""
    lines = [line for case in rounds.cases(record) for line in rounds.latest(record, case).values()]
    versions: dict[str, str] = {}
    for line in lines:
        for found in line["versions"].values():
            versions |= found
    on = dict.fromkeys("\n".join(machine.lines(line["machine"] | {"load": "-", "versions": {}})) for line in lines[-1:])
    count = [len(rounds.latest(record, case)) for case in rounds.cases(record)]
    times = f"{min(count)}" if min(count) == max(count) else f"{min(count)} to {max(count)}"
    return [
        f"Medians of {times} rounds; in brackets, of the ratio to nbnet in the same round.",
        *on,
        ", ".join(f"{name} {version}" for name, version in versions.items()),
    ]


def filled(text: str, tasks: Mapping[str, tuple[Any, Record]]) -> str:
    """A text with tables between its markers: ``<!-- peers NAME:begin -->``, ``<!-- peers NAME, all:begin -->``.

    The first stands for what the task found in brief, the second for everything.
    """
    for name, (task, record) in tasks.items():
        for mark, write in ((f"peers {name}", overviews), (f"peers {name}, all", section)):
            begin, end = f"<!-- {mark}:begin -->", f"<!-- {mark}:end -->"
            if begin in text:
                text = between_markers(text, write(task, record), begin, end)
    return text


def draw(tasks: Mapping[str, tuple[Any, Record]], folder: Path) -> None:
    """Pictures of the tasks that have some."""
    folder.mkdir(parents=True, exist_ok=True)
    for task, record in tasks.values():
        if hasattr(task, "draw"):
            task.draw(record, folder)
