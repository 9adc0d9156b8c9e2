"""Every setting of scikit-learn's networks gives the same network here: weights, losses and epochs agree."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn import neural_network
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from nbnet import estimators

# Older networks of scikit-learn lack some of these parameters, and word errors differently.
pytest.importorskip("sklearn", minversion="1.9")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X_IRIS = scale(X_IRIS)
X_DIGITS, Y_DIGITS = (part[:300] for part in load_digits(return_X_y=True))
X_DIGITS = X_DIGITS / 16
X_LABELS, Y_LABELS = make_multilabel_classification(120, 8, n_classes=4, random_state=0)
RNG = np.random.default_rng(0)
NUMBERS = X_IRIS[:, :2] @ [[1.0, 2.0], [-1.0, 0.5]]
COUNTS = RNG.poisson(np.exp(X_IRIS[:, 0]))
WEIGHTS = RNG.uniform(0.5, 2.0, len(X_IRIS))

#: Name: parameters.
BOTH: dict[str, dict[str, Any]] = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.1},
    "sgd, momentum": {"solver": "sgd", "learning_rate_init": 0.1, "nesterovs_momentum": False, "momentum": 0.5},
    "sgd, no momentum": {"solver": "sgd", "learning_rate_init": 0.1, "momentum": 0.0},
    "invscaling": {"solver": "sgd", "learning_rate_init": 0.1, "learning_rate": "invscaling", "power_t": 0.2},
    "adaptive": {
        "solver": "sgd", "learning_rate_init": 0.1, "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 2,
    },
    "converges": {"tol": 0.05, "n_iter_no_change": 2, "learning_rate_init": 0.01},
    "lbfgs": {"solver": "lbfgs", "max_iter": 10},
    "lbfgs, few calls": {"solver": "lbfgs", "max_fun": 5},
    "alpha": {"alpha": 3.0},
    "alpha, lbfgs": {"alpha": 3.0, "solver": "lbfgs", "max_iter": 10},
    "no alpha": {"alpha": 0.0},
    "tanh": {"activation": "tanh"},
    "logistic": {"activation": "logistic"},
    "identity": {"activation": "identity"},
    "three layers": {"hidden_layer_sizes": (8, 7, 6)},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "one number": {"hidden_layer_sizes": 5},
    "small batches": {"batch_size": 7},
    "not shuffled": {"shuffle": False, "batch_size": 32},
    "betas": {"beta_1": 0.5, "beta_2": 0.7, "epsilon": 1e-3},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3, "learning_rate_init": 0.02},
    "early stopping, share": {"early_stopping": True, "validation_fraction": 0.3, "batch_size": 16},
    "early stopping, adaptive": {
        "early_stopping": True, "solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.01,
    },
}  # fmt: skip
CLASSES = {"iris": (X_IRIS, Y_IRIS), "two classes": (X_IRIS, Y_IRIS == 1), "labels": (X_LABELS, Y_LABELS)}
TARGETS = {"numbers": (X_IRIS, NUMBERS[:, 0]), "two numbers": (X_IRIS, NUMBERS)}
COMMON = {"hidden_layer_sizes": (10,), "max_iter": 12, "random_state": 3}


def fitted(kind: str, X: Any, y: Any, sample_weight: Any = None, **parameters: Any) -> tuple[Any, Any]:
    """scikit-learn's network and ours, in float64."""
    theirs = getattr(neural_network, kind)(**COMMON | parameters).fit(X, y, sample_weight)
    ours = getattr(estimators, kind)(**COMMON | parameters, dtype="float64").fit(X, y, sample_weight)
    return theirs, ours


