"""Learning rates that change from step to step, inside the compiled training loop."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, fields, is_dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nbnet.base import registry
from nbnet.base.array_memory import plain_array
from nbnet.base.constructor import RecordsArguments, constructor_config
from nbnet.base.docstrings import join_common_sections
from nbnet.base.registry import function_name, named_function
from nbnet.base.uninterrupted import apart
from nbnet.base.validation import ABOVE_ZERO, FINITE, FRACTION, FROM_ZERO, Interval, check_int
from nbnet.engine.kernels.abi import Function, Kernel, device, doublevec, kernel

__all__ = [
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule", "OneCycle",
    "PiecewiseConstantDecay", "PolynomialDecay", "deserialize", "get", "serialize",
]  # fmt: skip

Vector = NDArray[np.float64]

#: Steps that a schedule written in Python is evaluated for at a time.
TABLE = 4096
#: Entries that class creation adds to the docstring of each schedule.
_LAST = """\
name : str
    Name of the schedule."""
_RAISES = """\
ValueError
    If a number is out of range."""


@functools.cache
def _kernel(rate: Function) -> Kernel:
    """The kernel that writes a rate to the first cell of an optimizer; operands: the numbers, the cells."""

    def write(mem: Any, ins: Any, step: Any) -> None:
        doublevec(mem, ins, 1)[0] = rate(np.float64(step), doublevec(mem, ins, 0))

    return Kernel(write, f"schedule_{rate.name}", "numbers:f8[n] cells:f8[cells]", lambda sizes: sizes["cells"] > 0)


@kernel(extents="table:f8[n] cells:f8[cells]", within=lambda sizes: min(sizes["n"], sizes["cells"]) > 0)
def _look_up(mem: Any, ins: Any, step: Any) -> None:
    """The rate of a step from a table: the number of the first step, then a rate for each; NaN if it is not there."""
    table, cells = doublevec(mem, ins, 0), doublevec(mem, ins, 1)
    k = step - np.int64(table[0]) + 1
    cells[0] = table[k] if 0 < k < table.size else np.nan


class LearningRateSchedule(RecordsArguments):
    """A learning rate as a function of the number of the step.

    The schedules of this package are computed inside the compiled training loop. For one of your own, there are two
    ways. Define ``__call__(step)`` in Python, as in Keras: it is evaluated before each compiled call for the steps to
    come, up to 4096 at a time, so it must depend only on the step; a step takes about as long as the Python call. Or,
    at no cost, set ``rate`` to a device function of the step and of a vector, and let ``numbers`` return the vector.

    Notes
    -----
    Steps are the raw iterations of the optimizer: with gradient accumulation, those that only accumulate count as well.

    Examples
    --------
    >>> import nbnet as nb
    >>> class Rsqrt(nb.optimizers.schedules.LearningRateSchedule):
    ...     def __init__(self, start):
    ...         self.start = start
    ...
    ...     def __call__(self, step):
    ...         return self.start / (step + 1) ** 0.5
    >>> optimizer = nb.optimizers.SGD(Rsqrt(1.0))
    >>> optimizer.iterations = 3
    >>> optimizer.learning_rate
    0.5
    """

    #: ``rate(step, numbers)``: a device function of the step (a float64) and of a vector of float64. A float literal in
    #: it takes the model's dtype: a number that float32 cannot hold, such as pi, belongs in ``numbers``.
    rate: ClassVar[Function | None] = None

    def numbers(self) -> list[float]:
        """The vector that ``rate`` reads."""
        return []

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step, by its number from 0; of an array of steps, an array of rates."""
        if self.rate is None:
            raise TypeError(f"{type(self).__name__} defines no learning rate: define __call__(self, step)")
        if np.ndim(step):
            steps = plain_array(step, "step")
            return np.array([self(k) for k in steps.reshape(-1)]).reshape(steps.shape)
        with np.errstate(all="ignore"):
            return float(self.rate(np.float64(step), np.array(self.numbers(), np.float64)))

    def kernel(self) -> Kernel:
        """The kernel that writes the rate of a step to cell 0: its operands are :meth:`source` and the cells."""
        return _look_up if self._in_python() else _kernel(self.rate)

    def source(self) -> Vector:
        """The operand of the kernel: the numbers, or a table of rates."""
        if self._in_python():
            return np.array([0.0] + [np.nan] * TABLE)
        return np.array(self.numbers(), np.float64)

    def look_ahead(self, source: Vector, step: int, steps: int) -> int:
        """Fill a source for steps from number ``step`` on; returns how many of them may be run.

        Raises
        ------
        TypeError, ValueError
            If a rate is no finite number from 0.
        """
        if not self._in_python():
            return steps
        end = min(step + steps, step + TABLE)
        with np.errstate(all="ignore"):
            for k in range(step, end):
                value = self(np.int64(k))
                value = value.numpy() if hasattr(value, "numpy") else value
                source[1 + k - step] = FROM_ZERO.check(value, f"{type(self).__name__} at step {k}")
        source[1 + end - step :] = np.nan
        source[0] = step
        return end - step

    def _in_python(self) -> bool:
        return self.rate is None or type(self).__call__ is not LearningRateSchedule.__call__

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        own: tuple[Field[Any], ...] = fields(self) if is_dataclass(self) else ()
        return constructor_config(self, {field.name: getattr(self, field.name) for field in own})

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The schedule that :meth:`get_config` describes.

        Examples
        --------
        >>> from nbnet.optimizers.schedules import ExponentialDecay
        >>> schedule = ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)
        >>> ExponentialDecay.from_config(schedule.get_config()) == schedule
        True
        """
        return cls(**config)


@dataclass(frozen=True)
class Formula(LearningRateSchedule):
    """Base class of the schedules that a compiled formula computes; all are frozen dataclasses."""

    #: Names of the numbers that must be above 0; the others are at least 0.
    above_zero: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        join_common_sections(cls, last=_LAST, raises=_RAISES)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "float" or (field.type == "float | None" and value is not None):
                (ABOVE_ZERO if field.name in self.above_zero else FROM_ZERO).check(value, field.name)

    def numbers(self) -> list[float]:
        return [getattr(self, field.name) for field in fields(self) if field.type in ("float", "bool")]


@device
def half_cosine(done: Any, pi: Any) -> Any:
    """From 1 to 0 while ``done`` goes from 0 to 1."""
    return 0.5 * (1.0 + np.cos(pi * done))


@dataclass(frozen=True)
class CosineDecay(Formula):
    """``initial_learning_rate * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha)``.

    Parameters
    ----------
    initial_learning_rate : float
        Rate of step 0.
    decay_steps : float
        Above 0: number of steps of the decay, those of a warm-up not included.
    alpha : float
        Share of the rate that is left at the end.
    warmup_target : float, optional
        The rate at the end of a linear warm-up, from which the decay starts; None for no warm-up.
    warmup_steps : float
        Number of steps of the warm-up.

    References
    ----------
    I. Loshchilov, F. Hutter: SGDR: Stochastic gradient descent with warm restarts. ICLR 2017.

    Examples
    --------
    >>> from nbnet.optimizers.schedules import CosineDecay
    >>> schedule = CosineDecay(0.0, decay_steps=100, warmup_target=0.1, warmup_steps=10)
    >>> [round(schedule(step), 4) for step in (0, 5, 10, 60, 110, 1000)]
    [0.0, 0.05, 0.1, 0.05, 0.0, 0.0]
    """

    initial_learning_rate: float
    decay_steps: float
    alpha: float = 0.0
    name: str = "CosineDecay"
    warmup_target: float | None = None
    warmup_steps: float = 0

    above_zero = ("decay_steps",)

    @device
    def rate(step: Any, p: Any) -> Any:
        initial, steps, alpha, target, warmup, pi = p[0], p[1], p[2], p[3], p[4], p[5]
        if step < warmup:
            return initial + (target - initial) * (step / warmup)
        return target * ((1.0 - alpha) * half_cosine(min((step - warmup) / steps, 1.0), pi) + alpha)

    def numbers(self) -> list[float]:
        # As in Keras, there is no warm-up without a target, whatever its steps.
        warmup = [self.initial_learning_rate, 0.0]
        if self.warmup_target is not None:
            warmup = [self.warmup_target, float(self.warmup_steps)]
        return [self.initial_learning_rate, self.decay_steps, self.alpha, *warmup, math.pi]


@dataclass(frozen=True)
class CosineDecayRestarts(Formula):
    """:class:`CosineDecay`, started again and again.

    Parameters
    ----------
    initial_learning_rate : float
        Rate of step 0.
    first_decay_steps : float
        Above 0: number of steps of the first period.
    t_mul : float
        From 1: factor by which each period is longer than the last.
    m_mul : float
        Factor from the first rate of a period to that of the next.
    alpha : float
        Share of the initial rate that is left at the end of a period.

    References
    ----------
    I. Loshchilov, F. Hutter: SGDR: Stochastic gradient descent with warm restarts. ICLR 2017.

    Examples
    --------
    >>> from nbnet.optimizers.schedules import CosineDecayRestarts
    >>> schedule = CosineDecayRestarts(0.1, first_decay_steps=10, m_mul=0.5)
    >>> [round(schedule(step), 4) for step in (0, 5, 10, 20, 30)]
    [0.1, 0.05, 0.05, 0.025, 0.025]
    """

    initial_learning_rate: float
    first_decay_steps: float
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0
    name: str = "SGDRDecay"

    above_zero = ("first_decay_steps",)

    @device
    def rate(step: Any, p: Any) -> Any:
        initial, steps, growth, shrink, alpha, pi = p[0], p[1], p[2], p[3], p[4], p[5]
        done = step / steps
        restarts = np.floor(done)
        if growth > 1.0:
            # The first k periods last (growth^k - 1) / (growth - 1) times the first. The logarithm may be off by one
            # in the last bit just where a period ends.
            restarts = np.floor(np.log(1.0 + done * (growth - 1.0)) / np.log(growth) + 0.5)
            if (growth**restarts - 1.0) / (growth - 1.0) > done:
                restarts -= 1.0
            done = (done - (growth**restarts - 1.0) / (growth - 1.0)) / growth**restarts
        else:
            done -= restarts
        return initial * ((1.0 - alpha) * shrink**restarts * half_cosine(done, pi) + alpha)

    def __post_init__(self) -> None:
        super().__post_init__()
        Interval(low=1).check(self.t_mul, "t_mul")

    def numbers(self) -> list[float]:
        return [*super().numbers(), math.pi]


@dataclass(frozen=True)
class StepRatioDecay(Formula):
    """Base class of the decays by a function of ``step / decay_steps``."""

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False

    above_zero = ("decay_steps",)


@dataclass(frozen=True)
class ExponentialDecay(StepRatioDecay):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
        Rate of step 0.
    decay_steps : float
        Above 0: number of steps of a decay by ``decay_rate``.
    decay_rate : float
        Factor of the decay.
    staircase : bool
        If True, round ``step / decay_steps`` down.

    Examples
    --------
    >>> from nbnet.optimizers.schedules import ExponentialDecay
    >>> schedule = ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5, staircase=True)
    >>> schedule(9), schedule(10)
    (0.1, 0.05)
    """

    name: str = "ExponentialDecay"

    @device
    def rate(step: Any, p: Any) -> Any:
        turns = step / p[1]
        if p[3] > 0:
            turns = np.floor(turns)
        return p[0] * p[2] ** turns


