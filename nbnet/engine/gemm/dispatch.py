"""The product of two matrices that kernels call, and the choice of a method by shape; and rows of a weight's gradient.

OpenBLAS is made for matrices of thousands of rows. In a small network the call and the choice of a method cost more
than the arithmetic, and ``a @ b.T``, which every backward pass needs, takes it up to four times as long as ``a @ b``.
"""

from __future__ import annotations

from typing import Any

from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from nbnet.engine.gemm.sparse import BLAS_TERM, TILE_TERM, multiply_sparse, worthwhile
from nbnet.engine.gemm.tiled import (
    TILES,
    begin,
    compiled,
    copy_strip,
    itemsize,
    lanes,
    multiply_block,
    multiply_panels,
    multiply_strip,
    pack,
    panel_memory,
    part,
    register_bytes,
    strip_memory,
    tall,
    turn_strip,
)
from nbnet.engine.jit.linker import Function, device, link_first
from nbnet.engine.kernels.abi import expect_length, specialize_width
from nbnet.engine.kernels.layout import DEPTH_BYTES, PANEL_BYTES, STEPS

Array = NDArray[Any]

#: Bytes of b above which it does not stay in the L1 cache, so that packing a pays.
NEAR_BYTES = 32768
#: Rows of a from which packing pays.
MANY = 16
#: Multiply-adds up to which tiles beat BLAS on every processor.
SMALL = 64 * 64 * 64
#: Rows below which a tile is mostly empty.
FEW = 4
#: Rows of a result are short if a vector has as many times their elements.
THIN = 4
#: Vectors from which a row is long enough for a product of its own.
LONG = 4


@compiled
def matmul(a: Array, transpose_a: bool, b: Array, transpose_b: bool, c: Array, accumulate: bool) -> None:
    """``c = op(a) @ op(b)``, or ``c += ...``; all row-major, b and c contiguous. On the calling thread."""
    product = (a.T if transpose_a else a) @ (b.T if transpose_b else b)
    c[...] = c + product if accumulate else product


@compiled
def blas(a: Any, a_pitch: int, ta: bool, b: Any, tb: bool, c: Any, m: int, n: int, k: int, accumulate: bool) -> None:
    """Fortran's gemm."""
    x = as_strided(a, (k, m) if ta else (m, k), (a_pitch * a.itemsize, a.itemsize), writeable=False)
    y = b[: k * n].reshape((n, k) if tb else (k, n))
    out = c[: m * n].reshape(m, n)
    product = (x.T if ta else x) @ (y.T if tb else y)
    out[...] = out + product if accumulate else product


@device
def _multiply_narrow(a: Any, ta: Any, a_pitch: Any, b: Any, tb: Any, c: Any, m: Any, n: Any, k: Any, add: Any) -> None:
    """Multiply by a b of one strip, without preparations that would cost a small network more than the product."""
    down, along = (1 if ta else a_pitch), (a_pitch if ta else 1)
    if tb:
        strip, across = strip_memory(a), 2 * lanes(a)
        turn_strip(b, k, k, n, strip, across)
        multiply_strip(a, down, along, strip, across, k, c, n, m, n, add)
    else:
        multiply_strip(a, down, along, b, n, k, c, n, m, n, add)


@specialize_width
@device
def _put_turned(width: Any, strip: Any, across: Any, c: Any, count: Any, add: Any) -> None:
    """Write or add columns of a strip to rows of c."""
    for i in range(count):
        for j in range(width):
            total = strip[j * across + i]
            c[i * width + j] = c[i * width + j] + total if add else total


@device
def _multiply_thin(a: Any, a_pitch: Any, b: Any, c: Any, m: Any, n: Any, k: Any, add: Any) -> None:
    """``c (+)= a.T @ b`` for a b of few columns: rows of the transposed result fill registers, its own do not."""
    strip, across = strip_memory(a), 2 * lanes(a)
    for i in range(0, m, across):
        columns = min(across, m - i)
        multiply_strip(b, 1, n, part(a, i), a_pitch, k, strip, across, n, columns, False)
        _put_turned(n, strip, across, part(c, i * n), columns, add)


@specialize_width
@device
def _turn(width: Any, b: Any, k: Any, strip: Any) -> None:
    """Copy rows of b, of ``width`` elements, to columns of a strip."""
    for q in range(k):
        for j in range(width):
            strip[j * k + q] = b[q * width + j]


