"""Layers and models as plain dicts, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

from nbnet.base import registry
from nbnet.base.uninterrupted import apart
from nbnet.layers.layer import Layer

L = TypeVar("L", bound=Layer)


class KnownLayers(Mapping[str, type[Layer]]):
    """nbnet's classes of layers and models, by name: a configuration makes nothing else unless the user names it.

    Some modules are imported when one of their classes is first asked for.
    """

    def __init__(self) -> None:
        self._classes: dict[str, type[Layer]] = {}
        self._modules: dict[str, str] = {}

    def add(self, cls: type[Layer]) -> None:
        """Make a class known by its name."""
        self._classes[cls.__name__] = cls

    def defer(self, modules: Mapping[str, str]) -> None:
        """Make classes known by name, each with the module that defines it."""
        self._modules.update(modules)

    def __getitem__(self, name: str) -> type[Layer]:
        if name not in self._classes:
            self._classes[name] = getattr(import_module(self._modules[name]), name)
        return self._classes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._classes or name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter({**self._classes, **self._modules})

    def __len__(self) -> int:
        return len({**self._classes, **self._modules})


known = KnownLayers()


def register_layer(cls: type[L]) -> type[L]:
    """Decorate a class of nbnet's, so that configurations and files can name it."""
    known.add(cls)
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
    return registry.serialize(layer, known)


@apart
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
        return registry.lookup(config, known, Layer, "layer")


def refuse_own_state(part: Any) -> None:
    """Raise NotImplementedError for an object whose class writes or reads its state in files, as Keras's may."""
    for name in ("save_own_variables", "load_own_variables", "save_assets", "load_assets"):
        if hasattr(part, name):
            raise NotImplementedError(
                f"{type(part).__name__}.{name}: is never called, as files hold weights only; keep the state in "
                "weights, see add_weight, or in get_config"
            )
