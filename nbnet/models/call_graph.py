"""The calls of layers that a model consists of, between its inputs and its outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from nbnet import ops
from nbnet.base import registry
from nbnet.base.json_record import fields
from nbnet.base.tree import flatten, map_structure
from nbnet.engine.graph.symbolic import Producer, Symbol, evaluate, has_symbols, producers, record
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer
from nbnet.layers.preprocessing import DataLayer
from nbnet.layers.serialization import deserialize, serialize


class CallGraph:
    """The calls that lead from inputs to outputs.

    Parameters
    ----------
    inputs, outputs
        A symbol, or a list, tuple or dict of them.
    losses
        Symbols that the model adds to its loss.

    Raises
    ------
    ValueError
        If they hold anything but symbols, outputs depend on a symbol that is no input, two layers or two inputs have
        one name, or an output has no batch axis.
    """

    def __init__(self, inputs: Any, outputs: Any, losses: Sequence[Symbol] = ()) -> None:
        self.losses = list(losses)
        self.inputs, self.outputs = _single(inputs), _single(outputs)
        inputs, outputs = self.inputs, self.outputs
        self.input_list, self.output_list = _symbols(inputs, "inputs"), _symbols(outputs, "outputs")
        batches = {None, *(symbol.shape[0] for symbol in self.input_list if symbol.shape)}
        for symbol in self.output_list:
            if not symbol.shape or symbol.shape[0] not in batches:
                raise ValueError(f"outputs: {symbol.name!r} has shape {symbol.shape}, without an axis of samples")
        self.input_names = _names(inputs, self.input_list)
        if len(set(self.input_names)) < len(self.input_names):
            raise ValueError(f"inputs: expected different names, got {self.input_names}")
        self.calls = producers([*self.output_list, *self.losses], self.input_list)
        #: The symbols that a program begins with, and its calls: layers that read strings are called before.
        self.start_list, self.program_calls = _after_data(
            self.calls, self.input_list, [*self.output_list, *self.losses]
        )
        self.start_names = _unique([symbol.name for symbol in self.start_list])
        self.output_names = _unique(_names(outputs, self.output_list))
        heads = [s.producer for s in self.input_list if s.producer is not None and not s.producer.inputs()]
        # Keras walks back from those of a dict in the order of their keys.
        ends = [outputs[key] for key in sorted(outputs)] if isinstance(outputs, dict) else outputs
        self.producers = _by_depth(heads, self.calls, [*flatten(ends), *self.losses])
        self.layers = list(
            {id(p.function): p.function for p in self.producers if isinstance(p.function, Layer)}.values()
        )
        taken: dict[str, Layer] = {}
        for layer in self.layers:
            if taken.setdefault(layer.name, layer) is not layer:
                raise ValueError(f"name: the model has two layers named {layer.name!r}; names in a model differ")

    def __getstate__(self) -> dict[str, Any]:
        """Calls come first, each after those whose results it reads."""
        return {"calls": self.calls} | vars(self)

    def __call__(self, inputs: Sequence[Tensor], model: Layer) -> Any:
        """Return the outputs for tensors in the order of ``start_list``, and add the losses to those of the model."""
        values = {id(symbol): x for symbol, x in zip(self.start_list, inputs, strict=True)}
        outputs, losses = evaluate(self.program_calls, values, (self.outputs, self.losses))
        for loss in losses:
            Layer.add_loss(model, loss)
        return outputs

    @property
    def reads_data(self) -> bool:
        """True if layers are called on data."""
        return self.start_list is not self.input_list

    def on_data(self, values: Sequence[Any]) -> list[Any]:
        """Return arrays in the order of ``start_list`` for data in the order of ``input_list``."""
        found = {id(symbol): value for symbol, value in zip(self.input_list, values, strict=True)}
        made = evaluate([call for call in self.calls if isinstance(call.function, DataLayer)], found, self.start_list)
        return [value.numpy() if isinstance(value, Tensor) else value for value in made]

    def called_anew(
        self, layers: Mapping[int, Layer], inputs: Any = None, call: Callable[..., Any] | None = None
    ) -> tuple[Any, Any]:
        """Return inputs and outputs of the same calls of other layers.

        Parameters
        ----------
        layers
            By the ``id`` of the layer whose place they take.
        inputs
            Symbols in the structure of the inputs; by default new ones.
        call
            ``call(layer, *args, **kwargs)`` calls a layer.
        """
        if inputs is None:
            inputs = map_structure(_new_input, self.inputs)
        inputs = _single(inputs)
        if map_structure(lambda _: Symbol, self.inputs) != map_structure(type, inputs):
            raise ValueError(f"input_tensors: expected symbols in the structure of {self.inputs!r}, got {inputs!r}")
        found = {id(old): new for old, new in zip(self.input_list, flatten(inputs), strict=True)}

        def resolve(leaf: Any) -> Any:
            return found[id(leaf)] if isinstance(leaf, Symbol) else leaf

        for p in self.calls:
            args, kwargs = map_structure(resolve, p.args), map_structure(resolve, p.kwargs)
            if not isinstance(p.function, Layer):
                made = record(p.function, args, kwargs, p.name)
            elif call is None:
                made = layers[id(p.function)](*args, **kwargs)
            else:
                made = call(layers[id(p.function)], *args, **kwargs)
            for old, new in zip(flatten(p.outputs), flatten(made), strict=True):
                found[id(old)] = new
        return inputs, map_structure(resolve, self.outputs)

    def without_losses(self) -> CallGraph:
        """Return the calls that lead to the outputs."""
        return CallGraph(self.inputs, self.outputs) if self.losses else self

    def names(self) -> dict[int, str]:
        """Return a name for each call, by ``id``: the layer's, or that of the function, numbered."""
        labels = _unique([producer.name for producer in self.producers])
        return {
            id(p): p.name if isinstance(p.function, Layer) else label
            for p, label in zip(self.producers, labels, strict=True)
        }

    def inner_layers(self) -> list[Layer]:
        """Return the layers that are called, in the order of their first calls."""
        return list({id(p.function): p.function for p in self.calls if isinstance(p.function, Layer)}.values())


