"""Metrics by name, functions as metrics, and metrics of one's own."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import nbnet as nb

M = nb.metrics
NAMES = {
    M.AUC: ["auc", "AUC"],
    M.Accuracy: ["Accuracy"],
    M.BinaryAccuracy: ["binary_accuracy", "BinaryAccuracy"],
    M.BinaryCrossentropy: ["bce", "BCE", "binary_crossentropy", "BinaryCrossentropy"],
    M.CategoricalAccuracy: ["categorical_accuracy"],
    M.CategoricalCrossentropy: ["categorical_crossentropy"],
    M.CategoricalHinge: ["categorical_hinge"],
    M.CosineSimilarity: ["cosine_similarity", "CosineSimilarity"],
    M.F1Score: ["f1_score", "F1Score"],
    M.FBetaScore: ["fbeta_score", "f_beta_score", "FBetaScore"],
    M.FalseNegatives: ["false_negatives"],
    M.FalsePositives: ["false_positives", "FalsePositives"],
    M.Hinge: ["hinge", "Hinge"],
    M.KLDivergence: ["kld", "kl_divergence", "KLDivergence"],
    M.LogCoshError: ["logcosh", "log_cosh_error", "LogCoshError"],
    M.MatthewsCorrelation: ["matthews_correlation"],
    M.MeanAbsoluteError: ["mae", "MAE", "mean_absolute_error", "MeanAbsoluteError"],
    M.MeanAbsolutePercentageError: ["mape", "MAPE", "MeanAbsolutePercentageError"],
    M.MeanSquaredError: ["mse", "MSE", "mean_squared_error", "MeanSquaredError"],
    M.MeanSquaredLogarithmicError: ["msle", "MSLE", "mean_squared_logarithmic_error"],
    M.Poisson: ["poisson"],
    M.Precision: ["precision", "Precision"],
    M.R2Score: ["r2_score", "R2Score"],
    M.Recall: ["recall", "Recall"],
    M.RootMeanSquaredError: ["root_mean_squared_error", "RootMeanSquaredError"],
    M.SparseCategoricalAccuracy: ["sparse_categorical_accuracy", "SparseCategoricalAccuracy"],
    M.SparseCategoricalCrossentropy: ["sparse_categorical_crossentropy"],
    M.SparseTopKCategoricalAccuracy: ["sparse_top_k_categorical_accuracy", "SparseTopKCategoricalAccuracy"],
    M.SquaredHinge: ["squared_hinge", "SquaredHinge"],
    M.TopKCategoricalAccuracy: ["top_k_categorical_accuracy", "TopKCategoricalAccuracy"],
    M.TrueNegatives: ["true_negatives"],
    M.TruePositives: ["true_positives", "TruePositives"],
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in NAMES.items() for name in names])
def test_names(kind: type[M.Metric], name: str) -> None:
    metric = M.get(name)
    assert type(metric) is kind
    assert metric.name == name
    assert type(M.get({"class_name": kind.__name__, "config": {"name": "mine"}})) is kind
    assert type(M.get(kind)) is kind
    assert M.get(metric) is metric


@pytest.mark.parametrize(
    ("loss", "width", "accuracy", "crossentropy"),
    [
        ("sparse_categorical_crossentropy", 3, M.SparseCategoricalAccuracy, M.SparseCategoricalCrossentropy),
        ("categorical_crossentropy", 3, M.CategoricalAccuracy, M.CategoricalCrossentropy),
        ("mse", 1, M.BinaryAccuracy, M.BinaryCrossentropy),
        ("mse", 3, M.CategoricalAccuracy, M.CategoricalCrossentropy),
        ("binary_crossentropy", 1, M.BinaryAccuracy, M.BinaryCrossentropy),
    ],
)
def test_names_that_fit_themselves(loss: str, width: int, accuracy: type, crossentropy: type) -> None:
    for names, kind in ((("accuracy", "acc"), accuracy), (("crossentropy", "ce"), crossentropy)):
        for name in names:
            metric = M.get(name, nb.losses.as_loss(loss), width)
            assert type(metric) is kind
            assert metric.name == name


def test_losses_are_metrics() -> None:
    assert M.get("huber").name == "huber"
    assert M.get("huber")([[0.0]], [[3.0]]) == 2.5
    assert M.get(nb.losses.Huber(2.0)).name == "huber_loss"
    metric = M.get(nb.losses.mean_squared_error)
    assert metric.name == "mean_squared_error"
    assert metric([[0.0]], [[3.0]]) == 9
    assert M.get(M.sparse_top_k_categorical_accuracy).name == "sparse_top_k_categorical_accuracy"
    assert M.get(nb.losses.sparse_categorical_crossentropy).sparse


def bias(y_true: nb.Tensor, y_pred: nb.Tensor) -> nb.Tensor:
    return nb.ops.mean(y_pred - y_true, axis=-1)


class Bias(M.Metric):
    def values(self, y_true: nb.Tensor, y_pred: nb.Tensor) -> nb.Tensor:
        return bias(y_true, y_pred)


class KerasBias(M.Metric):
    """Written as for Keras."""

    def __init__(self, name: str = "keras_bias", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_variable(shape=(), initializer="zeros", dtype="int32", name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.total.assign(self.total + nb.ops.sum(nb.ops.subtract(y_pred, y_true)))
        self.count.assign_add(len(y_pred))

    def result(self) -> Any:
        return self.total / self.count


class HalfMean(M.Mean):
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        super().update_state(np.asarray(y_pred) / 2, sample_weight)


def test_metrics_of_ones_own() -> None:
    assert (M.get(bias).name, Bias.name, HalfMean.name) == ("bias", "bias", "mean")
    assert (Bias.epoch_end, KerasBias.epoch_end, HalfMean.epoch_end) == (False, True, True)
    t, z = np.zeros((3, 1), np.float32), np.array([[1.0], [2.0], [6.0]], np.float32)
    for metric in (M.get(bias), Bias(), KerasBias()):
        assert metric.compute(t, z) == 3
        assert metric.compute(t, z) == 3
        metric.reset_state()
        metric.update_state(t, z)
        assert float(metric(t, 2 * z)) == 4.5
    assert HalfMean().compute(t, z, [1.0, 1.0, 0.0]) == 0.75
    assert len(KerasBias().variables) == 2


def test_metrics_of_an_epoch_in_training() -> None:
    nb.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3)).astype(np.float32)
    y = (x[:, :1] + rng.normal(size=(80, 1)) > 0).astype(np.float32)
    model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(1, "sigmoid")])
    watched = ["AUC", M.Precision(), "f1_score", KerasBias(), M.RootMeanSquaredError(name="rmse"), "accuracy"]
    model.compile("adam", "binary_crossentropy", metrics=watched)
    history = model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0).history
    names = ["loss", "AUC", "precision", "f1_score", "keras_bias", "rmse", "accuracy"]
    assert set(history) == {*names, *(f"val_{name}" for name in names)}
    p = model.predict(x)
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    for name in names[1:]:
        wanted = M.get(name).compute(y, p) if name not in ("keras_bias", "accuracy") else None
        wanted = (p - y).mean() if name == "keras_bias" else wanted
        wanted = ((p > 0.5) == y).mean() if name == "accuracy" else wanted
        np.testing.assert_allclose(found[name], wanted, rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(history[f"val_{name}"][-1], wanted, rtol=1e-5, err_msg=name)


def test_metrics_with_a_number_for_each_class(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = np.random.default_rng(0).normal(size=(40, 3)), np.eye(3)[np.arange(40) % 3]
    model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(3, "softmax")])
    model.compile("adam", "categorical_crossentropy", metrics=[M.F1Score()])
    history = model.fit(x, y, epochs=2, verbose=2)
    wanted = M.F1Score().compute(y, model.predict(x))
    assert [len(scores) for scores in history.history["f1_score"]] == [3, 3]
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0)[1], wanted)
    assert "f1_score: [0." in capsys.readouterr().out
    assert "f1_score=[" in repr(history)


def test_own_metrics_in_evaluation() -> None:
    model = nb.Sequential([nb.Input((1,)), nb.layers.Activation("linear")])
    model.compile("sgd", "mse", metrics=[bias, Bias("mine")])
    found = model.evaluate(np.array([[1.0], [2.0], [6.0]]), np.zeros((3, 1)), verbose=0, return_dict=True)
    assert found == {"loss": pytest.approx(41 / 3), "bias": 3, "mine": 3}


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: M.get("accuracies"), ValueError, "metrics: 'accuracies' is not known; known are "),
        (lambda: M.get(3), TypeError, "metrics: expected a name"),
        (lambda: M.TopKCategoricalAccuracy(0), ValueError, "k: expected an integer from 1"),
        (lambda: M.SparseTopKCategoricalAccuracy(2.5), ValueError, "k: expected an integer from 1"),
        (lambda: M.CosineSimilarity(axis=2)([[1.0]], [[1.0]]), ValueError, "axis: expected an axis of"),
        (lambda: M.PearsonCorrelation(axis=0)([[1.0]], [[1.0]]), ValueError, "axis: expected an axis of"),
        (lambda: M.SparseCategoricalCrossentropy(axis=1), ValueError, "axis: expected -1"),
        (lambda: M.MeanSquaredError()([[1.0, 2.0]], [[1.0] * 3]), ValueError, "y_true: expected 3 columns, got 2"),
        (lambda: M.SparseCategoricalAccuracy()([3], [[0.1, 0.9]]), ValueError, "labels from 0 to 1"),
        (lambda: M.Metric()([[1.0]], [[1.0]]), NotImplementedError, "metric is not a mean over samples"),
    ],
)
def test_refusals(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_functions_beside_labels() -> None:
    """They read the labels that the loss reads, and may return a number for a batch: its mean over batches counts."""
    x = np.random.default_rng(0).normal(size=(40, 4))
    y = np.arange(40) % 3

    def right(y_true: Any, y_pred: Any) -> Any:
        return nb.ops.mean(nb.ops.sum(nb.ops.one_hot(y_true, 3) * y_pred, axis=-1))

    class Largest:
        def __call__(self, y_true: Any, y_pred: Any) -> Any:
            return nb.ops.max(y_pred)

    model = nb.Sequential([nb.Input((4,)), nb.layers.Dense(3, "softmax")])
    watched = [right, lambda t, z: nb.ops.max(z), lambda t, z: nb.ops.min(z), partial(right), Largest(), "accuracy"]
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=watched)
    logs = model.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)
    assert list(logs) == ["loss", "right", "lambda", "lambda_1", "partial", "largest", "accuracy"]
    p = model.predict(x)
    each = p[np.arange(40), y]
    assert logs["right"] == pytest.approx((each[:32].mean() + each[32:].mean()) / 2, rel=1e-5)
    assert logs["lambda"] == pytest.approx((p[:32].max() + p[32:].max()) / 2, rel=1e-5)
    assert logs["accuracy"] == pytest.approx((p.argmax(-1) == y).mean())


def test_variables_are_those_of_attributes() -> None:
    metric = M.Precision([0.2, 0.5])
    assert [(v.name, v.shape) for v in metric.variables] == [("true_positives", (2,)), ("false_positives", (2,))]
    assert [v.name for v in M.MeanSquaredError().variables] == ["total", "count"]
    assert [v.name for v in M.MeanIoU(2).variables] == ["total_confusion_matrix"]
    metric.inner = {"a": [M.Mean(), nb.Parameter(1.0)]}
    assert len(metric.variables) == 5
    metric.reset_state()
    assert metric.variables[-1].item() == 0


def test_stateless_calls_leave_the_state() -> None:
    metric = M.Mean()
    metric.update_state([1.0, 3.0])
    after = metric.stateless_update_state([10.0, 1.0], [2.0])
    assert [float(v) for v in after] == [12.0, 2.0]
    assert metric.stateless_result(after) == 6
    assert [float(v) for v in metric.stateless_reset_state()] == [0.0, 0.0]
    assert metric.result() == 2
    with pytest.raises(ValueError, match="metric_variables: expected 2 values, got 1"):
        metric.stateless_result([1.0])
