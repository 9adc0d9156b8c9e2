"""Computed places: what is out of range, and integers that are no integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import ops

X = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ops.take_along_axis(X, [[3]], 1), IndexError, "indices: 3 is out of range for 3 elements"),
        (lambda: ops.take_along_axis(X, [[0.5]], 1), TypeError, "indices: expected integers, got float64"),
        (lambda: ops.take_along_axis(X, [0], 1), ValueError, r"indices: expected as many axes as x of shape \(2, 3\)"),
        (lambda: ops.take_along_axis(X, [[1 << 63]], 1), ValueError, "at most 63 bits"),
        (lambda: ops.scatter([[2]], [1.0], (2,)), IndexError, "indices: 2 is out of range for 2 elements"),
        (lambda: ops.scatter([[0, -1]], [1.0], (2, 2)), IndexError, "indices: -1 is out of range"),
        (lambda: ops.scatter([[0]], [1.0, 2.0], (2,)), ValueError, r"values: expected 1 parts of shape \(\), got"),
        (lambda: ops.scatter([0, 1], [1.0], (2,)), ValueError, r"indices: expected \(\.\.\., k\)"),
        (lambda: ops.scatter_update(X, [[0]], X[:1], "sum"), ValueError, "reduction: expected None or one of"),
        (lambda: ops.segment_sum(X, [0]), ValueError, r"segment_ids: expected one integer for each row of \(2, 3\)"),
        (lambda: ops.segment_sum(X, [0, 1], -1), ValueError, "num_segments: expected an integer from 0, got -1"),
        (lambda: ops.slice(X, [0, 2], (2, 2)), ValueError, r"start_indices: a block of shape \(2, 2\)"),
        (lambda: ops.slice(X, [0], (2, 2)), ValueError, "expected one number for each axis"),
        (lambda: ops.slice_update(X, [1, 2], X), ValueError, "start_indices: a block"),
        (lambda: ops.top_k(X, 4), ValueError, "k: expected an integer from 0 to 3, got 4"),
        (lambda: ops.argpartition(X, 3), ValueError, "kth: 3 is out of range for 3 elements"),
        (lambda: ops.quantile(X, 1.5), ValueError, "q: expected numbers from 0 to 1, got 1.5"),
        (lambda: ops.quantile(X, 0.5, method="cubic"), ValueError, "method: expected one of"),
        (lambda: ops.quantile(X[:0], 0.5), ValueError, "x: expected at least one element"),
        (lambda: ops.argmax(X[:0]), ValueError, "expected at least one element"),
        (lambda: ops.searchsorted(X, 1.0), ValueError, r"sorted_sequence: expected a vector, got shape \(2, 3\)"),
        (lambda: ops.digitize(1.0, [2.0, 1.0]), ValueError, "bins: expected limits in ascending order"),
        (lambda: ops.diff(X, -1), ValueError, "n: expected an integer from 0, got -1"),
        (lambda: ops.cumsum(X, 2), ValueError, "axis: 2 is out of range for 2 axes"),
    ],
    ids=lambda value: "",
)
def test_errors(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def model_of(function: Callable[[Any, Any], Any]) -> nb.Model:
    x, places = nb.Input((3,)), nb.Input((2,), dtype="int64")
    return nb.Model([x, places], function(x, places))


def test_places_that_a_model_computes_are_compared_in_the_kernel() -> None:
    chosen = model_of(lambda x, places: ops.take_along_axis(x, places, 1))
    given = [X.astype("float32"), np.array([[0, -1], [3, -4]])]
    np.testing.assert_array_equal(chosen.predict(given, verbose=0), [[0.0, 2.0], [np.nan, np.nan]])
    with pytest.raises(IndexError, match="indices: 3 is out of range for 3 elements"):
        chosen(given)
    rows = nb.Tensor((3,), "int64", np.array([0, 5, -1]))
    np.testing.assert_array_equal(ops.segment_sum([1.0, 2.0, 4.0], rows, 2).numpy(), [1.0, 0.0])


def test_nan_comes_last_and_equal_elements_keep_their_order() -> None:
    x = [2.0, np.nan, 1.0, 2.0, 1.0]
    assert ops.argsort(x).numpy().tolist() == [2, 4, 0, 3, 1]
    assert ops.top_k(x, 3)[1].numpy().tolist() == [1, 0, 3]
    assert ops.argmax(x).item() == 1
    assert ops.argmin([2.0, 1.0, 1.0]).item() == 1
    assert np.isnan(ops.median([[1.0, np.nan], [1.0, 2.0]], 1).numpy()).tolist() == [True, False]


def test_labels_that_a_model_gets_as_vectors() -> None:
    labels, sets = nb.Input((2,), dtype="int64"), nb.Input((2,))
    model = nb.Model([labels, sets], [ops.one_hot(labels, 3), ops.one_hot(labels, 3, axis=1), ops.multi_hot(sets, 3)])
    x = np.array([[0, 2], [3, -1]])
    hot, turned, several = model.predict([x, np.array([[0.0, 1.0], [2.0, 7.0]])], verbose=0)
    np.testing.assert_array_equal(hot, [[[1, 0, 0], [0, 0, 1]], [[0, 0, 0], [0, 0, 0]]])
    np.testing.assert_array_equal(turned, hot.swapaxes(1, 2))
    np.testing.assert_array_equal(several, [[1, 1, 0], [0, 0, 1]])


def test_empty_segments_and_sequences() -> None:
    x = np.zeros((0, 2))
    assert ops.segment_max(x, np.zeros(0, int), 1).numpy().tolist() == [[-np.inf, -np.inf]]
    assert ops.segment_sum(x, [], 1).numpy().tolist() == [[0.0, 0.0]]
    assert ops.prod(x, 0).numpy().tolist() == [1.0, 1.0]
    assert ops.sort(x, 0).shape == (0, 2)
    assert ops.cumsum(x, 0).shape == (0, 2)


def test_training_through_what_is_sorted() -> None:
    inputs = nb.Input((4,))
    best, where = ops.top_k(nb.layers.Dense(5, kernel_initializer="he_normal")(inputs), 2)
    again = ops.take_along_axis(ops.cumsum(best, 1), ops.argsort(best), -1)
    model = nb.Model(inputs, [nb.layers.Dense(1)(again), where])
    model.compile("adam", ["mse", None])
    rng = np.random.default_rng(0)
    history = model.fit(rng.normal(size=(32, 4)), rng.normal(size=(32, 1)), epochs=8, batch_size=8, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_bits() -> None:
    assert ops.bitwise_invert([6, 3, -4]).numpy().tolist() == [-7, -4, 3]
    with pytest.raises(TypeError, match="x: expected integers or booleans, got float64"):
        ops.bitwise_invert(X)
    x, values = nb.Input((3,), dtype="int32"), np.array([[1, -6, 5]])
    model = nb.Model(x, [x << 2, 2 << nb.ops.abs(x), x >> 1, ops.bitwise_invert(x), ops.column_stack([x[:, 2], x])])
    expected = [values << 2, 2 << np.abs(values), values >> 1, ~values, [[5, 1, -6, 5]]]
    for found, wanted in zip(model.predict(values, verbose=0), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert (ops.convert_to_tensor([1, 2]) << np.array([True, False])).numpy().tolist() == [2, 2]
    assert [part.numpy().tolist() for part in ops.where([[0, 1], [2, 0]])] == [[0, 1], [1, 0]]
    assert ops.concatenate([[[1, 2]], [3]], axis=None).numpy().tolist() == [1, 2, 3]


INTEGERS = np.array([[3, -1, 2], [0, 5, -4]])


@pytest.mark.parametrize(
    ("name", "operands"),
    [
        *[
            (name, 1)
            for name in ("abs", "max", "min", "sum", "sign", "square", "negative", "flip", "transpose", "ravel")
        ],
        *[(name, 2) for name in ("add", "subtract", "multiply", "maximum", "minimum", "floor_divide", "mod")],
        ("clip", 3),
        ("where", 3),
    ],
)
def test_integers_stay_integers(name: str, operands: int) -> None:
    """Of arrays, lists and numbers, as of tensors; beside floats they are floats."""
    others = {1: (), 2: (2,), 3: (0, 4)}[operands]
    call, wanted = getattr(ops, name), getattr(np, name)
    for given in (INTEGERS, INTEGERS.tolist(), INTEGERS.astype("int32"), ops.convert_to_tensor(INTEGERS)):
        found = call(given, *others)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found.numpy(), wanted(INTEGERS, *others))
    if operands > 1:
        assert (
            call(INTEGERS, *others[:-1], 2.0).dtype == call(INTEGERS, *others[:-1], np.float32(2)).dtype == np.float32
        )


def test_counts_and_divisors() -> None:
    x = np.array([[1, 2, 2], [0, 3, 3]])
    np.testing.assert_array_equal(ops.bincount(x).numpy(), [[0, 1, 2, 0], [1, 0, 0, 2]])
    np.testing.assert_array_equal(ops.gcd(x, 6).numpy(), np.gcd(x, 6))
    np.testing.assert_array_equal(ops.lcm(x, 4).numpy(), np.lcm(x, 4))
    np.testing.assert_array_equal(ops.left_shift(x, 3).numpy(), x << 3)
    np.testing.assert_array_equal(ops.right_shift(x, 1).numpy(), x >> 1)
    np.testing.assert_array_equal([part.numpy() for part in ops.nonzero(x)], np.nonzero(x))
    np.testing.assert_array_equal([p.numpy() for p in ops.unravel_index(x, (2, 3))], np.unravel_index(x, (2, 3)))
    counts, limits = ops.histogram(x, 3, (0, 3))
    np.testing.assert_array_equal(counts.numpy(), np.histogram(x, 3, (0, 3))[0])
    np.testing.assert_allclose(limits.numpy(), [0, 1, 2, 3])
    found = [part.numpy() for part in ops.unique(x, return_index=True, return_inverse=True, return_counts=True)]
    for mine, theirs in zip(found, np.unique(x, True, True, True), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert ops.unique([3, 1], size=4, fill_value=7).numpy().tolist() == [1, 3, 7, 7]
    assert ops.nextafter(1.0, 2.0).item() > 1.0


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ops.bincount([-1]), ValueError, "x: expected integers from 0, got -1"),
        (lambda: ops.bincount([1], [1.0, 2.0]), ValueError, r"weights: expected one for each integer, shape \(1,\)"),
        (lambda: ops.bincount([1], sparse=True), ValueError, "sparse: expected False"),
        (lambda: ops.histogram([1.0], 0), ValueError, "bins: expected a positive number, got 0"),
        (lambda: ops.unique(nb.Input((2,))), TypeError, "unique: expected values that are known"),
        (lambda: ops.unravel_index([6], (2, 3)), ValueError, "indices: expected integers below 6, got 6 to 6"),
        (lambda: ops.gcd([1.5], 2), TypeError, "x1: expected integers, got float64"),
        (lambda: ops.multi_hot([1]), ValueError, "num_classes: expected the number of classes"),
        (lambda: ops.fori_loop(0, 3, None, 0) and None, TypeError, "not callable"),
        (lambda: ops.switch(0, []), ValueError, "branches: expected at least one function"),
        (lambda: ops.scan(lambda c, x: (c, x), 0), ValueError, "length: expected a number of turns"),
        (lambda: ops.map(lambda x: x, nb.tensor(1.0)), ValueError, "xs: expected tensors with first axes"),
    ],
    ids=lambda value: "",
)
def test_errors_of_counts_and_loops(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()
