"""The record of a task: rounds by case, and the findings of each library in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.harness.record import Record

#: Findings of a library in a turn, or ``{"error": reason}``.
Found = dict[str, Any]
#: Function that reads a number from findings, if it is there.
Value = Callable[[Found], float | None]


def rounds(record: Record, case: str) -> list[dict[str, Any]]:
    """Those of a case, in their order."""
    return [line for line in record.runs() if line["run"]["case"] == case and "round" in line["run"]]


def cases(record: Record) -> list[str]:
    """Those with rounds on record, in the order in which they came there."""
    return list(dict.fromkeys(line["run"]["case"] for line in record.runs() if "round" in line["run"]))


def values(record: Record, case: str, value: Value) -> dict[str, list[float | None]]:
    """Return a value of each library, round by round; None in rounds without it.

    Parameters
    ----------
    value
        Function that reads the value from findings; it returns None if there is no such value.
    """
    found = [line["found"] for line in rounds(record, case)]
    names = list(dict.fromkeys(name for one in found for name in one))
    return {
        name: [value(one[name]) if name in one and "error" not in one[name] else None for one in found]
        for name in names
    }


def known(values: Sequence[float | None]) -> list[float]:
    """Those that are there."""
    return [value for value in values if value is not None]


def ratios(mine: Sequence[float | None], theirs: Sequence[float | None]) -> list[float]:
    """Theirs over mine, of the rounds that have both."""
    return [b / a for a, b in zip(mine, theirs, strict=True) if a is not None and b is not None]


def errors(record: Record, case: str) -> dict[str, str]:
    """Why libraries failed that never succeeded."""
    found = [line["found"] for line in rounds(record, case)]
    succeeded = {name for one in found for name, result in one.items() if "error" not in result}
    return {
        name: str(result["error"])
        for one in found
        for name, result in one.items()
        if "error" in result and name not in succeeded
    }
