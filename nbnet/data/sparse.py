"""Sparse features: kept in compressed form, and made dense a batch at a time by the program that reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet.config import standardize_dtype
from nbnet.data.checks import check_finite, check_kind, fits, readable
from nbnet.data.words import Shape, mismatch, place

Array = NDArray[Any]


def is_sparse(x: Any) -> bool:
    """Whether ``x`` is a matrix or array of ``scipy.sparse``, in any format."""
    return hasattr(x, "tocsr") and hasattr(x, "nnz")


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows in compressed form (CSR), checked: a program may read them.

    Attributes
    ----------
    values : ndarray, (nnz,)
        Of a dtype that kernels read.
    indices : ndarray of int32 or int64, (nnz,)
        The column of each value; in a row, a column occurs once at most.
    bounds : ndarray of int64, (n + 1,)
        Row r has the values from ``bounds[r]`` up to ``bounds[r + 1]``.
    columns : int

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from nbnet.data import as_features
    >>> rows = as_features(csr_array([[0, 7, 0], [0, 0, 0], [8, 0, 9]]))
    >>> rows.shape, rows.values, rows[1:].bounds
    ((3, 3), array([7, 8, 9]), array([1, 1, 3]))
    """

    values: Array
    indices: Array
    bounds: NDArray[np.int64]
    columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self), self.columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the values."""
        return self.values.dtype

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, rows: slice) -> SparseRows:
        """Consecutive rows; the values are shared."""
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError(f"rows: wants consecutive rows, got a slice with step {step}")
        return SparseRows(self.values, self.indices, self.bounds[start : max(start, stop) + 1], self.columns)

    def parts(self, name: str) -> dict[str, Array]:
        """What a program binds where it would bind an array under a name."""
        return {name: self.values, f"{name}.indices": self.indices, f"{name}.bounds": self.bounds}

    def dense(self, rows: slice | NDArray[np.int64] = slice(None)) -> Array:
        """Some rows as an array."""
        wanted = np.arange(len(self))[rows]
        out = np.zeros((len(wanted), self.columns), self.dtype)
        for i, row in enumerate(wanted.tolist()):
            part = slice(self.bounds[row], self.bounds[row + 1])
            out[i, self.indices[part]] = self.values[part]
        return out


def as_sparse_rows(
    x: Any, name: str = "x", *, shape: Shape | None = None, dtype: DTypeLike | None = None
) -> SparseRows:
    """Sparse features as rows that a program can read; they are never made dense as a whole.

    Parameters
    ----------
    x : scipy.sparse matrix or array, (n, columns)
        CSR is read where it lies, if its columns are sorted and occur once a row; other formats are converted.
    name : str
        What messages call it.
    shape : tuple of int or None
        Shape of one row.
    dtype : None, float32 or float64
        What the model computes in.

    Raises
    ------
    TypeError
        If ``x`` does not hold numbers.
    ValueError
        If it is empty, not finite, damaged, or of another shape than the model wants.

    Examples
    --------
    >>> from scipy.sparse import coo_array
    >>> from nbnet.data.sparse import as_sparse_rows
    >>> twice = coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(1, 3))
    >>> as_sparse_rows(twice).values
    array([3.])
    """
    check_kind(x.dtype, name)
    if x.ndim != 2:
        raise ValueError(f"{name} must have rows and columns, got a sparse array of shape {x.shape}")
    if 0 in x.shape:
        raise ValueError(f"{name} must not be empty, got shape {x.shape}")
    if shape is not None and not fits(x.shape[1:], shape):
        raise ValueError(mismatch(name, x.shape[1:], "the model wants", shape))
    csr = x.tocsr()
    _check_format(csr, name)
    if not csr.has_canonical_format:
        csr = csr.copy() if csr is x else csr
        csr.sum_duplicates()
    model, count = standardize_dtype(dtype), int(csr.indptr[-1])
    rows = SparseRows(
        readable(csr.data[:count], model),
        np.require(csr.indices[:count], requirements=["C", "A"]),
        np.ascontiguousarray(csr.indptr, np.int64),
        csr.shape[1],
    )
    check_finite(rows.values, name, model, lambda k: _where(rows, k))
    return rows


def _where(rows: SparseRows, k: int) -> str:
    return place((np.searchsorted(rows.bounds, k, "right") - 1, rows.indices[k]))


def _check_format(csr: Any, name: str) -> None:
    """Refuse indices that would let a kernel read or write beside its arrays."""
    bounds, indices = csr.indptr, csr.indices
    good = (
        len(bounds) == csr.shape[0] + 1
        and bounds[0] == 0
        and bounds[-1] <= min(len(indices), len(csr.data))
        and (bounds[1:] >= bounds[:-1]).all()
    )
    if not good:
        raise ValueError(f"{name} must be a valid sparse matrix, its indptr does not divide its values into rows")
    used = indices[: bounds[-1]]
    if used.size and not (used.min() >= 0 and used.max() < csr.shape[1]):
        wrong = used.min() if used.min() < 0 else used.max()
        raise ValueError(f"{name} must be a valid sparse matrix, it has a value in column {wrong} of {csr.shape[1]}")
