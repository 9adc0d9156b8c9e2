"""Dropout rates that change in the course of training, inside the compiled loop.

A schedule stands wherever a dropout layer takes a rate: ``Dropout(rate=Late(0.5, start=1000))``. The program that
trains computes the rate of each step from the step's number, so nothing is compiled again, and a training that is
interrupted goes on with the rates it would have had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbnet import registry
from nbnet.dropout_schedules.cosine import Cosine
from nbnet.dropout_schedules.curriculum import Curriculum
from nbnet.dropout_schedules.early import Early
from nbnet.dropout_schedules.late import Late
from nbnet.dropout_schedules.linear import Linear
from nbnet.dropout_schedules.schedule import DropoutSchedule

__all__ = ["Cosine", "Curriculum", "DropoutSchedule", "Early", "Late", "Linear", "deserialize", "serialize"]

_known: dict[str, type[DropoutSchedule]] = {cls.__name__: cls for cls in (Cosine, Curriculum, Early, Late, Linear)}


def serialize(schedule: DropoutSchedule) -> dict[str, Any]:
    """What :func:`deserialize` makes the schedule from.

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
