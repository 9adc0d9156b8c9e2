"""The arguments of an optimizer: numbers in cells, extras, a learning rate or its schedule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from nbnet.core.graph import Tensor
from nbnet.optimizers import rows, schedules
from nbnet.optimizers.hyper import Extra, Flag, Hyper
from nbnet.ranges import ABOVE_ZERO, FRACTION, FROM_ZERO, count
from nbnet.registry import custom_object_scope


class Extras(TypedDict, total=False):
    """Arguments that all optimizers have: see :class:`nbnet.optimizers.Optimizer`."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    gradient_accumulation_steps: int | None
    lazy: bool
    loss_scale_factor: None
    name: str | None


class Common(Extras, total=False):
    """The same with weight decay, whose default AdamW has changed."""

    weight_decay: float | None


_DEFAULTS: dict[str, Any] = {
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "gradient_accumulation_steps": None,
    "lazy": False,
}


class Rate(float):
    """A learning rate as it was when it was read: a number with the methods of Keras's variable.

    Examples
    --------
    >>> import nbnet as nb
    >>> optimizer = nb.optimizers.SGD(0.1)
    >>> optimizer.learning_rate.assign(0.5)
    >>> optimizer.learning_rate.numpy(), optimizer.learning_rate * 2
    (array(0.5), 1.0)
    """

    def __new__(cls, value: Any, optimizer: Settings) -> Self:
        made = super().__new__(cls, value)
        made._optimizer = optimizer
        return made

    _optimizer: Settings

    def assign(self, value: Any) -> None:
        """Set that of the optimizer; the same as ``optimizer.learning_rate = value``."""
        self._optimizer.learning_rate = value

    def numpy(self) -> NDArray[np.float64]:
        """The number as an array without axes."""
        return np.array(float(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return float, (float(self),)


class Settings(ABC):
    """What an optimizer was told.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    hyper
        Values of the numbers that the class declares as :class:`Hyper`.
    **common
        See :class:`nbnet.optimizers.Optimizer`.
    """

    #: Names of the numbers that a class declares, in the order of their cells.
    hyper: ClassVar[tuple[str, ...]] = ()

    weight_decay = Extra(FROM_ZERO, rows.WEIGHT_DECAY)
    clipnorm = Extra(ABOVE_ZERO, rows.CLIP)
    clipvalue = Extra(ABOVE_ZERO, rows.CLIP)
    global_clipnorm = Extra(ABOVE_ZERO, rows.CLIP)
    ema_momentum = Hyper(FRACTION, rows.EMA_MOMENTUM)
    lazy = Flag(rows.LAZY)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for value in list(vars(cls).values()):
            if isinstance(value, Hyper) and value.index < 0:
                value.index = rows.OWN + len(cls.hyper)
                cls.hyper = (*cls.hyper, value.name)

    def __init__(self, learning_rate: Any, hyper: Mapping[str, Any], **common: Unpack[Common]) -> None:
        given: dict[str, Any] = _DEFAULTS | dict(common)
        if given.pop("loss_scale_factor", None) is not None:
            raise ValueError("loss_scale_factor: gradients of float32 and float64 need no scaling, nbnet has none")
        self.cells = np.zeros(rows.OWN + len(self.hyper))
        #: Name of the extra in use at a cell.
        self.extras: dict[int, str] = {}
        #: Steps made; with gradient accumulation, those that only accumulated as well.
        self.iterations = 0
        self._schedule: schedules.LearningRateSchedule | None = None
        self._schedules = 0
        self._source = np.zeros(0)
        self.name = given.pop("name", None) or type(self).__name__.lower()
        self._use_ema = bool(given.pop("use_ema"))
        frequency, steps = given.pop("ema_overwrite_frequency"), given.pop("gradient_accumulation_steps")
        self._overwrite_frequency = None if frequency is None else count(frequency, "ema_overwrite_frequency")
        self._accumulation_steps = None if steps is None else count(steps, "gradient_accumulation_steps", 2)
        if unknown := given.keys() - _DEFAULTS.keys():
            raise TypeError(f"{type(self).__name__} takes no argument {', '.join(sorted(unknown))}")
        for name, value in {"learning_rate": learning_rate, **hyper, **given}.items():
            setattr(self, name, value)
        if given["lazy"] and steps is not None:
            raise ValueError("lazy: gradients accumulated over steps cover weights that single steps cut off")

    @abstractmethod
    def restructure(self) -> None:
        """Called when a setting has changed: if other rows are needed now, programs are written anew."""

    @property
    def use_ema(self) -> bool:
        """Whether a moving average of the parameters is kept."""
        return self._use_ema

    @property
    def ema_overwrite_frequency(self) -> int | None:
        """Updates between two times when parameters are set to their averages."""
        return self._overwrite_frequency

    @property
    def gradient_accumulation_steps(self) -> int | None:
        """Steps that an update takes."""
        return self._accumulation_steps

    @property
    def learning_rate(self) -> Rate:
        """That of the next step. A number may be assigned at any time, but none in place of a schedule, as in Keras."""
        if self._schedule is not None:
            return Rate(self._schedule(self.iterations), self)
        return Rate(self.cells[rows.LEARNING_RATE], self)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, (Mapping, schedules.LearningRateSchedule)):
            self._schedule = schedules.get(value)
            self._source = self._schedule.source()
            self._schedules += 1
            self.restructure()
        elif self._schedule is not None:
            raise TypeError(
                f"learning_rate: this {type(self).__name__} follows {self._schedule!r}, which would overwrite it; make "
                "the optimizer with a number if something else is to set the learning rate"
            )
        elif callable(value):
            raise TypeError(f"learning_rate: wants a number or a LearningRateSchedule, got {value!r}")
        else:
            self.cells[rows.LEARNING_RATE] = FROM_ZERO.check(value, "learning_rate")

    def cells_tensor(self) -> Tensor:
        """The cells as an operand."""
        return Tensor(self.cells.shape, np.float64, self.cells, name=self.name)

    def get_config(self) -> dict[str, Any]:
        """What the constructor would be given to make this optimizer, without its state."""
        return {
            "learning_rate": float(self.learning_rate)
            if self._schedule is None
            else schedules.serialize(self._schedule),
            **{name: getattr(self, name) for name in (*self.hyper, *_DEFAULTS)},
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """The optimizer that :meth:`get_config` describes.

        Parameters
        ----------
        custom_objects
            Schedules of your own, by name.

        Examples
        --------
        >>> import nbnet as nb
        >>> config = nb.optimizers.SGD(0.1, momentum=0.9).get_config()
        >>> nb.optimizers.SGD.from_config(config)
        SGD(learning_rate=0.1, momentum=0.9, nesterov=False)
        """
        with custom_object_scope(custom_objects):
            return cls(**config)

    def __repr__(self) -> str:
        config = self.get_config()
        if self._schedule is not None:
            config["learning_rate"] = self._schedule
        usual = _DEFAULTS | {"name": type(self).__name__.lower()}
        shown = (f"{k}={v!r}" for k, v in config.items() if k not in usual or v != usual[k])
        return f"{type(self).__name__}({', '.join(shown)})"
