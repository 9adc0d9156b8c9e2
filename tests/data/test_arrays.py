"""Data intake: what is taken without a copy, what is converted, what is refused and in which words."""

from __future__ import annotations

import math
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from nbnet import data
from nbnet.base import array_memory
from nbnet.data import arrays as intake_module
from nbnet.data import as_dense_targets, as_input, as_labels, as_weights, train_validation_split

NAMES = [dtype.name for dtype in data.READABLE]
# Besides what kernels read: other widths, and foreign byte orders.
dtypes = st.sampled_from([*NAMES, "float16", "longdouble", ">f4", ">f8", ">i4", ">u8", "longlong"]).map(np.dtype)
shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=5)
LAYOUTS = {
    "c": np.ascontiguousarray,
    "fortran": np.asfortranarray,
    "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "every other column": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "part of a larger one": lambda a: np.concatenate([a, a, a])[len(a) : 2 * len(a)],
    "unaligned": lambda a: np.frombuffer(b"?" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
    "a list": lambda a: a.tolist(),
}


@st.composite
def arrays(draw, shapes=shapes, dtypes=dtypes, layouts=tuple(LAYOUTS)):
    """Any array of finite numbers, laid out in any way, perhaps read-only."""
    dtype = draw(dtypes)
    elements = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    if dtype == np.dtype("longdouble"):
        elements |= {"min_value": -1e30, "max_value": 1e30}
    array = draw(hnp.arrays(dtype, draw(shapes), elements=elements))
    array = LAYOUTS[draw(st.sampled_from(layouts))](array)
    if isinstance(array, np.ndarray) and draw(st.booleans()) and array.flags.writeable:
        array.flags.writeable = False
    return array


# ---- as_input ------------------------------------------------------------------------------------------------


@given(arrays())
def test_input_is_what_kernels_read(x):
    result = as_input(x, dtype="float64")
    original = np.asarray(x)
    assert type(result) in (np.ndarray, array_memory.Pinned)
    assert result.dtype in data.READABLE
    assert result.flags.c_contiguous
    assert result.flags.aligned
    assert result.ndim >= 2
    assert result.shape == (original.shape if original.ndim > 1 else (len(original), 1))
    expected = original.astype("float64") if original.dtype.name in ("float16", "longdouble") else original
    np.testing.assert_array_equal(result, expected.reshape(result.shape))


@given(arrays())
def test_input_is_copied_only_if_it_must_be(x):
    assume(isinstance(x, np.ndarray))
    readable = x.dtype in data.READABLE and x.flags.c_contiguous and x.flags.aligned
    result = as_input(x, dtype="float64")
    assert np.shares_memory(result, x) == readable
    assert not readable or result.dtype == x.dtype


@given(arrays())
def test_input_is_never_written_to(x):
    before = np.array(x)
    as_input(x, dtype="float64")
    np.testing.assert_array_equal(np.array(x), before)


def test_input_of_float16_takes_the_dtype_of_the_model():
    x = np.ones((2, 3), np.float16)
    assert as_input(x).dtype == np.float32
    assert as_input(x, dtype="float64").dtype == np.float64


def test_a_large_memmap_stays_on_disk_and_a_small_one_is_copied(tmp_path, monkeypatch):
    x = np.memmap(tmp_path / "x", np.uint8, "w+", shape=(50, 28, 28))
    x[:] = np.arange(50)[:, None, None]
    x.flush()
    mapped = np.memmap(tmp_path / "x", np.uint8, "r", shape=(50, 28, 28))
    for large, shared in ((0, True), (1 << 20, False)):
        monkeypatch.setattr(array_memory, "LARGE", large)
        result = as_input(mapped, shape=(28, 28))
        assert np.shares_memory(result, mapped) == shared
        assert result[49, 0, 0] == 49


class Frame:
    """A stand-in for a data frame: it holds columns, so NumPy gets an array in Fortran order."""

    def __init__(self, **columns):
        self.columns = columns

    def __array__(self, dtype=None, copy=None):
        return np.array(list(self.columns.values()), dtype).T


def test_data_frames():
    np.testing.assert_array_equal(as_input(Frame(a=[1, 2], b=[3, 4])), [[1, 3], [2, 4]])
    with pytest.raises(TypeError, match="x: expected booleans, integers or floats, got dtype <U1"):
        as_input(Frame(a=["u", "v"], b=["w", "x"]))
    with pytest.raises(TypeError, match="x: expected booleans, integers or floats, got dtype object"):
        as_input(Frame(a=[1, None], b=[3, 4]))


@pytest.mark.parametrize("intake", [as_input, lambda x, name: as_dense_targets(x, name, 2, (2,))])
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones((2, 2), complex), TypeError, "got dtype complex128: pass the real and the imaginary parts as columns"),
        (np.array([["a", "b"]] * 2), TypeError, "got dtype <U1: encode strings as numbers"),
        (np.array([[b"a", b"b"]] * 2), TypeError, r"got dtype \|S1: encode strings as numbers"),
        (np.array([[1, None], [2, 3]]), TypeError, "got dtype object: convert every column to numbers"),
        (np.zeros((2, 2), "M8[D]"), TypeError, r"got dtype datetime64\[D\]: convert dates to numbers"),
        (np.zeros((2, 2), "m8[s]"), TypeError, r"got dtype timedelta64\[s\]: convert durations to numbers"),
        (np.zeros(2, [("a", "f4")]), TypeError, r"got dtype \[\('a', '<f4'\)\]: convert it to numbers"),
        ("text", TypeError, "got dtype <U4"),
        (None, TypeError, "got None"),
        ({1, 2}, TypeError, "got dtype object"),
        (iter([1, 2]), TypeError, "got dtype object"),
        (
            sparse.csr_array(np.eye(2)),
            TypeError,
            r"expected a dense array, got a sparse matrix: pass train\.toarray\(\)",
        ),
        ([[1, 2], [3]], ValueError, "expected a rectangular array of numbers, got a ragged one"),
        ([np.ones(2), np.ones(3)], ValueError, "expected a rectangular array of numbers, got a ragged one"),
        (3.5, ValueError, r"expected rows, got the single number 3\.5"),
        (np.array(4), ValueError, "expected rows, got the single number 4"),
        ([], ValueError, r"expected a non-empty array, got shape \(0,\)"),
        (np.ones((0, 4)), ValueError, r"expected a non-empty array, got shape \(0, 4\)"),
        (np.ones((4, 0)), ValueError, r"expected a non-empty array, got shape \(4, 0\)"),
        (np.ma.masked_equal([[1, 2], [2, 3]], 2), ValueError, "expected no missing values, got a masked array"),
    ],
    ids=str,
)
def test_not_numbers(intake, x, error, message):
    with pytest.raises(error, match=f"^train: {message}|^train: expected booleans, integers or floats, {message}"):
        intake(x, "train")


