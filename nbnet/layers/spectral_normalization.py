"""Division of a layer's weights by their largest singular value."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from nbnet import ops
from nbnet.base.validation import check_int
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor
from nbnet.initializers import TruncatedNormal
from nbnet.layers.layer import Layer
from nbnet.layers.wrapper import Wrapper
from nbnet.ops.normalization import move_average

#: A lock for each layer whose weights stand aside during a call.
_locks: WeakKeyDictionary[Layer, threading.RLock] = WeakKeyDictionary()


class SpectralNormalization(Wrapper):
    """Divides the kernel of a layer by an estimate of its largest singular value, in each call in training.

    The estimate comes from a few steps of the power method, which begin at the vector of the call before. Calls in
    inference leave the kernel as it is. The layer is then 1-Lipschitz, up to its activation, which stabilises the
    training of generative adversarial networks.

    Parameters
    ----------
    layer
        A layer with a ``kernel``, such as :class:`Dense` and :class:`Conv2D`, or :class:`Embedding`.
    power_iterations
        Steps of the power method in a call, from 1.
    **kwargs
        ``name``, ``trainable``, ``dtype`` (see :class:`Layer`).

    Attributes
    ----------
    vector_u
        (1, units): the estimate of the first right singular vector; not trainable.

    Raises
    ------
    ValueError
        If the layer has neither, or power_iterations is below 1.

    References
    ----------
    T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida: Spectral normalization for generative adversarial networks. ICLR
    (2018).

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.SpectralNormalization(nb.layers.Dense(2, kernel_initializer="identity"), 20)
    >>> layer.build((None, 2))
    >>> layer.layer.kernel.assign([[4.0, 0.0], [0.0, 2.0]])
    >>> y = layer(np.ones((1, 2)), training=True)
    >>> layer.layer.kernel.numpy().round(4)
    array([[1. , 0. ],
           [0. , 0.5]], dtype=float32)
    """

    _arguments = ("power_iterations",)

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.power_iterations = check_int(power_iterations, "power_iterations")

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        self._weight_name = next((name for name in ("kernel", "embeddings") if hasattr(self.layer, name)), "")
        if not self._weight_name:
            raise ValueError(f"layer: expected one with a kernel or embeddings, got {self.layer!r}")
        units = self._weight.shape[-1]
        self.vector_u = self.add_weight((1, units), TruncatedNormal(stddev=0.02), trainable=False, name="vector_u")

    @property
    def _weight(self) -> Parameter:
        weight: Parameter = getattr(self.layer, self._weight_name)
        return weight

    def call(self, x: Any, training: bool = False) -> Any:
        if not training:
            return self.layer(x)
        with _lock(self.layer):
            weight = self._weight
            normal, vector = self._normalized(weight)
            # In a program, the weight takes its new value after the forward pass, which reads that value here.
            move_average(self.vector_u, vector, 0.0)
            move_average(weight, normal, 0.0)
            with _in_place_of(self.layer, self._weight_name, normal):
                return self.layer(x)

    def _normalized(self, weight: Parameter) -> tuple[Tensor, Tensor]:
        """The weight divided by its largest singular value, and the vector of the power method."""
        # A copy: the weight changes before the backward pass.
        kernel = ops.multiply(weight, 1.0)
        rows = ops.reshape(kernel, (-1, weight.shape[-1]))
        fixed = ops.stop_gradient(rows)
        u = v = ops.multiply(self.vector_u, 1.0)
        for _ in range(self.power_iterations):
            v = _unit(ops.matmul(u, ops.transpose(fixed)))
            u = _unit(ops.matmul(v, fixed))
        u, v = ops.stop_gradient(u), ops.stop_gradient(v)
        sigma = ops.matmul(ops.matmul(v, rows), ops.transpose(u))
        # Zeros stay zeros.
        sigma = ops.where(ops.equal(sigma, 0.0), 1.0, sigma)
        return ops.divide(kernel, ops.reshape(sigma, ())), u


def _unit(x: Tensor) -> Tensor:
    """A vector of length 1, or of zeros."""
    return ops.divide(x, ops.sqrt(ops.maximum(ops.sum(ops.square(x)), 1e-24)))


def _lock(layer: Layer) -> threading.RLock:
    return _locks.setdefault(layer, threading.RLock())


@contextmanager
def _in_place_of(layer: Layer, name: str, value: Tensor) -> Iterator[None]:
    """Inside, an attribute of a layer is another tensor."""
    attributes = vars(layer)
    before = attributes[name]
    attributes[name] = value
    try:
        yield
    finally:
        attributes[name] = before
