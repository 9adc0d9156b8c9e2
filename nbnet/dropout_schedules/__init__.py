"""Dropout rates that change during training, inside the compiled loop.

Dropout layers accept a schedule as their rate: ``Dropout(rate=Late(0.5, start=1000))``. The training program computes
the rate of each step from the step's number, so nothing is compiled again, and a training that was interrupted
continues with the same rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbnet.base import registry
from nbnet.dropout_schedules.schedules import Cosine, Curriculum, DropoutSchedule, Early, Late, Linear

__all__ = ["Cosine", "Curriculum", "DropoutSchedule", "Early", "Late", "Linear", "deserialize", "serialize"]

#: Rates that dropout layers accept: a number, a schedule, or the configuration of a schedule.
RateLike = float | DropoutSchedule | Mapping[str, Any]

_known: dict[str, type[DropoutSchedule]] = {cls.__name__: cls for cls in (Cosine, Curriculum, Early, Late, Linear)}


def serialize(schedule: DropoutSchedule) -> dict[str, Any]:
    """The class and configuration of a schedule: the input of :func:`deserialize`.

    Examples
    --------
    >>> from nbnet import dropout_schedules
    >>> dropout_schedules.serialize(dropout_schedules.Early(0.1, 100))
    {'class_name': 'Early', 'config': {'rate': 0.1, 'steps': 100}}
    """
    return registry.serialize(schedule, _known)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> DropoutSchedule:
    """The schedule that :func:`serialize` described.

    Parameters
    ----------
    custom_objects
        Classes of your own, by name.

    Examples
    --------
    >>> from nbnet import dropout_schedules
    >>> dropout_schedules.deserialize({"class_name": "Late", "config": {"rate": 0.5, "start": 10}})
    Late(rate=0.5, start=10)
    """
    with registry.custom_object_scope(custom_objects):
        return registry.lookup(config, _known, DropoutSchedule, "rate")
