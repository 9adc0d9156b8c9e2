"""Operators, methods and conversions that tensors, symbols and parameters have in common with NumPy's arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

import numpy as np

R = TypeVar("R")

#: Functions behind operators, methods and ``backward``, by name; filled by the modules further up that define them.
operators: dict[str, Any] = {}

#: What no number equals.
_NO_NUMBERS = (type(None), str, bytes, type, dict, set, frozenset, np.dtype)


def _axes(given: tuple[Any, ...]) -> Any:
    """The axes or lengths of ``x.method(1, 2)`` and of ``x.method((1, 2))``."""
    return given[0] if len(given) == 1 and isinstance(given[0], Sequence) else given


class Arithmetic(Generic[R]):
    """Operators and methods, by the functions of ``nbnet.ops`` of their names; they return an R.

    Comparisons are made element by element, and return booleans. Sets and dicts go by identity; in lists, look for a
    tensor with ``is``.
    """

    __slots__ = ()
    __array_priority__ = 1000  # array + tensor is a tensor

    def _apply(self, name: str, *args: Any, **kwargs: Any) -> R:
        return cast(R, operators[name](*args, **kwargs))

    # ---- arithmetic ----

    def __add__(self, other: Any) -> R:
        return self._apply("add", self, other)

    def __radd__(self, other: Any) -> R:
        return self._apply("add", other, self)

    def __sub__(self, other: Any) -> R:
        return self._apply("subtract", self, other)

    def __rsub__(self, other: Any) -> R:
        return self._apply("subtract", other, self)

    def __mul__(self, other: Any) -> R:
        return self._apply("multiply", self, other)

    def __rmul__(self, other: Any) -> R:
        return self._apply("multiply", other, self)

    def __truediv__(self, other: Any) -> R:
        return self._apply("divide", self, other)

    def __rtruediv__(self, other: Any) -> R:
        return self._apply("divide", other, self)

    def __floordiv__(self, other: Any) -> R:
        return self._apply("floor_divide", self, other)

    def __rfloordiv__(self, other: Any) -> R:
        return self._apply("floor_divide", other, self)

    def __mod__(self, other: Any) -> R:
        return self._apply("mod", self, other)

    def __rmod__(self, other: Any) -> R:
        return self._apply("mod", other, self)

    def __divmod__(self, other: Any) -> tuple[R, R]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[R, R]:
        return other // self, other % self

    def __pow__(self, other: Any) -> R:
        return self._apply("power", self, other)

    def __rpow__(self, other: Any) -> R:
        return self._apply("power", other, self)

    def __matmul__(self, other: Any) -> R:
        return self._apply("matmul", self, other)

    def __rmatmul__(self, other: Any) -> R:
        return self._apply("matmul", other, self)

    def __neg__(self) -> R:
        return self._apply("negative", self)

    def __pos__(self) -> R:
        return cast(R, self)

    def __abs__(self) -> R:
        return self._apply("abs", self)

    # ---- comparisons and bits ----

    __hash__ = object.__hash__

    def __eq__(self, other: Any) -> R:  # type: ignore[override]
        return NotImplemented if isinstance(other, _NO_NUMBERS) else self._apply("equal", self, other)

    def __ne__(self, other: Any) -> R:  # type: ignore[override]
        return NotImplemented if isinstance(other, _NO_NUMBERS) else self._apply("not_equal", self, other)

    def __lt__(self, other: Any) -> R:
        return self._apply("less", self, other)

    def __le__(self, other: Any) -> R:
        return self._apply("less_equal", self, other)

    def __gt__(self, other: Any) -> R:
        return self._apply("greater", self, other)

    def __ge__(self, other: Any) -> R:
        return self._apply("greater_equal", self, other)

    def __and__(self, other: Any) -> R:
        return self._apply("bitwise_and", self, other)

    def __rand__(self, other: Any) -> R:
        return self._apply("bitwise_and", other, self)

    def __or__(self, other: Any) -> R:
        return self._apply("bitwise_or", self, other)

    def __ror__(self, other: Any) -> R:
        return self._apply("bitwise_or", other, self)

    def __xor__(self, other: Any) -> R:
        return self._apply("bitwise_xor", self, other)

    def __rxor__(self, other: Any) -> R:
        return self._apply("bitwise_xor", other, self)

    def __lshift__(self, other: Any) -> R:
        return self._apply("left_shift", self, other)

    def __rlshift__(self, other: Any) -> R:
        return self._apply("left_shift", other, self)

    def __rshift__(self, other: Any) -> R:
        return self._apply("right_shift", self, other)

    def __rrshift__(self, other: Any) -> R:
        return self._apply("right_shift", other, self)

    def __invert__(self) -> R:
        return self._apply("bitwise_not", self)

    # ---- parts ----

    def __getitem__(self, rows: Any) -> R:
        return self._apply("get_item", self, rows)

    def __setitem__(self, rows: Any, value: Any) -> None:
        raise TypeError(
            "tensors do not change: use nbnet.ops.where, concatenate or scatter for a new one, and assign for a weight"
        )

    @property
    def T(self) -> R:
        """The tensor with its axes in reverse order."""
        return self._apply("transpose", self)

    # ---- methods ----

    def astype(self, dtype: Any) -> R:
        """See :func:`nbnet.ops.cast`."""
        return self._apply("cast", self, dtype)

    def reshape(self, *shape: Any) -> R:
        """See :func:`nbnet.ops.reshape`; lengths may be given one by one."""
        return self._apply("reshape", self, _axes(shape))

    def transpose(self, *axes: Any) -> R:
        """See :func:`nbnet.ops.transpose`; axes may be given one by one."""
        return self._apply("transpose", self, _axes(axes) if axes and axes != (None,) else None)

    def flatten(self) -> R:
        """All elements along one axis."""
        return self._apply("reshape", self, (-1,))

    ravel = flatten

    def squeeze(self, axis: Any = None) -> R:
        """See :func:`nbnet.ops.squeeze`."""
        return self._apply("squeeze", self, axis)

    def swapaxes(self, axis1: int, axis2: int) -> R:
        """See :func:`nbnet.ops.swapaxes`."""
        return self._apply("swapaxes", self, axis1, axis2)

    def repeat(self, repeats: Any, axis: int | None = None) -> R:
        """See :func:`nbnet.ops.repeat`."""
        return self._apply("repeat", self, repeats, axis)

    def take(self, indices: Any, axis: int | None = None) -> R:
        """See :func:`nbnet.ops.take`."""
        return self._apply("take", self, indices, axis)

    def clip(self, min: Any, max: Any) -> R:
        """See :func:`nbnet.ops.clip`."""
        return self._apply("clip", self, min, max)

    def round(self, decimals: int = 0) -> R:
        """The numbers rounded to so many decimals, half to even."""
        if not decimals:
            return self._apply("round", self)
        scale = 10.0**decimals
        return cast(R, operators["round"](self * scale) / scale)

    def __round__(self, ndigits: int | None = None) -> R:
        return self.round(ndigits or 0)

    def dot(self, other: Any) -> R:
        """See :func:`nbnet.ops.dot`."""
        return self._apply("dot", self, other)

    # NumPy's functions of these names call them with ``dtype`` and ``out``.

    def sum(self, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False) -> R:
        """See :func:`nbnet.ops.sum`."""
        return self._reduce("sum", axis, dtype, out, keepdims)

    def mean(self, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False) -> R:
        """See :func:`nbnet.ops.mean`."""
        return self._reduce("mean", axis, dtype, out, keepdims)

    def max(self, axis: Any = None, out: None = None, keepdims: bool = False) -> R:
        """See :func:`nbnet.ops.max`."""
        return self._reduce("max", axis, None, out, keepdims)

    def min(self, axis: Any = None, out: None = None, keepdims: bool = False) -> R:
        """See :func:`nbnet.ops.min`."""
        return self._reduce("min", axis, None, out, keepdims)

    def std(self, axis: Any = None, dtype: Any = None, out: None = None, ddof: int = 0, keepdims: bool = False) -> R:
        """See :func:`nbnet.ops.std`."""
        if ddof:
            raise ValueError(f"ddof: expected 0, got {ddof}")
        return self._reduce("std", axis, dtype, out, keepdims)

    def var(self, axis: Any = None, dtype: Any = None, out: None = None, ddof: int = 0, keepdims: bool = False) -> R:
        """See :func:`nbnet.ops.var`."""
        if ddof:
            raise ValueError(f"ddof: expected 0, got {ddof}")
        return self._reduce("var", axis, dtype, out, keepdims)

    def prod(self, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False) -> R:
        """See :func:`nbnet.ops.prod`."""
        return self._reduce("prod", axis, dtype, out, keepdims)

    def any(self, axis: Any = None, out: None = None, keepdims: bool = False) -> R:
        """See :func:`nbnet.ops.any`."""
        return self._reduce("any", axis, None, out, keepdims)

    def all(self, axis: Any = None, out: None = None, keepdims: bool = False) -> R:
        """See :func:`nbnet.ops.all`."""
        return self._reduce("all", axis, None, out, keepdims)

    def _reduce(self, name: str, axis: Any, dtype: Any, out: None, keepdims: bool) -> R:
        if out is not None:
            raise TypeError(f"out: expected None, got {type(out).__name__}: tensors do not change")
        x = self if dtype is None else self.astype(dtype)
        return self._apply(name, x, axis, keepdims=keepdims)

    def cumsum(self, axis: int | None = None) -> R:
        """See :func:`nbnet.ops.cumsum`."""
        return self._apply("cumsum", self, axis)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> R:
        """See :func:`nbnet.ops.argmax`."""
        return self._apply("argmax", self, axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> R:
        """See :func:`nbnet.ops.argmin`."""
        return self._apply("argmin", self, axis, keepdims=keepdims)

    def argsort(self, axis: int = -1) -> R:
        """See :func:`nbnet.ops.argsort`."""
        return self._apply("argsort", self, axis)


class Concrete(Arithmetic[R]):
    """Conversions to Python's and NumPy's values."""

    __slots__ = ()
    shape: tuple[int, ...]

    def numpy(self) -> np.ndarray[Any, Any]:
        """The value as an array."""
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.numpy(), dtype=dtype, copy=copy)  # A weight's numpy() is a copy.

    def item(self, *index: Any) -> Any:
        """The value of a tensor of one element, or of the element at an index, as a Python number."""
        return self.numpy().item(*index)

    def copy(self) -> R:
        """A tensor of the same value, through which gradients flow."""
        return self._apply("reshape", self, self.shape)

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self.numpy().tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        value = self.numpy()
        if value.dtype.kind not in "iu" or value.size != 1:
            raise TypeError(f"expected one integer, got a tensor of {value.dtype} of shape {value.shape}")
        return int(value.item())

    def __bool__(self) -> bool:
        value = self.numpy()
        if value.size != 1:
            raise ValueError(
                f"a tensor of shape {self.shape} is neither true nor false: use nbnet.ops.any or nbnet.ops.all"
            )
        return bool(value.item())

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[R]:
        if not self.shape:
            raise TypeError("iteration over a tensor without axes")
        return (self[k] for k in range(len(self)))

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and not self.shape else format(str(self), spec)
