"""The update of all parameters: its kernels, and the calls that make them, by phase, slice and range.

Kernels are flat loops over a range of the parameters, block by block; attributes 0 and 1 of a call bound its range.
Loops run over views from 0: where the sign of an index is unknown to the compiler, they do not vectorise. A block is
summed, clipped, decayed and updated while it stays in the L1 cache.

Where a batch shares its dropout masks, the gradient of a weight matrix is 0 in the rows of dropped inputs and in the
columns of dropped units. The rest lies side by side where the whole gradient would lie
(``nbnet/ops/dense.py``): packed kernels read such gradients.
"""

from __future__ import annotations

import functools
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.constraints import calls
from nbnet.engine.graph.parameter import FlatParams, Parameter
from nbnet.engine.graph.tensor import Call, Tensor
from nbnet.engine.kernels.abi import (
    Function,
    Kernel,
    attribute,
    bytevec,
    device,
    doublevec,
    expand,
    kernel,
    mat,
    present,
    put_back,
    vec,
)
from nbnet.engine.kernels.executor import ALIGNMENT
from nbnet.engine.kernels.philox import count_kept

#: Elements of a block.
BLOCK = 2048
#: An optimizer's numbers are one vector of float64 cells. These come first, then its own.
LEARNING_RATE, WEIGHT_DECAY, CLIP, EMA_MOMENTUM, LAZY, OWN = range(6)
#: Flags of an update: limit each gradient to the clip cell; shrink parameters first.
LIMIT, SHRINK = 1, 2


@device
def sum_slices(g: Any, low: Any, high: Any) -> Any:
    """Gradients of parameters ``low`` to ``high``: those of the other slices are added to the first's, in place."""
    total = g[0, low:high]
    for t in range(1, g.shape[0]):
        part = g[t, low:high]
        for i in range(total.size):
            total[i] += part[i]
    return total


@device
def clip_scale(squares: Any, limit: Any) -> Any:
    """Factor that brings the norm of a gradient within the limit; NaN if the norm is not finite."""
    total = np.float64(0)
    for t in range(squares.size):
        total += squares[t]
    norm = np.sqrt(total)
    if not np.isfinite(norm):
        return np.nan
    return np.float64(1) if norm <= limit else limit / norm


@device
def scale_and_limit(g: Any, scale: Any, limit: Any, flags: Any) -> None:
    """Clip a block of gradients, in place: all by one factor, or each at the limit."""
    if scale != 1.0:
        for i in range(g.size):
            g[i] *= scale
    if flags & LIMIT:
        for i in range(g.size):
            x = -limit if g[i] < -limit else g[i]
            g[i] = limit if x > limit else x


@device
def shrink_by(p: Any, share: Any) -> None:
    """Decay the weights of a block."""
    for i in range(p.size):
        p[i] -= p[i] * share


def _within(sizes: Mapping[str, int]) -> bool:
    """True if a range lies in the parameters, and the numbers that all optimizers have are there."""
    return sizes["low"] <= sizes["high"] <= sizes["n"] and sizes["steps"] > 0 and sizes["cells"] >= OWN


def _within_packed(sizes: Mapping[str, int]) -> bool:
    """The same for rows of a parameter whose gradient is packed."""
    inside = sizes["start"] + sizes["n"] * sizes["m"] <= sizes["all"]
    return inside and sizes["first"] <= sizes["last"] <= sizes["n"] and sizes["cells"] >= OWN


