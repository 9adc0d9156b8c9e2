"""Kernels small enough to reckon with by hand, and a way to run one on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbnet.engine.graph.op import Op
from nbnet.engine.graph.tensor import Call, Tensor, run_call
from nbnet.engine.jit.linker import DISABLE_JIT, Kernel
from nbnet.engine.kernels.abi import accumulates, attribute, kernel, present, vec

Array = NDArray[Any]
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
compiled_only = pytest.mark.skipif(DISABLE_JIT, reason="tests compiled code")


@kernel
def fill(mem: Any, ins: Any, step: Any) -> None:
    """y = attribute 0"""
    y, real = vec(mem, ins, 0), vec(mem, ins, 0).dtype.type
    for i in range(y.size):
        y[i] = real(attribute(ins, 0))


@kernel
def forward(mem: Any, ins: Any, step: Any) -> None:
    """y = 2 x + 1"""
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = 2.0 * x[i] + 1.0


@kernel
def backward(mem: Any, ins: Any, step: Any) -> None:
    """dx (+)= 2 dy"""
    dy, dx = vec(mem, ins, 0), vec(mem, ins, 1)
    if present(ins, 1):
        for i in range(dx.size):
            dx[i] = dx[i] + 2.0 * dy[i] if accumulates(ins, 1) else 2.0 * dy[i]


#: y = 2 x + 1, in x's memory where nobody else needs x. Not in the registry.
AFFINE = Op("affine", forward, ("x",), backward=backward, gradient=("dy", "dx"), reuse={"y": "x", "dx": "dy"})
#: The same without a gradient.
FLAT = Op("flat", forward, ("x",))


def numbers(*values: float, dtype: Any = F32, name: str = "") -> Tensor:
    """A tensor with data."""
    return Tensor((len(values),), dtype, np.array(values, dtype), name=name)


def blank(n: int = 4, dtype: Any = F32, name: str = "") -> Tensor:
    """A tensor without data."""
    return Tensor((n,), dtype, name=name)


def fill_call(y: Tensor, value: int = 0, accumulate: int = 0) -> Call:
    return Call(fill, (y,), (0,), accumulate, 0, (value,), "fill", y.dtype)


def affine_call(x: Tensor, y: Tensor, reuse: bool = False, accumulate: int = 0) -> Call:
    return Call(forward, (x, y), (1,), accumulate, 0, (), "affine", y.dtype, ((1, 0),) if reuse else ())


def run(
    kernel: Kernel, *arrays: Array, attributes: tuple[int, ...] = (), key: int = 0, step: int = 0, dtype: Any = None,
    accumulate: int = 0
) -> None:  # fmt: skip
    """Run a kernel on arrays, all of which it may write; it adds to those with a bit in ``accumulate``."""
    tensors = tuple(Tensor(a.shape, a.dtype, a) for a in arrays)
    dtype = np.dtype(next(a.dtype for a in arrays if a.dtype.kind == "f") if dtype is None else dtype)
    places = tuple(range(len(arrays)))
    run_call(Call(kernel, tensors, places, accumulate, key, attributes, kernel.name, dtype), step)
