"""Fully connected layers: Dense, and DropConnectDense, which drops weights instead of units."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nbnet import activations, random
from nbnet.activations import linear
from nbnet.base.loading_budget import reserve
from nbnet.base.validation import check_choice, check_int
from nbnet.dropout_schedules import DropoutSchedule, RateLike
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.arguments import (
    ActivationLike,
    ConstraintLike,
    InitializerLike,
    RegularizerLike,
    features,
    refuse,
    weight_options,
)
from nbnet.layers.dropout import RateLayer
from nbnet.layers.layer import Layer, Shape
from nbnet.ops.dense import dense
from nbnet.ops.elementwise import sqrt, square
from nbnet.ops.reduction import mean
from nbnet.ops.reshape import expand_dims
from nbnet.ops.structured_dropout import drop_connect


class Dense(Layer):
    """A fully connected layer: ``activation(x @ kernel + bias)``.

    Parameters
    ----------
    units
        Size of the output, above 0.
    activation
        Name or function; None for none.
    use_bias
        If True, add a bias.
    kernel_initializer, bias_initializer
        Names or initializers.
    kernel_regularizer, bias_regularizer, activity_regularizer
        Names, regularizers or functions: penalties on the weights, and on the output for each row of the batch, which
        are added to the loss.
    kernel_constraint, bias_constraint
        Names, constraints or functions that are applied to the weights after each update.
    lora_rank, lora_alpha, quantization_config
        Only None: nbnet trains all weights, in float32 or float64.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` (see :class:`Layer`).

    Attributes
    ----------
    kernel
        (inputs, units)
    bias
        (units,); None without ``use_bias``.

    Raises
    ------
    ValueError
        If units is not a positive integer, or a name is not known.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.Dense(2, activation="relu", kernel_initializer="ones")
    >>> layer([[1.0, 2.0, -4.0]]).numpy()
    array([[0., 0.]], dtype=float32)
    >>> [w.shape for w in layer.get_weights()]
    [(3, 2), (2,)]
    """

    supports_masking = True
    _arguments: ClassVar[tuple[str, ...]] = ("units", "activation", "use_bias")
    _weight_names = ("kernel", "bias")

    def __init__(
        self,
        units: int,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        refuse("train all weights", lora_rank=lora_rank, lora_alpha=lora_alpha)
        refuse("weights are float32 or float64", quantization_config=quantization_config)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = check_int(units, "units")
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint = weight_options(
            "kernel", kernel_initializer, kernel_regularizer, kernel_constraint
        )
        self.bias_initializer, self.bias_regularizer, self.bias_constraint = weight_options(
            "bias", bias_initializer, bias_regularizer, bias_constraint
        )

    def build(self, input_shape: Shape) -> None:
        self.kernel = self._add_named_weight("kernel", (features(self.name, input_shape), self.units))
        if self.use_bias:
            self.bias = self._add_named_weight("bias", (self.units,))
        else:
            self.bias = None  # type: ignore[assignment]
            reserve(self.units, self.name, kept=True)
            self._no_bias = Tensor((self.units,), self.dtype, np.zeros(self.units, self.dtype), name="no_bias")

    @property
    def _added(self) -> Tensor:
        """The bias, or zeros."""
        return self._no_bias if self.bias is None else self.bias

    def call(self, x: Tensor) -> Tensor:
        if x.shape[-1:] != self.kernel.shape[:1]:
            raise ValueError(
                f"{self.name}: was built for {self.kernel.shape[0]} features, got an input of shape {x.shape}"
            )
        return self.activation(dense(x, self.kernel, self._added))


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
        reserve(self.samples * self.units, self.name, kept=True)
        half = random.generator(key).normal(size=(-(-self.samples // 2), self.units))
        numbers = np.concatenate([half, -half])
        self._normals = Tensor(numbers.shape, self.dtype, numbers.astype(self.dtype), name=f"{self.name}/normals")

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if training:
            y = drop_connect(x, self.kernel, self._added, self._rate, self.group_size, key=self.key)
            return self.activation(y)
        if self.inference == "mean" or self.activation is linear:
            return super().call(x)
        odds = self._rate / (1.0 - self._rate)
        variance = dense(square(x), square(self.kernel), square(self._added)) * odds
        drawn = expand_dims(dense(x, self.kernel, self._added), -2) + expand_dims(sqrt(variance), -2) * self._normals
        return mean(self.activation(drawn), axis=-2)
