"""Programs that take turns in one compiled call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.core.executor import Legs
from nbnet.core.graph import Call
from nbnet.core.layout import MAX_OPERANDS, OPERANDS
from nbnet.core.program import Linked, row_of

Array = NDArray[Any]


class Relay:
    """Linked programs, and calls beside them, as one table of rows.

    Parameters
    ----------
    programs
        Of one dtype, with arrays bound to them.
    calls
        Lists of calls whose operands all have data: each is a program of its own, of one slice.

    Attributes
    ----------
    run
        ``run(legs)``: int64 (n, 3), each leg a program's number, how many steps it takes and the number of the first
        one. Programs are numbered as they are given, then the lists of calls.
    """

    def __init__(self, programs: Sequence[Linked], calls: Sequence[Sequence[Call]]) -> None:
        # Rows hold addresses of what the calls point to.
        self._held = list(programs), [list(part) for part in calls]
        mem, slices = programs[0].mem, max(linked.run.slices for linked in programs)
        rows, spans, top = [], [], 0
        for linked in programs:
            rows.append(_moved(linked.rows, linked.mem - mem))
            spans.append(_spans(linked.run.spans + top, slices))
            top += len(linked.rows)
        for part in calls:
            rows += [_moved(row_of(call)[None], -mem) for call in part]
            spans.append(_spans(np.array([[[top, top + len(part)]]]), slices))
            top += len(part)
        self.run = Legs(mem, programs[0].program.dtype, np.concatenate(rows), spans)


def _moved(rows: Array, by: int) -> Array:
    """Rows whose operands lie so many bytes further from where they are counted from."""
    rows = rows.copy()
    rows[:, OPERANDS : OPERANDS + 3 * MAX_OPERANDS : 3] += by
    return rows


def _spans(spans: Array, slices: int) -> Array:
    """The same with nothing to do for more slices."""
    found = np.zeros((len(spans), slices, 2), np.int64)
    found[:, : spans.shape[1]] = spans
    return found
