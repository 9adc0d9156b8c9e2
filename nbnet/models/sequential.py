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
    trainable
        Whether optimizers change its weights.
    name
        By default ``sequential``, numbered.
    dtype
        What its layers compute in; None: what the first of them does.

    Raises
    ------
    TypeError
        If something in ``layers`` is no layer.
    ValueError
        If two layers have one name, or layers compute in different dtypes.

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

    def __init__(
        self,
        layers: Iterable[Layer] | None = None,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name, dtype=dtype)
        self._layers: list[Layer] = []
        self._given_dtype = dtype is not None
        for layer in layers or []:
            self.add(layer)

    def add(self, layer: Layer) -> None:
        """Put a layer on top; if it does not fit, the model stays as it was."""
        if not isinstance(layer, Layer):
            raise TypeError(f"layer: a Sequential is made of layers, got {layer!r}")
        if any(layer is other for other in self._layers) or layer.name in {other.name for other in self._layers}:
            raise ValueError(f"layer: the model has a layer named {layer.name!r} already; names in a model differ")
        if isinstance(layer, InputLayer) and self._layers:
            raise ValueError("layer: an Input comes first")
        if not isinstance(layer, InputLayer):
            if layer.dtype != self.dtype and (self.layers or self._given_dtype):
                raise ValueError(
                    f"layer: {layer.name} computes in {layer.dtype}, the model in {self.dtype}: "
                    "give all layers one dtype, or set it with nbnet.set_floatx"
                )
            self.dtype = layer.dtype
        shape = self.batch_input_shape if self._layers else layer.batch_input_shape
        self._layers.append(layer)
        if not self.trainable:
            layer.trainable = False
        if shape is not None:
            try:
                self.build(shape)
            except BaseException:
                self._layers.pop()
                raise
        self.built = shape is not None
        self._changed()

    def pop(self) -> Layer:
        """Take the topmost layer off and return it."""
        if not self._layers:
            raise ValueError("pop: the model has no layers")
        layer = self._layers.pop()
        if not self._layers:
            self.built, self.batch_input_shape = False, None
        self._changed()
        return layer

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        return [layer for layer in getattr(self, "_layers", []) if not isinstance(layer, InputLayer)]

    def build(self, input_shape: Shape) -> None:
        shape = first = (None, *input_shape[1:])
        for layer in self._layers:
            layer.build_for(shape)
            shape = layer.compute_output_shape(shape)
        self.batch_input_shape = first

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        for layer in self.layers:
            x = layer(x, training)
        return x

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or number."""
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"index: {self.name} has {len(self.layers)} layers, got {index}")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"name: {self.name} has no layer {name!r}; it has {[layer.name for layer in self.layers]}")
