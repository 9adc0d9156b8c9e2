"""A model of layers one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from nbnet.base.loading_budget import active, count_steps
from nbnet.base.registry import custom_object_scope
from nbnet.base.tree import flatten, restructure
from nbnet.base.uninterrupted import apart
from nbnet.engine.graph.symbolic import Symbol
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer, Shape
from nbnet.layers.preprocessing import DataLayer
from nbnet.layers.serialization import deserialize, register_layer, serialize
from nbnet.layers.time_masks import attach
from nbnet.models.model import Model, NotBuiltError
from nbnet.train.fit import refuse_in_training
from nbnet.train.trainable import Inputs


@register_layer
class Sequential(Model):
    """Layers one after the other.

    Parameters
    ----------
    layers
        Layers, the first of which may be :func:`nbnet.Input`. Without one the model is built when it first sees data.
    trainable
        If False, optimizers leave its weights as they are.
    name
        By default ``sequential``, numbered.
    dtype
        Dtype that its layers compute in; None: that of the first of them.

    Raises
    ------
    ValueError
        If ``layers`` holds anything but layers, two layers have one name, or layers compute in different dtypes.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> nb.set_random_seed(0)
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(8, "relu"), nb.layers.Dropout(0.1), nb.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> x = np.random.default_rng(0).normal(size=(64, 2))
    >>> history = model.fit(x, x[:, 0] * x[:, 1], epochs=3, verbose=0)
    >>> len(history.history["loss"]), model.predict(x, verbose=0).shape
    (3, (64, 1))
    """

    def __init__(
        self,
        layers: Iterable[Layer | Symbol] | None = None,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name, dtype=dtype)
        self._layers: list[Layer] = []
        #: The symbols of the input, and of the output of each layer; empty as long as the input is not known.
        self._symbols: list[Any] = []
        self._dtype_given = dtype is not None
        names: dict[str, Layer] = {}
        for layer in layers or []:
            self._append(layer, names)
        self._call_build()

    def add(self, layer: Layer | Symbol) -> None:
        """Append a layer; if it does not fit, the model stays as it was. RuntimeError while the model is trained."""
        refuse_in_training(self, "add")
        self._append(layer, {other.name: other for other in self._layers})
        self._call_build()

    def _call_build(self) -> None:
        """Call the ``build`` of a subclass as soon as the input is known, as Keras does."""
        if self.built and type(self).build is not Sequential.build:
            self.build(self._symbols[0].shape)

    def _append(self, layer: Layer | Symbol, names: dict[str, Layer]) -> None:
        """Append a layer, and its name to those of the layers before it; a layer may stand in several places."""
        if isinstance(layer, Symbol) and layer.producer is not None and isinstance(layer.producer.function, InputLayer):
            layer = layer.producer.function
        if not isinstance(layer, Layer):
            raise ValueError(f"layer: a Sequential is made of layers, got {layer!r}")
        if names.setdefault(layer.name, layer) is not layer:
            raise ValueError(f"layer: the model has a layer named {layer.name!r} already; names in a model differ")
        if isinstance(layer, InputLayer) and self._layers:
            raise ValueError("layer: an Input comes first")
        if not isinstance(layer, InputLayer):
            if self._dtype_given or any(not isinstance(other, InputLayer) for other in self._layers[:2]):
                self._check_dtype(layer)
            self.dtype = layer.dtype
        if not self.trainable:
            layer.trainable = False
        if self._symbols:
            self._symbols.append(layer(self._symbols[-1]))
        elif not self._layers and layer.batch_input_shape is not None:
            self._symbols = _stack(_input(layer, layer.batch_input_shape), [layer])
        elif not self._layers and isinstance(layer, DataLayer):
            self._symbols = _stack(InputLayer((), dtype="string", name="input").output, [layer])
        self._layers.append(layer)
        self._update_built()

    def pop(self) -> Layer:
        """Remove the last layer and return it. RuntimeError while the model is trained."""
        refuse_in_training(self, "pop")
        if not self._layers:
            raise ValueError("pop: the model has no layers")
        layer = self._layers.pop()
        self._symbols = self._symbols[: 1 + len(self.layers)] if self._layers else []
        self._update_built()
        return layer

    def _update_built(self) -> None:
        self.built = bool(self._symbols)
        if self.built:
            symbol, first = self._symbols[0], self._symbols[self._on_data]
            prepare, parts = self._read_data if self._on_data else None, list(flatten(first))
            names, whole = restructure(first, [s.name for s in parts]), tuple(s.dtype.kind == "i" for s in parts)
            self._inputs = Inputs(names, tuple(s.shape[1:] for s in parts), whole, prepare)
            self.batch_input_shape = symbol.shape if isinstance(symbol, Symbol) else None
        else:
            self._inputs = self.batch_input_shape = None
        self._changed()

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        return [layer for layer in getattr(self, "_layers", []) if not isinstance(layer, InputLayer)]

    @property
    def _on_data(self) -> int:
        """Number of the first layers that read data."""
        first = isinstance(self._layers[0], InputLayer) if self._layers else 0
        found = (k for k, layer in enumerate(self._layers) if k >= first and not isinstance(layer, DataLayer))
        return next(found, len(self._layers)) - first

    def _read_data(self, x: Any) -> Any:
        name = self._symbols[0].name
        x = x[name] if isinstance(x, Mapping) and list(x) == [name] else x
        for layer in self.layers[: self._on_data]:
            x = layer(x)
        return x.numpy()

    @property
    def has_call_graph(self) -> bool:
        return True

    @property
    def built_of_symbols(self) -> bool:
        return bool(self._symbols)

    @property
    def learned_inputs(self) -> bool:
        return bool(self._layers) and self._layers[0].batch_input_shape is None and not self._on_data

    def open_inputs(self, inputs: Inputs) -> None:
        shapes = restructure(inputs.template, [(None, *shape) for shape in inputs.shapes])
        self._symbols = _stack(_inputs(self.layers[0], shapes, "input"), self.layers)
        self.batch_input_shape = shapes if isinstance(shapes, tuple) else None
        self._inputs = inputs

    @property
    def input(self) -> Any:
        return self._known_symbols()[0]

    @property
    def output(self) -> Any:
        return self._known_symbols()[-1]

    def _known_symbols(self) -> list[Any]:
        if not self._symbols:
            raise NotBuiltError(f"{self.name} is not built: give it an Input, or call it or fit it on data first")
        return self._symbols

    @property
    def output_template(self) -> Any:
        single = self._symbols and isinstance(self._symbols[-1], Symbol)
        return self.layers[-1].name if single and self.layers else None

    def build(self, input_shape: Any) -> None:
        """Create the weights, for inputs of this shape (its batch axis is None), or of a list or dict of shapes."""
        if not self._symbols:
            layers = self.layers
            self._symbols = _stack(_inputs(layers[0] if layers else self, input_shape, "input"), layers)
            self._update_built()

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"layers": [serialize(layer) for layer in self._layers]}

    @classmethod
    @apart
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        with custom_object_scope(custom_objects):
            layers = config.get("layers")
            if not isinstance(layers, list):
                raise ValueError(f"layers: expected a list of layers, got {layers!r}")
            made: list[Layer] = []
            # A layer in several places is described in each of them.
            known: dict[str, Layer] = {}
            for layer in layers:
                described = repr(layer)
                if described not in known:
                    known[described] = deserialize(layer)
                made.append(known[described])
            return cls(made, **{k: v for k, v in config.items() if k != "layers"})

    def with_layers(
        self, layers: Mapping[int, Layer], inputs: Any = None, call: Callable[..., Any] | None = None
    ) -> Self:
        if call is not None:
            raise ValueError(f"call_function: expected None, for {self.name} is a Sequential; got {call!r}")
        first: list[Any] = [
            InputLayer.from_config(layer.get_config()) for layer in self._layers if isinstance(layer, InputLayer)
        ]
        if inputs is not None:
            given = list(flatten(inputs))
            if len(given) != 1 or not isinstance(given[0], Symbol):
                raise ValueError(f"input_tensors: expected one symbol, got {inputs!r}")
            first = [InputLayer(batch_shape=given[0].shape, dtype=given[0].dtype, name=given[0].name)]
        rest = [layers[id(layer)] for layer in self.layers]
        return type(self)([*first, *rest], name=self.name, trainable=self.trainable)

    def call(self, x: Any, training: bool | None = None, mask: Any = None) -> Any:
        if mask is not None:
            attach(x, mask)
        layers = self.layers[self._on_data :]
        if active() is not None:
            count_steps(len(layers), self.name)
        for layer in layers:
            x = layer(x)
        return x


def _input(layer: Layer, shape: Shape, name: str = "input") -> Symbol:
    """Return the input that the first layer of a model asks for."""
    if isinstance(layer, InputLayer):
        return layer.output
    while isinstance(layer, Sequential) and layer.layers:
        layer = layer.layers[0]
    return InputLayer(shape[1:], dtype="int64" if layer.integer_input else layer.dtype, name=name).output


def _inputs(layer: Layer, shape: Any, name: str) -> Any:
    """Return inputs in the structure of shapes, named by keys or numbers."""
    if isinstance(shape, Mapping):
        return {key: _inputs(layer, part, str(key)) for key, part in shape.items()}
    if any(isinstance(part, (list, tuple, Mapping)) for part in shape):
        return [_inputs(layer, part, f"{name}_{k}") for k, part in enumerate(shape, 1)]
    return _input(layer, (None, *shape[1:]), name)


def _stack(symbol: Any, layers: Iterable[Layer]) -> list[Any]:
    """Return the symbols of an input, and of the output of each layer."""
    symbols: list[Any] = [symbol]
    for layer in layers:
        if not isinstance(layer, InputLayer):
            symbols.append(layer(symbols[-1]))
    return symbols
