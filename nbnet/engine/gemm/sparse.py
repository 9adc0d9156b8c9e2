"""Products whose first matrix is mostly zeros, as activations are after ReLU and dropout.

For each row of ``a`` the elements that are not zero are listed, and only these multiply their rows of ``b``. Those come
from the L1 cache: a strip of them, copied there, serves every row of ``a``. A product with zero is left out even if
the other factor is not finite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.engine.gemm.tiled import TILES, copy_strip, itemsize, lanes, part, register_bytes, turn_strip
from nbnet.engine.jit.linker import device, intrinsic
from nbnet.engine.kernels.layout import ACROSS, LISTED_BYTES, SHALLOW_BYTES

#: Rows of a from which strips pay.
FEWEST_ROWS = 16
#: Cost of an element of a for each vector of its row of b, and cost of that vector, paid once.
TERM, LINE = 20, 100
#: Cost of an element in a tile, and in BLAS where that has narrower registers.
TILE_TERM, BLAS_TERM = 11, 15

Flat = NDArray[Any]
Places = NDArray[np.int32]

compiled = intrinsic("nbnet.engine.llvm.gemm")


@compiled
def wide_strip_memory(a: Any) -> Any:
    """Memory on the stack for a strip."""
    return np.empty(SHALLOW_BYTES // a.itemsize * ACROSS * lanes(a), a.dtype)


@compiled
def value_memory(a: Any) -> Any:
    """Memory on the stack for the nonzero elements: a row for each row of a."""
    return np.empty(LISTED_BYTES // a.itemsize * (SHALLOW_BYTES // a.itemsize), a.dtype)


@compiled
def place_memory(a: Any) -> Any:
    """Memory on the stack for the number of nonzero elements in a row, and the places in a strip of their rows of b."""
    return np.empty(LISTED_BYTES // a.itemsize * (SHALLOW_BYTES // a.itemsize + 1), np.int32)


@device
def list_singly(row: Any, count: Any, values: Any, places: Any) -> None:
    """List the nonzero elements among the first of a row: their number, then the places in a strip of their rows."""
    found = 0
    for q in range(count):
        values[found] = row[q]
        places[1 + found] = np.int32(q * ACROSS * lanes(row))
        found += row[q] != 0
    places[0] = np.int32(found)


@compiled
def list_by_vectors(row: Flat, count: int, values: Flat, places: Places) -> None:
    """Do the same with registers of 64 bytes."""
    list_singly(row, count, values, places)


@compiled
def combine(values: Flat, places: Places, strip: Flat, c: Flat, columns: int, add: bool) -> None:
    """``c[:columns] (+)=`` the rows of a strip that are listed, each times its value."""
    total = c[:columns].copy() if add else np.zeros_like(c[:columns])
    for value, place in zip(values[: places[0]], places[1 : 1 + places[0]], strict=True):
        total += value * strip[place : place + columns]
    c[:columns] = total


@compiled
def copy_wide_strip(b: Flat, pitch: int, k: int, columns: int, strip: Flat, across: int) -> None:
    """:func:`nbnet.engine.gemm.tiled.copy_strip` for as many vectors as a strip has here."""
    copy_strip(b, pitch, k, columns, strip, across)


@compiled
def fetch(a: Flat, start: int) -> None:
    """Prefetch the line there to the second cache."""


@device
def count_nonzero(a: Any, pitch: Any, rows: Any, columns: Any) -> Any:
    """Number of nonzero elements; rows are ``pitch`` apart."""
    total = 0
    for i in range(rows):
        row = part(a, i * pitch)
        found: Any = np.int32(0)
        for j in range(columns):
            found += np.int32(row[j] != 0)
        total += found
    return total


@device
def worthwhile(a: Any, ta: Any, pitch: Any, m: Any, n: Any, k: Any, term: Any) -> Any:
    """True if skipping zeros is faster than a product that costs ``term`` an element; counts them where it may be."""
    if not TILES or register_bytes(a) < 32 or m < FEWEST_ROWS or n < ACROSS * lanes(a):
        return False
    if k * itemsize(a) < SHALLOW_BYTES:
        return False
    vectors = (n + lanes(a) - 1) // lanes(a)
    strips, pairs = (vectors + ACROSS - 1) // ACROSS, (vectors + 1) // 2
    nonzero = count_nonzero(a, pitch, k if ta else m, m if ta else k)
    return (nonzero * TERM + k * LINE) * strips * ACROSS < m * k * 2 * pairs * term


@device
def list_rows(
    a: Any, ta: Any, pitch: Any, rows: Any, deep: Any, turned: Any, values: Any, places: Any, depth: Any
) -> None:
    """List the nonzero elements of rows of op(a), of ``deep`` elements."""
    for i in range(rows):
        row = part(a, i * pitch)
        if ta:
            if i % lanes(a) == 0:
                turn_strip(part(a, i), pitch, min(lanes(a), rows - i), deep, turned, depth)
            row = part(turned, i % lanes(a) * depth)
        if register_bytes(a) == 64:
            list_by_vectors(row, deep, part(values, i * depth), part(places, i * (depth + 1)))
        else:
            list_singly(row, deep, part(values, i * depth), part(places, i * (depth + 1)))


@device
def multiply_listed(
    values: Any, places: Any, depth: Any, strip: Any, c: Any, width: Any, rows: Any, columns: Any, add: Any,
    ahead: Any, pitch: Any, lines: Any, each: Any
) -> None:  # fmt: skip
    """Compute rows of a strip of c. Meanwhile the second cache fetches ``lines`` lines: ``each`` side by side, then
    those of the next row ``pitch`` elements on."""
    fetched = 0
    for i in range(rows):
        combine(part(values, i * depth), part(places, i * (depth + 1)), strip, part(c, i * width), columns, add)
        while fetched * rows < lines * (i + 1):
            fetch(ahead, fetched // each * pitch + fetched % each * lanes(c))
            fetched += 1


@device
def fill_strip(b: Any, tb: Any, pitch: Any, deep: Any, columns: Any, strip: Any) -> None:
    """Copy rows of op(b), of no more columns than a strip has."""
    across = ACROSS * lanes(b)
    if tb:
        turn_strip(b, pitch, deep, columns, strip, across)
    else:
        copy_wide_strip(b, pitch, deep, columns, strip, across)


@device
def multiply_sparse(
    a: Any, ta: Any, a_pitch: Any, b: Any, tb: Any, c: Any, m: Any, n: Any, k: Any, accumulate: Any,
    count: Any, one: Any, two: Any, three: Any
) -> None:  # fmt: skip
    """``c (+)= op(a) @ op(b)``, as :data:`nbnet.engine.gemm.dispatch.GEMM` has it.

    Meanwhile the second cache fetches the next strip of b, or ``count`` of the last three matrices, as large as c.
    """
    strip, values, places = wide_strip_memory(a), value_memory(a), place_memory(a)
    depth, most, across = SHALLOW_BYTES // itemsize(a), LISTED_BYTES // itemsize(a), ACROSS * lanes(a)
    pitch, each = (k, depth // lanes(a)) if tb else (n, ACROSS)
    steps = ((m + most - 1) // most) * ((k + depth - 1) // depth) * ((n + across - 1) // across)
    share, at = (count * m * n // lanes(a) + steps - 1) // steps, 0
    for start in range(0, m, most):
        rows = min(most, m - start)
        for first in range(0, k, depth):
            deep, add = min(depth, k - first), accumulate or first > 0
            x = part(a, first * a_pitch + start if ta else start * a_pitch + first)
            list_rows(x, ta, a_pitch, rows, deep, strip, values, places, depth)
            for j in range(0, n, across):
                columns, z = min(across, n - j), part(c, start * n + j)
                fill_strip(part(b, j * k + first if tb else first * n + j), tb, pitch, deep, columns, strip)
                if count > 0:
                    lines, side = share, share
                    ahead = part(one if at < m * n else two if at < 2 * m * n else three, at % (m * n))
                    at += share * lanes(a)
                else:
                    down, right = (first, j + across) if j + across < n else (first + depth, 0)
                    lines, side = depth * ACROSS if down < k else 0, each
                    ahead = part(b, right * k + down if tb else down * n + right)
                multiply_listed(values, places, depth, strip, z, n, rows, columns, add, ahead, pitch, lines, side)
