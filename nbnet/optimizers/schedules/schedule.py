"""What every schedule is: a learning rate for each step, computed by the program that trains."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nbnet.core.abi import Function, Kernel, doublevec, kernel
from nbnet.ranges import FROM_ZERO

Vector = NDArray[np.float64]

#: Steps that a schedule written in Python is evaluated for at a time.
TABLE = 4096


@functools.cache
def _row(rate: Function) -> Kernel:
    """The kernel that writes a rate to the first cell of an optimizer: operands are the numbers, the cells."""

    def write(mem: Any, ins: Any, step: Any) -> None:
        doublevec(mem, ins, 1)[0] = rate(np.float64(step), doublevec(mem, ins, 0))

    return Kernel(write, f"schedule_{rate.name}")


@kernel
def _look_up(mem: Any, ins: Any, step: Any) -> None:
    """The rate of a step from a table: the number of the first step, then a rate for each; NaN if it is not there."""
    table, cells = doublevec(mem, ins, 0), doublevec(mem, ins, 1)
    k = step - np.int64(table[0]) + 1
    cells[0] = table[k] if 0 < k < table.size else np.nan


class LearningRateSchedule:
    """A learning rate as a function of the number of the step.

    The schedules of this package are computed inside the compiled training loop. For one of your own, there are two
    ways. Define ``__call__(step)`` in Python, as in Keras: it is evaluated before each compiled call for the steps to
    come, up to 4096 at a time, so it must depend on the step alone; it takes about as long as the Python call. Or, at
    no cost, set ``rate`` to a device function of the step and of a vector, and let ``numbers`` return that vector.

    Notes
    -----
    Steps are the raw iterations of the optimizer: with gradient accumulation, those that only accumulate count, too.

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
    #: it takes the model's dtype: what float32 cannot hold, such as pi, belongs into the numbers.
    rate: ClassVar[Function | None] = None

    def numbers(self) -> list[float]:
        """What ``rate`` is given."""
        return []

    def __call__(self, step: Any) -> float:
        """The learning rate of a step, by its number from 0."""
        if self.rate is None:
            raise TypeError(
                f"{type(self).__name__} does not say what the learning rate is: define __call__(self, step)"
            )
        with np.errstate(all="ignore"):
            return float(self.rate(np.float64(step), np.array(self.numbers(), np.float64)))

    def kernel(self) -> Kernel:
        """The kernel that writes the rate of a step to cell 0: its operands are :meth:`source` and the cells."""
        return _look_up if self._in_python() else _row(self.rate)

    def source(self) -> Vector:
        """What the kernel reads."""
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
        """The arguments it was made with."""
        if not is_dataclass(self):
            raise TypeError(f"{type(self).__name__} cannot be saved: define get_config(self)")
        return {field.name: getattr(self, field.name) for field in fields(self)}

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
