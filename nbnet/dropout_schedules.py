"""Dropout rates that change in the course of training, inside the compiled loop.

A schedule stands wherever a dropout layer takes a rate: ``Dropout(rate=Late(0.5, start=1000))``. The program that
trains computes the rate of each step from the step's number, so nothing is compiled again, and a training that is
interrupted goes on with the rates it would have had.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, ClassVar, Self

import numpy as np

from nbnet import registry
from nbnet.core.abi import Function, device
from nbnet.ranges import ABOVE_ZERO, FRACTION, FROM_ZERO

__all__ = ["Cosine", "Curriculum", "DropoutSchedule", "Early", "Late", "Linear", "deserialize", "serialize"]


class DropoutSchedule:
    """A dropout rate as a function of the number of the step.

    For one of your own, set ``formula`` to a device function of the step and of a vector, and let :meth:`numbers`
    return that vector. What it gives is held to [0, 1].

    Notes
    -----
    Steps are the raw iterations of the optimizer. Where there is no training, nor a tape with a step, a schedule is at
    its end: steps have numbers there that no training reaches.

    Examples
    --------
    >>> import nbnet as nb
    >>> @nb.device
    ... def harmonic(step, p):
    ...     return p[0] / (1.0 + step)
    >>> class Harmonic(nb.dropout_schedules.DropoutSchedule):
    ...     formula = harmonic
    ...
    ...     def numbers(self):
    ...         return [0.5]
    >>> Harmonic()(4)
    0.1
    """

    #: ``formula(step, numbers)``: a device function of the step (a float64) and of a vector of the model's dtype; of
    #: elementary functions, it takes NumPy's.
    formula: ClassVar[Function | None] = None

    def numbers(self) -> list[float]:
        """What ``formula`` is given."""
        return []

    def __call__(self, step: Any) -> float:
        """The rate of a step, by its number from 0."""
        rate = float(self.function()(np.float64(step), np.array(self.numbers(), np.float64)))
        return max(min(rate, 1.0), 0.0)

    def function(self) -> Function:
        """The formula.

        Raises
        ------
        TypeError
            If there is none.
        """
        if not isinstance(self.formula, Function):
            raise TypeError(f"{type(self).__name__} does not say what the rate is: set formula to a device function")
        return self.formula

    def get_config(self) -> dict[str, Any]:
        """The arguments it was made with."""
        if not is_dataclass(self):
            raise TypeError(f"{type(self).__name__} cannot be saved: define get_config(self)")
        return asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Made from what :meth:`get_config` returned."""
        return cls(**config)


@device
def _early(step: Any, p: Any) -> Any:
    return p[0] if step < p[1] else 0.0


@dataclass(frozen=True)
class Early(DropoutSchedule):
    """``rate`` in the first ``steps`` steps, 0 afterwards: against underfitting.

    Parameters
    ----------
    rate : float
    steps : float

    References
    ----------
    Z. Liu, Z. Xu, J. Jin, Z. Shen, T. Darrell: Dropout reduces underfitting. ICML (2023), section 4.

    Examples
    --------
    >>> from nbnet.dropout_schedules import Early
    >>> schedule = Early(0.1, steps=100)
    >>> schedule(99), schedule(100)
    (0.1, 0.0)
    """

    rate: float
    steps: float

    formula = _early

    def __post_init__(self) -> None:
        FRACTION.check(self.rate, "rate")
        FROM_ZERO.check(self.steps, "steps")

    def numbers(self) -> list[float]:
        return [self.rate, self.steps]


@device
def _late(step: Any, p: Any) -> Any:
    return 0.0 if step < p[1] else p[0]


