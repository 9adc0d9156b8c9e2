"""Networks inside scikit-learn's own tools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

import nbnet as nb
from nbnet.estimators import NetClassifier, NetRegressor, NetTransformer
from tests.estimators.builders import plain

X, y = load_iris(return_X_y=True)
X = (X - X.mean(0)) / X.std(0)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]


def net(**settings: Any) -> NetClassifier:
    given = {"epochs": 20, "optimizer__learning_rate": 0.02, "random_state": 0} | settings
    return NetClassifier(**given)


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_searches_repeat_themselves_whatever_runs_them(backend: str) -> None:
    import joblib

    grid = {"netclassifier__model__units": [2, 8], "netclassifier__optimizer__learning_rate": [1e-6, 0.02]}
    pipe = make_pipeline(StandardScaler(), net(model=plain, model__rate=0.1))
    with joblib.parallel_backend(backend, n_jobs=2):
        found = GridSearchCV(pipe, grid, cv=3, n_jobs=2).fit(X, NAMES)
    alone = GridSearchCV(pipe, grid, cv=3).fit(X, NAMES)
    np.testing.assert_array_equal(found.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    assert found.best_params_["netclassifier__optimizer__learning_rate"] == 0.02
    assert found.best_score_ > 0.9


def test_a_search_over_layers_of_a_model() -> None:
    layers = [nb.layers.Dense(8, "relu", name="hidden"), nb.layers.Dropout(0.1, name="drop"), nb.layers.Dense(3)]
    grid = {"model__hidden__units": [1, 8], "model__drop__rate": [0.0, 0.99], "optimizer": ["adam", "sgd"]}
    found = GridSearchCV(net(model=nb.Sequential(layers)), grid, cv=2).fit(X, NAMES)
    assert found.best_params_["model__drop__rate"] == 0.0


def test_a_search_says_at_once_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="model__unit: plain has no 'unit'"):
        GridSearchCV(net(model=plain), {"model__unit": [1, 2]}, cv=2).fit(X, NAMES)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda one: make_pipeline(StandardScaler(), one),
        lambda one: CalibratedClassifierCV(one, cv=3),
        lambda one: CalibratedClassifierCV(FrozenEstimator(one.fit(X, NAMES))),
        lambda one: StackingClassifier([("net", one), ("line", LogisticRegression())], cv=3),
        lambda one: VotingClassifier([("net", one), ("line", LogisticRegression())], voting="soft"),
        lambda one: BaggingClassifier(one, n_estimators=3, random_state=0),
        lambda one: OneVsRestClassifier(one),
    ],
)
def test_wrapped(wrap: Any) -> None:
    assert wrap(net(epochs=30)).fit(X, NAMES).score(X, NAMES) > 0.9


def test_cross_validation() -> None:
    assert (cross_val_predict(net(), X, NAMES, cv=3) == NAMES).mean() > 0.9
    p = cross_val_predict(net(), X, NAMES, cv=3, method="predict_proba")
    assert p.shape == (150, 3)
    found = cross_validate(net(), X, NAMES, cv=3, scoring=["accuracy", "neg_log_loss"], return_estimator=True)
    assert len({id(one.model_) for one in found["estimator"]}) == 3


def test_inspection() -> None:
    fitted = net().fit(X, NAMES)
    assert permutation_importance(fitted, X, NAMES, n_repeats=2, random_state=0).importances_mean[2:].max() > 0.1
    assert partial_dependence(fitted, X, [2], grid_resolution=5)["average"].shape == (3, 5)


def test_a_target_that_is_scaled() -> None:
    target = 1e4 * X[:, 0] + 5e4
    scaled = TransformedTargetRegressor(NetRegressor(random_state=0), transformer=StandardScaler())
    assert scaled.fit(X, target).score(X, target) > 0.8


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_metadata_are_routed() -> None:
    weights, held = np.where(y == 2, 0.0, 1.0), (X[:9], NAMES[:9])
    asked = net(epochs=5).set_fit_request(sample_weight=True, validation_data=True)
    pipe = make_pipeline(Normalizer(), asked).fit(X, NAMES, sample_weight=weights, validation_data=held)
    assert "val_loss" in pipe[-1].history_.history
    assert "virginica" not in pipe.predict(X[:100])
    asked = asked.set_fit_request(validation_data=False).set_score_request(sample_weight=True)
    search = GridSearchCV(asked, {"epochs": [5]}, cv=2).fit(X, NAMES, sample_weight=weights)
    assert search.score(X, NAMES, sample_weight=weights) > 0.6


@pytest.mark.usefixtures("routing")
def test_data_of_validation_go_through_a_pipeline() -> None:
    asked = net(epochs=2).set_fit_request(X_val=True, y_val=True)
    pipe = Pipeline([("scale", StandardScaler()), ("net", asked)], transform_input=["X_val"])
    pipe.fit(100 * X, NAMES, X_val=100 * X[:60], y_val=NAMES[:60])
    expected = -np.log(pipe.predict_proba(100 * X[:60])[np.arange(60), y[:60]]).mean()
    assert pipe[-1].history_.history["val_loss"][-1] == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="y_val: expected data"):
        asked.fit(X, NAMES, X_val=X)
    with pytest.raises(ValueError, match="validation_data: expected None"):
        asked.fit(X, NAMES, validation_data=(X, NAMES), X_val=X, y_val=NAMES)


class Counting:
    """A callback of scikit-learn's kind that counts tasks, and stops a fit after some epochs."""

    def __init__(self, stop: int = 99) -> None:
        self.begun, self.ended, self.scores, self.stop = 0, 0, list[float](), stop

    def setup(self, estimator: Any, context: Any) -> None:
        self.begun = self.ended = 0

    def teardown(self, estimator: Any, context: Any) -> None:
        assert self.begun == self.ended

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.begun += 1

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, X: Any = None, y: Any = None, fitted_estimator: Any = None
    ) -> bool:
        self.ended += 1
        if y is not None:
            self.scores.append(fitted_estimator.score(X, y))
        return self.ended == self.stop


@pytest.mark.skipif(not hasattr(NetClassifier, "set_callbacks"), reason="callbacks came with scikit-learn 1.9")
def test_callbacks_of_scikit_learn() -> None:
    told = Counting()
    fitted = net(epochs=6).set_callbacks(told).fit(X, NAMES)
    assert told.ended == 7, "six epochs and the fit"
    assert told.scores[0] < told.scores[-1] == fitted.score(X, NAMES)
    assert net(epochs=6).set_callbacks(Counting(stop=2)).fit(X, NAMES).n_iter_ == 2
    numbers = NetRegressor(epochs=3).set_callbacks(told).fit(X, X[:, :2], sample_weight=np.ones(150))
    assert numbers.n_iter_ == 3
    features = NetTransformer(epochs=3).set_callbacks(told).fit(X)
    assert features.n_iter_ == 3


@pytest.mark.skipif(not hasattr(NetClassifier, "set_callbacks"), reason="callbacks came with scikit-learn 1.9")
def test_callbacks_of_scikit_learn_in_a_search() -> None:
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="accuracy")
    GridSearchCV(net(epochs=3).set_callbacks(monitor), {"batch_size": [16, 32]}, cv=2).fit(X, NAMES)
    found = monitor.get_logs(select="all")
    assert len(found) >= 1
