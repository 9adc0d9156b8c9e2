"""The layout of Keras's files of weights: paths of layers, and the order of the variables of layers and optimizers.

A path consists of the attributes that hold a layer; in a list it is the class in snake case, counted: that of the
second Dense of a Sequential is ``layers/dense_1``. Under it, ``vars/0``, ``vars/1`` ... are the weights that are
trained, then the others, in the order of their creation. The variables of the optimizer are under ``optimizer``: steps,
learning rate, and for each weight the arrays of its state.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.registry import UniqueNames, snake_case
from nbnet.engine.graph.parameter import Parameter
from nbnet.layers.layer import Layer
from nbnet.layers.serialization import refuse_own_state
from nbnet.models.model import Model
from nbnet.models.sequential import Sequential
from nbnet.optimizers.optimizer import Optimizer
from nbnet.optimizers.python_step import ACCUMULATOR

Array = NDArray[Any]

#: Folders of Keras's files that hold no weights: the states of the optimizer, of metrics, and of random generators.
_OTHER = re.compile(
    r"^(optimizer|_?metrics|_?loss_tracker|_?compile_metrics|_?compile_loss|_?loss_metrics)/|(^|/)_?seed_generator/"
    r"|(^|/)vars/idf_weights$"
)
#: The array of a layer with a vocabulary, of the weights of its tokens.
IDF_WEIGHTS = "idf_weights"
#: Attributes of layers of which nbnet keeps a number as a float, and Keras as an integer.
_COUNTS = frozenset(("count",))


def keras_paths(model: Layer) -> dict[str, Layer]:
    """Return a model and all layers inside it, each once, by their paths in Keras's files.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.saving.keras_weights import keras_paths
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(3), nb.layers.Dense(1, name="score")])
    >>> list(keras_paths(model))
    ['', 'layers/input_layer', 'layers/dense', 'layers/dense_1']
    """
    found: dict[str, Layer] = {}
    known: set[int] = set()

    def visit(path: str, layer: Layer) -> None:
        if id(layer) in known:
            return
        known.add(id(layer))
        found[path] = layer
        for key, value in _children(layer):
            visit_value(f"{path}/{key}" if path else key, value)

    def visit_value(path: str, value: Any) -> None:
        if isinstance(value, Layer):
            visit(path, value)
            return
        names = UniqueNames()
        for part in value.values() if isinstance(value, Mapping) else value:
            if isinstance(part, Layer):
                visit(f"{path}/{names.take(snake_case(keras_class_name(part)))}", part)
            elif isinstance(part, (list, tuple, dict)):
                visit_value(f"{path}/{names.take('container')}", part)

    visit("", model)
    return found


def keras_class_name(layer: Layer) -> str:
    """Return the name that the class of a layer has in Keras."""
    return "Functional" if type(layer) is Model and layer.has_call_graph else type(layer).__name__


def _children(layer: Layer) -> Iterator[tuple[str, Any]]:
    if isinstance(layer, Model) and layer.has_call_graph:
        yield "layers", all_layers(layer)
        return
    own = {name: value for name, value in vars(layer).items() if isinstance(value, (Layer, list, tuple, dict))}
    # Keras keeps all layers of a layer in this attribute, too.
    own["_layers"] = layer.layers
    for name in sorted(own, key=lambda name: f"~{name}" if name.startswith("_") else name):
        if not name.startswith("_") or name == "_layers" or isinstance(own[name], Layer):
            yield name, own[name]


def keras_parts(layer: Layer) -> tuple[str, ...]:
    """Return the names of layers that a layer has in Keras, and not here."""
    return ("_lookup_layer",) if type(layer).__name__ == "TextVectorization" else ()


def all_layers(model: Model) -> list[Layer]:
    """Return the layers of a model of symbols as Keras lists them, inputs included."""
    if isinstance(model, Sequential):
        return list(model._layers)
    assert model.graph is not None
    return list(model.graph.layers)


def weights_by_keras_path(model: Layer) -> dict[str, Parameter]:
    """Return all weights of a model by their paths in Keras's files.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.saving.keras_weights import weights_by_keras_path
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(3), nb.layers.BatchNormalization(scale=False)])
    >>> list(weights_by_keras_path(model))
    ['layers/dense/vars/0', 'layers/dense/vars/1', 'layers/batch_normalization/vars/0',
     'layers/batch_normalization/vars/1', 'layers/batch_normalization/vars/2']
    """
    paths = keras_paths(model)
    for layer in paths.values():
        refuse_own_state(layer)
    return {
        f"{path}/vars/{number}" if path else f"vars/{number}": weight
        for path, layer in paths.items()
        for number, weight in enumerate(layer.listed_weights)
    }


def arrays_for_keras(model: Model, optimizer: bool) -> tuple[dict[str, Array], dict[str, dict[str, Any]], list[str]]:
    """Return the arrays of a file, the attributes of its groups, and its groups."""
    arrays = {path: _for_file(weight) for path, weight in weights_by_keras_path(model).items()}
    for path, layer in keras_paths(model).items():
        weights = getattr(layer, "padded_idf_weights", None)
        if weights is not None:
            for place in (path, *[f"{path}/{name}" for name in keras_parts(layer)]):
                arrays[f"{place}/vars/{IDF_WEIGHTS}"] = weights.astype(model.dtype)
    names = {f"{path}/vars" if path else "vars": {"name": part.name} for path, part in keras_paths(model).items()}
    if optimizer and model.optimizer is not None:
        names["optimizer/vars"] = {"name": model.optimizer.name}
        for number, array in enumerate(_variables(model.optimizer, model.dtype)):
            arrays[f"optimizer/vars/{number}"] = array
    return arrays, names, list(names)


def _for_file(weight: Parameter) -> Array:
    array: Array = weight.numpy()
    return array.astype(np.int32) if weight.name.rpartition("/")[2] in _COUNTS else array


def _variables(optimizer: Optimizer, dtype: np.dtype[Any]) -> list[Array]:
    """Return the variables of an optimizer in Keras's order."""
    found: list[Array] = [np.array(optimizer.steps, np.int32 if optimizer.steps < 2**31 else np.int64)]
    if optimizer.schedule is None:
        found.append(np.array(float(optimizer.learning_rate), dtype))
    every = optimizer.gradient_accumulation_steps
    between = every is not None and optimizer.steps % every == 0
    # After an update, Keras starts from zeros; here the first gradient overwrites the last sum.
    return found + [
        np.zeros_like(array) if between and name.startswith(ACCUMULATOR) else array for name, array in _state(optimizer)
    ]