@dataclass(frozen=True)
class Late(DropoutSchedule):
    """0 in the first ``start`` steps, ``rate`` afterwards: against overfitting.

    Parameters
    ----------
    rate : float
    start : float

    References
    ----------
    Z. Liu, Z. Xu, J. Jin, Z. Shen, T. Darrell: Dropout reduces underfitting. ICML (2023), section 4.

    Examples
    --------
    >>> from nbnet.dropout_schedules import Late
    >>> schedule = Late(0.5, start=100)
    >>> schedule(99), schedule(100)
    (0.0, 0.5)
    """

    rate: float
    start: float

    formula = _late

    def __post_init__(self) -> None:
        FRACTION.check(self.rate, "rate")
        FROM_ZERO.check(self.start, "start")

    def numbers(self) -> list[float]:
        return [self.rate, self.start]


@device
def _done(step: Any, start: Any, steps: Any) -> Any:
    """The share of the way that is covered."""
    return min(max((step - start) / steps, 0.0), 1.0)


@device
def _linear(step: Any, p: Any) -> Any:
    return p[0] + (p[1] - p[0]) * _done(step, p[3], p[2])


@device
def _cosine(step: Any, p: Any) -> Any:
    return p[1] + (p[0] - p[1]) * (0.5 + 0.5 * np.cos(p[4] * _done(step, p[3], p[2])))


@dataclass(frozen=True)
class Linear(DropoutSchedule):
    """From ``rate`` to ``end_rate`` on a straight line over ``steps`` steps: annealed dropout, if the end is 0.

    Parameters
    ----------
    rate, end_rate : float
    steps : float
        Above 0.
    start : float
        The step that the line begins at.

    References
    ----------
    S. Rennie, V. Goel, S. Thomas: Annealed dropout training of deep networks. SLT (2014).

    Examples
    --------
    >>> from nbnet.dropout_schedules import Linear
    >>> schedule = Linear(0.5, 0.0, steps=100, start=50)
    >>> schedule(0), schedule(100), schedule(1000)
    (0.5, 0.25, 0.0)
    """

    rate: float
    end_rate: float
    steps: float
    start: float = 0.0

    formula = _linear

    def __post_init__(self) -> None:
        FRACTION.check(self.rate, "rate")
        FRACTION.check(self.end_rate, "end_rate")
        ABOVE_ZERO.check(self.steps, "steps")
        FROM_ZERO.check(self.start, "start")

    def numbers(self) -> list[float]:
        # The cosine needs pi, which a float32 kernel has to be given.
        return [self.rate, self.end_rate, self.steps, self.start, math.pi]


@dataclass(frozen=True)
class Cosine(Linear):
    """From ``rate`` to ``end_rate`` along half a period of a cosine over ``steps`` steps.

    Parameters
    ----------
    rate, end_rate : float
    steps : float
        Above 0.
    start : float
        The step that the curve begins at.

    Examples
    --------
    >>> from nbnet.dropout_schedules import Cosine
    >>> schedule = Cosine(0.4, 0.0, steps=100)
    >>> schedule(0), round(schedule(50), 6), schedule(100)
    (0.4, 0.2, 0.0)
    """

    formula = _cosine


@device
def _curriculum(step: Any, p: Any) -> Any:
    return p[0] * (1.0 - np.exp(-p[1] * step))


@dataclass(frozen=True)
class Curriculum(DropoutSchedule):
    """``rate * (1 - exp(-gamma * step))``: noise that grows from nothing.

    Parameters
    ----------
    rate : float
        What the rate tends to.
    gamma : float
        Above 0; the paper takes 10 over the number of steps in all.

    References
    ----------
    P. Morerio, J. Cavazza, R. Volpi, R. Vidal, V. Murino: Curriculum dropout. ICCV (2017), section 3.

    Examples
    --------
    >>> from nbnet.dropout_schedules import Curriculum
    >>> schedule = Curriculum(0.5, gamma=0.01)
    >>> schedule(0), round(schedule(100), 4), round(schedule(10000), 4)
    (0.0, 0.3161, 0.5)
    """

    rate: float
    gamma: float

    formula = _curriculum

    def __post_init__(self) -> None:
        FRACTION.check(self.rate, "rate")
        ABOVE_ZERO.check(self.gamma, "gamma")

    def numbers(self) -> list[float]:
        return [self.rate, self.gamma]


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
