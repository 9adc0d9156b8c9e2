"""A grid search whose fits run side by side finds what scikit-learn's finds."""

from __future__ import annotations

import _thread
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest
from sklearn.base import ClassifierMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nbnet as nb
from nbnet.base.cpu import processors
from nbnet.estimators import MLPClassifier, MLPRegressor, MultiFitSearchCV, NetClassifier
from nbnet.estimators.base import NeuralEstimator

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
rng = np.random.default_rng(6)
X = rng.normal(size=(120, 5))
LABELS = np.array(["a", "b", "c"])[rng.integers(0, 3, 120)]
VALUES = X @ [1.0, -1.0, 0.5, 0.0, 2.0]
NET = MLPClassifier((6,), max_iter=8, random_state=3)
REGRESSOR = MLPRegressor(hidden_layer_sizes=(6,), max_iter=8, random_state=1)
GRID = {"alpha": [1e-4, 1.0], "learning_rate_init": [0.001, 0.05]}


def results(search):
    """All but times."""
    return {name: values for name, values in search.cv_results_.items() if not name.endswith("_time")}


def assert_same(search, other):
    found, expected = results(search), results(other)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(np.ma.filled(found[name], -1), np.ma.filled(values, -1), err_msg=name)
    for name in ("best_index_", "best_params_", "best_score_", "n_splits_", "multimetric_"):
        assert getattr(search, name, None) == getattr(other, name, None), name


def best_of(results):
    return int(np.argmin(results["rank_test_score"]))


def network(units=4):
    return nb.Sequential([nb.Input((5,)), nb.layers.Dense(units, "relu"), nb.layers.Dense(3, "softmax")])


@pytest.mark.parametrize(
    ("estimator", "grid", "y", "how", "params"),
    [
        (NET, GRID, LABELS, {}, {}),
        (NET, [{"alpha": [1.0]}, {"hidden_layer_sizes": [(3,), (4, 4)]}], LABELS, {"return_train_score": True}, {}),
        (NET, GRID, LABELS, {"scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss"}, {}),
        (NET, GRID, LABELS, {"scoring": "f1_macro", "refit": best_of}, {}),
        (NET, GRID, LABELS, {"cv": ShuffleSplit(3, random_state=1), "refit": False}, {}),
        (NET, GRID, LABELS, {"n_jobs": 1}, {"sample_weight": np.linspace(0.1, 2, 120)}),
        (NET, GRID, LABELS, {"cv": GroupKFold(3), "n_jobs": 3}, {"groups": np.arange(120) % 6}),
        (
            REGRESSOR,
            {"alpha": [0.1, 1.0]},
            VALUES,
            {"n_jobs": -1},
            {},
        ),
        (make_pipeline(StandardScaler(), NET), {"mlpclassifier__alpha": [0.1, 1.0]}, LABELS, {"n_jobs": 2}, {}),
        (NetClassifier(network, epochs=4, random_state=2), {"model__units": [2, 4]}, LABELS, {"n_jobs": 2}, {}),
    ],
)
def test_the_same_as_scikit_learns(estimator, grid, y, how, params):
    how = {"cv": 3} | how
    search = MultiFitSearchCV(estimator, grid, **how).fit(X, y, **params)
    expected = GridSearchCV(estimator, grid, **(how | {"n_jobs": None})).fit(X, y, **params)
    assert_same(search, expected)
    if how.get("refit", True):
        np.testing.assert_array_equal(search.predict(X), expected.predict(X))
        assert search.score(X, y) == expected.score(X, y)
    else:
        assert not hasattr(search, "best_estimator_")


