"""Pooling where it is delicate: equal elements, NaN, infinity."""

from __future__ import annotations

import numpy as np

import nbnet as nb


def test_the_first_of_equal_ones_gets_the_gradient() -> None:
    x = nb.Parameter(np.array([[[2.0], [2.0], [1.0], [1.0]]]))
    with nb.Tape() as tape:
        y = nb.ops.sum(nb.ops.max_pool(x, 2))
    np.testing.assert_array_equal(tape.gradient(y, x).numpy().ravel(), [1, 0, 1, 0])


def test_nan_and_infinity_are_passed_on() -> None:
    x = np.array([np.nan, 1, 1, np.nan, -np.inf, -np.inf, np.inf, 0]).reshape(1, 8, 1)
    np.testing.assert_array_equal(nb.ops.max_pool(x, 2).numpy().ravel(), [np.nan, np.nan, -np.inf, np.inf])


def test_overlapping_windows_add_their_gradients() -> None:
    x = nb.Parameter(np.array([[[1.0], [3.0], [2.0]]]))
    with nb.Tape() as tape:
        y = nb.ops.sum(nb.ops.max_pool(x, 2, 1))
    np.testing.assert_array_equal(tape.gradient(y, x).numpy().ravel(), [0, 2, 0])
    with nb.Tape() as tape:
        y = nb.ops.sum(nb.ops.average_pool(x, 2, 1))
    np.testing.assert_array_equal(tape.gradient(y, x).numpy().ravel(), [0.5, 1, 0.5])


def test_window_may_have_more_elements_than_a_byte_counts() -> None:
    x = np.random.default_rng(0).normal(size=(2, 30, 30, 1))
    np.testing.assert_array_equal(nb.ops.max_pool(x, 30).numpy().ravel(), x.max((1, 2, 3)))
