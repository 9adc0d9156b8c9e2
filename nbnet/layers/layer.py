"""What every layer is: parameters, and a ``call`` written with ops."""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nbnet import initializers
from nbnet.config import standardize_dtype
from nbnet.core.graph import Parameter, Tensor
from nbnet.core.tape import Trace, scope, tensor
from nbnet.registry import snake_case

Shape = tuple[int | None, ...]

_lock, _building = threading.Lock(), threading.RLock()
_used: Counter[str] = Counter()


def unique_name(base: str) -> str:
    """``dense``, then ``dense_1``, ``dense_2`` ..., as Keras counts."""
    with _lock:
        used = _used[base]
        _used[base] += 1
    return f"{base}_{used}" if used else base


def clear_names() -> None:
    """Count names from the start again."""
    with _lock:
        _used.clear()


class Layer:
    """A part of a model: subclass it, make parameters in ``build``, compute in ``call`` with functions of
    ``nbnet.ops``.

    Parameters
    ----------
    name
        By default the class's name in snake case, numbered.
    trainable
        Whether optimizers change its weights.
    dtype
        Of its weights and outputs: ``"float32"``, ``"float64"`` or None for the framework's default.
    input_shape
        Shape of an input without the batch axis, if it is the first layer of a model.

    Examples
    --------
    >>> import nbnet as nb
    >>> class Scale(nb.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
    ...
    ...     def call(self, x):
    ...         return x * self.factor
    >>> Scale()([[1.0, 2.0]]).numpy()
    array([[1., 2.]], dtype=float32)
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        input_shape: Sequence[int | None] | None = None,
    ) -> None:
        if name is not None and (not isinstance(name, str) or not name or "/" in name or ":" in name):
            raise ValueError(f"name: wants a string without '/' and ':', got {name!r}")
        self.name = name or unique_name(snake_case(type(self).__name__))
        self.dtype = standardize_dtype(dtype)
        self.built = False
        self._trainable = bool(trainable)
        self._weights: list[Parameter] = []
        self._takes_training = "training" in inspect.signature(self.call).parameters
        self.batch_input_shape: Shape | None = None if input_shape is None else (None, *input_shape)

    # ---- for subclasses ----

    def build(self, input_shape: Shape) -> None:
        """Make the weights; called once, with the shape of the first input (its batch axis is None)."""

    def call(self, x: Tensor) -> Tensor:
        """Compute the output; may take ``training`` as well."""
        raise TypeError(f"{type(self).__name__} does not say what it computes: define call(self, x)")

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "glorot_uniform",
        *,
        trainable: bool = True,
        name: str = "weight",
    ) -> Parameter:
        """Make a parameter that belongs to this layer."""
        value = initializers.get(initializer)(tuple(shape), self.dtype)
        parameter = Parameter(value, trainable=trainable, name=f"{self.name}/{name}", dtype=self.dtype)
        parameter.requires_grad = trainable and self._trainable
        self._weights.append(parameter)
        return parameter

    # ---- use ----

    def __call__(self, x: Any, training: bool = False) -> Tensor:
        """Apply the layer to a tensor or an array whose first axis is the batch, or to a list of them."""
        x = self._tensors(x)
        if not self.built:
            shapes = [(None, *t.shape[1:]) for t in x] if isinstance(x, list) else (None, *x.shape[1:])
            self.build_for(shapes)  # type: ignore[arg-type]
        with scope(self.name):
            return self.call(x, training=training) if self._takes_training else self.call(x)  # type: ignore[call-arg]

    def _tensors(self, x: Any) -> Any:
        """A tensor; of a list or tuple with tensors or arrays in it, a list of them."""
        if isinstance(x, (list, tuple)) and any(isinstance(part, (Tensor, np.ndarray)) for part in x):
            return [tensor(part, self.dtype) for part in x]
        return tensor(x, self.dtype)

    def build_for(self, input_shape: Shape) -> None:
        """Build once, whichever thread comes first."""
        if not self.built:
            with _building:
                if not self.built:
                    self.build(input_shape)
                    self.built = True

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output for a shape of the input; found by writing down a call for one sample."""
        with Trace():
            y = self(Tensor((1, *(n or 1 for n in input_shape[1:])), self.dtype))
        return (None, *y.shape[1:])

    # ---- weights ----

    @property
    def layers(self) -> list[Layer]:
        """Layers inside this one."""
        return [v for v in vars(self).values() if isinstance(v, Layer)]

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for layer in self.layers:
            layer.trainable = value
        for parameter in self._weights:
            parameter.requires_grad = parameter.trainable and self._trainable

    @property
    def weights(self) -> list[Parameter]:
        """All parameters, in the order they were made."""
        own = list(self._weights)
        for layer in self.layers:
            own.extend(w for w in layer.weights if not any(w is o for o in own))
        return own

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

    def get_config(self) -> dict[str, Any]:
        """What the constructor was given."""
        return {"name": self.name, "trainable": self.trainable, "dtype": self.dtype.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Made from what :meth:`get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name!r}>"
