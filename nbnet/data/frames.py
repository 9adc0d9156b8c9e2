"""Data frames and series of pandas, polars, and libraries with the same methods; none of them is imported.

NumPy makes objects of a frame with a nullable or non-numeric column, and NaN of missing values. So columns are
converted one by one, and messages name the column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import settled

Array = NDArray[Any]


def is_frame(value: Any) -> bool:
    """Return True if the value has columns and converts to an array."""
    # In this order: the columns of a lazy frame are expensive.
    return hasattr(value, "to_numpy") and hasattr(value, "columns")


def is_series(value: Any) -> bool:
    """Return True if the value is a column that knows of missing values."""
    return hasattr(value, "to_numpy") and hasattr(value, "dtype") and (_pandas(value) or hasattr(value, "null_count"))


def frame_array(frame: Any, name: str) -> Array:
    """Return the numbers of a data frame (n, k) as an array of a dtype that holds all columns.

    Columns are booleans, integers and floats, also nullable ones. Raise TypeError if a column holds no numbers, and
    ValueError if one has missing values.
    """
    columns, labels = _columns(frame), list(frame.columns)
    if not columns:
        raise ValueError(f"{name}: expected columns, got a data frame without any")
    kinds = {column.dtype for column in columns}
    if len(kinds) == 1 and isinstance(columns[0].dtype, np.dtype) and columns[0].dtype.kind in "fiub":
        array = settled(np.asarray(frame.to_numpy()), name)
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
    """Return the numbers of a series (n,); it raises the errors of :func:`frame_array`."""
    return _column_array(series, name, getattr(series, "name", None))


def _columns(frame: Any) -> list[Any]:
    if hasattr(frame, "iloc"):  # in pandas names may repeat, and a repeated one gives a frame
        return [frame.iloc[:, i] for i in range(frame.shape[1])]
    return [frame[label] for label in frame.columns]


def _column_array(column: Any, name: str, label: Any) -> Array:
    dtype = column.dtype
    if not _numeric(dtype):
        raise TypeError(
            f"{name}: expected booleans, integers or floats, {_called(label)} is of dtype {dtype}: encode it as "
            "numbers (codes, or one column for each category) or leave it out"
        )
    if not isinstance(dtype, np.dtype):
        _check_none_missing(int(column.isna().sum()) if _pandas(column) else column.null_count(), name, label)
    plain = getattr(dtype, "numpy_dtype", None)
    array = np.asarray(column.to_numpy() if plain is None else column.to_numpy(plain))
    # Decimals come as objects.
    return array.astype(np.float64) if array.dtype.kind == "O" else settled(array, name)


def _pandas(column: Any) -> bool:
    return hasattr(column, "isna")


def _numeric(dtype: Any) -> bool:
    """Return True for a dtype of numbers; NumPy and pandas have a kind, polars has ``is_numeric``."""
    if hasattr(dtype, "kind"):
        return dtype.kind in "fiub"
    return str(dtype) == "Boolean" or (hasattr(dtype, "is_numeric") and bool(dtype.is_numeric()))


def _check_none_missing(count: int, name: str, label: Any) -> None:
    if count:
        raise ValueError(
            f"{name}: expected no missing values, {_called(label)} has {count}: fill them in, or leave these rows out"
        )


def _called(label: Any) -> str:
    return "the series" if label is None else f"column {label!r}"
