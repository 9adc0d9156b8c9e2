"""Features of the multi-layer perceptrons beyond scikit-learn."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import sklearn
from joblib import parallel_config
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import nbnet as nb
from nbnet.estimators import MLPClassifier, MLPRegressor
from nbnet.estimators.training import r2

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
X = scale(X)
RNG = np.random.default_rng(0)
LINE = np.linspace(-1, 1, 400)[:, None]
NOISY = LINE[:, 0] + RNG.normal(0, 0.1, 400)
QUICK: dict[str, Any] = {
    "hidden_layer_sizes": (16,), "max_iter": 30, "batch_size": 32, "learning_rate_init": 0.02, "random_state": 0,
}  # fmt: skip


def test_layers() -> None:
    net = MLPClassifier(
        **QUICK | {"hidden_layer_sizes": [8, 6]},
        activation=["tanh", "gelu"],
        dropout=[0.2, 0.0],
        input_dropout=0.1,
        batch_norm=True,
    ).fit(X, Y)
    names = "input_dropout hidden_1 batch_norm_1 activation_1 dropout_1 hidden_2 batch_norm_2 activation_2 output"
    assert [layer.name for layer in net.model_.layers] == names.split()
    assert [c.shape for c in net.coefs_] == [(4, 8), (8, 6), (6, 3)]
    assert net.score(X, Y) > 0.9


def test_dropout_is_drawn_from_random_state() -> None:
    nets = [MLPClassifier(dropout=0.5, **QUICK | {"random_state": seed}).fit(X, Y) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(nets[0].coefs_[0], nets[1].coefs_[0])
    assert not np.array_equal(nets[0].coefs_[0], nets[2].coefs_[0])
    plain = MLPClassifier(**QUICK).fit(X, Y)
    assert not np.array_equal(nets[0].coefs_[0], plain.coefs_[0])


def test_scheduled_dropout() -> None:
    schedule = nb.dropout_schedules.Linear(0.5, 0.0, 20)
    net = MLPClassifier(dropout=schedule, **QUICK).fit(X, Y)
    assert net.model_.get_layer("dropout_1").rate is schedule


def test_max_norm() -> None:
    net = MLPClassifier(max_norm=0.5, **QUICK).fit(X, Y)
    assert np.linalg.norm(net.coefs_[0], axis=0).max() <= 0.5 + 1e-5
    assert np.linalg.norm(net.coefs_[1], axis=0).max() > 0.5


@pytest.mark.parametrize(
    "loss", ["categorical_focal_crossentropy", "categorical_crossentropy", nb.losses.SparseCategoricalCrossentropy()]
)
def test_losses_of_classes(loss: Any) -> None:
    for labels in (Y, np.array(["a", "b", "c"])[Y]):
        assert MLPClassifier(loss=loss, **QUICK).fit(X, labels).score(X, labels) > 0.9


@pytest.mark.parametrize("loss", ["binary_focal_crossentropy", "mse"])
def test_losses_of_two_classes(loss: Any) -> None:
    assert MLPClassifier(loss=loss, **QUICK).fit(X, Y == 0).score(X, Y == 0) > 0.95


def test_equal_losses_give_equal_networks() -> None:
    nets = [MLPClassifier(loss=loss, **QUICK).fit(X, Y) for loss in ("log_loss", "categorical_crossentropy")]
    np.testing.assert_allclose(nets[0].loss_curve_, nets[1].loss_curve_, rtol=1e-4)


def cubic(y_true: Any, y_pred: Any) -> Any:
    return nb.ops.mean(nb.ops.abs(y_true - y_pred) ** 3.0, axis=-1)


@pytest.mark.parametrize(
    "loss", ["huber", "mae", nb.losses.LogCosh(), "gaussian_negative_log_likelihood", cubic, lambda t, p: cubic(t, p)]
)
def test_losses_of_numbers(loss: Any) -> None:
    assert MLPRegressor(loss, **QUICK | {"max_iter": 60}).fit(LINE, NOISY).score(LINE, NOISY) > 0.9


def test_class_weight() -> None:
    common = QUICK | {"shuffle": False, "max_iter": 5}
    weights = {0: 1.0, 1: 2.0, 2: 0.5}
    by_class = MLPClassifier(class_weight=weights, **common).fit(X, Y)
    by_sample = MLPClassifier(**common).fit(X, Y, np.vectorize(weights.get)(Y))
    np.testing.assert_allclose(by_class.coefs_[0], by_sample.coefs_[0], rtol=1e-5)
    some = np.concatenate([np.flatnonzero(Y == 0), np.flatnonzero(Y == 1)[:5]])
    plain = MLPClassifier(**common).fit(X[some], Y[some])
    balanced = MLPClassifier(class_weight="balanced", **common).fit(X[some], Y[some])
    assert balanced.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean()


def test_weights_are_repetitions() -> None:
    weights = RNG.integers(0, 3, len(X))
    common = QUICK | {"batch_size": 1000, "shuffle": False, "dtype": "float64", "max_iter": 20}
    with pytest.warns(UserWarning, match="clipped"):
        weighted = MLPClassifier(**common).fit(X, Y, weights)
    with pytest.warns(UserWarning, match="clipped"):
        repeated = MLPClassifier(**common).fit(np.repeat(X, weights, axis=0), np.repeat(Y, weights))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)


def test_batches_without_weight() -> None:
    weights = np.ones(len(X))
    weights[32:64] = 0
    common = QUICK | {"shuffle": False, "solver": "sgd", "momentum": 0.0}
    nets = [
        MLPClassifier(**common).fit(X, Y, weights),
        MLPClassifier(**common).fit(X[weights > 0], Y[weights > 0]),
    ]
    np.testing.assert_allclose(nets[0].coefs_[0], nets[1].coefs_[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["rmsprop", nb.optimizers.AdamW(0.02, weight_decay=0.01)])
def test_optimizers(optimizer: Any) -> None:
    net = MLPClassifier(optimizer=optimizer, **QUICK).fit(X, Y)
    assert net.score(X, Y) > 0.9
    assert net.model_.optimizer is not optimizer
    assert net.model_.optimizer.learning_rate == 0.02


def test_schedule_of_the_learning_rate() -> None:
    schedule = nb.optimizers.schedules.ExponentialDecay(0.1, 150, 0.5)
    net = MLPClassifier(learning_rate=schedule, **QUICK).fit(X, Y)
    assert net.model_.optimizer.learning_rate == pytest.approx(0.05)


def test_dtypes() -> None:
    for given in ("float32", "float64"):
        for asked in ("auto", "float32", "float64"):
            for solver in ("adam", "lbfgs"):
                net = MLPRegressor(dtype=asked, solver=solver, max_iter=2).fit(X.astype(given), X[:, 0])
                auto = given if solver == "lbfgs" else "float32"
                wanted = auto if asked == "auto" else asked
                assert net.coefs_[0].dtype == net.predict(X).dtype == wanted


def test_validation_data() -> None:
    held = X[::3], Y[::3]
    net = MLPClassifier(**QUICK).fit(X, Y, validation_data=held)
    assert len(net.validation_scores_) == len(net.validation_loss_curve_) == net.n_iter_ == len(net.loss_curve_)
    assert net.validation_scores_[-1] == accuracy_score(held[1], net.predict(held[0]))
    assert net.validation_loss_curve_[-1] == pytest.approx(log_loss(held[1], net.predict_proba(held[0])), rel=1e-4)
    assert net.best_loss_ is not None
    best = MLPClassifier(early_stopping=True, **QUICK).fit(X, Y, validation_data=held)
    assert best.best_loss_ is None
    assert best.score(*held) == best.best_validation_score_ == max(best.validation_scores_)


def test_r2() -> None:
    y, weights = RNG.normal(size=(50, 3)), RNG.uniform(size=50)
    y[:, 2] = 1.0
    predicted = y + RNG.normal(size=(50, 3)) * [0.1, 0.5, 0.0]
    for w in (None, weights):
        assert r2(y, predicted, w) == pytest.approx(r2_score(y, predicted, sample_weight=w))


def test_callbacks() -> None:
    class Watch(nb.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[dict[str, float]] = []

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seen.append(dict(logs))
            self.model.stop_training = epoch == 4

    watch = Watch()
    net = MLPClassifier(callbacks=[watch], **QUICK).fit(X, Y, validation_data=(X, Y))
    assert net.n_iter_ == len(watch.seen) == 5
    assert list(watch.seen[-1]) == ["loss", "val_loss", "val_score"]
    assert [one["loss"] for one in watch.seen] == net.loss_curve_


def test_labels_of_any_kind() -> None:
    for classes in (["x", "y"], [-1, 1], [False, True], [2.0, 3.0], ["a", "b", "c"]):
        labels = np.array(classes)[Y % len(classes)]
        net = MLPClassifier(**QUICK).fit(X, labels)
        assert net.classes_.tolist() == classes
        assert set(net.predict(X).tolist()) <= set(classes)
        assert net.predict_proba(X).shape == (len(X), len(classes))


def test_one_class() -> None:
    net = MLPClassifier(max_iter=2).fit(X, np.full(len(X), "only"))
    assert set(net.predict(X)) == {"only"}
    np.testing.assert_array_equal(net.predict_proba(X), np.ones((len(X), 1)))


def test_weights_are_the_memory_of_the_network() -> None:
    net = MLPClassifier(**QUICK).fit(X, Y)
    before = net.predict_proba(X)
    net.coefs_[1][:] *= 2
    assert not np.allclose(net.predict_proba(X), before)
    net.coefs_[1] = net.coefs_[1] / 2
    np.testing.assert_allclose(net.predict_proba(X), before, rtol=1e-5)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies(duplicate: Any) -> None:
    net = MLPClassifier(dropout=0.2, **QUICK).partial_fit(X, Y, classes=[0, 1, 2])
    other = duplicate(net)
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    net.partial_fit(X, Y)
    other.partial_fit(X, Y)
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    other.coefs_[0][:] = 0
    assert net.coefs_[0].any()
    assert other.coefs_[0] is other._dense[0].kernel.memory()


def test_clone() -> None:
    net = MLPClassifier(optimizer=nb.optimizers.SGD(0.1), callbacks=[nb.callbacks.TerminateOnNaN()], **QUICK)
    assert not hasattr(clone(net.fit(X, Y)), "coefs_")
    assert "MLPClassifier" in net._repr_html_()


def search(backend: str, jobs: int) -> Any:
    digits, labels = (part[:300] for part in load_digits(return_X_y=True))
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**QUICK | {"max_iter": 5}))
    with parallel_config(backend, n_jobs=jobs):
        found = GridSearchCV(pipeline, {"mlpclassifier__dropout": [0.0, 0.3]}, cv=2).fit(digits, labels)
    return found.cv_results_["mean_test_score"]


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_searches_side_by_side(backend: str) -> None:
    np.testing.assert_array_equal(search(backend, 2), search("sequential", 1))


def test_metadata_routing() -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        net = MLPClassifier(**QUICK).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        found = cross_validate(net, X, Y, params={"sample_weight": np.arange(len(X)) % 2 + 0.5}, cv=2)
    assert np.isfinite(found["test_score"]).all()


def test_threads() -> None:
    wide = MLPClassifier([256], alpha=50.0, max_iter=3, batch_size=600, random_state=0)
    digits, labels = load_digits(return_X_y=True)
    nets = [clone(wide).set_params(n_jobs=jobs).fit(digits, labels) for jobs in (1, 2, -1, None)]
    for net in nets[1:]:
        np.testing.assert_allclose(net.loss_curve_, nets[0].loss_curve_, rtol=1e-5)
        np.testing.assert_allclose(net.coefs_[0], nets[0].coefs_[0], rtol=1e-2, atol=1e-4)


def test_interrupted() -> None:
    class Interrupt(nb.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    net = MLPClassifier(callbacks=[Interrupt()], **QUICK)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        net.fit(X, Y)
    assert net.n_iter_ == 3
    assert net.predict(X).shape == Y.shape


def test_going_on_with_other_parameters() -> None:
    net = MLPClassifier(warm_start=True, **QUICK).fit(X, Y)
    before = [c.copy() for c in net.coefs_]
    net.set_params(dropout=0.5, dtype="float64", max_iter=1, learning_rate_init=1e-9).fit(X, Y)
    assert net.coefs_[0].dtype == np.float64
    assert [layer.name for layer in net.model_.layers] == ["hidden_1", "dropout_1", "output"]
    for now, then in zip(net.coefs_, before, strict=True):
        np.testing.assert_allclose(now, then, atol=1e-6)
    with pytest.raises(ValueError, match=r"shapes were .*\(4, 16\).*\(4, 9\)"):
        net.set_params(hidden_layer_sizes=(9,)).fit(X, Y)
    assert net.predict(X).shape == Y.shape


def test_weights_before_any_fit() -> None:
    net = MLPClassifier(2, activation="logistic", solver="sgd", momentum=0.0, learning_rate_init=0.1, alpha=0.0)
    net.coefs_ = [np.array([[0.1, 0.2], [0.3, 0.1], [0.5, 0.0]]), np.array([[0.1], [0.2]])]
    net.intercepts_ = [np.array([0.1, 0.1]), np.array([1.0])]
    net.n_features_in_ = 3
    net.partial_fit(np.array([[0.6, 0.8, 0.7]]), [0], classes=[0, 1])
    hidden = 1 / (1 + np.exp(-np.array([0.75, 0.3])))
    output = 1 / (1 + np.exp(-(hidden @ [0.1, 0.2] + 1.0)))
    np.testing.assert_allclose(net.coefs_[1][:, 0], [0.1, 0.2] - 0.1 * output * hidden, rtol=1e-5)
