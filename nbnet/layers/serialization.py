"""Layers and models as plain dicts, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from nbnet.base import registry
from nbnet.layers.layer import Layer

L = TypeVar("L", bound=Layer)

#: nbnet's classes of layers and models, by name: a configuration makes nothing else unless the user names it.
_known: dict[str, type[Layer]] = {}


def register_layer(cls: type[L]) -> type[L]:
    """Decorate a class of nbnet's, so that configurations and files can name it."""
    _known[cls.__name__] = cls
    return cls


def serialize(layer: Layer) -> dict[str, Any]:
    """The class and the arguments of a layer or model, without its weights: the input of :func:`deserialize`.

    Raises
    ------
    ValueError
        If a class of your own has the name of one of nbnet's.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.serialize(nb.layers.Rescaling(0.5, name="halve"))["config"]["scale"]
    0.5
    """
    return registry.serialize(layer, _known)


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
        return registry.lookup(config, _known, Layer, "layer")
