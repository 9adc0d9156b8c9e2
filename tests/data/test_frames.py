"""Data frames and series: numbers of every column, or an error that names the column."""

from __future__ import annotations

import numpy as np
import pytest

from nbnet.data import as_dense_targets, as_input, as_labels, as_weights

pd = pytest.importorskip("pandas", reason="pandas is not installed")


def polars():
    return pytest.importorskip("polars", reason="polars is not installed")


@pytest.mark.parametrize(
    ("columns", "dtype"),
    [
        ({"a": np.array([1, 2], "int8"), "b": np.array([0.5, 4], "float32")}, "float32"),
        ({"a": np.array([1, 2]), "b": np.array([0.5, 4], "float32")}, "float64"),
        ({"a": [True, False], "b": [3, 4]}, "int64"),
        ({"a": [True, False], "b": [False, True]}, "bool"),
        ({"a": np.array([1, 2], "uint8"), "b": np.array([3, 255], "uint8")}, "uint8"),
    ],
)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_side_by_side(library, columns, dtype):
    frame = (pd if library == "pandas" else polars()).DataFrame(columns)
    result = as_input(frame)
    np.testing.assert_array_equal(result, np.column_stack([*columns.values()]))
    assert result.dtype == dtype
    assert result.flags.c_contiguous


@pytest.mark.parametrize("dtype", ["Int64", "Int8", "UInt16", "Float32", "Float64", "boolean", "Sparse[int64]"])
def test_nullable_dtypes_of_pandas(dtype):
    frame = pd.DataFrame({"a": pd.array([1, 0, 1], dtype=dtype), "b": [0.5, 1.5, 2.5]})
    np.testing.assert_array_equal(as_input(frame), [[1, 0.5], [0, 1.5], [1, 2.5]])
    np.testing.assert_array_equal(as_labels(frame["a"], "y", 3, 2), [1, 0, 1])


def test_columns_of_one_name():
    np.testing.assert_array_equal(as_input(pd.DataFrame([[1, 2.5]], columns=["a", "a"])), [[1, 2.5]])


def test_a_frame_of_one_block_is_read_where_it_lies():
    x = np.ones((4, 3), "float32")
    assert np.shares_memory(as_input(pd.DataFrame(x, copy=False)), x)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_series_as_column_labels_and_weights(library):
    made = pd if library == "pandas" else polars()
    y = made.Series([0, 2, 1])
    assert as_input(y).shape == (3, 1)
    assert as_labels(y, "y", 3, 3).tolist() == [0, 2, 1]
    assert as_dense_targets(y, "y", 3, (1,)).tolist() == [[0], [2], [1]]
    assert as_weights(y, "sample_weight", 3).tolist() == [0, 2, 1]
    assert as_labels(made.DataFrame({"y": [0, 2, 1]}), "y", 3, 3).tolist() == [0, 2, 1]


PANDAS = {
    "object": ["a", 1],
    "str": ["u", "v"],
    "category": pd.Categorical(["u", "v"]),
    "datetime64": pd.to_datetime(["2020-01-01", "2021-01-01"]),
    "timedelta64": pd.to_timedelta([1, 2]),
    "period": pd.period_range("2020", periods=2, freq="D"),
    "complex128": [1j, 2j],
}


@pytest.mark.parametrize("dtype", PANDAS)
def test_columns_of_pandas_that_hold_no_numbers(dtype):
    frame = pd.DataFrame({"age": [1, 2], "city": PANDAS[dtype]})
    message = (
        rf"^train: expected booleans, integers or floats, column 'city' is of dtype .*{dtype}.*: encode it as numbers "
        r"\(codes, or one column for each category\) or leave it out$"
    )
    with pytest.raises(TypeError, match=message):
        as_input(frame, "train")
    with pytest.raises(TypeError, match=message):
        as_input(frame["city"], "train")


@pytest.mark.parametrize("dtype", ["String", "Categorical", "Date", "Datetime", "Duration", "Object", "List"])
def test_columns_of_polars_that_hold_no_numbers(dtype):
    pl = polars()
    made = {
        "String": pl.Series(["u", "v"]),
        "Categorical": pl.Series(["u", "v"], dtype=pl.Categorical),
        "Date": pl.Series([1, 2]).cast(pl.Date),
        "Datetime": pl.Series([1, 2]).cast(pl.Datetime),
        "Duration": pl.Series([1, 2]).cast(pl.Duration),
        "Object": pl.Series([object(), object()], dtype=pl.Object),
        "List": pl.Series([[1], [2, 3]]),
    }
    with pytest.raises(TypeError, match=rf"^x: expected .* column 'city' is of dtype {dtype}.*: encode it as numbers"):
        as_input(pl.DataFrame({"age": [1, 2], "city": made[dtype]}))


@pytest.mark.parametrize("dtype", ["Int64", "Float32", "boolean", "float64", "float32"])
def test_missing_values_of_pandas(dtype):
    frame = pd.DataFrame({"age": [1.0, 2.0, 3.0], "income": pd.Series([1, None, None], dtype=dtype)})
    message = r"^x: expected no missing values, column 'income' has 2: fill them in, or leave these rows out$"
    with pytest.raises(ValueError, match=message):
        as_input(frame)


def test_missing_values_of_polars():
    frame = polars().DataFrame({"age": [1, 2], "income": [None, 0.5]})
    with pytest.raises(ValueError, match=r"^x: expected no missing values, column 'income' has 1: fill them in"):
        as_input(frame)
    with pytest.raises(ValueError, match=r"^y: expected no missing values, column 'income' has 1"):
        as_dense_targets(frame["income"], "y", 2, (1,))


def test_decimals_and_lazy_frames_of_polars():
    pl = polars()
    price = pl.Series([1.25, 2.5]).cast(pl.Decimal(10, 2))
    assert as_input(pl.DataFrame({"price": price})).tolist() == [[1.25], [2.5]]
    with pytest.raises(TypeError, match=r"^x: expected values, got a LazyFrame: pass x\.collect\(\)$"):
        as_input(pl.LazyFrame({"price": [1.0]}))


def test_nan_in_polars_is_missing():
    frame = polars().DataFrame({"age": [1, 2], "income": [float("nan"), 0.5]})
    with pytest.raises(ValueError, match=r"^x: expected no missing values, column 'income' has 1"):
        as_input(frame)


def test_infinite_values_and_empty_frames():
    with pytest.raises(ValueError, match=r"^x: expected finite values; 1 of its 4 values .* at row 1, column 1$"):
        as_input(pd.DataFrame({"a": [1, 2], "b": [1.5, np.inf]}))
    with pytest.raises(ValueError, match=r"^x: expected columns, got a data frame without any$"):
        as_input(pd.DataFrame(index=[0, 1]))
    with pytest.raises(ValueError, match=r"^x: expected a non-empty array, got shape \(0, 2\)$"):
        as_input(pd.DataFrame({"a": [1], "b": [1.5]})[:0])
