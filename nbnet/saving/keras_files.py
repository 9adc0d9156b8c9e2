"""Models and weights in Keras's files: ``.keras``, ``.weights.h5``, and the ``.h5`` of older versions.

A ``.keras`` file is a zip archive of the configuration in JSON and the weights in HDF5; in one of nbnet's, the metadata
have their SHA-256. Nothing in it is executed, and the sizes that it declares are checked before anything is read.
"""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from nbnet import layers
from nbnet.base.atomic_file import replacing
from nbnet.base.hdf5_file import Hdf5Content, read_hdf5, write_hdf5
from nbnet.base.json_record import MAX_BYTES, loads, plain
from nbnet.base.loading_budget import LoadingBudget, allowance, loading_budget
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
#: Keys of the metadata in files of nbnet's: its version, and the checksum.
_WRITER, _CHECKSUM = "nbnet_version", "nbnet_sha256"
_VOCABULARY = "/vocabulary.txt"
#: Number of members of an archive, of values of a configuration, and of bytes that are unpacked at a time.
_MEMBERS, _VALUES, _PART = 10_000, 200_000, 1 << 20


def model_to_keras(model: Model, include_compile: bool = True) -> dict[str, Any]:
    """Return Keras's configuration of a model, with its compile arguments if it is compiled."""
    found = layer_to_keras(model)
    compiled = model.get_compile_config() if include_compile else None
    return found if compiled is None else found | {"compile_config": compile_to_keras(compiled)}


def save_keras(model: Model, path: Path, overwrite: bool, include_optimizer: bool) -> None:
    """Write a ``.keras`` file."""
    config = json.dumps(plain(model_to_keras(model, include_optimizer), "model"), allow_nan=False)
    content = write_hdf5(*arrays_for_keras(model, include_optimizer))
    metadata = {
        "keras_version": KERAS_VERSION,
        "date_saved": datetime.datetime.now().astimezone().strftime("%Y-%m-%d@%H:%M:%S"),
        _WRITER: __version__,
        _CHECKSUM: _checksum(config.encode(), content),
    }
    check_overwrite(path, overwrite)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_METADATA, json.dumps(metadata))
        archive.writestr(_CONFIG, config)
        archive.writestr(_WEIGHTS, content)


def _checksum(config: bytes, content: bytes) -> str:
    return hashlib.sha256(hashlib.sha256(config).digest() + hashlib.sha256(content).digest()).hexdigest()


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
    record, file, assets, size = _read_keras(path)
    if not isinstance(record, dict):
        raise ValueError("config.json: expected an object")
    compiled = record.get("compile_config") if compile else None
    model = compiled_from_keras(record, compiled, _budget(file, size))
    _load_vocabularies(model, assets, file.arrays)
    _assign(load_arrays(model, file.arrays, path.name), path.name)
    if model.optimizer is not None:
        load_optimizer(model, file.arrays, path.name)
    return model


def load_h5(path: Path, compile: bool) -> Model:
    """Return the model of an ``.h5`` file of Keras 2, or of Keras 3 in the older format."""
    file, size = _read_h5(path)
    config = keras_legacy.model_config(file)
    compiled = keras_legacy.compile_config(file) if compile else None
    model = compiled_from_keras(config, compiled, _budget(file, size, "model_weights/"))
    places = keras_legacy.by_position(model, keras_legacy.layer_weights(file), file.arrays, path.name, False)
    _assign(places, path.name)
    return model


def _budget(file: Hdf5Content, size: int, root: str = "") -> LoadingBudget:
    """Return the budget of a model whose weights are in a file, under a root. A state of the optimizer, if there is
    one, makes it copy the weights."""
    found = [entry.shape for name, entry in file.entries.items() if name.startswith(root) and not _is_state(name)]
    used = sum(array.nbytes for array in file.arrays.values())
    free = allowance(size) - used
    return LoadingBudget(found, size, used + (free // 2 if any(map(_is_state, file.entries)) else 0))


def _is_state(name: str) -> bool:
    return name.startswith("optimizer/")


def compiled_from_keras(record: Mapping[str, Any], compile_config: Any, budget: LoadingBudget) -> Model:
    """Return the model of a configuration, compiled as another configuration says, all of it charged to a budget."""
    with loading_budget(budget):
        model = model_from_keras(record)
        compiled = compile_from_keras(compile_config)
        if compiled is not None and type(model).compile_from_config is not Model.compile_from_config:
            model.compile_from_config(compile_config)
        elif compiled is not None:
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
        _, file, assets, _ = _read_keras(path)
    else:
        file, _ = _read_h5(path)
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


def _read_h5(path: Path) -> tuple[Hdf5Content, int]:
    """Return the content of an HDF5 file, and its size."""
    with open_regular(path) as file:
        content = file.read()
    return read_hdf5(content, path.name), len(content)


def _read_keras(path: Path) -> tuple[Any, Hdf5Content, dict[str, bytes], int]:
    """Return the configuration, the weights, and the vocabularies by name, in a ``.keras`` file, and its size."""
    config, content, assets, size = _members(path)
    record = loads(config, _CONFIG, _VALUES)
    del config
    return record, read_hdf5(content, path.name, allowance(size)), assets, size


def _members(path: Path) -> tuple[bytes, bytes, dict[str, bytes], int]:
    """Return the bytes of the configuration, the weights, and the vocabularies in a ``.keras`` file, and its size.

    Raises
    ------
    ValueError
        If it is no such archive, is damaged, or a member is larger than a file of that size can hold.
    """
    with open_regular(path) as file:
        whole = file.read()
    size = len(whole)
    if whole.count(b"PK\1\2") > _MEMBERS:
        raise ValueError(f"has more than {_MEMBERS} members")
    try:
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            del whole
            names = archive.namelist()
            if len(set(names)) < len(names):
                raise ValueError("has two members of one name")
            if _CONFIG not in names:
                raise ValueError(f"is not a .keras file: it has no {_CONFIG}")
            if _WEIGHTS not in names:
                raise ValueError(f"has no {_WEIGHTS}; weights in other formats are not read")
            left = (1 << 20) + 4 * size
            config = _member(archive, _CONFIG, min(MAX_BYTES, left))
            content = _member(archive, _WEIGHTS, (8 << 20) + 4 * size)
            metadata = loads(_member(archive, _METADATA, 1 << 16), _METADATA) if _METADATA in names else None
            assets = {}
            for name in names:
                if name.startswith("assets/") and name.endswith(_VOCABULARY):
                    assets[name] = _member(archive, name, left)
                    left -= len(assets[name])
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, struct.error, LookupError) as error:
        raise ValueError(f"damaged, or not a .keras file: {error}") from error
    if isinstance(metadata, dict) and _WRITER in metadata and metadata.get(_CHECKSUM) != _checksum(config, content):
        raise ValueError("damaged: the file differs from its checksum, or has none")
    return config, content, assets, size


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    member = archive.getinfo(name)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
        raise ValueError(f"{name}: is encrypted, or compressed in a way that is not read")
    if not 0 <= member.file_size <= most:
        raise ValueError(f"{name}: has {member.file_size} bytes, more than a file of this size can hold")
    with archive.open(member) as file:
        content = b"".join(iter(lambda: file.read(_PART), b""))
    if len(content) != member.file_size:
        raise ValueError(f"{name}: has {len(content)} bytes, not {member.file_size}")
    return content
