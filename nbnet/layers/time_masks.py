"""Masks of time steps: how layers hand them from their inputs to their outputs.

A mask of time steps lies beside a tensor, as its ``time_mask``: 1 for the steps of a sequence that count, 0 for
padding. It has the first axes of the tensor. Dropout masks are another thing.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from nbnet.base.tree import flatten, map_structure
from nbnet.engine.graph.tensor import Tensor


@dataclass(frozen=True, slots=True)
class MaskArguments:
    """Where a ``call`` method takes masks: the names of its arguments after self, the position of ``mask`` among them,
    or None; the pairs ``(x, x_mask)`` among them; and True if there is any of these."""

    names: tuple[str, ...]
    at: int | None
    pairs: tuple[tuple[str, str], ...]
    any: bool


@functools.cache
def mask_arguments(call: Callable[..., Any]) -> MaskArguments:
    """Return where a ``call`` method takes masks."""
    names = tuple(inspect.signature(call).parameters)[1:]
    pairs = tuple((name, f"{name}_mask") for name in names if f"{name}_mask" in names)
    at = names.index("mask") if "mask" in names else None
    return MaskArguments(names, at, pairs, at is not None or bool(pairs))


def attached(structure: Any) -> Any:
    """Return the mask of each tensor of a structure, None for one without."""
    return map_structure(lambda leaf: leaf.time_mask if isinstance(leaf, Tensor) else None, structure)


def attach(inputs: Any, masks: Any) -> None:
    """Give tensors masks, in the order of both structures; None changes nothing."""
    if has_mask(masks):
        for x, mask in zip(flatten(inputs), flatten(masks), strict=False):
            if mask is not None and isinstance(x, Tensor):
                x.time_mask = mask


def has_mask(masks: Any) -> bool:
    """True if at least one mask of a structure is there."""
    return any(mask is not None for mask in flatten(masks))


def fill_arguments(
    taken: MaskArguments, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call with the masks of its inputs where the caller gave none.

    As in Keras, ``mask`` is that of the only tensor among the arguments, or a list of those of the tensors in it; if
    there are several such arguments, ``x_mask`` is that of ``x``.
    """
    named = dict(zip(taken.names, args, strict=False)) | kwargs
    inputs = [name for name, value in named.items() if any(isinstance(leaf, Tensor) for leaf in flatten(value))]
    wanted = dict(taken.pairs) if len(inputs) > 1 else {name: "mask" for name in inputs if taken.at is not None}
    found = {
        mask: attached(named[name])
        for name, mask in wanted.items()
        if name in inputs and mask != name and named.get(mask) is None
    }
    if taken.at is not None and taken.at < len(args):
        # Later arguments go by name.
        kwargs = dict(zip(taken.names[taken.at :], args[taken.at :], strict=False)) | kwargs
        args = args[: taken.at]
    return args, kwargs | found


class _Masked(Protocol):
    """A layer as masks see it."""

    name: str
    supports_masking: bool

    def compute_mask(self, inputs: Any, mask: Any) -> Any: ...


def hand_on(layer: _Masked, inputs: Any, outputs: Any, masks: Any) -> None:
    """Give the outputs of a layer the masks that it computes; outputs that have one keep it.

    A layer that does not support masks drops those of its inputs, with a warning.
    """
    tensors = [y for y in flatten(outputs) if isinstance(y, Tensor)]
    if all(y.time_mask is not None for y in tensors):
        return
    if not layer.supports_masking:
        if has_mask(attached(inputs)):
            warnings.warn(
                f"{layer.name} (a {type(layer).__name__}) drops the mask of time steps of its input, as it does not "
                "support masks: later layers and the loss count all steps",
                stacklevel=4,
            )
        return
    for y, mask in zip(tensors, flatten(layer.compute_mask(inputs, masks)), strict=False):
        if y.time_mask is None and mask is not None:
            y.time_mask = mask
