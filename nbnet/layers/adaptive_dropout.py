"""Dropout that adapts to the data: concrete dropout, standout, variational dropout and its dense layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nbnet import random
from nbnet.base.loading_budget import reserve
from nbnet.base.validation import ABOVE_ZERO, FINITE, FROM_ZERO, Interval, check_bool
from nbnet.engine.graph.tensor import Tensor, scope
from nbnet.layers.arguments import ActivationLike, features
from nbnet.layers.dense import Dense
from nbnet.layers.dropout import StochasticLayer
from nbnet.layers.layer import Layer, Shape
from nbnet.layers.serialization import deserialize, serialize
from nbnet.ops.activation import log_sigmoid, sigmoid, softplus
from nbnet.ops.compare import less_equal
from nbnet.ops.dense import dense
from nbnet.ops.dropout import bernoulli
from nbnet.ops.elementwise import exp, log, sqrt, square
from nbnet.ops.noise import concrete_dropout, gaussian_noise
from nbnet.ops.reduction import sum as total


class ConcreteDropout(StochasticLayer):
    """Drops input units of a layer in training, with a probability that is learned; otherwise only applies the layer.

    With rate p and d input features (or channels), it adds to the loss
    ``weight_regularizer * sum(kernel ** 2) / (1 - p)``, which draws p to 0, and
    ``dropout_regularizer * d * (p log p + (1 - p) log(1 - p))``, which draws it to 1/2.

    Parameters
    ----------
    layer
        A layer with a ``kernel``: Dense, Conv1D, Conv2D.
    weight_regularizer
        From 0. In the paper's terms ``l^2 / (tau N)``, with N training rows, prior length scale l and, for regression,
        the precision tau of the observations; for classification tau is 1.
    dropout_regularizer
        From 0: ``2 / (tau N)`` for regression with a squared error, ``1 / N`` for classification.
    init_min, init_max
        Range in (0, 1) that the initial rate is drawn from.
    temperature
        Above 0; the larger, the smoother the mask.

    Attributes
    ----------
    rate
        The learned rate.
    logit
        The trained weight, ``log(rate / (1 - rate))``.

    Raises
    ------
    ValueError
        If a number is out of range, or the layer has no kernel.
    TypeError
        If it is no layer.

    References
    ----------
    Y. Gal, J. Hron, A. Kendall: Concrete dropout. NIPS (2017), section 3 and appendix C.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.ConcreteDropout(nb.layers.Dense(3), weight_regularizer=1e-6, dropout_regularizer=1e-3)
    >>> layer([[1.0, 2.0]], training=True).shape
    (1, 3)
    >>> round(layer.rate, 3), len(layer.trainable_weights), len(layer.losses)
    (0.1, 3, 2)
    """

    _arguments = ("weight_regularizer", "dropout_regularizer", "init_min", "init_max", "temperature")

    def __init__(
        self,
        layer: Layer,
        weight_regularizer: float = 1e-6,
        dropout_regularizer: float = 1e-5,
        init_min: float = 0.1,
        init_max: float = 0.1,
        temperature: float = 0.1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, **kwargs)
        if not isinstance(layer, Layer):
            raise TypeError(f"layer: expected a layer to wrap, got {layer!r}")
        inside = Interval(0, 1, above=True, below=True)
        self.layer = layer
        self.weight_regularizer = FROM_ZERO.check(weight_regularizer, "weight_regularizer")
        self.dropout_regularizer = FROM_ZERO.check(dropout_regularizer, "dropout_regularizer")
        self.init_min, self.init_max = inside.check(init_min, "init_min"), inside.check(init_max, "init_max")
        if init_min > init_max:
            raise ValueError(f"init_min: expected a number up to init_max, got {init_min!r} and {init_max!r}")
        self.temperature = ABOVE_ZERO.check(temperature, "temperature")

    @property
    def rate(self) -> float:
        return 1.0 / (1.0 + math.exp(-self.logit.item()))

    def build(self, input_shape: Shape) -> None:
        self.layer.build_for(input_shape)
        kernel = getattr(self.layer, "kernel", None)
        if not isinstance(kernel, Tensor):
            raise ValueError(f"layer: expected one with a kernel, got {self.layer!r}")
        self._kernel = kernel
        low, high = (math.log(p / (1.0 - p)) for p in (self.init_min, self.init_max))
        start = random.generator(random.derive(self.key, 1)).uniform(low, high)
        self.logit = self.add_weight((), lambda shape, dtype: np.full(shape, start, dtype), name="logit")
        self._features = int(input_shape[-1] or 0)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        with scope("penalty"):  # The mask has the layer's name.
            self._add_losses()
        if training:
            x = concrete_dropout(x, self.logit, self.temperature, key=self.key)
        return self.layer(x, training=training)

    def _add_losses(self) -> None:
        logit, rate = self.logit, sigmoid(self.logit)
        # 1 / (1 - rate) is 1 + e^logit.
        self.add_loss(self.weight_regularizer * total(square(self._kernel)) * (1.0 + exp(logit)))
        negative_entropy = rate * log_sigmoid(logit) + (1.0 - rate) * log_sigmoid(-logit)
        self.add_loss((self.dropout_regularizer * self._features) * negative_entropy)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"layer": serialize(self.layer)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        if "layer" not in config:
            raise ValueError("config: expected a layer, got none")
        return cls(**{**config, "layer": deserialize(config["layer"])})


class StandoutDense(StochasticLayer, Dense):
    """``activation(z) * mask`` in training, where ``z = x @ kernel + bias`` and the mask keeps a unit with probability
    ``sigmoid(alpha * z + beta)``; otherwise ``activation(z) * sigmoid(alpha * z + beta)``.

    Kept units are not scaled. No gradient flows through the probabilities: they use the weights of the layer itself,
    which the paper finds as good as learning others.

    Parameters
    ----------
    units, activation, **kwargs
        As for :class:`Dense`.
    alpha, beta
        Scale and shift of the probabilities. With alpha 0, all units are dropped with the rate ``sigmoid(-beta)``.

    Raises
    ------
    ValueError
        If alpha or beta is not finite.

    References
    ----------
    J. Ba, B. Frey: Adaptive dropout for training deep neural networks. NIPS (2013), section 3.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.StandoutDense(1, "relu", kernel_initializer="ones")
    >>> layer([[0.0], [2.0]]).numpy().round(4)
    array([[0.    ], [1.7616]], dtype=float32)
    """

    _arguments = ("alpha", "beta")

    def __init__(
        self,
        units: int,
        activation: ActivationLike = None,
        *,
        alpha: float = 1.0,
        beta: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, units=units, activation=activation, **kwargs)
        self.alpha, self.beta = FINITE.check(alpha, "alpha"), FINITE.check(beta, "beta")

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        with scope("sums"):  # The mask has the layer's name.
            z = dense(x, self.kernel, self._added)
            keep, y = sigmoid(self.alpha * z + self.beta), self.activation(z)
        return bernoulli(y, keep, key=self.key) if training else y * keep


#: Constants of the approximation below: Molchanov et al., equation 14.
K1, K2, K3 = 0.63576, 1.87320, 1.48695
#: Keeps roots and logarithms away from 0.
TINY = 1e-8


def divergence(log_alpha: Tensor) -> Tensor:
    """KL divergence from the log-uniform prior, summed over alphas: ``k1 - k1 sigmoid(k2 + k3 log alpha) +
    log(1 + 1 / alpha) / 2`` each."""
    return total(K1 - K1 * sigmoid(K2 + K3 * log_alpha) + 0.5 * softplus(-log_alpha))


class VariationalDropout(StochasticLayer):
    """Multiplies units by normal numbers of mean 1 and a learned variance alpha in training; otherwise the identity.

    Adds ``kl_weight`` times the KL divergence of its alphas to the loss, which draws them upwards.

    Parameters
    ----------
    initial_alpha
        Above 0. Dropout of rate p has ``alpha = p / (1 - p)``.
    per_unit
        If True, each feature has its own alpha; else all share one.
    kl_weight
        From 0; 1 / training rows for a loss that is a mean over rows.

    Attributes
    ----------
    alpha
        The learned variance, a scalar array, or (features,).

    Raises
    ------
    ValueError
        If a number is out of range, or inputs have no features.

    References
    ----------
    D. P. Kingma, T. Salimans, M. Welling: Variational dropout and the local reparameterization trick. NIPS (2015),
    section 3.1. The divergence is the approximation of Molchanov et al. (see :class:`VariationalDense`), which holds
    for alphas above 1 as well.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.VariationalDropout(0.25)
    >>> layer([[1.0, 2.0]], training=True).shape
    (1, 2)
    >>> round(float(layer.alpha), 3)
    0.25
    """

    _arguments = ("initial_alpha", "per_unit", "kl_weight")

    def __init__(
        self,
        initial_alpha: float = 0.25,
        per_unit: bool = False,
        kl_weight: float = 1e-4,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, **kwargs)
        self.initial_alpha = ABOVE_ZERO.check(initial_alpha, "initial_alpha")
        self.per_unit = check_bool(per_unit, "per_unit")
        self.kl_weight = FROM_ZERO.check(kl_weight, "kl_weight")

    @property
    def alpha(self) -> NDArray[Any]:
        return np.exp(self.log_alpha.memory())

    def build(self, input_shape: Shape) -> None:
        self._features = features(self.name, input_shape)
        self._sizes = (*[None] * (len(input_shape) - 1), self._features)
        shape, start = (self._features,) if self.per_unit else (), math.log(self.initial_alpha)
        self.log_alpha = self.add_weight(shape, lambda shape, dtype: np.full(shape, start, dtype), name="log_alpha")

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        # A shared alpha counts once for each feature.
        weight = self.kl_weight * (1 if self.per_unit else self._features)
        with scope("penalty"):  # The noise has the layer's name.
            self.add_loss(weight * divergence(self.log_alpha))
        if not training:
            return x
        with scope("deviation"):
            deviation = x * exp(0.5 * self.log_alpha)
        return gaussian_noise(x, deviation, key=self.key)


class VariationalDense(StochasticLayer, Dense):
    """A fully connected layer whose weights are normal numbers with learned means and variances.

    Training draws the outputs, not the weights (local reparameterisation): normal numbers of mean
    ``x @ kernel + bias`` and variance ``x ** 2 @ exp(log_sigma2)``. ``kl_weight`` times the KL divergence of the
    weights is added to the loss, and drives ``alpha = sigma ** 2 / kernel ** 2`` of useless weights to infinity.
    Inference sets weights whose log alpha exceeds ``threshold`` to 0 and takes the means of the others.

    Parameters
    ----------
    units, activation, **kwargs
        As for :class:`Dense`.
    initial_log_sigma2
        Initial logarithm of the variances.
    kl_weight
        From 0; 1 / training rows for a loss that is a mean over rows.
    threshold
        Largest log alpha of a weight that inference uses; 3 is a dropout rate of 0.95.

    Attributes
    ----------
    log_alpha
        Array (inputs, units).
    sparsity
        Share of the weights that inference sets to 0.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    D. Molchanov, A. Ashukha, D. Vetrov: Variational dropout sparsifies deep neural networks. ICML (2017), section 4.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.VariationalDense(2, kernel_initializer="ones")
    >>> layer([[1.0, 2.0]]).numpy(), layer.sparsity
    (array([[3., 3.]], dtype=float32), 0.0)
    """

    _arguments = ("initial_log_sigma2", "kl_weight", "threshold")

    def __init__(
        self,
        units: int,
        activation: ActivationLike = None,
        *,
        initial_log_sigma2: float = -10.0,
        kl_weight: float = 1e-4,
        threshold: float = 3.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, units=units, activation=activation, **kwargs)
        self.initial_log_sigma2 = FINITE.check(initial_log_sigma2, "initial_log_sigma2")
        self.kl_weight = FROM_ZERO.check(kl_weight, "kl_weight")
        self.threshold = FINITE.check(threshold, "threshold")

    @property
    def log_alpha(self) -> NDArray[Any]:
        return np.asarray(self.log_sigma2.numpy() - np.log(np.square(self.kernel.numpy()) + self.dtype.type(TINY)))

    @property
    def sparsity(self) -> float:
        return float((self.log_alpha > self.threshold).mean())

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        start = self.initial_log_sigma2
        self.log_sigma2 = self.add_weight(
            self.kernel.shape, lambda shape, dtype: np.full(shape, start, dtype), name="log_sigma2"
        )
        reserve(self.units, self.name, kept=True)
        self._zeros = Tensor((self.units,), self.dtype, np.zeros(self.units, self.dtype), name=f"{self.name}/zeros")

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        with scope("penalty"):
            log_alpha = self.log_sigma2 - log(square(self.kernel) + TINY)
            self.add_loss(self.kl_weight * divergence(log_alpha))
        if not training:
            return self.activation(dense(x, self.kernel * less_equal(log_alpha, self.threshold), self._added))
        with scope("moments"):
            variance = dense(square(x), exp(self.log_sigma2), self._zeros)
            mean, deviation = dense(x, self.kernel, self._added), sqrt(variance + TINY)
        return self.activation(gaussian_noise(mean, deviation, key=self.key))
