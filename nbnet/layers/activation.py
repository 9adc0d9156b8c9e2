"""Activations as layers, with and without weights; and the layer that only adds a penalty on its input to the loss."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import prod
from typing import Any

from nbnet import activations, ops
from nbnet.base.validation import FROM_ZERO
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.arguments import (
    ActivationLike,
    ConstraintLike,
    InitializerLike,
    RegularizerLike,
    as_axes,
    weight_options,
)
from nbnet.layers.layer import Layer, Shape
from nbnet.ops.activation import elu, leaky_relu, prelu, relu
from nbnet.ops.reduction import checked_axes
from nbnet.ops.reshape import reshape, transpose
from nbnet.ops.softmax import softmax
from nbnet.regularizers import L1L2

#: Logits in place of those that are masked, as in Keras.
MASKED = -1e9


def _from_zero(value: Any, name: str) -> float:
    """A number from 0; None is a ValueError, as in Keras."""
    if value is None:
        raise ValueError(f"{name}: expected a number from 0, got None")
    return FROM_ZERO.check(value, name)


class Activation(Layer):
    """Applies an activation.

    Parameters
    ----------
    activation
        Name or function.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.Activation("relu")([[-1.0, 1.0]]).numpy()
    array([[0., 1.]], dtype=float32)
    """

    supports_masking = True
    _arguments = ("activation",)

    def __init__(self, activation: ActivationLike, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, x: Tensor) -> Tensor:
        return self.activation(x)


class ReLU(Layer):
    """``x`` above the threshold, at most ``max_value``; ``negative_slope * (x - threshold)`` below the threshold.

    Parameters
    ----------
    max_value
        A number from 0; None for no limit.
    negative_slope, threshold
        Numbers from 0.

    Raises
    ------
    ValueError
        If a number is negative.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.ReLU(max_value=6.0)([[-1.0, 2.0, 9.0]]).numpy()
    array([[0., 2., 6.]], dtype=float32)
    """

    supports_masking = True
    _arguments = ("max_value", "negative_slope", "threshold")

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else FROM_ZERO.check(max_value, "max_value")
        self.negative_slope = _from_zero(negative_slope, "negative_slope")
        self.threshold = _from_zero(threshold, "threshold")

    def call(self, x: Tensor) -> Tensor:
        return relu(x, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(Layer):
    """``x`` where it is above 0, else ``negative_slope * x``.

    Parameters
    ----------
    negative_slope
        A number from 0. (The default differs from that of the activation ``"leaky_relu"``, 0.2, as it does in Keras.)

    Raises
    ------
    ValueError
        If the slope is negative.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.LeakyReLU(negative_slope=0.5)([[-10.0, 5.0]]).numpy()
    array([[-5.,  5.]], dtype=float32)
    """

    supports_masking = True
    _arguments = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            warnings.warn("alpha: its name is negative_slope today", DeprecationWarning, stacklevel=2)
        super().__init__(**kwargs)
        self.negative_slope = _from_zero(negative_slope, "negative_slope")

    def call(self, x: Tensor) -> Tensor:
        return leaky_relu(x, self.negative_slope)


class PReLU(Layer):
    """``x`` where it is above 0, else ``alpha * x``; each unit learns its own alpha.

    Parameters
    ----------
    alpha_initializer
        Name or initializer.
    alpha_regularizer
        Name, regularizer or function: penalty on alpha, which is added to the loss.
    alpha_constraint
        Name, constraint or function that is applied to alpha after each update.
    shared_axes
        Axes along which units share one alpha: ``[1, 2]`` for the pixels of an image. The batch axis is 0.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` (see :class:`Layer`).

    Attributes
    ----------
    alpha
        Of the shape of a sample, with 1 along the shared axes.

    Raises
    ------
    ValueError
        If the input has no such axis.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun: Delving deep into rectifiers. ICCV (2015), section 2.1.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.PReLU(alpha_initializer="ones")
    >>> layer([[-1.0, 2.0]]).numpy()
    array([[-1.,  2.]], dtype=float32)
    """

    supports_masking = True
    _arguments = ("shared_axes",)
    _weight_names = ("alpha",)

    def __init__(
        self,
        alpha_initializer: InitializerLike = "zeros",
        alpha_regularizer: RegularizerLike = None,
        alpha_constraint: ConstraintLike = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer, self.alpha_regularizer, self.alpha_constraint = weight_options(
            "alpha", alpha_initializer, alpha_regularizer, alpha_constraint
        )
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else list(shared_axes or []) or None

    def build(self, input_shape: Shape) -> None:
        shared = checked_axes(self.shared_axes or (), len(input_shape))
        if 0 in shared:
            raise ValueError("shared_axes: axis 0 is the batch's, which always shares one alpha")
        shape = tuple(1 if k in shared else n or 0 for k, n in enumerate(input_shape))[1:]
        self.alpha = self._add_named_weight("alpha", shape)
        self._sizes = tuple(None if k == 0 or k in shared else n for k, n in enumerate(input_shape))

    def call(self, x: Tensor) -> Tensor:
        return prelu(x, self.alpha)


class ELU(Layer):
    """``x`` where it is above 0, else ``alpha * (exp(x) - 1)``.

    Parameters
    ----------
    alpha
        A number from 0: minus the limit for large negative x.

    Raises
    ------
    ValueError
        If alpha is negative.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.ELU()([[-1e4, 2.0]]).numpy()
    array([[-1.,  2.]], dtype=float32)
    """

    supports_masking = True
    _arguments = ("alpha",)

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = FROM_ZERO.check(alpha, "alpha")

    def call(self, x: Tensor) -> Tensor:
        return elu(x, self.alpha)


class Softmax(Layer):
    """``exp(x) / sum(exp(x))`` over an axis.

    Called with a ``mask`` that broadcasts to the input, it is computed over elements whose mask is above 0.5; the
    others become 0.

    Parameters
    ----------
    axis
        Axis that sums to 1, or several that do together. If the batch's is among them, rows depend on each other.

    Raises
    ------
    ValueError
        If the input has no such axis.
    TypeError
        If the axis is no integer, and no list of integers.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.Softmax()([[1.0, 1.0]]).numpy()
    array([[0.5, 0.5]], dtype=float32)
    """

    supports_masking = True
    _arguments = ("axis",)

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = as_axes(axis)

    def call(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            sizes = x.shape[x.ndim - mask.ndim :]
            if mask.ndim > x.ndim or any(m not in (1, n) for m, n in zip(mask.shape, sizes, strict=True)):
                raise ValueError(
                    f"mask: {self.name} expected one that broadcasts to the input, of shape {x.shape}, got {mask.shape}"
                )
            kept = ops.greater(mask, 0.5)
            return ops.where(kept, self.call(ops.where(kept, x, MASKED)), 0.0)
        axes = checked_axes(self.axis, x.ndim)
        if axes == (x.ndim - 1,):
            return softmax(x)
        others = [k for k in range(x.ndim) if k not in axes]
        order = [*others, *axes]
        moved = transpose(x, order)
        rows = reshape(moved, (*moved.shape[: len(others)], prod(moved.shape[len(others) :])))
        return transpose(reshape(softmax(rows), moved.shape), [order.index(k) for k in range(x.ndim)])


class Identity(Layer):
    """Returns its input: a placeholder.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.Identity()([[1.0, 2.0]]).numpy()
    array([[1., 2.]], dtype=float32)
    """

    supports_masking = True

    def call(self, x: Tensor) -> Tensor:
        return x


class ActivityRegularization(Layer):
    """Returns its input, and adds ``l1 * sum(|x|) + l2 * sum(x ** 2)``, divided by the rows of the batch, to the loss.

    Parameters
    ----------
    l1, l2
        Numbers from 0.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` (see :class:`Layer`).

    Raises
    ------
    ValueError
        If a number is below 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.ActivityRegularization(l1=0.5)
    >>> layer([[1.0, -3.0], [0.0, 2.0]]).shape
    (2, 2)
    >>> [loss.item() for loss in layer.losses]
    [1.5]
    """

    supports_masking = True
    _arguments = ("l1", "l2")

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        regularizer = L1L2(l1, l2)
        super().__init__(activity_regularizer=regularizer, **kwargs)
        self.l1, self.l2 = regularizer.l1, regularizer.l2

    def call(self, x: Tensor) -> Tensor:
        return x

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["activity_regularizer"]
        return config
