"""Tables and pictures of all tasks, from what is on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from benchmarks.harness.record import Record
from benchmarks.harness.table import between_markers
from benchmarks.peers import findings, tables

#: Modules and records, by name.
Tasks = Mapping[str, tuple[Any, Record]]


def cases(task: Any, record: Record) -> list[str]:
    """Those on record, in the task's order."""
    there = findings.cases(record)
    return [case for case in task.CASES if case in there]


def overviews(task: Any, record: Record) -> str:
    """Return a short report on the findings of a task."""
    found = cases(task, record)
    made = [tables.overview(record, found, value, unit) for unit, value in task.VALUES.items()]
    return "\n\n".join([*made, *conditions(record)])


def section(task: Any, record: Record) -> str:
    """Return a full report on the findings of a task and how they were made."""
    found = cases(task, record)
    details = [tables.detailed(record, found, value, unit) for unit, value in task.VALUES.items()]
    return "\n\n".join([f"## {task.TITLE}", task.NOTES, overviews(task, record), *details])


def conditions(record: Record) -> list[str]:
    """Paragraphs: how to read it, and what it was measured on and with."""
    lines = [line for case in findings.cases(record) for line in findings.rounds(record, case)]
    versions: dict[str, str] = {}
    for line in lines:
        for found in line["versions"].values():
            versions |= found
    count = [len(findings.rounds(record, case)) for case in findings.cases(record)]
    times = f"{min(count)}" if min(count) == max(count) else f"{min(count)} to {max(count)}"
    return [
        f"Medians of {times} rounds; in brackets, of the ratio to nbnet in the same round.",
        "\n".join([machines(record), ", ".join(f"{name} {version}" for name, version in versions.items())]),
    ]


def machines(record: Record) -> str:
    """A line for each machine that rounds ran on."""
    lines = [line for case in findings.cases(record) for line in findings.rounds(record, case)]
    return "\n".join(dict.fromkeys(_described(line["machine"]) for line in lines))


def _described(made_on: dict[str, Any]) -> str:
    """A machine, without its load, which is another in each round."""
    where = f"{made_on['processor']}, {made_on['processors']} processors, {made_on['system']}"
    return f"{where}, {machine.blas(made_on)}."


def summary(task: Any, record: Record) -> str:
    """The table of the first page: the task's cases and its best-known libraries, Keras on its fastest backend."""
    value = next(iter(task.VALUES.values()))
    return "\n\n".join([tables.summary(record, cases(task, record), value), machines(record)])


def filled(text: str, tasks: Tasks, pictures: Sequence[str] = ()) -> str:
    """A text with tables between its markers, where there is something on record.

    ``<!-- peers NAME:begin -->`` stands for what a task found in brief, ``<!-- peers NAME, all:begin -->`` for
    everything, ``<!-- peers summary:begin -->`` for the table of training steps on the first page, and
    ``<!-- peers pictures:begin -->`` for pictures; each goes on to its ``:end``.

    Parameters
    ----------
    pictures
        Their places, as seen from where the text is.
    """
    blocks = {}
    if "train" in tasks and findings.cases(tasks["train"][1]):
        blocks["peers summary"] = summary(*tasks["train"])
    if pictures:
        blocks["peers pictures"] = "\n".join(f"![{Path(place).stem}]({place})" for place in pictures)
    for name, (task, record) in tasks.items():
        if findings.cases(record):
            blocks |= {f"peers {name}": overviews(task, record), f"peers {name}, all": section(task, record)}
    for mark, block in blocks.items():
        begin, end = f"<!-- {mark}:begin -->", f"<!-- {mark}:end -->"
        if begin in text:
            text = between_markers(text, block, begin, end)
    return text


def draw(tasks: Tasks, folder: Path) -> None:
    """Pictures of the tasks that have some."""
    folder.mkdir(parents=True, exist_ok=True)
    for task, record in tasks.values():
        if hasattr(task, "draw"):
            task.draw(record, folder)
