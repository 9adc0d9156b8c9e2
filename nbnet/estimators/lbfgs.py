"""Training by scipy's L-BFGS-B: loss and gradient of all rows by compiled calls over the flat parameters."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.utils.optimize import _check_optimize_result

from nbnet.core.abi import device
from nbnet.core.blas import single_thread
from nbnet.estimators.penalised import Penalised
from nbnet.models import Model
from nbnet.models.intake import Rows
from nbnet.models.loop import Pass
from nbnet.models.totals import Totals
from nbnet.optimizers import Optimizer
from nbnet.optimizers.rows import update_rule

Float64 = NDArray[np.float64]

#: Rows that are computed at a time: enough for good products, few enough to stay in the cache.
ROWS = 512


@device
def _prepare(learning_rate: Any, h: Any, step: Any) -> Any:
    return (learning_rate,)


@device
def _keep(p: Any, g: Any, a: Any, b: Any, c: Any, k: Any) -> None:
    for i in range(p.size):
        a[i] += g[i]


class _Keep(Optimizer):
    """Adds up gradients and leaves parameters as they are."""

    slots = ("gradient",)
    kernel = update_rule("keep_gradient", _prepare, _keep)

    def __init__(self, name: str | None = None) -> None:
        super().__init__(1.0, {}, name=name)


class Objective:
    """The loss of all rows and its gradient, as functions of the flat parameters.

    Parameters
    ----------
    model
        Compiled with the loss, and to be compiled with another optimizer before it is trained otherwise.
    loss
        Its rows and weight are set.
    """

    def __init__(self, model: Model, loss: Penalised, rows: Rows) -> None:
        weights = rows.w[0]
        loss.rows, loss.weight = len(rows), float(len(rows) if weights is None else weights.sum(dtype=np.float64))
        self._optimizer = _Keep()
        model.compile(self._optimizer, loss)
        size = min(ROWS, len(rows))
        self._pass = Pass(model, "train", rows, size, np.arange(len(rows)))
        block = self._optimizer.block
        assert block is not None
        self._flat, self._gradient = block.flat.numpy()[0], self._optimizer.state["gradient"]
        whole = len(rows) // size * size
        #: Full batches, and the short one: spans of rows, and numbers of batches.
        self._parts = [(slice(0, whole), whole // size), (slice(whole, len(rows)), 1)]
        self._totals, self._constant = Totals(self._pass.scores), loss.constant

    @property
    def parameters(self) -> Float64:
        """A copy of the flat parameters."""
        found: Float64 = self._flat.astype(np.float64)
        return found

    def set(self, x: Float64) -> None:
        """Overwrite the flat parameters."""
        self._flat[:] = x

    def __call__(self, x: Float64) -> tuple[float, Float64]:
        """Loss and gradient at x."""
        self.set(x)
        self._gradient[:] = 0
        value = self._constant
        for span, batches in self._parts:
            if span.stop > span.start:
                self._totals.reset()
                self._pass.run(self._totals, span=span)
                value += self._totals.logs()["loss"] * batches
        return value, self._gradient.astype(np.float64)


def minimise(
    model: Model, loss: Penalised, rows: Rows, *, tol: float, max_iter: int, max_fun: int, verbose: bool
) -> tuple[float, int]:
    """Train until the gradient is small; returns the loss, and the number of iterations.

    Warns
    -----
    ConvergenceWarning
        If it did not get there.
    """
    with model._alone(), single_thread:
        objective = Objective(model, loss, rows)
        numbers = itertools.count(1)

        def say(intermediate_result: Any) -> None:
            print(f"Iteration {next(numbers)}, loss = {intermediate_result.fun:.8f}")

        found = minimize(
            objective,
            objective.parameters,
            method="L-BFGS-B",
            jac=True,
            callback=say if verbose else None,
            options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
        )
        objective.set(found.x)
    return float(found.fun), _check_optimize_result("lbfgs", found, max_iter)
