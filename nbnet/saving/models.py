"""Whole models in files: what they are, what they learned, and how far their training has come."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbnet import layers, optimizers, random
from nbnet.models.model import Model
from nbnet.registry import custom_object_scope
from nbnet.room import Room, limited
from nbnet.saving import names, record, state, weights
from nbnet.saving.file import Reader, write
from nbnet.saving.objects import serialize_keras_object

_COMPILE = {
    "optimizer": dict,
    "loss": (dict, list, type(None)),
    "loss_weights": (dict, list, type(None)),
    "metrics": (dict, list, type(None)),
    "weighted_metrics": (dict, list, type(None)),
}
#: Left out where it is not set.
_SLICES = {"slices": int}


def save_model(model: Model, filepath: Any, overwrite: bool = True, include_optimizer: bool = True) -> None:
    """Write a model to a file: its layers and weights; how it is compiled; and the state of its training.

    The file is there as a whole or not at all, even if the process dies meanwhile. See :func:`load_model`.

    Parameters
    ----------
    model
        A Sequential, a model of inputs and outputs, or of a class of your own that has ``get_config``.
    filepath
        Ends in ``.nbnet``. The format is safetensors.
    overwrite
        Whether a file of this name may be there.
    include_optimizer
        Whether to write the optimizer, loss, metrics, and the state of the training.

    Raises
    ------
    ValueError, TypeError
        If the name ends otherwise, or something in the model cannot be described, as a lambda.
    FileExistsError
        If there is such a file, and it may not be overwritten.

    Examples
    --------
    >>> import tempfile
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nb.saving.save_model(model, f"{folder}/m.nbnet")
    ...     again = nb.saving.load_model(f"{folder}/m.nbnet")
    >>> bool((again.predict([[1.0, 2.0]]) == model.predict([[1.0, 2.0]])).all())
    True
    """
    path = weights.checked_path(filepath, ".nbnet")
    tensors, about = snapshot(model, include_optimizer)
    about |= {"model": layers.serialize(model), "build": model.get_build_config()}
    if include_optimizer:
        about["compile"] = model.get_compile_config()
    write(path, tensors, about, overwrite)


def snapshot(model: Model, training: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """The weights and the state of the training, as tensors and a record."""
    tensors = weights.arrays(model)
    if not training:
        return tensors, weights.about(tensors)
    found = state.describe(model, model.optimizer)
    if model.optimizer is not None:
        tensors |= state.tensors(model.optimizer, found["trained"])
    return tensors, weights.about(tensors, training=found)


def load_model(
    filepath: Any, custom_objects: Mapping[str, Any] | None = None, compile: bool = True, safe_mode: bool = True
) -> Model:
    """The model that :func:`save_model` wrote.

    Nothing in the file is code, or names code: classes are those of nbnet, and yours if you pass them. The file is
    checked before memory is taken for what it says.

    ``fit(..., initial_epoch=n)`` with the number of epochs that were trained goes on as if training had never ended:
    with the same order of rows, the same dropout masks, to the same weights bit for bit.

    Parameters
    ----------
    filepath
        Of the file.
    custom_objects
        Classes and functions of your own, by name.
    compile
        Whether to compile the model as it was, with the state of its optimizer.
    safe_mode
        Accepted as in Keras; there is no other mode.

    Raises
    ------
    ValueError
        If the file is damaged, of a newer version, or names something unknown.
    FileNotFoundError
        If there is none.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(Path(folder, "model.nbnet"))
    ...     same = nb.load_model(Path(folder, "model.nbnet"))
    >>> bool((same.predict([[1.0, 2.0]]) == model.predict([[1.0, 2.0]])).all())
    True
    """
    path = weights.checked_path(filepath, ".nbnet")
    with Reader(path) as file, custom_object_scope(custom_objects):
        return weights.explain(path, _load, file, compile)


def _load(file: Reader, compile: bool) -> Model:
    about = weights.check_about(file)
    if about["model"] is None:
        raise ValueError("there are weights in it, and no model: make the model, then call its load_weights")
    given = weights.entries(file)
    made = _described(about, Room(entry.shape for entry in given.values()))
    own = names.weights(made)
    if given.keys() != own.keys():
        name = min(given.keys() ^ own.keys())
        raise ValueError(f"{name}: the weight is {'unknown' if name in given else 'missing'}")
    training = None if about["training"] is None else state.check(about["training"], file.entries)
    if compile and about["compile"] is not None:
        compile_from_config(made, about["compile"])
        if training is not None and made.optimizer is not None:
            # Before weights are read, for it moves them.
            state.build(made, made.optimizer, training, file.entries)
    weights.assign(made, file)
    if training is not None:
        state.restore(made, made.optimizer, training, file)
    return made


def _described(about: Mapping[str, Any], room: Room) -> Model:
    """The model of a record, its weights zeros."""
    with limited(room):
        made = layers.deserialize(about["model"])
        if not isinstance(made, Model):
            raise ValueError(f"record: model: {type(made).__name__} is no model")
        if about["build"] is not None:
            made.build_from_config(about["build"])
    return made


def compile_config(model: Model) -> dict[str, Any] | None:
    """How a model was compiled; None if it was not."""
    if model.optimizer is None:
        return None
    goals = model._objective
    parts = {name: serialize_keras_object(getattr(goals, name)) for name in _COMPILE if name != "optimizer"}
    slices = {} if model._slices is None else {"slices": model._slices}
    return {"optimizer": optimizers.serialize(model.optimizer), **_without_kinds(parts), **slices}


def _without_kinds(config: Any) -> Any:
    """The place of a loss or a metric says which it is."""
    if isinstance(config, dict):
        return {key: _without_kinds(part) for key, part in config.items() if key != "kind"}
    return [_without_kinds(part) for part in config] if isinstance(config, list) else config


def compile_from_config(model: Model, config: Any) -> None:
    """Compile a model as :func:`compile_config` says."""
    wanted = _COMPILE | _SLICES if isinstance(config, dict) and "slices" in config else _COMPILE
    found = record.fields(config, wanted, "record: compile")
    model.compile(**found)


def save_state(model: Model, path: Path) -> None:
    """Write weights and the state of a training, and of the process; not what the model is."""
    tensors, about = snapshot(model)
    about["training"]["process"] = list(random.get_state())
    write(path, tensors, about)


def load_state(model: Model, path: Path) -> None:
    """Go on from where :func:`save_state` was called, in another process; the model is the same, made anew.

    Raises
    ------
    ValueError
        If the file is damaged, or of another model.
    """
    with Reader(path) as file:
        weights.explain(path, _load_state, model, file)


def _load_state(model: Model, file: Reader) -> None:
    about = weights.check_about(file)
    training = state.check(about["training"], file.entries)
    if model.optimizer is not None:
        state.build(model, model.optimizer, training, file.entries)
    weights.assign(model, file)
    state.restore(model, model.optimizer, training, file)
    if training["process"] is not None:
        random.set_state(*training["process"])
