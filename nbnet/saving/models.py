"""Saving and loading of whole models: their configuration, weights, and state of training."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbnet import layers, ops, optimizers
from nbnet.base import seeds
from nbnet.base.json_record import fields
from nbnet.base.loading_budget import LoadingBudget, loading_budget
from nbnet.base.registry import custom_object_scope
from nbnet.base.tensor_file import FilePath, Reader, write
from nbnet.base.uninterrupted import apart
from nbnet.models.model import Model
from nbnet.saving import state, weights
from nbnet.saving.objects import serialize_keras_object

_COMPILE = {
    "optimizer": dict, "loss": (dict, list, type(None)), "loss_weights": (dict, list, type(None)),
    "metrics": (dict, list, type(None)), "weighted_metrics": (dict, list, type(None)),
}  # fmt: skip
#: Only there if it is set.
_SLICES = {"slices": int}


def save_model(model: Model, filepath: FilePath, overwrite: bool = True, include_optimizer: bool = True) -> None:
    """Write a model to a file: its layers and weights, its compile arguments, and the state of its training.

    The ending of the name chooses the format: ``.nbnet`` is nbnet's own, which has everything; ``.keras`` is that of
    Keras, which reads it, and needs the extra ``h5``; ``.h5`` is the older format of Keras, without the state of the
    training.

    The file is written atomically: if the process dies, the old file remains. It has a checksum, so that damage is an
    error when it is loaded. The target of a link is replaced. See :func:`load_model`.

    Parameters
    ----------
    model
        A Sequential, a functional model, or a subclass that has ``get_config``.
    filepath
        Path that ends in ``.nbnet`` (the format is safetensors), ``.keras``, ``.h5`` or ``.hdf5``.
    overwrite
        If False, an existing file is an error.
    include_optimizer
        If True, also write the optimizer, loss, metrics, and the state of the training.

    Raises
    ------
    ValueError, TypeError
        If the name has another ending, or a part of the model has no configuration, such as a lambda.
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
    ...     nb.saving.save_model(model, f"{folder}/m.nbnet")
    ...     again = nb.saving.load_model(f"{folder}/m.nbnet")
    >>> bool((again([[1.0, 2.0]]).numpy() == model([[1.0, 2.0]]).numpy()).all())
    True
    """
    path = weights.checked_path(filepath, ".nbnet", *weights.KERAS)
    if path.suffix in weights.KERAS:
        files = weights.keras_files()
        save = files.save_keras if path.suffix == ".keras" else files.save_h5
        save(model, path, overwrite, include_optimizer)
        return
    tensors, about = snapshot(model, include_optimizer)
    about |= {"model": layers.serialize(model), "build": model.get_build_config()}
    if include_optimizer:
        about["compile"] = model.get_compile_config()
    write(path, tensors, about, overwrite)


def snapshot(model: Model, training: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the weights and the state of the training, as tensors and a record."""
    tensors = weights.arrays(model)
    if not training:
        return tensors, weights.about(tensors)
    found = state.describe(model, model.optimizer)
    tensors |= state.tensors(model, found["trained"])
    return tensors, weights.about(tensors, training=found)


@functools.cache
def import_what_files_name() -> None:
    """Import the modules of layers and functions that are imported when they are first used: what a file says never
    imports one."""
    for package in (layers, ops):
        for found in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{found.name}")


@apart
def load_model(
    filepath: FilePath, custom_objects: Mapping[str, Any] | None = None, compile: bool = True, safe_mode: bool = True
) -> Model:
    """Load a model that :func:`save_model` wrote, or Keras: a ``.nbnet``, ``.keras`` or ``.h5`` file.

    The file holds no code and names no code: classes are those of nbnet, and yours if you pass them. It is checked
    before memory is allocated for its content.

    ``fit(..., initial_epoch=n)``, with the number of trained epochs, resumes an interrupted training: with the same
    order of rows and the same dropout masks, to the same weights bit for bit. A model that was saved inside of epoch
    ``n``, also of epoch 0, continues after the last batch that was trained; if the number of rows or the batch size has
    changed, the epoch starts over with a warning. Any other ``initial_epoch`` begins a new training. Where the weights
    were set to their averages at the end of training (``use_ema=True``), it continues from those before.

    Parameters
    ----------
    filepath
        Path of the file. Keras's need the extra ``h5``.
    custom_objects
        Classes and functions of your own, by name.
    compile
        If True, compile the model as it was, with the state of its optimizer.
    safe_mode
        Accepted for Keras's signature; loading is always safe.

    Raises
    ------
    ValueError
        If the file is damaged, of a newer version, or names an unknown class or function, or code.
    ImportError
        If it is a file of Keras's, and h5py is not installed.
    OSError
        If there is no file (FileNotFoundError), or it is a folder, a FIFO, a socket or a device.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(Path(folder, "model.nbnet"))
    ...     same = nb.load_model(Path(folder, "model.nbnet"))
    >>> bool((same([[1.0, 2.0]]).numpy() == model([[1.0, 2.0]]).numpy()).all())
    True
    """
    path = weights.checked_path(filepath, ".nbnet", *weights.KERAS)
    import_what_files_name()
    if path.suffix in weights.KERAS:
        files = weights.keras_files()
        load = files.load_keras if path.suffix == ".keras" else files.load_h5
        with custom_object_scope(custom_objects):
            found: Model = weights.explain(path, load, path, compile)
            return found
    with Reader(path) as file, custom_object_scope(custom_objects):
        return weights.explain(path, _load, file, compile)


