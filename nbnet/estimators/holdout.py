"""Rows that a training does not see, and what becomes of them after each epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from nbnet.data.sparse import as_sparse_rows, is_sparse
from nbnet.estimators.penalised import Penalised
from nbnet.models import Model
from nbnet.models.intake import Rows
from nbnet.models.prediction import USUAL_ROWS, predict

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of data: what goes into each input of a network, targets as programs read them, and weights."""

    x: tuple[Any, ...]
    targets: Array
    weights: Array | None

    def __len__(self) -> int:
        return len(self.targets)

    def rows(self, dtype: Any) -> Rows:
        """What programs read."""
        return replace(inputs(self.x, dtype), y=(self.targets,), w=(self.weights,))

    def split(self, fraction: float, rng: np.random.RandomState, stratify: Array | None) -> tuple[Part, Part]:
        """The part to train on, and a fraction that is held out.

        Raises
        ------
        ValueError
            If that is less than two rows.
        """
        arrays = [*self.x, self.targets, *([] if self.weights is None else [self.weights])]
        parts = train_test_split(*arrays, random_state=rng, test_size=fraction, stratify=stratify)
        if parts[1].shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return self._of(parts[::2]), self._of(parts[1::2])

    def _of(self, arrays: list[Any]) -> Part:
        n = len(self.x)
        return Part(tuple(arrays[:n]), arrays[n], None if self.weights is None else arrays[n + 1])


def inputs(x: tuple[Any, ...], dtype: Any) -> Rows:
    """Features as programs read them, sparse ones in compressed form; whole numbers are those of rows of tables."""
    parts = tuple(as_sparse_rows(part, "X", dtype=dtype) if is_sparse(part) else part for part in x)
    return Rows(parts, ids=tuple(part.dtype.kind == "i" for part in x))


def validator(
    model: Model, held: Part, loss: Penalised, score: Callable[[Array, Array, Array | None], float]
) -> Callable[[], tuple[float, float]]:
    """A function that returns score and loss of the rows held out; NaN once a network has diverged."""
    rows = inputs(held.x, model.dtype)

    def validate() -> tuple[float, float]:
        outputs: Array = predict(model, rows, USUAL_ROWS, None)
        if not np.isfinite(outputs).all():
            return float("nan"), float("nan")
        found = held.targets, outputs, held.weights
        return score(*found), loss.value(*found)

    return validate
