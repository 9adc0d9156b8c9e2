"""Conversion between arrays and tensors, dtypes and shapes: convert_to_tensor, cast, shape and the like."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.config import standardize_dtype
from nbnet.engine.graph.arithmetic import operators
from nbnet.engine.graph.op import BOOL, INT, Op, Shape, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, exact_tensor, recorder, tensor
from nbnet.engine.kernels.abi import bytevec, intvec, kernel, vec

_INTEGERS = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"}


@kernel
def from_integers_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y = intvec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = x[i]


@kernel
def from_booleans_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y = bytevec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = x[i]


@kernel
def to_integers_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), intvec(mem, ins, 1)
    for i in range(y.size):
        # The cut-off fraction, and 0 for NaN; numbers out of range become the limits.
        c = np.float64(x[i])
        if c != c:
            y[i] = 0
        elif c >= 9223372036854775808.0:
            y[i] = 9223372036854775807
        elif c < -9223372036854775808.0:
            y[i] = -9223372036854775807 - 1
        else:
            y[i] = np.int64(c)


@kernel
def to_booleans_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), bytevec(mem, ins, 1)
    for i in range(y.size):
        y[i] = 1 if x[i] != 0.0 else 0


def _same_shape(x: Tensor, dtype: Any) -> tuple[Spec, ...]:
    return (Spec(x.shape, dtype),)


FROM_INTEGERS = register(
    Op("from_integers", from_integers_forward, ("x",), infer=_same_shape, integers=("x",), stops_gradient=True,
       role="elementwise", linear=True, extents="x:i8[n] y[n]")
)  # fmt: skip
#: To floats, and to integers.
FROM_BOOLEANS = register(
    Op("from_booleans", from_booleans_forward, ("x",), infer=_same_shape, booleans=("x",), stops_gradient=True,
       role="elementwise", linear=True, extents="x:?[n] y[n]")
)  # fmt: skip
TO_INTEGERS = register(
    Op("to_integers", to_integers_forward, ("x",), infer=lambda x: (Spec(x.shape, INT),), stops_gradient=True,
       role="elementwise", extents="x[n] y:i8[n]")
)  # fmt: skip
TO_BOOLEANS = register(
    Op("to_booleans", to_booleans_forward, ("x",), infer=lambda x: (Spec(x.shape, BOOL),), stops_gradient=True,
       role="elementwise", kinds="fi", extents="x[n] y:?[n]")
)  # fmt: skip


def converted(x: Tensor, dtype: np.dtype[Any]) -> Tensor:
    """A tensor of floats, int64 or bool as one of another of these kinds; no gradient flows."""
    if x.dtype == dtype:
        return x
    if dtype == BOOL:
        return apply(TO_BOOLEANS, x)
    if x.dtype == BOOL:
        return apply(FROM_BOOLEANS, x, dtype=dtype)
    return apply(TO_INTEGERS, x) if dtype == INT else apply(FROM_INTEGERS, x, dtype=dtype)


operators["converted"] = converted


def known_dtype(dtype: Any) -> np.dtype[Any]:
    """The dtype of tensors that stands for a dtype: all integers are int64.

    Raises
    ------
    TypeError
        If it is no dtype.
    ValueError
        If tensors cannot hold its numbers: float16, complex numbers.
    """
    named = np.dtype(dtype)
    return named if named == BOOL else INT if named.name in _INTEGERS else standardize_dtype(named)


def convert_to_tensor(x: Any, dtype: Any = None) -> Tensor:
    """A tensor that holds a value; a tensor is returned unchanged, a weight as a tensor of its value now.

    Parameters
    ----------
    x
        Tensor, array, list or number.
    dtype
        float32, float64, bool or an integer dtype, which makes an int64 tensor. None: integers and booleans stay what
        they are, and so do float32 and float64; other numbers become floats of the framework's default dtype.

    Raises
    ------
    TypeError
        If x does not hold numbers, or is a tensor of other floats that gradients flow through.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.convert_to_tensor([1, 2])
    <Tensor shape=(2,) dtype=int64, [1 2]>
    >>> nb.ops.convert_to_tensor([1, 2], "float32")
    <Tensor shape=(2,) dtype=float32, [1. 2.]>
    """
    if isinstance(x, Tensor):
        return x if dtype is None else cast(x, dtype)
    if dtype is None:
        return exact_tensor(x, "x")
    wanted = known_dtype(dtype)
    if wanted.kind == "f":
        return tensor(x, wanted)
    given = plain_array(x, "x")
    if given.dtype.kind not in "fiub":
        raise TypeError(f"x: expected numbers, got dtype {given.dtype}")
    if wanted == BOOL:
        given = given != 0
    elif given.dtype == np.uint64 and given.max(initial=0) >= 1 << 63:
        raise ValueError(f"x: expected integers of at most 63 bits, got {given.max()}")
    array = np.array(given, wanted, order="C")
    return Tensor(array.shape, wanted, array)


def tensor_of(values: Any) -> Tensor:
    """NumPy's answer as a tensor, in the dtype nearest to its own."""
    return convert_to_tensor(np.asarray(values))


