"""Recording of dropout masks: programs write the masks of the last k training steps into ring buffers, one bit per
unit.

512 elements of a mask become 64 bytes: element ``64 b + i`` is bit b of byte i. So the kernel reads eight lines of
bytes side by side, which fills the vector registers, where eight neighbours in one byte would not. The rest at the end
becomes a shorter block of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from nbnet.engine.graph.op import BYTE
from nbnet.engine.graph.tensor import Call, Node, Tensor
from nbnet.engine.kernels.abi import bytemat, bytevec, device, intvec, kernel

Array = NDArray[Any]

#: Bytes of a block, and elements in it.
WIDTH = 64
BLOCK = 8 * WIDTH


def packed_size(elements: int) -> int:
    """Return the number of bytes that ``elements`` elements take."""
    return -(-elements // 8)


@device
def _pack_block(mask: Any, out: Any) -> None:
    """mask: uint8 (BLOCK,) of 0 and 1; out: uint8 (WIDTH,)"""
    for i in range(WIDTH):
        low = mask[i] + 2 * mask[64 + i] + 4 * mask[128 + i] + 8 * mask[192 + i]
        high = 16 * mask[256 + i] + 32 * mask[320 + i] + 64 * mask[384 + i] + 128 * mask[448 + i]
        out[i] = low + high


@device
def _pack_rest(mask: Any, out: Any) -> None:
    """The same for a mask of fewer elements and its bytes."""
    width = out.size
    for i in range(width):
        out[i] = mask[i]
    for bit in range(1, 8):
        line = mask[min(bit * width, mask.size) : min((bit + 1) * width, mask.size)]
        for i in range(line.size):
            out[i] += line[i] << bit


@kernel(extents="mask:u1[n] ring:u1[steps,width]", within=lambda sizes: sizes["n"] <= 8 * sizes["width"])
def record_mask(mem: Any, ins: Any, step: Any) -> None:
    """Pack a mask into the line of a ring that belongs to the step."""
    mask, ring = bytevec(mem, ins, 0), bytemat(mem, ins, 1)
    line, full = ring[step % ring.shape[0]], mask.size // BLOCK
    for block in range(full):
        _pack_block(mask[block * BLOCK : (block + 1) * BLOCK], line[block * WIDTH : (block + 1) * WIDTH])
    _pack_rest(mask[full * BLOCK :], line[full * WIDTH :])


@kernel(extents="steps:i8[n]", within=lambda sizes: sizes["n"] > 0)
def record_step(mem: Any, ins: Any, step: Any) -> None:
    """Note the step that a line of the rings belongs to."""
    steps = intvec(mem, ins, 0)
    steps[step % steps.size] = step


def record_call(mask: Tensor, ring: Array, dtype: Any) -> Call:
    """Return the call that keeps a mask of a program in a ring, uint8 (steps, bytes)."""
    into = Tensor(ring.shape, BYTE, ring, name="recorded")
    return Call(record_mask, (mask, into), (1,), 1 << 1, 0, (), "record", np.dtype(dtype))


def step_call(steps: Array, dtype: Any) -> Call:
    """Return the call that keeps the numbers of the steps in a ring, int64 (steps,)."""
    into = Tensor(steps.shape, steps.dtype, steps, name="steps")
    return Call(record_step, (into,), (0,), 1, 0, (), "record", np.dtype(dtype))


def unpack(packed: Array, elements: int) -> NDArray[np.bool]:
    """Return the elements of a mask, flat.

    Parameters
    ----------
    packed
        uint8 (packed_size(elements),), as :func:`record_mask` writes it.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.train.mask_recording import unpack
    >>> unpack(np.array([0b101, 0b11], np.uint8), 10).astype(int)
    array([1, 1, 0, 1, 1, 0, 0, 0, 0, 0])
    """
    full = elements // BLOCK
    parts = [packed[: full * WIDTH].reshape(full, WIDTH), packed[full * WIDTH :][None]]
    bits = [np.unpackbits(part[..., None], axis=2, bitorder="little").transpose(0, 2, 1).reshape(-1) for part in parts]
    return np.concatenate(bits)[:elements].astype(bool)


class StepMasks(NamedTuple):
    """The masks of a training step.

    Attributes
    ----------
    step
        Its number, from 0: ``optimizer.steps`` before it.
    masks
        Bool arrays by name of layer, True = kept; rows are those of the batch, in its order.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.masks import StepMasks
    >>> step, masks = StepMasks(7, {"drop": np.array([[True, False]])})
    >>> step, float(masks["drop"].mean())
    (7, 0.5)
    """

    step: int
    masks: dict[str, NDArray[np.bool]]


class Ring:
    """The masks of the last steps of one program.

    Parameters
    ----------
    steps
        Number of steps.
    dtype
        Dtype of the program.
    """

    def __init__(self, steps: int, dtype: np.dtype[Any]) -> None:
        self.steps = np.full(steps, -1, np.int64)
        self._dtype = dtype
        self._drawn: set[tuple[str, int]] = set()
        self._lines: dict[str, list[tuple[tuple[int, ...], Array]]] = {}

    def recorded(self, calls: Iterable[Call], nodes: Sequence[Node], slice_: int, rows: int) -> list[Call]:
        """Return the calls of a slice of ``rows`` rows, each that draws a mask followed by one that keeps it."""
        masks = {tensor: node for node in nodes if (tensor := node.mask_tensor) is not None}
        found = [step_call(self.steps, self._dtype)] if slice_ == 0 else []
        for call in calls:
            found.append(call)
            for tensor in call.writes():
                if tensor in masks and not self._has(masks[tensor], rows):
                    found.append(record_call(tensor, self._line(masks[tensor].name, tensor), self._dtype))
        return found

    def _has(self, node: Node, rows: int) -> bool:
        """Return True if an earlier part of the batch draws the same mask, and keeps it."""
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

    def masks(self, slot: int) -> dict[str, NDArray[np.bool]]:
        """Return the masks in a line of the ring."""
        return {
            name: np.concatenate([unpack(ring[slot], prod(shape)).reshape(shape) for shape, ring in parts])
            for name, parts in self._lines.items()
        }

    def arrays(self) -> list[Array]:
        """Return the memory of all lines, and of the numbers of their steps."""
        return [self.steps, *(ring for parts in self._lines.values() for _, ring in parts)]

    @property
    def nbytes(self) -> int:
        """Bytes of all lines."""
        return sum(ring.nbytes for parts in self._lines.values() for _, ring in parts)


def _shared(node: Node, rows: int) -> bool:
    """Return True if the node draws one mask for the whole batch or a group of its rows, the same in every slice."""
    mask = node.mask_tensor
    return mask is not None and mask.shape[0] == 1 and (rows > 1 or node.attributes[:1] == (0,))


class Recording:
    """The rings of all programs of a training: see ``fit(record_masks=k)``.

    Parameters
    ----------
    steps
        Number of steps to keep.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._rings: list[Ring] = []

    def ring(self, dtype: np.dtype[Any]) -> Ring:
        """Return a ring for another program."""
        self._rings.append(Ring(self.steps, dtype))
        return self._rings[-1]

    def arrays(self) -> list[Array]:
        """Return the memory of all rings."""
        return [part for ring in self._rings for part in ring.arrays()]

    def masks(self) -> RecordedMasks:
        """Return the masks of the last steps."""
        found = [(int(step), ring, slot) for ring in self._rings for slot, step in enumerate(ring.steps) if step >= 0]
        return RecordedMasks(sorted(found, key=lambda place: place[0])[-self.steps :])


class RecordedMasks(Sequence[StepMasks]):
    """Masks of training steps, the oldest first: a sequence of :class:`StepMasks`.

    They are kept in one bit per unit, and unpacked on access.

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
        """Bytes of all masks as they are kept."""
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
