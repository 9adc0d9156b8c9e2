"""Factorisations by NumPy, matrices without an inverse, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import ops

rng = np.random.default_rng(3)
X = rng.normal(size=(2, 4, 3))
SQUARES = rng.normal(size=(2, 3, 3))


def test_factors_multiply_to_the_matrix() -> None:
    u, s, v = (part.numpy() for part in ops.svd(X, full_matrices=False))
    np.testing.assert_allclose(u * s[:, None] @ v, X, rtol=1e-12)
    q, r = (part.numpy() for part in ops.qr(X))
    np.testing.assert_allclose(q @ r, X, rtol=1e-12)
    symmetric = SQUARES + SQUARES.swapaxes(1, 2)
    values, vectors = (part.numpy() for part in ops.eigh(symmetric))
    np.testing.assert_allclose(vectors * values[:, None] @ vectors.swapaxes(1, 2), symmetric, atol=1e-12)
    factors, pivots = (part.numpy() for part in ops.lu_factor(SQUARES))
    product = (np.tril(factors, -1) + np.eye(3)) @ np.triu(factors)
    for matrix, swaps, rows in zip(SQUARES, pivots, product, strict=True):
        expected = matrix.copy()
        for k, other in enumerate(swaps):
            expected[[k, other]] = expected[[other, k]]
        np.testing.assert_allclose(rows, expected, rtol=1e-12)


def test_numbers_of_numpy() -> None:
    np.testing.assert_allclose(ops.pinv(X).numpy(), np.linalg.pinv(X), rtol=1e-10)
    assert ops.matrix_rank(np.ones((3, 3))).item() == 1
    found = ops.lstsq(X[0], X[0] @ [1.0, 2.0, 3.0]).numpy()
    np.testing.assert_allclose(found, [1.0, 2.0, 3.0], rtol=1e-10)
    for order in (2, -2, "nuc"):
        np.testing.assert_allclose(ops.norm(X, order, (1, 2)).numpy(), np.linalg.norm(X, order, (1, 2)), rtol=1e-12)


def test_singular_matrices() -> None:
    x = np.ones((2, 2))
    assert ops.det(x).item() == 0
    assert [part.item() for part in ops.slogdet(x)] == [0, -np.inf]
    assert np.isnan(ops.inv(x).numpy()).all()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ops.inv(X), ValueError, r"x: expected square matrices \(\.\.\., n, n\), got shape \(2, 4, 3\)"),
        (lambda: ops.cholesky(-np.eye(2)), ValueError, "x: expected positive definite matrices"),
        (lambda: ops.det([1.0]), ValueError, "x: expected square matrices"),
        (lambda: ops.svd(nb.Parameter(X)), TypeError, "svd: expected matrices that are known"),
        (lambda: ops.qr(X, "raw"), ValueError, "mode: expected 'reduced' or 'complete', got 'raw'"),
        (lambda: ops.eigh(nb.Input((3, 3))), TypeError, "eigh: expected matrices that are known"),
        (lambda: ops.norm(X, "nuc", 1), ValueError, "ord: expected a number for vectors, got 'nuc'"),
        (lambda: ops.norm(X, 1), ValueError, r"axis: expected an axis or two, got None for shape \(2, 4, 3\)"),
        (lambda: ops.normalize(X, order=0), ValueError, "order: expected a positive integer, got 0"),
    ],
    ids=lambda value: "",
)
def test_errors(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_factorisations_of_constants_beside_gradients() -> None:
    x = nb.Parameter(X)
    assert ops.svd(ops.stop_gradient(x), compute_uv=False).shape == (2, 3)