class Looking(ClassifierMixin, NeuralEstimator):
    """Remembers where it was fitted."""

    seen: list = []  # noqa: RUF012

    def __init__(self, alpha=0, error=None):
        self.alpha, self.error = alpha, error

    def fit(self, X, y):
        self.seen.append((processors(), threading.current_thread() is threading.main_thread()))
        time.sleep(0.01)
        if self.error is not None:
            raise self.error
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.fixture
def seen(monkeypatch):
    monkeypatch.setattr("nbnet.base.cpu.available_processors", lambda: 4)
    for name in ("NBNET_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    Looking.seen.clear()
    return Looking.seen


@pytest.mark.parametrize(("n_jobs", "each"), [(None, 1), (4, 1), (2, 2), (3, 1)])
def test_fits_share_the_processors(n_jobs, each, seen):
    MultiFitSearchCV(Looking(), {"alpha": range(4)}, cv=3, n_jobs=n_jobs).fit(X, LABELS)
    # The last fit, of the best, has them all.
    assert seen == [(each, False)] * 12 + [(4, True)]


def test_one_at_a_time_has_all(seen):
    MultiFitSearchCV(Looking(), {"alpha": [1, 2]}, cv=2, n_jobs=1).fit(X, LABELS)
    assert seen == [(4, True)] * 5


def test_scikit_learns_search_in_threads_does_not_oversubscribe(seen):
    GridSearchCV(Looking(), {"alpha": [1, 2]}, cv=2, n_jobs=2, refit=False).fit(X, LABELS)
    from joblib import parallel_config

    with parallel_config("threading"):
        GridSearchCV(Looking(), {"alpha": [1, 2]}, cv=2, n_jobs=2, refit=False).fit(X, LABELS)
    assert seen == [(1, False)] * 4


def test_others_are_searched_as_ever(seen, monkeypatch):
    def no(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr("nbnet.estimators.search.parallel_config", no)
    search = MultiFitSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(X, LABELS)
    assert_same(search, GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(X, LABELS))
    MultiFitSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {}, cv=2).fit(X, LABELS)
    with pytest.raises(AssertionError):
        MultiFitSearchCV(TransformedTargetRegressor(MLPRegressor()), {}, cv=2).fit(X, VALUES)


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_failures():
    grid = {"learning_rate_init": [0.01, -1.0]}
    with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 6"):
        search = MultiFitSearchCV(NET, grid, cv=3, n_jobs=2).fit(X, LABELS)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
    with pytest.raises(ValueError, match="learning_rate_init"):
        MultiFitSearchCV(NET, grid, cv=3, n_jobs=2, error_score="raise").fit(X, LABELS)
    with pytest.raises(ValueError, match="Invalid parameter 'colour'"):
        MultiFitSearchCV(NET, {"colour": [1]}, cv=3, error_score="raise").fit(X, LABELS)


def test_it_is_an_estimator():
    search = MultiFitSearchCV(NET, GRID, cv=2, n_jobs=2)
    assert clone(search).get_params(deep=False).keys() == GridSearchCV(NET, GRID).get_params(deep=False).keys()
    assert "MultiFitSearchCV" in repr(search)
    search.fit(X, LABELS)
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict(X), search.predict(X))
    np.testing.assert_array_equal(again.classes_, np.unique(LABELS))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_stops_all(request):
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, previous))
    threads = threading.active_count()
    net = MLPClassifier((64, 64), max_iter=100_000, tol=0.0, n_iter_no_change=100_000)
    timer = threading.Timer(0.5, _thread.interrupt_main)
    timer.start()
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        MultiFitSearchCV(net, {"alpha": [0.1, 0.2, 0.3]}, cv=3, n_jobs=2).fit(np.tile(X, (20, 1)), np.tile(LABELS, 20))
    assert time.perf_counter() - began < 5
    timer.join()
    for _ in range(200):
        if threading.active_count() == threads:
            break
        time.sleep(0.01)
    assert threading.active_count() == threads


def test_processes_of_joblib_have_their_share(monkeypatch):
    """joblib says it by OMP_NUM_THREADS."""
    monkeypatch.setattr("nbnet.base.cpu.available_processors", lambda: 4)
    monkeypatch.delenv("NBNET_NUM_THREADS", raising=False)
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "2")
    assert processors() == 2
