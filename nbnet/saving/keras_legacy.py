"""HDF5 files of whole models and of weights as Keras 2 writes them, and Keras 3 for a name that ends in ``.h5``.

Weights stand in a group for each layer, in the order of the layers; attributes list the names of layers and weights.
The configuration and the compile arguments are JSON in attributes of the root.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.hdf5_file import Hdf5Content, write_hdf5
from nbnet.base.json_record import loads, plain
from nbnet.layers.layer import Layer
from nbnet.layers.variable import flatten_layers
from nbnet.models.model import Model
from nbnet.saving.keras_weights import all_layers, report

Array = NDArray[Any]
#: Bytes of an attribute that HDF5 takes; longer lists are cut into parts.
_PART = 60_000


def is_legacy(file: Hdf5Content) -> bool:
    """Return True if a file has the names of layers in attributes."""
    return "model_weights" in file.groups or _names(file, "", "layer_names") is not None


def model_config(file: Hdf5Content) -> dict[str, Any]:
    """Return the configuration of the model in a file."""
    text = file.attribute("", "model_config")
    if not isinstance(text, str):
        raise ValueError("has no configuration of a model: build the model, then call load_weights")
    found = loads(text.encode("utf-8", "surrogatepass"), "model_config")
    if not isinstance(found, dict):
        raise ValueError("model_config: expected an object")
    return found


def compile_config(file: Hdf5Content) -> Any:
    """Return the compile arguments in a file in the form of Keras 3; None if it has none."""
    text = file.attribute("", "training_config")
    if not isinstance(text, str):
        return None
    found = loads(text.encode("utf-8", "surrogatepass"), "training_config")
    if isinstance(found, dict) and "optimizer_config" in found:
        found = {**found, "optimizer": found["optimizer_config"]}
    return found


def layer_weights(file: Hdf5Content) -> list[tuple[str, list[str]]]:
    """Return the names of layers in their order, each with the paths of its weights."""
    root = "model_weights" if "model_weights" in file.groups else ""
    layers = _names(file, root, "layer_names")
    if layers is None:
        raise ValueError("has no names of layers: it is no file of weights")
    found = []
    for layer in layers:
        group = f"{root}/{layer}" if root else layer
        if group not in file.groups:
            raise ValueError(f"{group}: is missing in the file")
        paths = [f"{group}/{name}" for name in _names(file, group, "weight_names") or []]
        if absent := [path for path in paths if path not in file.entries]:
            raise ValueError(f"{absent[0]}: is missing in the file")
        found.append((layer, paths))
    return found


def _names(file: Hdf5Content, group: str, name: str) -> list[str] | None:
    """Return a list of names in an attribute, or in several with the parts of it."""
    whole = file.attribute(group, name)
    found = list(whole) if isinstance(whole, list) else None
    number = 0
    while found is None or number:
        part = file.attribute(group, f"{name}{number}")
        if not isinstance(part, list):
            break
        found = (found or []) + part
        number += 1
    if found is not None and not all(isinstance(entry, str) for entry in found):
        raise ValueError(f"{group or 'root'}: {name}: expected strings")
    return found


def legacy_weights(layer: Layer) -> list[Any]:
    """Return all weights of a layer as older versions list them: those that are trained, here and in layers inside,
    then the others."""
    weights = [weight for part in flatten_layers(layer) for weight in part.listed_weights]
    unique = list({id(weight): weight for weight in weights}.values())
    return [w for w in unique if w.requires_grad] + [w for w in unique if not w.requires_grad]


def _model_layers(model: Layer) -> list[Layer]:
    return all_layers(model) if isinstance(model, Model) and model.has_call_graph else model.layers


def by_position(
    model: Layer, groups: list[tuple[str, list[str]]], arrays: dict[str, Array], file: str, skip_mismatch: bool
) -> dict[str, tuple[Array, Array]]:
    """Return for each weight its memory and its array: layers with weights, in the order of the model, have those of
    the groups with weights, in the order of the file.

    Raises
    ------
    ValueError
        If their numbers or shapes differ.
    """
    own = [layer for layer in _model_layers(model) if legacy_weights(layer)]
    given = [group for group in groups if group[1]]
    if len(own) != len(given):
        raise ValueError(f"{file}: expected {len(own)} layers with weights, the file has {len(given)}")
    return _match(list(zip(own, given, strict=True)), arrays, file, skip_mismatch)


def by_name(
    model: Layer, groups: list[tuple[str, list[str]]], arrays: dict[str, Array], file: str, skip_mismatch: bool
) -> dict[str, tuple[Array, Array]]:
    """Return the same for the layers whose names are in the file; all others stay as they are."""
    known = {layer.name: layer for layer in _model_layers(model)}
    pairs = [(known[name], (name, paths)) for name, paths in groups if name in known and paths]
    return _match(pairs, arrays, file, skip_mismatch)


def _match(
    pairs: list[tuple[Layer, tuple[str, list[str]]]], arrays: dict[str, Array], file: str, skip_mismatch: bool
) -> dict[str, tuple[Array, Array]]:
    found: dict[str, tuple[Array, Array]] = {}
    problems = []
    for layer, (name, paths) in pairs:
        weights = legacy_weights(layer)
        if len(weights) != len(paths):
            problems.append(f"{layer.name}: expected {len(weights)} weights, the file has {len(paths)} in {name}")
            continue
        for weight, path in zip(weights, paths, strict=True):
            if arrays[path].shape != weight.shape:
                problems.append(f"{weight.name}: expected shape {weight.shape}, the file has {arrays[path].shape}")
            else:
                found[path] = weight.memory(), arrays[path]
    report(problems, file, skip_mismatch)
    return found


def file_of(model: Model, config: dict[str, Any], version: str) -> bytes:
    """Return the file of a whole model; ``config`` is that of :func:`nbnet.saving.keras_files.model_to_keras`."""
    arrays: dict[str, Array] = {}
    root = "model_weights"
    layers = _model_layers(model)
    attributes: dict[str, dict[str, Any]] = {root: {"backend": "nbnet", "keras_version": version}}
    attributes[root] |= _parts("layer_names", [layer.name for layer in layers])
    for layer in layers:
        names = []
        for weight in legacy_weights(layer):
            name = weight.name
            while name in names:
                name += "_"
            names.append(name)
            arrays[f"{root}/{layer.name}/{name}"] = weight.numpy()
        attributes[f"{root}/{layer.name}"] = _parts("weight_names", names)
    compiled = config.pop("compile_config", None)
    attributes[""] = {
        "keras_version": version, "backend": "nbnet", "model_config": json.dumps(plain(config, "model")),
    }  # fmt: skip
    if compiled is not None:
        training = compiled | {"optimizer_config": compiled["optimizer"]}
        del training["optimizer"]
        attributes[""]["training_config"] = json.dumps(plain(training, "model"))
    return write_hdf5(arrays, attributes, list(filter(None, attributes)))


def _parts(name: str, values: list[str]) -> dict[str, Any]:
    """Return attributes for a list of names, in parts that are short enough."""
    encoded = [value.encode() for value in values]
    size = max([1, *map(len, encoded)])
    count = max(1, _PART // size)
    if len(encoded) <= count:
        return {name: np.array(encoded, f"S{size}")}
    return {
        f"{name}{k}": np.array(encoded[at : at + count], f"S{size}")
        for k, at in enumerate(range(0, len(encoded), count))
    }