#: Name of a schedule that stands for the argument ``decay`` of Keras 2: a number may be assigned, and decays then.
OLD_DECAY = "decay"


@dataclass(frozen=True)
class InverseTimeDecay(StepRatioDecay):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate, decay_steps, decay_rate, staircase
        As in :class:`ExponentialDecay`, but in this formula.

    Examples
    --------
    >>> from nbnet.optimizers.schedules import InverseTimeDecay
    >>> InverseTimeDecay(0.1, decay_steps=10, decay_rate=1.0)(10)
    0.05
    """

    name: str = "InverseTimeDecay"

    @device
    def rate(step: Any, p: Any) -> Any:
        turns = step / p[1]
        if p[3] > 0:
            turns = np.floor(turns)
        return p[0] / (1.0 + p[2] * turns)


@dataclass(frozen=True)
class PiecewiseConstantDecay(Formula):
    """``values[0]`` up to and including step ``boundaries[0]``, then ``values[1]`` up to ``boundaries[1]``, and so on.

    Parameters
    ----------
    boundaries : sequence of float
        Increasing numbers of steps.
    values : sequence of float
        Rates, one more than boundaries.

    Examples
    --------
    >>> from nbnet.optimizers.schedules import PiecewiseConstantDecay
    >>> schedule = PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])
    >>> schedule(100), schedule(101), schedule(500)
    (0.1, 0.01, 0.001)
    """

    boundaries: Sequence[float]
    values: Sequence[float]
    name: str = "PiecewiseConstant"

    @device
    def rate(step: Any, p: Any) -> Any:
        n = p.size // 2  # boundaries; a value more than that
        k = 0
        while k < n and step > p[k]:
            k += 1
        return p[n + k]

    def __post_init__(self) -> None:
        for name, allowed in (("boundaries", FINITE), ("values", FROM_ZERO)):
            given = tuple(getattr(self, name))
            for value in given:
                allowed.check(value, name)
            object.__setattr__(self, name, given)
        if len(self.values) != len(self.boundaries) + 1:
            expected = f"one more than the {len(self.boundaries)} boundaries"
            raise ValueError(f"values: expected {expected}, got {len(self.values)}")
        if any(a >= b for a, b in pairwise(self.boundaries)):
            raise ValueError(f"boundaries: expected increasing numbers, got {list(self.boundaries)}")

    def numbers(self) -> list[float]:
        return [*self.boundaries, *self.values]

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": list(self.boundaries), "values": list(self.values), "name": self.name}


@dataclass(frozen=True)
class PolynomialDecay(Formula):
    """``(initial_learning_rate - end_learning_rate) * (1 - step / decay_steps) ** power + end_learning_rate``.

    Parameters
    ----------
    initial_learning_rate : float
        Rate of step 0.
    decay_steps : float
        Above 0: number of steps of the decay; after them the rate stays at the end.
    end_learning_rate : float
        Rate at the end.
    power : float
        Exponent of the formula.
    cycle : bool
        If True, start again, over twice, three times ... ``decay_steps``, when the end is passed.

    Examples
    --------
    >>> from nbnet.optimizers.schedules import PolynomialDecay
    >>> schedule = PolynomialDecay(0.5, decay_steps=10, end_learning_rate=0.1)
    >>> schedule(0), schedule(5), schedule(20)
    (0.5, 0.3, 0.1)
    """

    initial_learning_rate: float
    decay_steps: float
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False
    name: str = "PolynomialDecay"

    above_zero = ("decay_steps",)

    @device
    def rate(step: Any, p: Any) -> Any:
        steps = p[1]
        if p[4] > 0:
            steps *= max(np.ceil(step / p[1]), 1.0)
        return (p[0] - p[2]) * (1.0 - min(step / steps, 1.0)) ** p[3] + p[2]


@dataclass(frozen=True)
class OneCycle(Formula):
    """One cycle: from ``max_learning_rate / div_factor`` up to the maximum, then down to almost nothing, along cosines.

    Numbers and formula are those of PyTorch's ``OneCycleLR``: the maximum is reached at step ``pct_start * total_steps
    - 1``, the end at step ``total_steps - 1``. After that the rate stays at the end.

    Parameters
    ----------
    max_learning_rate : float
        Above 0: the highest rate.
    total_steps : int
        Steps of the whole training: batches per epoch times epochs.
    pct_start : float
        In [0, 1]: share of the steps that go up.
    div_factor : float
        Above 0: the first rate is the maximum divided by this.
    final_div_factor : float
        Above 0: the last rate is the first divided by this.

    References
    ----------
    L. N. Smith, N. Topin: Super-convergence: very fast training of neural networks using large learning rates. 2018.

    Examples
    --------
    >>> from nbnet.optimizers.schedules import OneCycle
    >>> schedule = OneCycle(0.1, total_steps=101, pct_start=0.5)
    >>> [round(schedule(step), 4) for step in (0, 49.5, 100)]
    [0.004, 0.1, 0.0]
    """

    max_learning_rate: float
    total_steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    name: str = "OneCycle"

    above_zero = ("max_learning_rate", "div_factor", "final_div_factor")

    @device
    def rate(step: Any, p: Any) -> Any:
        initial, top, end, peak, last, pi = p[0], p[1], p[2], p[3], p[4], p[5]
        at = min(step, last)
        if at <= peak:
            return top + (initial - top) * half_cosine(at / peak if peak > 0 else at, pi)
        return end + (top - end) * half_cosine((at - peak) / (last - peak), pi)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int(self.total_steps, "total_steps")
        FRACTION.check(self.pct_start, "pct_start")

    def numbers(self) -> list[float]:
        initial = self.max_learning_rate / self.div_factor
        end = initial / self.final_div_factor
        last = self.total_steps - 1
        return [initial, self.max_learning_rate, end, self.pct_start * self.total_steps - 1, last, math.pi]


_classes: tuple[type[LearningRateSchedule], ...] = (
    CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, OneCycle, PiecewiseConstantDecay,
    PolynomialDecay,
)  # fmt: skip
_known: dict[str, type[LearningRateSchedule]] = {cls.__name__: cls for cls in _classes}


class FunctionSchedule(LearningRateSchedule):
    """The learning rate that a function returns; made by ``learning_rate=function``.

    Parameters
    ----------
    function : callable
        ``function()`` or ``function(step)``; it is called before each compiled call, for the steps to come.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.optimizers.SGD(learning_rate=lambda: 0.25).learning_rate
    0.25
    """

    def __init__(self, function: Any) -> None:
        self.function = named_function(function, "learning_rate")
        parameters = inspect.signature(self.function).parameters.values()
        self._takes_step = any(p.default is p.empty and p.kind not in (p.VAR_KEYWORD,) for p in parameters)

    def __call__(self, step: Any) -> Any:
        return self.function(step) if self._takes_step else self.function()

    def get_config(self) -> dict[str, Any]:
        return {"function": function_name(self.function, "learning_rate")}


_known["FunctionSchedule"] = FunctionSchedule


def get(identifier: Any) -> LearningRateSchedule:
    """A schedule from its configuration or itself, or from a function.

    Examples
    --------
    >>> from nbnet.optimizers import schedules
    >>> config = {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5}
    >>> schedules.get({"class_name": "ExponentialDecay", "config": config})(10)
    0.05
    """
    if callable(identifier) and not isinstance(identifier, (LearningRateSchedule, type)):
        return FunctionSchedule(identifier)
    return registry.lookup(identifier, _known, LearningRateSchedule, "learning_rate")


def serialize(schedule: LearningRateSchedule) -> dict[str, Any]:
    """The class and the arguments of a schedule: what :func:`deserialize` reads.

    Examples
    --------
    >>> from nbnet.optimizers import schedules
    >>> schedules.serialize(schedules.InverseTimeDecay(0.1, 10, 0.5))["class_name"]
    'InverseTimeDecay'
    """
    return registry.serialize(schedule, _known)


@apart
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
