"""Columns of categories: the numbers that stand for them, each of which has a vector in an embedding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nbnet.data.sparse import is_sparse

Array = NDArray[Any]

#: The number of categories that were not there in ``fit``, and of missing ones.
UNKNOWN = 0
#: What polars and pandas call dtypes of categories.
_DTYPES = ("category", "Categorical", "Enum")


@dataclass(frozen=True, eq=False)
class Categories:
    """Which columns hold categories, and which they are.

    Attributes
    ----------
    columns
        Numbers of the columns.
    values
        For each of them its categories, sorted.

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

    columns: tuple[int, ...]
    values: tuple[Array, ...]

    @classmethod
    def of(cls, X: Any, wanted: Any) -> Self:
        """The categories of data.

        Parameters
        ----------
        X
            A matrix or data frame.
        wanted
            ``"from_dtype"``, a mask of the columns, their numbers, or their names.

        Raises
        ------
        ValueError, TypeError
            If there are no such columns, or X cannot have any.
        """
        if is_sparse(X):
            raise TypeError("categorical_features wants dense data, got a sparse matrix.")
        columns = _numbers(X, wanted)
        return cls(columns, tuple(_values(_column(X, k)) for k in columns))

    @property
    def sizes(self) -> list[int]:
        """Rows of the table of each column."""
        return [len(values) + 1 for values in self.values]

    def encode(self, X: Any) -> Array:
        """The data as numbers."""
        width = _width(X)
        found = np.empty((len(X), width), np.float64)
        by_column = dict(zip(self.columns, self.values, strict=True))
        for k in range(width):
            given = _column(X, k)
            found[:, k] = _codes(given, by_column[k]) if k in by_column else given
        return found

    def inputs(self, X: Array) -> tuple[Array, ...]:
        """Of data that were encoded the columns of numbers, if there are any, then each column of categories."""
        rest = [k for k in range(X.shape[1]) if k not in self.columns]
        ids = [np.ascontiguousarray(X[:, [k]], np.int64) for k in self.columns]
        return (np.ascontiguousarray(X[:, rest]), *ids) if rest else tuple(ids)


def dimension(size: int) -> int:
    """Numbers in the vector of a category: ``1.6 n**0.56``, at most 50, for n categories.

    Examples
    --------
    >>> from nbnet.estimators.categories import dimension
    >>> [dimension(n) for n in (2, 10, 1000)]
    [2, 6, 50]
    """
    return min(50, round(float(1.6 * size**0.56)))


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def _width(X: Any) -> int:
    width: int = len(X.columns) if _is_frame(X) else np.shape(X)[1]
    return width


def _column(X: Any, k: int) -> Array:
    if _is_frame(X):
        return np.asarray(X[X.columns[k]].to_numpy())
    return np.asarray(X)[:, k]


def _numbers(X: Any, wanted: Any) -> tuple[int, ...]:
    """Numbers of the columns that are wanted."""
    width = _width(X)
    if isinstance(wanted, str):
        dtypes = [str(dtype) for dtype in X.dtypes] if _is_frame(X) else []
        return tuple(k for k, dtype in enumerate(dtypes) if dtype.startswith(_DTYPES))
    given = np.asarray(wanted)
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
    """Where values are not missing."""
    if column.dtype.kind == "O":
        return np.array([v is not None and type(v).__name__ != "NAType" and v == v for v in column], bool)
    return ~np.isnan(column) if column.dtype.kind == "f" else np.ones(len(column), bool)


def _values(column: Array) -> Array:
    """The categories of a column, sorted; strings if some are."""
    found = column[_present(column)]
    if column.dtype.kind == "O":
        found = np.array(_as_strings(found) if any(isinstance(value, str) for value in found) else found.tolist())
    return np.unique(found)


def _as_strings(values: Iterable[Any]) -> list[str]:
    return [str(value) for value in values]


def _codes(column: Array, values: Array) -> NDArray[np.int64]:
    """1 ... for the categories that are known, else 0."""
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
