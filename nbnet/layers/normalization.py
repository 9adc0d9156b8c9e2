"""Batch and layer normalisation: statistics of the data in use, then a learned scale and shift."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, ClassVar

import numpy as np

from nbnet import initializers, ops
from nbnet.base import loading_budget
from nbnet.base.validation import FRACTION, FROM_ZERO, check_bool, check_int
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.arguments import ConstraintLike, InitializerLike, RegularizerLike, as_axes, weight_options
from nbnet.layers.layer import Layer, Shape
from nbnet.ops.normalization import batch_norm, batch_normalization, move_average
from nbnet.ops.reduction import checked_axes

#: Added to numbers of elements that count, as in Keras.
EPSILON = 1e-7


class ScaledNormalization(Layer):
    """Base of :class:`BatchNormalization` and :class:`LayerNormalization`: the result times gamma, plus beta."""

    supports_masking = True
    _arguments: ClassVar[tuple[str, ...]] = ("epsilon", "center", "scale")
    _weight_names = ("beta", "gamma")

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        beta: tuple[InitializerLike, RegularizerLike, ConstraintLike],
        gamma: tuple[InitializerLike, RegularizerLike, ConstraintLike],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.epsilon, self.center, self.scale = FROM_ZERO.check(epsilon, "epsilon"), bool(center), bool(scale)
        self.beta_initializer, self.beta_regularizer, self.beta_constraint = weight_options("beta", *beta)
        self.gamma_initializer, self.gamma_regularizer, self.gamma_constraint = weight_options("gamma", *gamma)
        self.gamma: Parameter | None = None
        self.beta: Parameter | None = None

    def _add_scale_and_shift(self, shape: tuple[int, ...]) -> None:
        """Create gamma and beta, where the layer has them."""
        if self.scale:
            self.gamma = self._add_named_weight("gamma", shape)
        if self.center:
            self.beta = self._add_named_weight("beta", shape)

    def _scale_and_shift(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return x times gamma, plus beta, both in a shape that broadcasts."""
        if self.gamma is not None:
            x = x * ops.reshape(self.gamma, shape)
        return x if self.beta is None else x + ops.reshape(self.beta, shape)