def time_mask(x: Tensor) -> Tensor:
    """The mask of time steps of a tensor: 1 for steps that count, 0 for padding.

    Raises
    ------
    ValueError
        If it has none.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.time_mask(nb.layers.Masking()([[[1.0], [0.0]]])).numpy().astype(bool)
    array([[ True, False]])
    """
    if x.time_mask is None:
        raise ValueError(f"x: expected a tensor with a mask of time steps, got {x!r}")
    return x.time_mask


def cast(x: Any, dtype: Any) -> Tensor:
    """A tensor in another dtype.

    Parameters
    ----------
    x
        Tensor or array. Floats that gradients flow through, or in a model, keep their dtype: a model computes in one.
        To integers, the fraction is cut off; no gradient flows through integers and booleans.
    dtype
        As for :func:`convert_to_tensor`. In a model, float32 and float64 stand for the dtype of the model.

    Raises
    ------
    TypeError
        If float32 would become float64, or float64 float32, where that cannot be.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.cast([1.0, 2.7], "int32").numpy()
    array([1, 2])
    >>> nb.ops.cast([0.0, 2.7], "bool").numpy()
    array([False,  True])
    """
    if not isinstance(x, Tensor):
        return convert_to_tensor(plain_array(x, "x"), dtype)
    wanted = known_dtype(dtype)
    if wanted == x.dtype:
        return x
    if wanted.kind != "f" or x.dtype.kind != "f":
        active = recorder()
        if wanted.kind == "f" and active is not None and active.dtype is not None:
            wanted = active.dtype
        return converted(x, wanted)
    if x.requires_grad or x.data is None:
        raise TypeError(
            "dtype: floats that require gradients, or belong to a model, cannot change their dtype; "
            f"expected {x.dtype}, got {wanted}"
        )
    return tensor(x.memory(), wanted)


def convert_to_numpy(x: Any) -> NDArray[Any]:
    """The value of a tensor, copied to an array.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.convert_to_numpy(nb.tensor([1.0, 2.0]))
    array([1., 2.], dtype=float32)
    """
    return np.array(plain_array(x, "x"))


def is_tensor(x: Any) -> bool:
    """True if x is a tensor.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.is_tensor(nb.tensor(1.0)), nb.ops.is_tensor(1.0)
    (True, False)
    """
    return isinstance(x, Tensor)


def shape(x: Any) -> Shape:
    """The lengths of the axes.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.shape([[1.0, 2.0]])
    (1, 2)
    """
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


def ndim(x: Any) -> int:
    """The number of axes.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.ndim([[1.0, 2.0]])
    2
    """
    return len(shape(x))


def size(x: Any) -> int:
    """The number of elements.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.size([[1.0, 2.0]])
    2
    """
    return int(np.prod(shape(x), dtype=int))
