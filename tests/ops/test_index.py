"""``x[...]`` and ``take`` along any axis, against NumPy; gradients go back to where elements came from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb

X = np.arange(60.0).reshape(4, 3, 5)
NAN = float("nan")


def gradient(x: nb.Tensor, function: Any) -> tuple[Any, Any]:
    """The value of a function, and the gradient of its sum with weights that tell elements apart."""
    with nb.Tape() as tape:
        y = function(x)
        z = y * np.arange(1.0, y.size + 1).reshape(y.shape)
    return y.numpy(), tape.gradient(z, x).numpy()


def returned(shape: tuple[int, ...], numbers: Any) -> Any:
    """The expected gradient: weights 1, 2, ... added up where the elements with these numbers lie."""
    wanted = np.zeros(shape)
    np.add.at(wanted.reshape(-1), numbers.reshape(-1), np.arange(1.0, numbers.size + 1))
    return wanted


KEYS: list[Any] = [
    (slice(None), 0),
    (slice(None), slice(1, 3)),
    (slice(None), slice(None), slice(None, None, -2)),
    (..., -1),
    (..., slice(2, 4), 0),
    (0, 1, 2),
    (1, slice(0, 1)),
    None,
    ...,
    (slice(None), None, 1),
    (None, ..., None),
    (slice(None), [0, 2, 2]),
    (slice(1, 3), slice(None), np.array([[0, 1], [4, -1]])),
    (slice(None), np.array([True, False, True])),
    (..., slice(3, 1)),
    (),
    # Places for several axes are read together.
    ([0, -1], [1, 2]),
    (0, slice(None), [1, 2]),
    (slice(None), [0, 1], [1, 0]),
    ([0, 1], slice(None), [[1], [0]]),
    ([0, -1], None, [1, 2]),
    (slice(1, 3), 1, np.array([0, 2])),
    (..., np.array([True, False, True]), 1),
]


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_getting_items_agrees_with_numpy(key: Any) -> None:
    y, dx = gradient(nb.Parameter(X), lambda x: x[key])
    np.testing.assert_array_equal(y, X[key])
    np.testing.assert_array_equal(dx, returned(X.shape, X[key].astype(int)))


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        ((0, 0, 0, 0), IndexError, "4 keys for a tensor with 3 axes"),
        ((slice(None), 3), IndexError, "3 is out of range for 3 rows"),
        ((slice(None), [0, 3]), IndexError, "3 is out of range"),
        ((slice(None), 1.0), TypeError, "row numbers are integers"),
        (([0, 9], [1, 1]), IndexError, "9 is out of range for 4 rows"),
        (([0.5], [1]), TypeError, "expected integers, known masks and slices"),
    ],
    ids=repr,
)
def test_bad_keys(key: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        nb.tensor(X)[key]


@pytest.mark.parametrize("axis", [0, 1, 2, -1, None])
@pytest.mark.parametrize("indices", [1, [0, 2, 2], np.array([[1, 0], [-1, 2]])], ids=repr)
def test_take_agrees_with_numpy(indices: Any, axis: int | None) -> None:
    y, dx = gradient(nb.Parameter(X), lambda x: nb.ops.take(x, indices, axis))
    wanted = np.take(X, indices, axis)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(dx, returned(X.shape, wanted.astype(int)))


def test_take_names_a_bad_axis() -> None:
    with pytest.raises(ValueError, match="axis: 3 is out of range for 3 axes"):
        nb.ops.take(X, 0, axis=3)


def test_columns_of_a_batch_do_not_keep_it_from_being_sliced() -> None:
    with nb.Tape() as tape:
        nb.Parameter(X)[:, 1:, 0]
    assert not any(node.op.whole_batch for node in tape.nodes)


def test_computed_places_for_several_axes() -> None:
    """Those out of range, which are not known beforehand, give NaN, and not an element of another row."""
    x, labels = nb.Input((5,)), nb.Input((1,), dtype="int32")
    rows = nb.layers.Lambda(lambda p: p[0][nb.ops.arange(nb.ops.shape(p[0])[0]), p[1][:, 0]][:, None])([x, labels])
    data = np.arange(20, dtype="float32").reshape(4, 5)
    found = nb.Model([x, labels], rows).predict([data, np.array([[1], [-1], [4], [0]])], verbose=0)
    np.testing.assert_array_equal(found[:, 0], [1, 9, 14, 15])
    wrong = nb.Model([x, labels], rows).predict([data, np.array([[1], [5], [-6], [0]])], verbose=0)
    np.testing.assert_array_equal(wrong[:, 0], [1, np.nan, np.nan, 15])
