"""Weights of losses and of metric values: the rules by which their axes meet, as in Keras.

Shapes of one rank are broadcast as in NumPy. Where ranks differ by one, a last axis of size 1 is the odd one: it is
dropped, or added to the other shape. Fewer axes than that are the first ones: ``(n,)`` weighs each row of
``(n, t)``, and ``(n, 1)`` each row of ``(n, t, d)``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array

Array = NDArray[Any]
Shape = tuple[int, ...]


def same_rank(first: Shape, second: Shape, expand_vectors: bool = True) -> tuple[Shape, Shape]:
    """Drop or add a last axis of size 1 where the numbers of axes of two shapes differ by one.

    Parameters
    ----------
    first, second
        Shapes of two arrays.
    expand_vectors
        If True, a vector beside a column becomes a column, too; else the column becomes a vector.

    Examples
    --------
    >>> from nbnet.losses.weighting import same_rank
    >>> same_rank((4,), (4, 1)), same_rank((4, 3), (4, 3, 1)), same_rank((4, 3), (4,))
    (((4, 1), (4, 1)), ((4, 3), (4, 3)), ((4, 3), (4,)))
    """
    if len(first) == len(second) + 1 and first[-1] == 1:
        expands = len(second) == 1 and expand_vectors
        return (first, (*second, 1)) if expands else (first[:-1], second)
    if len(second) == len(first) + 1 and second[-1] == 1:
        expands = len(first) == 1 and expand_vectors
        return ((*first, 1), second) if expands else (first, second[:-1])
    return first, second


def meet(values: Shape, weights: Shape, name: str = "sample_weight") -> tuple[Shape, Shape, Shape]:
    """The shapes that values and their weights are read in, and the shape of the products.

    Raises
    ------
    ValueError
        If the weights do not fit.

    Examples
    --------
    >>> from nbnet.losses.weighting import meet
    >>> meet((4, 3), (4,)), meet((4,), (4, 1)), meet((4, 3), ())
    (((4, 3), (4, 1), (4, 3)), ((4, 1), (4, 1), (4, 1)), ((4, 3), (), (4, 3)))
    """
    v, w = same_rank(values, weights)
    if 0 < len(w) < len(v) and all(m in (1, n) for m, n in zip(w, v, strict=False)):
        w = (*w, *[1] * (len(v) - len(w)))
    try:
        return v, w, np.broadcast_shapes(v, w)
    except ValueError:
        raise ValueError(f"{name}: expected a weight for each sample, or of shape {values}, got {weights}") from None


def numbers(value: Any, name: str) -> Array:
    """The user's numbers as float64."""
    array = plain_array(value, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected numbers, got an array of {array.dtype}")
    return np.asarray(array, np.float64)


def by_sample(values: Array, sample_weight: Any, within: Callable[..., Any]) -> tuple[Array, Array | None]:
    """Weighted values, and their weights, of each sample; ``within`` reduces those of one sample to one number.

    Weights of fewer axes than values are those of reduced values. One weight for all is that of a single number, to
    which all values are reduced.
    """
    if sample_weight is not None:
        w = numbers(sample_weight, "sample_weight")
        v_shape, w_shape = same_rank(values.shape, w.shape)
        values, w = values.reshape(v_shape), w.reshape(w_shape)
        if values.ndim > w.ndim:
            values = within(values, axis=tuple(range(w.ndim, values.ndim)))
        try:
            w = np.broadcast_to(w, np.shape(values))
        except ValueError:
            raise ValueError(
                f"sample_weight: expected a weight for each sample, or of shape {v_shape}, got {w_shape}"
            ) from None
        values = values * w
        if w.ndim > 1:
            w = within(w, axis=tuple(range(1, w.ndim)))
    if values.ndim > 1:
        values = within(values, axis=tuple(range(1, values.ndim)))
    return values, None if sample_weight is None else w


def pairs(y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple[Array, Array, Array]:
    """Targets and predictions of one shape (n, ...), and as many weights.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    true, pred = numbers(y_true, "y_true"), numbers(y_pred, "y_pred")
    p_shape, t_shape = same_rank(pred.shape, true.shape)
    if p_shape != t_shape:
        raise ValueError(f"y_true: expected the shape of the predictions, {pred.shape}, got {true.shape}")
    true, pred = true.reshape(t_shape), pred.reshape(p_shape)
    if sample_weight is None:
        return true, pred, np.ones(t_shape)
    w = numbers(sample_weight, "sample_weight")
    _, w_shape, whole = meet(t_shape, w.shape)
    if prod(whole) != prod(t_shape):
        raise ValueError(f"sample_weight: expected a weight for each sample, or of shape {t_shape}, got {w.shape}")
    return true, pred, np.broadcast_to(w.reshape(w_shape), whole).reshape(t_shape)