def test_a_masked_array_with_nothing_masked_is_an_array():
    np.testing.assert_array_equal(as_input(np.ma.masked_equal([[1, 2]], 5)), [[1, 2]])


@pytest.mark.parametrize(
    ("got", "wanted", "message"),
    [
        ((3, 5), (4,), "x: expected 4 columns, got 5"),
        ((3, 1), (4,), "x: expected 4 columns, got 1"),
        ((3, 28, 28), (784,), r"x: expected rows of shape \(784,\), got \(28, 28\)"),
        ((3, 784), (28, 28), r"x: expected rows of shape \(28, 28\), got \(784,\)"),
        ((3, 28, 27), (28, None), None),
        ((3, 27, 28), (28, None), r"x: expected rows of shape \(28, None\), got \(27, 28\)"),
        ((3,), (1,), None),
        ((4,), (4,), r"x: expected 4 columns, got 1; a 1-D array is one column: for a single row pass x\[None\]"),
    ],
)
def test_input_shape(got, wanted, message):
    x = np.ones(got)
    if message is None:
        assert len(as_input(x, shape=wanted)) == got[0]
    else:
        with pytest.raises(ValueError, match=f"^{message}$"):
            as_input(x, shape=wanted)


# ---- finite --------------------------------------------------------------------------------------------------

floats = st.sampled_from(["float16", "float32", "float64", ">f8"]).map(np.dtype)


@given(
    arrays(hnp.array_shapes(min_dims=2, max_dims=3, max_side=6), floats, ("c", "fortran", "every other row")),
    st.lists(
        st.tuples(st.integers(0, 10**6), st.sampled_from([math.nan, math.inf, -math.inf])), min_size=1, max_size=4
    ),
)
def test_not_finite_says_how_many_and_where(x, bad):
    x = x.copy()
    for place, value in bad:
        x.flat[place % x.size] = value
    places = np.argwhere(~np.isfinite(x))
    row, *rest = places[0].tolist()
    where = f"row {row}, column {rest[0]}" if len(rest) == 1 else f"row {row}, position {tuple(rest)}"
    count = f"{len(places)} of its {x.size} value"
    # Chunks so small that the first bad value is not always in the first one.
    with (
        mock.patch.object(intake_module, "CHUNK", 7),
        pytest.raises(ValueError, match="x: expected finite values") as caught,
    ):
        as_input(x, dtype="float64")
    message = str(caught.value)
    assert count in message
    assert message.endswith(f"the first is {x[tuple(places[0])]} at {where}")


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 8191, 8192, 20_000, 29_999])
def test_not_finite_in_a_large_array(value, place):
    x = np.ones((10_000, 3), "float32")
    x.flat[place] = value
    with pytest.raises(ValueError, match=rf"1 of its 30000 values is .* at row {place // 3}, column {place % 3}$"):
        as_input(x)


