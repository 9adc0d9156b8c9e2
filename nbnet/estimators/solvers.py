"""What the solvers of scikit-learn's networks are here: dtypes, optimizers, and policies of their learning rates."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet import optimizers
from nbnet.estimators.stopping import Rates
from nbnet.optimizers import Optimizer


def looks_at_all_rows(estimator: Any) -> bool:
    """Whether the solver is L-BFGS."""
    return bool(estimator.solver == "lbfgs" and estimator.optimizer is None)


def compute_dtype(estimator: Any, X: Any) -> np.dtype[Any]:
    """What to compute in. L-BFGS wants to see small differences of the loss."""
    exact = looks_at_all_rows(estimator) and X.dtype != np.float32
    found: np.dtype[Any] = np.dtype(
        ("float64" if exact else "float32") if estimator.dtype == "auto" else estimator.dtype
    )
    return found


def accepted_dtypes(estimator: Any) -> list[Any]:
    """What X may be; the first is what it is made otherwise."""
    wide = compute_dtype(estimator, np.empty(0)) == np.float64
    return [np.float64, np.float32] if wide else [np.float32, np.float64]


def has_partial_fit(estimator: Any) -> bool:
    """True; an AttributeError for a solver that looks at all rows, and thus cannot train on some of them."""
    if looks_at_all_rows(estimator):
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    return True


def new_optimizer(estimator: Any) -> Optimizer:
    """The optimizer that an estimator's parameters describe."""
    given = estimator.optimizer
    if isinstance(given, Optimizer):
        return type(given).from_config(given.get_config())
    rate = estimator.learning_rate_init if isinstance(estimator.learning_rate, str) else estimator.learning_rate
    if given is not None:
        return type(optimizers.get(given))(rate)  # type: ignore[call-arg]
    if estimator.solver == "sgd":
        return optimizers.SGD(rate, estimator.momentum, estimator.nesterovs_momentum)
    return optimizers.Adam(rate, estimator.beta_1, estimator.beta_2, estimator.epsilon)


def rates(estimator: Any, optimizer: Optimizer) -> Rates | None:
    """The policy of the learning rate; as in scikit-learn, Adam has none, nor has a schedule."""
    scheduled = not isinstance(estimator.learning_rate, str)
    if scheduled or (estimator.optimizer is None and estimator.solver == "adam"):
        return None
    given = estimator.optimizer
    first = given.learning_rate if isinstance(given, Optimizer) else estimator.learning_rate_init
    return Rates(optimizer, estimator.learning_rate, float(first), estimator.power_t)
