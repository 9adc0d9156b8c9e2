"""Losses as functions: ``loss(y_true, y_pred, sample_weight)``, and by name."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet import losses

rng = np.random.default_rng(6)
N, WIDTH = 7, 3
T = rng.normal(size=(N, WIDTH))
Z = T + rng.normal(size=(N, WIDTH))
BITS = (rng.random((N, WIDTH)) < 0.5) * 1.0
LABELS = rng.integers(0, WIDTH, N)
ONE_HOT = np.eye(WIDTH)[LABELS]
P = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
SIGMOID = 1 / (1 + np.exp(-Z))
E = np.abs(Z - T)


def cross(t, p):
    return -(t * np.log(p)).sum(axis=-1)


def binary(t, p):
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(axis=-1)


#: Loss, targets, predictions, and a loss for each sample.
CASES = {
    "mse": (losses.MeanSquaredError(), T, Z, (E**2).mean(axis=1)),
    "mae": (losses.MeanAbsoluteError(), T, Z, E.mean(axis=1)),
    "huber": (losses.Huber(), T, Z, np.where(E <= 1, 0.5 * E**2, E - 0.5).mean(axis=1)),
    "huber 0.3": (losses.Huber(delta=0.3), T, Z, np.where(E <= 0.3, 0.5 * E**2, 0.3 * E - 0.045).mean(axis=1)),
    "bce": (losses.BinaryCrossentropy(), BITS, SIGMOID, binary(BITS, SIGMOID)),
    "bce of logits": (losses.BinaryCrossentropy(from_logits=True), BITS, Z, binary(BITS, SIGMOID)),
    "smooth bce": (
        losses.BinaryCrossentropy(label_smoothing=0.2), BITS, SIGMOID, binary(BITS * 0.8 + 0.1, SIGMOID)
    ),
    "cce": (losses.CategoricalCrossentropy(), ONE_HOT, P, cross(ONE_HOT, P)),
    "cce of logits": (losses.CategoricalCrossentropy(from_logits=True), ONE_HOT, Z, cross(ONE_HOT, P)),
    "smooth cce": (
        losses.CategoricalCrossentropy(label_smoothing=0.3), ONE_HOT, P, cross(ONE_HOT * 0.7 + 0.1, P)
    ),
    "soft cce": (losses.CategoricalCrossentropy(), P[::-1], P, cross(P[::-1], P)),
    "cce of unnormalised": (losses.CategoricalCrossentropy(), ONE_HOT, 3 * P, cross(ONE_HOT, P)),
    "scce": (losses.SparseCategoricalCrossentropy(), LABELS, P, cross(ONE_HOT, P)),
    "scce of logits": (losses.SparseCategoricalCrossentropy(from_logits=True), LABELS, Z, cross(ONE_HOT, P)),
}  # fmt: skip
each = pytest.mark.parametrize("case", CASES)


@each
def test_the_loss_is_the_mean_over_samples(case):
    loss, t, z, expected = CASES[case]
    found = loss(t, z)
    assert found.shape == ()
    assert found.item() == pytest.approx(expected.mean(), rel=1e-12)
    assert loss(t.tolist(), nb.tensor(z)).item() == pytest.approx(expected.mean(), rel=1e-12)
    assert loss(t, z.astype("float32")).item() == pytest.approx(expected.mean(), rel=1e-5)
    per_sample = [loss(t[i : i + 1], z[i : i + 1]).item() for i in range(N)]
    np.testing.assert_allclose(per_sample, expected, rtol=1e-12)


@each
def test_weights_multiply_and_the_number_of_samples_divides(case):
    loss, t, z, expected = CASES[case]
    w = rng.uniform(0, 3, N)
    w[2] = 0
    for weights in (w, w[:, None], w.tolist(), nb.tensor(w)):
        assert loss(t, z, sample_weight=weights).item() == pytest.approx((w * expected).mean(), rel=1e-12)


@each
def test_gradients(case):
    """The tape's gradient is the slope along a random direction."""
    loss, t, z, _ = CASES[case]
    w, h = rng.uniform(0.5, 2, N), 1e-6
    parameter = nb.Parameter(z)
    with nb.Tape() as tape:
        value = loss(t, parameter, w)
    gradient = tape.gradient(value, parameter).numpy()
    direction = rng.normal(size=z.shape)
    slope = (loss(t, z + h * direction, w).item() - loss(t, z - h * direction, w).item()) / (2 * h)
    assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("case", ["mse", "mae", "huber", "bce", "cce", "soft cce"])
