"""Sparse features: they stay in compressed form, and the program that reads them makes a batch dense at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet.base.array_memory import check_unmasked, copied, pinned, stays
from nbnet.config import standardize_dtype
from nbnet.data.arrays import Shape, as_input, check_finite, check_kind, check_row_shape, place, readable

Array = NDArray[Any]


def is_sparse(x: Any) -> bool:
    """Return True if ``x`` is a matrix or array of ``scipy.sparse``, in any format."""
    return hasattr(x, "tocsr") and hasattr(x, "nnz")


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Checked rows in compressed form (CSR), which a program can read.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from nbnet.data import as_features
    >>> rows = as_features(csr_array([[0, 7, 0], [0, 0, 0], [8, 0, 9]]))
    >>> rows.shape, rows.values.tolist(), rows[1:].bounds.tolist()
    ((3, 3), [7, 8, 9], [1, 1, 3])
    """

    values: Array  # (nnz,), of a dtype that kernels read
    indices: Array  # int32 or int64, (nnz,): the column of each value, which occurs at most once in a row
    bounds: NDArray[np.int64]  # (n + 1,): row r has the values from ``bounds[r]`` up to ``bounds[r + 1]``
    columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return len(self), self.columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the values."""
        return self.values.dtype

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, rows: slice) -> SparseRows:
        """Return consecutive rows; they share the values."""
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError(f"rows: expected consecutive rows, got a slice with step {step}")
        return SparseRows(self.values, self.indices, self.bounds[start : max(start, stop) + 1], self.columns)

    def parts(self, name: str) -> dict[str, Array]:
        """Return the arrays that a program binds in place of one under a name."""
        return {name: self.values, f"{name}.indices": self.indices, f"{name}.bounds": self.bounds}

    def dense(self, rows: slice | NDArray[np.int64] = slice(None)) -> Array:
        """Return rows as an array."""
        wanted = np.arange(len(self))[rows]
        out = np.zeros((len(wanted), self.columns), self.dtype)
        for i, row in enumerate(wanted.tolist()):
            part = slice(self.bounds[row], self.bounds[row + 1])
            out[i, self.indices[part]] = self.values[part]
        return out


def as_sparse_rows(
    x: Any, name: str = "x", *, shape: Shape | None = None, dtype: DTypeLike | None = None
) -> SparseRows:
    """Sparse features (n, columns) as rows that a program can read; they never become dense as a whole.

    The values of CSR are read where they lie, if columns are sorted and occur once per row; indices are copied, and
    the copies are checked. Other formats are converted. Arguments and errors are those of :func:`as_input`; a damaged
    matrix is a ValueError.

    Examples
    --------
    >>> from scipy.sparse import coo_array
    >>> from nbnet.data.sparse import as_sparse_rows
    >>> twice = coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(1, 3))
    >>> as_sparse_rows(twice).values.tolist()
    [3.0]
    """
    check_kind(x.dtype, name)
    if x.ndim != 2:
        raise ValueError(f"{name}: expected rows and columns, got a sparse array of shape {x.shape}")
    if 0 in x.shape:
        raise ValueError(f"{name}: expected a non-empty array, got shape {x.shape}")
    if shape is not None:
        check_row_shape(x.shape[1:], name, shape)
    values, indices, bounds = _canonical(x, name)
    model = standardize_dtype(dtype)
    rows = SparseRows(readable(values, name, model), indices, bounds, x.shape[1])
    check_finite(rows.values, name, model, lambda k: _where(rows, k))
    return rows


def _canonical(x: Any, name: str) -> tuple[Array, Array, NDArray[np.int64]]:
    """Return values, column indices and bounds of rows: checked copies, but for values, which stay where they lie."""
    csr = x if x.format == "csr" else _checked_copy(x, name).tocsr()
    check_unmasked(csr.data, name)
    values, indices, bounds = (np.asarray(part) for part in (csr.data, csr.indices, csr.indptr))
    if not (values.ndim == indices.ndim == bounds.ndim == 1 and indices.dtype.kind == bounds.dtype.kind == "i"):
        raise ValueError(f"{name}: expected a valid sparse matrix, got indices that are no vectors of integers")
    values = pinned(values, name)
    values = values if stays(values) else copied(values, name)
    wide = np.int32 if indices.dtype.itemsize <= 4 else np.int64
    indices, bounds = copied(indices, name, wide), copied(bounds, name, np.int64)
    _check_format(values, indices, bounds, x.shape, name)
    values, indices = values[: bounds[-1]], indices[: bounds[-1]]
    # Columns rise, but for those at which a row begins.
    rising = indices[1:] > indices[:-1]
    starts = bounds[1:-1]
    rising[starts[(starts > 0) & (starts < len(indices))] - 1] = True
    if rising.all():
        return values, indices, bounds
    summed = type(csr)((values.copy(), indices, bounds), shape=x.shape)
    summed.sum_duplicates()
    return summed.data, np.require(summed.indices, wide, ["C", "A"]), np.array(summed.indptr, np.int64)


def _checked_copy(x: Any, name: str) -> Any:
    """Return a copy of a matrix that scipy can convert without reading outside of its arrays.

    SciPy itself checks a matrix only when it is made.
    """
    try:
        copy = x.copy()
        if copy.format == "coo":
            lengths = {len(part) for part in (copy.data, copy.row, copy.col)}
            sides = zip((copy.row, copy.col), copy.shape, strict=True)
            if len(lengths) > 1 or any(side.size and (side.min() < 0 or side.max() >= size) for side, size in sides):
                raise ValueError("an entry lies outside")
        elif hasattr(copy, "check_format"):
            copy.check_format(full_check=True)
    except ValueError as error:
        raise ValueError(f"{name}: expected a valid sparse matrix, got one that is not: {error}") from None
    return copy


def as_features(
    x: Any, name: str = "x", *, shape: Shape | None = None, dtype: DTypeLike | None = None
) -> Array | SparseRows:
    """Features as an array (see :func:`as_input`), or of a sparse matrix its rows (see :func:`as_sparse_rows`).

    Examples
    --------
    >>> from scipy.sparse import eye_array
    >>> from nbnet.data import as_features
    >>> as_features(eye_array(1000)).shape, as_features([1.0, 2.0]).shape
    ((1000, 1000), (2, 1))
    """
    return (as_sparse_rows if is_sparse(x) else as_input)(x, name, shape=shape, dtype=dtype)


def _where(rows: SparseRows, k: int) -> str:
    return place((np.searchsorted(rows.bounds, k, "right") - 1, rows.indices[k]))


def _check_format(values: Array, indices: Array, bounds: Array, shape: tuple[int, int], name: str) -> None:
    """Refuse indices with which a kernel would read or write outside its arrays."""
    good = (
        len(bounds) == shape[0] + 1
        and bounds[0] == 0
        and bounds[-1] <= min(len(indices), len(values))
        and (bounds[1:] >= bounds[:-1]).all()
    )
    if not good:
        raise ValueError(f"{name}: expected a valid sparse matrix, its indptr does not divide its values into rows")
    used = indices[: bounds[-1]]
    if used.size and not (used.min() >= 0 and used.max() < shape[1]):
        wrong = used.min() if used.min() < 0 else used.max()
        raise ValueError(f"{name}: expected a valid sparse matrix, it has a value in column {wrong} of {shape[1]}")