class UpdateKernel(Kernel):
    """The kernel of an optimizer, made from two device functions.

    Parameters
    ----------
    name : str
        Name of the kernel.
    prepare : Function
        ``prepare(learning_rate, h, step)`` returns a tuple of float64 numbers, once for each call; h holds the
        optimizer's own numbers in the order of its class, step counts the updates made before.
    update : Function
        ``update(p, g, a, b, c, k)`` changes the parameters p of a block by their gradients g; a, b, c are the
        optimizer's slots there (empty where it has fewer), k is the tuple. g may be changed as well.

    Notes
    -----
    Operands: parameters (1, P), gradients (slices, P), cells, squares of the gradient's norm (float64, to be added up;
    absent: no clipping by norm), slots (1, P). Attributes: low, high, flags.
    """

    def __init__(self, name: str, prepare: Function, update: Function) -> None:
        def rule(mem: Any, ins: Any, step: Any) -> None:
            p, g, cells = vec(mem, ins, 0), mat(mem, ins, 1), doublevec(mem, ins, 2)
            a, b, c = vec(mem, ins, 4), vec(mem, ins, 5), vec(mem, ins, 6)
            real, flags = p.dtype.type, attribute(ins, 2)
            k = prepare(cells[LEARNING_RATE], cells[OWN:], step)
            limit, shrink = real(cells[CLIP]), real(cells[WEIGHT_DECAY] * cells[LEARNING_RATE])
            scale = real(1)
            if present(ins, 3):
                scale = real(clip_scale(doublevec(mem, ins, 3), cells[CLIP]))
            for low in range(attribute(ins, 0), attribute(ins, 1), BLOCK):
                high = min(low + BLOCK, attribute(ins, 1))
                pb, gb = p[low:high], sum_slices(g, low, high)
                scale_and_limit(gb, scale, limit, flags)
                if flags & SHRINK:
                    shrink_by(pb, shrink)
                update(pb, gb, a[low:high], b[low:high], c[low:high], k)

        extents = "p[n] g[slices,n] cells:f8[cells] squares?:f8[parts] a?[n] b?[n] c?[n]; low high _"
        super().__init__(rule, name, extents, _within)
        self.prepare, self.update = prepare, update


@kernel(extents="g[slices,n] cell:f8[1]; low high", within=_within)
def gradient_squares(mem: Any, ins: Any, step: Any) -> None:
    """Add the slices' gradients up in the first, and their squares in a float64 cell."""
    g, cell = mat(mem, ins, 0), doublevec(mem, ins, 1)
    total = np.float64(0)
    for low in range(attribute(ins, 0), attribute(ins, 1), BLOCK):
        gb = sum_slices(g, low, min(low + BLOCK, attribute(ins, 1)))
        part = 0.0
        for i in range(gb.size):
            part += gb[i] * gb[i]
        total += part
    cell[0] = total


@kernel(extents="g[slices,n] total[n]; low high steps", within=_within)
def accumulate_gradients(mem: Any, ins: Any, step: Any) -> None:
    """Add up the gradients of n = attribute 2 steps, beginning at the first; the last makes the sum their mean."""
    g, total, n = mat(mem, ins, 0), vec(mem, ins, 1), attribute(ins, 2)
    real, turn = g.dtype.type, step % n
    share = real(1)
    if turn == n - 1:
        share = real(1) / real(n)
    for low in range(attribute(ins, 0), attribute(ins, 1), BLOCK):
        high = min(low + BLOCK, attribute(ins, 1))
        gb, tb = sum_slices(g, low, high), total[low:high]
        if turn == 0:
            for i in range(gb.size):
                tb[i] = gb[i]
        else:
            for i in range(gb.size):
                tb[i] = (tb[i] + gb[i]) * share


@kernel(extents="p[n] average[n] cells:f8[cells]; low high steps _", within=_within)
def moving_average(mem: Any, ins: Any, step: Any) -> None:
    """``average = momentum average + (1 - momentum) p``, the momentum 0 until the first update is made.

    Attributes: low, high, steps per update, updates after which parameters become their average (0: never).
    """
    p, average, cells = vec(mem, ins, 0), vec(mem, ins, 1), doublevec(mem, ins, 2)
    real, update, every = p.dtype.type, step // attribute(ins, 2), attribute(ins, 3)
    d = real(1)
    if update > 0:
        d = real(1.0 - cells[EMA_MOMENTUM])
    overwrite = every > 0 and (update + 1) % every == 0
    for low in range(attribute(ins, 0), attribute(ins, 1), BLOCK):
        high = min(low + BLOCK, attribute(ins, 1))
        pb, ab = p[low:high], average[low:high]
        if d == 1.0:
            for i in range(pb.size):
                ab[i] = pb[i]
        else:
            for i in range(pb.size):
                ab[i] += (pb[i] - ab[i]) * d
        if overwrite:
            for i in range(pb.size):
                pb[i] = ab[i]


@device
def number_kept(mask: Any, first: Any, last: Any) -> Any:
    """Number of rows or columns that are kept among these; an empty mask keeps all."""
    if mask.size > 0:
        return count_kept(mask[first:last])
    return last - first


@device
def keep_copies(p: Any, a: Any, b: Any, c: Any, scratch: Any) -> None:
    """Copy a row and its slots to the rows of the scratch after the first."""
    copy(p, scratch[1])
    copy(a, scratch[2])
    copy(b, scratch[3])
    copy(c, scratch[4])


