"""Tables in Markdown, of what is on record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from benchmarks.harness.record import Record
from benchmarks.harness.table import markdown, spread
from benchmarks.peers import findings
from benchmarks.peers.findings import Value
from benchmarks.peers.libraries import KERAS, LIBRARIES, OURS


def label(name: str) -> str:
    """A library's name for a reader; a way to use it may follow the name, after a comma."""
    first, _, rest = name.partition(", ")
    return (LIBRARIES[first].label if first in LIBRARIES else first) + (f", {rest}" if rest else "")


def in_order(names: Iterable[str]) -> list[str]:
    """Libraries as in :data:`LIBRARIES`, each once; what is none of them comes last."""
    places = {name: place for place, name in enumerate(LIBRARIES)}
    return sorted(dict.fromkeys(names), key=lambda name: places.get(name.partition(", ")[0], len(places)))


def overview(record: Record, cases: Sequence[str], value: Value, unit: str) -> str:
    """A row a library, a column a case: its median, and in brackets the median ratio to nbnet's."""
    taken = {case: findings.values(record, case, value) for case in cases}
    names = in_order(name for found in taken.values() for name in found)
    rows = [[label(name), *(_cell(found, name) for found in taken.values())] for name in names]
    return markdown([unit, *taken], rows)


def summary(record: Record, cases: Sequence[str], value: Value) -> str:
    """A row a case: nbnet's median, then those of the libraries that most readers know; the fastest Keras backend."""
    columns = {"PyTorch": ("torch",), "JAX": ("jax",), "Keras": KERAS, "scikit-learn": ("sklearn",)}
    rows = []
    for case in cases:
        taken = findings.values(record, case, value)
        medians = {name: float(np.median(known)) for name in taken if (known := findings.known(taken[name]))}
        row = [case, _cell(taken, OURS)]
        for names in columns.values():
            fastest = min((name for name in names if name in medians), key=medians.__getitem__, default="")
            row.append(_cell(taken, fastest))
        rows.append(row)
    return markdown(["network", OURS, *columns], rows)


def _cell(found: dict[str, list[float | None]], name: str) -> str:
    mine = findings.known(found.get(name, []))
    if not mine:
        return "-"
    ratios = findings.ratios(found.get(OURS, []), found[name]) if OURS in found else []
    ratio = f" ({significant(float(np.median(ratios)))})" if ratios and name != OURS else ""
    return significant(float(np.median(mine))) + ratio


def significant(value: float) -> str:
    """Three digits that matter.

    Examples
    --------
    >>> [significant(value) for value in (0.01234, 1.5, 12.345, 1234.5)]
    ['0.0123', '1.50', '12.3', '1,234']
    """
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{2 - int(np.floor(np.log10(abs(value))))}f}"


def detailed(record: Record, cases: Sequence[str], value: Value, unit: str) -> str:
    """A row for each case and library: its setting, medians, and what they range over."""
    rows = []
    for case in cases:
        taken = findings.values(record, case, value)
        failed = findings.errors(record, case)
        for name in in_order(taken):
            mine = findings.known(taken[name])
            if not mine:
                rows.append([case, label(name), failed.get(name, "-"), "-", "-", "0"])
                continue
            ratios = findings.ratios(taken[OURS], taken[name]) if OURS in taken and name != OURS else []
            ratio = spread(ratios) if ratios else ""
            rows.append([case, label(name), _setting(record, case, name), spread(mine), ratio, str(len(mine))])
    return markdown(["", "library", "setting", unit, "ratio", "rounds"], rows)


def _setting(record: Record, case: str, name: str) -> str:
    found = [line["found"].get(name, {}).get("setting", "") for line in findings.rounds(record, case)]
    return next((setting for setting in reversed(found) if setting), "")
