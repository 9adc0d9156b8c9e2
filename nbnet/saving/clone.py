"""The same model once more, with new weights; and models as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from nbnet import layers
from nbnet.custom_objects import custom_object_scope, kept_objects
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer
from nbnet.models.model import Model
from nbnet.saving import record


def clone_model(
    model: Model, input_tensors: None = None, clone_function: Callable[[Layer], Layer] | None = None
) -> Model:
    """A model with the same layers and new weights; not compiled.

    Parameters
    ----------
    model
        What to copy.
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
        raise ValueError(f"input_tensors: wants None, for the copy has inputs of its own; got {input_tensors!r}")
    copied = _copied(model, clone_function)
    if not copied.built and (shapes := model.get_build_config()) is not None:
        copied.build_from_config(shapes)
    return copied


def _copied(model: Model, clone_function: Callable[[Layer], Layer] | None) -> Model:
    if clone_function is None:
        return cast(Model, copy_layer(model))
    if not callable(clone_function):
        raise TypeError(f"clone_function: wants a function of a layer, got {clone_function!r}")
    made = {id(layer): clone_function(layer) for layer in model.layers if not isinstance(layer, InputLayer)}
    for layer in made.values():
        if not isinstance(layer, Layer):
            raise TypeError(f"clone_function: wants a layer to be returned, got {layer!r}")
    return model._with_layers(made)


def copy_layer(layer: Layer, **changes: Any) -> Layer:
    """A layer or model with the same configuration, but for these changes, and new weights."""
    with kept_objects() as mine:
        config = layer.get_config() | changes
    with custom_object_scope(mine):
        return type(layer).from_config(config)


def model_to_json(model: Model, **kwargs: Any) -> str:
    """A model as JSON, without weights.

    Parameters
    ----------
    **kwargs
        For ``json.dumps``, as ``indent``; without them the text is canonical.
    """
    described = layers.serialize(model)
    if not kwargs:
        return record.dumps(described, "model")
    return json.dumps(record.plain(described, "model"), **kwargs)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Model:
    """The model that ``model.to_json()`` described, with new weights.

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
        raise TypeError(f"json_string: wants a string, got {type(json_string).__name__}")
    with custom_object_scope(custom_objects):
        made = layers.deserialize(record.loads(json_string.encode("utf-8", "surrogatepass"), "json_string"))
    if not isinstance(made, Model):
        raise TypeError(f"json_string: describes a {type(made).__name__}, which is no model")
    return made
