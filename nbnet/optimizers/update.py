"""An update of all parameters, written down as calls: by phase, slice and range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.constraints import calls
from nbnet.core.arena import ALIGNMENT
from nbnet.core.graph import Call, Tensor
from nbnet.core.jit import Kernel
from nbnet.core.regions import Block
from nbnet.optimizers import rows

#: Calls by phase and slice.
Phases = list[list[list[Call]]]


class Run(NamedTuple):
    """A range of parameters that rows treat alike."""

    low: int
    high: int
    decays: bool


@dataclass(frozen=True, eq=False)
class Update:
    """What an update consists of.

    Each slice works on a range of its own of all parameters; only norms need the other slices' ranges, and are known
    in a second phase. A range is cut further where parameters differ in how they decay, or are clipped one by one.
    Constraints look at whole parameters, which slices may have updated together: they have a phase of their own.

    Parameters
    ----------
    cells, kernel, slots
        Of the optimizer.
    decays
        For each parameter, whether its weights decay.
    clip
        ``"clipnorm"``, ``"clipvalue"``, ``"global_clipnorm"`` or None.
    every
        Steps whose gradients are accumulated.
    accumulator, average
        Room for the accumulated gradients (needed if ``every`` is above 1), and for the moving average (or None).
    overwrite
        Updates between two times when parameters become their average; 0: never.
    """

    block: Block
    cells: Tensor
    kernel: Kernel
    slots: Sequence[Tensor]
    decays: Sequence[bool]
    clip: str | None
    every: int
    accumulator: Tensor | None
    average: Tensor | None
    overwrite: int

    def phases(self, gradients: Tensor, slices: int) -> Phases:
        """The calls, given the gradients (slices, P) that each slice has found."""
        runs = self._runs()
        squares = np.zeros((len(runs), slices)) if self.clip in ("clipnorm", "global_clipnorm") else None
        reduce: list[list[Call]] = []
        update: list[list[Call]] = []
        for t, (low, high) in enumerate(pairwise(self._bounds(slices))):
            parts = [
                (r, Run(max(low, run.low), min(high, run.high), run.decays))
                for r, run in enumerate(runs)
                if low < run.high and run.low < high
            ]
            first, found = self._accumulate(gradients, low, high)
            if squares is not None:
                first += [self._squares(found, run, squares[r, t : t + 1]) for r, run in parts]
                # Added up over slices by now.
                found = Tensor((1, self.block.size), self.block.dtype, found.numpy()[:1], name=found.name)
            last = [self._update(found, run, None if squares is None else self._norm(squares, r)) for r, run in parts]
            reduce.append(first)
            update.append(last + self._average(low, high))
        if squares is None:
            return [[a + b for a, b in zip(reduce, update, strict=True)], *self._constrain(slices)]
        return [reduce, update, *self._constrain(slices)]

    def _bounds(self, slices: int) -> list[int]:
        """Ranges for slices, cut at cache lines."""
        unit = ALIGNMENT // self.block.dtype.itemsize
        return [self.block.size // unit * t // slices * unit for t in range(slices + 1)]

    def _runs(self) -> list[Run]:
        found: list[Run] = []
        starts = self.block.starts
        for low, high, decays in zip(starts, [*starts[1:], self.block.size], self.decays, strict=True):
            if found and found[-1].decays == decays and self.clip != "clipnorm":
                found[-1] = found[-1]._replace(high=high)
            else:
                found.append(Run(low, high, decays))
        return found

    def _norm(self, squares: NDArray[np.float64], r: int) -> NDArray[np.float64]:
        """The partial sums of squares that limit the gradients of run r."""
        return squares[r] if self.clip == "clipnorm" else squares.reshape(-1)

    def _accumulate(self, gradients: Tensor, low: int, high: int) -> tuple[list[Call], Tensor]:
        if self.every == 1 or self.accumulator is None:
            return [], gradients
        operands = (gradients, self.accumulator)
        return [self._call(rows.accumulate_gradients, operands, (0, 1), (low, high, self.every), 1)], self.accumulator

    def _squares(self, gradients: Tensor, run: Run, cell: NDArray[np.float64]) -> Call:
        return self._call(rows.gradient_squares, (gradients, _double(cell)), (0, 1), run[:2], self.every)

    def _update(self, gradients: Tensor, run: Run, norm: NDArray[np.float64] | None) -> Call:
        flags = (rows.LIMIT if self.clip == "clipvalue" else 0) | (rows.SHRINK if run.decays else 0)
        squares = None if norm is None else _double(norm)
        operands = (self.block.flat, gradients, self.cells, squares, *self.slots)
        written = (0, 1, *range(4, len(operands)))
        return self._call(self.kernel, operands, written, (run.low, run.high, flags), self.every)

    def _average(self, low: int, high: int) -> list[Call]:
        if self.average is None:
            return []
        operands, attributes = (self.block.flat, self.average, self.cells), (low, high, self.every, self.overwrite)
        return [self._call(rows.moving_average, operands, (0, 1), attributes, 1)]

    def _constrain(self, slices: int) -> Phases:
        """A phase that brings parameters to what their constraints allow, dealt out to the slices; none without any."""
        held = [p for p in self.block.parameters if p.constraint is not None]
        phase: list[list[Call]] = [[] for _ in range(slices)]
        sizes = [0] * slices
        for parameter in sorted(held, key=lambda p: -p.size):
            t = sizes.index(min(sizes))
            sizes[t] += parameter.size
            made = calls(parameter.constraint, parameter) if parameter.constraint is not None else []
            phase[t] += [replace(call, name=parameter.name or call.name, every=self.every) for call in made]
        return [phase] if held else []

    def _call(
        self,
        kernel: Kernel,
        operands: tuple[Tensor | None, ...],
        written: tuple[int, ...],
        attributes: tuple[int, ...],
        every: int,
    ) -> Call:
        return rows.in_place(kernel, operands, written, attributes, self.block.dtype, every)


def _double(array: NDArray[Any]) -> Tensor:
    return Tensor(array.shape, np.float64, array)
