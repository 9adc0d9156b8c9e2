"""What solvers can do."""

from __future__ import annotations

from typing import Any


def has_partial_fit(estimator: Any) -> bool:
    """True; an AttributeError for a solver that looks at all rows at once, and thus cannot train on some of them."""
    if estimator.solver == "lbfgs" and estimator.optimizer is None:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    return True
