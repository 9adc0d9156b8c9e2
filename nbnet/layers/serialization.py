"""Layers and models as plain dicts, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbnet import registry
from nbnet.layers.layer import Layer


def known_layers() -> dict[str, type[Layer]]:
    """Classes of layers and models, by name: nothing else is made from a file without the user's word."""
    from nbnet import layers, models

    offered = [getattr(module, name) for module in (layers, models) for name in module.__all__]
    return {
        thing.__name__: thing
        for thing in offered
        if isinstance(thing, type) and issubclass(thing, Layer) and thing is not Layer
    }


def serialize(layer: Layer) -> dict[str, Any]:
    """The class and the arguments of a layer or model, without its weights: what :func:`deserialize` makes it from.

    Raises
    ------
    ValueError
        If a class of the user's has the name of one of nbnet's.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.serialize(nb.layers.Rescaling(0.5, name="halve"))["config"]["scale"]
    0.5
    """
    return registry.serialize(layer, known_layers())


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """The layer that :func:`serialize` described, with new weights.

    Parameters
    ----------
    custom_objects
        Classes and functions of your own, by name.

    Raises
    ------
    ValueError, TypeError
        If a name is not known, or arguments do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.deserialize({"class_name": "Dense", "config": {"units": 3, "name": "three"}})
    <Dense name='three'>
    """
    with registry.custom_object_scope(custom_objects):
        return registry.lookup(config, known_layers(), Layer, "layer")
