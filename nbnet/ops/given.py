"""Masks and noise that a tape injects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.core.graph import Tensor
from nbnet.core.op import BYTE, Shape
from nbnet.core.tape import recorder


def given_mask(name: str, shape: Shape, *others: Shape) -> Tensor | None:
    """The mask that the tape holds for a node, broadcast to ``shape``; None if there is none.

    Parameters
    ----------
    name
        Of the node.
    shape
        Of the result, bytes.
    others
        Shapes, broadcast to the first, that it may have as well; an error asks for the last. With fewer rows than the
        first, each stands for a group of neighbours.

    Raises
    ------
    ValueError
        If it has another shape, or holds something else than booleans or whole numbers.
    """
    given = _given(name)
    if given is None:
        return None
    if given.shape not in (shape, *others) or given.dtype.kind not in "bui":
        wanted = (shape, *others)[-1]
        raise ValueError(f"masks[{name!r}]: wants bool of shape {wanted}, got {given.dtype} of shape {given.shape}")
    if given.shape != shape and given.shape[:1] not in ((), (1,)):
        given = np.repeat(given, np.diff(np.arange(len(given) + 1) * shape[0] // len(given)), axis=0)
    kept = np.ascontiguousarray(np.broadcast_to(given != 0, shape).astype(BYTE))
    return Tensor(shape, BYTE, kept, name=f"{name}.mask")


def given_noise(name: str, like: Tensor) -> Tensor | None:
    """The numbers that the tape holds for a node that draws one for each element of ``like``; None if there are none.

    Raises
    ------
    ValueError
        If they have another shape, or are no real numbers.
    """
    given = _given(name)
    if given is None:
        return None
    if given.shape != like.shape or given.dtype.kind not in "fiu":
        raise ValueError(f"masks[{name!r}]: wants numbers of shape {like.shape}, got {given.dtype} of {given.shape}")
    return Tensor(like.shape, like.dtype, np.array(given, like.dtype, order="C"), name=f"{name}.noise")


def _given(name: str) -> NDArray[Any] | None:
    active = recorder()
    return None if active is None else active.given_mask(name)
