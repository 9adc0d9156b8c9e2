"""Dropout whose rate is learned, before a layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from nbnet import random
from nbnet.core.graph import Tensor
from nbnet.core.tape import scope
from nbnet.layers.layer import Layer
from nbnet.layers.rated import Seeded
from nbnet.layers.serialization import deserialize, serialize
from nbnet.layers.shapes import Shape
from nbnet.ops.concrete_dropout import concrete_dropout
from nbnet.ops.exp import exp
from nbnet.ops.log_sigmoid import log_sigmoid
from nbnet.ops.sigmoid import sigmoid
from nbnet.ops.square import square
from nbnet.ops.sum import sum as total
from nbnet.ranges import ABOVE_ZERO, FROM_ZERO, Range


class ConcreteDropout(Seeded):
    """A layer whose input units are dropped in training, with a probability that is learned; otherwise the layer alone.

    Added to the loss are, with rate p and d input features (or channels),
    ``weight_regularizer * sum(kernel ** 2) / (1 - p)`` and
    ``dropout_regularizer * d * (p log p + (1 - p) log(1 - p))``: the first draws p to 0, the second to 1/2.

    Parameters
    ----------
    layer
        A layer with a ``kernel``: Dense, Conv1D, Conv2D.
    weight_regularizer
        From 0. In the paper's terms ``l^2 / (tau N)``, with N training rows, prior length scale l and, for regression,
        the precision tau of the observations; for classification tau is 1.
    dropout_regularizer
        From 0: ``2 / (tau N)`` for regression with a squared error, ``1 / N`` for classification.
    init_min, init_max
        Between them, the rate that training begins with is drawn.
    temperature
        Above 0: how smooth the mask is.
    seed
        Integer; by default the layer draws its own from the global seed.

    Attributes
    ----------
    rate
        The rate that was learned.
    logit
        The weight that is trained, ``log(rate / (1 - rate))``.

    Raises
    ------
    ValueError
        If a number is out of range, or the layer makes no kernel.
    TypeError
        If it is no layer.

    References
    ----------
    Y. Gal, J. Hron, A. Kendall: Concrete dropout. NIPS (2017), section 3 and appendix C.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.ConcreteDropout(nb.layers.Dense(3), weight_regularizer=1e-6, dropout_regularizer=1e-3)
    >>> layer([[1.0, 2.0]], training=True).shape
    (1, 3)
    >>> round(layer.rate, 3), len(layer.trainable_weights), len(layer.losses)
    (0.1, 3, 2)
    """

    def __init__(
        self,
        layer: Any,
        weight_regularizer: float = 1e-6,
        dropout_regularizer: float = 1e-5,
        init_min: float = 0.1,
        init_max: float = 0.1,
        temperature: float = 0.1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, **kwargs)
        if not isinstance(layer, Layer):
            raise TypeError(f"layer: wants a layer to wrap, got {layer!r}")
        inside = Range(0, 1, above=True, below=True)
        self.layer = layer
        self.weight_regularizer = FROM_ZERO.check(weight_regularizer, "weight_regularizer")
        self.dropout_regularizer = FROM_ZERO.check(dropout_regularizer, "dropout_regularizer")
        self.init_min, self.init_max = inside.check(init_min, "init_min"), inside.check(init_max, "init_max")
        if init_min > init_max:
            raise ValueError(f"init_min: wants a number up to init_max, got {init_min!r} and {init_max!r}")
        self.temperature = ABOVE_ZERO.check(temperature, "temperature")

    @property
    def rate(self) -> float:
        return 1.0 / (1.0 + math.exp(-self.logit.item()))

    def build(self, input_shape: Shape) -> None:
        self.layer.build_for(input_shape)
        kernel = getattr(self.layer, "kernel", None)
        if not isinstance(kernel, Tensor):
            raise ValueError(f"layer: wants one with a kernel, got {self.layer!r}")
        self._kernel = kernel
        low, high = (math.log(p / (1.0 - p)) for p in (self.init_min, self.init_max))
        start = random.generator(random.derive(self.key, 1)).uniform(low, high)
        self.logit = self.add_weight((), lambda shape, dtype: np.full(shape, start, dtype), name="logit")
        self._features = int(input_shape[-1] or 0)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        with scope("penalty"):  # What is drawn has the layer's name.
            self._add_losses()
        if training:
            x = concrete_dropout(x, self.logit, self.temperature, key=self.key)
        y: Tensor = self.layer(x, training=training)
        return y

    def _add_losses(self) -> None:
        """1 / (1 - rate) is 1 + e^logit."""
        logit, rate = self.logit, sigmoid(self.logit)
        self.add_loss(self.weight_regularizer * total(square(self._kernel)) * (1.0 + exp(logit)))
        negative_entropy = rate * log_sigmoid(logit) + (1.0 - rate) * log_sigmoid(-logit)
        self.add_loss((self.dropout_regularizer * self._features) * negative_entropy)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "layer": serialize(self.layer),
            "weight_regularizer": self.weight_regularizer,
            "dropout_regularizer": self.dropout_regularizer,
            "init_min": self.init_min,
            "init_max": self.init_max,
            "temperature": self.temperature,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**{**config, "layer": deserialize(config["layer"])})