@device
def _multiply_dots(a: Any, a_pitch: Any, b: Any, tb: Any, c: Any, m: Any, n: Any, k: Any, add: Any) -> None:
    """``c (+)= a @ op(b)`` for few columns: products of long rows, by registers full of their elements."""
    columns = b
    if not tb and n > 1:
        columns = strip_memory(a)
        _turn(n, b, k, columns)
    for i in range(m):
        row = part(a, i * a_pitch)
        for j in range(n):
            column, total = part(columns, j * k), 0.0
            for q in range(k):
                total += row[q] * column[q]
            c[i * n + j] = c[i * n + j] + total if add else total


def _gemm(a: Any, a_pitch: Any, ta: Any, b: Any, tb: Any, c: Any, m: Any, n: Any, k: Any, accumulate: Any) -> None:
    """``c (+)= op(a) @ op(b)``: (m, n), inner length k, all row-major, none empty but for k; rows of a ``a_pitch``
    elements apart, b and c contiguous."""
    if ta and not tb and n * THIN <= lanes(a) <= m:
        _multiply_thin(a, a_pitch, b, c, m, n, k, accumulate)
        return
    if not ta and n * THIN <= lanes(a) and k >= LONG * lanes(a) and k * n <= DEPTH_BYTES // itemsize(a) * lanes(a):
        _multiply_dots(a, a_pitch, b, tb, c, m, n, k, accumulate)
        return
    large = m * n * k > SMALL and not (TILES and register_bytes(a) == 64)
    if worthwhile(a, ta, a_pitch, m, n, k, BLAS_TERM if large else TILE_TERM):
        multiply_sparse(a, ta, a_pitch, b, tb, c, m, n, k, accumulate, 0, b, b, b)
        return
    if m < FEW or large:
        blas(a, a_pitch, ta, b, tb, c, m, n, k, accumulate)
        return
    if n <= 2 * lanes(a) and k * itemsize(a) <= DEPTH_BYTES:
        _multiply_narrow(a, ta, a_pitch, b, tb, c, m, n, k, accumulate)
        return
    packed = m >= MANY and n >= 8 * lanes(a) and k * n * itemsize(a) > NEAR_BYTES and lanes(a) >= tall(a)
    depth = max(k, 1)
    if k * itemsize(a) > DEPTH_BYTES:
        # Parts of the inner length as equal as can be.
        parts = (k * itemsize(a) + DEPTH_BYTES - 1) // DEPTH_BYTES
        depth = min((k // parts + 8) // 8 * 8, DEPTH_BYTES // itemsize(a))
    b_pitch = k if tb else n
    rows = PANEL_BYTES // itemsize(a) // depth // lanes(a) * lanes(a) if packed else m
    first = 0
    while first < max(k, 1):
        deep, add = min(depth, k - first), accumulate or first > 0
        y = part(b, first if tb else first * n)
        start = 0
        while start < m:
            x = part(a, first * a_pitch + start if ta else start * a_pitch + first)
            height = min(rows, m - start)
            multiply_block(x, ta, a_pitch, packed, y, tb, b_pitch, part(c, start * n), height, n, deep, add)
            start += height
        first += depth


_PARAMETERS = ("real*", "int64", "bool", "real*", "bool", "real*", "int64", "int64", "int64", "bool")
#: The product that compiled kernels call.
GEMM = link_first(Function(_gemm, "gemm", parameters=_PARAMETERS), "nbnet_gemm")


@device
def supports(x: Any, rows: Any) -> Any:
    """True if :func:`outer_product` can compute ``rows`` rows of the gradient, for a batch x."""
    depth = x.shape[0] * itemsize(x)
    return TILES and register_bytes(x) == 64 and 0 < depth <= DEPTH_BYTES and depth * (rows + lanes(x)) <= PANEL_BYTES


@device
def outer_product(x: Any, first: Any, rows: Any, dy: Any, out: Any, count: Any, one: Any, two: Any, three: Any) -> None:
    """``out = x[:, first : first + rows].T @ dy``.

    Multiplying leaves memory idle. Meanwhile the second cache fetches ``count`` of the last three operands, which are
    as large as the result and will be used together with it.
    """
    a, b, c, k, n = begin(x), begin(dy), begin(out), x.shape[0], dy.shape[1]
    expect_length(x, first + rows, x.shape[1])
    expect_length(dy, k, dy.shape[0])
    expect_length(out, rows * n, out.size)
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
