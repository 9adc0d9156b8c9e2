"""Every loss against Keras 3's formula, written down once more in NumPy and float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special, stats

import nbnet as nb

Array = NDArray[Any]
EPSILON, N, K = 1e-7, 12, 4


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def probabilities(k: int = K) -> Array:
    return rng().uniform(0.02, 0.98, (N, k))


def real(k: int = K) -> Array:
    return rng().normal(0, 2, (N, k))


def other(k: int = K) -> Array:
    return np.random.default_rng(8).normal(0, 2, (N, k))


def binary(k: int = K) -> Array:
    return np.random.default_rng(8).integers(0, 2, (N, k)).astype(float)


def labels(k: int = K) -> Array:
    return np.random.default_rng(8).integers(0, k, N)


def one_hot(k: int = K) -> Array:
    return np.eye(k)[labels(k)]


def positive(k: int = K) -> Array:
    return np.random.default_rng(9).uniform(0.3, 3, (N, k))


def clipped(p: Array) -> Array:
    return np.clip(p, EPSILON, 1 - EPSILON)


def normalised(p: Array) -> Array:
    return clipped(p / p.sum(-1, keepdims=True))


def unit(x: Array) -> Array:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), EPSILON)


def bce(t: Array, p: Array, a: float = 0.0) -> Array:
    s = t * (1 - a) + 0.5 * a
    return -(s * np.log(clipped(p)) + (1 - s) * np.log(1 - clipped(p)))


def cce(t: Array, q: Array, a: float = 0.0) -> Array:
    return -((t * (1 - a) + a / t.shape[-1]) * np.log(q)).sum(-1)


def binary_focal(t: Array, p: Array, gamma: float = 2.0, a: float = 0.0, alpha: float | None = None) -> Array:
    s = t * (1 - a) + 0.5 * a
    factor = (1 - (s * p + (1 - s) * (1 - p))) ** gamma
    weight = 1.0 if alpha is None else s * alpha + (1 - s) * (1 - alpha)
    return (weight * factor * bce(t, p, a)).mean(-1)


def categorical_focal(t: Array, q: Array, alpha: Any = 0.25, gamma: float = 2.0, a: float = 0.0) -> Array:
    s = t * (1 - a) + a / t.shape[-1]
    return -(np.array(alpha) * (1 - q) ** gamma * s * np.log(q)).sum(-1)


def log1(x: Array) -> Array:
    return np.log(np.maximum(x, EPSILON) + 1)


def sign(t: Array) -> Array:
    return np.where(t == 0, -1, t)


def margin(t: Array, z: Array) -> Array:
    return np.maximum(1 - sign(t) * z, 0)


def pinball(q: Any) -> Callable[[Array, Array], Array]:
    return lambda t, z: np.maximum(q * (t - z), (np.array(q) - 1) * (t - z)).mean(-1)


def gaussian(t: Array, z: Array) -> Array:
    mean, spread = np.split(z, 2, -1)
    return -stats.norm.logpdf(t, mean, np.exp(spread / 2)).mean(-1)


class Row(NamedTuple):
    loss: Callable[..., nb.losses.Loss]
    y_true: Array
    y_pred: Array
    reference: Callable[[Array, Array], Array]


L = nb.losses
ROWS = {
    "mse": Row(L.MeanSquaredError, other(), real(), lambda t, z: ((t - z) ** 2).mean(-1)),
    "mae": Row(L.MeanAbsoluteError, other(), real(), lambda t, z: np.abs(t - z).mean(-1)),
    "mape": Row(
        L.MeanAbsolutePercentageError,
        np.where(binary() > 0, other(), 0.0),
        real(),
        lambda t, z: 100 * (np.abs(t - z) / np.maximum(np.abs(t), EPSILON)).mean(-1),
    ),
    "msle": Row(L.MeanSquaredLogarithmicError, other(), real(), lambda t, z: ((log1(t) - log1(z)) ** 2).mean(-1)),
    "log_cosh": Row(L.LogCosh, other(), 3 * real(), lambda t, z: np.log(np.cosh(z - t)).mean(-1)),
    "huber": Row(lambda **k: L.Huber(1.5, **k), other(), real(), lambda t, z: special.huber(1.5, t - z).mean(-1)),
    "poisson": Row(L.Poisson, positive(), probabilities(), lambda t, z: (z - t * np.log(z + EPSILON)).mean(-1)),
    "hinge of 0 and 1": Row(L.Hinge, binary(), real(), lambda t, z: margin(t, z).mean(-1)),
    "hinge": Row(L.Hinge, 2 * binary() - 1, real(), lambda t, z: np.maximum(1 - t * z, 0).mean(-1)),
    "squared_hinge": Row(L.SquaredHinge, binary(), real(), lambda t, z: (margin(t, z) ** 2).mean(-1)),
    "categorical_hinge": Row(
        L.CategoricalHinge,
        one_hot(),
        real(),
        lambda t, z: np.maximum(((1 - t) * z).max(-1) - (t * z).sum(-1) + 1, 0),
    ),
    "kl_divergence": Row(
        L.KLDivergence,
        np.where(one_hot() > 0, 0.0, probabilities()),
        probabilities(),
        lambda t, p: (np.clip(t, EPSILON, 1) * np.log(np.clip(t, EPSILON, 1) / np.clip(p, EPSILON, 1))).sum(-1),
    ),
    "cosine": Row(
        L.CosineSimilarity,
        np.where(np.arange(N)[:, None] == 3, 0.0, other()),
        real(),
        lambda t, z: -(unit(t) * unit(z)).sum(-1),
    ),
    "quantile": Row(lambda **k: L.Quantile(0.8, **k), other(), real(), pinball(0.8)),
    "quantiles": Row(lambda **k: L.Quantile([0.1, 0.5, 0.9], **k), other(1), real(3), pinball([0.1, 0.5, 0.9])),
    "quantiles of as many": Row(
        lambda **k: L.Quantile([0.1, 0.5, 0.9], **k), other(3), real(3), pinball([0.1, 0.5, 0.9])
    ),
    "gaussian": Row(lambda **k: L.GaussianNegativeLogLikelihood(full=True, **k), other(2), real(4), gaussian),
    "gaussian, no constant": Row(
        L.GaussianNegativeLogLikelihood,
        other(1),
        real(2),
        lambda t, z: gaussian(t, z) - 0.5 * np.log(2 * np.pi),
    ),
    "bce": Row(L.BinaryCrossentropy, binary(), probabilities(), lambda t, p: bce(t, p).mean(-1)),
    "bce smoothed": Row(
        lambda **k: L.BinaryCrossentropy(label_smoothing=0.2, **k),
        binary(1),
        probabilities(1),
        lambda t, p: bce(t, p, 0.2).mean(-1),
    ),
    "bce from logits": Row(
        lambda **k: L.BinaryCrossentropy(True, **k), binary(), real(), lambda t, z: bce(t, special.expit(z)).mean(-1)
    ),
    "binary focal": Row(L.BinaryFocalCrossentropy, binary(), probabilities(), binary_focal),
    "binary focal, gamma 0": Row(
        lambda **k: L.BinaryFocalCrossentropy(gamma=0, **k), binary(), probabilities(), lambda t, p: bce(t, p).mean(-1)
    ),
    "binary focal, balanced": Row(
        lambda **k: L.BinaryFocalCrossentropy(True, 0.3, 1.5, label_smoothing=0.1, **k),
        binary(1),
        probabilities(1),
        lambda t, p: binary_focal(t, p, 1.5, 0.1, 0.3),
    ),
    "binary focal from logits": Row(
        lambda **k: L.BinaryFocalCrossentropy(from_logits=True, **k),
        binary(),
        real(),
        lambda t, z: binary_focal(t, special.expit(z)),
    ),
    "cce": Row(L.CategoricalCrossentropy, one_hot(), probabilities(), lambda t, p: cce(t, normalised(p))),
    "cce smoothed": Row(
        lambda **k: L.CategoricalCrossentropy(label_smoothing=0.1, **k),
        one_hot(),
        probabilities(),
        lambda t, p: cce(t, normalised(p), 0.1),
    ),
    "cce from logits": Row(
        lambda **k: L.CategoricalCrossentropy(True, **k),
        one_hot(),
        real(),
        lambda t, z: cce(t, special.softmax(z, -1)),
    ),
    "categorical focal": Row(
        L.CategoricalFocalCrossentropy,
        one_hot(),
        probabilities(),
        lambda t, p: categorical_focal(t, normalised(p)),
    ),
    "categorical focal, alphas": Row(
        lambda **k: L.CategoricalFocalCrossentropy([0.1, 0.2, 0.3, 0.4], 1.0, label_smoothing=0.1, **k),
        one_hot(),
        probabilities(),
        lambda t, p: categorical_focal(t, normalised(p), [0.1, 0.2, 0.3, 0.4], 1.0, 0.1),
    ),
    "categorical focal from logits": Row(
        lambda **k: L.CategoricalFocalCrossentropy(from_logits=True, **k),
        one_hot(),
        real(),
        lambda t, z: categorical_focal(t, special.softmax(z, -1)),
    ),
    "scce": Row(
        L.SparseCategoricalCrossentropy,
        labels(),
        probabilities(),
        lambda t, p: cce(np.eye(K)[t], normalised(p)),
    ),
    "scce from logits": Row(
        lambda **k: L.SparseCategoricalCrossentropy(True, **k),
        labels(),
        real(),
        lambda t, z: cce(np.eye(K)[t], special.softmax(z, -1)),
    ),
}
each = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
WEIGHTS = np.random.default_rng(1).uniform(0, 2, N)


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_agree_with_the_formula(row: Row, dtype: Any) -> None:
    wanted = row.reference(row.y_true, row.y_pred)
    found = row.loss(reduction=None)(row.y_true, row.y_pred.astype(dtype)).numpy()
    assert found.dtype == dtype
    np.testing.assert_allclose(
        found, wanted, rtol=1e-11 if dtype == np.float64 else 1e-4, atol=1e-6 * np.abs(wanted).max()
    )


@each
@pytest.mark.parametrize("weighted", [False, True])
def test_reductions(row: Row, weighted: bool) -> None:
    each_loss = row.reference(row.y_true, row.y_pred)
    w = WEIGHTS if weighted else np.ones(N)
    sums = {"sum": 1.0, "sum_over_batch_size": N, "mean": N, "mean_with_sample_weight": w.sum()}
    for reduction, divisor in sums.items():
        loss = row.loss(reduction=reduction)
        found = loss(row.y_true, row.y_pred, sample_weight=w if weighted else None)
        assert found.shape == ()
        np.testing.assert_allclose(found.item(), (each_loss * w).sum() / divisor, rtol=1e-10)
    for none in (None, "none"):
        found = row.loss(reduction=none)(row.y_true, row.y_pred, sample_weight=w if weighted else None)
        np.testing.assert_allclose(found.numpy(), each_loss * w, rtol=1e-10, atol=1e-12)


@each
def test_gradients_of_means_agree_with_finite_differences(row: Row) -> None:
    direction, h = rng().normal(0, 1, row.y_pred.shape), 1e-6
    for reduction in ("sum_over_batch_size", "mean_with_sample_weight"):
        loss = row.loss(reduction=reduction)
        z = nb.Parameter(row.y_pred)
        with nb.Tape() as tape:
            value = loss(row.y_true, z, sample_weight=WEIGHTS)
        found = (tape.gradient(value, z).numpy() * direction).sum()
        ends = [loss(row.y_true, row.y_pred + s * h * direction, sample_weight=WEIGHTS).item() for s in (1, -1)]
        np.testing.assert_allclose(found, (ends[0] - ends[1]) / (2 * h), rtol=2e-5, atol=1e-8)


@each
def test_a_loss_is_made_again_from_its_configuration(row: Row) -> None:
    loss = row.loss(reduction="sum", name="mine")
    again = nb.losses.deserialize(nb.losses.serialize(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    assert again.name == "mine"
    assert again(row.y_true, row.y_pred).item() == loss(row.y_true, row.y_pred).item()


@pytest.mark.parametrize("z", [-1e4, -100.0, -30.0, 30.0, 100.0, 1e4])
@pytest.mark.parametrize(
    "loss",
    [
        L.BinaryCrossentropy(True),
        L.BinaryFocalCrossentropy(from_logits=True),
        L.BinaryFocalCrossentropy(from_logits=True, gamma=0.5),
        L.CategoricalCrossentropy(True),
        L.CategoricalFocalCrossentropy(from_logits=True),
        L.CategoricalFocalCrossentropy(from_logits=True, gamma=0.5),
        L.LogCosh(),
        L.Huber(),
    ],
    ids=repr,
)
def test_large_predictions_are_stable(loss: nb.losses.Loss, z: float) -> None:
    t = np.array([[0.0, 1.0], [1.0, 0.0]])
    for dtype in (np.float32, np.float64):
        p = nb.Parameter(np.array([[0.0, z], [z, 0.0]], dtype))
        with nb.Tape() as tape:
            value = loss(t, p)
        assert np.isfinite(value.item())
        assert np.isfinite(tape.gradient(value, p).numpy()).all()
    assert value.item() <= 2.1 * abs(z) or abs(z) < 1


def test_log_cosh_is_accurate_near_zero() -> None:
    e = np.geomspace(1e-6, 3, 50)[:, None]
    found = L.LogCosh(reduction=None)(np.zeros_like(e), e.astype(np.float32)).numpy()
    # log cosh e = log(1 + 2 sinh(e / 2)^2), which does not cancel in float64.
    np.testing.assert_allclose(found, np.log1p(2 * np.sinh(e[:, 0] / 2) ** 2), rtol=2e-6)


@pytest.mark.parametrize(
    ("activation", "plain", "logits"),
    [
        ("sigmoid", L.BinaryCrossentropy(), L.BinaryCrossentropy(True)),
        ("sigmoid", L.BinaryFocalCrossentropy(), L.BinaryFocalCrossentropy(from_logits=True)),
        ("softmax", L.CategoricalCrossentropy(), L.CategoricalCrossentropy(True)),
        ("softmax", L.CategoricalFocalCrossentropy(), L.CategoricalFocalCrossentropy(from_logits=True)),
        ("softmax", L.SparseCategoricalCrossentropy(), L.SparseCategoricalCrossentropy(True)),
    ],
    ids=repr,
)
def test_an_activation_before_the_loss_is_recognised(activation: str, plain: Any, logits: Any) -> None:
    z = nb.Parameter(40 * real())
    t = labels() if plain.sparse else one_hot()
    with nb.Tape():
        found = plain(t, nb.activations.get(activation)(z))
    assert found.item() == logits(t, z).item()


def test_keras_examples() -> None:
    """Numbers that the documentation of Keras shows."""
    t, z = [[0.0, 1.0], [0.0, 0.0]], np.array([[-18.6, 0.51], [2.94, -12.8]])
    assert L.BinaryCrossentropy(True)(t, z).item() == pytest.approx(0.8654, abs=1e-4)
    assert L.BinaryCrossentropy(True)(t, z, sample_weight=[0.8, 0.2]).item() == pytest.approx(0.243, abs=1e-3)
    assert L.BinaryFocalCrossentropy(gamma=3, from_logits=True)(t, z).item() == pytest.approx(0.647, abs=1e-3)
    balanced = L.BinaryFocalCrossentropy(True, gamma=4, from_logits=True, reduction="sum")
    assert balanced(t, z).item() == pytest.approx(0.914, abs=1e-3)
    t, p = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]
    assert L.CategoricalCrossentropy()(t, p, sample_weight=[0.3, 0.7]).item() == pytest.approx(0.814, abs=1e-3)
    assert L.CategoricalFocalCrossentropy()(t, p).item() == pytest.approx(0.23315276, rel=1e-5)
    assert L.SparseCategoricalCrossentropy(reduction="sum")([1, 2], p).item() == pytest.approx(2.354, abs=1e-3)
    assert L.Huber()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]).item() == pytest.approx(0.155)


def test_a_vector_is_one_sample() -> None:
    t, p = [0.0, 1.0, 0.0, 0.0], [-18.6, 0.51, 2.94, -12.8]
    assert L.BinaryCrossentropy(True)(t, p).item() == pytest.approx(0.8654, abs=1e-4)
    assert nb.losses.mean_squared_error([0.0, 2.0], [1.0, 2.0]).shape == ()
    assert L.MeanSquaredError(reduction="sum")([0.0, 2.0], [1.0, 2.0]).item() == 0.5
    assert L.MeanSquaredError()([0.0, 2.0], [1.0, 2.0], sample_weight=3.0).item() == 1.5


def test_losses_of_more_axes() -> None:
    t, z = rng().normal(size=(3, 5, 2)), rng().normal(size=(3, 5, 2)) + 1
    each_loss = ((t - z) ** 2).mean(-1)
    assert nb.losses.mean_squared_error(t, z).shape == (3, 5)
    np.testing.assert_allclose(L.MeanSquaredError()(t, z).item(), each_loss.mean())
    w = np.array([1.0, 0.0, 2.0])
    np.testing.assert_allclose(
        L.MeanSquaredError(reduction="sum")(t, z, sample_weight=w).item(), (each_loss * w[:, None]).sum()
    )
    one_each = rng().uniform(size=(3, 5))
    np.testing.assert_allclose(
        L.MeanSquaredError("mean_with_sample_weight")(t, z, sample_weight=one_each).item(),
        (each_loss * one_each).sum() / one_each.sum(),
    )


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("ignored", [-1, 2, 255])
def test_ignore_class(ignored: int, from_logits: bool) -> None:
    t, z, w = labels(), (real() if from_logits else probabilities()), WEIGHTS
    t = np.where(np.arange(N) % 3 == 0, ignored, t)
    valid = t != ignored
    q = special.softmax(z, -1) if from_logits else normalised(z)
    each_loss = np.where(valid, cce(np.eye(K)[np.where(valid, t, 0)], q), 0.0)
    for reduction, weighted, plain in [
        ("sum", (each_loss * w).sum(), each_loss.sum()),
        ("sum_over_batch_size", (each_loss * w).sum() / valid.sum(), each_loss.sum() / valid.sum()),
        ("mean", (each_loss * w).sum() / valid.sum(), each_loss.sum() / valid.sum()),
        ("mean_with_sample_weight", (each_loss * w).sum() / (w * valid).sum(), each_loss.sum() / valid.sum()),
        (None, each_loss * w, each_loss),
    ]:
        loss = L.SparseCategoricalCrossentropy(from_logits, ignored, reduction)
        np.testing.assert_allclose(loss(t, z, sample_weight=w).numpy(), weighted, rtol=1e-10)
        np.testing.assert_allclose(loss(t, z).numpy(), plain, rtol=1e-10)
    assert L.SparseCategoricalCrossentropy(from_logits, ignored)(np.full(N, ignored), z).item() == 0


def test_ignored_samples_get_no_gradient() -> None:
    z = nb.Parameter(real())
    with nb.Tape() as tape:
        value = L.SparseCategoricalCrossentropy(True, 255)(np.where(np.arange(N) < 3, 255, labels()), z)
    gradient = tape.gradient(value, z).numpy()
    assert not gradient[:3].any()
    assert gradient[3:].all()


def test_labels_that_are_not_ignored_are_still_checked() -> None:
    with pytest.raises(ValueError, match="labels from 0 to 3, got 7"):
        L.SparseCategoricalCrossentropy(ignore_class=255)([255, 7], np.ones((2, 4)))


def test_weights_of_zero_give_no_loss() -> None:
    weights = nb.tensor(np.zeros(N))
    loss = L.MeanSquaredError("mean_with_sample_weight")
    assert loss(other(), nb.tensor(real()), sample_weight=weights).item() == 0
