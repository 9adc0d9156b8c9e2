"""Multiplicative Gaussian noise of mean 1."""

from __future__ import annotations

from nbnet.core.graph import Tensor
from nbnet.layers.rated import Rated
from nbnet.ops.gaussian_dropout import gaussian_dropout


class GaussianDropout(Rated):
    """Multiplies units by normal numbers of mean 1 and variance ``rate / (1 - rate)`` in training, which is that of
    dropout; otherwise the identity.

    Parameters
    ----------
    rate
        In [0, 1), or a :class:`nbnet.dropout_schedules.DropoutSchedule` that stays below 1.
    seed
        Integer; by default the layer draws its own from the global seed.

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
