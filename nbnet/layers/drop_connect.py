"""A dense layer whose weights are dropped instead of its units."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet import random
from nbnet.activations import linear
from nbnet.core.graph import Tensor
from nbnet.dropout_schedules import DropoutSchedule
from nbnet.layers.dense import Dense
from nbnet.layers.rated import Rated
from nbnet.layers.shapes import Shape
from nbnet.ops.axes import expand_dims
from nbnet.ops.dense import dense
from nbnet.ops.drop_connect import drop_connect
from nbnet.ops.mean import mean
from nbnet.ops.sqrt import sqrt
from nbnet.ops.square import square
from nbnet.ranges import count


class DropConnectDense(Rated, Dense):
    """A fully connected layer, each of whose weights and biases is 0 with probability ``rate`` in training and
    multiplied by ``1 / (1 - rate)`` otherwise.

    The paper draws a mask for each sample. That costs as much as drawing all weights as often as there are samples, and
    turns the product of matrices into products with vectors: forward and backward of 128 rows, 784 inputs and 800 units
    take 10 ms with one mask for the batch (6 without DropConnect), 14 with four, 28 with sixteen, 176 with 128. So
    samples share masks unless they are told not to.

    In inference, the sum that goes into the activation is, over all masks, nearly normal with mean ``x W + b`` and
    variance ``rate / (1 - rate) (x^2 W^2 + b^2)``. The layer gives the mean of the activation of ``samples`` such
    numbers, the same standard normal ones for every row, in pairs of opposite sign. Without an activation that is the
    mean itself. (In the paper, which does not multiply by ``1 / (1 - rate)`` in training, mean and variance are
    ``(1 - rate)`` and ``(1 - rate)^2`` times as large, for weights that are larger by as much.)

    Parameters
    ----------
    units
        Size of the output, above 0.
    rate
        Probability to DROP a weight, in [0, 1); the paper's p is that to keep. A schedule
        (:class:`nbnet.dropout_schedules.DropoutSchedule`) needs ``inference="mean"``.
    activation
        Name or function; None for none.
    group_size
        Consecutive samples of a batch that share a mask: None for all, 1 for a mask for each, as in the paper. With a
        number, batches are not cut into slices for several threads.
    inference
        ``"moments"`` as above, or ``"mean"`` for the activation of the mean, which is a plain dense layer.
    samples
        For the moments; the paper takes 1000.
    seed
        Integer; by default the layer draws its own from the global seed.
    **kwargs
        See :class:`Dense`.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    L. Wan, M. Zeiler, S. Zhang, Y. LeCun, R. Fergus: Regularization of neural networks using DropConnect. ICML (2013),
    sections 3 and 4.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.DropConnectDense(1, 0.5, "relu", seed=1, kernel_initializer="ones", samples=1000)
    >>> np.round(layer(np.array([[0.0], [4.0]])).numpy(), 0)  # of a normal number with mean 4 and deviation 4
    array([[0.], [4.]], dtype=float32)
    """

    below_one = True

    def __init__(
        self,
        units: int,
        rate: Any,
        activation: Any = None,
        *,
        group_size: int | None = None,
        inference: str = "moments",
        samples: int = 100,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if inference not in ("moments", "mean"):
            raise ValueError(f"inference: wants 'moments' or 'mean', got {inference!r}")
        self.inference = inference
        super().__init__(rate, seed, units=units, activation=activation, **kwargs)
        self.group_size = None if group_size is None else count(group_size, "group_size")
        self.samples = count(samples, "samples")

    def _check_schedule(self, schedule: DropoutSchedule) -> None:
        super()._check_schedule(schedule)
        if self.inference == "moments":
            raise ValueError("rate: a schedule has no rate in inference, where the moments need one: inference='mean'")

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        # Not from the key, which differs from run to run: a model that is loaded predicts what it did.
        key = random.derive(self.seed or 0, self.units)
        half = random.generator(key).normal(size=(-(-self.samples // 2), self.units))
        numbers = np.concatenate([half, -half])
        self._normals = Tensor(numbers.shape, self.dtype, numbers.astype(self.dtype), name=f"{self.name}/normals")

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if training:
            y = drop_connect(x, self.kernel, self.bias, self._rate, self.group_size, key=self.key)
            return self.activation(y)
        if self.inference == "mean" or self.activation is linear:
            return super().call(x)
        odds = self._rate / (1.0 - self._rate)
        variance = dense(square(x), square(self.kernel), square(self.bias)) * odds
        drawn = expand_dims(dense(x, self.kernel, self.bias), -2) + expand_dims(sqrt(variance), -2) * self._normals
        return mean(self.activation(drawn), axis=-2)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "group_size": self.group_size,
            "inference": self.inference,
            "samples": self.samples,
        }
