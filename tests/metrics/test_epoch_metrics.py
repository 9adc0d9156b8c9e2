"""Metrics of a whole epoch: counts, ratios, areas and scores, against Keras's definitions and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from numpy.typing import NDArray

import nbnet as nb

Array = NDArray[Any]
M, N = nb.metrics, 60
RNG = np.random.default_rng(5)
T, P, W = RNG.integers(0, 2, N), RNG.uniform(size=N).round(2), RNG.uniform(0, 2, N)
LABELS = RNG.integers(0, 4, N)
ONE_HOT, SCORES = np.eye(4)[LABELS], RNG.uniform(size=(N, 4))
MANY = [
    M.AUC(num_thresholds=None),
    M.AUC(),
    M.Precision(),
    M.Recall(),
    M.TruePositives(),
    M.TrueNegatives(),
    M.FalsePositives(),
    M.FalseNegatives(),
    M.F1Score(threshold=0.5),
    M.FBetaScore("macro", 2.0, 0.5),
    M.MatthewsCorrelation(),
    M.R2Score(),
    M.BinaryIoU(),
    M.PrecisionAtRecall(0.5),
    M.RecallAtPrecision(0.5),
    M.SensitivityAtSpecificity(0.5),
    M.SpecificityAtSensitivity(0.5),
    M.AUC(curve="PR"),
    M.AUC(num_thresholds=50),
]


@pytest.mark.parametrize("metric", MANY, ids=lambda m: m.name)
def test_state(metric: nb.metrics.EpochMetric) -> None:
    assert metric.epoch_end
    metric.reset_state()
    assert metric.result() == 0
    whole = metric.compute(T[:, None], P[:, None], W)
    if not isinstance(metric, M.EpochMetric):
        np.testing.assert_array_equal(metric.result(), whole)
    metric.reset_state()
    metric.update_state(T[:20, None], P[:20, None], sample_weight=W[:20])
    metric.update_state(T[20:, None], P[20:, None], sample_weight=W[20:])
    np.testing.assert_allclose(metric.result(), whole)
    metric.reset_state()
    unweighted = metric(T[:, None], P[:, None])
    np.testing.assert_allclose(unweighted, metric.compute(T[:, None], P[:, None], np.ones(N)))
    np.testing.assert_allclose(unweighted, metric.compute(T[:, None], P[:, None]))
    again = M.deserialize(M.serialize(metric))
    np.testing.assert_allclose(again.compute(T[:, None], P[:, None], W), whole)
    with pytest.raises(NotImplementedError, match="is not a mean over samples"):
        metric.values(nb.tensor(T), nb.tensor(P))


@pytest.mark.parametrize("weighted", [False, True])
def test_counts_and_ratios(weighted: bool) -> None:
    w = W if weighted else np.ones(N)
    thresholds = [0.0, 0.3, 0.5, 1.0]
    found = {
        m.name: m.compute(T, P, W if weighted else None)
        for m in (
            M.TruePositives(thresholds),
            M.FalsePositives(thresholds),
            M.TrueNegatives(thresholds),
            M.FalseNegatives(thresholds),
            M.Precision(thresholds),
            M.Recall(thresholds),
        )
    }
    for i, t in enumerate(thresholds):
        positive, predicted = T == 1, t < P
        tp, fp = w[positive & predicted].sum(), w[~positive & predicted].sum()
        tn, fn = w[~positive & ~predicted].sum(), w[positive & ~predicted].sum()
        wanted = {"true_positives": tp, "false_positives": fp, "true_negatives": tn, "false_negatives": fn}
        wanted |= {"precision": tp / (tp + fp) if tp else 0.0, "recall": tp / (tp + fn)}
        np.testing.assert_allclose([found[k][i] for k in wanted], list(wanted.values()), atol=1e-12)


def test_top_k_and_class_id() -> None:
    assert M.Precision(top_k=1).compute(ONE_HOT, SCORES) == pytest.approx((SCORES.argmax(-1) == LABELS).mean())
    top2 = np.array([label in row.argsort()[-2:] for row, label in zip(SCORES, LABELS, strict=True)])
    assert M.Recall(top_k=2).compute(ONE_HOT, SCORES) == pytest.approx(top2.mean())
    assert M.Precision(top_k=2).compute(ONE_HOT, SCORES, W) == pytest.approx((W * top2).sum() / (2 * W).sum())
    one = M.Recall(class_id=2).compute(ONE_HOT, SCORES)
    assert one == pytest.approx((SCORES[LABELS == 2, 2] > 0.5).mean())
    both = M.Recall(class_id=2, top_k=2).compute(ONE_HOT, SCORES)
    assert both == pytest.approx(top2[LABELS == 2].mean())


@pytest.mark.parametrize("weighted", [False, True])
def test_areas(weighted: bool) -> None:
    w = W if weighted else None
    exact = sklearn.metrics.roc_auc_score(T, P, sample_weight=w)
    assert M.AUC(None).compute(T, P, w) == pytest.approx(exact)
    # Predictions have two digits: thresholds between them make the grid exact, too.
    between = (np.arange(100) + 0.5) / 100
    assert M.AUC(thresholds=between).compute(T, P, w) == pytest.approx(exact)
    low, high = (M.AUC(20, summation_method=m).compute(T, P, w) for m in ("minoring", "majoring"))
    assert low < exact < high
    assert M.AUC(num_thresholds=200).compute(T, P, w) == pytest.approx(exact, abs=0.01)
    # With a threshold at each prediction, the higher end of each step is the average precision.
    steps = sklearn.metrics.average_precision_score(T, P, sample_weight=w)
    interpolated = M.AUC(None, curve="PR").compute(T, P, w)
    assert M.AUC(None, "PR", "minoring").compute(T, P, w) <= interpolated
    assert interpolated == pytest.approx(steps, abs=0.02)
    assert M.AUC(curve="pr", num_thresholds=2000).compute(T, P, w) == pytest.approx(interpolated, abs=1e-9)
    logits = np.log(np.clip(P, 0.005, 0.995) / (1 - np.clip(P, 0.005, 0.995)))
    assert M.AUC(None, from_logits=True).compute(T, logits, w) == pytest.approx(exact)


def test_areas_of_columns() -> None:
    by_label = [sklearn.metrics.roc_auc_score(ONE_HOT[:, k], SCORES[:, k], sample_weight=W) for k in range(4)]
    assert M.AUC(None, multi_label=True, num_labels=4).compute(ONE_HOT, SCORES, W) == pytest.approx(np.mean(by_label))
    weights = [1.0, 2.0, 0.0, 3.0]
    found = M.AUC(None, multi_label=True, label_weights=weights).compute(ONE_HOT, SCORES, W)
    assert found == pytest.approx(np.average(by_label, weights=weights))
    flat = sklearn.metrics.roc_auc_score(ONE_HOT.ravel(), SCORES.ravel())
    assert M.AUC(None).compute(ONE_HOT, SCORES) == pytest.approx(flat)
    flat = sklearn.metrics.roc_auc_score(ONE_HOT.ravel(), SCORES.ravel(), sample_weight=np.tile(weights, N))
    assert M.AUC(None, label_weights=weights).compute(ONE_HOT, SCORES) == pytest.approx(flat)


@pytest.mark.parametrize("metric", MANY[:4] + MANY[12:], ids=lambda m: m.name)
@pytest.mark.parametrize("target", [0, 1])
def test_one_class_alone_is_no_error(metric: nb.metrics.EpochMetric, target: int) -> None:
    assert 0 <= metric.compute(np.full(N, target), P) <= N


def test_keras_examples() -> None:
    """Numbers that the documentation of Keras shows."""
    assert M.TruePositives()([0, 1, 1, 1], [1, 0, 1, 1], sample_weight=[0, 0, 1, 0]) == 1
    assert M.Precision()([0, 1, 1, 1], [1, 0, 1, 1], sample_weight=[0, 0, 1, 0]) == 1
    assert M.Precision(top_k=2)([0, 0, 1, 1], [1, 1, 1, 1]) == 0
    assert M.Precision(top_k=4)([0, 0, 1, 1], [1, 1, 1, 1]) == 0.5
    t, p = [0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]
    assert M.SensitivityAtSpecificity(0.5)(t, p, sample_weight=[1, 1, 2, 2, 1]) == pytest.approx(1 / 3)
    assert M.SpecificityAtSensitivity(0.5)(t, p, sample_weight=[1, 1, 2, 2, 2]) == pytest.approx(0.5)
    assert M.PrecisionAtRecall(0.5)(t, p, sample_weight=[2, 2, 2, 1, 1]) == pytest.approx(1 / 3)
    t, p = [0, 0, 1, 1], [0, 0.5, 0.3, 0.9]
    assert M.RecallAtPrecision(0.8)(t, p, sample_weight=[1, 0, 0, 1]) == 1
    assert M.AUC(num_thresholds=3)(t, p) == 0.75
    assert M.AUC(num_thresholds=3)(t, p, sample_weight=[1, 0, 0, 1]) == 1
    t, p = [[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]
    np.testing.assert_allclose(M.FBetaScore(beta=2.0, threshold=0.5)(t, p), [0.3846154, 0.90909094, 0.8333334])
    np.testing.assert_allclose(M.F1Score(threshold=0.5)(t, p), [0.5, 0.8, 0.6666667], rtol=1e-6)
    assert M.R2Score()([[1], [4], [3]], [[2], [4], [4]]) == pytest.approx(0.57142854)
    assert M.IoU(2, [0])([0, 0, 1, 1], [0, 1, 0, 1], sample_weight=[0.3, 0.3, 0.3, 0.1]) == pytest.approx(1 / 3)
    found = M.BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7], sample_weight=[0.2, 0.3, 0.4, 0.1])
    assert found == pytest.approx(0.17361112)


@pytest.mark.parametrize("average", [None, "micro", "macro", "weighted"])
@pytest.mark.parametrize("threshold", [None, 0.4])
def test_f_scores(average: str | None, threshold: float | None) -> None:
    decided = SCORES > 0.4 if threshold else np.eye(4)[SCORES.argmax(-1)] > 0
    sums = [
        (W[:, None] * a).sum(None if average == "micro" else 0)
        for a in (decided * ONE_HOT, decided * (1 - ONE_HOT), ~decided * ONE_HOT, ONE_HOT)
    ]
    tp, fp, fn, support = sums
    precision, recall = tp / (tp + fp), tp / (tp + fn)
    score = 1.25 * precision * recall / (0.25 * precision + recall)
    wanted = np.average(score, weights=support) if average == "weighted" else score if average is None else score.mean()
    found = M.FBetaScore(average, 0.5, threshold).compute(ONE_HOT, SCORES, W)
    np.testing.assert_allclose(found, wanted)
    assert np.shape(found) == ((4,) if average is None else ())


def test_f_score_of_one_column() -> None:
    wanted = sklearn.metrics.f1_score(T, P > 0.5, sample_weight=W)
    np.testing.assert_allclose(M.F1Score(threshold=0.5).compute(T[:, None], P[:, None], W), [wanted])
    np.testing.assert_allclose(M.F1Score("micro", 0.5).compute(T, P, W), wanted)
    # Rows without a largest prediction have none that is positive.
    assert M.F1Score("micro").compute([[1, 0], [0, 1]], [[0.0, 0.0], [0.1, 0.9]]) == pytest.approx(2 / 3)


def test_r2() -> None:
    t, z = RNG.normal(size=(N, 3)), RNG.normal(size=(N, 3))
    t[:, 1] *= 3
    residual = (W[:, None] * (t - z) ** 2).sum(0)
    total = (W[:, None] * (t - np.average(t, axis=0, weights=W)) ** 2).sum(0)
    each = 1 - residual / total
    np.testing.assert_allclose(M.R2Score(None).compute(t, z, W), each)
    assert M.R2Score().compute(t, z, W) == pytest.approx(each.mean())
    found = M.R2Score("variance_weighted_average").compute(t, z, W)
    assert found == pytest.approx(1 - residual.sum() / total.sum())
    adjusted = M.R2Score(num_regressors=5).compute(t, z, W)
    assert adjusted == pytest.approx(1 - (1 - each.mean()) * (N - 1) / (N - 6))


def test_matthews() -> None:
    assert M.MatthewsCorrelation().compute(T, P, W) == pytest.approx(
        sklearn.metrics.matthews_corrcoef(T, P > 0.5, sample_weight=W)
    )
    wanted = sklearn.metrics.matthews_corrcoef(LABELS, SCORES.argmax(-1), sample_weight=W)
    for targets in (LABELS, LABELS[:, None], ONE_HOT):
        assert M.MatthewsCorrelation().compute(targets, SCORES, W) == pytest.approx(wanted)


def test_intersection_over_union() -> None:
    found = RNG.integers(0, 3, N)  # class 3 is never predicted
    each = []
    for k in range(4):
        a, b = k == LABELS, k == found
        each.append(W[a & b].sum() / W[a | b].sum())
    assert M.MeanIoU(4).compute(LABELS, found, W) == pytest.approx(np.mean(each))
    assert M.IoU(4, [1, 3]).compute(LABELS, found, W) == pytest.approx((each[1] + each[3]) / 2)
    assert M.OneHotMeanIoU(4, sparse_y_pred=True).compute(ONE_HOT, found, W) == pytest.approx(np.mean(each))
    assert M.OneHotIoU(4, [2]).compute(ONE_HOT, np.eye(4)[found], W) == pytest.approx(each[2])
    # A class that neither is nor is predicted does not count.
    assert M.MeanIoU(9).compute(LABELS, found, W) == pytest.approx(np.mean(each))
    assert M.MeanIoU(4, ignore_class=-1).compute(np.where(T, -1, LABELS), found) == pytest.approx(
        M.MeanIoU(4).compute(LABELS[T == 0], found[T == 0])
    )
    assert M.MeanIoU(4, ignore_class=2).compute(np.full(3, 2), np.zeros(3)) == 0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: M.AUC(curve="ROCK"), ValueError, "curve: expected 'ROC', 'PR' or 'PRGAIN'"),
        (lambda: M.AUC(summation_method="sum"), ValueError, "summation_method: expected"),
        (lambda: M.AUC(num_thresholds=1), ValueError, "num_thresholds: expected an integer from 2"),
        (lambda: M.AUC(thresholds=[0.5, 2.0]), ValueError, "thresholds: expected a number in"),
        (lambda: M.AUC(label_weights=[1.0])(ONE_HOT, SCORES), ValueError, "label_weights: there are 1, and"),
        (lambda: M.AUC(multi_label=True, num_labels=3)(ONE_HOT, SCORES), ValueError, "num_labels: there are 3"),
        (lambda: M.Precision(thresholds=-0.1), ValueError, "thresholds: expected a number in"),
        (lambda: M.Precision(top_k=0), ValueError, "top_k: expected an integer from 1"),
        (lambda: M.Precision(class_id=-1), ValueError, "class_id: expected an integer from 0"),
        (lambda: M.Recall(class_id=4)(ONE_HOT, SCORES), ValueError, "class_id: expected a column of predictions"),
        (lambda: M.Recall()(LABELS, SCORES), ValueError, "y_true: expected the shape of the predictions"),
        (lambda: M.F1Score("mean"), ValueError, "average: expected None"),
        (lambda: M.FBetaScore(beta=0.0), ValueError, "beta: expected a finite number above 0"),
        (lambda: M.FBetaScore(beta=1), ValueError, "beta: expected a float"),
        (lambda: M.F1Score(threshold=0.0), ValueError, "threshold: expected a number in"),
        (lambda: M.R2Score("mean"), ValueError, "class_aggregation: expected"),
        (lambda: M.R2Score(num_regressors=-1), ValueError, "num_regressors: expected an integer from 0"),
        (lambda: M.PrecisionAtRecall(1.5), ValueError, "recall: expected a number in"),
        (lambda: M.RecallAtPrecision(0.5, 0), ValueError, "num_thresholds: expected an integer from 1"),
        (lambda: M.IoU(2, [2]), ValueError, "target_class_ids: expected classes below 2"),
        (lambda: M.MeanIoU(0), ValueError, "num_classes: expected an integer from 1"),
        (lambda: M.AUC(num_labels=3), ValueError, "num_labels: expected None without multi_label"),
        (lambda: M.MeanIoU(2)([0, 1], [0, 1, 1]), ValueError, "one label for each of 3 predicted"),
    ],
)
def test_refusals(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_training_that_diverges_is_no_error(value):
    y = np.array([[0.0], [1.0], [1.0]])
    p = np.array([[0.2], [value], [0.4]])
    for metric in (M.AUC(), M.AUC(curve="PR"), M.R2Score(), M.R2Score(num_regressors=1)):
        assert np.isnan(metric.compute(y, p))
    assert np.isnan(M.R2Score(class_aggregation=None).compute(y, p)).tolist() == [True]


def test_variables_begin_with_given_values() -> None:
    metric = nb.metrics.MeanIoU(2)
    begin = np.array([[2**26 + 1, 0], [3, 2**27 + 1]])
    metric.total_cm = metric.add_variable((2, 2), nb.ops.convert_to_tensor(begin), dtype="int")
    metric.update_state([0, 1], [0, 0])
    np.testing.assert_array_equal(metric.total_cm.numpy(), np.add(begin, [[1, 0], [1, 0]]))
    assert metric.add_variable((3,), 0.5).numpy().tolist() == [0.5, 0.5, 0.5]
