"""The record of an op, and the registry of ops for generic tests and tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from nbnet.engine.jit.function import Within
from nbnet.engine.jit.linker import Kernel

Shape = tuple[int, ...]

#: The family of an op; see ``role`` of :class:`Op`.
Role = Literal[
    "elementwise", "product", "reduction", "normalization", "move", "lookup", "pool", "noise", "draw", "loss", "metric",
    "penalty", "other",
]  # fmt: skip


class Spec(NamedTuple):
    """Shape and dtype of a buffer; dtype None means that of the op's first float input."""

    shape: Shape
    dtype: np.dtype[Any] | None = None


BYTE, INT, DOUBLE, BOOL = np.dtype(np.uint8), np.dtype(np.int64), np.dtype(np.float64), np.dtype(np.bool_)


@dataclass(frozen=True, eq=False)
class Op:
    """An operation: two kernels and what they need, by name.

    Parameters
    ----------
    name
        Unique; shown in listings and errors.
    forward
        Kernel. Its operands are ``inputs + outputs + saves``, in that order.
    infer
        ``infer(*input_tensors, **attributes)`` returns a :class:`Spec` for each of ``outputs + saves + work`` and
        raises ValueError for shapes that do not fit. None: one output of the first input's shape.
    inputs, outputs, saves
        Names of operands. Forward writes ``saves`` for backward: a mask, a pre-activation.
    backward
        Kernel, or None if the op has no gradient. It overwrites a gradient or adds to it as the row says
        (``abi.accumulates``), and skips an absent one (``abi.present``).
    gradient
        Operands of backward, in order: names from above, ``"d" + output`` for gradients it reads, ``"d" + input`` for
        gradients it writes, and names from ``work``.
    work
        Scratch of backward.
    reuse
        ``{"y": "x"}``: y may take x's memory if x is no longer needed. The same for ``"dx": "dy"``.
    encode
        ``encode(*input_tensors, **attributes)`` gives the integer attributes of the row.
    integers, booleans
        Names of the inputs that are int64 (labels, numbers of rows), and of those that are bool. All others are of one
        dtype, that of the kernel: floats, or else what ``kinds`` says.
    kinds
        What the forward kernel computes exactly: ``"f"`` floats, ``"i"`` int64, ``"b"`` bool, as bytes 0 and 1. Where
        it has no kind of its own for them, int64 and bool inputs become floats, see
        :func:`nbnet.engine.graph.tensor.apply_many`. By default floats, and for an op that moves values all three.
    mask
        Name of the saved buffer that is a dropout mask.
    noise
        Name of the operand that holds the random numbers, if they are no mask.
    random
        If True, the kernels draw random numbers: a node gets a key.
    whole_batch
        If True, rows of the batch depend on each other: the batch cannot be cut into slices.
    stops_gradient
        If True, no gradient flows through it: that of a step function is zero.
    role
        Family of the op, for tools that treat ops by kind:

        - ``"elementwise"``: each output element depends on one element of each input;
        - ``"product"``: multiplies matrices, the first input, or windows of it, by the second;
        - ``"reduction"``: a sum, mean or maximum over axes;
        - ``"normalization"``: shifts and scales by statistics;
        - ``"move"``: copies elements to other places;
        - ``"lookup"``: copies rows of a table, the first input; the second input holds the row numbers;
        - ``"pool"``: a reduction of windows;
        - ``"noise"``: applies a mask or noise, drawn here or injected;
        - ``"draw"``: draws numbers for the whole batch, whatever they are used for;
        - ``"loss"``, ``"metric"``, ``"penalty"``: used in training and evaluation only;
        - ``"other"``: anything else, such as softmax.
    linear
        If True, the op is linear, or affine, in the first input while the other inputs stay the same.
    moves_values
        If True, each output element is an element of the first input, unchanged: whole numbers stay whole.
    window
        Of an op that pools: ``window(attributes)`` gives the elements of a window, from the integer attributes of the
        row.
    partial
        Names of results, and of gradients, of which a part may stay unwritten: those of packed tensors.
    extents, within
        Sizes of the operands, in the language of :mod:`nbnet.engine.graph.extents`, and a function for what it cannot
        say. They are checked in every program, for both kernels; the gradient of an operand is as large as it.
    outer
        Of an op that multiplies its first input x by its second, w: name of the operand of backward whose product with
        x is the gradient of w, so that it can also be computed elsewhere, a part at a time.

    Examples
    --------
    >>> from nbnet.engine.graph.op import registry
    >>> op = registry["multiply"]
    >>> op.inputs, op.outputs, op.gradient
    (('a', 'b'), ('y',), ('dy', 'da', 'db', 'a', 'b'))
    """

    name: str
    forward: Kernel
    inputs: tuple[str, ...]
    infer: Callable[..., tuple[Spec, ...]] | None = None
    outputs: tuple[str, ...] = ("y",)
    saves: tuple[str, ...] = ()
    backward: Kernel | None = None
    gradient: tuple[str, ...] = ()
    work: tuple[str, ...] = ()
    reuse: Mapping[str, str] = field(default_factory=dict)
    encode: Callable[..., tuple[int, ...]] | None = None
    integers: tuple[str, ...] = ()
    booleans: tuple[str, ...] = ()
    kinds: str = ""
    mask: str | None = None
    noise: str | None = None
    random: bool = False
    whole_batch: bool = False
    stops_gradient: bool = False
    role: Role = "other"
    linear: bool = False
    moves_values: bool = False
    window: Callable[[tuple[int, ...]], int] | None = None
    outer: str | None = None
    partial: tuple[str, ...] = ()
    extents: str = ""
    within: Within | None = None
    operands: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "operands", (*self.inputs, *self.outputs, *self.saves))
        if not self.kinds:
            object.__setattr__(self, "kinds", "fib" if self.moves_values else "f")
        known = {*self.operands, *self.work, *("d" + name for name in (*self.inputs, *self.outputs))}
        if unknown := set(self.gradient) - known:
            raise ValueError(
                f"op {self.name!r}: gradient names {sorted(unknown)}, which are none of its operands {sorted(known)}"
            )
        if (self.backward is None) != (not self.gradient):
            raise ValueError(f"op {self.name!r}: expected both backward and gradient, or neither")

    @property
    def lookup(self) -> bool:
        """True if the first input is a table and the second holds numbers of its rows."""
        return self.role == "lookup"

    @property
    def draws(self) -> bool:
        """True if the op applies random numbers: a mask or noise, drawn here or injected."""
        return self.mask is not None or self.noise is not None


#: Every registered op by name.
registry: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Make an op known by its name; a name is taken once."""
    if op.name in registry:
        raise ValueError(f"an op named {op.name!r} is registered already")
    registry[op.name] = op
    return op
