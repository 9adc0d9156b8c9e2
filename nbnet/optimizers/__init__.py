"""Optimizers, by class or by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbnet.base import registry
from nbnet.base.uninterrupted import apart
from nbnet.base.unsupported_keras import keras_hint
from nbnet.optimizers import schedules
from nbnet.optimizers.adagrad import Adadelta, Adafactor, Adagrad, Ftrl, RMSprop
from nbnet.optimizers.adam import Adam, Adamax, AdamW, Nadam
from nbnet.optimizers.optimizer import Optimizer
from nbnet.optimizers.sgd import SGD, Lion

__all__ = [
    "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion", "Nadam", "Optimizer",
    "RMSprop", "deserialize", "get", "schedules", "serialize",
]  # fmt: skip

_known: dict[str, type[Optimizer]] = {
    cls.__name__.lower(): cls
    for cls in (Adadelta, Adafactor, Adagrad, Adam, Adamax, AdamW, Ftrl, Lion, Nadam, RMSprop, SGD)
}


# Names of Keras 2, which some files here have, too.
globals().update(_known)


def get(identifier: Any) -> Any:
    """An optimizer from its name, class, configuration or itself; None stays None.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.optimizers.get("adam")
    Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-07, amsgrad=False)
    """
    return None if identifier is None else as_optimizer(identifier)


def as_optimizer(identifier: Any) -> Optimizer:
    """An optimizer from its name, class, configuration or itself.

    Raises
    ------
    ValueError, TypeError
        If it is none of these, or the name is not known.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.optimizers.as_optimizer("sgd")
    SGD(learning_rate=0.01, momentum=0.0, nesterov=False)
    """
    return registry.lookup(identifier, _known, Optimizer, "optimizer")


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The class and the arguments of an optimizer, without its state: what :func:`deserialize` reads.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.optimizers.serialize(nb.optimizers.SGD(0.1))["config"]["learning_rate"]
    0.1
    """
    return registry.serialize(optimizer, _known)


@apart
def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """The optimizer that :func:`serialize` described.

    Parameters
    ----------
    custom_objects
        Optimizers and schedules of your own, by name.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.optimizers.deserialize({"class_name": "Lion", "config": {"learning_rate": 0.01}})
    Lion(learning_rate=0.01, beta_1=0.9, beta_2=0.99)
    """
    with registry.custom_object_scope(custom_objects):
        return as_optimizer(config)


if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__)