def _after_data(
    calls: list[Producer], inputs: list[Symbol], outputs: Sequence[Symbol]
) -> tuple[list[Symbol], list[Producer]]:
    """Return the symbols and the calls that are left when the layers that read data have been called."""
    first = [call for call in calls if isinstance(call.function, DataLayer)]
    rest = [call for call in calls if not isinstance(call.function, DataLayer)]
    used = {id(symbol) for symbol in chain(outputs, *(call.inputs() for call in rest))}
    made = (symbol for call in first for symbol in flatten(call.outputs))
    start = [symbol for symbol in (*inputs, *made) if id(symbol) in used] if first else inputs
    strings = [symbol.name for symbol in start if symbol.dtype.kind == "U"]
    if strings:
        raise TypeError(f"outputs: expected numbers, got the strings {strings[0]!r}")
    return start, rest if first else calls


def model_calls(model: Layer) -> tuple[list[Producer], list[Symbol], list[Symbol]]:
    """Return the calls of a model, each after those it depends on; its inputs and its outputs.

    Raises
    ------
    ValueError
        If its class defines ``call``, or it is not built.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.models.call_graph import model_calls
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(3, name="first"), nb.layers.Dense(1, name="second")])
    >>> [producer.name for producer in model_calls(model)[0]]
    ['first', 'second']
    """
    if not getattr(model, "has_call_graph", False):
        raise ValueError(
            f"model: {model.name} is a subclass that defines call; expected a Sequential or a functional model"
        )
    inputs, outputs = list(flatten(model.input)), list(flatten(model.output))
    return producers(outputs, inputs), inputs, outputs


def call_names(calls: Iterable[Producer]) -> list[str]:
    """Return a name for each call: the layer's, and for later calls ``name:1``, ``name:2`` ..., as on a tape."""
    used: Counter[str] = Counter()
    names = []
    for producer in calls:
        turn = used[producer.name]
        used[producer.name] += 1
        names.append(f"{producer.name}:{turn}" if turn else producer.name)
    return names


def _single(structure: Any) -> Any:
    """Return the only entry of a list of one, as in Keras."""
    return structure[0] if isinstance(structure, (list, tuple)) and len(structure) == 1 else structure


def _symbols(structure: Any, argument: str) -> list[Symbol]:
    symbols = list(flatten(structure))
    if not symbols or not all(isinstance(symbol, Symbol) for symbol in symbols):
        raise ValueError(
            f"{argument}: expected what nbnet.Input or layers called with it return, in a list or dict if there are "
            f"several; got {structure!r}"
        )
    return symbols


