"""Tensors from numbers: array, empty, saturate_cast, meshgrid, logspace, and the windows of signal processing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.loading_budget import reserve
from nbnet.config import standardize_dtype
from nbnet.engine.graph.op import Shape
from nbnet.engine.graph.tensor import Tensor, tensor, tensors
from nbnet.ops.arithmetic import clip
from nbnet.ops.broadcast import power
from nbnet.ops.convert import cast, convert_to_numpy, convert_to_tensor
from nbnet.ops.create import linspace, zeros, zeros_like
from nbnet.ops.reshape import broadcast_to, ravel, reshape


def array(x: Any, dtype: Any = None) -> Tensor:
    """A tensor that holds a copy of a value.

    Parameters
    ----------
    x
        Array, list, number or tensor.
    dtype
        See :func:`nbnet.ops.convert_to_tensor`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.array([1.0, 2.0]).numpy()
    array([1., 2.], dtype=float32)
    """
    if isinstance(x, Tensor) and (x.data is None or x.requires_grad):
        return convert_to_tensor(x, dtype)
    return convert_to_tensor(convert_to_numpy(x) if isinstance(x, Tensor) else x, dtype)


def dtype(x: Any) -> str:
    """The name of the dtype of a tensor or array.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.dtype(nb.tensor([1.0]))
    'float32'
    """
    return str(x.dtype if hasattr(x, "dtype") else convert_to_tensor(x).dtype)


def empty(shape: Shape | Sequence[int] | int, dtype: Any = None) -> Tensor:
    """A tensor of a shape; its elements are zeros.

    Parameters
    ----------
    shape
        The shape.
    dtype
        See :func:`nbnet.ops.convert_to_tensor`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.empty((2, 3)).shape
    (2, 3)
    """
    return zeros(shape, dtype)


def empty_like(x: Any, dtype: Any = None) -> Tensor:
    """A tensor of the shape of another one; its elements are zeros.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.empty_like([[1.0, 2.0]]).shape
    (1, 2)
    """
    return zeros_like(x, dtype)


def saturate_cast(x: Any, dtype: Any) -> Tensor:
    """A tensor in another dtype; numbers that it cannot hold become its limits.

    Parameters
    ----------
    x
        Tensor or array.
    dtype
        See :func:`nbnet.ops.cast`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.saturate_cast([-3.0, 2.7, 300.0], "uint8").numpy()
    array([  0,   2, 255])
    """
    wanted = np.dtype(dtype)
    if wanted.kind not in "iu":
        return cast(x, dtype)
    limits = np.iinfo(wanted)
    return cast(clip(tensor(x), float(limits.min), float(limits.max)), dtype)


def meshgrid(*x: Any, indexing: str = "xy") -> list[Tensor]:
    """Coordinates of the points of a grid: a tensor for each axis.

    Parameters
    ----------
    *x
        Vectors: the coordinates along each axis.
    indexing : {"xy", "ij"}
        With ``"xy"``, the first two axes of the results are exchanged: rows belong to the second vector.

    Raises
    ------
    ValueError
        If indexing is anything else.

    Examples
    --------
    >>> import nbnet as nb
    >>> columns, rows = nb.ops.meshgrid([1.0, 2.0], [3.0, 4.0])
    >>> columns.numpy()
    array([[1., 2.],
           [1., 2.]], dtype=float32)
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"indexing: expected 'xy' or 'ij', got {indexing!r}")
    vectors = [ravel(part) for part in tensors(*x)]
    places = list(range(len(vectors)))
    if indexing == "xy" and len(places) > 1:
        places[:2] = 1, 0
    shape = [0] * len(vectors)
    for place, vector in zip(places, vectors, strict=True):
        shape[place] = vector.size
    return [
        broadcast_to(reshape(vector, tuple(-1 if k == place else 1 for k in range(len(vectors)))), tuple(shape))
        for place, vector in zip(places, vectors, strict=True)
    ]


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: float = 10, dtype: Any = None, axis: int = 0
) -> Tensor:
    """Numbers whose logarithms are evenly spaced.

    Parameters
    ----------
    start, stop
        Logarithms of the first number and of the last.
    num, endpoint, dtype, axis
        As for :func:`nbnet.ops.linspace`.
    base
        Base of the logarithms.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.logspace(0.0, 2.0, 3).numpy()
    array([  1.,  10., 100.], dtype=float32)
    """
    y = power(float(base), linspace(start, stop, num, endpoint, axis=axis))
    return y if dtype is None else convert_to_tensor(y, dtype)


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Tensor:
    """Numbers with equal ratios.

    Parameters
    ----------
    start, stop
        The first number and the last: numbers or arrays, none of them 0.
    num, endpoint, dtype, axis
        As for :func:`nbnet.ops.linspace`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.geomspace(1.0, 8.0, 4).numpy()
    array([1., 2., 4., 8.], dtype=float32)
    """
    first, last = plain_array(start, "start"), plain_array(stop, "stop")
    reserve(index(num) * max(first.size, last.size), "geomspace")
    values = np.geomspace(first, last, num, endpoint, axis=axis)
    return convert_to_tensor(values, standardize_dtype(None) if dtype is None else dtype)


def _window(function: Callable[..., NDArray[Any]], x: Any, *parameters: float) -> Tensor:
    n = int(plain_array(x, "x").item())
    reserve(n, "window")
    return convert_to_tensor(function(n, *parameters), standardize_dtype(None))


def bartlett(x: int) -> Tensor:
    """The Bartlett window of x points: a triangle.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.bartlett(5).numpy()
    array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    return _window(np.bartlett, x)


def blackman(x: int) -> Tensor:
    """The Blackman window of x points.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.blackman(5).numpy().round(4)[:3]
    array([-0.  ,  0.34,  1.  ], dtype=float32)
    """
    return _window(np.blackman, x)


def hamming(x: int) -> Tensor:
    """The Hamming window of x points.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.hamming(5).numpy().round(4)[:3]
    array([0.08, 0.54, 1.  ], dtype=float32)
    """
    return _window(np.hamming, x)


def hanning(x: int) -> Tensor:
    """The Hann window of x points: a cosine.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.hanning(5).numpy().round(4)[:3]
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return _window(np.hanning, x)


def kaiser(x: int, beta: float) -> Tensor:
    """The Kaiser window of x points.

    Parameters
    ----------
    x
        Number of points.
    beta
        The shape: 0 for a rectangle, larger numbers for a narrower window.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.kaiser(3, 1.0).numpy().round(4)
    array([0.7898, 1.    , 0.7898], dtype=float32)
    """
    return _window(np.kaiser, x, float(beta))
