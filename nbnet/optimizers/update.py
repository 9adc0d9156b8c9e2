"""An update of all parameters, written down as calls: by phase, slice and range."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.constraints import calls
from nbnet.core.abi import Kernel
from nbnet.core.arena import ALIGNMENT
from nbnet.core.graph import Call, Tensor
from nbnet.core.parameter import Parameter
from nbnet.core.regions import Block
from nbnet.optimizers import rows
from nbnet.optimizers.packed import packed_rule, packed_squares

#: Calls by phase and slice.
Phases = list[list[list[Call]]]
#: Which rows and columns of a parameter are kept; None: all.
Masks = tuple[Tensor | None, Tensor | None]
#: By parameter, where a slice finds its masks; those of all slices are equal.
Kept = Mapping[Tensor, Masks]


class Run(NamedTuple):
    """A range of parameters that rows treat alike; whose gradient is packed, if it is."""

    low: int
    high: int
    decays: bool
    packed: Parameter | None = None


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

    def phases(
        self, gradients: Tensor, slices: int, kept: Sequence[Kept], apart: Container[Tensor] = frozenset()
    ) -> Phases:
        """The calls, given the gradients (slices, P) that each slice has found and which of them are packed; without
        parameters that are updated apart, by :meth:`rows`."""
        runs = self._runs(kept[0], apart)
        squares = np.zeros((len(runs), slices)) if self.clip in ("clipnorm", "global_clipnorm") else None
        reduce: list[list[Call]] = []
        update: list[list[Call]] = []
        for t, (low, high) in enumerate(pairwise(self._bounds(runs, slices))):
            parts = [
                (r, run._replace(low=max(low, run.low), high=min(high, run.high)))
                for r, run in enumerate(runs)
                if low < run.high and run.low < high
            ]
            first, found = self._accumulate(gradients, low, high)
            if squares is not None:
                first += [self._squares(found, run, kept[t], squares[r, t : t + 1]) for r, run in parts]
                # Added up over slices by now.
                found = Tensor((1, self.block.size), self.block.dtype, found.numpy()[:1], name=found.name)
            norms = [None if squares is None else self._norm(squares, r) for r, _ in parts]
            last = [self._update(found, run, kept[t], norm) for (_, run), norm in zip(parts, norms, strict=True)]
            reduce.append(first)
            update.append(last + self._average(low, high))
        if squares is None:
            return [[a + b for a, b in zip(reduce, update, strict=True)], *self._constrain(slices)]
        return [reduce, update, *self._constrain(slices)]

    def rows(self, parameter: Tensor, first: int, last: int, gradient: Tensor) -> list[Call]:
        """Update rows of a parameter by a gradient of their own, (1, n). Not with norms, averages or accumulation."""
        index, columns = self.block.index(parameter), parameter.matrix[1]
        start = self.block.starts[index]
        low, high = start + first * columns, start + last * columns

        def part(whole: Tensor) -> Tensor:
            return Tensor(
                (1, high - low), whole.dtype, whole.numpy()[:, low:high], name=f"{whole.name}/{parameter.name}"
            )

        run = Run(0, high - low, self.decays[index])
        return [self._update_run(part(self.block.flat), gradient, run, [part(slot) for slot in self.slots], None)]

    def _bounds(self, runs: Sequence[Run], slices: int) -> list[int]:
        """Ranges for slices, cut at cache lines."""
        unit = ALIGNMENT // self.block.dtype.itemsize
        lines = np.concatenate([np.arange(0), *(np.arange(run.low, run.high, unit) for run in runs)])
        if not len(lines):
            return [0] * (slices + 1)
        return [0, *(int(lines[len(lines) * t // slices]) for t in range(1, slices)), self.block.size]

    def _runs(self, kept: Kept, apart: Container[Tensor]) -> list[Run]:
        found: list[Run] = []
        starts = self.block.starts
        ends = [*starts[1:], self.block.size]
        for p, low, high, decays in zip(self.block.parameters, starts, ends, self.decays, strict=True):
            if p in apart:
                continue
            run = Run(low, high, decays, p if p in kept else None)
            if found and found[-1][1:] == (low, *run[2:]) and run.packed is None and self.clip != "clipnorm":
                found[-1] = found[-1]._replace(high=high)
            else:
                found.append(run)
        return found

    def _norm(self, squares: NDArray[np.float64], r: int) -> NDArray[np.float64]:
        """The partial sums of squares that limit the gradients of run r."""
        return squares[r] if self.clip == "clipnorm" else squares.reshape(-1)

    def _accumulate(self, gradients: Tensor, low: int, high: int) -> tuple[list[Call], Tensor]:
        if self.every == 1 or self.accumulator is None:
            return [], gradients
        operands = (gradients, self.accumulator)
        return [self._call(rows.accumulate_gradients, operands, (0, 1), (low, high, self.every), 1)], self.accumulator

    def _packed_rows(self, run: Run, p: Parameter) -> tuple[int, int, int]:
        """Where a parameter begins in the block, and which of its rows lie in a range."""
        start = self.block.starts[self.block.index(p)]
        n, m = p.matrix
        first, last = (min(n, -(-(at - start) // m)) for at in (run.low, run.high))
        return start, first, last

    def _squares(self, gradients: Tensor, run: Run, kept: Kept, cell: NDArray[np.float64]) -> Call:
        if (p := run.packed) is not None:
            operands, attributes = (gradients, *kept[p], _double(cell)), (*self._packed_rows(run, p), p.matrix[1])
            return self._call(packed_squares, operands, (0, 3), attributes, self.every)
        return self._call(rows.gradient_squares, (gradients, _double(cell)), (0, 1), run[:2], self.every)

    def _update(self, gradients: Tensor, run: Run, kept: Kept, norm: NDArray[np.float64] | None) -> Call:
        squares = None if norm is None else _double(norm)
        if run.packed is not None:
            return self._update_packed(gradients, run, run.packed, kept[run.packed], squares)
        return self._update_run(self.block.flat, gradients, run, self.slots, squares)

    def _flags(self, run: Run) -> int:
        return (rows.LIMIT if self.clip == "clipvalue" else 0) | (rows.SHRINK if run.decays else 0)

    def _update_run(
        self, parameters: Tensor, gradients: Tensor, run: Run, slots: Sequence[Tensor], squares: Tensor | None
    ) -> Call:
        operands = (parameters, gradients, self.cells, squares, *slots)
        written = (0, 1, *range(4, len(operands)))
        return self._call(self.kernel, operands, written, (run.low, run.high, self._flags(run)), self.every)

    def _update_packed(self, gradients: Tensor, run: Run, p: Parameter, masks: Masks, squares: Tensor | None) -> Call:
        assert isinstance(self.kernel, rows.Rule)
        start, first, last = self._packed_rows(run, p)
        slots = [self.block.part(slot, 0, self.block.index(p)) for slot in self.slots]
        absent = [None] * (3 - len(slots))
        scratch = Tensor((5, p.matrix[1]), p.dtype, name="scratch")
        operands = (p, gradients, self.cells, squares, *slots, *absent, *masks, scratch)
        written = (0, 1, *range(4, 4 + len(slots)), 9)
        call = self._call(packed_rule(self.kernel), operands, written, (start, first, last, self._flags(run)), 1)
        return replace(call, accumulate=call.accumulate & ~(1 << 9))

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
