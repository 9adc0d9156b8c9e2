"""Layers that add or multiply by random numbers in training: Gaussian noise, Gaussian and alpha dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet.base.validation import FROM_ZERO
from nbnet.dropout_schedules import RateLike
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.dropout import (
    RateLayer,
    StochasticLayer,
    as_noise_shape,
    batch_noise_shape,
    cell_value,
    check_input_shape,
    scalar_cell,
)
from nbnet.layers.layer import Shape
from nbnet.ops.dropout import alpha_dropout
from nbnet.ops.noise import gaussian_dropout, gaussian_noise


class GaussianNoise(StochasticLayer):
    """Adds normal numbers of mean 0 in training; otherwise the identity.

    Parameters
    ----------
    stddev
        Their standard deviation, from 0.

    Attributes
    ----------
    stddev
        May be changed at any time; programs read it in each step.

    Raises
    ------
    ValueError
        If stddev is negative or not finite.

    References
    ----------
    C. M. Bishop: Training with noise is equivalent to Tikhonov regularization. Neural Computation 7 (1995).

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.GaussianNoise(0.5, seed=1)
    >>> y = layer(np.zeros((100, 1000)), training=True).numpy()
    >>> round(float(y.std()), 2)
    0.5
    """

    _arguments = ("stddev",)

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self._stddev = scalar_cell(self, "stddev")
        self.stddev = stddev

    @property
    def stddev(self) -> float:
        return cell_value(self._stddev)

    @stddev.setter
    def stddev(self, value: float) -> None:
        self._stddev.memory()[...] = FROM_ZERO.check(value, "stddev")

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return gaussian_noise(x, self._stddev, key=self.key) if training else x


class GaussianDropout(RateLayer):
    """Multiplies units by normal numbers of mean 1 and variance ``rate / (1 - rate)`` in training, which is that of
    dropout; otherwise the identity.

    Parameters
    ----------
    rate
        In [0, 1), or a :class:`nbnet.dropout_schedules.DropoutSchedule` that stays below 1.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1).

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov: Dropout: a simple way to prevent neural
    networks from overfitting. JMLR 15 (2014), section 10.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.GaussianDropout(0.2, seed=1)
    >>> y = layer(np.ones((100, 1000)), training=True).numpy()
    >>> round(float(y.mean()), 2), round(float(y.var()), 2)
    (1.0, 0.25)
    """

    below_one = True

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return gaussian_dropout(x, self._rate, key=self.key) if training else x


class AlphaDropout(RateLayer):
    """Sets units to the negative limit of SELU with probability ``rate`` in training, then scales and shifts all of
    them so that mean 0 and variance 1 are kept; otherwise the identity.

    Parameters
    ----------
    rate
        Probability of DROPPING a unit, in [0, 1], or a :class:`nbnet.dropout_schedules.DropoutSchedule`; 1 gives zeros.
    noise_shape
        Shape of the mask, as for :class:`Dropout`.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], or noise_shape does not fit the input.

    References
    ----------
    G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter: Self-normalizing neural networks. NIPS (2017), section 2.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> x = np.random.default_rng(0).normal(size=(100, 1000))
    >>> y = nb.layers.AlphaDropout(0.1, seed=1)(x, training=True).numpy()
    >>> round(float(y.mean()), 1), round(float(y.var()), 1)
    (0.0, 1.0)
    """

    _arguments = ("noise_shape",)

    def __init__(
        self, rate: RateLike, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, seed, **kwargs)
        self.noise_shape = as_noise_shape(noise_shape)

    def _check_input(self, shape: Shape) -> None:
        check_input_shape(self.noise_shape, shape)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if not training:
            return x
        return alpha_dropout(x, self._rate, batch_noise_shape(self.noise_shape, x), key=self.key)
