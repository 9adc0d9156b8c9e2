"""Losses of regions and of embeddings, against numbers of Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb

L = nb.losses
RNG = np.random.default_rng(0)
T = (RNG.random((4, 5)) > 0.5) * 1.0
P = RNG.random((4, 5))
E = RNG.normal(size=(6, 3))
E /= np.linalg.norm(E, axis=1, keepdims=True)
LABELS = np.array([0, 0, 1, 1, 2, 0])

GENERALIZED = (1 - np.array([P[0, 0] / 3, P[1, 4] / 3]) ** 0.3) / 0.3


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (lambda: L.Dice()(T, P), 0.391423),
        (lambda: L.Dice(reduction="sum")(T, P), 0.391423),
        (lambda: L.dice(T, P, axis=(1,)), [0.68491, 0.14973, 0.50584, 0.44737]),
        (lambda: L.Dice(axis=1)(T, P, sample_weight=[1, 2, 0, 1]), 0.357933),
        (lambda: L.Tversky()(T, P), 0.391423),
        (lambda: L.circle(LABELS, E), [168.4301, 218.9073, 117.2883, 111.9308, 0.0, 94.0308]),
        (lambda: L.Circle()(LABELS, E), 142.1175),
        (lambda: L.categorical_generalized_cross_entropy([0, 4], P[:2] / 3, 0.3), GENERALIZED),
    ],
)
def test_values(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(found().numpy(), wanted, rtol=5e-5)


def test_tversky_weighs_false_positives_with_alpha() -> None:
    tp, fp, fn = (T * P).sum(), ((1 - T) * P).sum(), (T * (1 - P)).sum()
    assert L.Tversky(0.3, 0.7)(T, P).item() == pytest.approx(1 - tp / (tp + 0.3 * fp + 0.7 * fn), rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "t", "z"),
    [
        (L.Dice(), T, P),
        (L.Dice(axis=1), T, P),
        (L.Tversky(0.3, 0.6), T, P),
        (L.Circle(gamma=2.0), LABELS, E),
        (L.CategoricalGeneralizedCrossEntropy(0.3), [0, 1, 4, 2], P),
    ],
)
def test_gradients(loss: nb.losses.Loss, t: Any, z: Any) -> None:
    parameter, h = nb.Parameter(z), 1e-6
    with nb.Tape() as tape:
        value = loss(t, parameter)
    gradient = tape.gradient(value, parameter).numpy()
    direction = RNG.normal(size=z.shape)
    slope = (loss(t, z + h * direction).item() - loss(t, z - h * direction).item()) / (2 * h)
    assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize(("loss", "t"), [(L.Dice(), T), (L.Tversky(), T), (L.Circle(gamma=2.0), LABELS[:4])])
def test_training_is_that_of_whole_batches(loss: nb.losses.Loss, t: Any) -> None:
    """A loss of a batch as a whole is not cut into slices."""
    model = nb.Sequential([nb.Input((5,)), nb.layers.Dense(5, "sigmoid")])
    model.compile("sgd", loss, slices=2)
    wanted = loss(t, model.predict(P)).item()
    assert model.fit(P, t, batch_size=4, shuffle=False, verbose=0).history["loss"][0] == pytest.approx(wanted, rel=1e-5)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="ref_labels: expected None"):
        L.circle(LABELS, E, ref_labels=LABELS)
    with pytest.raises(ValueError, match="expected embeddings"):
        L.Circle()(T[:, 0], P[:, :, None])
