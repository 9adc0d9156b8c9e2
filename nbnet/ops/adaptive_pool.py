"""Pooling to a given number of windows: adaptive_average_pool and adaptive_max_pool."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.ops.reduction import max, mean
from nbnet.ops.slicing import concatenate, cut


def adaptive_average_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Tensor:
    """Means of as many windows as are asked for along each spatial axis.

    Parameters
    ----------
    inputs
        (n, ..., channels): tensor or array with one to three spatial axes.
    output_size
        Number of windows: an integer, or one for each axis. Window i of m goes from ``floor(i n / m)`` to
        ``ceil((i + 1) n / m)``.
    data_format : {None, "channels_last", "channels_first"}
        The place of the channels.

    Raises
    ------
    ValueError
        If sizes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.adaptive_average_pool([[[1.0], [2.0], [3.0], [6.0]]], 2).numpy().ravel()
    array([1.5, 4.5], dtype=float32)
    """
    return _adaptive(inputs, output_size, data_format, mean)


def adaptive_max_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Tensor:
    """Maxima of as many windows as are asked for along each spatial axis.

    Parameters
    ----------
    inputs, output_size, data_format
        As for :func:`adaptive_average_pool`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.adaptive_max_pool([[[1.0], [2.0], [3.0], [6.0]]], 2).numpy().ravel()
    array([2., 6.], dtype=float32)
    """
    return _adaptive(inputs, output_size, data_format, max)


def _adaptive(inputs: Any, output_size: Any, data_format: str | None, reduce: Any) -> Tensor:
    made = tensor(inputs)
    if made.ndim < 3:
        raise ValueError(f"inputs: expected at least 3 axes, got shape {made.shape}")
    first = {None: 1, "channels_last": 1, "channels_first": 2}.get(data_format)
    if first is None:
        raise ValueError(f"data_format: expected 'channels_last' or 'channels_first', got {data_format!r}")
    spatial = made.ndim - 2
    sizes = [index(n) for n in output_size] if isinstance(output_size, Sequence) else [index(output_size)] * spatial
    if len(sizes) != spatial or min(sizes) < 1:
        raise ValueError(f"output_size: expected a positive integer, or {spatial}, got {output_size!r}")
    for axis, m in enumerate(sizes, first):
        n = made.shape[axis]
        if m > n:
            raise ValueError(f"output_size: {m} windows do not fit in {n} elements")
        bounds = [(k * n // m, -(-(k + 1) * n // m)) for k in range(m)]
        made = concatenate([reduce(cut(made, axis, a, b - a), axis, keepdims=True) for a, b in bounds], axis)
    return made
