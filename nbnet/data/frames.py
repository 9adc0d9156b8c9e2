"""Data frames and series, of pandas, polars and whoever has their methods; none of them is imported.

What NumPy makes of a frame by itself is objects as soon as one column is nullable or of another kind, and NaN where a
value is missing. So columns are converted one by one, and a message names the column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def is_frame(value: Any) -> bool:
    """Whether it has columns and converts to an array."""
    # In this order: the columns of a lazy frame are expensive.
    return hasattr(value, "to_numpy") and hasattr(value, "columns")


def is_series(value: Any) -> bool:
    """Whether it is a column, and knows of missing values."""
    return hasattr(value, "to_numpy") and hasattr(value, "dtype") and (_pandas(value) or hasattr(value, "null_count"))


def frame_array(frame: Any, name: str) -> Array:
    """The numbers of a frame, one column beside the other.

    Parameters
    ----------
    frame : data frame, (n, k)
        Of pandas or polars; booleans, integers and floats, nullable ones too.
    name : str
        What messages call it.

    Returns
    -------
    ndarray, (n, k)
        Of the dtype that holds all columns.

    Raises
    ------
    TypeError
        If a column holds no numbers.
    ValueError
        If one has missing values.
    """
    columns, labels = _columns(frame), list(frame.columns)
    if not columns:
        raise ValueError(f"{name} must not be empty, got a data frame without columns")
    kinds = {column.dtype for column in columns}
    if len(kinds) == 1 and isinstance(columns[0].dtype, np.dtype) and columns[0].dtype.kind in "fiub":
        array = frame.to_numpy()
    else:
        parts = [_column_array(column, name, label) for column, label in zip(columns, labels, strict=True)]
        array = np.empty((len(parts[0]), len(parts)), np.result_type(*parts))
        for k, part in enumerate(parts):
            array[:, k] = part
    if array.dtype.kind == "f":
        for label, missing in zip(labels, np.isnan(array).sum(0), strict=True):
            _check_none_missing(missing, name, label)
    return np.asarray(array)


def series_array(series: Any, name: str) -> Array:
    """The numbers of a series (n,); errors as for a frame."""
    return _column_array(series, name, getattr(series, "name", None))


def _columns(frame: Any) -> list[Any]:
    if hasattr(frame, "iloc"):  # in pandas names may repeat, and a repeated one gives a frame
        return [frame.iloc[:, i] for i in range(frame.shape[1])]
    return [frame[label] for label in frame.columns]


def _column_array(column: Any, name: str, label: Any) -> Array:
    dtype = column.dtype
    if not _numeric(dtype):
        raise TypeError(
            f"{name} must hold booleans, integers or floats, {_called(label)} is of dtype {dtype}: encode it as "
            "numbers (codes, or one column for each category) or leave it out"
        )
    if not isinstance(dtype, np.dtype):
        _check_none_missing(int(column.isna().sum()) if _pandas(column) else column.null_count(), name, label)
    plain = getattr(dtype, "numpy_dtype", None)
    array = np.asarray(column.to_numpy() if plain is None else column.to_numpy(plain))
    # Decimals come as objects.
    return array.astype(np.float64) if array.dtype.kind == "O" else array


def _pandas(column: Any) -> bool:
    return hasattr(column, "isna")


def _numeric(dtype: Any) -> bool:
    """A dtype of NumPy or pandas says so by its kind, one of polars answers when asked."""
    if hasattr(dtype, "kind"):
        return dtype.kind in "fiub"
    return str(dtype) == "Boolean" or (hasattr(dtype, "is_numeric") and bool(dtype.is_numeric()))


def _check_none_missing(count: int, name: str, label: Any) -> None:
    if count:
        raise ValueError(
            f"{name} must have no missing values, {_called(label)} has {count}: fill them in, or leave these rows out"
        )


def _called(label: Any) -> str:
    return "the series" if label is None else f"column {label!r}"
