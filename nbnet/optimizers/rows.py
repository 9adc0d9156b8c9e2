"""The rows that optimizers consist of: flat loops over a range of the parameters, block by block.

Attributes 0 and 1 of every row bound its range. Loops run over views from 0: where the sign of an index is unknown to
the compiler, they do not vectorise. A block is summed, clipped, decayed and updated while it stays in the first-level
cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import Function, Kernel, attribute, device, doublevec, kernel, mat, present, vec
from nbnet.core.graph import Call, Tensor

#: Elements of a block.
BLOCK = 2048
#: An optimizer's numbers are one vector of float64 cells. These come first, then its own.
LEARNING_RATE, WEIGHT_DECAY, CLIP, EMA_MOMENTUM, LAZY, OWN = range(6)
#: Flags of an update: limit each gradient to the clip cell; shrink parameters first.
LIMIT, SHRINK = 1, 2


@device
def sum_slices(g: Any, low: Any, high: Any) -> Any:
    """The gradients of parameters ``low`` to ``high``: those of the other slices are added to the first's, in place."""
    total = g[0, low:high]
    for t in range(1, g.shape[0]):
        part = g[t, low:high]
        for i in range(total.size):
            total[i] += part[i]
    return total


@device
def clip_scale(squares: Any, limit: Any) -> Any:
    """What a gradient is multiplied by so that its norm stays within the limit; NaN if it has no finite norm."""
    total = np.float64(0)
    for t in range(squares.size):
        total += squares[t]
    norm = np.sqrt(total)
    if not np.isfinite(norm):
        return np.nan
    return np.float64(1) if norm <= limit else limit / norm


@device
def scale_and_limit(g: Any, scale: Any, limit: Any, flags: Any) -> None:
    """Clip a block of gradients, in place: by the norm's scale, or each of them."""
    if scale != 1.0:
        for i in range(g.size):
            g[i] *= scale
    if flags & LIMIT:
        for i in range(g.size):
            x = -limit if g[i] < -limit else g[i]
            g[i] = limit if x > limit else x


@device
def shrink_by(p: Any, share: Any) -> None:
    """Weight decay."""
    for i in range(p.size):
        p[i] -= p[i] * share


class Rule(Kernel):
    """The kernel of an optimizer, and what it was made from."""

    def __init__(self, kernel: Any, name: str, prepare: Function, update: Function) -> None:
        super().__init__(kernel, name)
        self.prepare, self.update = prepare, update


def update_rule(name: str, prepare: Function, update: Function) -> Rule:
    """The kernel of an optimizer, from two device functions.

    Parameters
    ----------
    prepare
        ``prepare(learning_rate, h, step)`` returns a tuple of float64 numbers, computed once a row; h holds the
        optimizer's own numbers in the order of its class, step counts the updates made before.
    update
        ``update(p, g, a, b, c, k)`` changes the parameters p of a block by their gradients g; a, b, c are the
        optimizer's slots there (those that it has not are empty), k is the tuple. g may be changed as well.

    Notes
    -----
    Operands: parameters (1, P), gradients (slices, P), cells, squares of the gradient's norm (float64, to be added up;
    absent: no clipping by norm), slots (1, P). Attributes: low, high, flags.
    """

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

    return Rule(rule, name, prepare, update)


@kernel
def gradient_squares(mem: Any, ins: Any, step: Any) -> None:
    """Sum the slices' gradients into the first, and their squares into a float64 cell."""
    g, cell = mat(mem, ins, 0), doublevec(mem, ins, 1)
    total = np.float64(0)
    for low in range(attribute(ins, 0), attribute(ins, 1), BLOCK):
        gb = sum_slices(g, low, min(low + BLOCK, attribute(ins, 1)))
        part = 0.0
        for i in range(gb.size):
            part += gb[i] * gb[i]
        total += part
    cell[0] = total


@kernel
def accumulate_gradients(mem: Any, ins: Any, step: Any) -> None:
    """Add up the gradients of n = attribute 2 steps, from scratch in the first; in the last, make that their mean."""
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


@kernel
def moving_average(mem: Any, ins: Any, step: Any) -> None:
    """``average = momentum average + (1 - momentum) p``, the momentum 0 until the first update is made.

    Attributes: low, high, steps an update takes, updates between two times when parameters become their average (or
    0).
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


def in_place(
    kernel: Kernel,
    operands: tuple[Tensor | None, ...],
    written: tuple[int, ...],
    attributes: tuple[int, ...],
    dtype: Any,
    every: int = 1,
) -> Call:
    """A call that reads all its operands, and those that it writes as well."""
    accumulate = sum(1 << k for k in written)
    return Call(kernel, operands, written, accumulate, 0, attributes, "optimizer", np.dtype(dtype), (), every)
