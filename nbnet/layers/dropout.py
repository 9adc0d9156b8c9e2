"""Dropout as a layer: at work in training, absent otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet import random
from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer, Shape
from nbnet.ops.dropout import check_rate, complete_noise_shape, dropout


class Dropout(Layer):
    """Sets units to 0 with probability ``rate`` in training and multiplies the others by ``1 / (1 - rate)``;
    otherwise the identity.

    Parameters
    ----------
    rate
        Probability to DROP a unit, in [0, 1]. Many papers give the probability to keep.
    noise_shape
        Shape of the mask, with 1 where units share their fate along an axis and None for the size of the input;
        None: every element has its own. On the batch axis, anything but 1 stands for None.
    seed
        Integer; by default the layer draws its own from the global seed.

    Attributes
    ----------
    rate
        May be changed at any time; programs read it in each step.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], or noise_shape does not fit the input.
    TypeError
        If ``keep_prob`` is given.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov: Dropout: a simple way to prevent neural
    networks from overfitting. JMLR 15 (2014), section 4 (its p is the probability to keep).

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.Dropout(0.5, seed=1)
    >>> x = np.ones((1, 8), "float32")
    >>> layer(x).numpy()
    array([[1., 1., 1., 1., 1., 1., 1., 1.]], dtype=float32)
    >>> sorted(set(layer(np.ones((100, 8)), training=True).numpy().ravel().tolist()))
    [0.0, 2.0]
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if "keep_prob" in kwargs:
            raise TypeError(
                "keep_prob: nbnet, like Keras and PyTorch, wants the probability to DROP: rate = 1 - keep_prob"
            )
        super().__init__(**kwargs)
        self._rate = Tensor((), self.dtype, np.array(check_rate(rate), self.dtype), name=f"{self.name}/rate")
        self.noise_shape = None if noise_shape is None else _check_noise_shape(noise_shape)
        self.seed = None if seed is None else random.as_integer(seed, "seed")
        self.key = random.next_key() if seed is None else random.derive(seed)

    @property
    def rate(self) -> float:
        return round(float(self._rate.item()), 7 if self.dtype == np.float32 else 15)

    @rate.setter
    def rate(self, value: float) -> None:
        self._rate.numpy()[...] = check_rate(value)

    def build(self, input_shape: Shape) -> None:
        if self.noise_shape is not None:
            complete_noise_shape((None, *self.noise_shape[1:]), (1, *(n or 1 for n in input_shape[1:])))

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if not training:
            return x
        noise = self.noise_shape
        if noise is not None and noise[0] != 1:
            noise = (None, *noise[1:])
        return dropout(x, self._rate, noise, key=self.key)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "rate": self.rate,
            "noise_shape": None if self.noise_shape is None else list(self.noise_shape),
            "seed": self.seed,
        }


def _check_noise_shape(noise_shape: Sequence[int | None]) -> Shape:
    sizes = tuple(noise_shape) if isinstance(noise_shape, Sequence) and noise_shape else (0,)
    if any(n is not None and (not isinstance(n, (int, np.integer)) or n < 1) for n in sizes):
        raise ValueError(f"noise_shape: wants a size from 1 or None for each axis, got {noise_shape!r}")
    return tuple(None if n is None else int(n) for n in sizes)
