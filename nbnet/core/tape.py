"""Applying ops: at once, recorded on a tape, or written down for a program."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet import random
from nbnet.config import FLOAT_DTYPES, standardize_dtype
from nbnet.core.gradients import gradients
from nbnet.core.graph import Call, Node, Tensor, dtype_of, topological
from nbnet.core.jit import Kernel
from nbnet.core.op import INT, Op
from nbnet.core.program import run_call
from nbnet.core.structure import flatten, restructure

Array = NDArray[Any]


class _State(threading.local):
    def __init__(self) -> None:
        self.recorders: list[Recorder] = []
        self.scopes: list[str] = []


_state = _State()


class Recorder:
    """Keeps the nodes of a forward pass in order, with unique names and keys."""

    deferred = False

    def __init__(self, masks: Mapping[str, Any] | None = None) -> None:
        self.nodes: list[Node] = []
        #: Calls that change a parameter on the side: moving averages.
        self.effects: list[Call] = []
        #: Where ops are not run: what layers add to the loss, and whether such losses of parts of a batch, weighted by
        #: their rows, add up to that of the whole.
        self.losses: list[tuple[Tensor, bool]] = []
        self._given = {} if masks is None else dict(masks)
        self._names: dict[str, int] = {}
        self._keys: dict[int, int] = {}

    def __enter__(self) -> Any:
        _state.recorders.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _state.recorders.remove(self)

    def claim(self, name: str) -> str:
        """``name``, or ``name:1``, ``name:2`` ... if it was used before."""
        used = self._names.get(name, 0)
        self._names[name] = used + 1
        return f"{name}:{used}" if used else name

    def occurrence(self, key: int) -> int:
        """The key itself when first used in this pass, then others derived from it: a layer called twice draws anew."""
        used = self._keys.get(key, 0)
        self._keys[key] = used + 1
        return random.derive(key, used) if used else key

    def given_mask(self, name: str) -> Array | None:
        """The mask to use instead of drawing one for the node of this name."""
        return None if name not in self._given else np.asarray(self._given[name])


class Trace(Recorder):
    """Records ops without running them: how a program is written down."""

    deferred = True


class Tape(Recorder):
    """Records ops as they run, for gradients, and for looking at what happened.

    Parameters
    ----------
    masks
        ``{name: array of bool}``: masks to use instead of drawing, by layer name; what ``tape.masks`` of another tape
        returned replays that pass. Layers that draw other numbers than masks take those: see ``tape.noise``. A name
        that no such layer claims is an error when the tape is closed.
    step
        Number of the step whose random numbers to draw; compiled training numbers its steps from 0. By default each
        tape draws numbers that no other used.

    Examples
    --------
    >>> import nbnet as nb
    >>> x = nb.Parameter([1.0, 2.0])
    >>> with nb.Tape() as tape:
    ...     y = nb.ops.sum(x * x)
    >>> tape.gradient(y, x).numpy()
    array([2., 4.], dtype=float32)
    """

    def __init__(self, masks: Mapping[str, Any] | None = None, step: int | None = None) -> None:
        if masks is not None and not isinstance(masks, Mapping):
            raise TypeError(f"masks: wants a dict of arrays by name of layer, got {type(masks).__name__}")
        super().__init__(masks)
        if step is not None and (not isinstance(step, (int, np.integer)) or not 0 <= step < 1 << 63):
            raise ValueError(f"step: got {step!r}, wants an integer from 0 to 2**63 - 1")
        self.step = random.next_draw() if step is None else int(step)

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        unused = set(self._given) - {node.name for node in self.nodes if node.op.mask or node.op.noise}
        if exc[0] is None and unused:
            known = sorted({*self.masks, *self.noise})
            raise ValueError(f"masks: {sorted(unused)} name no dropout that ran on this tape; those that ran: {known}")

    @property
    def masks(self) -> dict[str, Array]:
        """The recorded dropout masks by name of layer (or node): bool arrays, True = kept."""
        return {node.name: mask for node in self.nodes if (mask := node.mask) is not None}

    @property
    def noise(self) -> dict[str, Array]:
        """The recorded random numbers of layers that draw no masks, by name of layer (or node): Gaussian noise, say."""
        return {node.name: noise for node in self.nodes if (noise := node.noise) is not None}

    def gradient(self, target: Tensor, sources: Any) -> Any:
        """Gradients of a target with respect to tensors.

        Parameters
        ----------
        target
            Tensor computed on this tape, or from tensors that were; if it is not a scalar, the gradient is that of its
            sum.
        sources
            A tensor, or a list, tuple or dict of them.

        Returns
        -------
        The same structure; None in place of a source that the target does not depend on.
        """
        wanted = list(flatten(sources))
        for source in wanted:
            if not isinstance(source, Tensor):
                raise TypeError(f"sources: wants tensors, got {type(source).__name__}")
        return restructure(sources, gradients(topological([target]), target, wanted))


def recorder() -> Recorder | None:
    """The innermost recorder at work in this thread."""
    return _state.recorders[-1] if _state.recorders else None


@contextmanager
def paused() -> Iterator[None]:
    """Run ops at once and record nothing, whatever recorder is at work."""
    held, _state.recorders = _state.recorders, []
    try:
        yield
    finally:
        _state.recorders = held


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Ops applied inside are named after a layer."""
    _state.scopes.append(name)
    try:
        yield
    finally:
        _state.scopes.pop()


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
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"value: a tensor holds real numbers, got dtype {array.dtype}")
    data = np.array(array, standardize_dtype(dtype_of(value) if dtype is None else dtype), order="C")
    return Tensor(data.shape, data.dtype, data, name=name)


