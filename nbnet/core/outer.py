"""A product of a few columns of a batch with all of another: rows of the gradient of a layer's weights."""

from __future__ import annotations

from typing import Any

from nbnet.core.jit import device
from nbnet.core.sparse import TILE_TERM, multiply_sparse, worthwhile
from nbnet.core.tiles import (
    DEPTH_BYTES,
    PANEL_BYTES,
    STEPS,
    TILES,
    begin,
    copy_strip,
    itemsize,
    lanes,
    multiply_panels,
    multiply_strip,
    pack,
    panel_memory,
    part,
    register_bytes,
    strip_memory,
    tall,
)


@device
def fits(x: Any, rows: Any) -> Any:
    """Whether so many columns of x, of a batch of so many rows, are a case for :func:`outer_product`."""
    depth = x.shape[0] * itemsize(x)
    return TILES and register_bytes(x) == 64 and 0 < depth <= DEPTH_BYTES and depth * (rows + lanes(x)) <= PANEL_BYTES


@device
def outer_product(x: Any, first: Any, rows: Any, dy: Any, out: Any, count: Any, one: Any, two: Any, three: Any) -> None:
    """``out = x[:, first : first + rows].T @ dy``.

    Multiplying leaves memory idle. Meanwhile the second cache fetches ``count`` of the last three operands, which are
    as large as the result and will be used together with it.
    """
    a, b, c, k, n = begin(x), begin(dy), begin(out), x.shape[0], dy.shape[1]
    if worthwhile(part(a, first), True, x.shape[1], rows, n, k, TILE_TERM):
        later = begin(one), begin(two), begin(three)
        multiply_sparse(part(a, first), True, x.shape[1], b, False, c, rows, n, k, False, count, *later)
        return
    strip, panels, across = strip_memory(a), panel_memory(a), 2 * lanes(a)
    pack(part(a, first), True, x.shape[1], k, rows, panels)
    jump, at, fetched, ahead = k // STEPS * across, 0, 0, begin(one)
    for j in range(0, n, across):
        columns, tiles = min(across, n - j), rows // tall(a)
        copy_strip(part(b, j), n, k, columns, strip, across)
        if at >= rows * n:
            at, fetched = 0, fetched + 1
            ahead = begin(two) if fetched == 1 else begin(three)
        if fetched >= count:
            tiles = 0
        done = 0
        if columns > lanes(a):
            stride = across if tiles > 0 else 0
            done = multiply_panels(
                panels, strip, across, k, part(c, j), n, rows, columns, False, part(ahead, at), stride, jump, tiles
            )
            at += tiles * jump
        y = part(c, done * n + j)
        multiply_strip(part(a, first + done), 1, x.shape[1], strip, across, k, y, n, rows - done, columns, False)
