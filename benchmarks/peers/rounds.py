"""Rounds in which every library has a turn, and their record."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.peers.driver import PeerError
from benchmarks.peers.libraries import OURS
from benchmarks.record import Record

#: What a library found in a turn, or ``{"error": reason}``.
Found = dict[str, Any]


@dataclass(frozen=True)
class Session:
    """How a task is done.

    Parameters
    ----------
    record
        Of the task.
    names
        Libraries wanted.
    pythons
        Interpreters, by library; this one's for the others.
    rounds
        How many there shall be on record.
    seconds
        What the slowest turn of a round should last.
    quick
        Whether this is no measurement: few rows, nothing is tried out.
    folder
        For files of the processes.
    """

    record: Record
    names: Sequence[str]
    pythons: Mapping[str, str]
    rounds: int
    seconds: float
    folder: Path
    quick: bool = False
    missing: dict[str, str] = field(default_factory=dict)

    def without(self, missing: Mapping[str, str]) -> Session:
        """The same session: these cannot be imported, and are said to be left out."""
        for name, reason in missing.items():
            if name not in self.missing:
                print(f"left out: {reason}", flush=True)
        self.missing.update(missing)
        return self

    @property
    def present(self) -> list[str]:
        """Libraries that have not been found missing."""
        return [name for name in self.names if name not in self.missing]

    def pending(self, case: str, names: Sequence[str] | None = None) -> list[int]:
        """Rounds of a case in which somebody has not had a turn; those found missing are not waited for.

        Parameters
        ----------
        names
            Who is wanted: libraries, by default all, or ways to use them, ``"LIBRARY, WAY"``.
        """
        wanted = {name for name in names or self.names if name not in self.missing}
        done: dict[int, set[str]] = {}
        for line in self.findings(case):
            done[line["run"]["round"]] = {known for name in line["found"] for known in (name, name.split(", ")[0])}
        return [number for number in range(self.rounds) if not wanted <= done.get(number, set())]

    def findings(self, case: str) -> list[dict[str, Any]]:
        """The rounds of a case that are on record; of those that were repeated, the last."""
        return list(latest(self.record, case).values())

    def play(self, case: str, turns: Mapping[str, Callable[[], Found]], versions: Mapping[str, Any]) -> None:
        """Play the rounds of a case that are missing; who fails once has no more turns.

        Parameters
        ----------
        turns
            What each does.
        versions
            Of each.
        """
        failed: dict[str, Found] = {}
        for number in self.pending(case, list(turns)):
            found: dict[str, Found] = {}
            # Who was first is last in the next round: nobody always comes after the same one.
            for name in list(turns)[:: 1 if number % 2 else -1]:
                if name not in failed:
                    found[name] = attempt(turns[name])
                if "error" in found.get(name, {}):
                    failed[name] = found[name]
            ordered = {name: (found | failed)[name] for name in turns}
            self.record.add(
                {"case": case, "round": number},
                found=ordered,
                versions=dict(versions),
                machine=machine.describe(),
                time=time.strftime("%Y-%m-%d %H:%M"),
            )
            print(f"{case}, round {number + 1} of {self.rounds}: {summary(ordered)}", flush=True)


def attempt(turn: Callable[[], Found]) -> Found:
    """What was found, or the error."""
    try:
        return turn()
    except PeerError as error:
        return {"error": str(error)}


def latest(record: Record, case: str) -> dict[int, dict[str, Any]]:
    """Rounds of a case, by number."""
    runs = [found for found in record.runs() if found["run"]["case"] == case and "round" in found["run"]]
    return {found["run"]["round"]: found for found in sorted(runs, key=lambda found: int(found["run"]["round"]))}


def cases(record: Record) -> list[str]:
    """Those with rounds on record, in the order in which they came there."""
    return list(dict.fromkeys(found["run"]["case"] for found in record.runs() if "round" in found["run"]))


def values(record: Record, case: str, value: Callable[[Found], float | None]) -> dict[str, list[float | None]]:
    """What each library took, round by round; None in rounds without it.

    Parameters
    ----------
    value
        Of what it found; None if that is not in it.
    """
    rounds = [found["found"] for found in latest(record, case).values()]
    names = list(dict.fromkeys(name for found in rounds for name in found))
    return {
        name: [value(found[name]) if name in found and "error" not in found[name] else None for found in rounds]
        for name in names
    }


def ratios(mine: Sequence[float | None], theirs: Sequence[float | None]) -> list[float]:
    """Theirs over mine, of the rounds that have both."""
    return [b / a for a, b in zip(mine, theirs, strict=True) if a is not None and b is not None]


def errors(record: Record, case: str) -> dict[str, str]:
    """Why libraries failed that never succeeded."""
    rounds = [found["found"] for found in latest(record, case).values()]
    succeeded = {name for found in rounds for name, result in found.items() if "error" not in result}
    return {
        name: str(result["error"])
        for found in rounds
        for name, result in found.items()
        if "error" in result and name not in succeeded
    }


def summary(found: Mapping[str, Found]) -> str:
    """A line for whoever watches."""
    mine = found.get(OURS, {}).get("seconds")
    parts = []
    for name, result in found.items():
        seconds = result.get("seconds")
        if seconds is None:
            parts.append(f"{name} {'failed' if 'error' in result else 'done'}")
        else:
            parts.append(f"{name} {seconds:.3g} s" + (f" (x{seconds / mine:.3g})" if mine and name != OURS else ""))
    return ", ".join(parts)
