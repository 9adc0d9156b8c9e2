"""Conversion between arrays and tensors, dtypes and shapes: convert_to_tensor, cast, shape and the like."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.config import FLOAT_DTYPES
from nbnet.engine.graph.op import INT, Op, Shape, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensor
from nbnet.engine.jit.linker import kernel
from nbnet.engine.kernels.abi import intvec, vec

_INTEGERS = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"}


def convert_to_tensor(x: Any, dtype: Any = None) -> Tensor:
    """A tensor that holds a value; a tensor is returned unchanged.

    Parameters
    ----------
    x
        Tensor, array, list or number.
    dtype
        float32 or float64; None for that of x, or the framework's default. An integer dtype makes an int64 tensor,
        which embeddings, :func:`nbnet.ops.take` and losses of labels read.

    Raises
    ------
    TypeError
        If x is a tensor of another dtype, or does not hold numbers.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.convert_to_tensor([1, 2])
    <Tensor shape=(2,) dtype=float32, [1. 2.]>
    """
    if isinstance(x, Tensor):
        return x if dtype is None else cast(x, dtype)
    if dtype is not None and np.dtype(dtype).name in _INTEGERS:
        given = plain_array(x, "x")
        if given.dtype == np.uint64 and given.max(initial=0) >= 1 << 63:
            raise ValueError(f"x: expected integers of at most 63 bits, got {given.max()}")
        array = np.array(given, INT, order="C")
        return Tensor(array.shape, INT, array)
    return tensor(x, dtype)


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


@kernel
def to_float_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y = intvec(mem, ins, 1), vec(mem, ins, 2)
    real = y.dtype.type
    for i in range(y.size):
        y[i] = real(x[i])


#: The first input has the dtype of the result.
TO_FLOAT = register(
    Op("to_float", to_float_forward, ("like", "x"), infer=lambda like, x: (Spec(x.shape),), integers=("x",),
       extents="like[1] x:i8[n] y[n]")
)  # fmt: skip


def cast(x: Any, dtype: Any) -> Tensor:
    """A tensor in another dtype.

    Parameters
    ----------
    x
        Tensor or array. A tensor that gradients flow through, or one in a model, keeps its dtype: a model computes in
        one. Integers become floats, also in a model; float32 holds each of them up to 2**24.
    dtype
        As for :func:`convert_to_tensor`.

    Raises
    ------
    TypeError
        If the dtype of such a tensor would change.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.cast([1.0, 2.7], "int32").numpy()
    array([1, 2])
    """
    if not isinstance(x, Tensor):
        return convert_to_tensor(plain_array(x, "x"), dtype)
    wanted = np.dtype(dtype)
    if wanted == x.dtype or (x.dtype == INT and wanted.name in _INTEGERS):
        return x
    if x.dtype == INT and x.data is None and wanted in FLOAT_DTYPES:
        return apply(TO_FLOAT, Tensor((1,), wanted, np.zeros(1, wanted)), x)
    if x.requires_grad or x.data is None:
        raise TypeError(
            "dtype: a tensor that requires gradients, or belongs to a model, cannot change its dtype; "
            f"expected {x.dtype}, got {wanted}"
        )
    return convert_to_tensor(x.numpy(), wanted)


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
