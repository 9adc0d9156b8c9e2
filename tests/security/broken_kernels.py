"""Kernels that break their contract, each in its own way, and a run of all of them: prints a JSON of what each says.

Run by ``test_checked_kernels.py`` in a process of its own: without ``NBNET_CHECK=1`` they would damage memory.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from nbnet.engine.gemm.dispatch import matmul, outer_product
from nbnet.engine.gemm.tiled import begin
from nbnet.engine.graph.tensor import Call, Tensor, run_call
from nbnet.engine.jit.linker import Kernel
from nbnet.engine.kernels.abi import (
    attribute,
    block,
    bytevec,
    compress,
    expand,
    fill_rows,
    intvec,
    kernel,
    mat,
    put_back,
    sum_rows,
    vec,
)
from nbnet.engine.runtime.program import Linked, lower

CASES: dict[str, Callable[[np.dtype[Any]], None]] = {}


def real(dtype: np.dtype[Any], *shape: int, name: str = "") -> Tensor:
    return Tensor(shape, dtype, np.ones(shape, dtype), name=name)


def eager(*shapes: tuple[int, ...], attributes: tuple[int, ...] = (), written: int = 1) -> Callable[[Kernel], Kernel]:
    """Decorator: the case runs the kernel on operands of these shapes; the last ones have no value yet."""

    def add(function: Kernel) -> Kernel:
        def run(dtype: np.dtype[Any]) -> None:
            reads = len(shapes) - written
            names = "abcdefgh"
            operands = [real(dtype, *s, name=names[k]) for k, s in enumerate(shapes[:reads])]
            operands += [Tensor(s, dtype, name=names[reads + k]) for k, s in enumerate(shapes[reads:])]
            places = tuple(range(reads, len(shapes)))
            run_call(Call(function, tuple(operands), places, 0, 0, attributes, "node", dtype), 7)

        CASES[function.name] = run
        return function

    return add


@eager((5,), (5,))
@kernel
def writes_past_the_end(mem: Any, ins: Any, step: Any) -> None:
    y = vec(mem, ins, 1)
    for i in range(y.size + 1):
        y[i] = 2.0


@eager((5,), (6,))
@kernel
def reads_past_the_end(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = x[i]


@eager((5,), (5,))
@kernel
def reads_before_the_beginning(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = x[i - 1]


@eager((5,), (5,), attributes=(3, -1))
@kernel
def index_counts_from_the_end(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = x[attribute(ins, 1)]


@eager((2, 4), (8,))
@kernel
def column_runs_into_the_next_row(mem: Any, ins: Any, step: Any) -> None:
    x, y = mat(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = x[0, i]


@eager((5,), (5,))
@kernel
def unsigned_index_wraps(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = x[np.uint64(i) - np.uint64(1)]


@eager((5,), (5,))
@kernel
def slice_starts_before(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size):
        part = x[i - 1 :]
        y[i] = part[0]


@eager((5,), (5,), attributes=(1,))
@kernel
def reads_an_attribute_that_no_row_has(mem: Any, ins: Any, step: Any) -> None:
    y = vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = attribute(ins, 17)


@eager((5,), (5,), attributes=(9,))
@kernel
def attribute_leaves_the_operand(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = x[attribute(ins, 0)]


@eager((5,), (5,))
@kernel
def reads_an_operand_that_no_row_has(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 14), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = x[i]


@eager((5,), (5,))
@kernel
def reads_an_absent_operand(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 2), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = x[i]


@eager((5,), (5,))
@kernel
def adds_to_what_was_not_written(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] += x[i]


@eager((5,), (5,), (5,), written=2)
@kernel
def computes_from_what_was_not_written(mem: Any, ins: Any, step: Any) -> None:
    y, z = vec(mem, ins, 1), vec(mem, ins, 2)
    for i in range(y.size):
        z[i] = 1.0 - 2.0 * y[i]
        y[i] = 1.0


@eager((5,), (5,))
@kernel
def leaves_the_last_unwritten(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size - 1):
        y[i] = x[i]


@eager((5,), (5,))
@kernel
def writes_to_what_it_reads(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = x[i]
    x[2] = 5.0


@eager((5,), (5,))
@kernel
def writes_behind_by_pointer(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    pointer = begin(mat(mem, ins, 1))
    for i in range(y.size + 1):
        pointer[i] = x[0]


@eager((5,), (5,))
@kernel
def writes_before_by_pointer(mem: Any, ins: Any, step: Any) -> None:
    y, pointer = vec(mem, ins, 1), begin(mat(mem, ins, 1))
    for i in range(y.size):
        y[i] = 1.0
    pointer[-1] = 1.0


@eager((5,), (5,), (5,), written=2)
@kernel
def reads_behind_by_pointer(mem: Any, ins: Any, step: Any) -> None:
    y, z, pointer = vec(mem, ins, 1), vec(mem, ins, 2), begin(mat(mem, ins, 1))
    for i in range(y.size):
        y[i] = 1.0
    for i in range(z.size):
        z[i] = 2.0 * pointer[i + 1]


@eager((3, 4), (5, 2), (3, 2))
@kernel
def product_of_other_lengths(mem: Any, ins: Any, step: Any) -> None:
    matmul(mat(mem, ins, 0), False, mat(mem, ins, 1), False, mat(mem, ins, 2), False)


@eager((3, 4), (3, 2), (3, 2))
@kernel
def product_with_too_few_rows(mem: Any, ins: Any, step: Any) -> None:
    matmul(mat(mem, ins, 0), False, mat(mem, ins, 1), False, mat(mem, ins, 2), False)


@eager((3, 4), (4, 2), (5, 2))
@kernel
def product_of_too_many_rows(mem: Any, ins: Any, step: Any) -> None:
    matmul(mat(mem, ins, 0), False, mat(mem, ins, 1), False, mat(mem, ins, 2), False)


@eager((3, 4), (3, 2), (5, 2))
@kernel
def turned_product_of_too_many_rows(mem: Any, ins: Any, step: Any) -> None:
    matmul(mat(mem, ins, 0), True, mat(mem, ins, 1), False, mat(mem, ins, 2), False)


@eager((3, 4), (2, 4), (3, 3))
@kernel
def product_with_too_few_turned_rows(mem: Any, ins: Any, step: Any) -> None:
    matmul(mat(mem, ins, 0), False, mat(mem, ins, 1), True, mat(mem, ins, 2), False)


@eager((3, 8), (3, 2), (8, 2))
@kernel
def outer_product_of_too_many_columns(mem: Any, ins: Any, step: Any) -> None:
    x, dy, y = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2)
    outer_product(x, 1, 8, dy, y, 0, y, y, y)


@eager((3, 8), (7,))
@kernel
def sums_into_too_few(mem: Any, ins: Any, step: Any) -> None:
    sum_rows(mat(mem, ins, 0), vec(mem, ins, 1), False)


@eager((7,), (3, 8))
@kernel
def fills_from_too_few(mem: Any, ins: Any, step: Any) -> None:
    fill_rows(mat(mem, ins, 1), vec(mem, ins, 0))


@eager((6,), (2, 3))
@kernel
def block_of_too_many(mem: Any, ins: Any, step: Any) -> None:
    y = block(mat(mem, ins, 1), 3, 3)
    for i in range(3):
        for j in range(3):
            y[i, j] = 1.0


def with_mask(bytes_: int, shapes: tuple[int, int], function: Kernel) -> None:
    """Add a case whose first operand is a mask that keeps everything."""

    def run(dtype: np.dtype[Any]) -> None:
        mask = Tensor((bytes_,), np.uint8, np.ones(bytes_, np.uint8), name="a")
        x, y = real(dtype, shapes[0], name="b"), Tensor((shapes[1],), dtype, name="c")
        run_call(Call(function, (mask, x, y), (2,), 0, 0, (), "node", dtype), 7)

    CASES[function.name] = run


@kernel
def compresses_into_too_few(mem: Any, ins: Any, step: Any) -> None:
    compress(vec(mem, ins, 1), bytevec(mem, ins, 0), vec(mem, ins, 2))


@kernel
def compresses_with_a_short_mask(mem: Any, ins: Any, step: Any) -> None:
    compress(vec(mem, ins, 1), bytevec(mem, ins, 0), vec(mem, ins, 2))


@kernel
def expands_from_too_few(mem: Any, ins: Any, step: Any) -> None:
    expand(vec(mem, ins, 1), bytevec(mem, ins, 0), vec(mem, ins, 2), False)


@kernel
def puts_back_from_too_few(mem: Any, ins: Any, step: Any) -> None:
    y = vec(mem, ins, 2)
    for i in range(y.size):
        y[i] = 0.0
    put_back(vec(mem, ins, 1), bytevec(mem, ins, 0), y)


@kernel
def reads_bytes_as_reals(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 2)
    for i in range(y.size):
        y[i] = x[i]


@kernel
def reads_bytes_as_integers(mem: Any, ins: Any, step: Any) -> None:
    x, y = intvec(mem, ins, 0), vec(mem, ins, 2)
    for i in range(y.size):
        y[i] = x[i]


with_mask(20, (20, 19), compresses_into_too_few)
with_mask(19, (20, 20), compresses_with_a_short_mask)
with_mask(20, (19, 20), expands_from_too_few)
with_mask(20, (19, 20), puts_back_from_too_few)
with_mask(20, (20, 20), reads_bytes_as_reals)
with_mask(20, (20, 20), reads_bytes_as_integers)


@kernel
def double(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = 2.0 * x[i]


@kernel
def writes_into_the_next_buffer(mem: Any, ins: Any, step: Any) -> None:
    y, pointer = vec(mem, ins, 1), begin(mat(mem, ins, 1))
    for i in range(y.size):
        y[i] = 1.0
    pointer[y.size] = 9.0


def program(dtype: np.dtype[Any]) -> None:
    """The second of three rows writes one element too many, in a program whose buffers lie side by side."""
    x, a, b, c = real(dtype, 16, name="x"), *(Tensor((16,), dtype, name=name) for name in "abc")
    rows = [
        Call(double, (x, a), (1,), 0, 0, (), "first", dtype),
        Call(writes_into_the_next_buffer, (a, b), (1,), 0, 0, (), "second", dtype),
        Call(double, (b, c), (1,), 0, 0, (), "third", dtype),
    ]
    linked = Linked(lower([[rows]], [0], dtype, [a, b, c]))
    linked.run(2, 5)


CASES["writes_into_the_next_buffer"] = program


def parts(dtype: np.dtype[Any]) -> None:
    """A kernel writes into the neighbour of its operand, in memory that both share."""
    from nbnet.engine.kernels.executor import aligned

    whole = aligned(10, dtype)
    x, y = real(dtype, 5), Tensor((5,), dtype, whole[:5], name="b")
    try:
        run_call(Call(writes_into_the_neighbour, (x, y), (1,), 0, 0, (), "node", dtype), 7)
    finally:
        assert not whole[5:].any(), "the neighbour was not restored"


@kernel
def writes_into_the_neighbour(mem: Any, ins: Any, step: Any) -> None:
    y, pointer = vec(mem, ins, 1), begin(mat(mem, ins, 1))
    for i in range(y.size):
        y[i] = 1.0
    pointer[y.size + 2] = 9.0


CASES["writes_into_the_neighbour"] = parts


def main() -> None:
    said = {}
    for dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        for name, run in CASES.items():
            try:
                run(dtype)
                said[f"{name}-{dtype}"] = "nothing"
            except Exception as error:
                said[f"{name}-{dtype}"] = f"{type(error).__name__}: {error}"
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
