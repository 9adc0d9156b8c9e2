"""Losses by name, functions as losses, losses of one's own, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb

L = nb.losses
NAMES = {
    L.BinaryCrossentropy: ["bce", "BCE", "binary_crossentropy", "BinaryCrossentropy"],
    L.BinaryFocalCrossentropy: ["binary_focal_crossentropy", "BinaryFocalCrossentropy"],
    L.CategoricalCrossentropy: ["categorical_crossentropy", "CategoricalCrossentropy"],
    L.CategoricalFocalCrossentropy: ["categorical_focal_crossentropy", "CategoricalFocalCrossentropy"],
    L.CategoricalHinge: ["categorical_hinge", "CategoricalHinge"],
    L.CosineSimilarity: ["cosine_similarity", "CosineSimilarity"],
    L.GaussianNegativeLogLikelihood: ["gaussian_negative_log_likelihood", "GaussianNegativeLogLikelihood"],
    L.Hinge: ["hinge", "Hinge"],
    L.Huber: ["huber", "Huber"],
    L.KLDivergence: ["kld", "KLD", "kl_divergence", "KLDivergence", "kullback_leibler_divergence"],
    L.LogCosh: ["logcosh", "log_cosh", "LogCosh"],
    L.MeanAbsoluteError: ["mae", "MAE", "mean_absolute_error", "MeanAbsoluteError"],
    L.MeanAbsolutePercentageError: ["mape", "MAPE", "mean_absolute_percentage_error", "MeanAbsolutePercentageError"],
    L.MeanSquaredError: ["mse", "MSE", "mean_squared_error", "MeanSquaredError"],
    L.MeanSquaredLogarithmicError: ["msle", "MSLE", "mean_squared_logarithmic_error", "MeanSquaredLogarithmicError"],
    L.Poisson: ["poisson", "Poisson"],
    L.Quantile: ["quantile", "Quantile"],
    L.SparseCategoricalCrossentropy: ["sparse_categorical_crossentropy", "SparseCategoricalCrossentropy"],
    L.SquaredHinge: ["squared_hinge", "SquaredHinge"],
    L.CategoricalGeneralizedCrossEntropy: [
        "categorical_generalized_cross_entropy",
        "CategoricalGeneralizedCrossEntropy",
    ],
    L.Circle: ["circle", "Circle"],
    L.Dice: ["dice", "Dice"],
    L.Tversky: ["tversky", "Tversky"],
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in NAMES.items() for name in names])
def test_names(kind: type[L.Loss], name: str) -> None:
    assert type(L.as_loss(name)) is kind
    assert type(L.as_loss({"class_name": name, "config": {"reduction": "sum"}})) is kind


def test_every_loss_has_names() -> None:
    classes = {v for v in vars(L).values() if isinstance(v, type) and issubclass(v, L.Loss)}
    assert classes - {L.Loss, L.LossFunctionWrapper} == set(NAMES)


def test_default_names_are_those_of_keras() -> None:
    assert L.Huber().name == "huber_loss"
    assert L.LogCosh().name == "log_cosh"
    assert L.MeanSquaredError().name == "mean_squared_error"
    assert L.MeanSquaredError(name="mine").name == "mine"
    assert repr(L.MeanSquaredError("sum", "mine")) == "MeanSquaredError(name='mine', reduction='sum')"


@pytest.mark.parametrize("kind", [kind for kind in NAMES if not kind.__module__.endswith("overlap")])
def test_functions_are_found_and_give_one_loss_a_sample(kind: type[L.Loss]) -> None:
    function = getattr(L, next(n for n in NAMES[kind] if n[0].islower() and callable(getattr(L, n, None))))
    assert type(L.as_loss(function)) is kind
    p = np.random.default_rng(0).uniform(0.1, 0.9, (5, 2))
    y: Any = [0, 1, 0, 1, 1] if kind.sparse else np.eye(2)[[0, 1, 0, 1, 1]]
    y = y[:, :1] if kind is L.GaussianNegativeLogLikelihood else y
    found = function(y, p)
    assert found.shape == (5,)
    np.testing.assert_array_equal(found.numpy(), kind(reduction=None)(y, p).numpy())


def cubic(y_true: nb.Tensor, y_pred: nb.Tensor) -> nb.Tensor:
    return nb.ops.mean(nb.ops.abs(y_true - y_pred) ** 3.0, axis=-1)


def test_a_function_is_a_loss() -> None:
    loss = L.as_loss(cubic)
    assert loss.name == "cubic"
    assert loss([[0.0, 1.0], [0.0, 0.0]], [[2.0, 1.0], [0.0, 0.0]]).item() == 2.0
    model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)])
    model.compile("sgd", cubic, metrics=[cubic])
    x, y = np.random.default_rng(0).normal(size=(40, 2)), np.ones((40, 1))
    value = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(value, (np.abs(y - model.predict(x)) ** 3).mean(), rtol=1e-5)
    history = model.fit(x, y, epochs=3, verbose=0)
    assert history.history["loss"][2] < history.history["loss"][0]


def test_a_function_may_take_targets_of_another_shape() -> None:
    def spread(y_true: nb.Tensor, y_pred: nb.Tensor) -> nb.Tensor:
        return nb.ops.mean(nb.ops.abs(y_pred - y_true), axis=-1)

    assert L.as_loss(spread)([[1.0], [2.0]], [[0.0, 2.0], [2.0, 2.0]]).item() == 0.5


def test_a_mean_over_the_batch_is_a_loss() -> None:
    def whole(y_true: nb.Tensor, y_pred: nb.Tensor) -> nb.Tensor:
        return nb.ops.mean(nb.ops.square(y_true - y_pred))

    assert L.as_loss(whole)([[0.0], [0.0]], [[1.0], [3.0]]).item() == 5.0


def test_a_loss_of_ones_own() -> None:
    class Cubic(L.Loss):
        def call(self, y_true: nb.Tensor, y_pred: nb.Tensor) -> nb.Tensor:
            return cubic(y_true, y_pred)

    assert Cubic.name == "cubic"
    assert Cubic(reduction="sum")([[0.0], [0.0]], [[2.0], [1.0]]).item() == 9.0

    class Unready(L.Loss):
        pass

    with pytest.raises(NotImplementedError, match="Unready defines no call"):
        Unready()([[0.0]], [[1.0]])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.as_loss("none"), ValueError, "loss: 'none' is not known"),
        (lambda: L.as_loss(None), TypeError, "loss: expected a name"),
        (lambda: L.MeanSquaredError("average"), ValueError, "reduction: expected 'sum_over_.* or None, got 'average'"),
        (lambda: L.Quantile(1.0), ValueError, r"q: expected a number in \(0, 1\)"),
        (lambda: L.Quantile([]), ValueError, "q: expected at least one number"),
        (lambda: L.Quantile("half"), TypeError, "q: expected a number"),
        (lambda: L.Quantile([0.1, 0.9])([[1.0]], [[1.0, 2.0, 3.0]]), ValueError, "expected one quantile for each of 3"),
        (lambda: L.CosineSimilarity(axis=0)([[1.0]], [[1.0]]), ValueError, "axis: expected an axis of"),
        (lambda: L.BinaryCrossentropy(axis=2)([[1.0]], [[1.0]]), ValueError, "axis: expected an axis of"),
        (lambda: L.BinaryFocalCrossentropy(gamma=-1), ValueError, "gamma: expected a finite number from 0"),
        (lambda: L.BinaryFocalCrossentropy(alpha=2), ValueError, "alpha: expected a number in"),
        (lambda: L.CategoricalFocalCrossentropy(alpha=-1), ValueError, "alpha: expected a finite number from 0"),
        (
            lambda: L.CategoricalFocalCrossentropy(alpha=[1.0, 2.0])([[1.0, 0.0, 0.0]], [[0.2, 0.3, 0.5]]),
            ValueError,
            "alpha: expected one number, or one for each of 3 classes, got 2",
        ),
        (lambda: L.SparseCategoricalCrossentropy(ignore_class=0.5), TypeError, "integer"),
        (lambda: L.GaussianNegativeLogLikelihood()([[1.0]], [[1.0]]), ValueError, "the last axis has 1"),
        (
            lambda: L.GaussianNegativeLogLikelihood()([[1.0, 2.0]], [[1.0, 2.0]]),
            ValueError,
            "y_true: expected 1 column, got 2",
        ),
        (lambda: L.as_loss(lambda t, z: 3)([[1.0]], [[1.0]]), TypeError, "expected a tensor from call"),
        (
            lambda: L.as_loss(lambda t, z: nb.tensor(np.ones(3))).losses(nb.tensor([[1.0]]), nb.tensor([[1.0]])),
            ValueError,
            "a loss for each of 1 samples",
        ),
    ],
)
def test_refusals(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