def same(theirs: Any, ours: Any, X: Any) -> None:
    """Attributes and predictions agree."""
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8, err_msg=name)
    for name in ("loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_"):
        assert hasattr(ours, name) == hasattr(theirs, name), name
        expected = getattr(theirs, name, None)
        if expected is None:
            assert getattr(ours, name, None) is None
        else:
            np.testing.assert_allclose(getattr(ours, name), expected, rtol=1e-7, err_msg=name)
    how = "predict_proba" if hasattr(theirs, "classes_") else "predict"
    np.testing.assert_allclose(getattr(ours, how)(X), getattr(theirs, how)(X), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("setting", BOTH)
def test_classifier(setting: str) -> None:
    same(*fitted("MLPClassifier", X_IRIS, Y_IRIS, **BOTH[setting]), X_IRIS)


@pytest.mark.parametrize("setting", BOTH)
def test_regressor(setting: str) -> None:
    same(*fitted("MLPRegressor", X_IRIS, NUMBERS[:, 0], **BOTH[setting]), X_IRIS)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target", CLASSES)
def test_classes(target: str, weighted: bool, solver: str) -> None:
    X, y = CLASSES[target]
    weights = WEIGHTS[: len(X)] if weighted else None
    same(*fitted("MLPClassifier", X, y, weights, solver=solver, batch_size=50), X)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target", TARGETS)
def test_numbers(target: str, weighted: bool) -> None:
    X, y = TARGETS[target]
    same(*fitted("MLPRegressor", X, y, WEIGHTS if weighted else None, batch_size=50), X)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_poisson(solver: str) -> None:
    theirs, ours = fitted("MLPRegressor", X_IRIS, COUNTS, loss="poisson", solver=solver, max_iter=6)
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-5)
    np.testing.assert_allclose(ours.predict(X_IRIS), theirs.predict(X_IRIS), rtol=1e-4)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_weights_of_held_out_rows(kind: str) -> None:
    y = Y_IRIS if kind == "MLPClassifier" else NUMBERS
    same(*fitted(kind, X_IRIS, y, WEIGHTS, early_stopping=True, validation_fraction=0.2, batch_size=32), X_IRIS)


def test_sparse_features() -> None:
    X = sparse.csr_matrix(np.where(X_DIGITS > 0.5, X_DIGITS, 0))
    for given in (X, X.tocsc(), sparse.csr_array(X)):
        same(*fitted("MLPClassifier", given, Y_DIGITS, batch_size=64), given)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_partial_fit(kind: str) -> None:
    classes = {"classes": [0, 1, 2]} if kind == "MLPClassifier" else {}
    theirs = getattr(neural_network, kind)(**COMMON)
    ours = getattr(estimators, kind)(**COMMON, dtype="float64")
    for start in (0, 50, 100, 0):
        for net in (theirs, ours):
            net.partial_fit(X_IRIS[start : start + 50], Y_IRIS[start : start + 50], **classes)
    same(theirs, ours, X_IRIS)


@pytest.mark.parametrize("parameters", [{}, {"solver": "lbfgs"}, {"early_stopping": True, "solver": "sgd"}])
def test_warm_start(parameters: dict[str, Any]) -> None:
    theirs, ours = fitted("MLPClassifier", X_IRIS, Y_IRIS, warm_start=True, **parameters)
    for net in (theirs, ours):
        net.fit(X_IRIS, Y_IRIS)
    same(theirs, ours, X_IRIS)


def test_a_generator_goes_on() -> None:
    nets = []
    for module in (neural_network, estimators):
        rng = np.random.RandomState(5)
        net = module.MLPClassifier(**COMMON | {"random_state": rng, "hidden_layer_sizes": 4})
        nets.append(net.fit(X_IRIS, Y_IRIS).fit(X_IRIS, Y_IRIS))
    np.testing.assert_allclose(nets[1].coefs_[0], nets[0].coefs_[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True}, {"solver": "sgd", "learning_rate": "adaptive"}])
def test_printed_lines(parameters: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    fitted("MLPClassifier", X_IRIS, Y_IRIS, verbose=True, tol=0.2, n_iter_no_change=1, **parameters)
    lines = capsys.readouterr().out.splitlines()
    half = len(lines) // 2
    assert half > 3
    assert lines[:half] == lines[half:]


def test_warning_of_convergence() -> None:
    for solver in ("adam", "lbfgs"):
        texts = []
        for module in (neural_network, estimators):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                module.MLPClassifier(**COMMON | {"max_iter": 2, "solver": solver}).fit(X_IRIS, Y_IRIS)
            assert [one.category for one in caught] == [ConvergenceWarning]
            texts.append(str(caught[0].message))
        assert texts[0] == texts[1]


def test_defaults() -> None:
    for kind in ("MLPClassifier", "MLPRegressor"):
        theirs, ours = (getattr(module, kind)().get_params() for module in (neural_network, estimators))
        assert theirs.items() <= ours.items()
        names = list(theirs)
        given = [name for name in getattr(estimators, kind)._get_param_names() if name in theirs]
        assert names == given


def test_float32_is_close() -> None:
    theirs = neural_network.MLPClassifier(**COMMON).fit(X_DIGITS, Y_DIGITS)
    ours = estimators.MLPClassifier(**COMMON).fit(X_DIGITS, Y_DIGITS)
    assert ours.coefs_[0].dtype == ours.predict_proba(X_DIGITS).dtype == np.float32
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(ours.predict_proba(X_DIGITS), theirs.predict_proba(X_DIGITS), atol=1e-4)
