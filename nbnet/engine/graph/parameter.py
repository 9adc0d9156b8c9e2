"""Parameters: tensors that optimizers change, one by one or in one block of memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from nbnet.base.array_memory import plain_array
from nbnet.base.constructor import is_changed
from nbnet.engine.graph.arithmetic import operators
from nbnet.engine.graph.tensor import Array, Tensor, changes, real_array, recorder
from nbnet.engine.kernels.executor import aligned, round_up

#: A regularizer or constraint: a function of a parameter.
Rule = Callable[[Any], Any]


_moves = 0


def layout_version() -> int:
    """Number of times that programs became outdated in this process; linked programs are valid while it is the same."""
    return _moves


def invalidate_programs() -> None:
    """Have every linked program built anew before it runs again: its rows are outdated."""
    global _moves
    _moves += 1


def argument_changes(thing: Any, name: str, value: Any) -> None:
    """Have programs built anew if an attribute that stands for an argument of a constructor gets another value: they
    hold it as a constant. What is assigned while a program is written changes none."""
    active = recorder()
    if (active is None or not active.deferred) and is_changed(thing, name, value):
        invalidate_programs()


class Parameter(Tensor):
    """A weight of a layer: a tensor that optimizers change.

    Parameters
    ----------
    value
        Initial value, copied.
    trainable
        If False, optimizers leave it as it is.
    name
        For summaries and errors.
    dtype
        float32 or float64; by default that of an array or tensor, else the framework's default.
    regularizer
        Function of the parameter that gives its penalty, or None; may be assigned.
    constraint
        Function that optimizers apply to it after each update, or None; may be assigned.

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([1.0, 2.0])
    >>> nb.ops.sum(w * w).backward()
    >>> w.grad.numpy()
    array([2., 4.], dtype=float32)
    """

    __slots__ = ("_constraint", "_past", "_read", "_regularizer", "_version", "linked", "trainable")
    changes_in_place = True

    def __init__(
        self, value: Any, *, trainable: bool = True, name: str = "", dtype: Any = None, regularizer: Rule | None = None,
        constraint: Rule | None = None
    ) -> None:  # fmt: skip
        data = real_array(value, "a parameter", dtype)
        super().__init__(data.shape, data.dtype, data, name=name, requires_grad=trainable)
        self.trainable = trainable
        #: True once a program holds its address.
        self.linked = False
        self._regularizer, self._constraint = regularizer, constraint
        self._version, self._read = 0, -1
        self._past: tuple[int, Array] | None = None

    @classmethod
    def over(cls, memory: Array, name: str) -> Self:
        """A parameter that is not trained and whose memory is an array: what is assigned to it is written there."""
        made = cls.__new__(cls)
        Tensor.__init__(made, memory.shape, memory.dtype, memory, name=name)
        made.trainable = made.linked = False
        made._regularizer = made._constraint = None
        made._version, made._read, made._past = 0, -1, None
        return made

    # ---- values that gradients need after they were overwritten ----

    def note_read(self) -> int:
        self._read = self._version
        return self._version

    def will_change(self) -> None:
        """To be called before the value changes in place: what a node has read is kept, until the next change."""
        if self._read == self._version:
            self._past = self._version, self.memory().copy()
        self._version += 1

    def as_read(self, version: int) -> Tensor:
        if version == self._version:
            return self
        if self._past is None or self._past[0] != version:
            raise ValueError(
                f"gradient: {self.name or 'a parameter'} has changed more than once since it was read, and the value "
                "that was read is not kept; compute the gradient before"
            )
        return Tensor(self.shape, self.dtype, self._past[1], name=self.name)

    @property
    def regularizer(self) -> Rule | None:
        return self._regularizer

    @regularizer.setter
    def regularizer(self, value: Rule | None) -> None:
        self._regularizer = value
        invalidate_programs()

    @property
    def constraint(self) -> Rule | None:
        return self._constraint

    @constraint.setter
    def constraint(self, value: Rule | None) -> None:
        self._constraint = value
        invalidate_programs()

    @property
    def path(self) -> str:
        """The name, with that of the layer before it."""
        return self.name

    def numpy(self) -> Array:
        """A copy of the value."""
        if changes() is not None:
            raise ValueError(
                f"{self.name or 'the parameter'}: its value changes as the program runs that is being built; compute "
                "with functions of nbnet.ops"
            )
        return self.memory().copy()

    @property
    def value(self) -> Tensor:
        """A tensor of the value as it is now, through which gradients flow; in a program, of that of the step."""
        active = recorder()
        return self if active is not None and active.deferred else self.copy()

    def __pos__(self) -> Tensor:
        return self.value

    def assign(self, value: Any) -> Tensor:
        """Overwrite the value in place; the shape must fit. Returns the new value.

        In a layer's call, a value that is computed there is assigned in every step of training, evaluation and
        prediction, and read by what comes after it.
        """
        if (program := changes()) is not None:
            program.assign(self, value)
            return self
        if isinstance(value, Tensor) and value.data is None and _in_program():
            assigned: Tensor = operators["assign"](self, value)
            return assigned
        self.overwrite(value)
        return Tensor(self.shape, self.dtype, self.memory().copy())

    def overwrite(self, value: Any) -> None:
        """:meth:`assign`, without a copy of the value to return."""
        value = plain_array(value, "value")
        if value.dtype.kind not in "fiub":
            raise TypeError(f"value: {self.name or 'the parameter'} holds real numbers, got {value.dtype}")
        if value.shape != self.shape:
            raise ValueError(f"value: {self.name or 'the parameter'} has shape {self.shape}, got {value.shape}")
        self.will_change()
        self.memory()[...] = value

    def assign_add(self, value: Any) -> Tensor:
        """Add to the value in place; a number, or an array that fits the shape. Returns the new value."""
        return self.assign(self + value if _in_program() else self.memory() + plain_array(value, "value"))

    def assign_sub(self, value: Any) -> Tensor:
        """Subtract from the value in place; a number, or an array that fits the shape. Returns the new value."""
        return self.assign(self - value if _in_program() else self.memory() - plain_array(value, "value"))


def _in_program() -> bool:
    """True while a program is built."""
    active = recorder()
    return active is not None and active.deferred


class ParamLayout:
    """Offsets of parameters, of one dtype, one after the other, each at a multiple of 64 bytes."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = list(parameters)
        dtypes = {p.dtype for p in self.parameters}
        if len(dtypes) > 1:
            raise TypeError(f"parameters: a model is trained in one dtype, got {sorted(map(str, dtypes))}")
        self.dtype = dtypes.pop() if dtypes else np.dtype(np.float32)
        self.starts: list[int] = []
        self.size = 0
        for p in self.parameters:
            self.starts.append(self.size)
            self.size += round_up(p.nbytes) // self.dtype.itemsize
        self._gradients: Tensor | None = None

    def gradients(self, slices: int) -> Tensor:
        """Memory for the gradients of each slice, (slices, size); all programs of the model share it."""
        if self._gradients is None or self._gradients.shape[0] < slices:
            self._gradients = self.like(slices, "gradients")
        whole = self._gradients
        return Tensor((slices, self.size), self.dtype, whole.memory()[:slices], name=whole.name)

    def like(self, rows: int, name: str) -> Tensor:
        """Zeros of shape (rows, size): ``rows`` values for each element of a parameter."""
        return Tensor((rows, self.size), self.dtype, aligned(rows * self.size, self.dtype).reshape(rows, -1), name=name)

    def index(self, parameter: Tensor) -> int:
        """Index of a parameter."""
        return next(i for i, p in enumerate(self.parameters) if p is parameter)

    def part(self, whole: Tensor, row: int, index: int) -> Tensor:
        """The part of parameter ``index`` in a row of a tensor made by :meth:`like`."""
        p, start = self.parameters[index], self.starts[index]
        view = whole.memory()[row, start : start + p.size].reshape(p.shape)
        return Tensor(p.shape, self.dtype, view, name=f"{whole.name}/{p.name}")

    def parts(self, whole: Tensor, row: int) -> dict[Tensor, Tensor]:
        """The part of each parameter in a row of a tensor made by :meth:`like`."""
        cells, at = whole.memory()[row], zip(self.parameters, self.starts, strict=True)
        views = [(p, cells[start : start + p.size].reshape(p.shape)) for p, start in at]
        return {p: Tensor(p.shape, self.dtype, view, name=f"{whole.name}/{p.name}") for p, view in views}


class FlatParams(ParamLayout):
    """Parameters, of one dtype, in one block of memory. They are moved: their data become views of ``flat``."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        super().__init__(parameters)
        self.flat = self.like(1, "parameters")
        for p, place in self.parts(self.flat, 0).items():
            place.memory()[...] = p.memory()
            p.data = place.data
        if any(p.linked for p in self.parameters):
            invalidate_programs()

    def holds(self, parameters: Sequence[Parameter]) -> bool:
        """True if these are the block's parameters, and still lie in it."""
        block = None if self.flat.data is None else self.flat.data.base
        return len(parameters) == len(self.parameters) and all(
            p is q and block is not None and q.data is not None and q.data.base is block
            for p, q in zip(parameters, self.parameters, strict=True)
        )
