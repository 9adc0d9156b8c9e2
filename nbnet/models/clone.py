"""Copies of models with new weights, and models from JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nbnet.base.json_record import loads
from nbnet.base.registry import custom_object_scope, kept_objects
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer
from nbnet.layers.serialization import deserialize
from nbnet.models import delegates
from nbnet.models.model import Model

L = TypeVar("L", bound=Layer)
M = TypeVar("M", bound=Model)


def clone_model(model: M, input_tensors: None = None, clone_function: Callable[[Layer], Layer] | None = None) -> M:
    """Return a model with the same layers and new weights; not compiled.

    Parameters
    ----------
    model
        The model to copy.
    input_tensors
        Must be None: the copy has inputs of its own.
    clone_function
        Makes a layer of each layer of a Sequential or of a model of inputs and outputs; by default
        ``type(layer).from_config(layer.get_config())``.

    Raises
    ------
    ValueError, TypeError
        If there are input_tensors; if a class of your own is to be taken apart.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(3), nb.layers.Dropout(0.5)])
    >>> def without_dropout(layer):
    ...     config = layer.get_config()
    ...     if "rate" in config:
    ...         config["rate"] = 0.0
    ...     return type(layer).from_config(config)
    >>> nb.models.clone_model(model, clone_function=without_dropout).layers[1].rate
    0.0
    """
    if input_tensors is not None:
        raise ValueError(f"input_tensors: expected None, for the copy has inputs of its own; got {input_tensors!r}")
    cloned = copy_layer(model) if clone_function is None else _with_cloned_layers(model, clone_function)
    if not cloned.built and (shapes := model.get_build_config()) is not None:
        cloned.build_from_config(shapes)
    return cloned


def _with_cloned_layers(model: M, clone_function: Callable[[Layer], Layer]) -> M:
    if not callable(clone_function):
        raise TypeError(f"clone_function: expected a function of a layer, got {clone_function!r}")
    cloned = {id(layer): clone_function(layer) for layer in model.layers if not isinstance(layer, InputLayer)}
    for layer in cloned.values():
        if not isinstance(layer, Layer):
            raise TypeError(f"clone_function: expected a layer to be returned, got {layer!r}")
    return model.with_layers(cloned)


def copy_layer(layer: L, **changes: Any) -> L:
    """Return a layer or model with the same configuration, but for these changes, and new weights."""
    with kept_objects() as own:
        config = layer.get_config() | changes
    with custom_object_scope(own):
        return type(layer).from_config(config)


def _from_record(record: Any) -> Any:
    """Return the object that a record describes in Keras's form, or in that of ``get_config``."""
    in_keras = isinstance(record, dict) and isinstance(record.get("config"), dict) and "calls" not in record["config"]
    return delegates.model_from_keras(record) if in_keras else deserialize(record)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Model:
    """Return the model that ``model.to_json()`` described, here or in Keras, with new weights.

    If it was compiled, so is the new one, in the same way.

    Parameters
    ----------
    custom_objects
        Classes and functions of your own, by name.

    Raises
    ------
    ValueError, TypeError
        If it is no JSON, or no model.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(3)])
    >>> nb.models.model_from_json(model.to_json()).count_params()
    9
    """
    if not isinstance(json_string, str):
        raise TypeError(f"json_string: expected a string, got {type(json_string).__name__}")
    with custom_object_scope(custom_objects):
        model = _from_record(loads(json_string.encode("utf-8", "surrogatepass"), "json_string"))
    if not isinstance(model, Model):
        raise TypeError(f"json_string: describes a {type(model).__name__}, which is not a model")
    return model
