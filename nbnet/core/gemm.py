"""The product of two matrices: tiles of the result held in registers, BLAS where it is faster.

OpenBLAS is made for matrices of thousands of rows. In a small network the call and the choice of a method cost more
than the arithmetic, and ``a @ b.T``, which every backward pass needs, takes it up to four times as long as ``a @ b``.
Here a strip of ``b``, transposed on the way or not, is read in its entirety for each tile of a few rows of ``a``.

References
----------
K. Goto, R. A. van de Geijn: Anatomy of high-performance matrix multiplication. ACM Transactions on Mathematical
Software 34 (2008), section 4: the strip in the first cache, and the tile in registers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.core.jit import Function, device, intrinsic

#: Rows of b in a strip, times the size of an element: with rows of two vectors it fits the first cache.
DEPTH_BYTES = 1024
#: A strip this large is copied together first: its rows lie too far apart for the cache.
NEAR_BYTES = 32768
#: Multiply-adds up to which tiles beat BLAS on every processor.
SMALL = 64 * 64 * 64

#: Rows below which a tile is mostly empty.
FEW = 4

Flat = NDArray[Any]


@intrinsic
def lanes(a: Any) -> int:
    """Elements in a vector register."""
    return 4


@intrinsic
def itemsize(a: Any) -> int:
    """Bytes of an element."""
    return int(a.itemsize)


@intrinsic
def tall(a: Any) -> int:
    """Rows of the tallest tile that the registers hold."""
    return 8


@intrinsic
def tiles_win(a: Any) -> bool:
    """Whether tiles beat BLAS for products of any size: they do where registers are 64 bytes wide."""
    return True


@intrinsic
def strip_memory(a: Any) -> Any:
    """Memory on the stack for a strip: rows of two vectors."""
    return np.empty(DEPTH_BYTES // a.itemsize * 8, a.dtype)


@intrinsic
def part(a: Any, start: int) -> Any:
    """What begins at element ``start``."""
    return a[start:]


@intrinsic
def blas(a: Any, ta: bool, b: Any, tb: bool, c: Any, m: int, n: int, k: int, accumulate: bool) -> None:
    """Fortran's gemm."""
    x = a[: m * k].reshape((k, m) if ta else (m, k))
    y = b[: k * n].reshape((n, k) if tb else (k, n))
    out = c[: m * n].reshape(m, n)
    product = (x.T if ta else x) @ (y.T if tb else y)
    out[...] = out + product if accumulate else product


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
    return intrinsic(tile)


# Of the tallest, a middle and the lowest height; one or two vectors wide.
tile_tall_1, tile_middle_1, tile_low_1 = (_tile_function(f"tile_{height}_1") for height in ("tall", "middle", "low"))
tile_tall_2, tile_middle_2, tile_low_2 = (_tile_function(f"tile_{height}_2") for height in ("tall", "middle", "low"))


@intrinsic
def copy_strip(b: Flat, pitch: int, k: int, columns: int, strip: Flat) -> None:
    """``k`` rows of ``columns`` elements, ``pitch`` apart, to rows of two vectors."""
    for q in range(k):
        for j in range(columns):
            strip[q * 8 + j] = b[q * pitch + j]


@intrinsic
def turn_strip(b: Flat, pitch: int, k: int, columns: int, strip: Flat) -> None:
    """The same, transposed: ``columns`` rows of ``k`` elements."""
    for q in range(k):
        for j in range(columns):
            strip[q * 8 + j] = b[j * pitch + q]


@device
def _multiply_strip(
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


def _gemm(a: Any, ta: Any, b: Any, tb: Any, c: Any, m: Any, n: Any, k: Any, accumulate: Any) -> None:
    """``c (+)= op(a) @ op(b)``: (m, n), inner length k, all row-major and contiguous, none empty but for k."""
    if m < FEW or (m * n * k > SMALL and not tiles_win(a)):
        blas(a, ta, b, tb, c, m, n, k, accumulate)
        return
    down, along = (1 if ta else k), (m if ta else 1)
    strip, across, depth = strip_memory(a), 2 * lanes(a), DEPTH_BYTES // itemsize(a)
    copies = m >= 16 and k * n * itemsize(a) > NEAR_BYTES
    for first in range(0, max(k, 1), depth):
        deep, add = min(depth, k - first), accumulate or first > 0
        for j in range(0, n, across):
            columns = min(across, n - j)
            if tb:
                turn_strip(part(b, j * k + first), k, deep, columns, strip)
                source, pitch = strip, across
            elif copies:
                copy_strip(part(b, first * n + j), n, deep, columns, strip)
                source, pitch = strip, across
            else:
                source, pitch = part(b, first * n + j), n
            _multiply_strip(part(a, first * along), down, along, source, pitch, deep, part(c, j), n, m, columns, add)


class Gemm(Function):
    """The function that kernels call for a product of matrices; linked before them."""

    kind = "gemm"


GEMM = Gemm(_gemm, "gemm")
