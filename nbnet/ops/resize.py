"""Resizing of images and sequences: each axis is interpolated on its own, as a product with a matrix of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.validation import check_choice
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.ops.constants import arange, zeros
from nbnet.ops.index import take
from nbnet.ops.matmul import matmul
from nbnet.ops.reshape import transpose

Array = NDArray[Any]

INTERPOLATIONS = ("bicubic", "bilinear", "lanczos3", "lanczos5", "nearest")


def _triangle(d: Array) -> Array:
    return np.maximum(1.0 - d, 0.0)


def _cubic(d: Array) -> Array:
    """Keys's kernel with a = -1/2: R. G. Keys, IEEE Trans. Acoust., Speech, Signal Process. 29 (1981)."""
    near = (1.5 * d - 2.5) * d * d + 1.0
    far = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return np.where(d < 1.0, near, np.where(d < 2.0, far, 0.0))


def _lanczos(lobes: int) -> Callable[[Array], Array]:
    return lambda d: np.where(d < lobes, np.sinc(d) * np.sinc(d / lobes), 0.0)


_KERNELS: dict[str, Callable[[Array], Array]] = {
    "bicubic": _cubic,
    "bilinear": _triangle,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}


def weights(n: int, m: int, interpolation: str, antialias: bool = False) -> Array:
    """Return the weights by which n elements of an axis become m.

    Centres of elements lie at 1/2, 3/2, ...; weights of an output add up to 1.

    Parameters
    ----------
    n, m
        Elements before and after, from 1.
    interpolation
        ``"bicubic"``, ``"bilinear"``, ``"lanczos3"`` or ``"lanczos5"``.
    antialias
        If True, kernels are wider where the axis becomes shorter, so that every element counts.

    Returns
    -------
    float64 array (n, m).

    Examples
    --------
    >>> from nbnet.ops.resize import weights
    >>> weights(2, 4, "bilinear").T
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    found = zeros((n, m), np.float64, "resize")
    wider = max(n / m, 1.0) if antialias else 1.0
    centres = (np.arange(m) + 0.5) * (n / m) - 0.5
    found[:] = _KERNELS[interpolation](np.abs(centres - np.arange(n)[:, None]) / wider)
    totals = found.sum(0)
    found /= np.where(np.abs(totals) > 1e-12, totals, 1.0)
    return found


def resize(images: Any, size: Sequence[int], interpolation: str = "bilinear", antialias: bool = False) -> Tensor:
    """Interpolate along the axes between the batch's and the channels'.

    Parameters
    ----------
    images
        (batch, ..., channels)
    size
        New lengths of the axes in between.
    interpolation
        ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"lanczos3"`` or ``"lanczos5"``.
    antialias
        If True, kernels are wider where an axis becomes shorter, so that every element counts.

    Raises
    ------
    ValueError
        If the lengths do not fit the axes, or the interpolation is not known.

    Examples
    --------
    >>> from nbnet.ops.resize import resize
    >>> resize([[[0.0], [4.0]]], (4,)).numpy().ravel()
    array([0., 1., 3., 4.], dtype=float32)
    """
    x, kind = tensor(images), check_choice(interpolation, "interpolation", INTERPOLATIONS)
    if len(size) != x.ndim - 2 or any(n < 1 for n in (*size, *x.shape[1:-1])):
        raise ValueError(f"size: expected lengths above 0 of axes 1 to {x.ndim - 2} of shape {x.shape}, got {size!r}")
    for axis, m in enumerate(size, 1):
        n = x.shape[axis]
        if n == m:
            continue
        if kind == "nearest":
            x = take(x, np.floor((arange(0, m, 1, "resize") + 0.5) * (n / m)).astype(int), axis)
        else:
            order = list(range(x.ndim))
            order[axis], order[-1] = order[-1], order[axis]
            x = transpose(matmul(transpose(x, order), weights(n, m, kind, antialias).astype(x.dtype)), order)
    return x
