"""Call graphs as plain dicts, and back: the configuration of a model of inputs and outputs.

Values are numbered: inputs first, then the results of each call, in the order of the calls. Arguments of calls are
JSON, where ``{"value": 3}`` is a symbol, and tuples, dicts and arrays are tagged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nbnet import ops
from nbnet.base import registry
from nbnet.base.json_record import fields
from nbnet.base.tree import flatten
from nbnet.engine.graph.symbolic import Producer, Symbol, has_symbols
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer
from nbnet.layers.serialization import deserialize, serialize
from nbnet.models.call_graph import CallGraph

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
