"""One-hot rows, norms, padding, splitting, windows: against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet.utils import normalize, pad_sequences, split_dataset, to_categorical


@pytest.mark.parametrize("shape", [(), (4,), (4, 1), (2, 3), (0, 3)])
def test_to_categorical(shape):
    labels = np.random.default_rng(0).integers(0, 5, shape)
    rows = to_categorical(labels, 5)
    kept = labels[..., 0] if labels.ndim > 1 and labels.shape[-1] == 1 else labels
    assert rows.dtype == np.float32
    assert np.array_equal(rows, np.eye(5)[kept])


def test_the_number_of_classes_is_found():
    assert to_categorical([0, 3]).shape == (2, 4)
    assert to_categorical(np.array([1.0, 0.0])).tolist() == [[0, 1], [1, 0]]
    assert to_categorical(np.array([[True], [False]])).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("x", "classes", "error", "text"),
    [
        ([0, 5], 5, ValueError, "x: expected class numbers from 0 to 4, got 5"),
        ([-1, 0], None, ValueError, "x: .* got -1"),
        ([0.5], None, TypeError, "x: expected class numbers, integers from 0, got float64"),
        (["a"], None, TypeError, "x: expected class numbers"),
        ([], None, (TypeError, ValueError), "num_classes"),
    ],
)
def test_bad_class_numbers(x, classes, error, text):
    with pytest.raises(error, match=text):
        to_categorical(x, classes)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_normalize(order, axis):
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    x[1], x[:, 1] = 0, 0
    y = normalize(x, axis, order)
    norms = np.linalg.norm(x, order, axis, keepdims=True)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y * norms, x, rtol=1e-6)
    assert np.isfinite(y).all()
    with pytest.raises(TypeError, match="x: expected real numbers"):
        normalize(["a"])


SEQUENCES = [[1], [2, 3, 4], []]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({}, [[0, 0, 1], [2, 3, 4], [0, 0, 0]]),
        ({"padding": "post"}, [[1, 0, 0], [2, 3, 4], [0, 0, 0]]),
        ({"maxlen": 2}, [[0, 1], [3, 4], [0, 0]]),
        ({"maxlen": 2, "truncating": "post", "value": 9}, [[9, 1], [2, 3], [9, 9]]),
        ({"maxlen": 4, "padding": "post", "dtype": "float32"}, [[1, 0, 0, 0], [2, 3, 4, 0], [0, 0, 0, 0]]),
    ],
)
def test_pad_sequences(arguments, wanted):
    rows = pad_sequences(SEQUENCES, **arguments)
    assert rows.tolist() == wanted
    assert rows.dtype == arguments.get("dtype", "int32")


def test_pad_sequences_of_vectors():
    rows = pad_sequences([[[1, 1]], [[2, 1], [2, 2], [2, 3]]], maxlen=2, value=7)
    assert rows.tolist() == [[[7, 7], [1, 1]], [[2, 2], [2, 3]]]
    with pytest.raises(ValueError, match="sequences: expected elements of one shape"):
        pad_sequences([[[1, 1]], [2]])


def test_pad_sequences_names_a_bad_side():
    with pytest.raises(ValueError, match="padding: expected 'pre' or 'post', got 'left'"):
        pad_sequences(SEQUENCES, padding="left")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sizes", "lengths"),
    [
        ({"left_size": 0.75}, (6, 2)),
        ({"left_size": 3}, (3, 5)),
        ({"right_size": 3}, (5, 3)),
        ({"left_size": 2, "right_size": 0.25}, (2, 2)),
    ],
)
def test_split_dataset(sizes, lengths):
    x, y = np.arange(16).reshape(8, 2), np.arange(8)
    (left_x, left_y), (right_x, right_y) = split_dataset((x, y), **sizes)
    assert (len(left_x), len(right_x)) == lengths
    assert np.array_equal(np.r_[left_y, right_y], np.arange(sum(lengths)))
    assert np.array_equal(np.r_[left_x, right_x], x[: sum(lengths)])


def test_split_dataset_keeps_the_structure_and_shuffles():
    data = {"a": np.arange(50), "b": -np.arange(50)}
    left, right = split_dataset(data, 0.5, shuffle=True, seed=3)
    assert sorted([*left["a"], *right["a"]]) == list(range(50))
    assert np.array_equal(left["a"], -left["b"])
    assert not np.array_equal(left["a"], np.arange(25))
    assert np.array_equal(left["a"], split_dataset(data, 0.5, shuffle=True, seed=3)[0]["a"])
    nb.set_random_seed(1)
    one = split_dataset(np.arange(50), 0.5, shuffle=True)[0]
    nb.set_random_seed(1)
    assert np.array_equal(one, split_dataset(np.arange(50), 0.5, shuffle=True)[0])


@pytest.mark.parametrize(
    ("dataset", "sizes", "text"),
    [
        (([1, 2], [1]), {"left_size": 1}, r"dataset: expected arrays of one length, got \[2, 1\]"),
        ([1, 2], {}, "left_size: expected a size here or in right_size, got None"),
        (np.arange(3), {"left_size": 4}, "left_size: expected at most the 3 rows of the dataset, got 4 and -1"),
        (np.arange(3), {"left_size": 1.5}, r"left_size: expected a number in \(0, 1\), got 1.5"),
    ],
)
def test_bad_splits(dataset, sizes, text):
    with pytest.raises(ValueError, match=text):
        split_dataset(tuple(map(np.array, dataset)) if isinstance(dataset, tuple) else np.array(dataset), **sizes)


def test_windows_of_a_series_end_where_keras_ends_them():
    data = np.arange(10)
    dataset = nb.utils.timeseries_dataset_from_array(data, data * 10, 3, sequence_stride=2, sampling_rate=2)
    x, y = dataset[0]
    assert (x.tolist(), y.tolist()) == ([[0, 2, 4], [2, 4, 6], [4, 6, 8]], [0, 20, 40])
    alone = nb.utils.timeseries_dataset_from_array(data, None, 9, batch_size=1, start_index=1)
    assert [b.tolist() for b in alone] == [[[1, 2, 3, 4, 5, 6, 7, 8, 9]]]
    single = nb.utils.timeseries_dataset_from_array(data, data * 10, 3, batch_size=None, shuffle=True, seed=1)
    first, second = ([int(y) for _, y in single] for _ in range(2))
    assert first != second
    assert sorted(first) == sorted(second) == list(range(0, 80, 10))


def test_one_hot_rows_of_a_tensor_are_a_tensor():
    rows = to_categorical(nb.ops.convert_to_tensor([0, 2]))
    assert nb.ops.is_tensor(rows)
    assert rows.numpy().tolist() == [[1, 0, 0], [0, 0, 1]]
