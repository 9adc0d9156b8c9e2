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
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nbnet as nb
from nbnet.estimators import NetClassifier, NetRegressor
from tests.estimators.builders import plain

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]


def net(**settings: Any) -> NetClassifier:
    given = {"epochs": 20, "optimizer__learning_rate": 0.02, "random_state": 0} | settings
    return NetClassifier(**given)


@pytest.mark.parametrize("backend", ["threading", "loky"])
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
    target = 1e4 * X[:, 0]
    scaled = TransformedTargetRegressor(NetRegressor(epochs=40, random_state=0), transformer=StandardScaler())
    assert scaled.fit(X, target).score(X, target) > 0.8


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_metadata_are_routed() -> None:
    weights = np.where(y == 2, 0.0, 1.0)
    asked = (
        net(epochs=5).set_fit_request(sample_weight=True, validation_data=True).set_score_request(sample_weight=True)
    )
    pipe = make_pipeline(StandardScaler(), asked).fit(
        X, NAMES, sample_weight=weights, validation_data=(X[:9], NAMES[:9])
    )
    assert "val_loss" in pipe[-1].history_.history
    assert "virginica" not in pipe.predict(X[:100])
    search = GridSearchCV(asked, {"epochs": [5]}, cv=2).fit(X, NAMES, sample_weight=weights)
    assert search.score(X, NAMES, sample_weight=weights) > 0.6
