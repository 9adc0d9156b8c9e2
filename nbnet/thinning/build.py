"""Thinned models: a smaller model from a plan, and its weights merged back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.registry import UniqueNames
from nbnet.base.tree import flatten, map_structure, restructure
from nbnet.dropout_schedules import DropoutSchedule
from nbnet.engine.graph.symbolic import Symbol, record
from nbnet.layers import PutUnits, Rescaling, TakeUnits
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer
from nbnet.models.clone import copy_layer
from nbnet.models.model import Model
from nbnet.models.sequential import Sequential
from nbnet.thinning.plan import DEPTHWISE, LINEAR, SEPARABLE, TRANSPOSED, Kind, Step, Units, plan


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
    >>> small.layers[0].bias.assign([5.0, 7.0])
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
