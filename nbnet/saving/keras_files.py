"""Models and weights in Keras's files: ``.keras``, ``.weights.h5``, and the ``.h5`` of older versions.

A ``.keras`` file is a zip archive of the configuration in JSON and the weights in HDF5. Nothing in it is executed, and
the sizes that it declares are checked before anything is read.
"""

from __future__ import annotations

import datetime
import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from nbnet import layers
from nbnet.base.atomic_file import replacing
from nbnet.base.hdf5_file import allowance, write_hdf5
from nbnet.base.hdf5_process import read_hdf5
from nbnet.base.json_record import MAX_BYTES, loads, plain
from nbnet.base.loading_budget import LoadingBudget, loading_budget
from nbnet.base.regular_file import open_regular
from nbnet.base.version import __version__
from nbnet.layers.layer import Layer
from nbnet.models.model import Model
from nbnet.saving import keras_legacy
from nbnet.saving.keras_config import compile_from_keras, compile_to_keras, from_keras, layer_to_keras
from nbnet.saving.keras_weights import (
    IDF_WEIGHTS,
    arrays_for_keras,
    keras_paths,
    load_arrays,
    load_optimizer,
    warn_not_finite,
)

Array = NDArray[Any]

#: Version of Keras whose format is written.
KERAS_VERSION = "3.5.0"
_METADATA, _CONFIG, _WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
_VOCABULARY = "/vocabulary.txt"
#: Number of members of an archive.
_MEMBERS = 10_000


def model_to_keras(model: Model, include_compile: bool = True) -> dict[str, Any]:
    """Return Keras's configuration of a model, with its compile arguments if it is compiled."""
    found = layer_to_keras(model)
    compiled = model.get_compile_config() if include_compile else None
    return found if compiled is None else found | {"compile_config": compile_to_keras(compiled)}


def save_keras(model: Model, path: Path, overwrite: bool, include_optimizer: bool) -> None:
    """Write a ``.keras`` file."""
    config = json.dumps(plain(model_to_keras(model, include_optimizer), "model"), allow_nan=False)
    metadata = {
        "keras_version": KERAS_VERSION,
        "date_saved": datetime.datetime.now().astimezone().strftime("%Y-%m-%d@%H:%M:%S"),
        "nbnet_version": __version__,
    }
    content = write_hdf5(*arrays_for_keras(model, include_optimizer))
    check_overwrite(path, overwrite)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_METADATA, json.dumps(metadata))
        archive.writestr(_CONFIG, config)
        archive.writestr(_WEIGHTS, content)


def save_weights_h5(model: Layer, path: Path, overwrite: bool) -> None:
    """Write a ``.weights.h5`` file, with the state of the optimizer if the model is compiled."""
    compiled = isinstance(model, Model) and model.optimizer is not None
    content = write_hdf5(*arrays_for_keras(model, compiled))  # type: ignore[arg-type]
    check_overwrite(path, overwrite)
    with replacing(path) as file:
        file.write(content)


def save_h5(model: Model, path: Path, overwrite: bool, include_optimizer: bool) -> None:
    """Write an ``.h5`` file of a whole model, as older versions of Keras do."""
    config = model_to_keras(model, include_optimizer)
    content = keras_legacy.file_of(model, config, KERAS_VERSION)
    check_overwrite(path, overwrite)
    with replacing(path) as file:
        file.write(content)


def check_overwrite(path: Path, overwrite: bool) -> None:
    """Raise FileExistsError if there is a file that is not to be replaced."""
    if not overwrite and os.path.lexists(path):
        raise FileExistsError(f"path: {path} is there already; overwrite=True replaces it")


def load_keras(path: Path, compile: bool) -> Model:
    """Return the model of a ``.keras`` file."""
    config, content, assets = _members(path)
    record = loads(config, "config.json")
    file = read_hdf5(content, path.name)
    shapes = [entry.shape for name, entry in file.entries.items() if not name.startswith("optimizer/")]
    if not isinstance(record, dict):
        raise ValueError("config.json: expected an object")
    model = compiled_from_keras(record, record.get("compile_config") if compile else None, LoadingBudget(shapes))
    _load_vocabularies(model, assets, file.arrays)
    _assign(load_arrays(model, file.arrays, path.name), path.name)
    if model.optimizer is not None:
        load_optimizer(model, file.arrays, path.name)
    return model


def load_h5(path: Path, compile: bool) -> Model:
    """Return the model of an ``.h5`` file of Keras 2, or of Keras 3 in the older format."""
    file = read_hdf5(_content(path), path.name)
    config = keras_legacy.model_config(file)
    shapes = [entry.shape for name, entry in file.entries.items() if name.startswith("model_weights/")]
    compiled = keras_legacy.compile_config(file) if compile else None
    model = compiled_from_keras(config, compiled, LoadingBudget(shapes))
    places = keras_legacy.by_position(model, keras_legacy.layer_weights(file), file.arrays, path.name, False)
    _assign(places, path.name)
    return model


