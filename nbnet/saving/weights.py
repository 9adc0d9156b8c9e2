"""Saving and loading of weights: the record of their files, and their names, which are paths through the model.

Layers without a given name are counted in their model (``dense``, ``dense_1``), whatever their names in this process
are; so weights fit a model that is built a second time. Inside a layer of your own, paths consist of attributes.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nbnet.base.json_record import fields
from nbnet.base.registry import UniqueNames, snake_case
from nbnet.base.regular_file import check_name
from nbnet.base.tensor_file import FORMAT, Entry, FilePath, Reader, write
from nbnet.base.uninterrupted import apart
from nbnet.base.version import __version__
from nbnet.engine.graph.parameter import Parameter
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer
from nbnet.layers.serialization import refuse_own_state
from nbnet.models.model import Model

T = TypeVar("T")

#: Endings of Keras's files.
KERAS = (".keras", ".h5", ".hdf5")

#: Errors that the content of a file may cause. Others are not its fault: no memory, or the exception of a timer.
_OF_CONTENT = ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, RecursionError

#: Prefixes of the names of an optimizer's tensors, of callbacks', and of those that count an epoch's losses; names of
#: layers have no colon.
PREFIX, CALLBACK, TOTALS = "optimizer:", "callback:", "totals:"

_ABOUT = {
    "format": int, "nbnet": str, "model": (dict, type(None)), "build": (dict, list, type(None)),
    "compile": (dict, type(None)), "training": (dict, type(None)), "tensors": dict,
}  # fmt: skip


def checked_path(path: Any, *endings: str) -> Path:
    """Return a path with one of these endings; raise TypeError if it is no path, ValueError for another ending."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path: expected a path, got {path!r}")
    check_name(path)
    checked = Path(os.fspath(path))
    if not checked.name.endswith(endings):
        *others, last = map(repr, endings)
        raise ValueError(f"path: expected a name that ends in {', '.join(others)} or {last}, got {checked.name!r}")
    return checked


