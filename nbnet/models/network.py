"""What a model is apart from training: layers, inputs, outputs, and how it is called."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nbnet.core.graph import Tensor
from nbnet.core.structure import flatten, map_structure, restructure
from nbnet.core.symbol import Symbol
from nbnet.core.tape import tensor
from nbnet.data import SparseRows
from nbnet.layers.calling import training_mode
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer
from nbnet.layers.weights import inside
from nbnet.models.functional import Graph
from nbnet.models.intake import Inputs, Rows, guess, input_arrays, looked_up, packed, sort
from nbnet.models.outline import Outline, outline

Array = NDArray[Any]

#: Attributes that copies have of their own, and those that hold symbols.
_OWN = frozenset(("_inner", "_outlines", "_local", "_training"))
_SYMBOLS = frozenset(("graph", "_symbols"))


class Network(Layer):
    """A layer made of layers, with named inputs and outputs; see :class:`nbnet.Model`."""

    # Masks are named after layers, not after the models these are in.
    _names_nodes: ClassVar[bool] = False

    def __init__(self, inputs: Any, outputs: Any, **kwargs: Any) -> None:
        if (inputs is None) != (outputs is None):
            raise TypeError("outputs: a model of symbols wants inputs and outputs, Model(inputs, outputs)")
        given = kwargs.get("dtype") is not None
        super().__init__(**kwargs)
        #: The calls between inputs and outputs, for a model of symbols.
        self.graph: Graph | None = None
        self._inputs: Inputs | None = None
        self._version = 0
        self._forget()
        if inputs is not None:
            self._describe_by(Graph(inputs, outputs), given)

    def _forget(self) -> None:
        """Drop what was found for the model as it was: programs of all threads, and what is known of data."""
        self._inner: frozenset[Network] | None = None
        self._outlines: dict[Any, Outline] = {}
        self._local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle holds. Symbols come first, each after those it comes from: whoever follows them from
        the outputs goes as deep as the model."""
        state = {name: value for name, value in vars(self).items() if name not in _OWN}
        return {name: state[name] for name in sorted(state, key=lambda name: name not in _SYMBOLS)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def _describe_by(self, graph: Graph, given: bool) -> None:
        inner = [layer for layer in graph.layers if not isinstance(layer, InputLayer)]
        if inner and not given:
            self.dtype = inner[0].dtype
        for layer in inner:
            self._check_dtype(layer)
            if not self.trainable:
                layer.trainable = False
        self.graph, self.built = graph, True
        symbols = graph.input_list
        template = restructure(graph.inputs, graph.input_names)
        self._inputs = Inputs(
            template, tuple(s.shape[1:] for s in symbols), tuple(s.dtype.kind == "i" for s in symbols)
        )
        if len(symbols) == 1:
            self.batch_input_shape = symbols[0].shape
        self._changed()

    def _check_dtype(self, layer: Layer) -> None:
        if layer.dtype != self.dtype:
            raise ValueError(
                f"layer: {layer.name} computes in {layer.dtype}, the model in {self.dtype}: "
                "give all layers one dtype, or set it with nbnet.set_floatx"
            )

    # ---- layers ----

    @property
    def layers(self) -> list[Layer]:
        """The layers: those between inputs and outputs, then those that are attributes."""
        graph = vars(self).get("graph")
        own = [] if graph is None else list(graph.layers)
        return own + [layer for layer in super().layers if not any(layer is other for other in own)]

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

    # ---- inputs and outputs ----

    @property
    def input(self) -> Any:
        """The symbols of the input, as the model was given them."""
        return super().input if self.graph is None else self.graph.inputs

    @property
    def output(self) -> Any:
        """The symbols of the output, as the model was given them."""
        return super().output if self.graph is None else self.graph.outputs

    @property
    def inputs(self) -> list[Symbol]:
        """The symbols of all inputs."""
        return list(flatten(self.input))

    @property
    def outputs(self) -> list[Symbol]:
        """The symbols of all outputs."""
        return list(flatten(self.output))

    @property
    def input_names(self) -> list[str]:
        """Names of all inputs."""
        return self.inputs_known.names

    @property
    def output_names(self) -> list[str]:
        """Names of all outputs."""
        return self.outline(self._some_rows()).names

    @property
    def output_template(self) -> Any:
        """Names in the structure of the outputs; None if the model does not name them."""
        return None if self.graph is None else restructure(self.graph.outputs, self.graph.output_names)

    @property
    def inputs_known(self) -> Inputs:
        """The inputs; an error if the model has not seen any yet."""
        if self._inputs is None:
            raise ValueError(f"{self.name} is not built: give it an Input, or call it or fit it on data first")
        return self._inputs

    @property
    def input_shape(self) -> Any:
        """Shape of the input, the batch axis None; a list or dict of shapes for several."""
        inputs = self.inputs_known
        return packed(inputs.template, [(None, *shape) for shape in inputs.shapes])

    @property
    def output_shape(self) -> Any:
        """Shape of the output, the batch axis None; a list or dict of shapes for several."""
        if self.graph is not None:
            return map_structure(lambda symbol: symbol.shape, self.graph.outputs)
        found = self.outline(self._some_rows())
        return packed(found.template, [(None, *shape) for shape in found.shapes])

    def _some_rows(self) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(n or 1 for n in shape) for shape in self.inputs_known.shapes)

    @property
    def compute_dtype(self) -> np.dtype[Any]:
        """What programs compute in."""
        return self.dtype

    # ---- calls ----

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """The outputs for tensors; for subclasses to define. Layers inside know the training mode of the call."""
        if self.graph is None:
            raise TypeError(f"{type(self).__name__} does not say what it computes: define call(self, inputs)")
        template = self.inputs_known.template
        if isinstance(template, str):
            single = inputs[0] if isinstance(inputs, list) and len(inputs) == 1 else inputs
            return self.graph([single[template] if isinstance(single, dict) else single])
        return self.graph([part for _, part in sort(inputs, template, "inputs", "input")])

    def __call__(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """The output for a batch, computed now; on a tape it is recorded, of symbols it makes symbols.

        Parameters
        ----------
        *args, **kwargs
            For :meth:`call`: an array or tensor (n, ...), or a list or dict of them.
        training
            Whether dropout is at work.
        """
        if args and not any(isinstance(leaf, (Tensor, Symbol)) for leaf in flatten(args[0])):
            args = (self._input_tensors(args[0]), *args[1:])
        return super().__call__(*args, training=training, **kwargs)

    def forward(self, inputs: Any, training: bool) -> Any:
        """The output for a batch of tensors, in the structure that :meth:`call` takes."""
        with training_mode(training):
            return super().__call__(inputs)

    @property
    def _says_what_it_computes(self) -> bool:
        """Not so for a class that trains other models in a step of its own."""
        return self.graph is not None or type(self).call is not Network.call

    def _input_tensors(self, x: Any) -> Any:
        rows = self._input_rows(x)
        arrays = [x.dense() if isinstance(x, SparseRows) else x for x in rows.x]
        tensors = [
            Tensor(array.shape, array.dtype, array) if ids else tensor(array, self.compute_dtype)
            for array, ids in zip(arrays, rows.ids or (False,) * len(arrays), strict=True)
        ]
        return packed(self.inputs_known.template, tensors)

    # ---- what depends on the shapes of data ----

    def _input_rows(self, x: Any) -> Rows:
        """Inputs that are checked; the first that come say what inputs there are."""
        arrays = input_arrays(x, self._inputs, self.compute_dtype)
        if not self.built or self._inputs is None:
            self._meet(x, arrays)
        if not self._says_what_it_computes:
            return Rows(arrays)
        found = self.outline(tuple(array.shape[1:] for array in arrays))
        if found.plain:
            return Rows(arrays)
        return Rows(looked_up(arrays, self.inputs_known, found), ids=found.whole)

    def _meet(self, x: Any, arrays: Sequence[Array]) -> None:
        """Build the model for data like these."""
        inputs = self._inputs or guess(x)._replace(shapes=tuple(array.shape[1:] for array in arrays))
        if self._says_what_it_computes:
            self.build_for(packed(inputs.template, [(None, *shape) for shape in inputs.shapes]))
        if self._inputs is None:
            self._inputs = inputs
            self._changed()

    def outline(self, shapes: Sequence[tuple[int, ...]]) -> Outline:
        """What the model makes of rows of such shapes."""
        key = (shapes, self.structure())
        found = self._outlines.get(key)
        if found is None:
            found = outline(self, shapes)
            # A subclass makes layers as late as here.
            self._inner = None
            self._outlines[shapes, self.structure()] = found
        return found

    def structure(self) -> tuple[Any, ...]:
        """Changes when layers are added or removed, here or in a model inside, and with every compile."""
        if self._inner is None:
            self._inner = frozenset(part for part in inside(self) if isinstance(part, Network)) - {self}
        return (self._version, *(model._version for model in self._inner)) if self._inner else (self._version,)

    def _changed(self) -> None:
        """Programs written before do not fit any more."""
        self._version += 1
        self._forget()
