"""Parameters in one block of memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nbnet.core.arena import address, aligned, round_up
from nbnet.core.graph import Tensor
from nbnet.core.parameter import Parameter, outdate


class Layout:
    """Where parameters would lie one after the other, each at a multiple of 64 bytes.

    Parameters
    ----------
    parameters
        Of one dtype.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = list(parameters)
        dtypes = {p.dtype for p in self.parameters}
        if len(dtypes) > 1:
            raise TypeError(f"parameters: a model is trained in one dtype, got {sorted(map(str, dtypes))}")
        self.dtype = dtypes.pop() if dtypes else np.dtype(np.float32)
        self.starts: list[int] = []
        self.size = 0
        for p in self.parameters:
            self.starts.append(self.size)
            self.size += round_up(p.nbytes) // self.dtype.itemsize
        self._gradients: Tensor | None = None

    def gradients(self, slices: int) -> Tensor:
        """Room for the gradients of each slice, (slices, size); all programs of the model share it."""
        if self._gradients is None or self._gradients.shape[0] < slices:
            self._gradients = self.like(slices, "gradients")
        whole = self._gradients
        return Tensor((slices, self.size), self.dtype, whole.numpy()[:slices], name=whole.name)

    def like(self, rows: int, name: str) -> Tensor:
        """Zeros for ``rows`` values a parameter: shape (rows, size)."""
        return Tensor((rows, self.size), self.dtype, aligned(rows * self.size, self.dtype).reshape(rows, -1), name=name)

    def index(self, parameter: Tensor) -> int:
        """The number of a parameter."""
        return next(i for i, p in enumerate(self.parameters) if p is parameter)

    def part(self, whole: Tensor, row: int, index: int) -> Tensor:
        """Where parameter ``index`` lies in row ``row`` of something made by :meth:`like`."""
        p, start = self.parameters[index], self.starts[index]
        view = whole.numpy()[row, start : start + p.size].reshape(p.shape)
        return Tensor(p.shape, self.dtype, view, name=f"{whole.name}/{p.name}")


class Block(Layout):
    """Parameters that lie so.

    Parameters
    ----------
    parameters
        Of one dtype. They are moved: their data become views of ``flat``.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        super().__init__(parameters)
        self.flat = Tensor((1, self.size), self.dtype, aligned(self.size, self.dtype).reshape(1, -1), name="parameters")
        for p, start in zip(self.parameters, self.starts, strict=True):
            place = self.flat.numpy()[0, start : start + p.size].reshape(p.shape)
            place[...] = p.numpy()
            p.data = place
        if any(p.linked for p in self.parameters):
            outdate()

    def holds(self, parameters: Sequence[Parameter]) -> bool:
        """Whether these are the block's parameters, and still lie in it."""
        base = address(self.flat.numpy())
        return len(parameters) == len(self.parameters) and all(
            p is q and address(q.numpy()) == base + start * self.dtype.itemsize
            for p, q, start in zip(parameters, self.parameters, self.starts, strict=True)
        )