def compiled_from_keras(record: Mapping[str, Any], compile_config: Any, budget: LoadingBudget) -> Model:
    """Return the model of a configuration, compiled as another configuration says, all of it charged to a budget."""
    with loading_budget(budget):
        model = model_from_keras(record)
        compiled = compile_from_keras(compile_config)
        if compiled is not None:
            model.compile(**compiled)
    return model


def model_from_keras(record: Mapping[str, Any]) -> Model:
    """Return the model that a configuration of Keras's describes, with new weights; not compiled."""
    model = layers.deserialize(from_keras({k: v for k, v in record.items() if k != "compile_config"}))
    if not isinstance(model, Model):
        raise TypeError(f"config: describes a {type(model).__name__}, which is not a model")
    build = record.get("build_config")
    if not model.built and isinstance(build, dict):
        if isinstance(build.get("nbnet"), dict):
            model.build_from_config(build["nbnet"])
        elif isinstance(build.get("input_shape"), list):
            model.build_for(tuple(build["input_shape"]))
    return model


def load_weights_keras(model: Layer, path: Path, skip_mismatch: bool, by_name: bool) -> None:
    """Set the weights of a model from a ``.keras``, ``.weights.h5`` or older ``.h5`` file."""
    assets: Mapping[str, bytes] = {}
    if path.suffix == ".keras":
        _, content, assets = _members(path)
    else:
        content = _content(path)
    file = read_hdf5(content, path.name)
    legacy = keras_legacy.is_legacy(file)
    if legacy:
        find: Callable[..., Any] = keras_legacy.by_name if by_name else keras_legacy.by_position
        places = find(model, keras_legacy.layer_weights(file), file.arrays, path.name, skip_mismatch)
    elif by_name:
        raise ValueError(f"by_name: {path.name} has no names of layers; only .h5 files of older versions have")
    else:
        places = load_arrays(model, file.arrays, path.name, skip_mismatch)
    _load_vocabularies(model, assets, file.arrays)
    _assign(places, path.name)
    if not legacy and isinstance(model, Model):
        load_optimizer(model, file.arrays, path.name)


def _load_vocabularies(model: Layer, assets: Mapping[str, bytes], arrays: Mapping[str, Array]) -> None:
    """Set the vocabularies that layers have learned, which Keras keeps beside the configuration."""
    for path, layer in keras_paths(model).items() if assets else ():
        content = assets.get(f"assets/{path}{_VOCABULARY}")
        if content is not None and hasattr(layer, "load_vocabulary"):
            layer.load_vocabulary(content.decode("utf-8"), arrays.get(f"{path}/vars/{IDF_WEIGHTS}"))


def _assign(places: Mapping[str, tuple[Array, Array]], name: str) -> None:
    warn_not_finite({path: array for path, (_, array) in places.items()}, name)
    for place, array in places.values():
        place[...] = array


def _content(path: Path) -> bytes:
    with open_regular(path) as file:
        return file.read()


def _members(path: Path) -> tuple[bytes, bytes, dict[str, bytes]]:
    """Return the configuration, the weights, and the vocabularies by name, in a ``.keras`` file.

    Raises
    ------
    ValueError
        If it is no such archive, is damaged, or a member is larger than a file of that size can hold.
    """
    content = _content(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            if len(members) > _MEMBERS or len(set(names)) < len(names):
                raise ValueError(f"has more than {_MEMBERS} members, or two of one name")
            if _CONFIG not in names:
                raise ValueError(f"is not a .keras file: it has no {_CONFIG}")
            if _WEIGHTS not in names:
                raise ValueError(f"has no {_WEIGHTS}; weights in other formats are not read")
            config = _member(archive, archive.getinfo(_CONFIG), MAX_BYTES)
            most = allowance(len(content))
            assets, left = {}, most
            for name in names:
                if name.startswith("assets/") and name.endswith(_VOCABULARY):
                    assets[name] = _member(archive, archive.getinfo(name), left)
                    left -= len(assets[name])
            return config, _member(archive, archive.getinfo(_WEIGHTS), most), assets
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, OverflowError) as error:
        raise ValueError(f"damaged, or not a .keras file: {error}") from error
    except Exception as error:
        if type(error).__module__ == "zlib" or isinstance(error, (KeyError, IndexError, UnicodeError)):
            raise ValueError(f"damaged: {error}") from error
        raise


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
        raise ValueError(f"{member.filename}: is encrypted, or compressed in a way that is not read")
    if member.file_size > most:
        raise ValueError(f"{member.filename}: has {member.file_size} bytes, more than a file of this size can hold")
    with archive.open(member) as file:
        content = file.read(most + 1)
    if len(content) != member.file_size:
        raise ValueError(f"{member.filename}: has {len(content)} bytes, not {member.file_size}")
    return content
