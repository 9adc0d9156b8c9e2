"""Tensors from nothing, from arrays, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.config import standardize_dtype
from nbnet.core.graph import Tensor
from nbnet.core.op import INT, Shape
from nbnet.core.tape import tensor

_INTEGERS = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"}


def convert_to_tensor(x: Any, dtype: Any = None) -> Tensor:
    """A tensor that holds a value; what is a tensor already stays as it is.

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
        If x is a tensor of another dtype, or holds no numbers.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.convert_to_tensor([1, 2])
    <Tensor shape=(2,) dtype=float32, [1. 2.]>
    """
    if isinstance(x, Tensor):
        return x if dtype is None else cast(x, dtype)
    if dtype is not None and np.dtype(dtype).name in _INTEGERS:
        array = np.array(x, INT, order="C")
        return Tensor(array.shape, INT, array)
    return tensor(x, dtype)


def cast(x: Any, dtype: Any) -> Tensor:
    """A tensor in another dtype.

    Parameters
    ----------
    x
        Tensor or array. A tensor that gradients flow through, or one in a model, keeps its dtype: a model computes in
        one.
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
        return convert_to_tensor(np.asarray(x), dtype)
    wanted = np.dtype(dtype)
    if wanted == x.dtype or (x.dtype == INT and wanted.name in _INTEGERS):
        return x
    if x.requires_grad or x.data is None:
        raise TypeError(f"dtype: {x!r} stays {x.dtype} where gradients flow or a model is written down, got {wanted}")
    return convert_to_tensor(x.numpy(), wanted)


def convert_to_numpy(x: Any) -> NDArray[Any]:
    """The value of a tensor as an array of its own.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.convert_to_numpy(nb.tensor([1.0, 2.0]))
    array([1., 2.], dtype=float32)
    """
    return np.array(x)


def is_tensor(x: Any) -> bool:
    """Whether x is a tensor.

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


def full(shape: Sequence[int] | int, fill_value: float, dtype: Any = None) -> Tensor:
    """A tensor of one value.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.full((2,), 7.0).numpy()
    array([7., 7.], dtype=float32)
    """
    return convert_to_tensor(np.full(shape, fill_value, standardize_dtype(None)), dtype)


def zeros(shape: Sequence[int] | int, dtype: Any = None) -> Tensor:
    """A tensor of zeros.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.zeros((2,)).numpy()
    array([0., 0.], dtype=float32)
    """
    return full(shape, 0.0, dtype)


def ones(shape: Sequence[int] | int, dtype: Any = None) -> Tensor:
    """A tensor of ones.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.ones((2,)).numpy()
    array([1., 1.], dtype=float32)
    """
    return full(shape, 1.0, dtype)


def full_like(x: Any, fill_value: float, dtype: Any = None) -> Tensor:
    """A tensor of one value, in the shape of another and by default in its dtype.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.full_like([[1.0, 2.0]], 7.0).numpy()
    array([[7., 7.]], dtype=float32)
    """
    return full(shape(x), fill_value, x.dtype if dtype is None and isinstance(x, Tensor) else dtype)


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """A tensor of zeros, in the shape of another and by default in its dtype.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.zeros_like([[1.0, 2.0]]).numpy()
    array([[0., 0.]], dtype=float32)
    """
    return full_like(x, 0.0, dtype)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """A tensor of ones, in the shape of another and by default in its dtype.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.ones_like([[1.0, 2.0]]).numpy()
    array([[1., 1.]], dtype=float32)
    """
    return full_like(x, 1.0, dtype)


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """A matrix (N, M) with ones on a diagonal and zeros elsewhere.

    Parameters
    ----------
    N, M
        Rows and columns; by default as many columns as rows.
    k
        Which diagonal; positive ones are above the main one.
    dtype
        See :func:`convert_to_tensor`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.eye(2).numpy()
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    return convert_to_tensor(np.eye(N, M, k, standardize_dtype(None)), dtype)


def arange(start: float, stop: float | None = None, step: float | None = None, dtype: Any = None) -> Tensor:
    """Numbers from start up to stop, without it; with one argument from 0 up to that.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.arange(3.0).numpy()
    array([0., 1., 2.], dtype=float32)
    >>> nb.ops.arange(3).numpy()
    array([0, 1, 2])
    """
    first, last = (0, start) if stop is None else (start, stop)
    values = np.arange(first, last, 1 if step is None else step)
    if dtype is None:
        dtype = INT if values.dtype.kind == "i" else standardize_dtype(None)
    return convert_to_tensor(values, dtype)


def linspace(start: float, stop: float, num: int = 50, endpoint: bool = True, dtype: Any = None) -> Tensor:
    """Numbers at equal distances.

    Parameters
    ----------
    start, stop
        The first number and the last.
    num
        How many.
    endpoint
        Whether stop is one of them.
    dtype
        See :func:`convert_to_tensor`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.linspace(0.0, 1.0, 3).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return convert_to_tensor(np.linspace(start, stop, num, endpoint).astype(standardize_dtype(None)), dtype)


def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None) -> Tensor:
    """Class numbers as vectors with a 1 at the class; numbers out of range give zeros.

    Parameters
    ----------
    x
        Integers of any shape, with a value.
    num_classes
        Length of the vectors.
    axis
        Where the vectors lie in the result.
    dtype
        See :func:`convert_to_tensor`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.one_hot([0, 2], 3).numpy()
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    labels = np.asarray(x)
    hot = (labels[..., None] == np.arange(num_classes)).astype(standardize_dtype(None))
    return convert_to_tensor(np.moveaxis(hot, -1, axis), dtype)


def _numbers(values: Any) -> Tensor:
    return convert_to_tensor(np.asarray(values), INT)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the largest elements along an axis are: int64, of a tensor that has a value.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        None for the number in the flattened x.
    keepdims
        Whether the axis stays, with length 1.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.argmax([[1.0, 3.0, 2.0]], axis=-1).numpy()
    array([1])
    """
    return _numbers(np.argmax(np.asarray(x), axis, keepdims=keepdims))


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the smallest elements along an axis are: int64, of a tensor that has a value.

    Parameters
    ----------
    x, axis, keepdims
        As for :func:`argmax`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.argmin([[1.0, 3.0, 0.0]], axis=-1).numpy()
    array([2])
    """
    return _numbers(np.argmin(np.asarray(x), axis, keepdims=keepdims))


def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """The numbers of the elements along an axis in ascending order: int64, of a tensor that has a value.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.argsort([3.0, 1.0, 2.0]).numpy()
    array([1, 2, 0])
    """
    return _numbers(np.argsort(np.asarray(x), axis, kind="stable"))
