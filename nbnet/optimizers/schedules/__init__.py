"""Learning rates that change from step to step, inside the compiled training loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbnet import registry
from nbnet.optimizers.schedules.cosine_decay import CosineDecay
from nbnet.optimizers.schedules.cosine_decay_restarts import CosineDecayRestarts
from nbnet.optimizers.schedules.exponential_decay import ExponentialDecay
from nbnet.optimizers.schedules.inverse_time_decay import InverseTimeDecay
from nbnet.optimizers.schedules.one_cycle import OneCycle
from nbnet.optimizers.schedules.piecewise_constant_decay import PiecewiseConstantDecay
from nbnet.optimizers.schedules.polynomial_decay import PolynomialDecay
from nbnet.optimizers.schedules.schedule import LearningRateSchedule

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "get",
    "serialize",
]

_known: dict[str, type[LearningRateSchedule]] = {
    cls.__name__: cls
    for cls in (
        *(CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay),
        *(OneCycle, PiecewiseConstantDecay, PolynomialDecay),
    )
}


def get(identifier: Any) -> LearningRateSchedule:
    """A schedule from its configuration or itself.

    Examples
    --------
    >>> from nbnet.optimizers import schedules
    >>> config = {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5}
    >>> schedules.get({"class_name": "ExponentialDecay", "config": config})(10)
    0.05
    """
    return registry.lookup(identifier, _known, LearningRateSchedule, "learning_rate")


def serialize(schedule: LearningRateSchedule) -> dict[str, Any]:
    """What :func:`deserialize` makes the schedule from.

    Examples
    --------
    >>> from nbnet.optimizers import schedules
    >>> schedules.serialize(schedules.InverseTimeDecay(0.1, 10, 0.5))["class_name"]
    'InverseTimeDecay'
    """
    return registry.serialize(schedule, _known)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> LearningRateSchedule:
    """The schedule that :func:`serialize` described.

    Parameters
    ----------
    custom_objects
        Classes of your own, by name.

    Examples
    --------
    >>> from nbnet.optimizers import schedules
    >>> config = schedules.serialize(schedules.InverseTimeDecay(0.1, 10, 1.0))
    >>> schedules.deserialize(config)(10)
    0.05
    """
    with registry.custom_object_scope(custom_objects):
        return get(config)
