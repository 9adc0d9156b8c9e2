"""Tensors, the ops applied to them, the nodes of a graph, and calls: instructions without a place in memory yet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.loading_budget import LARGE, check_memory
from nbnet.base.seeds import CountedKey, derive, next_draw, next_key
from nbnet.config import FLOAT_DTYPES, standardize_dtype
from nbnet.engine.graph.arithmetic import Concrete, operators
from nbnet.engine.graph.op import BOOL, INT, Op, Shape, Spec
from nbnet.engine.jit.function import CHECKED
from nbnet.engine.jit.linker import Kernel, link
from nbnet.engine.kernels.executor import empty, run_row
from nbnet.engine.kernels.layout import ACCUMULATE, ATTRIBUTES, EVERY, FIRST_ROW, KERNEL, OPERANDS, SEED, WIDTH

if CHECKED:
    from nbnet.engine.kernels.checked import describe

Array = NDArray[Any]
Rows = NDArray[np.int64]


class Tensor(Concrete["Tensor"]):
    """An array in a graph.

    Parameters
    ----------
    shape, dtype
        Of the value.
    data
        The value; None while a program is being built: the planner finds a place for it.
    requires_grad
        If True, gradients flow to it.

    Attributes
    ----------
    size, nbytes
        Number of elements, and of bytes.
    matrix
        Rows and columns as a kernel sees them: all axes but the last are rows.
    time_mask : Tensor or None
        The mask of time steps that layers hand on with it: 1 for steps that count, 0 for padding. Keras's name for it,
        ``_keras_mask``, works as well.

    Examples
    --------
    >>> import nbnet as nb
    >>> x = nb.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> (x @ x - 1.0)[0].numpy()
    array([6., 9.], dtype=float32)
    """

    __slots__ = (
        "__weakref__", "data", "dtype", "grad", "matrix", "name", "nbytes", "node", "requires_grad", "shape", "size",
        "time_mask",
    )  # fmt: skip

    #: True for parameters, which have versions.
    changes_in_place = False

    def __init__(
        self, shape: Shape, dtype: Any, data: Array | None = None, *, name: str = "", requires_grad: bool = False
    ) -> None:
        self.shape, self.dtype, self.data, self.name = tuple(shape), np.dtype(dtype), data, name
        # Derived, but stored: lowering, verifying and encoding a program read them again and again.
        rows, columns = (prod(self.shape[:-1]), self.shape[-1]) if self.shape else (1, 1)
        self.matrix, self.size = (rows, columns), rows * columns
        self.nbytes = self.size * self.dtype.itemsize
        self.requires_grad = requires_grad
        self.node: Node | None = None
        self.grad: Tensor | None = None
        self.time_mask: Tensor | None = None

    @property
    def _keras_mask(self) -> Tensor | None:
        return self.time_mask

    @_keras_mask.setter
    def _keras_mask(self, mask: Tensor | None) -> None:
        self.time_mask = mask

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def memory(self) -> Array:
        """The array that holds the value, not a copy: for kernels and for code that changes it in place."""
        if self.data is None:
            raise ValueError(
                f"tensor {self.name or self.shape!r} has no value: it belongs to a program that is being built; "
                "compute with functions of nbnet.ops, or return it and read it afterwards"
            )
        return self.data

    def numpy(self) -> Array:
        """The value as an array: that of a weight is a copy."""
        return self.memory()

    def note_read(self) -> int:
        """Note that a node has read the value, and return its version."""
        raise NotImplementedError

    def as_read(self, version: int) -> Tensor:
        """The value of a version."""
        raise NotImplementedError

    def __bool__(self) -> bool:
        if self.data is None:
            raise TypeError(
                f"tensor {self.name or self.shape!r} is neither true nor false, it belongs to a program that is being "
                "built: use nbnet.ops.where instead of if"
            )
        return super().__bool__()

    def __repr__(self) -> str:
        value = "" if self.data is None else f", {np.array2string(self.data, threshold=20, precision=5)}"
        name = f" {self.name!r}" if self.name else ""
        return f"<{type(self).__name__}{name} shape={self.shape} dtype={self.dtype}{value}>"

    def backward(self, gradient: Any = None) -> None:
        """Add the gradient of this tensor to ``.grad`` of every tensor that it was computed from and that requires one.

        Parameters
        ----------
        gradient
            Gradient of this tensor itself; by default ones.
        """
        operators["backward"](self, gradient)


def real_array(value: Any, holder: str, dtype: Any = None, name: str = "value") -> Array:
    """A copy of real numbers in ``dtype``: by default that of an array or tensor of floats, else the framework's."""
    # Most values are numbers, or own their memory.
    plain = value.base is None if type(value) is np.ndarray else isinstance(value, (float, int, np.generic))
    array = np.asarray(value) if plain else plain_array(value, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: {holder} holds real numbers, got dtype {array.dtype}")
    dtype = dtype_of(value) if dtype is None else dtype
    known = isinstance(dtype, np.dtype) and dtype in FLOAT_DTYPES
    return np.array(array, dtype if known else standardize_dtype(dtype), order="C")


def dtype_of(value: Any) -> np.dtype[Any] | None:
    """The dtype of an array or tensor of float32 or float64; None for any other value."""
    own = isinstance(value, (np.ndarray, np.generic, Tensor)) and value.dtype in FLOAT_DTYPES
    return value.dtype if own else None


@dataclass(eq=False, slots=True)
class Node:
    """An op applied to tensors.

    ``injected`` is True if the op's mask or noise was handed in: the forward kernel reads it instead of drawing it.
    """

    op: Op
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    saved: tuple[Tensor, ...]
    work: tuple[tuple[Shape, np.dtype[Any]], ...]
    attributes: tuple[int, ...]
    key: int
    name: str
    dtype: np.dtype[Any]
    injected: bool = False
    #: The inputs that change in place, by number, and the version of each that was read.
    versions: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(
        cls, op: Op, inputs: tuple[Tensor, ...], specs: Sequence[Spec], attributes: tuple[int, ...], key: int,
        name: str, dtype: np.dtype[Any], injected: Tensor | None = None
    ) -> Self:  # fmt: skip
        """A node with new tensors, without data, for the outputs of the op and for the buffers it saves.

        ``specs`` and ``attributes`` are from the op's ``infer`` and ``encode``; ``injected`` is the mask or noise to
        apply instead of drawing it.
        """
        buffers = [Tensor(spec.shape, spec.dtype or dtype) for spec in specs]
        first, last = len(op.outputs), len(op.outputs) + len(op.saves)
        outputs, saved = tuple(buffers[:first]), tuple(buffers[first:last])
        if injected is not None:
            saved = tuple(injected if s in (op.mask, op.noise) else t for s, t in zip(op.saves, saved, strict=True))
        work = tuple((t.shape, t.dtype) for t in buffers[last:])
        if op.backward is not None and any(t.requires_grad for t in inputs):
            for t in outputs:
                t.requires_grad = t.dtype.kind == "f"
        return cls(op, inputs, outputs, saved, work, attributes, key, name, dtype, injected is not None)

    def settle(self) -> None:
        """Move parameters to where the program has them, if the node does."""

    def run(self, step: int) -> None:
        """Run the op eagerly, in new memory."""
        run_call(self.call(), step)

    @property
    def mask(self) -> Array | None:
        """The recorded dropout mask as booleans, True = kept; None for a node that drops nothing."""
        return None if self.mask_tensor is None else self.mask_tensor.numpy().astype(bool)

    @property
    def mask_tensor(self) -> Tensor | None:
        """The tensor of the mask: bytes, 1 = kept; None for a node that drops nothing."""
        return None if self.op.mask is None else self._operand(self.op.mask)

    @property
    def noise(self) -> Array | None:
        """The recorded random numbers; None for a node that draws none, or a mask."""
        return None if self.op.noise is None else self._operand(self.op.noise).numpy()

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of its matrix product, forward; and of the gradient of each of the factors."""
        return self.outputs[0].size * self.inputs[1].matrix[0] if self.op.role == "product" else 0

    @property
    def pooled(self) -> int:
        """Elements of all windows of an op that pools, forward or backward; 0 for any other."""
        return 0 if self.op.window is None else self.outputs[0].size * self.op.window(self.attributes)

    @property
    def operands(self) -> tuple[Tensor, ...]:
        """The operands of the forward kernel; their names are ``op.operands``."""
        return (*self.inputs, *self.outputs, *self.saved)

    def _operand(self, name: str) -> Tensor:
        return self.operands[self.op.operands.index(name)]

    @property
    def scale(self) -> float | None:
        """The factor of kept units, ``1 / (1 - rate)``; None for a node that drops nothing, or that scales in another
        way."""
        if self.op.mask is None or "rate" not in self.op.inputs:
            return None
        rate = self.inputs[self.op.inputs.index("rate")].item()
        return 1.0 / (1.0 - rate) if rate < 1 else 0.0

    def call(self) -> Call:
        """The forward call."""
        operands, names = self.operands, self.op.operands
        # An injected mask is read, not written; its bit of ``accumulate`` tells the kernel.
        injected = names.index(self.op.mask or self.op.noise or "") if self.injected else -1
        written = tuple(k for k in range(len(self.inputs), len(operands)) if k != injected)
        accumulate = 1 << injected if self.injected else 0
        reuse = tuple((names.index(a), names.index(b)) for a, b in self.op.reuse.items() if a in names and b in names)
        return Call(
            self.op.forward, operands, written, accumulate, self.key, self.attributes, self.name, self.dtype, reuse,
            multiply_adds=self.multiply_adds, pooled=self.pooled, op=self.op,
        )  # fmt: skip

    def backward_calls(
        self, gradients: dict[Tensor, Tensor], wanted: Set[int], given: Mapping[Tensor, Tensor],
        outer: MutableMapping[Tensor, Tensor | None]
    ) -> list[Call]:  # fmt: skip
        """The backward calls; enters the gradients of inputs. See :func:`nbnet.engine.graph.autodiff.differentiate`.

        A tensor that is several inputs of a node gets its gradient from as many calls, so that the order in which a
        kernel writes does not matter. ``wanted`` has the ``id`` of the tensors whose gradients are needed.
        """
        op = self.op
        if op.backward is None:
            raise TypeError(f"op {op.name!r} has no gradient, but node {self.name!r} needs one")
        operands = self._backward_operands(gradients)
        # Gradients that each call writes, by name.
        turns: list[dict[str, Tensor]] = []
        fresh: set[str] = set()
        for name, tensor in zip(op.inputs, self.inputs, strict=True):
            if tensor in outer:
                assert op.outer is not None
                outer[tensor] = operands[op.outer]
                if not turns and op.outer in op.work:
                    turns.append({})
            elif id(tensor) in wanted and "d" + name in op.gradient:
                if tensor not in gradients:
                    place = given.get(tensor)
                    gradients[tensor] = Tensor(tensor.shape, tensor.dtype) if place is None else place
                    fresh.add("d" + name)
                turn = next((turn for turn in turns if all(gradients[tensor] is not t for t in turn.values())), None)
                if turn is None:
                    turns.append(turn := {})
                turn["d" + name] = gradients[tensor]
        out = {"d" + name for name in op.inputs}
        at = {name: k for k, name in enumerate(op.gradient)}
        written = tuple(k for name, k in at.items() if name in out or name in op.work)
        reuse = tuple((at[a], at[b]) for a, b in op.reuse.items() if a in at and b in at)
        calls = []
        for turn in turns:
            named = tuple((operands | turn).get(name) for name in op.gradient)
            accumulate = sum(1 << at[name] for name in turn if name not in fresh)
            products = sum("d" + name in turn for name in op.inputs[:2])
            calls.append(Call(
                op.backward, named, written, accumulate, self.key, self.attributes, self.name, self.dtype, reuse,
                multiply_adds=products * self.multiply_adds, pooled=self.pooled, op=op,
            ))  # fmt: skip
        return calls

    def _backward_operands(self, gradients: dict[Tensor, Tensor]) -> dict[str, Tensor]:
        """Operands of the backward kernel by name; the gradient of an output that no node reads is zero."""
        op = self.op
        operands = dict(zip(op.operands, self.operands, strict=True))
        operands |= {name: Tensor(shape, dtype) for name, (shape, dtype) in zip(op.work, self.work, strict=True)}
        for name, tensor in zip(op.outputs, self.outputs, strict=True):
            if tensor not in gradients:
                gradients[tensor] = Tensor(tensor.shape, tensor.dtype, np.zeros(tensor.shape, tensor.dtype))
            operands["d" + name] = gradients[tensor]
        return operands

    def __repr__(self) -> str:
        return f"<Node {self.name} = {self.op.name}({', '.join(str(t.shape) for t in self.inputs)})>"


@dataclass(frozen=True, eq=False, slots=True)
class Call:
    """One instruction before it has a place: a kernel and its operands.

    ``accumulate`` is a bit field over operands; ``reuse`` lists pairs (written operand, read operand) that may share
    memory. With ``every`` = n the call is made in the last of every n steps. ``first_row`` is the number in the slice
    of the first row it sees. ``multiply_adds`` is how many there are in its matrix products, ``pooled`` the number of
    elements in windows that it pools; ``op`` is the op whose kernel it is, if it is one's.
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
    pooled: int = 0
    op: Op | None = None

    def reads(self) -> Iterable[Tensor]:
        """Operands whose value the kernel uses."""
        for k, tensor in enumerate(self.operands):
            if tensor is not None and (k not in self.written or self.accumulate >> k & 1):
                yield tensor

    def writes(self) -> Iterable[Tensor]:
        """Operands that the kernel overwrites or adds to."""
        for k in self.written:
            tensor = self.operands[k]
            if tensor is not None:
                yield tensor


def encode(row: Rows, call: Call, first_row: int = 0, mem: int = 0, places: Mapping[Tensor, int] | None = None) -> None:
    """Fill an instruction row, but for the address of its kernel.

    ``first_row`` is the number in the batch of the first row that the call sees. Offsets count from the address
    ``mem``; ``places`` has those of tensors without data.
    """
    row[SEED] = call.key - (1 << 64) if call.key >= 1 << 63 else call.key
    row[ACCUMULATE] = call.accumulate
    row[FIRST_ROW] = first_row
    row[EVERY] = call.every
    for k, tensor in enumerate(call.operands):
        if tensor is not None:
            if tensor.data is None and places:
                offset = places[tensor]
            else:
                data = tensor.memory()
                if data.nbytes != tensor.nbytes:
                    raise ValueError(
                        f"{call.name}: the data of {tensor.name or 'a tensor'} are {data.dtype} of shape {data.shape}, "
                        f"its own are {tensor.dtype} and {tensor.shape}"
                    )
                offset = data.__array_interface__["data"][0] - mem
            at = OPERANDS + 3 * k
            row[at] = offset
            row[at + 1], row[at + 2] = tensor.matrix
    row[ATTRIBUTES : ATTRIBUTES + len(call.attributes)] = call.attributes
    if CHECKED:
        describe(row, call)


def row_of(call: Call) -> Rows:
    """The linked row of a call whose operands all have data, which the caller keeps alive."""
    row = np.zeros(WIDTH, np.int64)
    encode(row, call)
    row[KERNEL] = link([call.kernel], call.dtype)[0]
    return row


def run_call(call: Call, step: int) -> None:
    """Run one call eagerly; operands that it writes get memory if they have none."""
    for t in call.writes():
        if t.data is None:
            if t.nbytes >= LARGE:
                check_memory(t.nbytes, f"{call.name}, with an array of shape {t.shape},")
            t.data = empty(t.shape, t.dtype)
    run_row(call.dtype, row_of(call), step)


def topological(targets: Sequence[Tensor]) -> list[Node]:
    """The nodes that computed the targets, each after those it depends on."""
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


class _State(threading.local):
    def __init__(self) -> None:
        self.recorders: list[Recorder] = []
        self.scopes: list[str] = []
        #: Values of the symbols of models that are being computed, by ``id``, the innermost last.
        self.evaluating: list[dict[int, Any]] = []
        #: The floats of the layer that is being called.
        self.dtype: np.dtype[Any] | None = None


thread_state = _State()


class Changes(Protocol):
    """Records gradients, and what changes weights and metrics, as parts of a program."""

    def gradient(self, target: Tensor, sources: Sequence[Tensor]) -> list[Tensor | None]: ...
    def update(self, optimizer: Any, gradients: Sequence[Any], parameters: Sequence[Any]) -> None: ...
    def assign(self, target: Any, value: Any) -> None: ...
    def update_mean(self, metric: Any, values: Tensor, sample_weight: Any) -> None: ...
    def late(self, value: Callable[[], Any]) -> Any: ...


class Recorder:
    """Keeps the nodes of a forward pass in order, with unique names and keys."""

    deferred = False
    #: Records what changes weights and metrics, where that is a part of the program.
    changes: Changes | None = None
    #: True while a program is built that trains or evaluates.
    trains = False
    #: Number of the training step whose random numbers ops draw.
    step = 0
    #: True if keys count their draws on this recorder instead.
    counts = False

    def __init__(self, dtype: np.dtype[Any] | None = None, masks: Mapping[str, Any] | None = None) -> None:
        #: The floats that integers become where no floats stand beside them; None for the framework's default.
        self.dtype = dtype
        self.nodes: list[Node] = []
        #: Calls that change a parameter on the side: moving averages.
        self.effects: list[Call] = []
        #: Calls that assign parameters at the end of a step, and by ``id`` of the parameter what they assign.
        self.assignments: list[Call] = []
        self.assigned: dict[int, Tensor] = {}
        #: In a trace: losses that layers add, each with True if those of parts of a batch, weighted by their rows, add
        #: up to that of the whole batch.
        self.losses: list[tuple[Tensor, bool]] = []
        #: Values of the symbols of each model that was computed, by ``id``, under those of its inputs.
        self.evaluated: dict[tuple[int, ...], dict[int, Any]] = {}
        self._given = {} if masks is None else dict(masks)
        self._names: dict[str, int] = {}
        self._keys: dict[int, int] = {}

    def __enter__(self) -> Self:
        if self.deferred:
            self._around = thread_state.recorders, thread_state.scopes, thread_state.evaluating
            thread_state.recorders, thread_state.scopes, thread_state.evaluating = [self], [], []
        else:
            thread_state.recorders.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        if self.deferred:
            thread_state.recorders, thread_state.scopes, thread_state.evaluating = self._around
        else:
            thread_state.recorders.remove(self)

    def claim(self, name: str) -> str:
        """``name``, or ``name:1``, ``name:2`` ... if it was used before."""
        used = self._names.get(name, 0)
        self._names[name] = used + 1
        return f"{name}:{used}" if used else name

    def occurrence(self, key: int) -> int:
        """The key itself at its first use in this pass, then keys derived from it, for a layer that is called again."""
        used = self._keys.get(key, 0)
        self._keys[key] = used + 1
        return derive(key, used) if used else key

    def forget_draws(self) -> None:
        """Have each key draw as at its first use."""
        self._keys.clear()

    def given_mask(self, name: str) -> Array | None:
        """The mask to use for the node of this name, instead of drawing one; None if there is none."""
        return None if name not in self._given else plain_array(self._given[name], f"masks[{name!r}]")


def recorder() -> Recorder | None:
    """The innermost active recorder of this thread."""
    return thread_state.recorders[-1] if thread_state.recorders else None


def changes() -> Changes | None:
    """The recorder of changes of weights and metrics: the innermost one, if it records them."""
    return thread_state.recorders[-1].changes if thread_state.recorders else None


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Ops applied inside are named after a layer."""
    thread_state.scopes.append(name)
    try:
        yield
    finally:
        thread_state.scopes.pop()


def tensor(value: Any, dtype: Any = None, name: str = "") -> Tensor:
    """A tensor that holds a value: an array, a list, a number or a tensor.

    Integers and booleans become floats of the framework's default dtype (labels and indices have functions of their
    own).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.tensor([1, 2])
    <Tensor shape=(2,) dtype=float32, [1. 2.]>
    """
    if isinstance(value, Tensor):
        return value
    data = real_array(value, "a tensor", dtype, name or "value")
    return Tensor(data.shape, data.dtype, data, name=name)


def exact_tensor(value: Any, name: str = "value") -> Tensor:
    """A tensor that holds a value as it is: integers are int64 and booleans bool, all else becomes floats.

    Examples
    --------
    >>> from nbnet.engine.graph.tensor import exact_tensor
    >>> exact_tensor([1, 2])
    <Tensor shape=(2,) dtype=int64, [1 2]>
    """
    if isinstance(value, Tensor):
        return value
    array = plain_array(value, name)
    if array.dtype.kind not in "iub" or (array.size == 0 and isinstance(value, (list, tuple))):
        data = real_array(value, "a tensor", dtype_of(value) or default_float(), name)
        return Tensor(data.shape, data.dtype, data)
    if array.dtype == np.uint64 and array.max(initial=0) >= 1 << 63:
        raise ValueError(f"{name}: expected integers of at most 63 bits, got {array.max()}")
    data = np.array(array, BOOL if array.dtype.kind == "b" else INT, order="C")
    return Tensor(data.shape, data.dtype, data)


def tensors(*values: Any) -> tuple[Tensor, ...]:
    """Tensors for the operands of one op: numbers and lists take the dtype of the floats beside them; beside tensors of
    integers or booleans, they stay what they are."""
    dtype = next((v.dtype for v in values if isinstance(v, Tensor) and v.dtype.kind == "f"), None)
    if dtype is None:
        dtype = next((v.dtype for v in values if isinstance(v, np.ndarray) and v.dtype in FLOAT_DTYPES), None)
        if dtype is None and any(isinstance(v, Tensor) for v in values):
            return tuple(exact_tensor(v) for v in values)
    return tuple(tensor(v, dtype) for v in values)


def node_name(default: str) -> str:
    """A unique name for the next node: that of the layer being called, else that of the op."""
    base = "/".join(thread_state.scopes) or default
    active = recorder()
    return active.claim(base) if active is not None else base


def apply(
    op: Op, *inputs: Tensor, name: str = "", key: int | None = None, injected: Tensor | None = None, **attributes: Any
) -> Tensor:
    """Apply an op of one output to tensors; see :func:`apply_many`."""
    (output,) = apply_many(op, *inputs, name=name, key=key, injected=injected, **attributes)
    return output


def apply_many(
    op: Op, *inputs: Tensor, name: str = "", key: int | None = None, injected: Tensor | None = None, **attributes: Any
) -> tuple[Tensor, ...]:
    """Apply an op to tensors and return its outputs.

    Inputs of int64 or bool stay what they are if the op has a kernel for them (see ``kinds`` of
    :class:`nbnet.engine.graph.op.Op`). Otherwise they become floats: of the dtype of the floats beside them, else of
    the model's or the framework's default dtype; booleans beside integers become integers.

    Parameters
    ----------
    name
        The node's name; by default that of the layer being called, else the op's, made unique.
    key
        For ops that draw: 64-bit key; by default a new one. One that counts draws for its next step, unless a recorder
        says for which.
    injected
        For ops that draw: the mask or noise to apply instead of drawing it.
    attributes
        For the op's ``infer`` and ``encode``.
    """
    active = recorder()
    if active is not None and active.assigned:
        inputs = tuple(active.assigned.get(id(t), t) for t in inputs)
    dtypes = {t.dtype for t in inputs}
    dtype = dtypes.pop()
    if dtypes or dtype.kind != "f" or op.integers or op.booleans:
        inputs, dtype = _promoted(op, inputs, attributes)
    specs = (Spec(inputs[0].shape),) if op.infer is None else op.infer(*inputs, **attributes)
    encoded = op.encode(*inputs, **attributes) if op.encode else ()
    step = active.step if active is not None else 0
    if not op.random or injected is not None:
        key = 0
    elif isinstance(key, CountedKey) and (active is None or active.counts):
        step, key = key.next_step(), int(key)
    elif active is None:
        step, key = next_draw(), next_key() if key is None else key
    else:
        key = active.occurrence(next_key() if key is None else int(key))
    node = Node.of(op, inputs, specs, encoded, key, name or node_name(op.name), dtype, injected)
    eager = active is None or not active.deferred
    if eager:
        node.run(step)
    if active is not None or any(t.requires_grad for t in inputs):
        for t in node.outputs:
            t.node = node
        if eager:
            node.versions = tuple([(k, t.note_read()) for k, t in enumerate(inputs) if t.changes_in_place])
    if active is not None:
        active.nodes.append(node)
    return node.outputs


def default_float() -> np.dtype[Any]:
    """The floats that integers become by default: those of the layer that is called or the model that is traced, else
    of the framework."""
    active = recorder()
    dtype = thread_state.dtype or (active.dtype if active is not None else None)
    return standardize_dtype(None) if dtype is None else dtype


def _promoted(op: Op, inputs: tuple[Tensor, ...], attributes: Mapping[str, Any]) -> tuple[tuple[Tensor, ...], Any]:
    """The inputs in dtypes that a kernel of the op reads, and the dtype that this kernel is compiled for."""
    own: list[int] = []
    for k, (name, t) in enumerate(zip(op.inputs, inputs, strict=True)):
        if name in op.integers or name in op.booleans:
            expected = INT if name in op.integers else BOOL
            if t.dtype != expected:
                raise TypeError(f"{op.name}: expected {expected} as {name}, got {t.dtype}")
        elif t.dtype.kind == "f" or t.dtype in (INT, BOOL):
            own.append(k)
        else:
            raise TypeError(f"{op.name}: expected numbers as {name}, got {t.dtype}")
    found = {inputs[k].dtype for k in own}
    floats = [dtype for dtype in found if dtype.kind == "f"]
    if len(floats) > 1:
        kinds = ", ".join(f"{n} {t.dtype}" for n, t in zip(op.inputs, inputs, strict=True))
        raise TypeError(f"{op.name}: expected inputs of one float dtype, got {kinds}")
    if not found:
        return inputs, attributes["dtype"]
    if floats:
        dtype = floats[0]
    elif found == {BOOL} and "b" in op.kinds:
        dtype = BOOL
    else:
        dtype = INT if "i" in op.kinds else default_float()
    if found != {dtype}:
        converted = {k: operators["converted"](inputs[k], dtype) for k in own}
        inputs = tuple(converted.get(k, t) for k, t in enumerate(inputs))
    return inputs, dtype
