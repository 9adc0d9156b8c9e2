"""What is on record of a task: rounds by case, and what each library found in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.harness.record import Record

#: What a library found in a turn, or ``{"error": reason}``.
Found = dict[str, Any]
#: A number in it, if it is there.
Value = Callable[[Found], float | None]


def rounds(record: Record, case: str) -> list[dict[str, Any]]:
    """Those of a case, in their order."""
    return [line for line in record.runs() if line["run"]["case"] == case and "round" in line["run"]]


def cases(record: Record) -> list[str]:
    """Those with rounds on record, in the order in which they came there."""
    return list(dict.fromkeys(line["run"]["case"] for line in record.runs() if "round" in line["run"]))


def values(record: Record, case: str, value: Value) -> dict[str, list[float | None]]:
    """What each library took, round by round; None in rounds without it.

    Parameters
    ----------
    value
        Of what it found; None if that is not in it.
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
