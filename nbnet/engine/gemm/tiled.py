"""The product of two matrices by tiles of the result that registers hold.

A strip of ``b``, transposed on the way or not, is read in its entirety for each tile of a few rows of ``a``.

References
----------
K. Goto, R. A. van de Geijn: Anatomy of high-performance matrix multiplication. ACM Transactions on Mathematical
Software 34 (2008), section 4: the strip in the L1 cache, and the tile in registers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.engine.gemm.blas import CHOICE
from nbnet.engine.jit.linker import Function, device, intrinsic
from nbnet.engine.kernels.layout import DEPTH_BYTES, PANEL_BYTES, STEPS

#: True if large products may be done without BLAS: not where ``NBNET_BLAS`` names one.
TILES = CHOICE == "auto"

Flat = NDArray[Any]

compiled = intrinsic("nbnet.engine.llvm.gemm")


@compiled
def lanes(a: Any) -> int:
    """Elements in a vector register."""
    return 4


@compiled
def itemsize(a: Any) -> int:
    """Bytes of an element."""
    return int(a.itemsize)


@compiled
def tall(a: Any) -> int:
    """Rows of the tallest tile that the registers hold."""
    return 4


@compiled
def register_bytes(a: Any) -> int:
    """Bytes in a vector register. With 64, the code in this module beats BLAS for products of any size."""
    return 16


@compiled
def begin(a: Any) -> Any:
    """Pointer to the first element of a matrix."""
    return a.reshape(-1)


@compiled
def strip_memory(a: Any) -> Any:
    """Memory on the stack for a strip: rows of two vectors."""
    return np.empty(DEPTH_BYTES // a.itemsize * 8, a.dtype)


@compiled
def panel_memory(a: Any) -> Any:
    """Memory on the stack for panels."""
    return np.empty(PANEL_BYTES // a.itemsize, a.dtype)


@compiled
def part(a: Any, start: int) -> Any:
    """The part of a matrix from element ``start`` on."""
    return a[start:]


def _tile(
    a: Flat, down: int, along: int, b: Flat, pitch: int, k: int, c: Flat, width: int, rows: int, columns: int, add: bool
) -> None:
    """``c[:rows, :columns] (+)= a @ b``, rows of a ``down`` and columns ``along`` elements apart, rows of b ``pitch``,
    of c ``width``."""
    for i in range(rows):
        for j in range(columns):
            total = a.dtype.type(c[i * width + j] if add else 0)
            for q in range(k):
                total += a[i * down + q * along] * b[q * pitch + j]
            c[i * width + j] = total


def _tile_function(name: str) -> Function:
    def tile(*args: Any) -> None:
        _tile(*args)

    tile.__name__ = tile.__qualname__ = name
    return compiled(tile)


# Of the tallest, a middle and the lowest height; one or two vectors wide.
tile_tall_1, tile_middle_1, tile_low_1 = (_tile_function(f"tile_{height}_1") for height in ("tall", "middle", "low"))
tile_tall_2, tile_middle_2, tile_low_2 = (_tile_function(f"tile_{height}_2") for height in ("tall", "middle", "low"))


@compiled
def tile_packed(
    panel: Flat, b: Flat, pitch: int, k: int, c: Flat, width: int, columns: int, add: bool, ahead: Flat, stride: int
) -> None:
    """A tile of the tallest height, more than one vector wide, whose rows of a lie in a panel.

    Meanwhile the cache fetches two lines at every ``stride``-th element of ``ahead``, one with each ``STEPS`` steps.
    """
    _tile(panel, 1, lanes(panel), b, pitch, k, c, width, tall(panel), columns, add)


@compiled
def copy_strip(b: Flat, pitch: int, k: int, columns: int, strip: Flat, across: int) -> None:
    """``k`` rows of ``columns`` elements, ``pitch`` apart, to rows ``across`` apart; two vectors at most."""
    for q in range(k):
        for j in range(columns):
            strip[q * across + j] = b[q * pitch + j]


@compiled
def turn_strip(b: Flat, pitch: int, k: int, columns: int, strip: Flat, across: int) -> None:
    """The same, transposed: ``columns`` rows of ``k`` elements."""
    for q in range(k):
        for j in range(columns):
            strip[q * across + j] = b[j * pitch + q]


@device
def pack(a: Any, transposed: Any, pitch: Any, k: Any, m: Any, panels: Any) -> None:
    """Panels of as many rows of a as a vector has lanes: their first elements side by side, then their second ones."""
    side = lanes(a)
    for i in range(0, m, side):
        if transposed:
            copy_strip(part(a, i), pitch, k, min(side, m - i), part(panels, i * k), side)
        else:
            turn_strip(part(a, i * pitch), pitch, k, min(side, m - i), part(panels, i * k), side)


@device
def multiply_panels(
    panels: Any, b: Any, pitch: Any, k: Any, c: Any, width: Any, m: Any, columns: Any, add: Any,
    ahead: Any, stride: Any, jump: Any, tiles: Any
) -> Any:  # fmt: skip
    """Rows of a strip of c, as long as the tallest tile is full; each of the first ``tiles`` fetches ahead."""
    i = 0
    while i + tall(panels) <= m:
        panel = part(panels, i // lanes(panels) * lanes(panels) * k + i % lanes(panels))
        tile_packed(panel, b, pitch, k, part(c, i * width), width, columns, add, ahead, stride)
        i += tall(panels)
        tiles -= 1
        ahead, stride = part(ahead, jump), stride if tiles > 0 else 0
    return i


@device
def multiply_strip(
    a: Any, down: Any, along: Any, b: Any, pitch: Any, k: Any, c: Any, width: Any, m: Any, columns: Any, add: Any
) -> None:
    i, wide = 0, columns > lanes(a)
    while i < m:
        left = min(m - i, tall(a))
        x, y = part(a, i * down), part(c, i * width)
        if left * 2 > tall(a):
            if wide:
                tile_tall_2(x, down, along, b, pitch, k, y, width, left, columns, add)
            else:
                tile_tall_1(x, down, along, b, pitch, k, y, width, left, columns, add)
        elif left > 1:
            if wide:
                tile_middle_2(x, down, along, b, pitch, k, y, width, left, columns, add)
            else:
                tile_middle_1(x, down, along, b, pitch, k, y, width, left, columns, add)
        elif wide:
            tile_low_2(x, down, along, b, pitch, k, y, width, left, columns, add)
        else:
            tile_low_1(x, down, along, b, pitch, k, y, width, left, columns, add)
        i += left


@device
def multiply_block(
    a: Any, ta: Any, a_pitch: Any, packed: Any, b: Any, tb: Any, b_pitch: Any, c: Any, m: Any, n: Any, k: Any, add: Any
) -> None:
    """``c (+)= op(a) @ op(b)``, strip by strip; neither m, if a is packed, nor k is more than memory on the stack
    holds."""
    strip, panels, across = strip_memory(a), panel_memory(a), 2 * lanes(a)
    down, along = (1 if ta else a_pitch), (a_pitch if ta else 1)
    if packed:
        pack(a, ta, a_pitch, k, m, panels)
    for j in range(0, n, across):
        columns, left = min(across, n - j), n - j - across
        source, pitch, done = part(b, j), b_pitch, 0
        if tb:
            turn_strip(part(b, j * b_pitch), b_pitch, k, columns, strip, across)
            source, pitch = strip, across
        elif packed and ta:
            copy_strip(source, pitch, k, columns, strip, across)
            source, pitch = strip, across
        if packed and columns > lanes(a):
            next_strip, stride, jump, tiles = part(b, j + across), b_pitch, k // STEPS * b_pitch, STEPS
            if tb:
                next_strip, jump, tiles = part(b, (j + across) * b_pitch), across, k // across
            # A gradient's factors, of as many rows as the batch has, lie in the L2 cache already.
            if ta or left < 2 * across:
                next_strip, stride, jump = source, 0, 0
            done = multiply_panels(
                panels, source, pitch, k, part(c, j), n, m, columns, add, next_strip, stride, jump, tiles
            )
        x, y = part(a, done * down), part(c, done * n + j)
        multiply_strip(x, down, along, source, pitch, k, y, n, m - done, columns, add)
