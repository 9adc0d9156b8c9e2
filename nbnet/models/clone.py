"""Copies of models with new weights, and models from JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nbnet.base.json_record import loads
from nbnet.base.registry import custom_object_scope, kept_objects
from nbnet.base.uninterrupted import apart
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer
from nbnet.layers.serialization import deserialize
from nbnet.models import delegates
from nbnet.models.model import Model
from nbnet.models.sequential import Sequential

L = TypeVar("L", bound=Layer)
M = TypeVar("M", bound=Model)


def clone_model(
    model: M,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> M:
    """Return a model with the same layers and new weights; compiled in the same way if the model is.

    Parameters
    ----------
    model
        The model to copy.
    input_tensors
        Symbols to use as inputs, in the structure of ``model.input``; by default, the copy has inputs of its own.
    clone_function
        Makes a layer of each layer of a Sequential or of a model of inputs and outputs; by default
        ``type(layer).from_config(layer.get_config())``.
    call_function
        For a model of inputs and outputs: ``call_function(layer, *args, **kwargs)`` calls each new layer, and returns
        the outputs; by default ``layer(*args, **kwargs)``.
    recursive
        If True, models inside are copied by these functions, too, layer by layer; else ``clone_function`` copies them.

    Raises
    ------
    ValueError, TypeError
        If the input_tensors have another structure, or a function returns no layer; if a class of your own is to be
        taken apart, or a Sequential by a call_function.

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
    for name, function in (("clone_function", clone_function), ("call_function", call_function)):
        if function is not None and not callable(function):
            raise TypeError(f"{name}: expected a function of a layer, got {function!r}")
    as_it_is = input_tensors is None and clone_function is None and call_function is None
    # Without functions, copies are those of the configuration, which describes models inside as well.
    cloned = (
        copy_layer(model)
        if as_it_is
        else _taken_apart(model, input_tensors, clone_function or copy_layer, call_function, recursive, {})
    )
    if not cloned.built and (shapes := model.get_build_config()) is not None:
        cloned.build_from_config(shapes)
    if model.compiled and not cloned.compiled:
        with kept_objects() as own:
            compiled = model.get_compile_config()
        if compiled is not None:
            with custom_object_scope(own):
                cloned.compile_from_config(compiled)
    return cloned


def _taken_apart(
    model: M,
    inputs: Any,
    clone: Callable[[Layer], Layer],
    call: Callable[..., Any] | None,
    recursive: bool,
    cloned: dict[int, Layer],
) -> M:
    """Return a copy made layer by layer; ``cloned`` has those made so far, by ``id`` of the layer."""
    for layer in model.layers:
        if isinstance(layer, InputLayer) or id(layer) in cloned:
            continue
        if recursive and isinstance(layer, Model) and layer.has_call_graph:
            inner_call = None if isinstance(layer, Sequential) else call
            cloned[id(layer)] = _taken_apart(layer, None, clone, inner_call, True, cloned)
        elif isinstance(made := clone(layer), Layer):
            cloned[id(layer)] = made
        else:
            raise TypeError(f"clone_function: expected a layer to be returned, got {made!r}")
    return model.with_layers(cloned, inputs, call)


@apart
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


@apart
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