@device
def copy(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = x[i]


@functools.cache
def packed_kernel(dense: UpdateKernel) -> Kernel:
    """The twin of an update kernel for rows of a matrix whose gradient is packed.

    Notes
    -----
    Operands: parameter (n, m), gradients (slices, P), cells, squares of the gradient's norm or absent, slots (n, m),
    masks of rows and columns or absent, scratch (5, m). Attributes: start of the parameter in a row of gradients,
    first and last row, flags.
    """
    prepare, update = dense.prepare, dense.update

    def packed(mem: Any, ins: Any, step: Any) -> None:
        p, g, cells = vec(mem, ins, 0), mat(mem, ins, 1), doublevec(mem, ins, 2)
        a, b, c = vec(mem, ins, 4), vec(mem, ins, 5), vec(mem, ins, 6)
        rows, columns, scratch = bytevec(mem, ins, 7), bytevec(mem, ins, 8), mat(mem, ins, 9)
        first, last, flags, real = attribute(ins, 1), attribute(ins, 2), attribute(ins, 3), p.dtype.type
        k = prepare(cells[LEARNING_RATE], cells[OWN:], step)
        limit, shrink, scale = real(cells[CLIP]), real(cells[WEIGHT_DECAY] * cells[LEARNING_RATE]), real(1)
        if present(ins, 3):
            scale = real(clip_scale(doublevec(mem, ins, 3), cells[CLIP]))
        m = scratch.shape[1]
        kept, lazy = number_kept(columns, 0, m), cells[LAZY] > 0
        at = attribute(ins, 0) + kept * number_kept(rows, 0, first)
        for i in range(first, last):
            low, high = i * m, (i + 1) * m
            pb, ab, bb, cb = p[low:high], a[low:high], b[low:high], c[low:high]
            on, gb = rows.size == 0 or rows[i] > 0, scratch[0]
            if on:
                gb = sum_slices(g, at, at + kept)
                scale_and_limit(gb, scale, limit, flags)
                at += kept
            if lazy and not on:
                continue
            whole = scratch[0]
            if not on:
                for j in range(m):
                    whole[j] = 0.0
            elif columns.size > 0:
                expand(gb, columns, whole, False)
            else:
                whole = gb
            if lazy and columns.size > 0:
                keep_copies(pb, ab, bb, cb, scratch)
            if flags & SHRINK:
                shrink_by(pb, shrink)
            update(pb, whole, ab, bb, cb, k)
            if lazy and columns.size > 0:
                put_back(scratch[1], columns, pb)
                put_back(scratch[2], columns, ab)
                put_back(scratch[3], columns, bb)
                put_back(scratch[4], columns, cb)

    extents = (
        "p[n,m] g[slices,all] cells:f8[cells] squares?:f8[parts] a?[n*m] b?[n*m] c?[n*m] rows?:u1[n] columns?:u1[m] "
        "scratch[5,m]; start first last _"
    )
    return Kernel(packed, f"{dense.name}_packed", extents, _within_packed)


@kernel(
    extents="g[slices,all] rows?:u1[n] columns?:u1[m] cell:f8[1]; start first last m",
    within=lambda sizes: (
        sizes["first"] <= sizes["last"] <= sizes["n"] and sizes["start"] + sizes["last"] * sizes["m"] <= sizes["all"]
    ),
)
def packed_squares(mem: Any, ins: Any, step: Any) -> None:
    """Like ``gradient_squares``, of rows of a matrix whose gradient is packed. Attributes: start of the parameter,
    first and last row, columns."""
    g, rows, columns, cell = mat(mem, ins, 0), bytevec(mem, ins, 1), bytevec(mem, ins, 2), doublevec(mem, ins, 3)
    start, kept = attribute(ins, 0), number_kept(columns, 0, attribute(ins, 3))
    low = start + kept * number_kept(rows, 0, attribute(ins, 1))
    high = start + kept * number_kept(rows, 0, attribute(ins, 2))
    total = np.float64(0)
    for at in range(low, high, BLOCK):
        gb = sum_slices(g, at, min(at + BLOCK, high))
        some = 0.0
        for i in range(gb.size):
            some += gb[i] * gb[i]
        total += some
    cell[0] = total


def in_place(
    kernel: Kernel,
    operands: tuple[Tensor | None, ...],
    written: tuple[int, ...],
    attributes: tuple[int, ...],
    dtype: Any,
    every: int = 1,
) -> Call:
    """A call that reads all its operands, also those that it writes."""
    accumulate = sum(1 << k for k in written)
    return Call(kernel, operands, written, accumulate, 0, attributes, "optimizer", np.dtype(dtype), (), every)


#: Calls by phase and slice.
Phases = list[list[list[Call]]]
#: Masks of the kept rows and columns of a parameter; None: all are kept.
Masks = tuple[Tensor | None, Tensor | None]
#: By parameter, the masks that a slice reads; those of all slices are equal.
Kept = Mapping[Tensor, Masks]


class Run(NamedTuple):
    """A range of the block that calls treat alike; ``packed`` is the parameter if its gradient is packed."""

    low: int
    high: int
    decays: bool
    packed: Parameter | None = None


@dataclass(frozen=True, eq=False)
class Update:
    """A plan of the update.

    Each slice works on its own range of the block, and, of a parameter whose gradient is packed, on the rows that begin
    in that range; only norms need the other slices' ranges, and are known in a second phase. A range is cut further
    where parameters differ in decay, or are clipped one by one. Constraints look at whole parameters, which several
    slices may have updated: they have a phase of their own.

    Parameters
    ----------
    cells, kernel, slots
        Of the optimizer.
    decays
        For each parameter, True if its weights decay.
    clip
        ``"clipnorm"``, ``"clipvalue"``, ``"global_clipnorm"`` or None.
    every
        Number of steps of an update, which accumulate gradients.
    accumulator, average
        Memory of accumulated gradients (needed if ``every`` is above 1), and of the moving average, or None.
    overwrite
        Number of updates after which parameters become their average; 0: never.
    """

    block: FlatParams
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
        self, gradients: Tensor, slices: int, kept: Sequence[Kept] = (), apart: Container[Tensor] = frozenset()
    ) -> Phases:
        """The calls by phase and slice; slices meet between phases.

        Gradients (slices, P) are overwritten. ``kept`` has, for each slice, the parameters whose gradients are packed,
        with their masks; ``apart`` are parameters to leave out, which :meth:`rows` updates.
        """
        kept = kept or [{}] * slices
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
            # Parameters that are left out are averaged, too.
            update.append(last + self._average([Run(low, high, False)] if apart else [run for _, run in parts]))
        if squares is None:
            return [[a + b for a, b in zip(reduce, update, strict=True)], *self._constrain(slices)]
        return [reduce, update, *self._constrain(slices)]

    def rows(self, parameter: Tensor, first: int, last: int, gradient: Tensor) -> list[Call]:
        """The calls that update rows of a parameter by their gradient (1, n); without norms, averages, accumulation."""
        index, columns = self.block.index(parameter), parameter.matrix[1]
        start = self.block.starts[index]
        low, high = start + first * columns, start + last * columns

        def part(whole: Tensor) -> Tensor:
            view = whole.numpy()[:, low:high]
            return Tensor(view.shape, whole.dtype, view, name=f"{whole.name}/{parameter.name}")

        run = Run(0, high - low, self.decays[index])
        return [self.update_run(part(self.block.flat), gradient, run, [part(slot) for slot in self.slots], None)]

    def _bounds(self, runs: Sequence[Run], slices: int) -> list[int]:
        """Ranges for slices, cut at cache lines."""
        unit = ALIGNMENT // self.block.dtype.itemsize
        lines = np.concatenate([np.arange(0), *(np.arange(run.low, run.high, unit) for run in runs)])
        if not len(lines):
            return [0] * (slices + 1)
        return [0, *(int(lines[len(lines) * t // slices]) for t in range(1, slices)), self.block.size]

    def _runs(self, kept: Kept, apart: Container[Tensor]) -> list[Run]:
        found: list[Run] = []
        if not self.block.parameters:  # All layers are frozen.
            return found
        starts = self.block.starts
        ends = [*starts[1:], self.block.size]
        for p, low, high, decays in zip(self.block.parameters, starts, ends, self.decays, strict=True):
            if p in apart:
                continue
            run = Run(low, high, decays, p if p in kept else None)
            last = found[-1] if found else None
            if (
                last is not None
                and (last.high, last.decays) == (low, decays)
                and last.packed is run.packed is None
                and self.clip != "clipnorm"
            ):
                found[-1] = last._replace(high=high)
            else:
                found.append(run)
        return found

    def _norm(self, squares: NDArray[np.float64], r: int) -> NDArray[np.float64]:
        """The partial sums of squares that make the norm of run r."""
        return squares[r] if self.clip == "clipnorm" else squares.reshape(-1)

    def _accumulate(self, gradients: Tensor, low: int, high: int) -> tuple[list[Call], Tensor]:
        if self.every == 1 or self.accumulator is None:
            return [], gradients
        operands = (gradients, self.accumulator)
        attributes = low, high, self.every
        return [in_place(accumulate_gradients, operands, (0, 1), attributes, self.block.dtype)], self.accumulator

    def _packed_rows(self, run: Run, p: Parameter) -> tuple[int, int, int]:
        """The start of a parameter in the block, and the first and last of its rows that lie in a range."""
        start = self.block.starts[self.block.index(p)]
        n, m = p.matrix
        first, last = (min(n, -(-(at - start) // m)) for at in (run.low, run.high))
        return start, first, last

    def _squares(self, gradients: Tensor, run: Run, kept: Kept, cell: NDArray[np.float64]) -> Call:
        if (p := run.packed) is not None:
            operands, attributes = (gradients, *kept[p], _double(cell)), (*self._packed_rows(run, p), p.matrix[1])
            return in_place(packed_squares, operands, (0, 3), attributes, self.block.dtype, self.every)
        pair = gradients, _double(cell)
        return in_place(gradient_squares, pair, (0, 1), run[:2], self.block.dtype, self.every)

    def _update(self, gradients: Tensor, run: Run, kept: Kept, norm: NDArray[np.float64] | None) -> Call:
        squares = None if norm is None else _double(norm)
        if run.packed is not None:
            return self._update_packed(gradients, run, run.packed, kept[run.packed], squares)
        return self.update_run(self.block.flat, gradients, run, self.slots, squares)

    def _flags(self, run: Run) -> int:
        return (LIMIT if self.clip == "clipvalue" else 0) | (SHRINK if run.decays else 0)

    def update_run(
        self, parameters: Tensor, gradients: Tensor, run: Run, slots: Sequence[Tensor], squares: Tensor | None
    ) -> Call:
        operands = (parameters, gradients, self.cells, squares, *slots)
        written, attributes = (0, 1, *range(4, len(operands))), (run.low, run.high, self._flags(run))
        return in_place(self.kernel, operands, written, attributes, self.block.dtype, self.every)

    def _update_packed(self, gradients: Tensor, run: Run, p: Parameter, masks: Masks, squares: Tensor | None) -> Call:
        assert isinstance(self.kernel, UpdateKernel)
        start, first, last = self._packed_rows(run, p)
        slots = [self.block.part(slot, 0, self.block.index(p)) for slot in self.slots]
        absent = [None] * (3 - len(slots))
        scratch = Tensor((5, p.matrix[1]), p.dtype, name="scratch")
        operands = (p, gradients, self.cells, squares, *slots, *absent, *masks, scratch)
        written = (0, 1, *range(4, 4 + len(slots)), 9)
        attributes = start, first, last, self._flags(run)
        call = in_place(packed_kernel(self.kernel), operands, written, attributes, self.block.dtype)
        return replace(call, accumulate=call.accumulate & ~(1 << 9))

    def _average(self, parts: Sequence[Run]) -> list[Call]:
        """The calls that average the elements that a slice has updated, and no others: other slices update those
        meanwhile."""
        if self.average is None:
            return []
        ranges: list[tuple[int, int]] = []
        for run in parts:
            low, high = run.low, run.high
            if run.packed is not None:
                start, first, last = self._packed_rows(run, run.packed)
                columns = run.packed.matrix[1]
                low, high = start + first * columns, start + last * columns
            if ranges and ranges[-1][1] == low:
                low = ranges.pop()[0]
            ranges.append((low, high))
        operands = self.block.flat, self.average, self.cells
        return [
            in_place(moving_average, operands, (0, 1), (low, high, self.every, self.overwrite), self.block.dtype)
            for low, high in ranges
            if low < high
        ]

    def _constrain(self, slices: int) -> Phases:
        """A phase that projects parameters to what their constraints allow, shared by the slices; none without any."""
        held = [p for p in self.block.parameters if p.constraint is not None]
        phase: list[list[Call]] = [[] for _ in range(slices)]
        sizes = [0] * slices
        for parameter in sorted(held, key=lambda p: -p.size):
            t = sizes.index(min(sizes))
            sizes[t] += parameter.size
            made = calls(parameter.constraint, parameter) if parameter.constraint is not None else []
            phase[t] += [replace(call, name=parameter.name or call.name, every=self.every) for call in made]
        return [phase] if held else []


def _double(array: NDArray[Any]) -> Tensor:
    return Tensor(array.shape, np.float64, array)
