"""Additive Gaussian noise of mean 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.layers.rated import Seeded, number_in
from nbnet.ops.gaussian_noise import gaussian_noise
from nbnet.ranges import FROM_ZERO


class GaussianNoise(Seeded):
    """Adds normal numbers of mean 0 in training; otherwise the identity.

    Parameters
    ----------
    stddev
        Their standard deviation, from 0.
    seed
        Integer; by default the layer draws its own from the global seed.

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

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self._stddev = Tensor((), self.dtype, np.zeros((), self.dtype), name=f"{self.name}/stddev")
        self.stddev = stddev

    @property
    def stddev(self) -> float:
        return number_in(self._stddev)

    @stddev.setter
    def stddev(self, value: float) -> None:
        self._stddev.numpy()[...] = FROM_ZERO.check(value, "stddev")

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return gaussian_noise(x, self._stddev, key=self.key) if training else x

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"stddev": self.stddev}
