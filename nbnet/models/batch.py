"""A program for batches of a model: as it is drafted, and as it is run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.core import layout, parameter
from nbnet.core.arena import address
from nbnet.core.graph import Call, Tensor
from nbnet.core.program import Linked, Program, lower
from nbnet.data import SparseRows

Array = NDArray[Any]


@dataclass(eq=False)
class Batch:
    """A linked program for batches of ``rows`` rows, and the places where arrays are bound to it."""

    linked: Linked
    rows: int
    slots: dict[str, Tensor]
    cursor: Array
    sums: Array
    moves: int = field(default_factory=parameter.moves)
    seconds: float = 0.0
    bound: dict[str, Array] = field(default_factory=dict)
    #: Of a prediction: shapes of a row of each output, and names in their structure.
    output_rows: tuple[tuple[int, ...], ...] = ()
    template: Any = "output"
    #: Stands for whom arrays are bound for.
    reader: object = None
    #: Everything outside the arena that the rows point to: parameters may move while this program runs in a thread.
    held: list[Array] = field(default_factory=list)

    def bind(self, **arrays: Array | SparseRows) -> None:
        """Let the program read or write these arrays (n, ...); they are kept alive as long as they are bound."""
        for name, array in arrays.items():
            if isinstance(array, SparseRows):
                self.bind(**array.parts(name))
                continue
            if self.bound.get(name) is array:
                continue
            place = address(array) - self.linked.mem, len(array), array.size // max(len(array), 1)
            for row, operand in self.places[name]:
                at = layout.OPERANDS + 3 * operand
                self.linked.rows[row, at : at + 3] = place
            self.bound[name] = array

    def __post_init__(self) -> None:
        calls = self.linked.program.calls
        self.held = [t.data for call in calls for t in call.operands if t is not None and t.data is not None]
        self.places = {
            name: [(i, k) for i, call in enumerate(calls) for k, t in enumerate(call.operands) if t is slot]
            for name, slot in self.slots.items()
        }

    @cached_property
    def draws(self) -> bool:
        """Whether layers are at work that draw random numbers."""
        return any(call.key for call in self.linked.program.calls)


class Draft(NamedTuple):
    """A program that has no memory yet.

    Attributes
    ----------
    phases
        ``phases[p][t]``: the calls of slice t in phase p.
    first_rows
        Number in the batch of each slice's first row.
    dtype
        What it computes in.
    finish
        Makes the batch of the linked program.
    keep
        Tensors whose memory nobody may take over.
    updated, released
        Parameters that a step updates, and those of them whose gradients are nowhere as a whole.
    outside
        Bytes that tensors have outside of the arena, which slices share.
    """

    phases: list[list[list[Call]]]
    first_rows: list[int]
    dtype: np.dtype[Any]
    finish: Callable[[Linked], Batch]
    keep: Iterable[Tensor] = ()
    updated: int = 0
    released: int = 0
    outside: int = 0

    def lowered(self) -> Program:
        """The program with a place for everything, in an arena that is not there yet."""
        return lower(self.phases, self.first_rows, self.dtype, self.keep)

    def batch(self) -> Batch:
        """The program, ready to be run."""
        return self.finish(Linked(self.lowered()))
