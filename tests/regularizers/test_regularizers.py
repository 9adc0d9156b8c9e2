"""Regularizers agree with Keras's formulas and have their gradients."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
from nbnet import regularizers
from nbnet.regularizers import L1, L1L2, L2, OrthogonalRegularizer, Regularizer

Array = NDArray[Any]


def orthogonal(x: Array, factor: float) -> float:
    unit = x / np.maximum(np.sqrt((x**2).sum(1, keepdims=True)), 1e-7)
    product = np.abs(unit @ unit.T)
    n = len(x)
    return float(factor * 0.5 * (product.sum() - np.trace(product)) / (n * (n - 1) / 2))


TABLE: list[tuple[Regularizer, Callable[[Array], float]]] = [
    (L1(), lambda x: 0.01 * np.abs(x).sum()),
    (L1(0.3), lambda x: 0.3 * np.abs(x).sum()),
    (L2(), lambda x: 0.01 * (x**2).sum()),
    (L2(0.3), lambda x: 0.3 * (x**2).sum()),
    (L1L2(), lambda x: 0.0),
    (L1L2(0.2, 0.3), lambda x: 0.2 * np.abs(x).sum() + 0.3 * (x**2).sum()),
    (OrthogonalRegularizer(), lambda x: orthogonal(x, 0.01)),
    (OrthogonalRegularizer(0.5, "columns"), lambda x: orthogonal(x.T, 0.5)),
]
every = pytest.mark.parametrize(("regularizer", "formula"), TABLE, ids=[repr(r) for r, _ in TABLE])


def away_from_zero(*shape: int) -> Array:
    rng = np.random.default_rng(0)
    return rng.uniform(0.1, 2, shape) * rng.choice([-1.0, 1.0], shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every
def test_follows_the_formula(regularizer: Regularizer, formula: Callable[[Array], float], dtype: str) -> None:
    x = away_from_zero(7, 5).astype(dtype)
    y = regularizer(x)
    assert y.shape == ()
    assert y.dtype == dtype
    np.testing.assert_allclose(y.item(), formula(x.astype(np.float64)), 1e-6 if dtype == "float32" else 1e-13)


@every
def test_gradient(regularizer: Regularizer, formula: Callable[[Array], float]) -> None:
    x, direction, h = away_from_zero(7, 5), away_from_zero(5, 7).T, 1e-6
    w = nb.Parameter(x)
    with nb.Tape() as tape:
        y = regularizer(w)
    found = (tape.gradient(y, w).numpy() * direction).sum()
    numeric = (formula(x + h * direction) - formula(x - h * direction)) / (2 * h)
    np.testing.assert_allclose(found, numeric, rtol=1e-6, atol=1e-9)


def test_sums_of_many_float32_stay_accurate() -> None:
    x = np.full(3_000_000, 0.1, np.float32)
    np.testing.assert_allclose(L1(1.0)(x).item(), np.float64(x[0]) * len(x), 3e-5)


def test_slope_at_zero_is_zero() -> None:
    w = nb.Parameter(np.zeros(3))
    with nb.Tape() as tape:
        y = L1L2(1.0, 1.0)(w)
    np.testing.assert_array_equal(tape.gradient(y, w).numpy(), np.zeros(3))


def test_rows_of_zeros_are_orthogonal_to_all() -> None:
    w = nb.Parameter(np.array([[0.0, 0.0], [1.0, 1.0]]))
    with nb.Tape() as tape:
        y = OrthogonalRegularizer(1.0)(w)
    assert y.item() == 0.0
    assert np.isfinite(tape.gradient(y, w).numpy()).all()


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2), (1, 4)])
def test_orthogonality_expects_a_matrix(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="OrthogonalRegularizer: expected"):
        OrthogonalRegularizer()(np.ones(shape))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("l1", L1(0.01)),
        ("L1", L1(0.01)),
        ("l2", L2(0.01)),
        ("L2", L2(0.01)),
        ("l1_l2", L1L2(0.01, 0.01)),
        ("l1l2", L1L2(0.01, 0.01)),
        ("L1L2", L1L2(0.01, 0.01)),
        ("orthogonal_regularizer", OrthogonalRegularizer()),
        ("OrthogonalRegularizer", OrthogonalRegularizer()),
        (L2, L2(0.01)),
        (L2(0.5), L2(0.5)),
        (None, None),
    ],
)
def test_names(name: Any, wanted: Regularizer | None) -> None:
    assert regularizers.get(name) == wanted


def test_keras_aliases() -> None:
    assert regularizers.l1_l2(l1=0.1, l2=0.2) == L1L2(0.1, 0.2)
    assert regularizers.l1 is L1
    assert regularizers.l2 is L2
    assert regularizers.orthogonal_regularizer is OrthogonalRegularizer


@every
def test_config_goes_round(regularizer: Regularizer, formula: Any) -> None:
    config = json.loads(json.dumps(regularizers.serialize(regularizer)))
    assert regularizers.get(config) == regularizer
    assert regularizers.deserialize(config) == regularizer
    assert type(regularizer).from_config(regularizer.get_config()) == regularizer


def test_functions_and_classes_of_ones_own() -> None:
    def mine(x: Any) -> Any:
        return nb.ops.sum(x * x)

    class Mine(Regularizer):
        def __call__(self, x: Any) -> Any:
            return mine(x)

    assert regularizers.get(mine) is mine
    assert regularizers.deserialize(regularizers.serialize(mine), {"mine": mine}) is mine
    assert isinstance(regularizers.deserialize(regularizers.serialize(Mine()), {"Mine": Mine}), Mine)
    assert regularizers.serialize(None) is None
    assert regularizers.deserialize(None) is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L1(-1.0), ValueError, "l1: expected a finite number from 0"),
        (lambda: L2(float("inf")), ValueError, "l2"),
        (lambda: L1L2("a"), TypeError, "l1: expected a number"),
        (lambda: OrthogonalRegularizer(mode="diagonals"), ValueError, "mode"),
        (lambda: OrthogonalRegularizer(-1.0), ValueError, "factor"),
        (lambda: regularizers.get("l3", "kernel_regularizer"), ValueError, "kernel_regularizer: 'l3' is not known"),
        (lambda: regularizers.get(3), TypeError, "regularizer"),
    ],
)
def test_arguments_are_checked(make: Callable[[], Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make()
