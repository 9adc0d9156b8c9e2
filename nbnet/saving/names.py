"""What weights are called in files: the way to them through the model.

Layers that nobody named are counted in their model (``dense``, ``dense_1``), whatever their names are in this process;
so weights fit a model that was made a second time. Inside a layer of your own, attributes are the way.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from nbnet.core.parameter import Parameter
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer
from nbnet.models.network import Network
from nbnet.models.sequential import Sequential
from nbnet.registry import snake_case


def weights(layer: Layer) -> dict[str, Parameter]:
    """All weights of a model or layer, by name in files; one that is shared has the first of its names.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.saving import names
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(3), nb.layers.Dense(1, name="score")])
    >>> list(names.weights(model))
    ['dense/kernel', 'dense/bias', 'score/kernel', 'score/bias']
    """
    found: dict[str, Parameter] = {}
    known: set[int] = set()
    for path, part in layers(layer).items():
        for weight in part._weights:
            if id(weight) not in known:
                known.add(id(weight))
                name = weight.name.rpartition("/")[2]
                found[_unused(f"{path}/{name}" if path else name, found)] = weight
    for weight in layer.weights:
        if id(weight) not in known:
            found[_unused(weight.name, found)] = weight
    return found


def layers(layer: Layer) -> dict[str, Layer]:
    """A layer and all layers inside it, each once, by the way to them; the way to itself is empty."""
    found: dict[str, Layer] = {"": layer}
    known = {id(layer)}
    left = [("", layer)]
    while left:
        path, outer = left.pop(0)
        for key, inner in _inside(outer):
            if id(inner) not in known:
                known.add(id(inner))
                way = _unused(f"{path}/{key}" if path else key, found)
                found[way] = inner
                left.append((way, inner))
    return found


def _inside(layer: Layer) -> Iterator[tuple[str, Layer]]:
    if isinstance(layer, Sequential) or (isinstance(layer, Network) and layer.graph is not None):
        yield from _counted(inner for inner in layer.layers if not isinstance(inner, InputLayer))
        return
    # What the user calls by a public name goes by that, whatever else holds it.
    for name in sorted(vars(layer), key=lambda name: name.startswith("_")):
        yield from _in_value(name, vars(layer)[name])


def _in_value(path: str, value: Any) -> Iterator[tuple[str, Layer]]:
    if isinstance(value, Layer):
        yield path, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _in_value(f"{path}/{key}", part)
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value):
            yield from _in_value(f"{path}/{i}", part)


def _counted(inner: Iterable[Layer]) -> Iterator[tuple[str, Layer]]:
    used: set[str] = set()
    for layer in inner:
        base = snake_case(type(layer).__name__)
        name = _unused(base if re.fullmatch(rf"{base}(_\d+)?", layer.name) else layer.name, used)
        used.add(name)
        yield name, layer


def _unused(name: str, used: Container[str]) -> str:
    number, made = 0, name
    while made in used:
        number += 1
        made = f"{name}_{number}"
    return made
