"""Stochastic depth."""

from __future__ import annotations

from nbnet.core.graph import Tensor
from nbnet.layers.calling import mask_rows
from nbnet.layers.rated import Rated
from nbnet.ops.dropout import dropout


class DropPath(Rated):
    """Sets whole samples to 0 with probability ``rate`` in training and multiplies the others by ``1 / (1 - rate)``;
    otherwise the identity.

    At the end of a residual branch, ``x + DropPath(rate)(branch(x))``, it lets samples skip the branch.

    Parameters
    ----------
    rate
        Probability to DROP a sample, in [0, 1], or a :class:`nbnet.dropout_schedules.DropoutSchedule`. The paper's p is
        the probability to keep; it scales by it at inference instead.
    seed
        Integer; by default the layer draws its own from the global seed.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1].

    References
    ----------
    G. Huang, Y. Sun, Z. Liu, D. Sedra, K. Q. Weinberger: Deep networks with stochastic depth. ECCV (2016).

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.DropPath(0.5, name="path")
    >>> with nb.Tape(masks={"path": [[True], [False]]}):
    ...     y = layer(np.ones((2, 3)), training=True)
    >>> y.numpy()
    array([[2., 2., 2.],
           [0., 0., 0.]], dtype=float32)
    """

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return dropout(x, self._rate, (mask_rows(), *[1] * (x.ndim - 1)), key=self.key) if training else x
