"""Numbers of an optimizer: attributes that kernels read from a vector of float64 cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, overload

from nbnet.ranges import FRACTION, FROM_ZERO, Range, flag

if TYPE_CHECKING:
    from nbnet.optimizers.optimizer import Optimizer


class Hyper:
    """A number that may be assigned at any time; it holds from the next step on, and nothing is compiled for it.

    Parameters
    ----------
    range
        Where it must lie.
    index
        Number of its cell; those that a subclass of Optimizer declares are numbered in their order.
    """

    name: str

    def __init__(self, range: Range = FROM_ZERO, index: int = -1) -> None:
        self.range, self.index = range, index

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, optimizer: None, owner: type) -> Self: ...
    @overload
    def __get__(self, optimizer: Optimizer, owner: type) -> float: ...
    def __get__(self, optimizer: Optimizer | None, owner: type) -> Self | float:
        return self if optimizer is None else float(optimizer.cells[self.index])

    def __set__(self, optimizer: Optimizer, value: Any) -> None:
        optimizer.cells[self.index] = self.range.check(value, self.name)
        optimizer.restructure()


class Flag(Hyper):
    """A choice of True or False."""

    def __init__(self, index: int = -1) -> None:
        super().__init__(FRACTION, index)

    @overload
    def __get__(self, optimizer: None, owner: type) -> Self: ...
    @overload
    def __get__(self, optimizer: Optimizer, owner: type) -> bool: ...
    def __get__(self, optimizer: Optimizer | None, owner: type) -> Self | bool:
        return self if optimizer is None else bool(optimizer.cells[self.index] > 0)

    def __set__(self, optimizer: Optimizer, value: Any) -> None:
        super().__set__(optimizer, float(flag(value, self.name)))


class Extra:
    """A number, or None to leave out what it is for; of extras that share a cell, one is given at most."""

    name: str

    def __init__(self, range: Range, index: int) -> None:
        self.range, self.index = range, index

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, optimizer: None, owner: type) -> Self: ...
    @overload
    def __get__(self, optimizer: Optimizer, owner: type) -> float | None: ...
    def __get__(self, optimizer: Optimizer | None, owner: type) -> Self | float | None:
        if optimizer is None:
            return self
        return float(optimizer.cells[self.index]) if optimizer.extras.get(self.index) == self.name else None

    def __set__(self, optimizer: Optimizer, value: Any) -> None:
        given = optimizer.extras.get(self.index)
        if value is None:
            if given == self.name:
                del optimizer.extras[self.index]
        else:
            number = self.range.check(value, self.name)
            if given not in (None, self.name):
                raise ValueError(f"{self.name}: {given} is given already, and there is one kind of clipping at most")
            optimizer.cells[self.index], optimizer.extras[self.index] = number, self.name
        optimizer.restructure()