def test_more_axes(case):
    """The last axis is averaged or summed, the others are samples."""
    loss, t, z, _ = CASES[case]
    deep = [np.stack([a, a[::-1]]) for a in (t, z)]
    w = np.array([1.0, 3.0])
    flat = [a.reshape(-1, WIDTH) for a in deep]
    assert loss(*deep).item() == pytest.approx(loss(*flat).item(), rel=1e-12)
    assert loss(*deep, w).item() == pytest.approx(loss(*flat, np.repeat(w, N)).item(), rel=1e-12)


@pytest.mark.parametrize(
    ("loss", "t"),
    [
        (losses.BinaryCrossentropy(), [[1.0, 0.0]]),
        (losses.CategoricalCrossentropy(), [[1.0, 0.0]]),
        (losses.SparseCategoricalCrossentropy(), [0]),
    ],
)
def test_probabilities_are_clipped(loss, t):
    """At 1e-7, as in Keras: -log(1e-7) is 16.118."""
    p = nb.Parameter([[0.0, 1.0]], dtype="float64")
    with nb.Tape() as tape:
        value = loss(t, p)
    assert value.item() == pytest.approx(-np.log(1e-7), rel=1e-6)
    assert (tape.gradient(value, p).numpy() == 0).all()
    assert loss(t, [[1.0, 0.0]]).item() == pytest.approx(1e-7, rel=0.2)


def test_an_activation_before_the_loss_is_recognised_on_the_tape():
    for activation, loss, t in (
        ("softmax", losses.SparseCategoricalCrossentropy(), LABELS),
        ("softmax", losses.CategoricalCrossentropy(), ONE_HOT),
        ("sigmoid", losses.BinaryCrossentropy(), BITS),
    ):
        z = nb.Parameter(Z * 1e4)
        with nb.Tape() as tape:
            value = loss(t, nb.activations.get(activation)(z))
        assert value.item() > 100
        assert tape.gradient(value, z).numpy().any()


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("mse", "MSE", "mean_squared_error", "MeanSquaredError"), losses.MeanSquaredError),
        (("mae", "MAE", "mean_absolute_error", "MeanAbsoluteError"), losses.MeanAbsoluteError),
        (("huber", "Huber"), losses.Huber),
        (("bce", "BCE", "binary_crossentropy", "BinaryCrossentropy"), losses.BinaryCrossentropy),
        (("categorical_crossentropy", "CategoricalCrossentropy"), losses.CategoricalCrossentropy),
        (("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy"), losses.SparseCategoricalCrossentropy),
    ],
)
def test_losses_by_name(names, kind):
    for identifier in (*names, kind, kind(), {"class_name": kind.__name__, "config": {}}):
        assert type(losses.as_loss(identifier)) is kind


@each
def test_configurations(case):
    loss, t, z, _ = CASES[case]
    again = type(loss).from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    assert again(t, z).item() == loss(t, z).item()
    assert repr(again) == repr(loss)
    same = losses.as_loss({"class_name": type(loss).__name__, "config": loss.get_config()})
    assert same(t, z).item() == loss(t, z).item()


def test_repr():
    assert repr(losses.Huber(2)) == "Huber(delta=2.0)"


def test_masks_that_are_set_by_hand_and_narrow_dtypes_are_taken():
    y_pred = nb.tensor([[1.0], [5.0], [3.0]])
    nb.backend.set_keras_mask(y_pred, [True, False, True])
    assert losses.MeanSquaredError(dtype="bfloat16")([[0.0]] * 3, y_pred, [1.0, 1.0, 3.0]).item() == 14
    assert losses.MeanSquaredError(dtype="mixed_float16").dtype == "float16"
    with pytest.raises(ValueError, match="dtype: expected float32 or float64, got 'nope'"):
        losses.MeanSquaredError(dtype="nope")
