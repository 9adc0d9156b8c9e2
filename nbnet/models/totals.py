"""Losses and metrics of an epoch, added up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.models.objective import Scores

Array = NDArray[Any]


class Totals:
    """Losses and metrics of an epoch, as far as it has got."""

    def __init__(self, scores: Scores) -> None:
        self.scores = scores
        self.reset()

    def reset(self) -> None:
        """An epoch begins."""
        self.sums = [[0.0, 0.0] for _ in range(self.scores.cells)]
        self._kept: dict[int, list[tuple[Array, Array, Array | None]]] = {k: [] for k in self.scores.kept}

    def add(self, sums: Array) -> None:
        """Add what a program has summed up: (slices, cells, 2)."""
        self.sums = self._with(sums)

    def of(self, sums: Sequence[Array]) -> list[dict[str, Any]]:
        """Losses and metrics of epochs, from what each program has summed up in them: (epochs, slices, cells, 2).

        For scores that keep nothing.
        """
        total = np.zeros((len(sums[0]), self.scores.cells, 2))
        for part in sums:
            total += part[:, 0] if part.shape[1] == 1 else part.sum(1)
        return [self.scores.logs(epoch, {}) for epoch in total.tolist()]

    def keep(self, k: int, y: Array, out: Array, w: Array | None) -> None:
        """Keep copies of targets, outputs and weights of output k for metrics that want the whole epoch."""
        self._kept[k].append((y.copy(), out.copy(), None if w is None else w.copy()))

    def means(self, running: Array | None = None) -> dict[str, float]:
        """Losses and metrics so far, with those of a program that is at work."""
        return self.scores.means(self.sums if running is None else self._with(running))

    def logs(self) -> dict[str, Any]:
        """Losses and metrics of the epoch."""
        kept = {k: _joined(parts) for k, parts in self._kept.items()}
        return self.scores.logs(self.sums, kept)  # type: ignore[no-any-return]

    def _with(self, sums: Array) -> list[list[float]]:
        found: list[list[float]] = (sums[0] if len(sums) == 1 else sums.sum(0)).tolist()
        return [[a + c, b + d] for (a, b), (c, d) in zip(self.sums, found, strict=True)]


def _joined(parts: Sequence[tuple[Array, Array, Array | None]]) -> tuple[Array, Array, Array | None]:
    y, out, w = zip(*parts, strict=True)
    return np.concatenate(y), np.concatenate(out), None if w[0] is None else np.concatenate(w)
