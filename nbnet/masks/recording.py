"""Masks of the last steps of compiled training, kept in rings that the programs write to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from nbnet.core.graph import Call, Node, Tensor
from nbnet.masks.bits import packed_size, record_call, step_call, unpack

Array = NDArray[Any]


class StepMasks(NamedTuple):
    """The masks of a training step.

    Attributes
    ----------
    step
        Its number, from 0: ``optimizer.iterations`` before it.
    masks
        By name of layer: bool arrays, True = kept; rows are those of the batch, in its order.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.masks import StepMasks
    >>> step, masks = StepMasks(7, {"drop": np.array([[True, False]])})
    >>> step, float(masks["drop"].mean())
    (7, 0.5)
    """

    step: int
    masks: dict[str, Array]


class Ring:
    """The masks of the last steps of one program.

    Parameters
    ----------
    steps
        How many.
    dtype
        Of the program.
    """

    def __init__(self, steps: int, dtype: np.dtype[Any]) -> None:
        self.steps = np.full(steps, -1, np.int64)
        self._dtype = dtype
        self._drawn: set[tuple[str, int]] = set()
        self._lines: dict[str, list[tuple[tuple[int, ...], Array]]] = {}

    def recorded(self, calls: Iterable[Call], nodes: Sequence[Node], slice_: int, rows: int) -> list[Call]:
        """The calls of a slice of so many rows, and behind each that draws a mask one that keeps it."""
        masks = {tensor: node for node in nodes if (tensor := node.mask_tensor) is not None}
        found = [step_call(self.steps, self._dtype)] if slice_ == 0 else []
        for call in calls:
            found.append(call)
            for tensor in call.writes():
                if tensor in masks and not self._has(masks[tensor], rows):
                    found.append(record_call(tensor, self._line(masks[tensor].name, tensor), self._dtype))
        return found

    def _has(self, node: Node, rows: int) -> bool:
        """Whether an earlier part of the batch draws the same mask, and keeps it."""
        drawn = node.name, node.key
        if not _shared(node, rows):
            return False
        known = drawn in self._drawn
        self._drawn.add(drawn)
        return known

    def _line(self, name: str, mask: Tensor) -> Array:
        ring = np.zeros((len(self.steps), packed_size(mask.size)), np.uint8)
        self._lines.setdefault(name, []).append((mask.shape, ring))
        return ring

    def masks(self, slot: int) -> dict[str, Array]:
        """The masks in a line of the ring."""
        return {
            name: np.concatenate([unpack(ring[slot], prod(shape)).reshape(shape) for shape, ring in parts])
            for name, parts in self._lines.items()
        }

    @property
    def nbytes(self) -> int:
        """Bytes of all lines."""
        return sum(ring.nbytes for parts in self._lines.values() for _, ring in parts)


def _shared(node: Node, rows: int) -> bool:
    """Whether the node draws one mask for the whole batch or a group of its rows, in every slice of it the same."""
    mask = node.mask_tensor
    return mask is not None and mask.shape[0] == 1 and (rows > 1 or node.attributes[:1] == (0,))


class Recording:
    """What programs of a training keep: see ``fit(record_masks=k)``.

    Parameters
    ----------
    steps
        How many steps.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._rings: list[Ring] = []

    def ring(self, dtype: np.dtype[Any]) -> Ring:
        """A ring for another program."""
        self._rings.append(Ring(self.steps, dtype))
        return self._rings[-1]

    def masks(self) -> RecordedMasks:
        """What was kept."""
        found = [(int(step), ring, slot) for ring in self._rings for slot, step in enumerate(ring.steps) if step >= 0]
        return RecordedMasks(sorted(found, key=lambda place: place[0])[-self.steps :])


class RecordedMasks(Sequence[StepMasks]):
    """Masks of training steps, the oldest first: a sequence of :class:`StepMasks`.

    They are kept in one bit a unit, and unpacked when one asks for them.

    Parameters
    ----------
    places
        Number of a step, the ring that holds its masks, and the line there.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((3,)), nb.layers.Dropout(0.5, name="drop"), nb.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(np.ones((40, 3)), np.ones(40), batch_size=16, record_masks=2, verbose=0)
    >>> [(step, masks["drop"].shape) for step, masks in history.masks]
    [(1, (16, 3)), (2, (8, 3))]
    """

    def __init__(self, places: Sequence[tuple[int, Ring, int]] = ()) -> None:
        self._places = list(places)

    @property
    def steps(self) -> list[int]:
        """Numbers of the steps."""
        return [step for step, _, _ in self._places]

    @property
    def nbytes(self) -> int:
        """Bytes they are kept in."""
        return sum(ring.nbytes for ring in {id(ring): ring for _, ring, _ in self._places}.values())

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> StepMasks: ...
    @overload
    def __getitem__(self, index: slice) -> RecordedMasks: ...
    def __getitem__(self, index: int | slice) -> StepMasks | RecordedMasks:
        if isinstance(index, slice):
            return RecordedMasks(self._places[index])
        step, ring, slot = self._places[index]
        return StepMasks(step, ring.masks(slot))

    def __repr__(self) -> str:
        between = f", {self.steps[0]} to {self.steps[-1]}" if self._places else ""
        return f"<RecordedMasks of {len(self)} step{'' if len(self) == 1 else 's'}{between}>"
