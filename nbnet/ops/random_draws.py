"""Random tensors that a program draws anew in each step: the numbers depend on the key, the step and their places.

They are drawn for the whole batch, so a batch with such draws is not cut into slices: nothing says which axis of a
drawn tensor is that of the rows, if any is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.engine.graph.op import INT, Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply
from nbnet.engine.kernels.abi import attribute, intvec, kernel, seed, vec
from nbnet.engine.kernels.random import fill_normal, fill_uniform


def _infer(mean: Tensor, scale: Tensor, *others: Tensor, shape: tuple[int, ...]) -> tuple[Spec, ...]:
    return (Spec(shape),)


@kernel
def random_normal_forward(mem: Any, ins: Any, step: Any) -> None:
    mean, deviation, y = vec(mem, ins, 0)[0], vec(mem, ins, 1)[0], vec(mem, ins, 2)
    fill_normal(y, 0, seed(ins), step)
    for i in range(y.size):
        y[i] = mean + deviation * y[i]


RANDOM_NORMAL = register(
    Op("random_normal", random_normal_forward, ("mean", "stddev"), infer=_infer, random=True, whole_batch=True,
       stops_gradient=True, role="draw", extents="mean[1] stddev[1] y[n]")
)  # fmt: skip


@kernel
def random_uniform_forward(mem: Any, ins: Any, step: Any) -> None:
    low, width, last, y = vec(mem, ins, 0)[0], vec(mem, ins, 1)[0], vec(mem, ins, 2)[0], vec(mem, ins, 3)
    fill_uniform(y, 0, seed(ins), step)
    for i in range(y.size):
        value = low + width * y[i]
        y[i] = value if value < last else last  # Rounding may reach the end of the interval.


RANDOM_UNIFORM = register(
    Op("random_uniform", random_uniform_forward, ("low", "width", "last"), infer=_infer, random=True, whole_batch=True,
       stops_gradient=True, role="draw", extents="low[1] width[1] last[1] y[n]")
)  # fmt: skip


@kernel
def random_integers_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y, least, last = vec(mem, ins, 0), intvec(mem, ins, 1), attribute(ins, 0), attribute(ins, 1)
    for i in range(x.size):
        y[i] = min(least + np.int64(x[i]), last)


#: Whole numbers from ``least`` to ``last``, of uniform numbers from 0 to their count.
RANDOM_INTEGERS = register(
    Op("random_integers", random_integers_forward, ("x",), infer=lambda x, least, last: (Spec(x.shape, INT),),
       encode=lambda x, least, last: (least, last), stops_gradient=True, role="draw", extents="x[n] y:i8[n]; _ _")
)  # fmt: skip


@kernel
def random_constant_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = x[i]


RANDOM_CONSTANT = register(
    Op(
        "random_constant",
        random_constant_forward,
        ("x",),
        whole_batch=True,
        stops_gradient=True,
        role="draw",
        extents="x[n] y[n]",
    )
)


def draw_normal(shape: Sequence[int], mean: float, stddev: float, dtype: Any, key: int | None) -> Tensor:
    """Return normal numbers that are drawn in each step, with a key that is new if it is None."""
    return apply(RANDOM_NORMAL, _cell(mean, dtype), _cell(stddev, dtype), key=key, shape=tuple(shape))


def draw_uniform(shape: Sequence[int], low: float, high: float, dtype: Any, key: int | None) -> Tensor:
    """Return numbers from ``low`` up to ``high``, without it, that are drawn in each step."""
    last = _cell(np.nextafter(dtype.type(high), dtype.type(low)), dtype)
    return apply(RANDOM_UNIFORM, _cell(low, dtype), _cell(high - low, dtype), last, key=key, shape=tuple(shape))


def draw_integers(shape: Sequence[int], low: int, high: int, dtype: Any, key: int | None) -> Tensor:
    """Return whole numbers from ``low`` up to ``high``, without it, that are drawn in each step."""
    drawn = draw_uniform(shape, 0.0, high - low, dtype, key)
    return apply(RANDOM_INTEGERS, drawn, least=int(low), last=int(high) - 1)


def constant(values: NDArray[Any]) -> Tensor:
    """Return numbers that are the same in each step, for the whole batch."""
    return apply(RANDOM_CONSTANT, Tensor(values.shape, values.dtype, values))


def _cell(value: Any, dtype: Any) -> Tensor:
    return Tensor((), dtype, np.asarray(value, dtype))
