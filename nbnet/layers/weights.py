"""The weights of layers, and of layers inside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nbnet import constraints, initializers, regularizers, room
from nbnet.config import standardize_dtype
from nbnet.core.parameter import Parameter

L = TypeVar("L", bound="Weights")


class Weights:
    """The part of a :class:`Layer` that is about its parameters."""

    name: str
    dtype: np.dtype[Any]

    if TYPE_CHECKING:

        @property
        def layers(self) -> list[Any]: ...

    def __init__(self, trainable: bool) -> None:
        self._trainable = bool(trainable)
        self._weights: list[Parameter] = []

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "glorot_uniform",
        dtype: Any = None,
        trainable: bool = True,
        *,
        regularizer: Any = None,
        constraint: Any = None,
        name: str = "weight",
    ) -> Parameter:
        """Make a parameter that belongs to this layer.

        Parameters
        ----------
        shape, initializer
            What it is, and what it starts as.
        dtype
            None or the layer's.
        trainable
            Whether optimizers change it.
        regularizer
            Name, regularizer or function: its penalty, which is added to the loss.
        constraint
            Name, constraint or function: what it is held to after each update.
        name
            The layer's name comes before it.

        Raises
        ------
        ValueError
            If the dtype is another than the layer's, or a name is not known.
        """
        if dtype is not None and standardize_dtype(dtype) != self.dtype:
            raise ValueError(f"dtype: {self.name} computes in {self.dtype}, got {dtype!r}")
        sizes = tuple(shape)
        value = room.weight(sizes, self.dtype, f"{self.name}/{name}")
        if value is None:
            value = initializers.get("glorot_uniform" if initializer is None else initializer)(sizes, self.dtype)
        parameter = Parameter(
            value,
            trainable=trainable,
            name=f"{self.name}/{name}",
            dtype=self.dtype,
            regularizer=regularizers.get(regularizer),
            constraint=constraints.get(constraint),
        )
        parameter.requires_grad = trainable and self._trainable
        self._weights.append(parameter)
        return parameter

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in inside(self):
            layer._trainable = bool(value)
            for parameter in layer._weights:
                parameter.requires_grad = parameter.trainable and layer._trainable

    @property
    def weights(self) -> list[Parameter]:
        """All parameters: the layer's own, then those of layers inside; of each layer, as in Keras, those that
        were made to be trained first."""
        ordered = (sorted(layer._weights, key=lambda w: not w.trainable) for layer in inside(self))
        return list({id(w): w for weights in ordered for w in weights}.values())

    @property
    def trainable_weights(self) -> list[Parameter]:
        return [w for w in self.weights if w.requires_grad]

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        return [w for w in self.weights if not w.requires_grad]

    trainable_variables = trainable_weights
    variables = weights

    def count_params(self) -> int:
        """Number of values in all parameters."""
        return sum(w.size for w in self.weights)

    def get_weights(self) -> list[NDArray[Any]]:
        """Copies of all parameters, in Keras's order and layout: a Dense gives kernel (in, units), then bias
        (units,)."""
        return [w.numpy().copy() for w in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Overwrite all parameters; shapes must be those of :meth:`get_weights`."""
        own, arrays = self.weights, [np.asarray(w) for w in weights]
        if len(arrays) != len(own):
            raise ValueError(f"weights: {self.name} has {len(own)} arrays, got {len(arrays)}")
        for parameter, array in zip(own, arrays, strict=True):
            if array.shape != parameter.shape:
                raise ValueError(f"weights: {parameter.name} has shape {parameter.shape}, got {array.shape}")
            if array.dtype.kind not in "fiub":
                raise TypeError(f"weights: {parameter.name} wants real numbers, got {array.dtype}")
        for parameter, array in zip(own, arrays, strict=True):
            parameter.assign(array)


def inside(layer: L) -> list[L]:
    """A layer and all layers inside it, each once."""
    found: dict[int, L] = {}
    waiting = [layer]
    while waiting:
        one = waiting.pop()
        if id(one) not in found:
            found[id(one)] = one
            waiting.extend(reversed(one.layers))
    return list(found.values())
