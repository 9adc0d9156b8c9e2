"""What ``x + y`` and its like mean for tensors, and for symbols that stand for them."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")

#: What operators and ``backward`` call, by name; filled by the modules further up that define them.
operators: dict[str, Any] = {}


class Arithmetic(Generic[T]):
    """Operators that come from the ops of their names, and return something of type T."""

    __slots__ = ()
    __array_priority__ = 1000  # array + tensor is a tensor

    def __add__(self, other: Any) -> T:
        return cast(T, operators["add"](self, other))

    def __radd__(self, other: Any) -> T:
        return cast(T, operators["add"](other, self))

    def __sub__(self, other: Any) -> T:
        return cast(T, operators["subtract"](self, other))

    def __rsub__(self, other: Any) -> T:
        return cast(T, operators["subtract"](other, self))

    def __mul__(self, other: Any) -> T:
        return cast(T, operators["multiply"](self, other))

    def __rmul__(self, other: Any) -> T:
        return cast(T, operators["multiply"](other, self))

    def __truediv__(self, other: Any) -> T:
        return cast(T, operators["divide"](self, other))

    def __rtruediv__(self, other: Any) -> T:
        return cast(T, operators["divide"](other, self))

    def __pow__(self, other: Any) -> T:
        return cast(T, operators["power"](self, other))

    def __rpow__(self, other: Any) -> T:
        return cast(T, operators["power"](other, self))

    def __neg__(self) -> T:
        return cast(T, operators["multiply"](self, -1.0))

    def __matmul__(self, other: Any) -> T:
        return cast(T, operators["matmul"](self, other))

    def __rmatmul__(self, other: Any) -> T:
        return cast(T, operators["matmul"](other, self))

    def __getitem__(self, rows: Any) -> T:
        return cast(T, operators["take"](self, rows))
