"""The record of an op, and the registry that generic tests and generic tools walk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nbnet.core.jit import Kernel

if TYPE_CHECKING:
    from nbnet.core.graph import Tensor

Shape = tuple[int, ...]


class Spec(NamedTuple):
    """Shape and dtype of a buffer; dtype None means that of the op's first float input."""

    shape: Shape
    dtype: np.dtype[Any] | None = None


BYTE, INT, DOUBLE = np.dtype(np.uint8), np.dtype(np.int64), np.dtype(np.float64)


def like_first(x: Tensor, *others: Tensor, **attributes: Any) -> tuple[Spec, ...]:
    """The inference of an op whose one buffer has the shape of its first input."""
    return (Spec(x.shape),)


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
        raises ValueError for shapes that do not fit.
    inputs, outputs, saves
        Names of operands. What is saved is written by forward for backward: a mask, a pre-activation.
    backward
        Kernel, or None if the op has no gradient. It overwrites a gradient or adds to it as the row says
        (:func:`nbnet.core.abi.accumulates`), and skips an absent one (:func:`nbnet.core.abi.present`).
    gradient
        Operands of backward, in order: names from above, ``"d" + output`` for what comes in, ``"d" + input`` for what
        goes out, and names from ``work``.
    work
        Scratch of backward.
    reuse
        ``{"y": "x"}``: y may take x's memory if nobody needs x any more. The same for ``"dx": "dy"``.
    encode
        ``encode(*input_tensors, **attributes)`` gives the integer attributes of the row.
    integers
        Names of the inputs that are int64: labels, numbers of rows. All others are floats, but for a mask.
    mask
        Name of the saved buffer that is a dropout mask.
    noise
        Name of the operand that holds what was drawn, where that is no mask.
    random
        The kernels draw random numbers: a node gets a key.
    whole_batch
        Rows of the batch depend on each other: the batch cannot be cut into slices.
    stops_gradient
        No gradient flows through it: that of a step function is zero.
    multiplies
        Multiplies matrices: the first input, or windows of it, by the second.
    outer
        Of an op that multiplies its first input x by its second, w: the operand of backward whose product with x is the
        gradient of w, so that it can also be computed elsewhere, a part at a time.

    Examples
    --------
    >>> from nbnet.core.op import registry
    >>> op = registry["multiply"]
    >>> op.inputs, op.outputs, op.gradient
    (('a', 'b'), ('y',), ('dy', 'da', 'db', 'a', 'b'))
    """

    name: str
    forward: Kernel
    inputs: tuple[str, ...]
    infer: Callable[..., tuple[Spec, ...]] = like_first
    outputs: tuple[str, ...] = ("y",)
    saves: tuple[str, ...] = ()
    backward: Kernel | None = None
    gradient: tuple[str, ...] = ()
    work: tuple[str, ...] = ()
    reuse: Mapping[str, str] = field(default_factory=dict)
    encode: Callable[..., tuple[int, ...]] | None = None
    integers: tuple[str, ...] = ()
    mask: str | None = None
    noise: str | None = None
    random: bool = False
    whole_batch: bool = False
    stops_gradient: bool = False
    multiplies: bool = False
    outer: str | None = None

    def __post_init__(self) -> None:
        known = {*self.inputs, *self.outputs, *self.saves, *self.work}
        known |= {"d" + name for name in (*self.inputs, *self.outputs)}
        if unknown := set(self.gradient) - known:
            raise ValueError(
                f"op {self.name!r}: gradient names {sorted(unknown)}, which are none of its operands {sorted(known)}"
            )
        if (self.backward is None) != (not self.gradient):
            raise ValueError(f"op {self.name!r}: backward and gradient go together")


#: Every registered op by name.
registry: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Make an op known by its name; a name is taken once."""
    if op.name in registry:
        raise ValueError(f"an op named {op.name!r} is registered already")
    registry[op.name] = op
    return op
