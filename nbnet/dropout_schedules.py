"""Dropout rates that change during training, inside the compiled loop.

Dropout layers accept a schedule as their rate: ``Dropout(rate=Late(0.5, start=1000))``. The training program computes
the rate of each step from the step's number, so nothing is compiled again, and a training that was interrupted
continues with the same rates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, ClassVar

import numpy as np

from nbnet.base import registry
from nbnet.base.registry import Configurable
from nbnet.base.uninterrupted import apart
from nbnet.base.validation import ABOVE_ZERO, FRACTION, FROM_ZERO
from nbnet.engine.kernels.abi import Function, device

__all__ = ["Cosine", "Curriculum", "DropoutSchedule", "Early", "Late", "Linear", "deserialize", "serialize"]


class DropoutSchedule(Configurable):
    """A dropout rate as a function of the step.

    A subclass sets ``formula`` to a device function of the step and of a vector, and returns that vector from
    :meth:`numbers`. Rates are clipped to [0, 1].

    Notes
    -----
    Steps are the raw iterations of the optimizer. Outside of training, and of a tape with a step, a schedule is at its
    end: steps have numbers there that no training reaches.

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

    #: ``formula(step, numbers)``: a device function of the step (a float64) and of a vector of the model's dtype; its
    #: elementary functions are NumPy's.
    formula: ClassVar[Function | None] = None

    def numbers(self) -> list[float]:
        """The vector that ``formula`` reads; by default the fields of a dataclass."""
        return list(asdict(self).values()) if is_dataclass(self) else []

    def __call__(self, step: Any) -> float:
        """The rate of a step, numbered from 0."""
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
            raise TypeError(f"{type(self).__name__} has no formula: set formula to a device function")
        return self.formula


@device
def progress(step: Any, start: Any, steps: Any) -> Any:
    """Share of the steps that are done: 0 before the start, 1 after the end."""
    return min(max((step - start) / steps, 0.0), 1.0)


@device
def _linear(step: Any, p: Any) -> Any:
    return p[0] + (p[1] - p[0]) * progress(step, p[3], p[2])


@dataclass(frozen=True)
class Linear(DropoutSchedule):
    """From ``rate`` to ``end_rate`` on a straight line over ``steps`` steps; with ``end_rate=0``, annealed dropout.

    Parameters
    ----------
    rate, end_rate : float
        In [0, 1].
    steps : float
        Above 0.
    start : float
        From 0: first step of the line.

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


@device
def _cosine(step: Any, p: Any) -> Any:
    return p[1] + (p[0] - p[1]) * (0.5 + 0.5 * np.cos(p[4] * progress(step, p[3], p[2])))


@dataclass(frozen=True)
class Cosine(Linear):
    """From ``rate`` to ``end_rate`` along half a period of a cosine over ``steps`` steps.

    Parameters
    ----------
    rate, end_rate : float
        In [0, 1].
    steps : float
        Above 0.
    start : float
        From 0: first step of the curve.

    Examples
    --------
    >>> from nbnet.dropout_schedules import Cosine
    >>> schedule = Cosine(0.4, 0.0, steps=100)
    >>> schedule(0), round(schedule(50), 6), schedule(100)
    (0.4, 0.2, 0.0)
    """

    formula = _cosine

    def numbers(self) -> list[float]:
        # In the vector, pi has the model's dtype: np.pi inside a float32 kernel is a float64.
        return [*super().numbers(), math.pi]


@device
def _early(step: Any, p: Any) -> Any:
    return p[0] if step < p[1] else 0.0


@dataclass(frozen=True)
class Early(DropoutSchedule):
    """``rate`` in the first ``steps`` steps, 0 afterwards: against underfitting.

    Parameters
    ----------
    rate : float
        In [0, 1].
    steps : float
        From 0.

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


@device
def _late(step: Any, p: Any) -> Any:
    return 0.0 if step < p[1] else p[0]


@dataclass(frozen=True)
class Late(DropoutSchedule):
    """0 in the first ``start`` steps, ``rate`` afterwards: against overfitting.

    Parameters
    ----------
    rate : float
        In [0, 1].
    start : float
        From 0.

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


@device
def _curriculum(step: Any, p: Any) -> Any:
    return p[0] * (1.0 - np.exp(-p[1] * step))


@dataclass(frozen=True)
class Curriculum(DropoutSchedule):
    """``rate * (1 - exp(-gamma * step))``: a rate that grows from 0.

    Parameters
    ----------
    rate : float
        In [0, 1]: the limit.
    gamma : float
        Above 0; the paper takes 10 over the total number of steps.

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


@apart
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
