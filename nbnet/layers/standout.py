"""A dense layer that decides by its own sums which units to keep."""

from __future__ import annotations

from typing import Any

from nbnet.core.graph import Tensor
from nbnet.core.tape import scope
from nbnet.layers.dense import Dense
from nbnet.layers.rated import Seeded
from nbnet.ops.bernoulli import bernoulli
from nbnet.ops.dense import dense
from nbnet.ops.sigmoid import sigmoid
from nbnet.ranges import FINITE


class StandoutDense(Seeded, Dense):
    """``activation(z) * mask`` in training, where ``z = x @ kernel + bias`` and the mask keeps a unit with probability
    ``sigmoid(alpha * z + beta)``; otherwise ``activation(z) * sigmoid(alpha * z + beta)``.

    Kept units are not scaled. No gradient flows through the probabilities: the weights that decide are those of the
    layer, which the paper has found as good as learning others.

    Parameters
    ----------
    units
        Size of the output, above 0.
    activation
        Name or function; None for none.
    alpha, beta
        Of the probabilities. With alpha 0, all units are dropped with the rate ``sigmoid(-beta)``.
    seed
        Integer; by default the layer draws its own from the global seed.
    **kwargs
        See :class:`Dense`.

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

    def __init__(
        self,
        units: int,
        activation: Any = None,
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
            z = dense(x, self.kernel, self.bias)
            keep, y = sigmoid(self.alpha * z + self.beta), self.activation(z)
        return bernoulli(y, keep, key=self.key) if training else y * keep

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"alpha": self.alpha, "beta": self.beta}