class BatchNormalization(ScaledNormalization):
    """Normalises each channel by the statistics of the batch in training, otherwise by their moving averages.

    Each training step computes ``moving = moving * momentum + batch * (1 - momentum)``, for the mean and for the
    variance (of which the divisor is the number of elements). With ``trainable = False`` the layer uses its moving
    averages in training, too, and leaves them as they are.

    A training step works on the batch as a whole: it is not sliced for several threads. Steps of sequences whose mask
    is 0 do not count in its statistics.

    Parameters
    ----------
    axis
        Of the channels.
    momentum
        Share of the moving averages that a step keeps, in [0, 1].
    epsilon
        Added to the variance, from 0.
    center, scale
        If True, there is a beta, and a gamma.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer
        Names or initializers.
    beta_regularizer, gamma_regularizer
        Names, regularizers or functions: penalties on them, which are added to the loss.
    beta_constraint, gamma_constraint
        Names, constraints or functions that are applied to them after each update.
    renorm
        If True, training uses slower moving averages, too: an output is that of inference but for the bounds of
        ``renorm_clipping``, whatever the batch.
    renorm_clipping
        Bounds of the correction, a dict: ``rmin`` and ``rmax`` of the ratio of deviations, ``dmax`` of the shift.
    renorm_momentum
        Share of these moving averages that a step keeps, in [0, 1].
    synchronized
        No difference: a batch is computed by one process.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` (see :class:`Layer`).

    Attributes
    ----------
    gamma, beta
        Trainable; None without ``scale``, ``center``.
    moving_mean, moving_variance
        Not trainable. The order of weights is gamma, beta, moving mean, moving variance.
    moving_stddev, renorm_mean, renorm_stddev
        With ``renorm`` only, not trainable; after the moving variance.

    Raises
    ------
    ValueError
        If an argument is out of range, or the input has no such axis.

    References
    ----------
    S. Ioffe, C. Szegedy: Batch normalization: accelerating deep network training by reducing internal covariate shift.
    ICML (2015). S. Ioffe: Batch renormalization: towards reducing minibatch dependence in batch-normalized models.
    NeurIPS (2017).

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.BatchNormalization(momentum=0.5, epsilon=0.0)
    >>> layer([[1.0], [5.0]], training=True).numpy().ravel()
    array([-1.,  1.], dtype=float32)
    >>> layer.moving_mean.numpy(), layer.moving_variance.numpy()
    (array([1.5], dtype=float32), array([2.5], dtype=float32))
    """

    _arguments = ("axis", "momentum", "moving_mean_initializer", "moving_variance_initializer")

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        moving_mean_initializer: InitializerLike = "zeros",
        moving_variance_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike = None,
        gamma_regularizer: RegularizerLike = None,
        beta_constraint: ConstraintLike = None,
        gamma_constraint: ConstraintLike = None,
        renorm: bool = False,
        renorm_clipping: dict[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        check_bool(synchronized, "synchronized")
        beta = beta_initializer, beta_regularizer, beta_constraint
        gamma = gamma_initializer, gamma_regularizer, gamma_constraint
        super().__init__(epsilon, center, scale, beta, gamma, **kwargs)
        self.axis, self.momentum = check_int(axis, "axis", None), FRACTION.check(momentum, "momentum")
        self.moving_mean_initializer = initializers.get(moving_mean_initializer, "moving_mean_initializer")
        self.moving_variance_initializer = initializers.get(moving_variance_initializer, "moving_variance_initializer")
        self.renorm, self.renorm_momentum = check_bool(renorm, "renorm"), FRACTION.check(renorm_momentum, "momentum")
        self.renorm_clipping = _checked_bounds(renorm_clipping or {}) if renorm else renorm_clipping

    def build(self, input_shape: Shape) -> None:
        axes = len(input_shape)
        if not -axes <= self.axis < axes or self.axis % axes == 0:
            raise ValueError(
                f"{self.name}: axis {self.axis} is not an axis of channels in inputs of shape {input_shape}"
            )
        channels = (input_shape[self.axis] or 0,)
        self._add_scale_and_shift(channels)
        self.moving_mean = self.add_weight(channels, self.moving_mean_initializer, trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(
            channels, self.moving_variance_initializer, trainable=False, name="moving_variance"
        )
        if self.renorm:
            deviation = _root_of(self.moving_variance_initializer)
            self.moving_stddev = self.add_weight(channels, deviation, trainable=False, name="moving_stddev")
            mean = self.moving_mean_initializer
            self.renorm_mean = self.add_weight(channels, mean, trainable=False, name="renorm_mean")
            self.renorm_stddev = self.add_weight(channels, deviation, trainable=False, name="renorm_stddev")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        names = ("renorm", "renorm_clipping", "renorm_momentum") if self.renorm else ()
        return config | {name: getattr(self, name) for name in names}

    def call(self, x: Tensor, training: bool = False, mask: Tensor | None = None) -> Tensor:
        if mask is not None and mask.ndim != x.ndim - 1:
            raise ValueError(
                f"mask: {self.name} expected one axis fewer than the input's shape {x.shape}, got shape {mask.shape}"
            )
        if not (training and self.trainable):
            return batch_normalization(
                x, self.moving_mean, self.moving_variance, self.axis, self.beta, self.gamma, self.epsilon
            )
        gamma, beta = (None, None) if self.renorm else (self.gamma, self.beta)
        if mask is None:
            y, mean, variance = batch_norm(x, gamma, beta, self.epsilon, self.axis)
        else:
            y, mean, variance = self._normalize_counted(x, mask, gamma, beta)
        move_average(self.moving_mean, mean, self.momentum)
        if self.renorm:
            return self._renormalize(y, mean, variance)
        move_average(self.moving_variance, variance, self.momentum)
        return y

    def _normalize_counted(self, x: Tensor, mask: Tensor, gamma: Any, beta: Any) -> tuple[Tensor, Tensor, Tensor]:
        """The output, and mean and variance of each channel, over the elements whose mask is not 0."""
        axes = tuple(axis for axis in range(x.ndim) if axis != self.axis % x.ndim)
        counts = ops.where(ops.expand_dims(mask, -1), ops.ones_like(x), 0.0)
        number = ops.sum(counts, axes, keepdims=True) + EPSILON
        mean = ops.sum(ops.where(counts, x, 0.0), axes, keepdims=True) / number
        variance = ops.sum(ops.square(ops.where(counts, x - mean, 0.0)), axes, keepdims=True) / number
        y = (x - mean) / ops.sqrt(variance + self.epsilon)
        shape = mean.shape
        y = y if gamma is None else y * ops.reshape(gamma, shape)
        y = y if beta is None else y + ops.reshape(beta, shape)
        return y, ops.reshape(mean, (mean.size,)), ops.reshape(variance, (mean.size,))

    def _renormalize(self, y: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """The output for what is normalised by the batch, corrected by the moving averages, which move on."""
        bounds, deviation = self.renorm_clipping or {}, ops.sqrt(variance + self.epsilon)
        least = ops.maximum(self.renorm_stddev, self.epsilon**0.5)
        ratio, shift = deviation / least, (mean - self.renorm_mean) / least
        if "rmin" in bounds:
            ratio = ops.maximum(ratio, bounds["rmin"])
        if "rmax" in bounds:
            ratio = ops.minimum(ratio, bounds["rmax"])
        if "dmax" in bounds:
            shift = ops.minimum(ops.maximum(shift, -bounds["dmax"]), bounds["dmax"])
        shape = (-1, *[1] * (y.ndim - 1 - self.axis % y.ndim))
        y = y * ops.reshape(ops.stop_gradient(ratio), shape) + ops.reshape(ops.stop_gradient(shift), shape)
        moved = self.moving_stddev * self.momentum + deviation * (1 - self.momentum)
        move_average(self.moving_variance, ops.relu(ops.square(moved) - self.epsilon), 0.0)
        move_average(self.moving_stddev, deviation, self.momentum)
        move_average(self.renorm_mean, mean, self.renorm_momentum)
        move_average(self.renorm_stddev, deviation, self.renorm_momentum)
        if self.gamma is not None:
            y = y * ops.reshape(self.gamma, shape)
        return y if self.beta is None else y + ops.reshape(self.beta, shape)


def _checked_bounds(bounds: Any) -> dict[str, float]:
    """The bounds of a correction that are not None; ValueError if there are others, or they exclude each other."""
    known = ("rmax", "rmin", "dmax")
    if not isinstance(bounds, Mapping) or set(bounds) - set(known):
        raise ValueError(f"renorm_clipping: expected a dict with keys among {known}, got {bounds!r}")
    found = {name: FROM_ZERO.check(bounds[name], f"renorm_clipping[{name!r}]") for name in known
             if bounds.get(name) is not None}  # fmt: skip
    if found.get("rmax", np.inf) < found.get("rmin", 0.0):
        raise ValueError(f"renorm_clipping: expected rmax from rmin, got {bounds!r}")
    return found


def _root_of(initializer: Any) -> Callable[..., Any]:
    """An initializer of deviations, for one of variances."""
    return lambda shape, dtype=None: np.sqrt(initializer(shape, dtype))


class LayerNormalization(ScaledNormalization):
    """Normalises over an axis, or several together, each sample for itself; the same in training and afterwards.

    Parameters
    ----------
    axis
        An axis or several; not the batch's. In the built layer, a sorted list.
    epsilon, center, scale, beta_initializer, ..., gamma_constraint, **kwargs
        As for :class:`BatchNormalization`. ``rms_scaling``, an argument of earlier versions of Keras, gives a warning:
        inputs are divided by their deviation, and neither the mean is subtracted nor a beta added.

    Attributes
    ----------
    gamma, beta
        Of the shape of the normalised axes; None without ``scale``, ``center``.

    Raises
    ------
    ValueError
        If the input has no such axis.
    TypeError
        If the axis is no integer, and no list of integers.

    References
    ----------
    J. L. Ba, J. R. Kiros, G. E. Hinton: Layer normalization. arXiv:1607.06450 (2016).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.LayerNormalization(epsilon=0.0)([[1.0, 5.0], [0.0, 2.0]]).numpy()
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)
    """

    _arguments = ("axis",)

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
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
        self.rms_scaling = bool(kwargs.pop("rms_scaling", False))
        if self.rms_scaling:
            warnings.warn("rms_scaling: it divides by the deviation; see RMSNormalization", stacklevel=2)
            center, scale = False, True
        beta = beta_initializer, beta_regularizer, beta_constraint
        gamma = gamma_initializer, gamma_regularizer, gamma_constraint
        super().__init__(epsilon, center, scale, beta, gamma, **kwargs)
        self.axis: int | list[int] = as_axes(axis)

    def _check_input(self, shape: Shape) -> None:
        if self.built and (self._axes[-1] >= len(shape) or any(shape[k] != n for k, n in self._lengths.items())):
            raise ValueError(f"{self.name}: was built for lengths {self._lengths} of axes, got shape {shape}")

    def build(self, input_shape: Shape) -> None:
        axes = checked_axes(self.axis, len(input_shape))
        if not axes or axes[0] == 0:
            raise ValueError(f"axis: expected one or more axes other than the batch axis, got {self.axis}")
        self._axes, self.axis = axes, list(axes)
        self._lengths = {k: input_shape[k] or 0 for k in axes}
        self._add_scale_and_shift(tuple(self._lengths.values()))

    def call(self, x: Tensor) -> Tensor:
        axes = self._axes
        if axes == tuple(range(axes[0], x.ndim)) and not self.rms_scaling:
            shape = x.shape[axes[0] :]
            loading_budget.reserve(prod(shape), self.name)
            gamma = np.ones(shape, x.dtype) if self.gamma is None else self.gamma
            beta = np.zeros(shape, x.dtype) if self.beta is None else self.beta
            return ops.layer_norm(x, gamma, beta, self.epsilon)
        centred = x - ops.mean(x, axes, keepdims=True)
        variance = ops.mean(ops.square(centred), axes, keepdims=True)
        y = (x if self.rms_scaling else centred) / ops.sqrt(variance + self.epsilon)
        return self._scale_and_shift(y, tuple(n if k in axes else 1 for k, n in enumerate(x.shape)))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return config | {"rms_scaling": True} if self.rms_scaling else config
