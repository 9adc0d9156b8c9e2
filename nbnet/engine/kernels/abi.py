"""The calling convention: the engine module that every kernel imports.

A kernel is ``kernel(mem, ins, step)``: the arena, one instruction row (see ``layout.py``) and the global step. It
reads and writes its operands through the views below, allocates nothing, returns nothing and never raises. Every
function here is the Python twin of a compiled one in ``nbnet/engine/llvm``: with ``NUMBA_DISABLE_JIT=1`` the twins run,
and kernels can be stepped through.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.engine.jit.linker import Function, Kernel, device, intrinsic, kernel
from nbnet.engine.kernels.layout import ACCUMULATE, ATTRIBUTES, FIRST_ROW, OPERANDS, SCRATCH, SEED

__all__ = [
    "WIDE", "Function", "Kernel", "Memory", "accumulates", "attribute", "bits_float32", "block", "bytemat", "bytevec",
    "compress", "device", "doublevec", "expand", "expect_length", "fill_rows", "first_row", "float32_bits", "halves",
    "in_place", "intvec", "kernel", "mat", "present", "put_back", "root", "scratch", "scratch_bytes", "scratch_words",
    "seed", "specialize_width", "sum_rows", "typed_mat", "vec",
]  # fmt: skip

Array = NDArray[Any]

view = intrinsic("nbnet.engine.llvm.views")
on_rows = intrinsic("nbnet.engine.llvm.rows")


class Memory(NamedTuple):
    """The arena under ``NUMBA_DISABLE_JIT=1``: its address and the model's dtype."""

    address: int
    dtype: np.dtype[Any]


def _view(address: int, rows: int, columns: int, dtype: Any) -> Array:
    dtype = np.dtype(dtype)
    size = rows * columns * dtype.itemsize
    if size == 0:
        return np.empty((rows, columns), dtype)
    return np.frombuffer((ctypes.c_char * size).from_address(address), dtype).reshape(rows, columns)


def _operand(mem: Memory, ins: Array, k: int, dtype: Any) -> Array:
    offset, rows, columns = (int(v) for v in ins[OPERANDS + 3 * k : OPERANDS + 3 * k + 3])
    return _view(mem.address + offset, rows, columns, dtype)


@view
def mat(mem: Memory, ins: Array, k: int) -> Array:
    """Operand ``k`` as a matrix (rows, columns) of the model's dtype."""
    return _operand(mem, ins, k, mem.dtype)


@view
def vec(mem: Memory, ins: Array, k: int) -> Array:
    """Operand ``k``, flat, of the model's dtype; a scalar is ``vec(mem, ins, k)[0]``."""
    return _operand(mem, ins, k, mem.dtype).reshape(-1)


@view
def bytemat(mem: Memory, ins: Array, k: int) -> Array:
    """Operand ``k`` as a matrix of bytes: a mask, 1 = kept."""
    return _operand(mem, ins, k, np.uint8)


@view
def intvec(mem: Memory, ins: Array, k: int) -> Array:
    """Operand ``k``, flat, of 64-bit integers: labels, indices, counters."""
    return _operand(mem, ins, k, np.int64).reshape(-1)


@view
def doublevec(mem: Memory, ins: Array, k: int) -> Array:
    """Operand ``k``, flat, of float64 whatever the model's dtype: sums over an epoch."""
    return _operand(mem, ins, k, np.float64).reshape(-1)


def _typed(name: str) -> Function:
    def typed(mem: Memory, ins: Array, k: int) -> Array:
        return _operand(mem, ins, k, np.dtype(name))

    typed.__name__ = typed.__qualname__ = f"mat_{name}"
    return view(typed)


_NAMES = ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64"]
#: Views of the user's own arrays, one for each dtype that can be read without a copy.
typed_mat = {np.dtype(name): _typed(name) for name in _NAMES}


@view
def present(ins: Array, k: int) -> bool:
    """True if operand ``k`` is there: an absent gradient is not computed."""
    return bool(ins[OPERANDS + 3 * k + 1] > 0)


@view
def accumulates(ins: Array, k: int) -> bool:
    """True if the kernel adds to operand ``k``; else it overwrites it, whatever it holds.

    Of a mask or noise that an op draws: True if it was injected and holds the values already.
    """
    return bool((int(ins[ACCUMULATE]) >> k) & 1)


