"""Weights of models in files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from nbnet.layers.layer import Layer
from nbnet.saving import names
from nbnet.saving.file import Entry, Reader, write
from nbnet.saving.record import fields
from nbnet.saving.state import PREFIX, check_tensor

T = TypeVar("T")

#: Version of the record. One that is higher was written by a newer nbnet.
FORMAT = 1
_ABOUT = {
    "format": int,
    "nbnet": str,
    "model": (dict, type(None)),
    "build": (dict, list, type(None)),
    "compile": (dict, type(None)),
    "training": (dict, type(None)),
    "tensors": dict,
}


def checked_path(path: Any, *endings: str) -> Path:
    """A path with one of these endings.

    Raises
    ------
    TypeError, ValueError
        If it is no path, or ends otherwise.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path: wants a path, got {path!r}")
    made = Path(os.fspath(path))
    if not made.name.endswith(endings):
        hint = (
            " (nbnet neither writes nor reads Keras's own formats)" if made.suffix in (".keras", ".h5", ".tf") else ""
        )
        raise ValueError(f"path: wants a name that ends in {' or '.join(map(repr, endings))}, got {made.name!r}{hint}")
    return made


def about(tensors: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The record of a file with these tensors."""
    from nbnet import __version__

    found = dict.fromkeys(_ABOUT) | {"format": FORMAT, "nbnet": __version__} | more
    return found | {"tensors": {name: [array.dtype.name, list(array.shape)] for name, array in tensors.items()}}


def check_about(file: Reader) -> dict[str, Any]:
    """The record of a file, which says of each tensor what the header says.

    Raises
    ------
    ValueError
        If there is none, or it does not fit this version or the header.
    """
    if file.about is None:
        raise ValueError("there is no record of nbnet in it: of other safetensors files, only weights can be loaded")
    if isinstance(file.about, dict) and "format" in file.about and file.about["format"] != FORMAT:
        raise ValueError(
            f"record: is of format {file.about['format']!r}, from nbnet {file.about.get('nbnet')!r}; this version "
            f"reads format {FORMAT}"
        )
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
    """The weights of a model by name in files."""
    return {name: weight.numpy() for name, weight in names.weights(model).items()}


def entries(file: Reader) -> dict[str, Entry]:
    """The tensors of a file that are weights."""
    return {name: entry for name, entry in file.entries.items() if not name.startswith(PREFIX)}


def assign(model: Layer, file: Reader, skip_mismatch: bool = False) -> None:
    """Set all weights from a file; if one does not fit, none is set.

    Raises
    ------
    ValueError
        If names, shapes or dtypes are others.
    """
    given, own = entries(file), names.weights(model)
    problems = [f"{name}: is missing in the file" for name in own.keys() - given.keys()]
    problems += [f"{name}: the model has no such weight" for name in given.keys() - own.keys()]
    fitting = []
    for name in sorted(own.keys() & given.keys()):
        try:
            check_tensor(name, given[name], own[name].numpy())
            fitting.append(name)
        except ValueError as error:
            problems.append(str(error))
    if problems and not skip_mismatch:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise ValueError(f"{file.path.name}: {min(problems)}{more}")
    if problems:
        warnings.warn(f"{file.path.name}: left out: {'; '.join(sorted(problems))}", stacklevel=4)
    for name in fitting:
        file.read(name, own[name].numpy())


def save_weights(model: Layer, filepath: Any, overwrite: bool = True) -> None:
    """Write the weights of a model.

    Parameters
    ----------
    model
        Built, with weights.
    filepath
        Ends in ``.weights.nbnet``, or in ``.nbnet`` or ``.safetensors``.
    overwrite
        Whether a file of this name may be there.

    Raises
    ------
    ValueError
        If the name ends otherwise, or the model is not built.
    FileExistsError
        If there is such a file, and it may not be overwritten.

    Examples
    --------
    >>> import tempfile
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nb.saving.save_weights(model, f"{folder}/m.weights.nbnet")
    ...     nb.saving.load_weights(model, f"{folder}/m.weights.nbnet")
    """
    path = checked_path(filepath, ".nbnet", ".safetensors")
    if not model.built:
        raise ValueError(f"{model.name} is not built and has no weights yet: call or fit it first")
    tensors = arrays(model)
    write(path, tensors, about(tensors), overwrite)


def load_weights(model: Layer, filepath: Any, skip_mismatch: bool = False) -> None:
    """Set the weights of a model from a file that :func:`save_weights` or ``model.save`` wrote, by name.

    Layers that were given no name are counted in their model, so that a model made a second time takes them.

    Parameters
    ----------
    model
        Built.
    filepath
        A file of nbnet, or any safetensors file whose tensors have these names.
    skip_mismatch
        Whether weights that do not fit are left as they are, with a warning.

    Raises
    ------
    ValueError
        If the file is damaged, or weights do not fit; then nothing is changed.

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
    path = checked_path(filepath, ".nbnet", ".safetensors")
    if not model.built:
        raise ValueError(f"{model.name} is not built and has no weights yet: call or fit it first")
    with Reader(path) as file:
        if file.about is not None:
            explain(path, check_about, file)
        assign(model, file, skip_mismatch)


def explain(path: Path, function: Callable[..., T], *args: Any) -> T:
    """Call a function; whatever is wrong with the file becomes a ValueError that names it."""
    try:
        return function(*args)
    except Exception as error:
        text = str(error) if isinstance(error, (ValueError, TypeError)) else f"{type(error).__name__}: {error}"
        raise ValueError(f"{path.name}: {text.removeprefix(f'{path.name}: ')}") from error
