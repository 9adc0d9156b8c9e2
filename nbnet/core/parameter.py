"""Weights, and how programs learn that these have moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nbnet.config import standardize_dtype
from nbnet.core.graph import Tensor, dtype_of

_moves = 0


def moves() -> int:
    """How often programs became outdated in this process: a linked one is valid as long as this stays the same."""
    return _moves


def outdate() -> None:
    """Let every linked program be written anew before it runs again: what its rows say holds no longer."""
    global _moves
    _moves += 1


class Parameter(Tensor):
    """A tensor that is trained: a weight of a layer.

    Parameters
    ----------
    value
        Initial value, copied.
    trainable
        Whether optimizers change it.
    name
        For summaries and errors.
    dtype
        float32 or float64; by default that of an array or tensor, else the framework's default.
    regularizer
        Function of the parameter that gives its penalty, or None; may be assigned.
    constraint
        What optimizers hold it to, or None; may be assigned.

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([1.0, 2.0])
    >>> nb.ops.sum(w * w).backward()
    >>> w.grad.numpy()
    array([2., 4.], dtype=float32)
    """

    __slots__ = ("_constraint", "_regularizer", "linked", "trainable")

    def __init__(
        self,
        value: Any,
        *,
        trainable: bool = True,
        name: str = "",
        dtype: Any = None,
        regularizer: Callable[[Any], Any] | None = None,
        constraint: Callable[[Any], Any] | None = None,
    ) -> None:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"value: a parameter holds real numbers, not {array.dtype}")
        data = np.array(array, standardize_dtype(dtype_of(value) if dtype is None else dtype), order="C")
        super().__init__(data.shape, data.dtype, data, name=name, requires_grad=trainable)
        self.trainable = trainable
        #: Whether there were programs that know where it lies.
        self.linked = False
        self._regularizer, self._constraint = regularizer, constraint

    @property
    def regularizer(self) -> Callable[[Any], Any] | None:
        return self._regularizer

    @regularizer.setter
    def regularizer(self, value: Callable[[Any], Any] | None) -> None:
        self._regularizer = value
        outdate()

    @property
    def constraint(self) -> Callable[[Any], Any] | None:
        return self._constraint

    @constraint.setter
    def constraint(self, value: Callable[[Any], Any] | None) -> None:
        self._constraint = value
        outdate()

    def assign(self, value: Any) -> None:
        """Overwrite the value in place; the shape must fit."""
        value = np.asarray(value)
        if value.dtype.kind not in "fiub":
            raise TypeError(f"value: {self.name or 'the parameter'} holds real numbers, got {value.dtype}")
        if value.shape != self.shape:
            raise ValueError(f"value: {self.name or 'the parameter'} has shape {self.shape}, got {value.shape}")
        self.numpy()[...] = value

    def assign_add(self, value: Any) -> None:
        """Add to the value in place; a number, or an array that fits the shape."""
        self.assign(self.numpy() + np.asarray(value))

    def assign_sub(self, value: Any) -> None:
        """Subtract from the value in place; a number, or an array that fits the shape."""
        self.assign(self.numpy() - np.asarray(value))
