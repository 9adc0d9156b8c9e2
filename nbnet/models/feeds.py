"""The edge of a program where batches come in: what is gathered, from where, into what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.core import feed
from nbnet.core.graph import Call, Tensor
from nbnet.core.op import INT
from nbnet.data import SparseRows
from nbnet.ops.multiply import multiply
from nbnet.ops.reshape import reshape

Array = NDArray[Any]


def cut(rows: int, slices: int) -> list[int]:
    """Bounds of slices, as even as can be."""
    return [rows * t // slices for t in range(slices + 1)]


class Source(NamedTuple):
    """What a program reads from: shape of a row, dtype in memory, and whether its integers stay what they are; of
    sparse rows the dtype of the indices, too."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    whole: bool = False
    indices: np.dtype[Any] | None = None

    @classmethod
    def of(cls, array: Array | SparseRows, whole: bool = False) -> Source:
        indices = array.indices.dtype if isinstance(array, SparseRows) else None
        return cls(array.shape[1:], array.dtype, whole, indices)


class Feeds:
    """The tensors that a program's batches are gathered into, for each slice."""

    def __init__(
        self, dtype: np.dtype[Any], rows: int, slices: int, sources: Mapping[str, Source], shuffled: bool
    ) -> None:
        self.dtype, self.rows, self.bounds = dtype, rows, cut(rows, slices)
        self.cursor = Tensor((1,), INT, np.zeros(1, np.int64), name="cursor")
        self.slots: dict[str, Tensor] = {}
        if shuffled:
            self.slots["order"] = Tensor((1,), INT, np.zeros(1, np.int64), name="order")
        self.sources = dict(sources)
        for name, source in sources.items():
            if source.indices is None:
                self._add_slot(name, source.dtype, int(np.prod(source.shape)))
            else:
                for part, dtype in ("", source.dtype), (".indices", source.indices), (".bounds", INT):
                    self._add_slot(name + part, dtype)
        self._made: dict[tuple[str, int], Tensor] = {}

    def _add_slot(self, name: str, dtype: np.dtype[Any], width: int = 1) -> None:
        self.slots[name] = Tensor((1, width), dtype, np.zeros((1, width), dtype), name=f"user.{name}")

    def count(self, t: int) -> int:
        """Rows of slice t."""
        return self.bounds[t + 1] - self.bounds[t]

    def tensor(self, name: str, t: int) -> Tensor:
        """What slice t of the batch of this array is gathered into."""
        if (name, t) not in self._made:
            source = self.sources[name]
            whole = source.whole or (name.startswith("y") and source.dtype == INT and not source.shape)
            # A column of weights, for what a gather fills is a matrix with a row, or several, for each sample.
            shape = source.shape or (() if whole else (1,))
            self._made[name, t] = Tensor((self.count(t), *shape), INT if whole else self.dtype, name=name)
        return self._made[name, t]

    def input(self, name: str, t: int) -> Tensor:
        """The same as the model reads it: one number a sample is no column."""
        x = self.tensor(name, t)
        return x if self.sources[name].shape or x.ndim == 1 else reshape(x, x.shape[:1])

    def out(self, k: int) -> Tensor:
        """Where output k is stored, for all batches."""
        name = f"out{k}"
        if name not in self.slots:
            self.slots[name] = Tensor((1, 1), self.dtype, np.zeros((1, 1), self.dtype), name=name)
        return self.slots[name]

    def weights(self, k: int, t: int, shape: tuple[int, ...]) -> Tensor:
        """One weight for each loss of output k: gathered, or ones."""
        if f"w{k}" not in self.sources:
            return Tensor(shape, self.dtype, np.ones(shape, self.dtype), name="ones")
        weights = reshape(self.tensor(f"w{k}", t), (shape[0], *[1] * (len(shape) - 1)))
        return weights if weights.shape == shape else multiply(weights, np.ones(shape, self.dtype))

    def made(self, t: int) -> list[Tensor]:
        """All that slice t of a batch is gathered into so far."""
        return [tensor for (_, s), tensor in self._made.items() if s == t]

    def gathers(self, t: int) -> list[Call]:
        return [self._gather(name, x) for (name, s), x in self._made.items() if s == t]

    def _gather(self, name: str, x: Tensor) -> Call:
        place = self.slots.get("order"), self.cursor, x, self.dtype
        if self.sources[name].indices is None:
            return feed.gather_call(self.slots[name], *place)
        values, indices, bounds = (self.slots[name + part] for part in ("", ".indices", ".bounds"))
        return feed.gather_sparse_call(values, indices, bounds, *place)

    def advance(self) -> Call:
        return feed.advance_call(self.cursor, self.rows, self.dtype)

    def advancing(self, slices: int) -> list[list[Call]]:
        """A phase that moves on to the next batch."""
        return [[self.advance()], *([] for _ in range(slices - 1))]
