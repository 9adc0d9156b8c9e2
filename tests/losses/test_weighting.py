"""Weights of more or fewer axes than losses and metric values have, against numbers that Keras 3 gives."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.losses.weighting import meet, same_rank

M, L = nb.metrics, nb.losses
T = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
P = np.array([[0.8, 0.3, 0.6], [0.2, 0.9, 0.4], [0.4, 0.7, 0.1], [0.6, 0.2, 0.3]])
ONE_HOT, LABELS = np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 2, 0])
Q = P / P.sum(-1, keepdims=True)
T1, P1 = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.9, 0.4, 0.3, 0.6])
T3, P3 = np.stack([T, 1 - T]), np.stack([P, P[::-1]])
WEIGHTS: dict[str, Any] = {
    "none": None,
    "n": np.array([1.0, 2.0, 0.0, 3.0]),
    "n1": np.array([[1.0], [2.0], [0.0], [3.0]]),
    "nd": np.arange(12.0).reshape(4, 3) / 4,
    "scalar": 2.0,
    "zero": np.zeros(4),
    "nt": np.arange(8.0).reshape(2, 4) / 3,
    "nt1": np.arange(8.0).reshape(2, 4, 1) / 3,
}
#: For each metric: what it reads, and its value for some weights, after a second update with two rows and no weights.
METRICS: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
    "accuracy": (M.Accuracy, np.round(T), np.round(P), {
        "none": 0.83333, "n": 0.75, "n1": 0.75, "nd": 0.71111, "scalar": 0.875, "zero": 1.0
    }),
    "binary accuracy": (M.BinaryAccuracy, T, P, {
        "none": 0.83333, "n": 0.75, "n1": 0.75, "nd": 0.71111, "scalar": 0.875, "zero": 1.0
    }),
    "categorical accuracy": (M.CategoricalAccuracy, ONE_HOT, Q, {
        "none": 0.83333, "n": 1.0, "n1": 1.0, "scalar": 0.875, "zero": 1.0
    }),
    "sparse accuracy": (M.SparseCategoricalAccuracy, LABELS, Q, {
        "none": 0.83333, "n": 1.0, "n1": 1.0, "scalar": 0.875, "zero": 1.0
    }),
    "top k": (lambda: M.TopKCategoricalAccuracy(2), ONE_HOT, Q, {
        "none": 0.83333, "n": 1.0, "n1": 1.0, "scalar": 0.875, "zero": 1.0
    }),
    "mse": (M.MeanSquaredError, T, P, {
        "none": 0.13056, "n": 0.16167, "n1": 0.16167, "scalar": 0.11875, "zero": 0.08333
    }),
    "rmse": (M.RootMeanSquaredError, T, P, {
        "none": 0.36132, "n": 0.40208, "n1": 0.40208, "nd": 0.41191, "scalar": 0.3446, "zero": 0.28868
    }),
    "bce": (M.BinaryCrossentropy, T, P, {
        "none": 0.4212, "n": 0.48873, "n1": 0.48873, "scalar": 0.39632, "zero": 0.32166
    }),
    "scce": (M.SparseCategoricalCrossentropy, LABELS, Q, {
        "none": 0.93671, "n": 0.6073, "n1": 0.6073, "scalar": 0.8606, "zero": 0.6323
    }),
    "cosine": (M.CosineSimilarity, T, P, {
        "none": 0.84558, "n": 0.73359, "n1": 0.73359, "scalar": 0.86465, "zero": 0.92187
    }),
    "pearson": (M.PearsonCorrelation, P[::-1], P, {
        "none": 0.80799, "n": 0.83665, "n1": 0.83665, "scalar": 0.80799, "zero": 0.80799
    }),
    "precision": (M.Precision, T, P, {
        "none": 0.875, "n": 0.7, "n1": 0.7, "nd": 0.73529, "scalar": 0.84615, "zero": 1.0
    }),
    "precision of vectors": (M.Precision, T1, P1, {"none": 0.66667, "n": 0.4, "scalar": 0.6, "zero": 1.0}),
    "precision at thresholds": (lambda: M.Precision([0.2, 0.5, 0.7]), T, P, {
        "none": [0.64286, 0.875, 1.0], "n": [0.55556, 0.7, 1.0], "n1": [0.55556, 0.7, 1.0],
        "nd": [0.64615, 0.73529, 1.0], "scalar": [0.65217, 0.84615, 1.0], "zero": [0.6, 1.0, 1.0]
    }),
    "precision of top k": (lambda: M.Precision(top_k=2), T, P, {
        "none": 0.75, "n": 0.625, "n1": 0.625, "nd": 0.7, "scalar": 0.75, "zero": 0.75
    }),
    "recall of a class": (lambda: M.Recall(class_id=1), T, P, {
        "none": 1.0, "n": 1.0, "n1": 1.0, "scalar": 1.0, "zero": 1.0
    }),
    "true positives": (M.TruePositives, T, P, {
        "none": 7.0, "n": 7.0, "n1": 7.0, "nd": 6.25, "scalar": 11.0, "zero": 3.0
    }),
    "false positives": (lambda: M.FalsePositives([0.0, 0.5, 1.0]), T, P, {
        "none": [9.0, 1.0, 0.0], "n": [14.0, 3.0, 0.0], "n1": [14.0, 3.0, 0.0], "nd": [12.0, 2.25, 0.0],
        "scalar": [15.0, 2.0, 0.0], "zero": [3.0, 0.0, 0.0]
    }),
    "auc": (M.AUC, T, P, {"none": 0.91358, "n": 0.82857, "n1": 0.82857, "nd": 0.83457, "scalar": 0.89778, "zero": 1.0}),
    "auc of vectors": (M.AUC, T1, P1, {"none": 0.66667, "n": 1.0, "scalar": 0.6, "zero": 1.0}),
    "auc of columns": (lambda: M.AUC(multi_label=True), T, P, {
        "none": 0.88889, "n": 0.8, "n1": 0.8, "nd": 0.77331, "scalar": 0.86667, "zero": 1.0
    }),
    "pr auc": (lambda: M.AUC(curve="PR"), T, P, {
        "none": 0.92562, "n": 0.82756, "n1": 0.82756, "nd": 0.83715, "scalar": 0.91039, "zero": 1.0
    }),
    "auc with label weights": (lambda: M.AUC(label_weights=[1.0, 2.0, 3.0]), T, P, {
        "none": 0.89506, "n": 0.76522, "n1": 0.76522, "nd": 0.82225, "scalar": 0.88222, "zero": 1.0
    }),
    "auc of columns with weights": (lambda: M.AUC(multi_label=True, label_weights=[1.0, 2.0, 3.0]), T, P, {
        "none": 0.87037, "n": 0.7, "n1": 0.7, "nd": 0.77247, "scalar": 0.85333, "zero": 1.0
    }),
    "auc at thresholds": (lambda: M.AUC(thresholds=[0.3, 0.65]), T, P, {
        "none": 0.87037, "n": 0.74286, "n1": 0.74286, "nd": 0.76637, "scalar": 0.85556, "zero": 0.94444
    }),
    "sensitivity": (lambda: M.SensitivityAtSpecificity(0.5), T, P, {
        "none": 0.88889, "n": 0.7, "n1": 0.7, "nd": 1.0, "scalar": 0.86667, "zero": 1.0
    }),
    "mean iou": (lambda: M.MeanIoU(3), LABELS, np.array([0, 1, 1, 2]), {
        "none": 0.44444, "n": 0.46667, "n1": 0.46667, "scalar": 0.4, "zero": 1.0
    }),
    "one-hot iou": (lambda: M.OneHotIoU(3, [0, 2]), ONE_HOT, Q, {
        "none": 0.5, "n": 1.0, "n1": 1.0, "scalar": 0.5, "zero": 1.0
    }),
    "f beta": (lambda: M.FBetaScore(beta=2.0, threshold=0.5), T, P, {
        "none": [0.66667, 1.0, 0.71429], "n": [0.76923, 1.0, 0.45455], "zero": [1.0, 1.0, 1.0]
    }),
    "f1 macro": (lambda: M.F1Score("macro"), ONE_HOT, Q, {"none": 0.6, "n": 0.66667, "zero": 0.66667}),
    "r2": (M.R2Score, T, P, {
        "none": 0.47778, "n": 0.25333, "n1": 0.25333, "nd": 0.30571, "scalar": 0.44, "zero": 0.66667
    }),
    "r2 of columns": (lambda: M.R2Score(None), T, P, {
        "none": [0.41333, 0.78, 0.24], "n": [0.14667, 0.824, -0.21067], "n1": [0.14667, 0.824, -0.21067],
        "nd": [0.051, 0.792, 0.07412], "scalar": [0.328, 0.776, 0.216], "zero": [0.84, 0.8, 0.36]
    }),
}  # fmt: skip
#: For each loss: what it reads, and its value for each reduction and some weights.
LOSSES: dict[str, tuple[Any, Any, Any, dict[str | None, dict[str, Any]]]] = {
    "mse": (L.MeanSquaredError, T, P, {
        "sum_over_batch_size": {"none": 0.15417, "n": 0.28167, "n1": 0.28167, "scalar": 0.30833, "zero": 0.0},
        "sum": {"none": 0.61667, "n": 1.12667, "n1": 1.12667, "scalar": 1.23333, "zero": 0.0},
        "mean_with_sample_weight": {"none": 0.15417, "n": 0.18778, "n1": 0.18778, "zero": 0.0},
        None: {"none": [0.09667, 0.07, 0.15333, 0.29667], "n": [0.09667, 0.14, 0.0, 0.89],
            "n1": [[0.09667], [0.14], [0.0], [0.89]], "scalar": [0.19333, 0.14, 0.30667, 0.59333],
            "zero": [0.0, 0.0, 0.0, 0.0]},
    }),
    "bce": (L.BinaryCrossentropy, T, P, {
        "sum_over_batch_size": {"none": 0.47098, "n": 0.81663, "n1": 0.81663, "scalar": 0.94195, "zero": 0.0},
        "sum": {"none": 1.8839, "n": 3.26651, "n1": 3.26651, "scalar": 3.76781, "zero": 0.0},
        "mean_with_sample_weight": {"none": 0.47098, "n": 0.54442, "n1": 0.54442, "zero": 0.0},
        None: {"none": [0.36355, 0.27978, 0.45944, 0.78114], "n": [0.36355, 0.55955, 0.0, 2.34341],
            "n1": [[0.36355], [0.55955], [0.0], [2.34341]], "scalar": [0.7271, 0.55955, 0.91888, 1.56227],
            "zero": [0.0, 0.0, 0.0, 0.0]},
    }),
    "scce": (L.SparseCategoricalCrossentropy, LABELS, Q, {
        "sum_over_batch_size": {"none": 1.08891, "n": 0.89846, "n1": 0.89846, "scalar": 2.17782, "zero": 0.0},
        "sum": {"none": 4.35564, "n": 3.59383, "n1": 3.59383, "scalar": 8.71128, "zero": 0.0},
        "mean_with_sample_weight": {"none": 1.08891, "n": 0.59897, "n1": 0.59897, "zero": 0.0},
        None: {"none": [0.75377, 0.51083, 2.48491, 0.60614], "n": [0.75377, 1.02165, 0.0, 1.81841],
            "n1": [[0.75377], [1.02165], [0.0], [1.81841]], "scalar": [1.50754, 1.02165, 4.96981, 1.21227],
            "zero": [0.0, 0.0, 0.0, 0.0]},
    }),
    "huber": (L.Huber, T, P, {
        "sum_over_batch_size": {"none": 0.07708, "n": 0.14083, "n1": 0.14083, "scalar": 0.15417, "zero": 0.0},
        "sum": {"none": 0.30833, "n": 0.56333, "n1": 0.56333, "scalar": 0.61667, "zero": 0.0},
        "mean_with_sample_weight": {"none": 0.07708, "n": 0.09389, "n1": 0.09389, "zero": 0.0},
        None: {"none": [0.04833, 0.035, 0.07667, 0.14833], "n": [0.04833, 0.07, 0.0, 0.445],
            "n1": [[0.04833], [0.07], [0.0], [0.445]], "scalar": [0.09667, 0.07, 0.15333, 0.29667],
            "zero": [0.0, 0.0, 0.0, 0.0]},
    }),
    "mse of positions": (L.MeanSquaredError, T3, P3, {
        "sum_over_batch_size": {"none": 0.27917, "scalar": 0.55833, "nt": 0.41597, "nt1": 0.41597},
        "sum": {"none": 2.23333, "scalar": 4.46667, "nt": 3.32778, "nt1": 3.32778},
        "mean_with_sample_weight": {"none": 0.27917, "nt": 0.35655, "nt1": 0.35655},
        None: {"none": [[0.09667, 0.07, 0.15333, 0.29667], [0.36333, 0.55333, 0.40333, 0.29667]],
            "scalar": [[0.19333, 0.14, 0.30667, 0.59333], [0.72667, 1.10667, 0.80667, 0.59333]],
            "nt": [[0.0, 0.02333, 0.10222, 0.29667], [0.48444, 0.92222, 0.80667, 0.69222]],
            "nt1": [[0.0, 0.02333, 0.10222, 0.29667], [0.48444, 0.92222, 0.80667, 0.69222]]},
    }),
    "ignored class": (partial(L.SparseCategoricalCrossentropy, ignore_class=1), LABELS, Q, {
        "sum_over_batch_size": {"none": 1.2816, "n": 0.85739, "n1": 0.85739, "scalar": 2.56321, "zero": 0.0},
        "sum": {"none": 3.84481, "n": 2.57218, "n1": 2.57218, "scalar": 7.68963, "zero": 0.0},
        "mean_with_sample_weight": {"none": 1.2816, "n": 0.64304, "n1": 0.64304, "zero": 0.0},
        None: {"none": [0.75377, 0.0, 2.48491, 0.60614], "n": [0.75377, 0.0, 0.0, 1.81841],
            "n1": [[0.75377], [0.0], [0.0], [1.81841]], "scalar": [1.50754, 0.0, 4.96981, 1.21227],
            "zero": [0.0, 0.0, 0.0, 0.0]},
    }),
    "bce over axis 1": (partial(L.BinaryCrossentropy, axis=1), T3, P3, {
        "sum_over_batch_size": {"none": 0.78093, "scalar": 1.56187},
        "sum": {"none": 4.6856, "scalar": 9.37119},
        "mean_with_sample_weight": {"none": 0.78093},
        None: {"none": [[0.56972, 0.26046, 0.58275], [0.56972, 1.57999, 1.12296]],
            "scalar": [[1.13943, 0.52093, 1.16549], [1.13943, 3.15998, 2.24592]]},
    }),
    "cosine over axis 1": (partial(L.CosineSimilarity, axis=1), T3, P3, {
        "sum_over_batch_size": {"none": -0.6747, "scalar": -1.3494},
        "sum": {"none": -4.04819, "scalar": -8.09637},
        "mean_with_sample_weight": {"none": -0.6747},
        None: {"none": [[-0.7746, -0.9461, -0.80822], [-0.7746, -0.29566, -0.44901]],
            "scalar": [[-1.54919, -1.8922, -1.61645], [-1.54919, -0.59131, -0.89803]]},
    }),
}  # fmt: skip


@pytest.mark.parametrize(("name", "weights"), [(k, w) for k, row in METRICS.items() for w in row[3]])
def test_metrics(name: str, weights: str) -> None:
    make, t, p, wanted = METRICS[name]
    metric, w = make(), WEIGHTS[weights]
    metric.update_state(t, p, **({} if w is None else {"sample_weight": w}))
    metric.update_state(t[:2], p[:2])
    np.testing.assert_allclose(metric.result(), wanted[weights], rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("name", "reduction", "weights"),
    [(name, reduction, w) for name, row in LOSSES.items() for reduction, wanted in row[3].items() for w in wanted],
)
def test_losses(name: str, reduction: str | None, weights: str) -> None:
    make, t, p, wanted = LOSSES[name]
    loss, w = make(reduction=reduction), WEIGHTS[weights]
    for given in (w, w if w is None else nb.tensor(w)):
        found = loss(t, p, sample_weight=given).numpy()
        np.testing.assert_allclose(found, wanted[reduction][weights], rtol=2e-4, atol=2e-5)


def test_a_vector_weighs_the_rows_of_more_axes() -> None:
    """Keras broadcasts it along the last axis, and refuses it if that has another length."""
    each = np.square(T3 - P3).mean(-1)
    found = L.MeanSquaredError(reduction=None)(T3, P3, sample_weight=[1.0, 3.0])
    np.testing.assert_allclose(found.numpy(), each * np.array([[1.0], [3.0]]), rtol=1e-6)
    assert M.MeanSquaredError()(T3, P3, sample_weight=[1.0, 3.0]) == pytest.approx(
        (each.mean(-1) * [1, 3]).sum() / 4, rel=1e-6
    )


V, VT = np.array([0.9, 0.4, 0.3, 0.6]), np.array([1.0, 0.0, 1.0, 0.0])
V5, VT5 = np.array([0.1, 0.5, 0.2, 0.9, 0.4]), np.array([0.0, 1.0, 1.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("make", "updates", "wanted"),
    [
        # A vector is one sample, but for metrics of each number; beside a column it is a column.
        (M.MeanSquaredError, [(VT, V, None), (VT5, V5, None)], 0.3145),
        (M.BinaryCrossentropy, [(VT, V, 2.0), (VT5, V5, None)], 0.804165),
        (M.BinaryAccuracy, [(VT, V, None), (VT5, V5, None)], 4 / 9),
        (M.PearsonCorrelation, [(VT, V, None), (VT5, V5, None)], 0.006522),
        (M.MeanSquaredError, [(VT[:, None], V, None), (VT5, V5[:, None], None)], 0.321111),
        # Targets that broadcast, and weights of rows with a last axis of size 1.
        (M.MeanAbsoluteError, [(T[:, :1], P, np.array([1.0, 2, 0, 3]))], 0.422222),
        (M.Accuracy, [(T3[:, :1, :1], np.round(P3), None)], 0.5),
        (M.Precision, [(T3, P3, np.array([[1.0], [3.0]]))], 0.35),
    ],
)
@pytest.mark.filterwarnings("ignore:y_true. rows of shape .* are broadcast")
def test_shapes_that_meet_in_metrics(make: Any, updates: Any, wanted: float) -> None:
    metric = make()
    for t, p, w in updates:
        metric.update_state(t, p, sample_weight=w)
    assert metric.result() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("make", "t", "p", "w", "wanted"),
    [
        (L.SquaredHinge, VT[:, None], V, None, [0.01, 1.96, 0.49, 2.56]),
        (L.MeanSquaredError, VT, V[:, None], None, [0.01, 0.16, 0.49, 0.36]),
        (L.MeanSquaredError, VT, V, None, 0.255),
        (L.KLDivergence, T, P[:, :, None], None, [0.734005, 0.105361, 1.272966, 1.203973]),
        (L.MeanSquaredError, T, P[:, :, None], np.array([1.0, 2, 0, 3]), [0.096667, 0.14, 0, 0.89]),
    ],
)
def test_shapes_that_meet_in_losses(make: Any, t: Any, p: Any, w: Any, wanted: Any) -> None:
    np.testing.assert_allclose(make(reduction="none")(t, p, w).numpy(), wanted, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ((4,), (4, 1), ((4, 1), (4, 1))),
        ((4, 1), (4,), ((4, 1), (4, 1))),
        ((4, 3, 1), (4, 3), ((4, 3), (4, 3))),
        ((4, 3), (4, 3, 1), ((4, 3), (4, 3))),
        ((4, 3), (4,), ((4, 3), (4,))),
        ((), (4,), ((), (4,))),
    ],
)
def test_ranks(first: Any, second: Any, wanted: Any) -> None:
    assert same_rank(first, second) == wanted


@pytest.mark.parametrize(
    "make",
    [
        lambda: meet((4, 3), (3, 4)),
        lambda: L.MeanSquaredError()(T, P, sample_weight=np.ones(3)),
        lambda: M.MeanSquaredError()(T, P, sample_weight=np.ones((4, 3))),
        lambda: M.Precision()(T, P, sample_weight=np.ones((4, 3, 2))),
        lambda: M.F1Score()(T, P, sample_weight=np.ones(5)),
        lambda: M.MeanIoU(3)(LABELS, LABELS, sample_weight=np.ones(3)),
    ],
)
def test_refusals(make: Any) -> None:
    with pytest.raises(ValueError, match="sample_weight: expected"):
        make()


@pytest.mark.parametrize("name", ["mean_squared_error", "binary_crossentropy", "huber"])
def test_functions_of_symbols(name: str) -> None:
    """They give a loss for each sample of a model that computes it."""
    a, b = nb.Input((3,)), nb.Input((3,))
    model = nb.Model([a, b], getattr(nb.losses, name)(a, b))
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0.1, 0.9, (2, 8, 3))
    expected = getattr(nb.losses, name)(x.astype(np.float32), y.astype(np.float32)).numpy()
    np.testing.assert_allclose(model.predict([x, y], verbose=0), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "divisor"),
    [
        ("scalar", 2.0),  # one weight for all
        ("n", 6.0),
        ("n1", 6.0),
        ("nd", 16.5),
    ],
)
def test_a_mean_divides_by_the_weights_before_they_are_repeated(name: str, divisor: float) -> None:
    t, p = np.stack([T, 1 - T], -1), np.stack([P, P], -1)
    each, w = np.square(t - p).mean(-1), WEIGHTS[name]
    per_loss = np.broadcast_to(np.reshape(w, (*np.shape(w), *[1] * (2 - np.ndim(w)))), each.shape)
    wanted = (each * per_loss).sum() / divisor
    loss = L.MeanSquaredError(reduction="mean_with_sample_weight")
    assert loss(t, p, w).item() == pytest.approx(wanted, rel=1e-6)
    if name != "scalar":
        model = nb.Sequential([nb.Input((3, 2)), nb.layers.Activation("linear")])
        model.compile("sgd", loss)
        assert model.evaluate(p, t, sample_weight=w, verbose=0) == pytest.approx(wanted, rel=1e-6)


def test_a_mean_of_masked_losses_divides_by_the_weights_that_count() -> None:
    t, p = np.stack([T, 1 - T], -1), np.stack([P, P], -1)
    p[:, 2] = 0.0
    model = nb.Sequential([nb.Input((3, 2)), nb.layers.Masking(), nb.layers.Activation("linear")])
    model.compile("sgd", L.MeanSquaredError(reduction="mean_with_sample_weight"))
    w, each = WEIGHTS["n1"], np.square(t - p).mean(-1)[:, :2]
    got = model.evaluate(p, t, sample_weight=w, verbose=0)
    assert got == pytest.approx((each * w).sum() / (2 * w.sum()), rel=1e-6)


def test_one_loss_is_not_divided_by_its_weight() -> None:
    assert L.MeanSquaredError(reduction="mean_with_sample_weight")([1.0], [3.0], [2.0]).item() == 8


def test_a_gradient_of_a_mean_with_repeated_weights() -> None:
    p = nb.Parameter(np.array([[[1.0], [2.0]], [[3.0], [4.0]]]))
    with nb.Tape() as tape:
        loss = L.MeanSquaredError(reduction="mean_with_sample_weight")(np.zeros((2, 2, 1)), p, [[1.0], [3.0]])
    assert loss.item() == pytest.approx((1 + 4 + 27 + 48) / 4)
    np.testing.assert_allclose(tape.gradient(loss, [p])[0].numpy().reshape(-1), [0.5, 1.0, 4.5, 6.0])