@view
def in_place(ins: Array, j: int, k: int) -> bool:
    """True if operands ``j`` and ``k`` share their memory: a loop over two views of one place does not vectorise, over
    one it does."""
    return bool(ins[OPERANDS + 3 * j] == ins[OPERANDS + 3 * k])


@view
def attribute(ins: Array, i: int) -> int:
    """Integer attribute ``i`` of the op."""
    return int(ins[ATTRIBUTES + i])


@view
def scratch_bytes() -> Array:
    """256 bytes on the stack, for the length of a kernel."""
    return np.empty(256, np.uint8)


@view
def scratch_words() -> Array:
    """64 words of 64 bits on the stack, for the length of a kernel."""
    return np.empty(64, np.uint64)


@view
def halves(words: Array) -> Array:
    """Memory of 64-bit words as 16-bit words: the lowest of each comes first."""
    return words.view("<u2")


@view
def scratch(mem: Memory) -> Array:
    """``SCRATCH`` elements of the model's dtype on the stack, for the length of a kernel."""
    return np.empty(SCRATCH, mem.dtype)


@view
def bytevec(mem: Memory, ins: Array, k: int) -> Array:
    """Operand ``k``, flat, of bytes."""
    return _operand(mem, ins, k, np.uint8).reshape(-1)


@view
def seed(ins: Array) -> Any:
    """The node's key for random numbers."""
    return np.uint64(int(ins[SEED]) & 0xFFFFFFFFFFFFFFFF)


@view
def first_row(ins: Array) -> int:
    """Number, in the whole batch, of the first row this instruction sees."""
    return int(ins[FIRST_ROW])


@view
def float32_bits(x: Any) -> Any:
    """The 32 bits of a float32 as an int32."""
    return np.float32(x).view(np.int32)


@view
def bits_float32(i: Any) -> Any:
    """The float32 whose bits are an int32."""
    return np.int32(i).view(np.float32)


@view
def root(x: Any) -> Any:
    """Square root of a finite number: in float32 an estimate, right to three units in the last place: twice as fast."""
    return np.sqrt(x)


@view
def block(memory: Array, rows: int, columns: int) -> Array:
    """The first ``rows * columns`` elements as a matrix, for a kernel that fills less than its operand."""
    return memory.reshape(-1)[: rows * columns].reshape(rows, columns)


@on_rows
def expect_length(a: Array, value: int, limit: int) -> None:
    """With ``NBNET_CHECK=1`` only: report a fault of ``a``, and leave the kernel, unless 0 <= value <= limit."""


@on_rows
def compress(row: Array, mask: Array, out: Array) -> None:
    """Write the elements whose mask (bytes) is not 0 to the beginning of ``out``."""
    kept = row[mask != 0]
    out[: len(kept)] = kept


@on_rows
def expand(packed: Array, mask: Array, row: Array, accumulate: bool) -> None:
    """Undo :func:`compress`: the first elements of ``packed`` go where the mask is not 0, zeros elsewhere."""
    spread = np.zeros_like(row)
    spread[mask != 0] = packed[: np.count_nonzero(mask)]
    row[...] = row + spread if accumulate else spread


@on_rows
def put_back(before: Array, mask: Array, row: Array) -> None:
    """Restore the elements of a row where the mask (bytes) is 0."""
    dropped = mask[: row.size] == 0
    row[dropped] = before[: row.size][dropped]


@on_rows
def sum_rows(m: Array, out: Array, accumulate: bool) -> None:
    """``out = m.sum(axis=0)``, or ``out += ...``."""
    total = m.sum(axis=0, dtype=m.dtype)
    out[...] = out + total if accumulate else total


@on_rows
def fill_rows(m: Array, row: Array) -> None:
    """Copy a vector to each row of a matrix, to which a product is then added."""
    m[...] = row


#: The first width for which this is not worth its code.
WIDE = 5


def specialize_width(body: Function) -> Function:
    """A device function ``f(width, *args)`` that does what ``body(width, *args)`` does.

    It is compiled for each short width by itself, and once for all others.

    Examples
    --------
    >>> from nbnet.engine.jit.linker import device
    >>> from nbnet.engine.kernels.abi import specialize_width
    >>> specialize_width(device(lambda width, x: x * width))(3, 2.0)
    6.0
    """

    @device
    def chosen(width: Any, *args: Any) -> Any:
        if width == 2:
            return body(2, *args)
        if width == 3:
            return body(3, *args)
        if width == 4:
            return body(4, *args)
        return body(width, *args)

    return chosen
