"""DropConnect: a dense layer that drops weights instead of units."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet import random
from nbnet.activations import ActivationLike, linear
from nbnet.base.validation import check_choice, check_int
from nbnet.dropout_schedules import DropoutSchedule, RateLike
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.dense import Dense
from nbnet.layers.dropout import RateLayer
from nbnet.layers.layer import Shape
from nbnet.ops.dense import dense
from nbnet.ops.drop_connect import drop_connect
from nbnet.ops.elementwise import sqrt, square
from nbnet.ops.reduction import mean
from nbnet.ops.reshape import expand_dims


class DropConnectDense(RateLayer, Dense):
    """A fully connected layer that sets weights and biases to 0 with probability ``rate`` in training and multiplies
    the others by ``1 / (1 - rate)``.

    The paper draws a mask for each sample. That draws all weights once for each sample, and turns the matrix
    product into products with vectors: forward and backward of 128 rows, 784 inputs and 800 units take 10 ms with one
    mask for the batch (6 without DropConnect), 14 with four, 28 with sixteen, 176 with 128. So samples share masks by
    default.

    In inference, the input of the activation is, over all masks, nearly normal with mean ``x W + b`` and variance
    ``rate / (1 - rate) (x^2 W^2 + b^2)``. The layer returns the mean of the activation of ``samples`` such numbers,
    drawn from the same standard normal ones for every row, in pairs of opposite sign. Without an activation that is
    ``x W + b`` itself. (The paper does not multiply by ``1 / (1 - rate)`` in training; its mean and variance are
    ``(1 - rate)`` and ``(1 - rate)^2`` times as large, for weights that are larger by as much.)

    Parameters
    ----------
    units, activation, **kwargs
        As for :class:`Dense`.
    rate
        Probability of DROPPING a weight, in [0, 1); the paper's p is that of keeping. A schedule
        (:class:`nbnet.dropout_schedules.DropoutSchedule`) needs ``inference="mean"``.
    group_size
        Number of consecutive samples of a batch that share a mask: None for all, 1 for a mask for each, as in the
        paper. With a number, batches are not sliced for several threads.
    inference
        ``"moments"`` as above, or ``"mean"`` for the activation of the mean, as in a plain dense layer.
    samples
        Number of normal numbers for the moments; the paper takes 1000.

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

    _arguments = ("group_size", "inference", "samples")
    below_one = True

    def __init__(
        self,
        units: int,
        rate: RateLike,
        activation: ActivationLike = None,
        *,
        group_size: int | None = None,
        inference: str = "moments",
        samples: int = 100,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.inference = check_choice(inference, "inference", ["moments", "mean"])
        super().__init__(rate, seed, units=units, activation=activation, **kwargs)
        self.group_size = None if group_size is None else check_int(group_size, "group_size")
        self.samples = check_int(samples, "samples")

    def _check_schedule(self, schedule: DropoutSchedule) -> None:
        super()._check_schedule(schedule)
        if self.inference == "moments":
            raise ValueError(
                "rate: a schedule has no rate in inference, and the moments need one; pass inference='mean'"
            )

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        # Without a seed the key differs from run to run, and a loaded model must predict the same numbers.
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