def test_large_values_are_finite():
    """Their squares are not, which must neither warn nor refuse."""
    as_input(np.full((3, 4), 3e38, "float32"))
    as_input(np.full((3, 4), -1e308), dtype="float64")
    as_input(np.full((3, 4), 3e38))


def test_values_that_do_not_fit_the_model():
    x = np.array([[1.0, 2.0], [1e300, -1e39]])
    assert np.shares_memory(as_input(x, dtype="float64"), x)
    message = r"range of float32; 2 of its 4 values are too large, the first is 1e\+300 at row 1, column 0"
    with pytest.raises(ValueError, match=f"^x: expected values within the {message}$"):
        as_input(x)
    with pytest.raises(ValueError, match="y: expected values within the range of float32"):
        as_dense_targets(x, "y", 2, (2,))
    with pytest.raises(ValueError, match="sample_weight: expected values within the range of float32"):
        as_weights([1.0, 1e300], "sample_weight", 2)


def test_a_long_double_beyond_float64_is_refused():
    if np.finfo(np.longdouble).max == np.finfo(float).max:
        pytest.skip("long double is float64 here")
    with pytest.raises(ValueError, match="x: expected finite values"):
        as_input(np.array([[1, np.finfo(np.longdouble).max]], np.longdouble), dtype="float64")


# ---- dense targets -------------------------------------------------------------------------------------------


@given(arrays(), st.sampled_from(["float32", "float64"]))
def test_dense_targets(y, dtype):
    original = np.asarray(y)
    shape = original.shape[1:] or (1,)
    with np.errstate(over="ignore"):
        expected = original.astype(dtype).reshape(len(original), *shape)
    assume(np.isfinite(expected).all())
    result = as_dense_targets(y, "y", len(original), shape, dtype)
    assert result.dtype == dtype
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, expected)


def test_only_narrow_dense_targets_are_copied():
    for width in (3, 16, 17, 300):
        y = np.ones((4, width), "float32")
        assert np.shares_memory(as_dense_targets(y, "y", 4, (width,), "float32"), y) == (width > 16)
    assert as_dense_targets(y[:, 0].copy(), "y", 4, (1,)).shape == (4, 1)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.ones((5, 3)), "y: expected 4 rows, as many as x has, got 5"),
        (np.ones((1, 3)), "y: expected 4 rows, as many as x has, got 1"),
        (np.ones((4, 2)), "y: expected 3 columns, got 2"),
        (np.ones(4), "y: expected 3 columns, got 1"),
        (
            np.arange(4),
            "y: expected 3 columns, got 1; for labels given as integers use the loss 'sparse_categorical_crossentropy'",
        ),
        (np.ones((4, 3, 2)), r"y: expected rows of shape \(3,\), got \(3, 2\)"),
        (
            np.full((4, 3), np.nan),
            "y: expected finite values; 12 of its 12 values are NaN or infinite, .* at row 0, column 0",
        ),
    ],
)
def test_dense_targets_refused(y, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        as_dense_targets(y, "y", 4, (3,))


# ---- labels --------------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=20),
    st.sampled_from([*(n for n in NAMES if n != "bool"), "float16", "longdouble", ">i2"]),
    st.sampled_from([name for name in LAYOUTS if name not in ("broadcast", "a list")]),
    st.booleans(),
)
def test_labels(labels, dtype, layout, column):
    y = np.array(labels, dtype)
    result = as_labels(LAYOUTS[layout](y[:, None] if column else y), "y", len(labels), 10)
    assert result.dtype == np.int64
    assert result.shape == (len(labels),)
    assert result.flags.c_contiguous
    assert result.tolist() == labels


