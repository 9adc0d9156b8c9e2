"""Serialization of objects of any kind to plain dicts, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nbnet import activations, constraints, dropout_schedules, initializers, losses, metrics, optimizers, regularizers
from nbnet.base import registry
from nbnet.base.json_record import plain
from nbnet.base.registry import custom_object_scope, get_registered_object
from nbnet.base.uninterrupted import apart
from nbnet.base.validation import check_choice
from nbnet.layers import deserialize as deserialize_layer
from nbnet.layers import serialize as serialize_layer
from nbnet.layers.layer import Layer

#: Kinds of objects: base class, serializer and deserializer. Losses and metrics share names; the kind tells them
#: apart.
_KINDS: dict[str, tuple[type, Callable[..., Any], Callable[..., Any]]] = {
    "layer": (Layer, serialize_layer, deserialize_layer),
    "optimizer": (optimizers.Optimizer, optimizers.serialize, optimizers.deserialize),
    "schedule": (
        optimizers.schedules.LearningRateSchedule, optimizers.schedules.serialize, optimizers.schedules.deserialize,
    ),
    "dropout_schedule": (
        dropout_schedules.DropoutSchedule, dropout_schedules.serialize, dropout_schedules.deserialize,
    ),
    "loss": (losses.Loss, losses.serialize, losses.deserialize),
    "metric": (metrics.Metric, metrics.serialize, metrics.deserialize),
    "initializer": (initializers.Initializer, initializers.serialize, initializers.deserialize),
    "regularizer": (regularizers.Regularizer, regularizers.serialize, regularizers.deserialize),
    "constraint": (constraints.Constraint, constraints.serialize, constraints.deserialize),
}  # fmt: skip


def serialize_keras_object(obj: Any) -> Any:
    """Return an object, or a list or dict of objects, as JSON has it.

    Parameters
    ----------
    obj
        Numbers, strings, lists, dicts; layers, optimizers and other objects with ``get_config``; named functions.

    Raises
    ------
    ValueError, TypeError
        If there is another object in it.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.saving.serialize_keras_object(nb.regularizers.L2(0.5))
    {'class_name': 'L2', 'config': {'l2': 0.5}, 'kind': 'regularizer'}
    """
    for kind, (base, serialize, _) in _KINDS.items():
        if isinstance(obj, base):
            found: dict[str, Any] = plain(serialize(obj))
            return found | {"kind": kind}
    if isinstance(obj, Mapping):
        return {key: serialize_keras_object(part) for key, part in obj.items()}
    if isinstance(obj, (list, tuple)):
        return [serialize_keras_object(part) for part in obj]
    if hasattr(obj, "get_config") and not isinstance(obj, type):
        return {"class_name": registry.get_registered_name(type(obj)), "config": plain(obj.get_config())}
    if callable(obj):
        return {"class_name": "function", "config": activations.serialize(obj)}
    return plain(obj)


@apart
def deserialize_keras_object(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the object that :func:`serialize_keras_object` serialized, or that of Keras.

    Parameters
    ----------
    custom_objects
        Classes and functions of your own, by name.

    Raises
    ------
    ValueError
        If a name is unknown.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.saving.deserialize_keras_object({"class_name": "L2", "config": {"l2": 0.5}, "kind": "regularizer"})
    L2(l2=0.5)
    """
    with custom_object_scope(custom_objects):
        return _deserialize(config)


def _deserialize(config: Any) -> Any:
    if isinstance(config, list):
        return [_deserialize(part) for part in config]
    if not isinstance(config, Mapping):
        return config
    if "module" in config and "class_name" in config:
        from nbnet.saving import keras_config

        config = keras_config.from_keras(config)
        if not isinstance(config, Mapping):
            return activations.deserialize(config) if isinstance(config, str) else config
    name = config.get("class_name")
    if not isinstance(name, str) or not config.keys() <= {"class_name", "config", "kind"}:
        return {key: _deserialize(part) for key, part in config.items()}
    if name == "function":
        return activations.deserialize(config)
    if "kind" in config:
        return _KINDS[check_choice(config["kind"], "kind", _KINDS)][2](config)
    own = get_registered_object(name)
    return deserialize_layer(config) if own is None else registry.make(own, config.get("config"), "config")
