"""Parameters that are written once: constructors, documentation and constraints agree."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from nbnet import estimators

CLASSES = [getattr(estimators, name) for name in estimators.__all__ if name != "MultiFitSearchCV"]


def documented(cls: Any, section: str) -> set[str]:
    """Names in a section of a numpydoc docstring."""
    text = inspect.getdoc(cls) or ""
    body = text.partition(f"{section}\n{'-' * len(section)}\n")[2]
    body = re.split(r"\n\n\w+\n-+\n", body)[0]
    return {
        name
        for line in body.splitlines()
        if re.match(r"[\w*]", line)
        for name in re.findall(r"\w+", line.partition(" :")[0])
    }


@pytest.mark.parametrize("cls", CLASSES)
def test_every_parameter_is_documented(cls: Any) -> None:
    assert documented(cls, "Parameters") - {"routed"} == set(inspect.signature(cls).parameters)
    assert "%(" not in cls.__doc__
    assert {"model_", "n_iter_", "n_features_in_"} <= documented(cls, "Attributes")


@pytest.mark.parametrize("cls", [estimators.MLPClassifier, estimators.MLPRegressor])
def test_every_parameter_has_a_constraint(cls: Any) -> None:
    assert set(cls._parameter_constraints) == set(inspect.signature(cls).parameters)


def test_positional_parameters_are_scikit_learns() -> None:
    for kind in ("MLPClassifier", "MLPRegressor"):
        parameters = inspect.signature(getattr(estimators, kind)).parameters.values()
        names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert names == ["loss"] * (kind == "MLPRegressor") + ["hidden_layer_sizes", "activation"]


def test_warnings_point_to_the_call() -> None:
    X = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.warns(ConvergenceWarning) as caught:
        estimators.MLPRegressor(max_iter=1).fit(X, X[:, 0])
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="batch_size") as caught:
        estimators.MLPRegressor(batch_size=50).partial_fit(X, X[:, 0])
    assert caught[0].filename == __file__