def _state(optimizer: Optimizer) -> list[tuple[str, Array]]:
    """Return views of the state of an optimizer, and what each belongs to, in Keras's order."""
    block = optimizer.block
    if block is None:
        return []
    state = optimizer.state
    found = [
        (f"{name} of {weight.name}", state[name][start : start + weight.size].reshape(weight.shape))
        for group in optimizer.slot_groups()
        for weight, start in zip(block.parameters, block.starts, strict=True)
        for name in group
    ]
    own = [(name, state[name]) for name in optimizer.own_state]
    return found + own + [(name, state[name].reshape(())) for name in state if name == "momentum_product"]


def load_arrays(
    model: Layer, arrays: Mapping[str, Array], file: str, skip_mismatch: bool = False
) -> dict[str, tuple[Array, Array]]:
    """Return for each weight its memory and the array of the file that belongs there, by path.

    Raises
    ------
    ValueError
        If weights are missing, left over, or of another shape, unless ``skip_mismatch`` is True: then these are left
        out with a warning.
    """
    given = {_modern(path): array for path, array in arrays.items() if not _OTHER.search(path)}
    own = weights_by_keras_path(model)
    problems = [f"{_said(own[path], path)}: is missing in the file" for path in own if path not in given]
    problems += [f"{path}: the model has no such weight" for path in given if path not in own]
    found: dict[str, tuple[Array, Array]] = {}
    for path, weight in own.items():
        if path not in given:
            continue
        array = given[path]
        if array.shape != weight.shape:
            problems.append(f"{_said(weight, path)}: expected shape {weight.shape}, the file has {array.shape}")
        else:
            found[path] = weight.memory(), array
    report(problems, file, skip_mismatch)
    return found


def report(problems: Iterable[str], file: str, skip_mismatch: bool) -> None:
    """Raise ValueError for the first problem, or warn of all of them."""
    said = list(problems)
    if said and not skip_mismatch:
        more = f", and {len(said) - 1} more" if len(said) > 1 else ""
        raise ValueError(f"{file}: {said[0]}{more}")
    if said:
        warnings.warn(f"{file}: left out: {'; '.join(said)}", stacklevel=6)


def _said(weight: Parameter, path: str) -> str:
    return f"{weight.name} ({path})"


def _modern(path: str) -> str:
    """Return the path that later versions of Keras write."""
    return path.replace("_layer_checkpoint_dependencies/", "layers/")


def load_optimizer(model: Model, arrays: Mapping[str, Array], file: str) -> None:
    """Set the state of the optimizer of a compiled model; if the file has another, warn and leave it as it is."""
    optimizer = model.optimizer
    prefix = "optimizer/vars/"
    given = {path.removeprefix(prefix): array for path, array in arrays.items() if path.startswith(prefix)}
    if optimizer is None or not given:
        return
    values = [given[str(number)] for number in range(len(given)) if str(number) in given]
    head = 1 if optimizer.schedule is not None else 2
    if len(values) > head and model.trainable_weights:
        optimizer.build_for(model.trainable_weights)
    places = _state(optimizer)
    fits = len(values) == len(given) == head + len(places) and all(value.shape == () for value in values[:head])
    if not fits or any(p.shape != v.shape for (_, p), v in zip(places, values[head:], strict=True)):
        warnings.warn(
            f"{file}: the state of the optimizer does not fit {optimizer.name} and was left out", stacklevel=6
        )
        return
    steps = int(values[0])
    if not 0 <= steps < 1 << 62:
        raise ValueError(f"{file}: optimizer/vars/0: expected a number of steps from 0, got {steps}")
    optimizer.steps = steps
    if head == 2 and values[1] != values[1].dtype.type(optimizer.learning_rate):
        optimizer.learning_rate = float(values[1])
    for (_, place), value in zip(places, values[head:], strict=True):
        place[...] = value


def warn_not_finite(weights: Mapping[str, Array], file: str) -> None:
    """Warn if weights that were loaded are not finite."""
    bad = [name for name, array in weights.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        warnings.warn(f"{file}: {bad[0]}{more} has values that are not finite", stacklevel=6)
