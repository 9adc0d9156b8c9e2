"""What dropout layers have in common: a rate, a seed, a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nbnet import dropout_schedules, random
from nbnet.core.graph import Tensor
from nbnet.core.parameter import outdate
from nbnet.dropout_schedules import DropoutSchedule
from nbnet.layers.calling import mask_rows
from nbnet.layers.layer import Layer
from nbnet.layers.shapes import Shape
from nbnet.ops.dropout_shared import check_noise_shape
from nbnet.ops.rate import check_rate
from nbnet.ops.scheduled_rate import scheduled_rate

#: Steps in which a schedule is looked at.
_STEPS = (0, *(1 << k for k in range(62)))


class Seeded(Layer):
    """A layer that draws random numbers with a key of its own."""

    stochastic: ClassVar[bool] = True

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = None if seed is None else random.as_integer(seed, "seed")
        self.key = random.next_key() if seed is None else random.derive(seed)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"seed": self.seed}


def number_in(cell: Tensor) -> float:
    """The number that was put into a cell, without the digits that rounding to float32 has added."""
    return round(float(cell.item()), 7 if cell.dtype == np.float32 else 15)


class Rated(Seeded):
    """A layer with a probability to DROP, which may be a schedule."""

    #: Whether the rate has to be below 1.
    below_one: ClassVar[bool] = False

    def __init__(self, rate: Any, seed: int | None = None, **kwargs: Any) -> None:
        if "keep_prob" in kwargs:
            raise TypeError(
                "keep_prob: nbnet, like Keras and PyTorch, wants the probability to DROP: rate = 1 - keep_prob"
            )
        super().__init__(seed, **kwargs)
        self._cell = Tensor((), self.dtype, np.zeros((), self.dtype), name=f"{self.name}/rate")
        self._schedule: DropoutSchedule | None = None
        self._numbers = self._cell
        self._set_rate(rate)

    @property
    def rate(self) -> Any:
        """The probability to drop, or the schedule it follows. May be changed at any time; programs read a number in
        each step."""
        if self._schedule is not None:
            return self._schedule
        return number_in(self._cell)

    @rate.setter
    def rate(self, value: Any) -> None:
        scheduled = self._schedule is not None
        self._set_rate(value)
        if scheduled or self._schedule is not None:
            outdate()  # Programs compute the rate in another way now.

    def _set_rate(self, value: Any) -> None:
        if isinstance(value, Mapping):
            value = dropout_schedules.deserialize(value)
        if isinstance(value, DropoutSchedule):
            self._check_schedule(value)
            numbers = np.array(value.numbers(), self.dtype)
            self._numbers = Tensor(numbers.shape, self.dtype, numbers, name=f"{self.name}/schedule")
            self._schedule = value
        else:
            rate = self.dtype.type(check_rate(value, self.below_one))
            # What is below 1 may not be so any more in the layer's dtype.
            self._cell.numpy()[...] = check_rate(rate, self.below_one)
            self._schedule = None

    def _check_schedule(self, schedule: DropoutSchedule) -> None:
        """ValueError if the layer cannot follow it: if the rate has to be below 1 and is not in one of some steps, from
        the first to the end."""
        schedule.function()
        reached = [step for step in _STEPS if self.below_one and self.dtype.type(schedule(step)) >= 1]
        if reached:
            raise ValueError(
                f"rate: the probability to drop a unit lies in [0, 1), {schedule!r} reaches 1 by step {reached[0]}"
            )

    @property
    def _rate(self) -> Tensor:
        """The rate of the step that is being computed."""
        if self._schedule is None:
            return self._cell
        return scheduled_rate(self._schedule.function(), self._numbers)

    def get_config(self) -> dict[str, Any]:
        rate = self.rate
        return super().get_config() | {
            "rate": dropout_schedules.serialize(rate) if isinstance(rate, DropoutSchedule) else rate
        }


class NoiseShaped(Rated):
    """A dropout layer whose mask may be shared along axes."""

    def __init__(
        self, rate: Any, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, seed, **kwargs)
        self.noise_shape = None if noise_shape is None else _check_noise_shape(noise_shape)

    def build(self, input_shape: Shape) -> None:
        if self.noise_shape is not None:
            check_noise_shape(self.noise_shape, (None, *input_shape[1:]))

    def _noise(self, x: Tensor) -> Shape | None:
        """The noise shape of any batch: on its axis, anything but 1 stands for its size."""
        noise, rows = self.noise_shape, mask_rows()
        if noise is None:
            return None if rows is None else (rows, *x.shape[1:])
        return (rows, *noise[1:]) if noise[0] != 1 else noise

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"noise_shape": None if self.noise_shape is None else list(self.noise_shape)}


def _check_noise_shape(noise_shape: Sequence[int | None]) -> Shape:
    sizes = tuple(noise_shape) if isinstance(noise_shape, Sequence) and noise_shape else (0,)
    if any(n is not None and (not isinstance(n, (int, np.integer)) or n < 1) for n in sizes):
        raise ValueError(f"noise_shape: wants a size from 1 or None for each axis, got {noise_shape!r}")
    return tuple(None if n is None else int(n) for n in sizes)
