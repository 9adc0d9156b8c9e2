"""Categorical columns and their codes, each of which has a vector in an embedding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nbnet.data.sparse import is_sparse
from nbnet.estimators.base import Array

#: Code of missing categories and of those that ``fit`` has not seen.
UNKNOWN = 0
#: Names of categorical dtypes in polars and pandas.
_DTYPES = ("category", "Categorical", "Enum")


@dataclass(frozen=True, eq=False)
class Categories:
    """The categorical columns of data, and their categories.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.estimators.categories import Categories
    >>> X = np.array([[1.5, "red"], [2.5, "blue"]], dtype=object)
    >>> found = Categories.of(X, [1])
    >>> found.encode(np.array([[0.5, "red"], [0.0, "green"]], dtype=object))
    array([[0.5, 2. ],
           [0. , 0. ]])
    """

    columns: tuple[int, ...]  # indices
    values: tuple[Array, ...]  # sorted categories of each column

    @classmethod
    def of(cls, X: Any, selection: Any) -> Self:
        """Return the categories of a matrix or data frame; ``selection`` is "from_dtype", or mask, indices or names.

        Raise ValueError or TypeError if X has no such columns, or is sparse.
        """
        if is_sparse(X):
            raise TypeError("X: expected dense data with categorical_features, got a sparse matrix")
        columns = _selected(X, selection)
        return cls(columns, tuple(_values(_column(X, k)) for k in columns))

    @property
    def sizes(self) -> list[int]:
        """Rows of the embedding of each column."""
        return [len(values) + 1 for values in self.values]

    def encode(self, X: Any) -> Array:
        """Return the data as numbers."""
        width = _width(X)
        encoded = np.empty((len(X), width), np.float64)
        by_column = dict(zip(self.columns, self.values, strict=True))
        for k in range(width):
            given = _column(X, k)
            encoded[:, k] = _codes(given, by_column[k]) if k in by_column else given
        return encoded

    def inputs(self, X: Array) -> tuple[Array, ...]:
        """Return the numeric columns of encoded data, if there are any, then each categorical column."""
        rest = [k for k in range(X.shape[1]) if k not in self.columns]
        ids = [np.ascontiguousarray(X[:, [k]], np.int64) for k in self.columns]
        return (np.ascontiguousarray(X[:, rest]), *ids) if rest else tuple(ids)


def embedding_dim(categories: int) -> int:
    """Dimension of an embedding: ``1.6 n**0.56``, at most 50, for n categories.

    Examples
    --------
    >>> from nbnet.estimators.categories import embedding_dim
    >>> [embedding_dim(n) for n in (2, 10, 1000)]
    [2, 6, 50]
    """
    return min(50, round(float(1.6 * categories**0.56)))


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def _width(X: Any) -> int:
    return int(len(X.columns) if _is_frame(X) else np.shape(X)[1])


def _column(X: Any, k: int) -> Array:
    if _is_frame(X):
        return np.asarray(X[X.columns[k]].to_numpy())
    return np.asarray(X)[:, k]


def _selected(X: Any, selection: Any) -> tuple[int, ...]:
    """Return the indices of the selected columns."""
    width = _width(X)
    if isinstance(selection, str):
        dtypes = [str(dtype) for dtype in X.dtypes] if _is_frame(X) else []
        return tuple(k for k, dtype in enumerate(dtypes) if dtype.startswith(_DTYPES))
    given = np.asarray(selection)
    if given.dtype == bool:
        if given.shape != (width,):
            raise ValueError(
                f"categorical_features set as a boolean mask should have shape (n_features,), got: {given.shape}"
            )
        return tuple(int(k) for k in np.flatnonzero(given))
    if given.dtype.kind in "iu":
        if ((given < 0) | (given >= width)).any():
            raise ValueError(
                f"categorical_features set as integer indices should be in [0, n_features - 1], got {given}"
            )
        return tuple(int(k) for k in np.unique(given))
    names = list(X.columns) if _is_frame(X) else []
    for name in given.tolist():
        if name not in names:
            raise ValueError(
                f"categorical_features has an item value {name!r} which is not a valid feature name of the data"
            )
    return tuple(sorted(names.index(name) for name in given.tolist()))


def _present(column: Array) -> NDArray[np.bool]:
    """Return a mask of the values that are not missing."""
    if column.dtype.kind == "O":
        return np.array([v is not None and type(v).__name__ != "NAType" and v == v for v in column], bool)
    return ~np.isnan(column) if column.dtype.kind == "f" else np.ones(len(column), bool)


def _values(column: Array) -> Array:
    """Return the sorted categories of a column, as strings if some are."""
    found = column[_present(column)]
    if column.dtype.kind == "O":
        found = np.array(_as_strings(found) if any(isinstance(value, str) for value in found) else found.tolist())
    return np.unique(found)


def _as_strings(values: Iterable[Any]) -> list[str]:
    return [str(value) for value in values]


def _codes(column: Array, values: Array) -> NDArray[np.int64]:
    """Return codes from 1 for known categories, 0 for others."""
    here, strings = _present(column), values.dtype.kind == "U"
    if column.dtype.kind == "O" and not strings:
        here &= np.array([not isinstance(value, str) for value in column], bool)
    known = column[here]
    if column.dtype.kind == "O":
        known = np.array(_as_strings(known) if strings else known.tolist())
    found = np.full(len(column), UNKNOWN, np.int64)
    if known.size and values.size and (known.dtype.kind == "U") == strings:
        place = np.searchsorted(values, known).clip(max=len(values) - 1)
        found[here] = np.where(values[place] == known, place + 1, UNKNOWN)
    return found
