"""Hyperparameters of an optimizer: its options, and attributes that stand for the float64 cells its kernels read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, Protocol, Self, TypedDict, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from nbnet.base.validation import FROM_ZERO, Interval, check_bool

T = TypeVar("T")


class OptionsWithoutDecay(TypedDict, total=False):
    """Keyword arguments of all optimizers except for weight decay: see :class:`nbnet.optimizers.Optimizer`."""

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


class CommonOptions(OptionsWithoutDecay, total=False):
    """Keyword arguments of all optimizers; AdamW has another default of weight decay."""

    weight_decay: float | None


#: Defaults of the options that configurations contain, in their order.
DEFAULTS: dict[str, Any] = {
    "weight_decay": None, "clipnorm": None, "clipvalue": None, "global_clipnorm": None, "use_ema": False,
    "ema_momentum": 0.99, "ema_overwrite_frequency": None, "gradient_accumulation_steps": None, "lazy": False,
}  # fmt: skip


class HasLearningRate(Protocol):
    """An optimizer, as far as :class:`LearningRate` knows it."""

    learning_rate: Any


class LearningRate(float):
    """A learning rate as it was when it was read: a number with the methods of Keras's variable.

    Examples
    --------
    >>> import nbnet as nb
    >>> optimizer = nb.optimizers.SGD(0.1)
    >>> optimizer.learning_rate.assign(0.5)
    >>> optimizer.learning_rate.numpy(), optimizer.learning_rate * 2
    (array(0.5), 1.0)
    """

    _optimizer: HasLearningRate

    def __new__(cls, value: float, optimizer: HasLearningRate) -> Self:
        rate = super().__new__(cls, value)
        rate._optimizer = optimizer
        return rate

    def assign(self, value: float) -> None:
        """Set the learning rate of the optimizer; the same as ``optimizer.learning_rate = value``."""
        self._optimizer.learning_rate = value

    @property
    def value(self) -> float:
        """The number."""
        return float(self)

    def numpy(self) -> NDArray[np.float64]:
        """The number as an array without axes."""
        return np.array(float(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return float, (float(self),)


class HasHyperparams(Protocol):
    """An optimizer, as far as :class:`HyperAttribute` knows it."""

    cells: NDArray[np.float64]
    in_use: dict[int, str]

    def hyperparams_changed(self) -> None: ...


class HyperAttribute(ABC, Generic[T]):
    """Attribute of an optimizer that stands for one cell.

    Parameters
    ----------
    range : Interval
        Allowed values.
    index : int
        Number of the cell; a subclass of Optimizer numbers those that it declares itself, in their order.
    """

    name: str

    def __init__(self, range: Interval = FROM_ZERO, index: int = -1) -> None:
        self.range, self.index = range, index

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, optimizer: None, owner: type) -> Self: ...
    @overload
    def __get__(self, optimizer: HasHyperparams, owner: type) -> T: ...
    def __get__(self, optimizer: HasHyperparams | None, owner: type) -> Self | T:
        return self if optimizer is None else self.read(optimizer)

    def __set__(self, optimizer: HasHyperparams, value: Any) -> None:
        self.write(optimizer, value)
        optimizer.hyperparams_changed()

    @abstractmethod
    def read(self, optimizer: HasHyperparams) -> T:
        """The value of the attribute."""

    @abstractmethod
    def write(self, optimizer: HasHyperparams, value: Any) -> None:
        """Check and store a value."""


class Hyper(HyperAttribute[float]):
    """A number."""

    def read(self, optimizer: HasHyperparams) -> float:
        return float(optimizer.cells[self.index])

    def write(self, optimizer: HasHyperparams, value: Any) -> None:
        optimizer.cells[self.index] = self.range.check(value, self.name)


class BoolHyper(HyperAttribute[bool]):
    """True or False, stored as 1 or 0."""

    def read(self, optimizer: HasHyperparams) -> bool:
        return bool(optimizer.cells[self.index] > 0)

    def write(self, optimizer: HasHyperparams, value: Any) -> None:
        optimizer.cells[self.index] = float(check_bool(value, self.name))


class OptionalHyper(HyperAttribute[float | None]):
    """A number, or None for none; of those that share a cell, at most one is a number."""

    def read(self, optimizer: HasHyperparams) -> float | None:
        return float(optimizer.cells[self.index]) if optimizer.in_use.get(self.index) == self.name else None

    def write(self, optimizer: HasHyperparams, value: Any) -> None:
        current = optimizer.in_use.get(self.index)
        if value is not None:
            number = self.range.check(value, self.name)
            if current not in (None, self.name):
                raise ValueError(f"{self.name}: {current} is given already, and only one kind of clipping is possible")
            optimizer.cells[self.index], optimizer.in_use[self.index] = number, self.name
        elif current == self.name:
            del optimizer.in_use[self.index]
