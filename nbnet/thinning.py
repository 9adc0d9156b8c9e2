"""Thinned models: the smaller model that remains when masks drop units, and its weights merged back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet import layers
from nbnet.base.array_memory import plain_array
from nbnet.base.registry import UniqueNames
from nbnet.base.tree import flatten, map_structure, restructure
from nbnet.dropout_schedules import DropoutSchedule
from nbnet.engine.graph.symbolic import Producer, Symbol, record
from nbnet.engine.graph.tape import Trace, paused
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers import PutUnits, Rescaling, TakeUnits
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer
from nbnet.layers.pooling import Spatial
from nbnet.models.call_graph import call_names, model_calls
from nbnet.models.clone import copy_layer
from nbnet.models.model import Model
from nbnet.models.sequential import Sequential
from nbnet.ops.broadcast import add, maximum, minimum, multiply, subtract

__all__ = ["merge", "thin"]


Units = NDArray[np.bool]

#: Layers that can have a mask: dropped units are 0, kept units are multiplied by 1 / (1 - rate).
DROPPING = (layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D)
#: Layers that mix all input units, and the name of units in their config. Their weights are a kernel (..., inputs,
#: units), or (..., units, inputs) of those in TRANSPOSED, and an optional bias (units,); SEPARABLE ones have a kernel
#: (..., inputs, multiplier) before it.
LINEAR: dict[type[Layer], str] = {
    layers.Dense: "units",
    layers.Conv1D: "filters",
    layers.Conv2D: "filters",
    layers.Conv3D: "filters",
    layers.Conv1DTranspose: "filters",
    layers.Conv2DTranspose: "filters",
    layers.SeparableConv1D: "filters",
    layers.SeparableConv2D: "filters",
}
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
#: Layers with a kernel (..., units, 1) and an optional bias (units,), if their multiplier is 1.
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
#: Layers that map each unit to one unit, and 0 to 0.
_FROM_ZERO = (*DROPPING, layers.GaussianDropout, layers.Identity, Spatial)
#: Layers that apply a function of single numbers.
_ELEMENTWISE = (layers.Activation, layers.ELU, layers.LeakyReLU, layers.ReLU, layers.Rescaling)
#: Layers and functions that combine the units of several inputs one by one, and map zeros to 0.
_MERGING = (layers.Add, layers.Average, layers.Maximum, layers.Minimum, layers.Multiply, layers.Subtract)
_MERGING_OPS = (add, maximum, minimum, multiply, subtract)


class Kind(Enum):
    """The way a call treats units."""

    MASK = auto()  # a dropout layer with a mask
    LINEAR = auto()  # each output unit is a weighted sum of all input units
    MIXING = auto()  # the same, with an activation that mixes units
    UNITWISE = auto()  # each unit by itself
    NORMALIZING = auto()  # each unit by itself, with its own weights
    FLATTEN = auto()  # output units are the units of several positions
    MERGING = auto()  # units of several inputs, combined one by one: 0 where all of them are
    JOINING = auto()  # units of several inputs, one after the other
    WHOLE = auto()  # anything else: it needs all units, and returns all


def kind_of(producer: Producer, masked: bool, shared: bool) -> Kind:
    """Return the kind of a call that has a mask (``masked``), or whose layer is called more than once (``shared``)."""
    layer, inputs = producer.function, producer.inputs()
    if masked:
        return Kind.MASK
    if isinstance(layer, Layer) and layer.activity_regularizer is not None:
        return Kind.WHOLE
    if (isinstance(layer, _MERGING) or layer in _MERGING_OPS) and len({x.shape for x in inputs}) == 1:
        return Kind.MERGING if len(inputs) == _operands(producer) else Kind.WHOLE
    last = (-1, inputs[0].ndim - 1)
    if isinstance(layer, layers.Concatenate) and layer.axis in last and all(x.shape[-1] for x in inputs):
        return Kind.JOINING
    if len(inputs) != 1:
        return Kind.WHOLE
    if not isinstance(layer, Layer):
        shape = tuple(n or 2 for n in inputs[0].shape)
        alone = _operands(producer) == 1 and inputs[0].dtype.kind == "f"
        return Kind.UNITWISE if alone and elementwise(layer, inputs[0].dtype, shape) else Kind.WHOLE
    if type(layer) in LINEAR and not shared and getattr(layer, "groups", 1) == 1:
        return Kind.LINEAR if _activates_numbers(layer) else Kind.MIXING
    if isinstance(layer, layers.BatchNormalization) and not shared and layer.axis in last:
        return Kind.NORMALIZING
    if isinstance(layer, DEPTHWISE) and not shared and layer.depth_multiplier == 1 and _activates_numbers(layer):
        return Kind.NORMALIZING
    if type(layer) is layers.Flatten:
        return Kind.FLATTEN if inputs[0].ndim > 2 else Kind.UNITWISE
    simple = isinstance(layer, _FROM_ZERO) or (type(layer) in _ELEMENTWISE and _acts_on_numbers(layer))
    return Kind.UNITWISE if simple else Kind.WHOLE


def _operands(producer: Producer) -> int:
    """Return the number of arguments of a call; those in a list count one by one."""
    return sum(1 for _ in flatten((producer.args, producer.kwargs)))


def _acts_on_numbers(layer: Any) -> bool:
    if isinstance(layer, layers.Rescaling):
        return np.ndim(layer.scale) == np.ndim(layer.offset) == 0
    return not isinstance(layer, layers.Activation) or _activates_numbers(layer)


def _activates_numbers(layer: Any) -> bool:
    return elementwise(layer.activation, layer.dtype)


def elementwise(function: Any, dtype: Any, shape: tuple[int, ...] = (2, 3)) -> bool:
    """Return True if each output element depends on one input element, as the records of its ops say."""
    x = Tensor(shape, dtype)
    with Trace(x.dtype) as trace:
        y = function(x)
    nodes = trace.nodes
    return y is x or bool(nodes and all(node.op.role == "elementwise" and len(node.inputs) == 1 for node in nodes))


def keeps_zero(layer: Any, dtype: Any) -> bool:
    """Return True if a unitwise layer or function maps 0 to 0."""
    if isinstance(layer, Layer) and not isinstance(layer, _ELEMENTWISE):
        return isinstance(layer, (*_FROM_ZERO, layers.Flatten))
    with paused():
        return not np.any(layer(Tensor((1, 1), dtype, np.zeros((1, 1), dtype))).numpy())


def units(symbol: Symbol) -> int:
    """Return the number of units; 1 without a last axis or with an open one, which is never thinned."""
    return (symbol.shape[-1] or 1) if len(symbol.shape) > 1 else 1


@dataclass(frozen=True)
class Step:
    """A call and its remaining units, as bool arrays."""

    producer: Producer
    kind: Kind
    given: tuple[Units, ...]  # units of each input that are present
    read: tuple[Units, ...]  # units of each input that it reads: the present ones, or zeros in addition
    outputs: Units  # units of its first output that are present

    @property
    def inputs(self) -> Units:
        """Units of its first input that it reads."""
        return self.read[0] if self.read else np.ones(1, bool)

    @property
    def layer(self) -> Any:
        """The layer or function that is called."""
        return self.producer.function


def plan(model: Model, masks: Mapping[str, Any]) -> tuple[list[Step], dict[int, Units]]:
    """Return the remaining units of each call of a model, and the present units of each symbol by its ``id``.

    Raise TypeError or ValueError if the model has no graph, a mask fits no layer, or a call keeps no unit.
    """
    calls, inputs, outputs = model_calls(model)
    kept = _masks(model, masks, calls)
    times = Counter(id(p.function) for p in calls)
    kinds = [kind_of(p, id(p) in kept, times[id(p.function)] > 1) for p in calls]
    zero = _zero(calls, kinds, kept)
    needed = _needed(calls, kinds, zero, outputs)
    present: dict[int, Units] = {id(symbol): np.ones(units(symbol), bool) for symbol in inputs}
    steps = []
    for producer, kind in zip(calls, kinds, strict=True):
        given = tuple(present[id(x)] for x in producer.inputs())
        first = next(flatten(producer.outputs))
        read = _read(kind, given, needed[id(first)])
        for y in flatten(producer.outputs):
            present[id(y)] = _present(kind, read, needed[id(y)], y)
            if not present[id(y)].any():
                raise ValueError(f"masks: expected at least one kept unit in {producer.name}, got none")
        steps.append(Step(producer, kind, given, read, present[id(first)]))
    return steps, present


def _masks(model: Model, masks: Mapping[str, Any], calls: Sequence[Producer]) -> dict[int, Units]:
    """Return the units that masks keep, by the ``id`` of the call; names are those of the tape."""
    if not isinstance(masks, Mapping):
        raise TypeError(f"masks: expected a dict of bool arrays by name of layer, got {type(masks).__name__}")
    named = {n: p for n, p in zip(call_names(calls), calls, strict=True) if isinstance(p.function, DROPPING)}
    found = {}
    for name, mask in masks.items():
        if name not in named:
            raise ValueError(f"masks: expected dropout layers of {model.name}, {list(named)}, got {name!r}")
        found[id(named[name])] = _vector(name, mask, units(named[name].inputs()[0]))
    return found


def _vector(name: str, mask: Any, size: int) -> Units:
    """Return a mask that all rows and positions share, as a vector."""
    array = plain_array(mask, f"masks[{name!r}]")
    if array.dtype.kind not in "bui":
        raise TypeError(f"masks[{name!r}]: expected booleans, got {array.dtype}")
    if array.ndim == 0 or array.shape[-1] != size or array.size != size:
        raise ValueError(f"masks[{name!r}]: expected one mask of shape ({size},) for all rows, got shape {array.shape}")
    vector: Units = array.reshape(-1) != 0
    if not vector.any():
        raise ValueError(f"masks[{name!r}]: expected at least one kept unit, got none")
    return vector


def _zero(calls: Sequence[Producer], kinds: Sequence[Kind], kept: Mapping[int, Units]) -> dict[int, Units]:
    """Return the units of each symbol that are 0 for any input, because they were dropped."""
    zero: dict[int, Units] = {}
    for producer, kind in zip(calls, kinds, strict=True):
        y = next(flatten(producer.outputs))
        before = [zero.get(id(x), np.zeros(units(x), bool)) for x in producer.inputs()]
        found = np.zeros(units(y), bool)
        if kind is Kind.MASK:
            found = before[0] | ~kept[id(producer)]
        elif kind is Kind.MERGING:
            found = np.logical_and.reduce(before)
        elif kind is Kind.JOINING:
            found = np.concatenate(before)
        elif kind in (Kind.UNITWISE, Kind.FLATTEN) and keeps_zero(producer.function, y.dtype):
            found = np.tile(before[0], len(found) // len(before[0]))
        zero[id(y)] = found
    return zero


def _needed(
    calls: Sequence[Producer], kinds: Sequence[Kind], zero: Mapping[int, Units], outputs: Sequence[Symbol]
) -> dict[int, Units]:
    """Return the units of each symbol that a remaining call reads and that are not 0."""
    needed: dict[int, Units] = {}

    def need(symbol: Symbol, wanted: Units) -> None:
        none = np.zeros(units(symbol), bool)
        needed[id(symbol)] = needed.get(id(symbol), none) | (wanted & ~zero.get(id(symbol), none))

    for symbol in outputs:
        need(symbol, np.ones(units(symbol), bool))
    for producer, kind in zip(reversed(calls), reversed(kinds), strict=True):
        found = list(flatten(producer.outputs))
        for y in found:
            needed.setdefault(id(y), np.zeros(units(y), bool))
        wanted, begin = needed[id(found[0])], 0
        for x in producer.inputs():
            n = units(x)
            if kind in (Kind.WHOLE, Kind.LINEAR, Kind.MIXING):
                need(x, np.ones(n, bool))
            elif kind is Kind.FLATTEN:
                need(x, np.logical_or.reduce(wanted.reshape(-1, n)))
            elif kind is Kind.JOINING:
                need(x, wanted[begin : begin + n])
                begin += n
            else:
                need(x, wanted)
    return needed


def _read(kind: Kind, given: tuple[Units, ...], wanted: Units) -> tuple[Units, ...]:
    """Return the units of each input that a call reads."""
    if kind is Kind.WHOLE:
        return tuple(np.ones_like(there) for there in given)
    if kind is Kind.MERGING:
        return (np.logical_or.reduce(given),) * len(given)
    if kind in (Kind.UNITWISE, Kind.NORMALIZING) and (wanted & ~given[0]).any():
        return (np.ones_like(given[0]),)
    return given


def _present(kind: Kind, read: tuple[Units, ...], needed: Units, y: Symbol) -> Units:
    """Return the units of an output of a call that are present."""
    if kind in (Kind.MASK, Kind.LINEAR):
        return needed
    if kind in (Kind.UNITWISE, Kind.NORMALIZING, Kind.MERGING):
        return read[0]
    if kind is Kind.FLATTEN:
        return np.tile(read[0], units(y) // len(read[0]))
    if kind is Kind.JOINING:
        return np.concatenate(read)
    return np.ones(units(y), bool)


def thin(model: Model, masks: Mapping[str, Any]) -> Model:
    """Return the smaller model that masks leave; see :meth:`nbnet.Model.thin`.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.thinning import thin
    >>> hidden = [nb.layers.Dense(4, "relu"), nb.layers.Dropout(0.5, name="drop")]
    >>> model = nb.Sequential([nb.Input((2,)), *hidden, nb.layers.Dense(1)])
    >>> [w.shape for w in thin(model, {"drop": [True, False, True, False]}).weights]
    [(2, 2), (2,), (2, 1), (1,)]
    """
    steps, present = plan(model, masks)
    taken = UniqueNames(step.producer.name for step in steps if step.kind is not Kind.MASK)
    # A layer that is called again stays one layer.
    copies: dict[int, list[Layer]] = {}
    replacements = {}
    for step in steps:
        made = copies.get(id(step.layer)) or _layers(step, taken)
        replacements[id(step)] = made
        if step.kind is not Kind.MASK:
            copies[id(step.layer)] = made
    if isinstance(model, Sequential):
        stack: list[Layer] = []
        for step in steps:
            stack += [*_put(step.producer.inputs()[0], step.given[0], step.read[0], taken), *replacements[id(step)]]
        end = present[id(model.outputs[0])]
        stack += _put(model.outputs[0], end, np.ones_like(end), taken)
        thinned: Model = type(model)(
            [_input(model.inputs[0]), *stack], name=f"{model.name}_thinned", trainable=model.trainable
        )
    else:
        thinned = _connected(model, steps, replacements, present, taken)
    thinned.thinned_by = {name: np.asarray(mask).reshape(-1) != 0 for name, mask in masks.items()}
    for big, small, places in _pairs(steps, thinned):
        for weight, part, place in zip(big.weights, small.weights, places, strict=True):
            part.assign(weight.memory()[place])
    return thinned


def merge(model: Model, thinned: Model, masks: Mapping[str, Any] | None = None) -> None:
    """Write the weights of a thinned model to their places in the full one; see :meth:`nbnet.Model.merge`.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.thinning import merge, thin
    >>> hidden = [nb.layers.Dense(3), nb.layers.Dropout(0.5, name="drop")]
    >>> model = nb.Sequential([nb.Input((1,)), *hidden, nb.layers.Dense(1)])
    >>> small = thin(model, {"drop": [True, False, True]})
    >>> _ = small.layers[0].bias.assign([5.0, 7.0])
    >>> merge(model, small)
    >>> model.layers[0].bias.numpy()
    array([5., 0., 7.], dtype=float32)
    """
    if not isinstance(thinned, Model):
        raise TypeError(f"thinned: expected a thinned model, got {type(thinned).__name__}")
    masks = thinned.thinned_by if masks is None else masks
    if masks is None:
        raise ValueError(f"thinned: {thinned.name} was not made by thin in this process; pass the masks it was made by")
    pairs = _pairs(plan(model, masks)[0], thinned)
    for big, small, places in pairs:
        shapes = [weight.memory()[place].shape for weight, place in zip(big.weights, places, strict=True)]
        if [part.shape for part in small.weights] != shapes:
            got = [part.shape for part in small.weights]
            raise ValueError(f"thinned: {small.name} has weights of shapes {got}, the masks leave {shapes}")
    for big, small, places in pairs:
        for weight, part, place in zip(big.weights, small.weights, places, strict=True):
            weight.memory()[place] = part.memory()


def _layers(step: Step, taken: UniqueNames) -> list[Layer]:
    """Return the layers that replace a layer."""
    layer = step.layer
    if step.kind is Kind.MASK:
        return _kept(step, taken)
    if not isinstance(layer, Layer):
        return []
    changes = {LINEAR[type(layer)]: int(np.count_nonzero(step.outputs))} if step.kind is Kind.LINEAR else {}
    return [copy_layer(layer, **changes)]


def _kept(step: Step, taken: UniqueNames) -> list[Layer]:
    """Return the layers that replace dropout: a selection of its kept units, if needed, and its factor."""
    layer = step.layer
    found: list[Layer] = []
    if isinstance(layer.rate, DropoutSchedule):
        raise ValueError(f"masks[{layer.name!r}]: the layer's rate is a schedule; set layer.rate to that of a step")
    if not np.array_equal(step.inputs, step.outputs):
        columns = np.flatnonzero(step.outputs[step.inputs]).tolist()
        found.append(TakeUnits(columns, name=taken.take(f"{layer.name}_kept"), dtype=layer.dtype))
    rate = layer.dtype.type(layer._rate.item())
    scale = 1 / (1 - rate) if rate < 1 else 0 * rate
    return [*found, Rescaling(float(scale), name=taken.take(layer.name), dtype=layer.dtype)]


def _put(x: Symbol, given: Units, wanted: Units, taken: UniqueNames) -> list[Layer]:
    """Return the layer that inserts zeros among the given units of x, or none if they are the wanted ones."""
    if np.array_equal(given, wanted):
        return []
    units = np.flatnonzero(given[wanted]).tolist()
    name = taken.take(f"{x.producer.name if x.producer is not None else x.name}_put")
    return [PutUnits(units, int(np.count_nonzero(wanted)), name=name, dtype=x.dtype)]


def _input(symbol: Symbol) -> InputLayer:
    """Return an input like that of the model."""
    layer = symbol.producer.function if symbol.producer is not None else None
    if isinstance(layer, InputLayer):
        return InputLayer.from_config(layer.get_config())
    return InputLayer(symbol.shape[1:], dtype=symbol.dtype, name=f"{symbol.name}_input")


def _connected(
    model: Model,
    steps: list[Step],
    replacements: Mapping[int, list[Layer]],
    present: Mapping[int, Units],
    taken: UniqueNames,
) -> Model:
    """Return a functional model whose calls are repeated with other layers."""
    assert model.graph is not None
    values: dict[int, Any] = {id(symbol): _input(symbol).output for symbol in model.graph.input_list}
    filled: dict[tuple[int, bytes], Any] = {}

    def with_zeros(x: Symbol, wanted: Units) -> Any:
        """Return the value of x, with the wanted units."""
        key = id(x), wanted.tobytes()
        if key not in filled:
            filled[key] = values[id(x)]
            for layer in _put(x, present[id(x)], wanted, taken):
                filled[key] = layer(filled[key])
        return filled[key]

    for step in steps:
        producer, chain = step.producer, replacements[id(step)]
        found = {id(x): with_zeros(x, read) for x, read in zip(producer.inputs(), step.read, strict=True)}

        def resolve(leaf: Any, found: Mapping[int, Any] = found) -> Any:
            return found[id(leaf)] if isinstance(leaf, Symbol) else leaf

        args, kwargs = map_structure(resolve, producer.args), map_structure(resolve, producer.kwargs)
        if step.kind is Kind.MASK:
            (result,) = map(resolve, producer.inputs())
            for layer in chain:
                result = layer(result)
        else:
            result = chain[0](*args, **kwargs) if chain else record(producer.function, args, kwargs, producer.name)
        for symbol, value in zip(flatten(producer.outputs), flatten(result), strict=True):
            values[id(symbol)] = value
    inputs = restructure(model.graph.inputs, [values[id(symbol)] for symbol in model.graph.input_list])
    outputs = map_structure(lambda x: with_zeros(x, np.ones_like(present[id(x)])), model.graph.outputs)
    return type(model)(inputs=inputs, outputs=outputs, name=f"{model.name}_thinned", trainable=model.trainable)


def _pairs(steps: list[Step], thinned: Model) -> list[tuple[Layer, Layer, list[Any]]]:
    """Return each layer with weights, its counterpart in the smaller model, and the places of its weights."""
    small = {layer.name: layer for layer in thinned.layers}
    found: dict[int, tuple[Layer, Layer, list[Any]]] = {}
    for step in steps:
        layer = step.layer
        if isinstance(layer, Layer) and layer.weights:
            if layer.name not in small:
                raise ValueError(f"thinned: {thinned.name} has no layer {layer.name!r}; is it part of another model?")
            found[id(layer)] = layer, small[layer.name], _places(step)
    return list(found.values())


def _places(step: Step) -> list[Any]:
    """Return the indices of the remaining weights among the weights of a layer."""
    rows, columns = np.flatnonzero(step.inputs), np.flatnonzero(step.outputs)
    if step.kind in (Kind.LINEAR, Kind.MIXING):
        return _linear_places(step.layer, rows, columns)
    if step.kind is Kind.NORMALIZING and isinstance(step.layer, DEPTHWISE):
        return [(..., columns, slice(None)), columns][: len(step.layer.weights)]
    if step.kind is Kind.NORMALIZING:
        return [columns] * len(step.layer.weights)
    return [...] * len(step.layer.weights)


def _linear_places(layer: Layer, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> list[Any]:
    """Return the indices of the remaining weights of a layer that mixes input units."""
    first = layer.weights[0].shape
    spatial = [np.arange(n) for n in first[:-2]]
    if isinstance(layer, TRANSPOSED):
        places = [np.ix_(*spatial, columns, rows), columns]
    elif isinstance(layer, SEPARABLE):
        several = first[-1]
        mixed = (rows[:, None] * several + np.arange(several)).reshape(-1)
        point = [np.arange(1)] * len(spatial)
        places = [np.ix_(*spatial, rows, np.arange(several)), np.ix_(*point, mixed, columns), columns]
    else:
        places = [np.ix_(*spatial, rows, columns), columns]
    return places[: len(layer.weights)]
