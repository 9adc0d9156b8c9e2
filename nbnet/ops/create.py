"""Creation of tensors: zeros, ones, full, eye, arange, linspace, one_hot."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from nbnet.base.array_memory import plain_array
from nbnet.base.validation import check_int
from nbnet.config import standardize_dtype
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.tensor import Tensor, tensors
from nbnet.ops import constants
from nbnet.ops.broadcast import add, divide, multiply, subtract
from nbnet.ops.compare import equal, greater
from nbnet.ops.convert import cast, convert_to_tensor, converted
from nbnet.ops.convert import shape as shape_of
from nbnet.ops.reshape import expand_dims, moveaxis


def full(shape: Sequence[int] | int, fill_value: float, dtype: Any = None) -> Tensor:
    """A tensor of one value.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.full((2,), 7.0).numpy()
    array([7., 7.], dtype=float32)
    """
    wanted = standardize_dtype(None) if dtype is None else dtype
    return convert_to_tensor(constants.full(shape, fill_value, wanted, "full"), dtype)


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
    """A tensor of one value, with the shape of another tensor and, by default, its dtype.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.full_like([[1.0, 2.0]], 7.0).numpy()
    array([[7., 7.]], dtype=float32)
    """
    if isinstance(x, Tensor) and x.dtype.kind == "f" and dtype in (None, x.dtype):
        # x > x is false everywhere, even for NaN: zeros for a batch of any size.
        return add(converted(greater(x, x), x.dtype), fill_value)
    return full(shape_of(x), fill_value, x.dtype if dtype is None and isinstance(x, Tensor) else dtype)


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """A tensor of zeros, with the shape of another tensor and, by default, its dtype.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.zeros_like([[1.0, 2.0]]).numpy()
    array([[0., 0.]], dtype=float32)
    """
    return full_like(x, 0.0, dtype)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """A tensor of ones, with the shape of another tensor and, by default, its dtype.

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
        Number of the diagonal; positive ones are above the main diagonal.
    dtype
        See :func:`convert_to_tensor`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.eye(2).numpy()
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    return convert_to_tensor(constants.eye(N, N if M is None else M, k, standardize_dtype(None), "eye"), dtype)


def arange(start: float, stop: float | None = None, step: float | None = None, dtype: Any = None) -> Tensor:
    """Numbers from start up to, and without, stop; with one argument, from 0 up to it.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.arange(3.0).numpy()
    array([0., 1., 2.], dtype=float32)
    >>> nb.ops.arange(3).numpy()
    array([0, 1, 2])
    """
    first, last = (0, start) if stop is None else (start, stop)
    values = constants.arange(first, last, 1 if step is None else step, "arange")
    if dtype is None:
        dtype = INT if values.dtype.kind == "i" else standardize_dtype(None)
    return convert_to_tensor(values, dtype)


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Evenly spaced numbers.

    Parameters
    ----------
    start, stop
        The first number and the last; several make a further axis.
    num
        Number of numbers.
    endpoint
        If True, stop is the last of them.
    retstep
        If True, their distance is returned, too.
    dtype
        See :func:`convert_to_tensor`.
    axis
        Axis of the result along which they lie.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.linspace(0.0, 1.0, 3).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    if any(isinstance(end, Tensor) and (end.data is None or end.requires_grad) for end in (start, stop)):
        return _between(tensors(start, stop), index(num), endpoint, retstep, axis)
    first, last = plain_array(start, "start"), plain_array(stop, "stop")
    values, step = constants.linspace(first, last, num, endpoint, axis, "linspace")
    wanted = standardize_dtype(None) if dtype is None else dtype
    made = convert_to_tensor(values, wanted)
    return (made, convert_to_tensor(step, standardize_dtype(None))) if retstep else made


def _between(ends: tuple[Tensor, ...], num: int, endpoint: bool, retstep: bool, axis: int) -> Any:
    """Evenly spaced numbers between tensors through which gradients flow, or that a model computes."""
    start, stop = ends
    step = divide(subtract(stop, start), float(max(num - 1 if endpoint else num, 1)))
    at = axis % (step.ndim + 1)
    turns = constants.places(num, "linspace").reshape(-1, *[1] * (step.ndim - at))
    made = add(expand_dims(add(start, multiply(step, 0.0)), at), multiply(expand_dims(step, at), turns))
    return (made, step) if retstep else made


def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    """Class labels as vectors with a 1 at the class; labels out of range give zeros.

    Parameters
    ----------
    x
        Integers of any shape, or floats that hold whole numbers.
    num_classes
        Length of the vectors.
    axis
        Axis of the result along which the vectors lie.
    dtype
        See :func:`convert_to_tensor`. Where a model computes x, it is the model's.
    sparse
        False: tensors are dense.

    Raises
    ------
    ValueError
        If sparse is True.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.one_hot([0, 2], 3).numpy()
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    num_classes = check_int(num_classes, "num_classes", least=0)
    if sparse:
        raise ValueError("sparse: expected False, as tensors are dense")
    if isinstance(x, Tensor) and x.data is None:
        float_dtype = x.dtype if x.dtype.kind == "f" else standardize_dtype(None)
        classes = constants.places(num_classes, "one_hot").astype(x.dtype)
        return moveaxis(cast(equal(expand_dims(x, -1), classes), float_dtype), -1, axis)
    hot = constants.one_hot(plain_array(x, "x"), num_classes, standardize_dtype(None), "one_hot")
    return convert_to_tensor(np.moveaxis(hot, -1, axis), dtype)
