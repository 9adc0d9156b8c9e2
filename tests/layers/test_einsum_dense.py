"""EinsumDense: shapes of its weights, values, the scale of its first weights, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb

CASES: list[tuple[str, str | None, tuple[int, ...], Any, tuple[int, ...], tuple[int, ...] | None]] = [
    ("ab,b->a", None, (2, 32), (), (32,), None),
    ("ab,bc->ac", None, (2, 32), 64, (32, 64), None),
    ("abc,cde->abde", "e", (2, 1, 2), (1, 3, 4), (2, 3, 4), (4,)),
    ("abc,cde->abde", "d", (2, 1, 2), (1, 3, 4), (2, 3, 4), (3, 1)),
    ("abc,cde->abde", "be", (2, 7, 2), (7, 3, 4), (2, 3, 4), (7, 1, 4)),
    ("BFNH,NHD->BFD", "D", (2, 1, 2, 3), (1, 4), (2, 3, 4), (4,)),
    ("abc,cd->abd", "d", (2, 5, 2), (None, 4), (2, 4), (4,)),
    ("...b,bc->...c", "c", (2, 32), (64,), (32, 64), (64,)),
    ("...b,bc->...c", "c", (2, 3, 4, 5), 6, (5, 6), (6,)),
    ("...ab,abc->...c", None, (2, 3, 4, 5), 6, (4, 5, 6), None),
    ("ab...,bc->ac...", "c", (2, 3, 4), 5, (3, 5), (5, 1)),
    ("abc,bcd->abd", "b", (2, 3, 4), (3, 5), (3, 4, 5), (3, 1)),
]


@pytest.mark.parametrize(("equation", "bias_axes", "shape", "output", "kernel", "bias"), CASES)
def test_values(equation: str, bias_axes: Any, shape: Any, output: Any, kernel: Any, bias: Any) -> None:
    rng = np.random.default_rng(0)
    layer = nb.layers.EinsumDense(equation, output, bias_axes=bias_axes, bias_initializer="ones", dtype="float64")
    x = rng.normal(size=shape)
    y = layer(x).numpy()
    weights = layer.get_weights()
    assert [w.shape for w in weights] == [kernel] + ([bias] if bias else [])
    np.testing.assert_allclose(y, np.einsum(equation, x, weights[0]) + (1 if bias else 0), rtol=1e-10, atol=1e-12)


def test_the_scale_of_the_kernel_counts_the_axes_that_are_summed() -> None:
    """Glorot's limit is sqrt(6 / (inputs + outputs)): 20 and 50, whatever the order of the axes."""
    for equation, shape in (("abc,bcd->ad", (50,)), ("abc,dbc->ad", (50,))):
        layer = nb.layers.EinsumDense(equation, shape)
        layer.build((None, 4, 5))
        largest = np.abs(layer.get_weights()[0]).max()
        assert 0.97 * np.sqrt(6 / 70) < largest <= np.sqrt(6 / 70)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ab,bc", 4), "equation: expected a form"),
        (("ab...,bc->...ac", 4), "equation: expected a form"),
        (("a1,bc->ac", 4), "equation: expected a form"),
        (("abc,cd->abd", 4), "output_shape: expected sizes of 'bd'"),
        (("abc,cd->abd", (4, 4)), "output_shape: expected 5 along 'b'"),
        (("abc,cd->abe", (5, 4)), r"has \['e'\] in the result alone"),
        (("abc,cde->abd", (5, 4)), r"has \['e'\] in the kernel alone"),
        (("ab,bc->ac", 4), "is not for inputs of shape"),
        (("abcd,bc->ac", 4), "is not for inputs of shape"),
        (("abc,cde->abde", (5, None, 4)), "the size of .d. .* must be known"),
        (("abc,cd->abd", (5, 0)), "output_shape: expected an integer from 1"),
        (("abc,cd->abd", (5, 4), None, "x"), "bias_axes: expected letters of the result"),
        (("abc,cd->abd", (5, 4), None, ""), "bias_axes: expected letters of the result or None"),
    ],
)
def test_errors(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nb.layers.EinsumDense(*arguments)(np.zeros((2, 5, 3)))


def test_it_trains_and_loads(tmp_path: Any) -> None:
    nb.set_random_seed(0)
    layer = nb.layers.EinsumDense("abc,bcd->ad", 4, activation="tanh", bias_axes="d")
    model = nb.Sequential([nb.Input((3, 2)), layer, nb.layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(64, 3, 2))
    model.compile(nb.optimizers.Adam(0.02), "mse")
    losses = model.fit(x, x.sum((1, 2)), epochs=60, verbose=0).history["loss"]
    assert losses[-1] < 0.3 * losses[0]
    model.save(tmp_path / "m.nbnet")
    loaded = nb.load_model(tmp_path / "m.nbnet")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
