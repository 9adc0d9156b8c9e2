"""Losses and normalisations as functions of tensors: cross-entropies, layer_normalization, multi_hot, psnr."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

from nbnet.config import epsilon as _epsilon
from nbnet.engine.graph.tensor import Tensor, tensor, tensors
from nbnet.ops.activation import log_sigmoid
from nbnet.ops.arithmetic import clip, log10, rsqrt
from nbnet.ops.broadcast import add, divide, multiply, subtract
from nbnet.ops.create import one_hot
from nbnet.ops.elementwise import log, negative, square
from nbnet.ops.places import index_tensor, reshaped_indices, take_along_axis
from nbnet.ops.reduction import checked_axes, max, mean, sum
from nbnet.ops.reshape import checked_axis, reshape, squeeze
from nbnet.ops.softmax import log_softmax
from nbnet.ops.statistics import moments


def _same_shapes(target: Any, output: Any) -> tuple[Tensor, Tensor]:
    t, y = tensors(target, output)
    if t.shape != y.shape:
        raise ValueError(f"target, output: expected tensors of one shape, got {t.shape} and {y.shape}")
    return t, y


def _log_probabilities(output: Tensor, from_logits: bool, axis: int) -> Tensor:
    """Logarithms of probabilities along an axis; probabilities are scaled to a sum of 1, and kept away from 0 and 1."""
    if not output.shape:
        raise ValueError("output: expected at least one axis")
    if from_logits:
        return log_softmax(output, axis)
    return log(clip(divide(output, sum(output, axis, keepdims=True)), _epsilon(), 1.0 - _epsilon()))


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """The cross-entropy of probabilities of the class 1, element by element.

    Parameters
    ----------
    target
        Labels from 0 to 1: tensor or array.
    output
        Probabilities of the same shape.
    from_logits
        True if outputs are logits instead.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.binary_crossentropy([1.0, 0.0], [0.5, 0.25]).numpy().round(4)
    array([0.6931, 0.2877], dtype=float32)
    """
    t, y = _same_shapes(target, output)
    if from_logits:
        one, zero = log_sigmoid(y), log_sigmoid(negative(y))
    else:
        y = clip(y, _epsilon(), 1.0 - _epsilon())
        one, zero = log(y), log(subtract(1.0, y))
    return negative(add(multiply(t, one), multiply(subtract(1.0, t), zero)))


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """The cross-entropy of probabilities of classes.

    Parameters
    ----------
    target
        Probabilities of the classes along the axis: tensor or array.
    output
        Predicted probabilities of the same shape, scaled here to a sum of 1.
    from_logits
        True if outputs are logits instead.
    axis
        Axis of the classes, which the result does not have.

    Raises
    ------
    ValueError
        If the shapes differ, or the axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    t, y = _same_shapes(target, output)
    return negative(sum(multiply(t, _log_probabilities(y, from_logits, axis)), axis))


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """The cross-entropy of probabilities of classes, for class numbers.

    Parameters
    ----------
    target
        Class numbers: integers, of the shape of output without the axis of the classes, or with a last axis of length
        1.
    output
        Predicted probabilities: tensor or array.
    from_logits
        True if outputs are logits instead.
    axis
        Axis of the classes.

    Raises
    ------
    IndexError
        If a class number is known and out of range.
    ValueError
        If shapes do not fit, or the axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sparse_categorical_crossentropy([1], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    y, classes = tensor(output), index_tensor(target, "target")
    log_p = _log_probabilities(y, from_logits, axis)
    axis = checked_axis(axis, y.ndim)
    wanted = (*y.shape[:axis], *y.shape[axis + 1 :])
    if classes.shape not in (wanted, (*wanted, 1)):
        raise ValueError(f"target: expected class numbers of shape {wanted} for output {y.shape}, got {classes.shape}")
    places = reshaped_indices(classes, (*y.shape[:axis], 1, *y.shape[axis + 1 :]))
    return negative(squeeze(take_along_axis(log_p, places, axis), axis))


def multi_hot(
    inputs: Any, num_classes: int | None = None, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Tensor:
    """Sets of class numbers as vectors with ones at the classes; numbers out of range are left out.

    Parameters
    ----------
    inputs
        (n, k): the k class numbers of each of n sets; or (k,), of one.
    num_classes
        Length of the vectors.
    axis
        Axis of the vectors before the k numbers of a set are joined.
    dtype
        See :func:`nbnet.ops.convert_to_tensor`.
    sparse
        False: tensors are dense.

    Raises
    ------
    ValueError
        If num_classes is missing, or sparse is True.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.multi_hot([[0, 2]], 3).numpy()
    array([[1., 0., 1.]], dtype=float32)
    """
    if num_classes is None:
        raise ValueError("num_classes: expected the number of classes, got None")
    if sparse:
        raise ValueError("sparse: expected False, as tensors are dense")
    hot = one_hot(inputs, index(num_classes), axis, dtype)
    return max(hot, 1 if hot.ndim > 2 else 0)


def _aligned(v: Any, x: Tensor, axes: Sequence[int]) -> Tensor:
    """A scale or offset for axes of x, with an axis of length 1 for each of the others."""
    made = tensors(x, v)[1]
    wanted = tuple(x.shape[k] for k in axes)
    if made.shape != wanted:
        raise ValueError(f"gamma, beta, scale: expected shape {wanted}, got {made.shape}")
    return reshape(made, tuple(n if k in axes else 1 for k, n in enumerate(x.shape)))


def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Tensor:
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta``, with mean and variance over axes.

    Parameters
    ----------
    x
        Tensor or array.
    gamma, beta
        Factors and summands of the shape of these axes; None for ones and zeros.
    axis
        An axis or several.
    epsilon
        A small number; None for :func:`nbnet.config.epsilon`.

    Raises
    ------
    ValueError
        If an axis is out of range, or shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.layer_normalization([[1.0, 3.0]]).numpy().round(4)
    array([[-1.,  1.]], dtype=float32)
    """
    made = tensor(x)
    axes = checked_axes(axis, made.ndim)
    average, variance = moments(made, axes, keepdims=True)
    y = multiply(subtract(made, average), rsqrt(add(variance, _epsilon() if epsilon is None else epsilon)))
    y = y if gamma is None else multiply(y, _aligned(gamma, made, axes))
    return y if beta is None else add(y, _aligned(beta, made, axes))


