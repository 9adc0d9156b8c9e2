"""Layers that copy: Identity, Permute, RepeatVector."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb

X = np.random.default_rng(0).normal(size=(5, 3, 4, 2)).astype("float32")


def test_identity() -> None:
    np.testing.assert_array_equal(nb.layers.Identity()(X).numpy(), X)


@pytest.mark.parametrize("dims", [(1, 2, 3), (2, 1, 3), (3, 1, 2), (3, 2, 1)])
def test_permute(dims: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(nb.layers.Permute(dims)(X).numpy(), X.transpose(0, *dims))


def test_repeat_vector() -> None:
    x = X[:, :, 0, 0]
    np.testing.assert_array_equal(nb.layers.RepeatVector(4)(x).numpy(), np.repeat(x[:, None], 4, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nb.layers.Permute((0, 1, 2)), "each number from 1"),
        (lambda: nb.layers.Permute((1, 1, 2)), "each number from 1"),
        (lambda: nb.layers.Permute((2, 1))(X), "do not fit"),
        (lambda: nb.layers.RepeatVector(0), "n: expected an integer from 1"),
        (lambda: nb.layers.RepeatVector(2)(X), "expected an input"),
    ],
)
def test_errors(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_reshaping_samples_of_open_size() -> None:
    x = nb.Input(batch_shape=(2, None))
    y = nb.layers.Reshape((3, 5))(x)
    assert y.shape == (2, 3, 5)
    assert nb.layers.Reshape((-1, 8))(nb.Input((None, 2))).shape == (None, None, 8)
    model = nb.Model(x, nb.layers.Dense(1, kernel_initializer="ones")(y))
    assert model.output_names == [model.layers[-1].name]
    data = np.arange(30.0, dtype="float32").reshape(2, 15)
    np.testing.assert_array_equal(model.predict(data, verbose=0)[..., 0], data.reshape(2, 3, 5).sum(-1))
    for use in (lambda: model.predict(data[:, :14]), lambda: nb.layers.Reshape((3, 5))(nb.Input((4,)))):
        with pytest.raises(ValueError, match=r"target_shape: \(3, 5\) does not fit samples of shape \((14|4),\)"):
            use()
