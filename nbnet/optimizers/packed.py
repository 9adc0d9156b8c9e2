"""Updates by packed gradients: those of weights that dropout has cut off are left out, for they are 0.

Where a batch shares its dropout masks, the gradient of a weight matrix is 0 in the rows of dropped inputs and in the
columns of dropped units. What is left is found side by side where the whole gradient would lie
(``nbnet/ops/packed.py``).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from nbnet.core.abi import (
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
from nbnet.core.philox import count_kept
from nbnet.optimizers.rows import (
    BLOCK,
    CLIP,
    LAZY,
    LEARNING_RATE,
    OWN,
    SHRINK,
    WEIGHT_DECAY,
    Rule,
    clip_scale,
    scale_and_limit,
    shrink_by,
    sum_slices,
)


@device
def number_kept(mask: Any, first: Any, last: Any) -> Any:
    """How many of these rows or columns are kept; an empty mask keeps them all."""
    if mask.size > 0:
        return count_kept(mask[first:last])
    return last - first


@device
def keep_copies(p: Any, a: Any, b: Any, c: Any, scratch: Any) -> None:
    """Of a row and its slots, in all rows of the scratch but the first."""
    copy(p, scratch[1])
    copy(a, scratch[2])
    copy(b, scratch[3])
    copy(c, scratch[4])


@device
def copy(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = x[i]


@functools.cache
def packed_rule(rule: Rule) -> Kernel:
    """The kernel of an optimizer, for the rows of a matrix whose gradient is packed.

    Notes
    -----
    Operands: parameter (n, m), gradients (slices, P), cells, squares of the gradient's norm or absent, slots (n, m),
    masks of rows and columns or absent, scratch (5, m). Attributes: where the parameter begins in a row of gradients,
    first and last row, flags.
    """
    prepare, update = rule.prepare, rule.update

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

    return Kernel(packed, f"{rule.name}_packed")


@kernel
def packed_squares(mem: Any, ins: Any, step: Any) -> None:
    """Like ``gradient_squares``, of rows of a matrix whose gradient is packed. Attributes: where the parameter begins,
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