def rms_normalization(x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None) -> Tensor:
    """``x / sqrt(mean(x**2) + epsilon) * scale``, with the mean over axes.

    Parameters
    ----------
    x
        Tensor or array.
    scale
        Factors of the shape of these axes; None for ones.
    axis
        An axis or several.
    epsilon
        A small number; None for :func:`nbnet.config.epsilon`.

    Raises
    ------
    ValueError
        If an axis is out of range, or shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.rms_normalization([[3.0, 3.0]]).numpy().round(4)
    array([[1., 1.]], dtype=float32)
    """
    made = tensor(x)
    axes = checked_axes(axis, made.ndim)
    power = mean(square(made), axes, keepdims=True)
    y = multiply(made, rsqrt(add(power, _epsilon() if epsilon is None else epsilon)))
    return y if scale is None else multiply(y, _aligned(scale, made, axes))


def psnr(x1: Any, x2: Any, max_val: float) -> Tensor:
    """The peak signal-to-noise ratio of two signals, in decibels.

    Parameters
    ----------
    x1, x2
        Tensors or arrays of one shape.
    max_val
        The largest value that a signal can have.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import nbnet as nb
    >>> f"{nb.ops.psnr([0.0, 1.0], [0.0, 0.5], 1.0).item():.4f}"
    '9.0309'
    """
    a, b = tensors(x1, x2)
    if a.shape != b.shape:
        raise ValueError(f"x1, x2: expected tensors of one shape, got {a.shape} and {b.shape}")
    error = mean(square(subtract(a, b)))
    return subtract(multiply(log10(tensors(error, max_val)[1]), 20.0), multiply(log10(error), 10.0))
