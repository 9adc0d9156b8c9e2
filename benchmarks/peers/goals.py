"""What was set out to be reached, and whether it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.peers import findings
from benchmarks.peers.findings import Value
from benchmarks.peers.libraries import KERAS, OURS
from benchmarks.record import Record
from benchmarks.table import markdown, spread


@dataclass(frozen=True)
class Goal:
    """So many times what a rival does.

    Parameters
    ----------
    what
        Is compared, for a reader.
    beside
        With whom, for a reader.
    case
        Of a task.
    rivals
        Libraries, or ways to use them; the best of them counts.
    wanted
        Theirs over nbnet's, at least.
    """

    what: str
    beside: str
    case: str
    rivals: tuple[str, ...]
    wanted: float

    def ratios(self, record: Record, value: Value) -> list[float]:
        """Of the best rival, round by round; none, if that is not on record."""
        taken = findings.values(record, self.case, value)
        there = [name for name in self.rivals if findings.known(taken.get(name, []))]
        found = [findings.ratios(taken.get(OURS, []), taken[name]) for name in there]
        return min((ratios for ratios in found if ratios), key=lambda ratios: float(np.median(ratios)), default=[])


def beside_keras(what: str, case: str, wanted: float, way: str = "") -> Goal:
    """A goal against Keras on its fastest backend."""
    label = "Keras on its fastest backend" + (f", `{way}`" if way else "")
    return Goal(what, label, case, tuple(f"{name}, {way}" if way else name for name in KERAS), wanted)


def table(found: Iterable[tuple[Goal, Sequence[float]]]) -> str:
    """A row a goal, and a sentence on those that were not reached.

    Parameters
    ----------
    found
        Goals, and the ratios of each.
    """
    rows, short, unknown = [], [], []
    for goal, ratios in found:
        name = f"{goal.what}, {goal.beside}"
        reached = bool(ratios) and float(np.median(ratios)) >= goal.wanted
        verdict = "reached" if reached else "**not reached**" if ratios else "not measured"
        rows.append([goal.what, goal.beside, f"{goal.wanted:g}", spread(ratios) if ratios else "-", verdict])
        if not ratios:
            unknown.append(name)
        elif not reached:
            short.append(f"{name} ({np.median(ratios):.3g} of {goal.wanted:g})")
    count = len(rows) - len(short) - len(unknown)
    says = [f"{count} of {len(rows)} goals are reached."]
    if short:
        says.append(f"What falls short: {'; '.join(short)}.")
    if unknown:
        says.append(f"Not measured: {'; '.join(unknown)}.")
    head = ["nbnet's", "beside", "times, at least", "found", ""]
    return "\n\n".join([markdown(head, rows), " ".join(says)])
