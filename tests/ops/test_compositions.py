"""Functions that are formulas of ops: values against NumPy, gradients by finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

import nbnet as nb
from nbnet.engine.graph.tape import Trace
from tests.ops.later_compositions import LATER_SMOOTH, LATER_STEPS

Array = NDArray[Any]
rng = np.random.default_rng(5)
X = rng.normal(size=(4, 3)) * 2
Y = rng.normal(size=(4, 3)) + 3
CUBE = rng.normal(size=(2, 3, 4))

#: The call, its arguments, and NumPy's answer. Gradients are checked for every array.
SMOOTH: dict[str, tuple[Callable[..., Any], tuple[Array, ...], Callable[..., Array]]] = {
    "average": (nb.ops.average, (X,), np.mean),
    "average of an axis": (
        lambda x, w: nb.ops.average(x, 1, w),
        (X, np.array([1.0, 2.0, 0.5])),
        lambda x, w: np.average(x, 1, w),
    ),
    "average of the first axis": (
        lambda x, w: nb.ops.average(x, 0, w),
        (X, np.array([1.0, 2.0, 0.5, 3.0])),
        lambda x, w: np.average(x, 0, w),
    ),
    "average with weights like x": (
        lambda x, w: nb.ops.average(x, -1, w),
        (X, np.abs(Y)),
        lambda x, w: np.average(x, -1, w),
    ),
    "broadcast_to": (lambda x: nb.ops.broadcast_to(x, (2, 4, 3)), (X,), lambda x: np.broadcast_to(x, (2, 4, 3))),
    "clip": (lambda x: nb.ops.clip(x, -1.0, 1.5), (X,), lambda x: np.clip(x, -1, 1.5)),
    "dot of vectors": (nb.ops.dot, (X[0], Y[0]), np.dot),
    "dot of a matrix and a vector": (nb.ops.dot, (X, Y[0]), np.dot),
    "dot of matrices": (nb.ops.dot, (X, Y.T), np.dot),
    "dot with a number": (nb.ops.dot, (X, np.array(3.0)), np.dot),
    "divide_no_nan": (nb.ops.divide_no_nan, (X, Y), np.divide),
    "exp2": (nb.ops.exp2, (X,), np.exp2),
    "expand_dims": (lambda x: nb.ops.expand_dims(x, (0, -1)), (X,), lambda x: np.expand_dims(x, (0, -1))),
    "flip": (nb.ops.flip, (X,), np.flip),
    "flip one axis": (lambda x: nb.ops.flip(x, -1), (X,), lambda x: np.flip(x, -1)),
    "heaviside": (nb.ops.heaviside, (X, Y), np.heaviside),
    "hstack": (lambda x, y: nb.ops.hstack([x, y]), (X, Y), lambda x, y: np.hstack([x, y])),
    "hstack of vectors": (lambda x, y: nb.ops.hstack([x, y]), (X[0], Y[1]), lambda x, y: np.hstack([x, y])),
    "log10": (nb.ops.log10, (Y,), np.log10),
    "log2": (nb.ops.log2, (Y,), np.log2),
    "logaddexp": (nb.ops.logaddexp, (X, Y), np.logaddexp),
    "logsumexp": (nb.ops.logsumexp, (X,), special.logsumexp),
    "logsumexp of axes": (
        lambda x: nb.ops.logsumexp(x, (0, -1), keepdims=True),
        (CUBE,),
        lambda x: special.logsumexp(x, (0, -1), keepdims=True),
    ),
    "max": (lambda x: nb.ops.max(x, (0, 2)), (CUBE,), lambda x: x.max((0, 2))),
    "min": (lambda x: nb.ops.min(x, 1, keepdims=True), (CUBE,), lambda x: x.min(1, keepdims=True)),
    "mod": (nb.ops.mod, (X * 3, Y), np.mod),
    "moveaxis": (lambda x: nb.ops.moveaxis(x, 0, -1), (CUBE,), lambda x: np.moveaxis(x, 0, -1)),
    "norm": (nb.ops.norm, (X,), np.linalg.norm),
    "norm of order 1": (lambda x: nb.ops.norm(x, 1, axis=1), (X,), lambda x: np.linalg.norm(x, 1, 1)),
    "largest": (lambda x: nb.ops.norm(x, np.inf, axis=1), (X,), lambda x: np.linalg.norm(x, np.inf, 1)),
    "normalize": (nb.ops.normalize, (X,), lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)),
    "normalize by sums": (lambda x: nb.ops.normalize(x, 0, 1), (X,), lambda x: x / np.abs(x).sum(0, keepdims=True)),
    "outer": (nb.ops.outer, (X[0], Y[0]), np.outer),
    "pad": (lambda x: nb.ops.pad(x, [(1, 0), (0, 2)], constant_values=7.0), (X,), lambda x: padded(x)),
    "ravel": (nb.ops.ravel, (X,), np.ravel),
    "reciprocal": (nb.ops.reciprocal, (Y,), np.reciprocal),
    "repeat": (lambda x: nb.ops.repeat(x, 2), (X,), lambda x: np.repeat(x, 2)),
    "repeat parts": (lambda x: nb.ops.repeat(x, [1, 0, 2], 1), (X,), lambda x: np.repeat(x, [1, 0, 2], 1)),
    "roll": (lambda x: nb.ops.roll(x, -2), (X,), lambda x: np.roll(x, -2)),
    "roll an axis": (lambda x: nb.ops.roll(x, 1, -1), (X,), lambda x: np.roll(x, 1, -1)),
    "rsqrt": (nb.ops.rsqrt, (Y,), lambda x: 1 / np.sqrt(x)),
    "squeeze": (nb.ops.squeeze, (X[:, None, :, None],), np.squeeze),
    "squeeze an axis": (lambda x: nb.ops.squeeze(x, -1), (X[..., None],), lambda x: np.squeeze(x, -1)),
    "stack": (lambda x, y: nb.ops.stack([x, y, x], -1), (X, Y), lambda x, y: np.stack([x, y, x], -1)),
    "std": (lambda x: nb.ops.std(x, 1), (X,), lambda x: x.std(1)),
    "swapaxes": (lambda x: nb.ops.swapaxes(x, 0, -1), (CUBE,), lambda x: np.swapaxes(x, 0, -1)),
    "tile": (lambda x: nb.ops.tile(x, (2, 1, 3)), (X,), lambda x: np.tile(x, (2, 1, 3))),
    "var": (lambda x: nb.ops.var(x, 0, keepdims=True), (X,), lambda x: x.var(0, keepdims=True)),
    "vstack": (lambda x, y: nb.ops.vstack([x, y]), (X[0], Y), lambda x, y: np.vstack([x, y])),
    "where": (lambda x, y: nb.ops.where(X > 0, x, y), (X, Y), lambda x, y: np.where(X > 0, x, y)),
    "where with a row": (lambda x, y: nb.ops.where(X > 0, x, y), (X, Y[0]), lambda x, y: np.where(X > 0, x, y)),
    "split": (lambda x: nb.ops.stack(nb.ops.split(x, 3, -1)), (X,), lambda x: np.stack(np.split(x, 3, -1))),
    "split at": (
        lambda x: nb.ops.concatenate(nb.ops.split(x, [1, -1], 0)[::-1]),
        (X,),
        lambda x: np.concatenate(np.split(x, [1, -1])[::-1]),
    ),
    "unstack": (lambda x: nb.ops.stack(nb.ops.unstack(x, 3, 1)), (X,), lambda x: x.T),
    "moments": (lambda x: nb.ops.stack(nb.ops.moments(x, 0)), (X,), lambda x: np.stack([x.mean(0), x.var(0)])),
}


def padded(x: Array) -> Array:
    return np.pad(x, [(1, 0), (0, 2)], constant_values=7)


SMOOTH |= LATER_SMOOTH


@pytest.mark.parametrize("name", SMOOTH)
def test_values_and_gradients(name: str) -> None:
    function, arrays, reference = SMOOTH[name]
    xs = [nb.Parameter(a) for a in arrays]
    wanted = reference(*arrays)
    weights = np.random.default_rng(1).normal(size=wanted.shape)
    with nb.Tape() as tape:
        y = function(*xs)
        z = nb.ops.sum(y * weights)
    assert y.shape == wanted.shape
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-12)
    for k, (a, d) in enumerate(zip(arrays, tape.gradient(z, xs), strict=True)):
        direction = np.random.default_rng(2 + k).normal(size=a.shape)

        def along(h: float, k: int = k, a: Array = a, direction: Array = direction) -> Any:
            moved = [a + h * direction if j == k else b for j, b in enumerate(arrays)]
            return (reference(*moved) * weights).sum()

        slope = (along(1e-6) - along(-1e-6)) / 2e-6
        found = 0.0 if d is None else (d.numpy() * direction).sum()
        assert found == pytest.approx(slope, rel=1e-6, abs=1e-7), f"argument {k}"


@pytest.mark.parametrize("name", LATER_SMOOTH)
def test_shapes_alone_are_enough(name: str) -> None:
    function, arrays, reference = SMOOTH[name]
    with Trace():
        y = function(*(nb.Tensor(a.shape, a.dtype) for a in arrays))
    assert y.shape == reference(*arrays).shape
    assert y.data is None


@pytest.mark.parametrize("name", LATER_STEPS)
def test_values_without_gradients(name: str) -> None:
    function, arrays, reference = LATER_STEPS[name]
    wanted = np.asarray(reference(*arrays))
    y = function(*(nb.Parameter(a) for a in arrays))
    assert not y.requires_grad
    assert y.shape == wanted.shape
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-12)


A, B = np.array([0.0, 2.0, np.nan, -1.0]), np.array([0.0, 0.0, 1.0, np.inf])


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (nb.ops.logical_and(A, B), np.logical_and(A, B)),
        (nb.ops.logical_or(A, B), np.logical_or(A, B)),
        (nb.ops.logical_xor(A, B), np.logical_xor(A, B)),
        (nb.ops.logical_not(A), np.logical_not(A)),
        (nb.ops.isnan(A), np.isnan(A)),
        (nb.ops.isinf(B), np.isinf(B)),
        (nb.ops.isfinite(np.r_[A, B]), np.isfinite(np.r_[A, B])),
        (nb.ops.nan_to_num(np.r_[A, B, -np.inf], 7.0), np.nan_to_num(np.r_[A, B, -np.inf], nan=7.0)),
        (nb.ops.isclose(np.r_[A, B], np.r_[A, B] + 1e-9), np.isclose(np.r_[A, B], np.r_[A, B] + 1e-9)),
        (nb.ops.any(X > 1, 1), (X > 1).any(1)),
        (nb.ops.all(X > -1, 0, keepdims=True), (X > -1).all(0, keepdims=True)),
        (nb.ops.count_nonzero(X > 0, 0), np.count_nonzero(X > 0, 0)),
        (nb.ops.floor_divide(X, Y), X // Y),
        (nb.ops.argmax(X, -1), X.argmax(-1)),
        (nb.ops.argmin(X), X.argmin()),
        (nb.ops.argsort(X, 0), X.argsort(0)),
        (nb.ops.one_hot([[0, 3], [1, -1]], 3, axis=1), np.moveaxis(np.eye(4)[[[0, 3], [1, 3]]][..., :3], -1, 1)),
        (nb.ops.eye(3, 4, 1), np.eye(3, 4, 1)),
        (nb.ops.arange(1.0, 3.0, 0.5), np.arange(1, 3, 0.5)),
        (nb.ops.linspace(0.0, 1.0, 4, endpoint=False), np.linspace(0, 1, 4, endpoint=False)),
        (nb.ops.logsumexp([-np.inf, -np.inf]), -np.inf),
        (nb.ops.logsumexp([[np.inf, 1.0], [-np.inf, 1.0]], axis=1), [np.inf, 1.0]),
        (
            nb.ops.logaddexp([np.inf, -np.inf, np.inf, -np.inf], [np.inf, -np.inf, 1.0, 1.0]),
            [np.inf, -np.inf, np.inf, 1],
        ),
        (nb.ops.heaviside([np.nan, 0.0, -1.0], 0.5), [np.nan, 0.5, 0.0]),
        (nb.ops.isclose([1.0, np.inf, -np.inf, np.inf], [np.inf, 1.0, np.inf, np.inf]), [0, 0, 0, 1]),
        (nb.ops.full_like(X, 2.0), np.full_like(X, 2)),
        (nb.ops.zeros_like(X), np.zeros_like(X)),
        (nb.ops.ones((2, 3), "float64"), np.ones((2, 3))),
        (nb.ops.cast(X * 3, "int32"), (X * 3).astype("int32")),
    ],
    ids=lambda value: "",
)
def test_what_has_no_gradient(found: nb.Tensor, wanted: Array) -> None:
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)
    assert not found.requires_grad


def test_no_gradient_flows_where_it_is_stopped() -> None:
    x = nb.Parameter([1.0, -2.0])
    with nb.Tape() as tape:
        y = nb.ops.sum(x * nb.ops.stop_gradient(x) + nb.ops.floor(x) + nb.ops.greater(x, 0.0))
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), x.numpy())
    with nb.Tape() as tape:
        y = nb.ops.sign(x)
    assert tape.gradient(y, x) is None


def test_a_gradient_that_was_not_taken_is_zero_and_no_nan() -> None:
    x = nb.Parameter([-1.0, 4.0])
    with nb.Tape() as tape:
        y = nb.ops.where(nb.ops.greater(x, 0.0), nb.ops.sqrt(nb.ops.maximum(x, 1.0)), 0.0)
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), [0.0, 0.25])
    with nb.Tape() as tape:
        y = nb.ops.normalize(nb.Parameter([[0.0, 0.0]]) * x)
    assert np.isfinite(tape.gradient(y, x).numpy()).all()


def test_division_by_zero_gives_zero_and_no_nan() -> None:
    x, y = nb.Parameter([1.0, 2.0]), nb.Parameter([0.0, 4.0])
    with nb.Tape() as tape:
        z = nb.ops.divide_no_nan(x, y)
    assert z.numpy().tolist() == [0.0, 0.5]
    dx, dy = tape.gradient(z, [x, y])
    assert (dx.numpy().tolist(), dy.numpy().tolist()) == ([0.0, 0.25], [0.0, -0.125])


def test_equal_elements_share_the_gradient_of_max() -> None:
    x = nb.Parameter([[1.0, 1.0, 0.0], [2.0, 1.0, 0.0]])
    with nb.Tape() as tape:
        y = nb.ops.max(x, 1)
    assert tape.gradient(y, x).numpy().tolist() == [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]
    assert np.isnan(nb.ops.max([1.0, np.nan, 0.0]).item())
    assert np.isnan(nb.ops.min([np.nan, 1.0]).item())


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nb.ops.max(np.zeros((2, 0)), 1), ValueError, "expected at least one element"),
        (lambda: nb.ops.expand_dims(X, 3), ValueError, "axis: 3 is out of range for 3 axes"),
        (lambda: nb.ops.squeeze(X, 0), ValueError, r"axis: only axes of length 1 .* got 0 for shape \(4, 3\)"),
        (lambda: nb.ops.split(X, 3), ValueError, "4 elements cannot be cut in 3 equal parts"),
        (lambda: nb.ops.unstack(X, 3), ValueError, "num: axis 0 has 4 parts, got 3"),
        (lambda: nb.ops.broadcast_to(X, (3,)), ValueError, r"\(4, 3\)"),
        (lambda: nb.ops.pad(X, -1), ValueError, "pad_width: expected numbers from 0, got -1"),
        (lambda: nb.ops.pad(X, [1, 2, 3]), ValueError, "pad_width: expected a number, a pair, or 2 pairs"),
        (lambda: nb.ops.pad(X, 1, "mean"), ValueError, "mode: expected one of"),
        (lambda: nb.ops.pad(X, 1, "edge", 2.0), ValueError, "constant_values: expected None with mode 'edge', got 2.0"),
        (lambda: nb.ops.pad(X[:0], 1, "edge"), ValueError, "mode: 'edge' needs at least one element along axis 0"),
        (lambda: nb.ops.roll(X, (1, 2, 3), (0, 1)), ValueError, "shift: expected one for each of 2 axes, got 3"),
        (lambda: nb.ops.moveaxis(X, (0, 1), 0), ValueError, "source, destination: expected as many different axes"),
        (lambda: nb.ops.moments(X, 0, synchronized=True), ValueError, "synchronized: expected False"),
        (lambda: nb.ops.norm(X, 3), ValueError, "ord: expected 'fro'"),
        (lambda: nb.ops.dot(X, Y[:, 0]), ValueError, r"dot: expected x1 .* got .4, 3. and .4,."),
        (lambda: nb.ops.cast(nb.Parameter(X), "float32"), TypeError, "cannot change their dtype; expected float64"),
        (lambda: nb.ops.where(X > 0, X, Y[:2]), ValueError, "broadcast"),
        (lambda: nb.ops.where(X > 0, X), ValueError, r"x1, x2: expected the elements to choose from, or neither"),
    ],
    ids=lambda value: "",
)
def test_errors(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_zeros_like_what_is_not_finite() -> None:
    x = nb.Parameter([np.nan, np.inf, 1.0])
    assert nb.ops.zeros_like(x).numpy().tolist() == [0.0, 0.0, 0.0]
    assert nb.ops.ones_like(x, "float64").dtype == np.float64
    y = nb.ops.where([[True], [False]], nb.Parameter([np.nan, np.inf]), -np.inf)
    np.testing.assert_array_equal(y.numpy(), [[np.nan, np.inf], [-np.inf, -np.inf]])


def test_sizes_and_places_may_be_arrays() -> None:
    parts = nb.ops.split(X, np.array([1, 3]))
    assert [part.shape for part in parts] == [(1, 3), (2, 3), (1, 3)]
    assert [part.shape for part in nb.ops.array_split(X, np.array([3]))] == [(3, 3), (1, 3)]
    np.testing.assert_array_equal(
        nb.ops.roll(X, np.array([1, 2]), np.array([0, 1])).numpy(), np.roll(X, (1, 2), (0, 1))
    )


def test_edges() -> None:
    assert nb.ops.max(np.zeros((2, 0)), 1, initial=3.0).numpy().tolist() == [3.0, 3.0]
    assert nb.ops.min(np.zeros((0,)), initial=-3.0).item() == -3.0
    infinite = nb.ops.hypot([np.inf, np.nan, -np.inf, 0.0], [np.nan, 1.0, 1.0, 0.0]).numpy()
    np.testing.assert_array_equal(infinite, [np.inf, np.nan, np.inf, 0.0])
    assert (nb.ops.sort(3.0).item(), nb.ops.argsort(3.0).item()) == (3.0, 0)
    assert nb.ops.nanmean([1.0, np.inf, np.nan]).item() == np.inf
    assert nb.ops.nanquantile([np.inf, np.nan, np.inf], 0.5, method="lower").item() == np.inf
    assert nb.ops.average(X, (0,), [1.0, 0.0, 0.0, 0.0]).numpy().tolist() == X[0].tolist()


def test_numbers_come_in_the_dtype_that_is_asked_for() -> None:
    assert nb.ops.full((), 0.1, "float64").item() == 0.1
    assert nb.ops.full((), 2**24 + 1, "int64").item() == 2**24 + 1
    assert nb.ops.linspace(0.0, 0.3, 2, dtype="float64").numpy().tolist() == [0.0, 0.3]
    assert nb.ops.ones_like(nb.ops.arange(3)).dtype == np.int64


def test_the_average_of_what_is_infinite() -> None:
    assert nb.ops.average([np.inf, 1.0], weights=[1.0, 1.0]).item() == np.inf


def test_shapes_and_conversions() -> None:
    t = nb.tensor(X)
    assert (nb.ops.shape(t), nb.ops.ndim(t), nb.ops.size([[1, 2]])) == ((4, 3), 2, 2)
    assert nb.ops.convert_to_tensor(t) is t
    assert nb.ops.convert_to_tensor([1, 2], "int32").dtype == np.int64
    assert nb.ops.cast(t, "float64") is t
    own = nb.ops.convert_to_numpy(t)
    own[...] = 0
    assert t.numpy().any()


def test_symbols_go_through_compositions() -> None:
    inputs = nb.Input((4,))
    features, rest = nb.ops.split(inputs, [3], axis=-1)
    y = nb.ops.concatenate([nb.ops.expand_dims(features, -1), nb.ops.ones_like(features)[..., None]], -1)
    assert (nb.ops.shape(inputs), rest.shape, y.shape) == ((None, 4), (None, 1), (None, 3, 2))
