"""Normalization of each sample by itself: in groups of channels, by the root mean square, to length 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet.base.validation import FROM_ZERO, check_int
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.arguments import ConstraintLike, InitializerLike, RegularizerLike, as_axes
from nbnet.layers.layer import Layer, Shape
from nbnet.layers.normalization import ScaledNormalization
from nbnet.ops.broadcast import add, divide, multiply, subtract
from nbnet.ops.elementwise import sqrt, square
from nbnet.ops.products import normalize
from nbnet.ops.reduction import checked_axes, mean
from nbnet.ops.reshape import reshape


def _axes(layer: Layer, axis: int | Sequence[int], shape: Shape) -> tuple[int, ...]:
    """The axes of a layer from 0, in order; ValueError if the input has no such axes, or one is open."""
    axes = checked_axes(axis, len(shape))
    if not axes or any(k and shape[k] is None for k in axes):
        raise ValueError(f"{layer.name}: expected known lengths along axis {axis}, got inputs of shape {shape}")
    return axes


class GroupNormalization(ScaledNormalization):
    """Normalizes each sample in groups of channels: all elements of a group by their mean and variance.

    Parameters
    ----------
    groups
        Number of groups, a divisor of the number of channels: 1 normalizes as :class:`LayerNormalization` over all
        axes, -1 or the number of channels each channel by itself.
    axis
        Of the channels.
    epsilon, center, scale, beta_initializer, ..., gamma_constraint, **kwargs
        As for :class:`BatchNormalization`.

    Attributes
    ----------
    gamma, beta
        (channels,); None without ``scale``, ``center``.

    Raises
    ------
    ValueError
        If the channels cannot be grouped so, or the input has no such axis.

    References
    ----------
    Y. Wu, K. He: Group normalization. ECCV (2018).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.GroupNormalization(2, epsilon=0.0)([[1.0, 5.0, 0.0, 2.0]]).numpy()
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    _arguments = ("groups", "axis")

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike = None,
        gamma_regularizer: RegularizerLike = None,
        beta_constraint: ConstraintLike = None,
        gamma_constraint: ConstraintLike = None,
        **kwargs: Any,
    ) -> None:
        beta = beta_initializer, beta_regularizer, beta_constraint
        gamma = gamma_initializer, gamma_regularizer, gamma_constraint
        super().__init__(epsilon, center, scale, beta, gamma, **kwargs)
        self.groups = groups if groups == -1 else check_int(groups, "groups")
        self.axis = check_int(axis, "axis", None)

    def build(self, input_shape: Shape) -> None:
        (self._axis,) = _axes(self, self.axis, input_shape)
        channels = input_shape[self._axis] or 0
        if self._axis == 0:
            raise ValueError("axis: expected the axis of the channels, got that of the batch")
        if self.groups == -1:
            self.groups = channels
        if channels % self.groups:
            raise ValueError(f"groups: expected a divisor of the input's channels, {channels}, got {self.groups}")
        self._shape = tuple(channels if k == self._axis else 1 for k in range(len(input_shape)))
        self._sizes = tuple(channels if k == self._axis else None for k in range(len(input_shape)))
        self._add_scale_and_shift((channels,))

    def call(self, x: Tensor) -> Tensor:
        at = self._axis
        grouped = reshape(x, (*x.shape[:at], self.groups, x.shape[at] // self.groups, *x.shape[at + 1 :]))
        axes = tuple(k for k in range(1, grouped.ndim) if k != at)
        centred = subtract(grouped, mean(grouped, axes, keepdims=True))
        variance = mean(square(centred), axes, keepdims=True)
        y = reshape(divide(centred, sqrt(add(variance, self.epsilon))), x.shape)
        return self._scale_and_shift(y, self._shape[at:])


class RMSNormalization(Layer):
    """Divides by the root mean square over an axis, or several together, and multiplies by a learned scale.

    Parameters
    ----------
    axis
        An axis or several; not the batch's.
    epsilon
        Added to the mean square, from 0.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` (see :class:`Layer`).

    Attributes
    ----------
    scale
        Of the shape of the normalized axes.

    Raises
    ------
    ValueError
        If the input has no such axis.

    References
    ----------
    B. Zhang, R. Sennrich: Root mean square layer normalization. NeurIPS (2019).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.RMSNormalization(epsilon=0.0)([[1.0, 7.0]]).numpy()
    array([[0.2, 1.4]], dtype=float32)
    """

    _arguments = ("axis", "epsilon")

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = as_axes(axis)
        self.epsilon = FROM_ZERO.check(epsilon, "epsilon")

    def _check_input(self, shape: Shape) -> None:
        axes = checked_axes(self.axis, len(shape))
        lengths = self.scale.shape if self.built else (None,) * len(axes)
        if any(n not in (None, m) for m, n in zip(lengths, [shape[k] for k in axes], strict=True) if m is not None):
            raise ValueError(f"{self.name}: was built for lengths {lengths} of axes {axes}, got shape {shape}")

    def build(self, input_shape: Shape) -> None:
        axes = _axes(self, self.axis, input_shape)
        if axes[0] == 0:
            raise ValueError("axis: expected one or more axes other than the batch axis, got 0")
        self.scale = self.add_weight([input_shape[k] or 0 for k in axes], "ones", name="scale")

    def call(self, x: Tensor) -> Tensor:
        axes = checked_axes(self.axis, x.ndim)
        power = add(mean(square(x), axes, keepdims=True), self.epsilon)
        shape = tuple(n if k in axes else 1 for k, n in enumerate(x.shape))
        return multiply(divide(x, sqrt(power)), reshape(self.scale, shape[1:]))


class UnitNormalization(Layer):
    """Divides vectors by their length, so that it is 1.

    Parameters
    ----------
    axis
        The axis along which vectors lie, or several.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` (see :class:`Layer`).

    Raises
    ------
    TypeError
        If the axis is no integer, and no list of integers.
    ValueError
        If the input has no such axis.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.UnitNormalization()([[3.0, 4.0], [0.0, 0.0]]).numpy()
    array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """

    supports_masking = True
    _arguments = ("axis",)

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = as_axes(axis)

    def _check_input(self, shape: Shape) -> None:
        checked_axes(self.axis, len(shape))

    def call(self, x: Tensor) -> Tensor:
        return normalize(x, checked_axes(self.axis, x.ndim), epsilon=1e-12)
