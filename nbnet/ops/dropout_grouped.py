"""``y = x * mask / (1 - rate)`` with a mask for each group of neighbouring rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, attribute, bytevec, device, kernel, seed, vec
from nbnet.core.op import Op, register
from nbnet.core.philox import fill_mask
from nbnet.ops.dropout_shared import infer_shared, spread
from nbnet.ops.rate import keep_scale

# Each group draws with a key of its own, so that a program may compute the groups one by one.


def group_key(key: int, group: int) -> int:
    """The key that a group of rows draws with."""
    return (key + group) % (1 << 64)


@device
def grouped(x: Any, mask: Any, rows: Any, groups: Any, scale: Any, y: Any, add: Any) -> None:
    """``y = x * mask * scale``, or added to it; each row has the mask of its group."""
    width = x.size // rows
    for q in range(groups):
        for i in range(rows * q // groups, rows * (q + 1) // groups):
            low, high = i * width, (i + 1) * width
            spread(x[low:high], mask[q * width : (q + 1) * width], scale, y[low:high], 1, add)


@kernel
def grouped_forward(mem: Any, ins: Any, step: Any) -> None:
    x, rate, y, mask = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), bytevec(mem, ins, 3)
    rows, groups = attribute(ins, 0), attribute(ins, 1)
    width = mask.size // groups
    for q in range(groups):
        fill_mask(mask[q * width : (q + 1) * width], 0, seed(ins) + np.uint64(q), step, rate)
    grouped(x, mask, rows, groups, keep_scale(rate), y, False)


@kernel
def grouped_backward(mem: Any, ins: Any, step: Any) -> None:
    mask, rate, dy, dx = bytevec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), vec(mem, ins, 3)
    grouped(dy, mask, attribute(ins, 0), attribute(ins, 1), keep_scale(rate), dx, accumulates(ins, 3))


DROPOUT_GROUPED = register(
    Op(
        "dropout_grouped",
        grouped_forward,
        ("x", "rate"),
        saves=("mask",),
        infer=infer_shared,
        backward=grouped_backward,
        gradient=("mask", "rate", "dy", "dx"),
        encode=lambda x, rate, noise_shape: (x.shape[0], noise_shape[0]),
        mask="mask",
        random=True,
        whole_batch=True,
    )
)
