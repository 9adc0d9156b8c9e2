"""A model: layers between inputs and outputs, how it is called, described, saved and thinned."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, overload

import numpy as np
from numpy.typing import NDArray

from nbnet.base.console import show
from nbnet.base.constructor import has_own_constructor
from nbnet.base.json_record import fields
from nbnet.base.registry import custom_object_scope
from nbnet.base.tree import flatten, map_structure, restructure
from nbnet.base.uninterrupted import apart
from nbnet.base.validation import check_int
from nbnet.engine.graph.symbolic import Symbol, with_values
from nbnet.engine.graph.tensor import Tensor
from nbnet.engine.runtime.program import Program
from nbnet.layers.arguments import training_mode
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer, Numbers
from nbnet.layers.serialization import register_layer
from nbnet.layers.time_masks import attach
from nbnet.layers.variable import flatten_layers
from nbnet.models import delegates
from nbnet.models.call_graph import GRAPH, CallGraph, graph_config, graph_from_config
from nbnet.models.delegates import Delegates
from nbnet.models.summary import summary, summary_html
from nbnet.models.trainer import Trainer
from nbnet.train import program_report
from nbnet.train.data_source import BATCH_SIZE
from nbnet.train.inputs import input_tensors, match_by_name, signature_of
from nbnet.train.python_runner import CompiledMetrics
from nbnet.train.step_masks import step_masks
from nbnet.train.trainable import Inputs, ModelSignature

#: Attributes that hold symbols, and those that copies make anew.
_SYMBOLS, _DERIVED = frozenset(("graph", "_symbols")), frozenset(("_inner",))
_KERAS_GRAPH = frozenset(("layers", "input_layers", "output_layers"))
_BUILD = {"names": (str, list, type(None)), "pairs": (list, type(None)), "shapes": list, "whole": list}


class NotBuiltError(ValueError, AttributeError):
    """The inputs of a model are not known yet; ``hasattr`` is False for what describes them."""


@register_layer
class Model(Layer, Trainer, Delegates):
    """A network with a training loop.

    There are three ways to make one: :class:`nbnet.Sequential`; ``Model(inputs, outputs)`` of symbols, which layers
    return when they are called with what :func:`nbnet.Input` returns; and a subclass that defines ``call``.

    Use :meth:`compile`, :meth:`fit`, :meth:`evaluate`, :meth:`predict`. A model can be called like a layer, too: on a
    tape it records.

    Parameters
    ----------
    inputs, outputs
        A symbol, or a list or dict of them.
    name
        By default the class's name in snake case, numbered.
    trainable
        If False, optimizers leave its weights as they are.
    dtype
        Dtype that it computes in; None: that of its layers.

    Raises
    ------
    TypeError
        If there are inputs without outputs, or outputs without inputs.
    ValueError
        If inputs and outputs hold anything but symbols, outputs depend on an input that is not given, names collide, or
        layers compute in different dtypes.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> nb.set_random_seed(0)
    >>> age, job = nb.Input((1,), name="age"), nb.Input((1,), dtype="int32", name="job")
    >>> vector = nb.layers.Flatten()(nb.layers.Embedding(5, 2)(job))
    >>> model = nb.Model([age, job], nb.layers.Dense(1)(nb.layers.concatenate([age, vector])))
    >>> model.compile("adam", "mse")
    >>> data = {"age": np.linspace(0, 1, 10), "job": np.arange(10) % 5}
    >>> history = model.fit(data, np.ones(10), verbose=0)
    >>> model.predict(data, verbose=0).shape
    (10, 1)
    """

    _not_recorded: ClassVar[frozenset[str]] = frozenset(("inputs", "outputs"))
    # Masks are named after layers, not after the models these are in.
    _names_nodes: ClassVar[bool] = False
    #: For a model that :meth:`thin` made: the masks.
    thinned_by: Mapping[str, Any] | None = None
    metrics = Trainer.metrics

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        name: str | None = None,
        *,
        trainable: bool = True,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        if (inputs is None) != (outputs is None):
            raise TypeError("outputs: expected both inputs and outputs, Model(inputs, outputs), or neither")
        Layer.__init__(self, name=name, trainable=trainable, dtype=dtype, **kwargs)
        Trainer.__init__(self)
        #: The calls between inputs and outputs, for a model of symbols.
        self.graph: CallGraph | None = None
        self._inputs: Inputs | None = None
        self._version = 0
        self._inner: frozenset[Model] | None = None
        #: False for a class that only trains other models in a step of its own.
        self.defines_call = inputs is not None or type(self).call is not Model.call
        if inputs is not None:
            self._set_graph(CallGraph(inputs, outputs), dtype is not None)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a copy or pickle, with symbols in topological order, so that pickling does not recurse
        as deep as the model."""
        state = {name: value for name, value in super().__getstate__().items() if name not in _DERIVED}
        # The compiled metrics refer to this model; the copy makes its own.
        state["_compiled_metrics"] = self._compiled_metrics is not None
        state["_train_state"] = copy.copy(self._train_state)
        return {name: state[name] for name in sorted(state, key=lambda name: name not in _SYMBOLS)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._compiled_metrics = CompiledMetrics(self) if state["_compiled_metrics"] else None
        self._inner = None

    def _set_graph(self, graph: CallGraph, dtype_given: bool) -> None:
        inner = [layer for layer in graph.layers if not isinstance(layer, InputLayer)]
        if inner and not dtype_given:
            self.dtype = inner[0].dtype
        for layer in inner:
            self._check_dtype(layer)
            if not self.trainable:
                layer.trainable = False
        self.graph, self.built = graph, True
        symbols = graph.start_list
        template = restructure(graph.inputs, graph.input_names)
        if graph.reads_data:
            template = graph.start_names[0] if len(symbols) == 1 else graph.start_names
        shapes, whole = tuple(s.shape[1:] for s in symbols), tuple(s.dtype.kind == "i" for s in symbols)
        self._inputs = Inputs(template, shapes, whole, self._read_data if graph.reads_data else None)
        if len(graph.input_list) == 1:
            self.batch_input_shape = graph.input_list[0].shape
        self._changed()

    def _read_data(self, x: Any) -> Any:
        """Call the layers that read data; return the inputs of the program."""
        graph = self.graph
        assert graph is not None
        template = restructure(graph.inputs, graph.input_names)
        if isinstance(template, dict) and hasattr(x, "columns"):
            x = {name: x[name] for name in template}
        given = [x] if isinstance(template, str) else [part for _, part in match_by_name(x, template, "x", "input")]
        if isinstance(template, str) and isinstance(x, Mapping) and list(x) == [template]:
            given = [x[template]]
        made = graph.on_data(given)
        return made[0] if len(made) == 1 else made

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
        """Return a layer by name or number."""
        if (name is None) == (index is None):
            raise ValueError(f"name, index: expected one of them, got {name!r} and {index!r}")
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"index: {self.name} has {len(self.layers)} layers, got {index}")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"name: {self.name} has no layer {name!r}; it has {[layer.name for layer in self.layers]}")

    @property
    def has_call_graph(self) -> bool:
        """True if the model is described by calls between its inputs and outputs, so that it can be taken apart."""
        return self.graph is not None

    @property
    def built_of_symbols(self) -> bool:
        """True if symbols of the inputs and outputs are known."""
        return self.graph is not None

    def structure(self) -> tuple[Any, ...]:
        """Return a key that changes when layers are added or removed, here or in a model inside, and with every
        compile."""
        if self._inner is None:
            self._inner = frozenset(part for part in flatten_layers(self) if isinstance(part, Model)) - {self}
        return (self._version, *(model._version for model in self._inner)) if self._inner else (self._version,)

    def _changed(self) -> None:
        """Drop the programs and signatures of the model as it was."""
        self._version += 1
        self._inner = None
        self._train_state.forget()

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
        return self.inputs_known.names if self.graph is None else self.graph.input_names

    @property
    def output_names(self) -> list[str]:
        """Names of all outputs."""
        return self._signature().names if self.graph is None else list(self.graph.output_names)

    @property
    def output_template(self) -> Any:
        """Names in the structure of the outputs; None if the model does not name them."""
        return None if self.graph is None else restructure(self.graph.outputs, self.graph.output_names)

    @property
    def inputs_known(self) -> Inputs:
        """The inputs; an error before the model has seen any."""
        if self._inputs is None:
            raise ValueError(f"{self.name} is not built: give it an Input, or call it or fit it on data first")
        return self._inputs

    @property
    def learned_inputs(self) -> bool:
        """True if the first data told the shapes of the inputs."""
        return self.graph is None

    def open_inputs(self, inputs: Inputs) -> None:
        """Take inputs of which other lengths are open."""
        self._inputs = inputs

    @property
    def input_shape(self) -> Any:
        """Shape of the input, with None for open axes; a list or dict of shapes for several."""
        return self._shape_of("input")

    @property
    def output_shape(self) -> Any:
        """Shape of the output, with None for open axes; a list or dict of shapes for several."""
        return self._shape_of("output")

    def _shape_of(self, end: str) -> Any:
        if self._inputs is None:
            raise NotBuiltError(f"{self.name} is not built: give it an Input, or call it or fit it on data first")
        if self.built_of_symbols:
            return map_structure(lambda symbol: symbol.shape, getattr(self, end))
        known = self._inputs if end == "input" else self._signature()
        return restructure(known.template, [(None, *shape) for shape in known.shapes])

    def _signature(self) -> ModelSignature:
        return signature_of(self, self.inputs_known.sample_shapes())

    def add_loss(self, loss: Any) -> None:
        """Add a loss, as :meth:`nbnet.layers.Layer.add_loss`; or symbols computed from those of the model, which are
        then a part of it, but not of its configuration.

        Examples
        --------
        >>> import nbnet as nb
        >>> x = nb.Input((2,))
        >>> model = nb.Model(x, nb.layers.Dense(1)(x))
        >>> model.add_loss(nb.ops.mean(model.output**2))
        >>> model.compile("adam")
        >>> model.fit([[1.0, 2.0]], verbose=0).epoch
        [0]
        """
        added = list(loss) if isinstance(loss, (list, tuple)) else [loss]
        if self.graph is None or not all(isinstance(value, Symbol) for value in with_values(added)):
            super().add_loss(loss)
        else:
            self._set_graph(CallGraph(self.graph.inputs, self.graph.outputs, [*self.graph.losses, *added]), True)

    # ---- calls ----

    # Type checkers see Layer.call, which methods of any signature may override.
    if not TYPE_CHECKING:

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            """Compute the outputs for tensors; subclasses define it. Layers inside know the training mode, and get the
            masks of time steps of the inputs."""
            if self.graph is None:
                raise TypeError(f"{type(self).__name__} does not say what it computes: define call(self, inputs)")
            if mask is not None:
                attach(inputs, mask)
            template = self.inputs_known.template
            if isinstance(template, str):
                single = inputs[0] if isinstance(inputs, list) and len(inputs) == 1 else inputs
                return self.graph([single[template] if isinstance(single, dict) else single], self)
            return self.graph([part for _, part in match_by_name(inputs, template, "inputs", "input")], self)

    @overload
    def __call__(
        self, x: Symbol | Sequence[Symbol], *args: Any, training: bool | None = None, **kwargs: Any
    ) -> Symbol: ...
    @overload
    def __call__(self, x: Numbers, *args: Any, training: bool | None = None, **kwargs: Any) -> Tensor: ...
    @overload
    def __call__(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any: ...
    def __call__(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Compute the output for a batch; on a tape it is recorded, and symbols give symbols.

        Parameters
        ----------
        *args, **kwargs
            For :meth:`call`: an array or tensor (n, ...), or a list or dict of them.
        training
            If True, dropout is at work.
        """
        if args and not any(isinstance(leaf, (Tensor, Symbol)) for leaf in flatten(args[0])):
            args = (input_tensors(self, args[0]), *args[1:])
        return Layer.__call__(self, *args, training=training, **kwargs)

    def forward(self, inputs: Any, training: bool) -> Any:
        """Compute the output for a batch of tensors, in the structure that :meth:`call` takes."""
        with training_mode(training):
            own: Any = type(self).__call__
            return Layer.__call__(self, inputs) if own is Model.__call__ else own(self, inputs)

    # ---- description ----

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
        *,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        """Print the layers, their output shapes and numbers of parameters, as Keras does; for a model of symbols, the
        inputs of each layer, too. In the end, the memory that training takes beside the data, or prediction if the
        model is not compiled.

        Parameters
        ----------
        line_length, positions
            Accepted as in Keras; here a table is as wide as its content.
        print_fn
            Called once with the whole text, in place of ``print``.
        expand_nested
            If True, the layers of models in the model are shown.
        show_trainable
            If True, a column says for each layer with weights if it is trained: ``Y`` or ``N``.
        layer_range
            Two names or regular expressions: the first and the last layer to be shown.
        batch_size
            Rows of the batch that the memory is shown for.

        Examples
        --------
        >>> import nbnet as nb
        >>> model = nb.Sequential([nb.Input((8,)), nb.layers.Dense(4, name="dense")], name="small")
        >>> model.compile("adam", "mse")
        >>> model.summary()
        Model: "small"
        ──────────────────────────────────────
        Layer (type)    Output Shape   Param #
        ──────────────────────────────────────
        dense (Dense)   (None, 4)           36
        ──────────────────────────────────────
        Total params: 36 (144.00 B)
        Trainable params: 36 (144.00 B)
        Non-trainable params: 0 (0.00 B)
        Memory of training in batches of 32: 3.33 KB
          = 144.00 B parameters + 192.00 B gradients + 384.00 B optimizer + 2.62 KB activations
        """
        size = check_int(batch_size, "batch_size")
        (print_fn or show)(summary(self, expand_nested, show_trainable, layer_range, size))

    def _repr_html_(self) -> str:
        return summary_html(self)

    def program(
        self,
        kind: str = "train",
        rows: int = BATCH_SIZE,
        x_dtype: Any = None,
        print_fn: Callable[[str], Any] | None = show,
    ) -> Program:
        """Print and return the program of a batch, as :meth:`fit` and its like write it: its kernel calls, and the
        places of their operands.

        Parameters
        ----------
        kind : {"train", "evaluate", "predict", "sample"}
            ``"sample"`` is that of :meth:`predict_mc`.
        rows
            Rows of the batch, at least 1.
        x_dtype
            Dtype of the inputs in memory; None: that of the model. Row numbers of tables are always int64.
        print_fn
            Called with the listing; None: nothing is printed.

        Returns
        -------
        nbnet.engine.runtime.program.Program
            ``str`` of it is the listing, a line for each call: number, layer, kernel, what it reads ``->`` what it
            writes. ``[4x3]`` is a shape, ``@64`` a place in the arena, ``*`` memory outside of it, ``+=`` an operand
            that is added to, ``-`` one that is absent. A batch that is cut has a part ``phase p, slice t`` for each
            slice. Attributes: ``calls``, ``dtype``, ``nbytes`` of the arena, ``spans`` of shape (phases, slices, 2).

        Raises
        ------
        ValueError
            If the model is not built, is not compiled with a loss (``"train"``, ``"evaluate"``), runs a step of the
            user's own in Python, or takes inputs of any length; if nothing draws random numbers (``"sample"``); or if
            an argument is out of range.

        Examples
        --------
        >>> import nbnet as nb
        >>> model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(2, "relu", name="hidden")])
        >>> program = model.program("predict", rows=4)
        program: 4 rows, float32, arena 128 bytes (* lies outside it)
        phase 0, slice 0:
         0  gather  gather_float32  user.x0[1x3]*, -, cursor[1]* -> x0[4x3]@0
         1  hidden:1  dense_relu_forward  x0[4x3]@0, hidden/kernel[3x2]*, hidden/bias[2]* -> t5[4x2]@64
         2  store  store  t5[4x2]@64, cursor[1]* -> out0[1x1]* +=
        phase 1, slice 0:
         3  advance  advance  -> cursor[1]* +=
        >>> program
        <Program of 4 rows, float32, arena 128 bytes>
        """
        program = program_report.build_program(self, kind, rows, x_dtype)
        if print_fn is not None:
            print_fn(str(program))
        return program

    # ---- masks ----

    def masks(self, step: int, x: Any = None, n: int | None = None) -> dict[str, NDArray[np.bool]]:
        """Draw the dropout masks of a step of training, past or to come, again from the seed.

        They are those that compiled training used, bit for bit, however the batch was cut; a tape of that step
        (``nb.Tape(step=step)``) draws the same. Rates are the current ones.

        Parameters
        ----------
        step
            Number of the step, from 0: ``optimizer.steps`` before it.
        x
            The inputs of its batch, of which only shapes matter.
        n
            Rows of its batch, instead of x.

        Returns
        -------
        dict
            Bool arrays by name of layer, True = kept; row i is that of the batch's row i.

        Raises
        ------
        ValueError
            If the step is negative, or a layer draws its masks from what the model computes.
        TypeError
            If both x and n are given, or neither.

        Examples
        --------
        >>> import nbnet as nb
        >>> nb.set_random_seed(1)
        >>> model = nb.Sequential([nb.Input((8,)), nb.layers.Dropout(0.5, name="drop"), nb.layers.Dense(1)])
        >>> with nb.Tape(step=1234) as tape:
        ...     y = model([[1.0] * 8] * 2, training=True)
        >>> tape.masks["drop"].tolist() == model.masks(step=1234, n=2)["drop"].tolist()
        True
        """
        return step_masks(self, step, x, n)

    # ---- configurations ----

    def get_config(self) -> dict[str, Any]:
        """Return the layers and calls of a model of symbols; a subclass that defines ``call`` adds the arguments of its
        constructor itself."""
        config = super().get_config()
        # A class that makes its inputs and outputs in its constructor is described by the arguments of that.
        return config if self.graph is None or has_own_constructor(self) else config | graph_config(self.graph)

    @classmethod
    @apart
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Create the model that :meth:`get_config` describes, with new weights.

        Parameters
        ----------
        custom_objects
            Classes and functions of your own, by name.
        """
        with custom_object_scope(custom_objects):
            if "input_layers" in config:
                inputs, outputs = delegates.graph_from_keras(config)
                return cls(inputs=inputs, outputs=outputs, **{k: v for k, v in config.items() if k not in _KERAS_GRAPH})
            if "calls" not in config:
                return super().from_config(config)
            inputs, outputs = graph_from_config(config)
            return cls(inputs=inputs, outputs=outputs, **{k: v for k, v in config.items() if k not in GRAPH})

    def with_layers(
        self, layers: Mapping[int, Layer], inputs: Any = None, call: Callable[..., Any] | None = None
    ) -> Self:
        """Return a model like this one of other layers.

        Parameters
        ----------
        layers
            By the ``id`` of the layer whose place they take.
        inputs
            Symbols in the structure of the inputs; by default new ones.
        call
            ``call(layer, *args, **kwargs)`` calls a layer.
        """
        if self.graph is None:
            raise ValueError(
                f"clone_function: {self.name} is a subclass that defines call; "
                "expected a Sequential or a functional model"
            )
        kind: Any = Model if has_own_constructor(self) else type(self)
        made: Self = kind(*self.graph.called_anew(layers, inputs, call), name=self.name, trainable=self.trainable)
        return made

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the inputs that the model was built for, if its configuration does not have them."""
        if self._inputs is None or self.graph is not None:
            return None
        inputs = self._inputs
        # A dict loses its order in a file, and shapes are in that order.
        template = inputs.template
        pairs = [[key, name] for key, name in template.items()] if isinstance(template, dict) else None
        return {
            "names": None if pairs else map_structure(str, template),
            "pairs": pairs,
            "shapes": [list(shape) for shape in inputs.shapes],
            "whole": list(inputs.whole),
        }

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """Build the model for the inputs that :meth:`get_build_config` described."""
        fields(config, _BUILD, "build")
        template = config["names"] if config["pairs"] is None else {key: name for key, name in config["pairs"]}
        shapes = tuple(tuple(shape) for shape in config["shapes"])
        if self._inputs is None:
            inputs = Inputs(template, shapes, tuple(map(bool, config["whole"])))
            self.build_for(restructure(template, [(None, *shape) for shape in shapes]))
            if self._inputs is None:
                self._inputs = inputs
                self._changed()
        # Layers that are attributes are built when they are called first.
        self._signature()