def _new_input(symbol: Symbol) -> Symbol:
    """Return an input of the shape and name of a symbol."""
    layer = None if symbol.producer is None else symbol.producer.function
    if isinstance(layer, InputLayer):
        return InputLayer.from_config(layer.get_config()).output
    return InputLayer(batch_shape=symbol.shape, dtype=symbol.dtype, name=symbol.name).output


def _names(structure: Any, symbols: Sequence[Symbol]) -> list[str]:
    """Return names of inputs or outputs: keys of a dict of them, else those of the layers they come from."""
    named = isinstance(structure, dict) and len(structure) == len(symbols)
    return list(structure) if named else [symbol.name for symbol in symbols]


def _unique(names: Sequence[str]) -> list[str]:
    used: Counter[str] = Counter()
    unique: list[str] = []
    for name in names:
        unique.append(f"{name}_{used[name]}" if used[name] else name)
        used[name] += 1
    return unique


def _by_depth(heads: Sequence[Producer], calls: Sequence[Producer], outputs: Sequence[Symbol]) -> list[Producer]:
    """Return calls in Keras's order, which is that of its weights: those farthest from the outputs first, and among
    these as a walk back from the outputs meets them."""
    depth = {id(p): 0 for p in (*calls, *heads)}
    deepest: dict[int, int] = {}
    for producer in reversed(calls):
        deepest[id(producer.function)] = max(depth[id(producer)], deepest.get(id(producer.function), 0))
        depth[id(producer)] = deepest[id(producer.function)]
        for before in _feeding(producer, depth):
            depth[id(before)] = max(depth[id(before)], depth[id(producer)] + 1)
    met: dict[int, int] = {}
    stack = [s.producer for s in reversed(outputs) if s.producer is not None and id(s.producer) in depth]
    while stack:
        producer = stack.pop()
        if id(producer) not in met:
            met[id(producer)] = len(met)
            stack.extend(reversed(_feeding(producer, depth)))
    order = {id(p): k for k, p in enumerate((*heads, *calls))}
    return sorted((*heads, *calls), key=lambda p: (-depth[id(p)], met.get(id(p), len(met)), order[id(p)]))


def _feeding(producer: Producer, known: dict[int, int]) -> list[Producer]:
    """Return the calls of the graph whose results a call reads."""
    return [s.producer for s in producer.inputs() if s.producer is not None and id(s.producer) in known]


#: Entries of a configuration besides name, dtype and the like.
GRAPH = {"layers": list, "calls": list, "inputs": list, "input_structure": (dict, list), "outputs": (dict, list)}
_CALL = {"layer": (int, type(None)), "op": (str, type(None)), "args": list, "kwargs": list}


def graph_config(graph: CallGraph) -> dict[str, Any]:
    """Return the layers, calls, inputs and outputs of a graph as a plain dict.

    Raises
    ------
    ValueError, TypeError
        If an argument of a call cannot be written down.
    """
    graph = graph.without_losses()
    numbers = {id(symbol): k for k, symbol in enumerate(graph.input_list)}
    inner = graph.inner_layers()
    at = {id(layer): k for k, layer in enumerate(inner)}
    calls, count = [], len(graph.input_list)
    for producer in graph.calls:
        layer = at.get(id(producer.function))
        calls.append(
            {
                "layer": layer,
                "op": None if layer is not None else _op_name(producer),
                "args": [_encode(arg, numbers, producer.name) for arg in producer.args],
                "kwargs": [[name, _encode(arg, numbers, producer.name)] for name, arg in producer.kwargs.items()],
            }
        )
        for symbol in flatten(producer.outputs):
            numbers.setdefault(id(symbol), count)
            count += 1
    return {
        "layers": [serialize(layer) for layer in inner],
        "calls": calls,
        "inputs": [_input_config(symbol, {layer.name for layer in inner}) for symbol in graph.input_list],
        "input_structure": _encode(graph.inputs, numbers, "inputs"),
        "outputs": _encode(graph.outputs, numbers, "outputs"),
    }


