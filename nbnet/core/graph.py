"""Tensors, nodes and calls.

A node applies an op to tensors. A call is what a program consists of: a kernel and the tensors it reads and writes.
Every node is one forward call, and :func:`nbnet.core.differentiation.differentiate` turns a list of nodes into the list
of backward calls. The eager tape runs those calls at once; a program lowers them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.config import FLOAT_DTYPES
from nbnet.core.arithmetic import Arithmetic, operators
from nbnet.core.jit import Kernel
from nbnet.core.op import Op, Shape

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


def dtype_of(value: Any) -> np.dtype[Any] | None:
    """The dtype of an array or tensor of float32 or float64; None for what takes the framework's default."""
    own = isinstance(value, (np.ndarray, np.generic, Tensor)) and value.dtype in FLOAT_DTYPES
    return value.dtype if own else None


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
