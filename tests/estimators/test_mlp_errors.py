"""Bad input, in scikit-learn's words where it has them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn import neural_network
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from nbnet import estimators
from nbnet.estimators import MLPClassifier, MLPRegressor

# Older networks of scikit-learn lack some of these parameters, and word errors differently.
pytest.importorskip("sklearn", minversion="1.9")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
WARM = {"warm_start": True, "max_iter": 2}

#: Calls of scikit-learn's class and of ours, which raise equal errors with equal messages.
SAME: dict[str, Callable[[Any], Any]] = {
    "not fitted": lambda net: net().predict(X),
    "not fitted, proba": lambda net: net().predict_proba(X),
    "features": lambda net: net(max_iter=1).fit(X, Y).predict(X[:, :2]),
    "features, partial": lambda net: net().partial_fit(X, Y, classes=[0, 1, 2]).partial_fit(X[:, :2], Y),
    "no classes": lambda net: net().partial_fit(X, Y),
    "unknown label": lambda net: net().partial_fit(X, Y, classes=[0, 1, 2]).partial_fit(X, Y + 1),
    "other classes": lambda net: net().partial_fit(X, Y, classes=[0, 1, 2]).partial_fit(X, Y, classes=[0, 1]),
    "warm start": lambda net: net(**WARM).fit(X, Y).fit(X, Y + 1),
    "zero weights": lambda net: net().fit(X, Y, np.zeros(len(X))),
    "weights too few": lambda net: net().fit(X, Y, np.ones(3)),
    "validation_fraction": lambda net: net(early_stopping=True, validation_fraction=1.5).fit(X, Y),
    "validation set": lambda net: net(early_stopping=True, validation_fraction=0.2).fit(X[:4], [0, 1, 2, 0]),
    "stratified": lambda net: net(early_stopping=True).fit(X[:4], [0, 0, 0, 1]),
    "lbfgs, partial": lambda net: net(solver="lbfgs").partial_fit,
    "early stopping, partial": lambda net: net(early_stopping=True).partial_fit(X, Y, classes=[0, 1, 2]),
    "layer sizes": lambda net: net(hidden_layer_sizes=(3, -1)).fit(X, Y),
    "layer size": lambda net: net(hidden_layer_sizes=0).fit(X, Y),
    "alpha": lambda net: net(alpha=-1).fit(X, Y),
    "beta": lambda net: net(beta_1=1).fit(X, Y),
    "batch_size": lambda net: net(batch_size=0).fit(X, Y),
    "shuffle": lambda net: net(shuffle="yes").fit(X, Y),
    "momentum": lambda net: net(momentum=2).fit(X, Y),
    "NaN": lambda net: net().fit(np.where(X > 5, np.nan, X), Y),
    "lengths": lambda net: net().fit(X, Y[:9]),
    "one dimension": lambda net: net().fit(X[:, 0], Y),
    "not finite": lambda net: net(max_iter=1, solver="sgd", learning_rate_init=1e300).fit(X * 1e100, Y),
}


def error(action: Callable[[Any], Any], kind: Any) -> tuple[type, str]:
    with pytest.raises(Exception) as caught, np.errstate(all="ignore"):  # noqa: PT011
        action(kind)
    return type(caught.value), str(caught.value)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("case", SAME)
def test_same_as_scikit_learn(case: str) -> None:
    theirs, ours = error(SAME[case], neural_network.MLPClassifier), error(SAME[case], MLPClassifier)
    assert ours == theirs


#: Error, a part of its message, what is done.
OWN: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "continuous": (ValueError, "Unknown label type: continuous", lambda: MLPClassifier().fit(X, X[:, 0])),
    "activation": (ValueError, "'activation' parameter .*'relu'", lambda: MLPClassifier(activation="no").fit(X, Y)),
    "solver": (ValueError, "'solver' parameter .*'lbfgs'", lambda: MLPClassifier(solver="newton").fit(X, Y)),
    "one of them": (ValueError, "activation: 'no' is not known", lambda: MLPClassifier(activation=["no"]).fit(X, Y)),
    "activations": (
        ValueError,
        "activation must have a value for each of the 1 hidden layers, got 2",
        lambda: MLPClassifier(activation=["relu", "tanh"]).fit(X, Y),
    ),
    "rates": (
        ValueError,
        "dropout must have a value for each of the 1 hidden layers, got 2",
        lambda: MLPClassifier(dropout=[0.1, 0.2]).fit(X, Y),
    ),
    "rate": (ValueError, "'dropout' parameter", lambda: MLPClassifier(dropout=1.5).fit(X, Y)),
    "loss": (ValueError, "'loss' parameter", lambda: MLPRegressor(loss="no").fit(X, Y)),
    "optimizer": (ValueError, "'optimizer' parameter", lambda: MLPRegressor(optimizer="no").fit(X, Y)),
    "dtype": (ValueError, "'dtype' parameter", lambda: MLPRegressor(dtype="float16").fit(X, Y)),
    "class_weight": (ValueError, "class_weight", lambda: MLPClassifier(class_weight="no").fit(X, Y)),
    "balanced": (
        ValueError,
        "class_weight 'balanced' is not supported for partial_fit",
        lambda: MLPClassifier(class_weight="balanced").partial_fit(X, Y, classes=[0, 1, 2]),
    ),
    "negative weights": (ValueError, "Negative values in data", lambda: MLPClassifier().fit(X, Y, -np.ones(len(X)))),
    "lbfgs": (ValueError, "lbfgs.*dropout", lambda: MLPClassifier(solver="lbfgs", dropout=0.5).fit(X, Y)),
    "lbfgs, validation_data": (
        ValueError,
        "^validation_data: solver='lbfgs' has no epochs",
        lambda: MLPClassifier(solver="lbfgs").fit(X, Y, validation_data=(X, Y)),
    ),
    "validation_data": (
        ValueError,
        re.escape("validation_data must be (X, y)"),
        lambda: MLPClassifier().fit(X, Y, validation_data=X),
    ),
    "no std": (ValueError, "no layer that draws", lambda: MLPRegressor().fit(X, Y).predict(X, return_std=True)),
    "no width": (ValueError, "held out", lambda: MLPRegressor(max_iter=1).fit(X, Y).predict_interval(X)),
    "coverage": (ValueError, "coverage", lambda: MLPRegressor().fit(X, Y).predict_interval(X, 2)),
    "several columns": (ValueError, "MultiOutputClassifier", lambda: MLPClassifier().fit(X, np.c_[Y, Y + 1])),
    "no columns": (
        ValueError,
        "should be in",
        lambda: MLPRegressor(categorical_features=[7]).fit(X, Y),
    ),
    "sparse categories": (
        TypeError,
        "dense",
        lambda: MLPRegressor(categorical_features=[0]).fit(sparse.csr_matrix(X), Y),
    ),
}


@pytest.mark.parametrize("case", OWN)
def test_beyond(case: str) -> None:
    kind, text, action = OWN[case]
    with pytest.raises(kind, match=text):
        action()


def test_nothing_is_fitted_by_an_error() -> None:
    net = MLPClassifier(dropout=[0.1, 0.2])
    with pytest.raises(ValueError, match="dropout"):
        net.fit(X, Y)
    with pytest.raises(NotFittedError):
        estimators.MLPClassifier().predict(X)


def test_unknown_parameter() -> None:
    with pytest.raises(TypeError, match="keep_prob"):
        MLPClassifier(keep_prob=0.5)  # type: ignore[call-arg]
