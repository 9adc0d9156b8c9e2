"""Layers of several inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb

RNG = np.random.default_rng(0)
A, B, C = (RNG.normal(size=(3, 2, 4)) for _ in range(3))
REFERENCES: dict[str, Any] = {
    "Add": lambda *xs: sum(xs),
    "Multiply": lambda *xs: np.prod(xs, 0),
    "Average": lambda *xs: np.mean(xs, 0),
    "Maximum": lambda *xs: np.max(xs, 0),
    "Minimum": lambda *xs: np.min(xs, 0),
}


def layer_of(name: str, /, **kwargs: Any) -> Any:
    return getattr(nb.layers, name)(dtype="float64", **kwargs)


@pytest.mark.parametrize("name", REFERENCES)
def test_merging(name: str) -> None:
    for inputs in ([A], [A, B], [A, B, C]):
        y = layer_of(name)([nb.tensor(x) for x in inputs]).numpy()
        np.testing.assert_allclose(y, REFERENCES[name](*inputs), rtol=1e-12)
    function = getattr(nb.layers, name.lower())
    np.testing.assert_array_equal(function([nb.tensor(A), nb.tensor(B)], dtype="float64").numpy(),
                                  layer_of(name)([nb.tensor(A), nb.tensor(B)]).numpy())  # fmt: skip


def test_subtract() -> None:
    np.testing.assert_array_equal(layer_of("Subtract")([nb.tensor(A), nb.tensor(B)]).numpy(), A - B)
    with pytest.raises(ValueError, match="a list of two tensors"):
        layer_of("Subtract")([nb.tensor(A), nb.tensor(B), nb.tensor(C)])


def test_samples_broadcast() -> None:
    row, square = A[:, 0], RNG.normal(size=(3, 3))
    y = layer_of("Add")([nb.tensor(A), nb.tensor(row)]).numpy()
    np.testing.assert_array_equal(y, A + row[:, None])
    # As many rows as features: the batch's axis is not mistaken for one of the sample.
    cube = RNG.normal(size=(3, 3, 3))
    y = layer_of("Multiply")([nb.tensor(square), nb.tensor(cube)]).numpy()
    np.testing.assert_array_equal(y, square[:, None] * cube)


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_concatenate(axis: int) -> None:
    y = layer_of("Concatenate", axis=axis)([nb.tensor(A), nb.tensor(B), nb.tensor(C)]).numpy()
    np.testing.assert_array_equal(y, np.concatenate([A, B, C], axis))


@pytest.mark.parametrize("axes", [1, -1, (1, 1), [1, -1]])
def test_dot(axes: Any) -> None:
    a, b = A[:, 0], B[:, 0]
    found = layer_of("Dot", axes=axes)([nb.tensor(a), nb.tensor(b)]).numpy()
    np.testing.assert_allclose(found, (a * b).sum(1, keepdims=True))
    cosine = layer_of("Dot", axes=axes, normalize=True)([nb.tensor(a), nb.tensor(b)]).numpy()
    lengths = np.linalg.norm(a, axis=1, keepdims=True) * np.linalg.norm(b, axis=1, keepdims=True)
    np.testing.assert_allclose(cosine, (a * b).sum(1, keepdims=True) / lengths)


@pytest.mark.parametrize(
    ("axes", "a", "b", "sums"),
    [
        ((2, 1), (3, 2, 4), (3, 4, 5), "nij,njk->nik"),
        ((1, 2), (3, 4, 2), (3, 5, 4), "nji,nkj->nik"),
        (-1, (3, 2, 4), (3, 5, 4), "nij,nkj->nik"),
        (1, (3, 4), (3, 4, 5), "nj,njk->nk"),
        ((2, 1), (3, 5, 4), (3, 4), "nij,nj->ni"),
        ((1, -2), (3, 4, 2, 6), (3, 5, 4, 2), "njia,nkjb->niakb"),
    ],
)
def test_dot_of_more_axes(axes: Any, a: Any, b: Any, sums: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=a), rng.normal(size=b)
    found = layer_of("Dot", axes=axes)([nb.tensor(x), nb.tensor(y)]).numpy()
    np.testing.assert_allclose(found, np.einsum(sums, x, y), rtol=1e-5, atol=1e-6)
    first, second = (axes, axes) if isinstance(axes, int) else axes
    x, y = (z / np.linalg.norm(z, axis=k, keepdims=True) for z, k in ((x, first), (y, second)))
    found = layer_of("Dot", axes=axes, normalize=True)([nb.tensor(x), nb.tensor(y)]).numpy()
    np.testing.assert_allclose(found, np.einsum(sums, x, y), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [*REFERENCES, "Subtract", "Concatenate"])
def test_configuration(name: str) -> None:
    layer = layer_of(name, name="mine")
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layer_of("Add")(nb.tensor(A)), "expected a list"),
        (lambda: layer_of("Add")([nb.tensor(A), nb.tensor(B[:2])]), "one number of rows"),
        (lambda: layer_of("Add")([nb.tensor(A), nb.tensor(B[:, :, :3])]), "do not broadcast"),
        (lambda: layer_of("Concatenate", axis=0), "not 0, the batch's"),
        (lambda: layer_of("Concatenate", axis=-3)([nb.tensor(A), nb.tensor(B)]), "the batch's"),
        (lambda: layer_of("Concatenate")([nb.tensor(A), nb.tensor(B[:, :1])]), "differ elsewhere"),
        (lambda: layer_of("Dot", axes=[1, 2, 1]), "expected an integer or a pair"),
        (lambda: layer_of("Dot", axes=3)([nb.tensor(A), nb.tensor(B)]), "out of range, or the batch's"),
        (lambda: layer_of("Dot", axes=(0, 1))([nb.tensor(A), nb.tensor(B)]), "out of range, or the batch's"),
        (lambda: layer_of("Dot", axes=(1, 2))([nb.tensor(A), nb.tensor(B)]), "different lengths"),
        (lambda: layer_of("Dot", axes=1)([nb.tensor(A[:, 0])]), "at least 2"),
    ],
)
def test_errors(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
