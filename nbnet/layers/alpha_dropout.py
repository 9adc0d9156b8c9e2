"""Dropout for self-normalizing networks."""

from __future__ import annotations

from nbnet.core.graph import Tensor
from nbnet.layers.rated import NoiseShaped
from nbnet.ops.alpha_dropout import alpha_dropout


class AlphaDropout(NoiseShaped):
    """Sets units to the negative limit of SELU with probability ``rate`` in training, then scales and shifts all of
    them so that mean 0 and variance 1 are kept; otherwise the identity.

    Parameters
    ----------
    rate
        Probability to DROP a unit, in [0, 1], or a :class:`nbnet.dropout_schedules.DropoutSchedule`; 1 gives zeros.
    noise_shape
        Shape of the mask, as for :class:`Dropout`.
    seed
        Integer; by default the layer draws its own from the global seed.

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

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return alpha_dropout(x, self._rate, self._noise(x), key=self.key) if training else x