def graph_from_config(config: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return inputs and outputs, in symbols, of the graph that :func:`graph_config` described.

    Raises
    ------
    ValueError, TypeError
        If a call is of an unknown layer or op, or has arguments that do not fit.
    """
    parts = fields({key: config.get(key) for key in GRAPH}, GRAPH, "config")
    inner = [deserialize(layer) for layer in parts["layers"]]
    values: list[Any] = [registry.make(InputLayer, part, "config.inputs").output for part in parts["inputs"]]
    for i, call in enumerate(parts["calls"]):
        path = f"config.calls[{i}]"
        fields(call, _CALL, path)
        function = _function(call, inner, path)
        args = [_decode(arg, values, path) for arg in call["args"]]
        kwargs = _pairs(call["kwargs"], values, path)
        # Before the call: one of constants alone would compute, and no model has any.
        if not has_symbols(args) and not has_symbols(kwargs):
            raise ValueError(f"{path}: the call depends on no input")
        results = list(flatten(function(*args, **kwargs)))
        if not all(isinstance(value, Symbol) for value in results):
            raise ValueError(f"{path}: the call depends on no input")
        values.extend(results)
    inputs = _decode(parts["input_structure"], values, "config.input_structure")
    return inputs, _decode(parts["outputs"], values, "config.outputs")


def _pairs(pairs: Any, values: Sequence[Any], path: str) -> dict[str, Any]:
    """Return a dict from its items: files keep no order of keys, and that of inputs and outputs matters."""
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs
    ):
        raise ValueError(f"{path}: expected pairs of names and values, got {str(pairs)[:60]}")
    return {name: _decode(part, values, path) for name, part in pairs}


def _op_name(producer: Producer) -> str:
    name = getattr(producer.function, "__name__", producer.name)
    offered = getattr(ops, name, None) if name in ops.__all__ else None
    if offered is None or getattr(offered, "__wrapped__", offered) is not producer.function:
        raise ValueError(f"{name}: only functions of nbnet.ops can be saved in a model; wrap this one in a Layer")
    return name


def _function(call: Mapping[str, Any], inner: Sequence[Layer], path: str) -> Any:
    if (call["layer"] is None) == (call["op"] is None):
        raise ValueError(f"{path}: expected a layer or an op")
    if call["layer"] is not None:
        if not 0 <= call["layer"] < len(inner):
            raise ValueError(f"{path}.layer: there is no layer {call['layer']}")
        return inner[call["layer"]]
    if call["op"] not in ops.__all__:
        raise ValueError(f"{path}.op: {call['op']!r} is not known")
    return getattr(ops, call["op"])


def _input_config(symbol: Symbol, taken: set[str]) -> dict[str, Any]:
    """Return the configuration of the input of a symbol; of a symbol inside another model, one of its shape."""
    layer = None if symbol.producer is None else symbol.producer.function
    if isinstance(layer, InputLayer):
        return layer.get_config()
    name = f"{symbol.name}_input" if symbol.name in taken else symbol.name
    return {"shape": list(symbol.shape[1:]), "batch_size": None, "dtype": symbol.dtype.name, "name": name}


def _encode(value: Any, numbers: Mapping[int, int], path: str) -> Any:
    if isinstance(value, Symbol):
        return {"value": numbers[id(value)]}
    if isinstance(value, list):
        return [_encode(part, numbers, path) for part in value]
    if isinstance(value, tuple):
        return {"tuple": [_encode(part, numbers, path) for part in value]}
    if isinstance(value, Mapping):
        return {"dict": [[key, _encode(part, numbers, path)] for key, part in value.items()]}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise ValueError(
                f"{path}: a parameter that belongs to no layer cannot be saved; make it a weight of a Layer"
            )
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.name}
    if isinstance(value, slice):
        return {"slice": [value.start, value.stop, value.step]}
    return {"slice": "..."} if value is Ellipsis else value


def _decode(value: Any, values: Sequence[Any], path: str) -> Any:
    if isinstance(value, list):
        return [_decode(part, values, path) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"value"} and type(value["value"]) is int and 0 <= value["value"] < len(values):
        return values[value["value"]]
    if value.keys() == {"tuple"} and isinstance(value["tuple"], list):
        return tuple(_decode(part, values, path) for part in value["tuple"])
    if value.keys() == {"dict"}:
        return _pairs(value["dict"], values, path)
    if value.keys() == {"array", "dtype"} and value["dtype"] in ("float32", "float64", "int32", "int64", "bool"):
        return np.array(value["array"], value["dtype"])
    if value.keys() == {"slice"} and (value["slice"] == "..." or isinstance(value["slice"], list)):
        return Ellipsis if value["slice"] == "..." else slice(*value["slice"])
    raise ValueError(f"{path}: {str(value)[:60]} is not an argument")
