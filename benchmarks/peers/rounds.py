"""Rounds in which every library has a turn, and their record."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from benchmarks.harness.record import Record
from benchmarks.peers import findings
from benchmarks.peers.driver import PeerError
from benchmarks.peers.findings import Found
from benchmarks.peers.libraries import OURS

#: Seconds after each turn, in which the threads of who had it go to sleep.
PAUSE = 0.2


class OutOfTime(Exception):
    """The time that was allowed is over; what was found is on record."""


@dataclass(frozen=True)
class Session:
    """The settings of a task, and its rounds.

    Parameters
    ----------
    record
        Record of the task.
    names
        Libraries to measure.
    pythons
        Interpreters by library; the others use the one that runs this.
    rounds
        Number of rounds that each library should have on record.
    seconds
        Time that a turn should take.
    quick
        True for a short check that measures nothing: few rows, and no settings are tried.
    folder
        Folder for files of the processes.
    retry
        True to give libraries that failed before another try.
    deadline
        Time of the monotonic clock; no round begins that would not be over by then.
    """

    record: Record
    names: Sequence[str]
    pythons: Mapping[str, str]
    rounds: int
    seconds: float
    folder: Path
    quick: bool = False
    retry: bool = False
    deadline: float = math.inf
    missing: dict[str, str] = field(default_factory=dict)

    def without(self, missing: Mapping[str, str]) -> Session:
        """Return this session without libraries that cannot be imported; print which are left out."""
        for name, reason in missing.items():
            if name not in self.missing:
                print(f"left out: {reason}", flush=True)
        self.missing.update(missing)
        return self

    @property
    def present(self) -> list[str]:
        """Libraries that have not been found missing."""
        return [name for name in self.names if name not in self.missing]

    def check_time(self, needed: float = 0.0) -> None:
        """Stop if less time is left than is needed.

        Raises
        ------
        OutOfTime
            If less time is left.
        """
        if time.monotonic() + needed > self.deadline:
            raise OutOfTime

    def due(self, cases: Sequence[str], names: Sequence[str] | None = None) -> list[str]:
        """Return names that lack rounds of some case, and nbnet, which they are compared with; or none.

        Parameters
        ----------
        names
            Libraries, by default all, or ways to use them, ``"LIBRARY, WAY"``.
        """
        wanted = self.present if names is None else [name for name in names if name not in self.missing]
        late = {name for case in cases for name in self._late(case, wanted)}
        return [name for name in wanted if name in late or (late and name == OURS)]

    def _late(self, case: str, names: Sequence[str]) -> list[str]:
        """Return names with turns to come; those that failed have none, unless they are tried again."""
        had: Counter[str] = Counter()
        failed: set[str] = set()
        for line in findings.rounds(self.record, case):
            done = {known for name, found in line["found"].items() if "error" not in found for known in both(name)}
            had.update(done)
            failed |= {known for name in line["found"] for known in both(name)} - done
        return [name for name in names if had[name] < self.rounds and (self.retry or name not in failed)]

    def play(self, case: str, turns: Mapping[str, Callable[[], Found]], versions: Mapping[str, Any]) -> None:
        """Play the missing rounds of a case; a library that fails once has no more turns.

        Parameters
        ----------
        turns
            The function that plays a turn, by name.
        versions
            Versions of the packages of each library.

        Raises
        ------
        OutOfTime
            If there is not enough time for all of them.
        """
        failed: set[str] = set()
        took = 0.0
        while names := self.due([case], [name for name in turns if name not in failed]):
            self.check_time(took)
            began, number = time.monotonic(), len(findings.rounds(self.record, case))
            # The order is reversed in every round, so none of them always comes after the same one.
            found = {name: attempt(turns[name]) for name in names[:: 1 if number % 2 else -1]}
            failed |= {name for name in names if "error" in found[name]}
            ordered = {name: found[name] for name in names}
            self.record.add(
                {"case": case, "round": number},
                found=ordered,
                versions=dict(versions),
                machine=machine.describe(),
                time=time.strftime("%Y-%m-%d %H:%M"),
            )
            print(f"{case}, round {number + 1}: {summary(ordered)}", flush=True)
            took = time.monotonic() - began


def both(name: str) -> tuple[str, str]:
    """A way to use a library, and the library."""
    return name, name.split(", ")[0]


def attempt(turn: Callable[[], Found]) -> Found:
    """Return the findings of a turn, or its error."""
    try:
        found = turn()
    except PeerError as error:
        found = {"error": str(error)}
    time.sleep(PAUSE)
    return found


def summary(found: Mapping[str, Found]) -> str:
    """Return a line on the findings of a round, to print as progress."""
    mine = pace(found.get(OURS, {}))
    parts = []
    for name, result in found.items():
        theirs = pace(result)
        if theirs is None:
            parts.append(f"{name} {'failed' if 'error' in result else 'done'}")
        else:
            parts.append(f"{name} {theirs:.3g} s" + (f" (x{theirs / mine:.3g})" if mine and name != OURS else ""))
    return ", ".join(parts)


def pace(found: Found) -> float | None:
    """Seconds of a step, if there are steps, or else of the whole turn."""
    seconds = found.get("seconds")
    return seconds / (found.get("epochs", 1) * found.get("steps", 1)) if seconds is not None else None