def about(tensors: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return the record of a file with these tensors."""
    found = dict.fromkeys(_ABOUT) | {"format": FORMAT, "nbnet": __version__} | more
    return found | {"tensors": {name: [array.dtype.name, list(array.shape)] for name, array in tensors.items()}}


def check_about(file: Reader) -> dict[str, Any]:
    """Return the record of a file; raise ValueError if there is none, or it does not match version or header."""
    if file.about is None:
        raise ValueError("not written by nbnet: only weights can be loaded from other safetensors files")
    if isinstance(file.about, dict) and "format" in file.about and file.about["format"] not in (1, FORMAT):
        got, writer = file.about["format"], file.about.get("nbnet")
        raise ValueError(f"record: expected format {FORMAT}, got format {got!r} of nbnet {writer!r}")
    found = fields(file.about, _ABOUT, "record")
    said = found["tensors"]
    if said.keys() != file.entries.keys():
        name = min(said.keys() ^ file.entries.keys())
        raise ValueError(f"record: the tensor {name!r} is not in both the record and the header")
    for name, entry in file.entries.items():
        if said[name] != [entry.dtype.name, list(entry.shape)]:
            raise ValueError(f"record: {name}: is {str(said[name])[:60]}, in the header {entry.dtype} {entry.shape}")
    return found


def arrays(model: Layer) -> dict[str, Any]:
    """Return the weights of a model by name in files."""
    return {name: weight.memory() for name, weight in weights_by_path(model).items()}


def entries(file: Reader) -> dict[str, Entry]:
    """Return the tensors of a file that are weights."""
    return {name: entry for name, entry in file.entries.items() if not name.startswith((PREFIX, CALLBACK, TOTALS))}


def check_tensor(name: str, entry: Entry, place: NDArray[Any]) -> None:
    """Raise ValueError if a tensor of a file and an array differ in shape or dtype."""
    if (entry.shape, entry.dtype) != (place.shape, place.dtype):
        raise ValueError(
            f"{name}: expected shape {place.shape} of {place.dtype}, the file has shape {entry.shape} of {entry.dtype}"
        )


def assign(model: Layer, file: Reader, skip_mismatch: bool = False) -> None:
    """Set all weights from a file; if it is damaged, or names, shapes or dtypes differ, raise ValueError and set
    none."""
    for name, place in places(model, file, skip_mismatch).items():
        file.read(name, place)


def places(model: Layer, file: Reader, skip_mismatch: bool = False) -> dict[str, NDArray[Any]]:
    """Return the weights that a file has, by name; raise ValueError if names, shapes or dtypes differ."""
    given, own = entries(file), weights_by_path(model)
    problems = [f"{name}: is missing in the file" for name in own.keys() - given.keys()]
    problems += [f"{name}: the model has no such weight" for name in given.keys() - own.keys()]
    fitting = []
    for name in sorted(own.keys() & given.keys()):
        try:
            check_tensor(name, given[name], own[name].memory())
            fitting.append(name)
        except ValueError as error:
            problems.append(str(error))
    if problems and not skip_mismatch:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise ValueError(f"{file.path.name}: {min(problems)}{more}")
    if problems:
        warnings.warn(f"{file.path.name}: left out: {'; '.join(sorted(problems))}", stacklevel=5)
    return {name: own[name].memory() for name in fitting}


def _path_for(model: Layer, filepath: Any, *endings: str) -> Path:
    """Return the path of a file of weights, after a check that the model has any."""
    path = checked_path(filepath, *endings)
    if not model.built:
        raise ValueError(f"{model.name} is not built and has no weights yet: call or fit it first")
    return path


def save_weights(model: Layer, filepath: FilePath, overwrite: bool = True) -> None:
    """Write the weights of a model.

    Parameters
    ----------
    model
        A built model.
    filepath
        Path that ends in ``.weights.nbnet``, ``.nbnet`` or ``.safetensors``; or in ``.weights.h5``, for Keras (which
        needs the extra ``h5``).
    overwrite
        If False, an existing file is an error.

    Raises
    ------
    ValueError
        If the name has another ending, or the model is not built.
    FileExistsError
        If there is such a file and ``overwrite`` is False.
    OSError
        If it cannot be written, or the path is that of a folder, a FIFO, a socket or a device; then the old file
        remains.

    Examples
    --------
    >>> import tempfile
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nb.saving.save_weights(model, f"{folder}/m.weights.nbnet")
    ...     nb.saving.load_weights(model, f"{folder}/m.weights.nbnet")
    """
    path = _path_for(model, filepath, ".nbnet", ".safetensors", ".weights.h5")
    if path.suffix == ".h5":
        keras_files().save_weights_h5(model, path, overwrite)
        return
    tensors = arrays(model)
    write(path, tensors, about(tensors), overwrite)


@apart
def load_weights(model: Layer, filepath: FilePath, skip_mismatch: bool = False, by_name: bool = False) -> None:
    """Set the weights of a model from a file that :func:`save_weights` or ``model.save`` wrote, here or in Keras.

    Layers without a given name are counted in their model, so weights fit a model that is built a second time. In a
    file of Keras's, layers are found by class and number, and the state of the optimizer is set, too, if the model is
    compiled; in ``.h5`` files of older versions, by their order among the layers with weights.

    A warning names weights that are not finite.

    Parameters
    ----------
    model
        A built model.
    filepath
        A file of nbnet, any safetensors file whose tensors have these names, or a file of Keras's: ``.keras``,
        ``.weights.h5`` or ``.h5``.
    skip_mismatch
        If True, weights that do not match stay as they are, with a warning.
    by_name
        If True, take the layers of an ``.h5`` file whose names the model has, and leave the others as they are. Files
        of other formats have no such names.

    Raises
    ------
    ValueError
        If the file is damaged, or weights do not match; then nothing is changed.
    ImportError
        If it is a file of Keras's, and h5py is not installed.
    OSError
        If there is no file, or it is a folder, a FIFO, a socket or a device.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import nbnet as nb
    >>> first, second = (nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)]) for _ in range(2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first.save_weights(Path(folder, "w.weights.nbnet"))
    ...     nb.saving.load_weights(second, Path(folder, "w.weights.nbnet"))
    >>> bool((first.get_weights()[0] == second.get_weights()[0]).all())
    True
    """
    path = _path_for(model, filepath, ".nbnet", ".safetensors", ".keras", ".h5", ".hdf5")
    if path.suffix in KERAS:
        explain(path, keras_files().load_weights_keras, model, path, skip_mismatch, by_name)
        return
    if by_name:
        raise ValueError(f"by_name: {path.name} has paths of weights, and no names of layers; only .h5 files have")
    with Reader(path) as file:
        if file.about is not None:
            explain(path, check_about, file)
        assign(model, file, skip_mismatch)
        warn_not_finite(model, path)


def keras_files() -> Any:
    """Return :mod:`nbnet.saving.keras_files`, imported when a file of Keras's is written or read."""
    from nbnet.saving import keras_files

    return keras_files


def warn_not_finite(model: Layer, path: Path) -> None:
    """Warn if weights of a model, which were just loaded, are not finite."""
    bad = [name for name, array in arrays(model).items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        warnings.warn(f"{path.name}: {bad[0]}{more} has values that are not finite", stacklevel=5)


def explain(path: Path, function: Callable[..., T], *args: Any) -> T:
    """Call a function; turn the errors that the content of a file causes into ValueErrors that name the file."""
    try:
        return function(*args)
    except OSError:  # also one that is a ValueError
        raise
    except _OF_CONTENT as error:
        text = str(error) if isinstance(error, (ValueError, TypeError)) else f"{type(error).__name__}: {error}"
        raise ValueError(f"{path.name}: {text.removeprefix(f'{path.name}: ')}") from error


def weights_by_path(layer: Layer) -> dict[str, Parameter]:
    """Return all weights of a model or layer by path; a shared weight has the first of its paths.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.saving.weights import weights_by_path
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(3), nb.layers.Dense(1, name="score")])
    >>> list(weights_by_path(model))
    ['dense/kernel', 'dense/bias', 'score/kernel', 'score/bias']
    """
    found: dict[str, Parameter] = {}
    known, names = set[int](), UniqueNames()
    for path, part in layers_by_path(layer).items():
        refuse_own_state(part)
        for weight in part.own_weights:
            if id(weight) not in known:
                known.add(id(weight))
                name = weight.name.rpartition("/")[2] or "variable"
                found[names.take(f"{path}/{name}" if path else name)] = weight
    for weight in layer.weights:
        if id(weight) not in known:
            found[names.take(weight.name)] = weight
    return found


def layers_by_path(layer: Layer) -> dict[str, Layer]:
    """Return a layer and all layers inside it, each once, by path; its own path is empty."""
    found: dict[str, Layer] = {"": layer}
    known, names = {id(layer)}, UniqueNames([""])
    left = deque([("", layer)])
    while left:
        path, outer = left.popleft()
        for key, inner in _inside(outer):
            if id(inner) not in known:
                known.add(id(inner))
                way = names.take(f"{path}/{key}" if path else key)
                found[way] = inner
                left.append((way, inner))
    return found


def _inside(layer: Layer) -> Iterator[tuple[str, Layer]]:
    if isinstance(layer, Model) and layer.has_call_graph:
        yield from _counted(inner for inner in layer.layers if not isinstance(inner, InputLayer))
        return
    # A layer under a public name has that path, whatever else holds it.
    for name in sorted(vars(layer), key=lambda name: name.startswith("_")):
        yield from in_value(name, vars(layer)[name], Layer)


def in_value(path: str, value: Any, kind: type[T]) -> Iterator[tuple[str, T]]:
    """Yield the objects of a kind in nested dicts, lists and tuples, with their paths."""
    if isinstance(value, kind):
        yield path, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from in_value(f"{path}/{key}", part, kind)
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value):
            yield from in_value(f"{path}/{i}", part, kind)


def _counted(inner: Iterable[Layer]) -> Iterator[tuple[str, Layer]]:
    names = UniqueNames()
    for layer in inner:
        base = snake_case(type(layer).__name__)
        yield names.take(base if re.fullmatch(rf"{base}(_\d+)?", layer.name) else layer.name), layer
