"""Tensors, nodes and calls.

A node applies an op to tensors. A call is what a program consists of: a kernel and the tensors it reads and writes.
Every node is one forward call, and :func:`nbnet.core.differentiation.differentiate` turns a list of nodes into the list
of backward calls. The eager tape runs those calls at once; a program lowers them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.config import FLOAT_DTYPES, standardize_dtype
from nbnet.core.arithmetic import Arithmetic, operators
from nbnet.core.jit import Kernel
from nbnet.core.op import BYTE, Op, Shape, registry

Array = NDArray[Any]


class Tensor(Arithmetic["Tensor"]):
    """An array in a graph.

    Parameters
    ----------
    shape, dtype
        Known from the start, for every tensor.
    data
        The value; None while a program is being built: the planner will find it a place.
    requires_grad
        Whether gradients flow to it.

    Examples
    --------
    >>> import nbnet as nb
    >>> x = nb.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> (x @ x - 1.0)[0].numpy()
    array([6., 9.], dtype=float32)
    """

    __slots__ = ("__weakref__", "data", "dtype", "grad", "name", "node", "requires_grad", "shape")

    def __init__(
        self, shape: Shape, dtype: Any, data: Array | None = None, *, name: str = "", requires_grad: bool = False
    ) -> None:
        self.shape, self.dtype, self.data, self.name = tuple(shape), np.dtype(dtype), data, name
        self.requires_grad = requires_grad
        self.node: Node | None = None
        self.grad: Tensor | None = None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(prod(self.shape))

    @property
    def nbytes(self) -> int:
        return int(self.size * self.dtype.itemsize)

    @property
    def matrix(self) -> tuple[int, int]:
        """Rows and columns as a kernel sees them: all axes but the last are rows."""
        return (prod(self.shape[:-1]), self.shape[-1]) if self.shape else (1, 1)

    def numpy(self) -> Array:
        """The value as an array (a view where that is possible)."""
        if self.data is None:
            raise ValueError(
                f"tensor {self.name or self.shape!r} has no value: it stands for one in a program that is being built"
            )
        return self.data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def item(self) -> float:
        return self.numpy().item()  # type: ignore[no-any-return]

    def __float__(self) -> float:
        return float(self.item())

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without axes")
        return self.shape[0]

    def __repr__(self) -> str:
        value = "" if self.data is None else f", {np.array2string(self.data, threshold=20, precision=5)}"
        name = f" {self.name!r}" if self.name else ""
        return f"<{type(self).__name__}{name} shape={self.shape} dtype={self.dtype}{value}>"

    def backward(self, gradient: Any = None) -> None:
        """Add the gradient of this tensor to ``.grad`` of every tensor it was computed from and that asks for one."""
        operators["backward"](self, gradient)


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
        if dtype is None and isinstance(value, (np.ndarray, np.generic, Tensor)) and array.dtype in FLOAT_DTYPES:
            dtype = array.dtype
        data = np.array(array, dtype=standardize_dtype(dtype), order="C", copy=True)
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
        operators["outdate"]()

    @property
    def constraint(self) -> Callable[[Any], Any] | None:
        return self._constraint

    @constraint.setter
    def constraint(self, value: Callable[[Any], Any] | None) -> None:
        self._constraint = value
        operators["outdate"]()

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


@dataclass(eq=False, slots=True)
class Node:
    """An op applied to tensors."""

    op: Op
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    saved: tuple[Tensor, ...]
    work: tuple[tuple[Shape, np.dtype[Any]], ...]
    attributes: tuple[int, ...]
    key: int
    name: str
    dtype: np.dtype[Any]

    @property
    def mask(self) -> Array | None:
        """The recorded dropout mask as booleans, True = kept; None for a node that drops nothing."""
        return None if self.mask_tensor is None else self.mask_tensor.numpy().astype(bool)

    @property
    def mask_tensor(self) -> Tensor | None:
        """Where the mask is: bytes, 1 = kept; None for a node that drops nothing."""
        return None if self.op.mask is None else self._operand(self.op.mask)

    @property
    def noise(self) -> Array | None:
        """The recorded random numbers; None for a node that draws none, or a mask."""
        return None if self.op.noise is None else self._operand(self.op.noise).numpy()

    @property
    def multiply_adds(self) -> int:
        """How many there are in its product of matrices, forward; and in the gradient of each of the factors."""
        w = self.inputs[1] if self.op.multiplies else None
        return 0 if w is None else self.outputs[0].size * prod(w.shape[:-1])

    def _operand(self, name: str) -> Tensor:
        names = (*self.op.inputs, *self.op.outputs, *self.op.saves)
        return (*self.inputs, *self.outputs, *self.saved)[names.index(name)]

    @property
    def scale(self) -> float | None:
        """What kept units were multiplied by, ``1 / (1 - rate)``; None for a node that drops nothing, or that scales in
        another way."""
        if self.op.mask is None or "rate" not in self.op.inputs:
            return None
        rate = self.inputs[self.op.inputs.index("rate")].item()
        return 1.0 / (1.0 - rate) if rate < 1 else 0.0

    def call(self) -> Call:
        """The forward call."""
        operands = (*self.inputs, *self.outputs, *self.saved)
        written = tuple(range(len(self.inputs), len(operands)))
        names = (*self.op.inputs, *self.op.outputs, *self.op.saves)
        reuse = tuple((names.index(a), names.index(b)) for a, b in self.op.reuse.items() if a in names and b in names)
        return Call(
            self.op.forward, operands, written, 0, self.key, self.attributes, self.name, self.dtype, reuse,
            multiply_adds=self.multiply_adds,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<Node {self.name} = {self.op.name}({', '.join(str(t.shape) for t in self.inputs)})>"


@dataclass(frozen=True, eq=False, slots=True)
class Call:
    """One instruction before it has a place: a kernel and its operands.

    ``accumulate`` is a bit field over operands; ``reuse`` lists pairs (written operand, read operand) that may share
    memory. With ``every`` = n the call is made in the last of every n steps. ``first_row`` is the number in the slice
    of the first row it sees. ``multiply_adds`` is how many there are in its matrix products.
    """

    kernel: Kernel
    operands: tuple[Tensor | None, ...]
    written: tuple[int, ...]
    accumulate: int
    key: int
    attributes: tuple[int, ...]
    name: str
    dtype: np.dtype[Any]
    reuse: tuple[tuple[int, int], ...] = ()
    every: int = 1
    first_row: int = 0
    multiply_adds: int = 0

    def reads(self) -> Iterable[Tensor]:
        """Operands whose value matters to the kernel."""
        for k, tensor in enumerate(self.operands):
            if tensor is not None and (k not in self.written or self.accumulate >> k & 1):
                yield tensor

    def writes(self) -> Iterable[Tensor]:
        for k in self.written:
            tensor = self.operands[k]
            if tensor is not None:
                yield tensor


def topological(targets: Sequence[Tensor]) -> list[Node]:
    """The nodes that the targets were computed by, each after those it depends on."""
    order: list[Node] = []
    seen: set[int] = set()
    stack = [(t.node, False) for t in reversed(targets) if t.node is not None]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((t.node, False) for t in reversed(node.inputs) if t.node is not None)
    return order


__all__ = ["BYTE", "Call", "Node", "Parameter", "Tensor", "operators", "registry", "topological"]