def test_labels_of_other_kinds():
    assert as_labels([True, False], "y", 2, 2).tolist() == [1, 0]
    assert as_labels([-0.0, 2.0], "y", 2, 3).tolist() == [0, 2]
    y = np.array([0, 1, 2])
    assert not np.shares_memory(as_labels(y, "y", 3, 3), y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1, 3], "y: expected labels from 0 to 2, got 3 at row 2"),
        ([0, -1, 3], "y: expected labels from 0 to 2, got -1 at row 1"),
        (np.array([0, 1, -1], np.int8), "y: expected labels from 0 to 2, got -1 at row 2"),
        (np.array([0, 2**64 - 1, 1], np.uint64), "y: expected labels from 0 to 2, got 18446744073709551615 at row 1"),
        ([0.0, 1e300, 1.0], r"y: expected labels from 0 to 2, got 1e\+300 at row 1"),
        ([0.0, 1.0, 0.5], r"y: expected whole numbers, the labels of classes, got 0\.5 at row 2"),
        ([0.0, np.nan, 1.0], "y: expected finite values; 1 of its 3 values is NaN or infinite, .* nan at row 1"),
        ([0.0, 1.0, -np.inf], "y: expected finite values; 1 of its 3 values is NaN or infinite, .* -inf at row 2"),
        ([0, 1], "y: expected 3 rows, as many as x has, got 2"),
        (
            np.eye(3),
            r"y: expected labels, .* got shape \(3, 3\); for one-hot rows use the loss 'categorical_crossentropy'",
        ),
        (np.zeros((3, 1, 1)), r"y: expected labels, one a row, of shape \(n,\) or \(n, 1\), got shape \(3, 1, 1\).*"),
        ([], r"y: expected a non-empty array, got shape \(0,\)"),
    ],
)
def test_labels_refused(y, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        as_labels(y, "y", 3, 3)


def test_labels_given_as_strings():
    with pytest.raises(TypeError, match=r"^y: expected booleans, integers or floats, got dtype <U3: encode strings"):
        as_labels(["cat", "dog"], "y", 2, 2)


def test_more_classes_than_the_dtype_can_count():
    assert as_labels(np.array([0, 127], np.int8), "y", 2, 100_000).tolist() == [0, 127]
    assert as_labels(np.array([0, 127], np.float16), "y", 2, 100_000).tolist() == [0, 127]


@given(arrays(st.tuples(st.integers(1, 6)), dtypes), st.integers(1, 300))
def test_no_bad_label_gets_through(y, classes):
    values = [float(v) for v in np.asarray(y)]
    good = all(v.is_integer() and 0 <= v < classes for v in values)
    try:
        result = as_labels(y, "y", len(values), classes)
    except ValueError:
        assert not good
    else:
        assert result.tolist() == values


# ---- weights -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("w", [[0, 1, 2], [[0], [1], [2]], np.arange(6, dtype=np.int8)[::2] // 2, (0.0, 1.0, 2.0)])
def test_weights(w, dtype):
    result = as_weights(w, "sample_weight", 3, dtype)
    assert result.dtype == dtype
    assert result.shape == (3,)
    assert result.flags.c_contiguous
    assert result.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("w", "message"),
    [
        ([1.0, -2.0, 3.0], r"sample_weight: expected weights from 0, got -2\.0 at row 1"),
        (
            [1.0, np.nan, 3.0],
            "sample_weight: expected finite values; 1 of its 3 values is NaN or infinite, .* nan at row 1",
        ),
        ([1, 2], "sample_weight: expected 3 rows, as many as x has, got 2"),
        (
            np.ones((3, 2)),
            r"sample_weight: expected weights of shape \(n,\) or \(n, 1\), got shape \(3, 2\)",
        ),
    ],
)
def test_weights_refused(w, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        as_weights(w, "sample_weight", 3)


# ---- several arrays ------------------------------------------------------------------------------------------


@given(st.integers(1, 300), st.floats(0, 1, exclude_max=True))
def test_split_is_keras_split(n, fraction):
    x, y = np.arange(2 * n).reshape(n, 2), np.arange(n)
    cut = math.floor(n * (1.0 - fraction))
    if fraction and cut in (0, n):
        with pytest.raises(
            ValueError, match=r"^validation_split: .* leaves none of the \d+ rows? to (train|validate) on$"
        ):
            train_validation_split([x, y, None], fraction)
        return
    train, validation = train_validation_split([x, y, None], fraction)
    if not fraction:
        assert validation is None
        assert train[0] is x
        return
    assert train[2] is validation[2] is None
    for array, a, b in zip((x, y), train, validation, strict=False):
        np.testing.assert_array_equal(a, array[:cut])
        np.testing.assert_array_equal(b, array[cut:])
        assert np.shares_memory(a, array)
        assert np.shares_memory(b, array)


@pytest.mark.parametrize("fraction", [1, 1.0, -0.1, math.nan, math.inf, 2])
def test_split_out_of_range(fraction):
    with pytest.raises(ValueError, match=r"^validation_split: expected a number in \[0, 1\), got"):
        train_validation_split([np.ones(10)], fraction)


@pytest.mark.parametrize("fraction", ["0.2", None, [0.2]])
def test_split_by_no_number(fraction):
    with pytest.raises(TypeError, match=r"^validation_split: expected a number, got"):
        train_validation_split([np.ones(10)], fraction)