def _load(file: Reader, compile: bool) -> Model:
    about = weights.check_about(file)
    if about["model"] is None:
        raise ValueError("contains weights only: build the model, then call load_weights")
    given = weights.entries(file)
    budget = LoadingBudget(entry.shape for entry in given.values())
    with loading_budget(budget):  # weights are zeros
        model = layers.deserialize(about["model"])
        if not isinstance(model, Model):
            raise ValueError(f"record: model: {type(model).__name__} is not a model")
        if about["build"] is not None:
            model.build_from_config(about["build"])
    own = weights.weights_by_path(model)
    if given.keys() != own.keys():
        name = min(given.keys() ^ own.keys())
        raise ValueError(f"{name}: the weight is {'unknown' if name in given else 'missing'}")
    training = None if about["training"] is None else state.check(about, file.entries)
    found = state.Places({}, None)
    if compile and about["compile"] is not None:
        with loading_budget(budget):
            model.compile_from_config(about["compile"])
        if training is not None and model.optimizer is not None:
            # Before weights are read: it moves them.
            found = state.build(model, model.optimizer, training, file.entries)
    file.read_into(weights.places(model, file) | found.tensors)
    if training is not None:
        state.restore(model, training, found)
    weights.warn_not_finite(model, file.path)
    return model


def model_to_keras(model: Model) -> dict[str, Any]:
    """Return the configuration of a model in Keras's form."""
    found: dict[str, Any] = weights.keras_files().model_to_keras(model)
    return found


def model_from_keras(record: Mapping[str, Any]) -> Model:
    """Return the model that a configuration in Keras's form describes, compiled as it says."""
    model: Model = weights.keras_files().compiled_from_keras(record, record.get("compile_config"), LoadingBudget())
    return model


def graph_from_keras(config: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the inputs and outputs, in symbols, that nodes in Keras's form describe."""
    from nbnet.saving import keras_graph

    return keras_graph.graph_from_keras(config)


def compile_config(model: Model) -> dict[str, Any] | None:
    """Return the compile arguments of a model; None if it is not compiled."""
    if model.optimizer is None:
        return None
    objective = model._train_state.objective
    parts = {name: serialize_keras_object(getattr(objective, name)) for name in _COMPILE if name != "optimizer"}
    slices = {} if model._train_state.slices is None else {"slices": model._train_state.slices}
    return {"optimizer": optimizers.serialize(model.optimizer), **_without_kinds(parts), **slices}


def _without_kinds(config: Any) -> Any:
    """Return a configuration without kinds, which the places of losses and metrics imply."""
    if isinstance(config, dict):
        return {key: _without_kinds(part) for key, part in config.items() if key != "kind"}
    return [_without_kinds(part) for part in config] if isinstance(config, list) else config


def compile_from_config(model: Model, config: Any) -> None:
    """Compile a model with the arguments that :func:`compile_config` returned."""
    wanted = _COMPILE | _SLICES if isinstance(config, dict) and "slices" in config else _COMPILE
    found = fields(config, wanted, "record: compile")
    model.compile(**found)


def save_state(model: Model, path: Path, callbacks: state.States) -> None:
    """Write the weights and the state of a training, of its callbacks and of the process, without the model's
    configuration."""
    tensors, about = snapshot(model)
    state.add_callbacks(callbacks, about["training"], tensors)
    about["training"]["process"] = list(seeds.get_state())
    about["tensors"] = weights.about(tensors)["tensors"]
    write(path, tensors, about)


def load_state(model: Model, path: Path) -> dict[str, dict[str, Any]]:
    """Restore the file of :func:`save_state` into the same model, built in another process; return the states of
    callbacks, by name.

    Raise ValueError if the file is damaged, or from another model.
    """
    states, process = _load_states(model, path)
    if process is not None:
        seeds.set_state(*process)
    return states


@apart
def _load_states(model: Model, path: Path) -> tuple[dict[str, dict[str, Any]], Any]:
    with Reader(path) as file:
        return weights.explain(path, _load_state, model, file)


def _load_state(model: Model, file: Reader) -> tuple[dict[str, dict[str, Any]], Any]:
    about = weights.check_about(file)
    training = state.check(about, file.entries)
    if (optimizer := model.optimizer) is None:
        raise ValueError("the model has no optimizer: compile it")
    found = state.build(model, optimizer, training, file.entries)
    weights.assign(model, file)
    for name, place in found.tensors.items():
        file.read(name, place)
    state.restore(model, training, found)
    # The training is under way: averages that were in the model are taken out.
    optimizer.begin_training(continues=True)
    return state.callbacks(training, file), training["process"]
