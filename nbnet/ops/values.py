"""Tensors from values, and their dtypes: array, empty, dtype, saturate_cast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet.engine.graph.op import Shape
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.ops.arithmetic import clip
from nbnet.ops.broadcast import subtract
from nbnet.ops.convert import cast, convert_to_numpy, convert_to_tensor
from nbnet.ops.create import zeros, zeros_like
from nbnet.ops.reduction import documents_axes, max, min
from nbnet.ops.reshape import Axis


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


@documents_axes
def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest elements over axes less the smallest ones.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.ptp([[1.0, 4.0], [3.0, 3.0]], axis=1).numpy()
    array([3., 0.], dtype=float32)
    """
    made = tensor(x)
    return subtract(max(made, axis, keepdims), min(made, axis, keepdims))
