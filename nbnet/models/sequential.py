"""A stack of layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nbnet.core.graph import Tensor
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer, Shape
from nbnet.models.model import Model


class Sequential(Model):
    """Layers one after the other.

    Parameters
    ----------
    layers
        Layers, the first of which may be :func:`nbnet.Input`. Without one the model is built when it first sees data.
    name
        By default ``sequential``, numbered.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> nb.set_random_seed(0)
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(8, "relu"), nb.layers.Dropout(0.1), nb.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> x = np.random.default_rng(0).normal(size=(64, 2))
    >>> history = model.fit(x, x[:, 0] * x[:, 1], epochs=3)
    >>> len(history.history["loss"]), model.predict(x).shape
    (3, (64, 1))
    """

    def __init__(self, layers: Iterable[Layer] | None = None, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self._layers: list[Layer] = []
        for layer in layers or []:
            self.add(layer)

    def add(self, layer: Layer) -> None:
        """Put a layer on top."""
        if not isinstance(layer, Layer):
            raise TypeError(f"layer: a Sequential is made of layers, got {layer!r}")
        if any(layer is other for other in self._layers) or layer.name in {other.name for other in self._layers}:
            raise ValueError(f"layer: the model has a layer named {layer.name!r} already; names in a model differ")
        if isinstance(layer, InputLayer) and self._layers:
            raise ValueError("layer: an Input comes first")
        self._layers.append(layer)
        self.built = False
        self._version += 1
        if len(self._layers) == 1 and layer.batch_input_shape is not None:
            self.batch_input_shape = layer.batch_input_shape
        if self.batch_input_shape is not None:
            self.build_for(self.batch_input_shape)

    def pop(self) -> Layer:
        """Take the topmost layer off and return it."""
        if not self._layers:
            raise ValueError("pop: the model has no layers")
        self._version += 1
        return self._layers.pop()

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        return [layer for layer in getattr(self, "_layers", []) if not isinstance(layer, InputLayer)]

    def build(self, input_shape: Shape) -> None:
        self.batch_input_shape = (None, *input_shape[1:])
        shape = self.batch_input_shape
        for layer in self._layers:
            layer.build_for(shape)
            shape = layer.compute_output_shape(shape)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        for layer in self.layers:
            x = layer(x, training)
        return x

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or number."""
        if index is not None:
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"name: {self.name} has no layer {name!r}; it has {[layer.name for layer in self.layers]}")
