"""Gaussian dropout whose variance is learned."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.core.tape import scope
from nbnet.layers.dense import Dense
from nbnet.layers.rated import Seeded
from nbnet.layers.shapes import Shape, features
from nbnet.ops.compare import less_equal
from nbnet.ops.dense import dense
from nbnet.ops.exp import exp
from nbnet.ops.gaussian_noise import gaussian_noise
from nbnet.ops.log import log
from nbnet.ops.sigmoid import sigmoid
from nbnet.ops.softplus import softplus
from nbnet.ops.sqrt import sqrt
from nbnet.ops.square import square
from nbnet.ops.sum import sum as total
from nbnet.ranges import ABOVE_ZERO, FINITE, FROM_ZERO, flag

#: Of the approximation below: Molchanov et al., equation 14.
K1, K2, K3 = 0.63576, 1.87320, 1.48695
#: Keeps roots and logarithms away from 0.
TINY = 1e-8


def divergence(log_alpha: Tensor) -> Tensor:
    """KL divergence from the log-uniform prior, summed over alphas: ``k1 - k1 sigmoid(k2 + k3 log alpha) +
    log(1 + 1 / alpha) / 2`` each."""
    return total(K1 - K1 * sigmoid(K2 + K3 * log_alpha) + 0.5 * softplus(-log_alpha))


class VariationalDropout(Seeded):
    """Multiplies units by normal numbers of mean 1 and variance alpha in training, where alpha is learned; otherwise
    the identity.

    Adds ``kl_weight`` times the KL divergence of its alphas to the loss, which draws them upwards.

    Parameters
    ----------
    initial_alpha
        Above 0. Dropout of rate p has ``alpha = p / (1 - p)``.
    per_unit
        Whether each feature has an alpha of its own; else all share one.
    kl_weight
        From 0; 1 / training rows for a loss that is a mean over rows.
    seed
        Integer; by default the layer draws its own from the global seed.

    Attributes
    ----------
    alpha
        What was learned: a number, or one for each feature.

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

    def __init__(
        self,
        initial_alpha: float = 0.25,
        per_unit: bool = False,
        kl_weight: float = 1e-4,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, **kwargs)
        self.initial_alpha, self.per_unit = ABOVE_ZERO.check(initial_alpha, "initial_alpha"), flag(per_unit, "per_unit")
        self.kl_weight = FROM_ZERO.check(kl_weight, "kl_weight")

    @property
    def alpha(self) -> Any:
        return np.exp(self.log_alpha.numpy())

    def build(self, input_shape: Shape) -> None:
        self._features = features(self.name, input_shape)
        shape, start = (self._features,) if self.per_unit else (), math.log(self.initial_alpha)
        self.log_alpha = self.add_weight(shape, lambda shape, dtype: np.full(shape, start, dtype), name="log_alpha")

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        # A shared alpha counts once for each feature.
        weight = self.kl_weight * (1 if self.per_unit else self._features)
        with scope("penalty"):  # What is drawn has the layer's name.
            self.add_loss(weight * divergence(self.log_alpha))
        if not training:
            return x
        with scope("deviation"):
            deviation = x * exp(0.5 * self.log_alpha)
        return gaussian_noise(x, deviation, key=self.key)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "initial_alpha": self.initial_alpha,
            "per_unit": self.per_unit,
            "kl_weight": self.kl_weight,
        }


class VariationalDense(Seeded, Dense):
    """A fully connected layer, each of whose weights is a normal number of a learned mean and variance.

    In training the outputs are drawn, not the weights (local reparameterisation): normal numbers of mean
    ``x @ kernel + bias`` and variance ``x ** 2 @ exp(log_sigma2)``. ``kl_weight`` times the KL divergence of the
    weights is added to the loss, and drives ``alpha = sigma ** 2 / kernel ** 2`` of useless weights to infinity. In
    inference weights whose log alpha exceeds ``threshold`` are 0, the others their mean.

    Parameters
    ----------
    units
        Size of the output, above 0.
    activation
        Name or function; None for none.
    initial_log_sigma2
        What the logarithms of the variances begin with.
    kl_weight
        From 0; 1 / training rows for a loss that is a mean over rows.
    threshold
        For log alpha; 3 is a dropout rate of 0.95.
    seed
        Integer; by default the layer draws its own from the global seed.
    **kwargs
        See :class:`Dense`.

    Attributes
    ----------
    log_alpha
        Array (inputs, units).
    sparsity
        Share of the weights that inference leaves out.

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

    def __init__(
        self,
        units: int,
        activation: Any = None,
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
    def log_alpha(self) -> Any:
        return self.log_sigma2.numpy() - np.log(np.square(self.kernel.numpy()) + self.dtype.type(TINY))

    @property
    def sparsity(self) -> float:
        return float((self.log_alpha > self.threshold).mean())

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        start = self.initial_log_sigma2
        self.log_sigma2 = self.add_weight(
            self.kernel.shape, lambda shape, dtype: np.full(shape, start, dtype), name="log_sigma2"
        )
        self._zeros = Tensor((self.units,), self.dtype, np.zeros(self.units, self.dtype), name=f"{self.name}/zeros")

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        with scope("penalty"):
            log_alpha = self.log_sigma2 - log(square(self.kernel) + TINY)
            self.add_loss(self.kl_weight * divergence(log_alpha))
        if not training:
            return self.activation(dense(x, self.kernel * less_equal(log_alpha, self.threshold), self.bias))
        with scope("moments"):
            variance = dense(square(x), exp(self.log_sigma2), self._zeros)
            mean, deviation = dense(x, self.kernel, self.bias), sqrt(variance + TINY)
        return self.activation(gaussian_noise(mean, deviation, key=self.key))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "initial_log_sigma2": self.initial_log_sigma2,
            "kl_weight": self.kl_weight,
            "threshold": self.threshold,
        }