def tensors(*values: Any) -> tuple[Tensor, ...]:
    """Tensors of one dtype: numbers and lists take that of the tensors beside them."""
    dtype = next((v.dtype for v in values if isinstance(v, Tensor) and v.dtype.kind == "f"), None)
    if dtype is None:
        dtype = next((v.dtype for v in values if isinstance(v, np.ndarray) and v.dtype in FLOAT_DTYPES), None)
    return tuple(tensor(v, dtype) for v in values)


def node_name(default: str) -> str:
    """A unique name for the next node: that of the layer being called, else the op's."""
    base = "/".join(_state.scopes) or default
    active = recorder()
    return active.claim(base) if active is not None else base


def apply(op: Op, *inputs: Tensor, name: str = "", key: int | None = None, **attributes: Any) -> Any:
    """Apply an op to tensors; returns its output, or a tuple of them.

    Parameters
    ----------
    name
        The node's name; by default that of the layer being called, else the op's, made unique.
    key
        For ops that draw: 64-bit key; by default a new one.
    attributes
        For the op's ``infer`` and ``encode``.
    """
    dtypes = {t.dtype for t in inputs}
    dtype = dtypes.pop()
    if dtypes or dtype.kind != "f" or op.integers:
        dtype = _float_dtype(op, inputs)
    specs = op.infer(*inputs, **attributes)
    made = [Tensor(spec.shape, spec.dtype or dtype) for spec in specs]
    outputs, saved = tuple(made[: len(op.outputs)]), tuple(made[len(op.outputs) : len(op.outputs) + len(op.saves)])
    work = tuple((t.shape, t.dtype) for t in made[len(op.outputs) + len(op.saves) :])
    encoded = op.encode(*inputs, **attributes) if op.encode else ()
    active = recorder()
    if not op.random:
        key = 0
    else:
        key = random.next_key() if key is None else key
        key = active.occurrence(key) if active is not None else key
    node = Node(op, inputs, outputs, saved, work, encoded, key, name or node_name(op.name), dtype)
    differentiable = any(t.requires_grad for t in inputs)
    for t in outputs:
        t.requires_grad = differentiable and op.backward is not None
    if active is None or not active.deferred:
        for t in (*outputs, *saved):
            t.data = np.empty(t.shape, t.dtype)
        run_call(node.call(), active.step if isinstance(active, Tape) else random.next_draw() if op.random else 0)
    if active is not None or differentiable:
        for t in outputs:
            t.node = node
    if active is not None:
        active.nodes.append(node)
    return outputs[0] if len(outputs) == 1 else outputs


def _float_dtype(op: Op, inputs: Sequence[Tensor]) -> np.dtype[Any]:
    """The one float dtype of an op's inputs, each of which has to hold what the op wants."""
    found: set[np.dtype[Any]] = set()
    for name, t in zip(op.inputs, inputs, strict=True):
        if name in op.integers:
            if t.dtype != INT:
                raise TypeError(f"{op.name}: wants int64 as {name}, got {t.dtype}")
        elif t.dtype.kind == "f":
            found.add(t.dtype)
        elif name != op.mask:
            raise TypeError(f"{op.name}: wants floats as {name}, got {t.dtype}")
    if len(found) != 1:
        kinds = ", ".join(f"{n} {t.dtype}" for n, t in zip(op.inputs, inputs, strict=True))
        raise TypeError(f"{op.name}: wants inputs of one float dtype, got {kinds}")
    return found.pop()


def effect(kernel: Kernel, target: Tensor, *reads: Tensor, attributes: tuple[int, ...] = ()) -> None:
    """Let a kernel change a parameter on the side, now or in every step of the program that is being written.

    The kernel's operands are the target, which it reads and writes, then what it reads. No gradient flows.
    """
    call = Call(kernel, (target, *reads), (0,), 1, 0, attributes, kernel.name, target.dtype)
    active = recorder()
    if active is None or not active.deferred:
        run_call(call, 0)
    if active is not None:
        active.effects.append(call)
