"""A multi-layer perceptron for regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import StrOptions

from nbnet import losses
from nbnet.estimators import mlp_parameters
from nbnet.estimators.base import Array, documented
from nbnet.estimators.mlp import MLP
from nbnet.estimators.mlp_loss import PenalizedLoss, regression_loss
from nbnet.estimators.mlp_parameters import MLPParameters
from nbnet.estimators.regression_heads import Head, UncertaintyMixin, head_of
from nbnet.estimators.solvers import accepted_dtypes
from nbnet.estimators.training import FitData, r2


@documented(parameters=mlp_parameters.PARAMETERS, attributes=mlp_parameters.ATTRIBUTES)
@dataclass(eq=False, repr=False, match_args=False)
class MLPRegressor(UncertaintyMixin, MLP):
    """A neural network for regression: scikit-learn's ``MLPRegressor``, and more.

    All parameters of scikit-learn's class have the same meaning; those from ``dropout`` on go beyond it. Numbers differ
    by rounding: the default is float32 (see ``dtype``).

    Parameters
    ----------
    loss : str, nbnet.losses.Loss or callable
        "squared_error", "poisson", or another loss of :mod:`nbnet.losses`, such as "huber". With
        "gaussian_negative_log_likelihood" the network predicts variances, too; with ``Quantile([0.05, 0.5, 0.95])``
        quantiles.
    %(parameters)s

    Attributes
    ----------
    %(attributes)s

    Raises
    ------
    ValueError, TypeError
        If parameters or data do not fit, mostly in scikit-learn's words.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.estimators import MLPRegressor
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> net = MLPRegressor(hidden_layer_sizes=[32], solver="lbfgs", max_iter=1000, random_state=0)
    >>> net.fit(X, np.sin(3 * X[:, 0])).predict([[0.5]]).round(2)
    array([1.])
    """

    loss: Any = "squared_error"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MLPParameters._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson", *losses.known}), losses.Loss, callable],
    }

    def _validated(self, X: Any, y: Any, incremental: bool, first: bool) -> tuple[Any, Array]:
        X, y = self._checked(X, y, reset=first, dtype=accepted_dtypes(self), multi_output=True, y_numeric=True)
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        return X, y

    @property
    def _head(self) -> Head:
        return head_of(self._objective(np.zeros((1, self.n_outputs_)), None).base, self.n_outputs_)

    @property
    def _width(self) -> int:
        return self._head.width

    def _encoded(self, y: Array) -> Array:
        return np.ascontiguousarray(y.reshape(len(y), -1))

    def _objective(self, targets: Array, weights: Array | None) -> PenalizedLoss:
        return regression_loss(self.loss, targets, weights)

    def _score(self, y: Array, outputs: Array, weights: Array | None) -> float:
        return r2(y[:, : self.n_outputs_], self._head.mean(outputs), weights)

    def _keep_held_out(self, held: FitData) -> None:
        self._keep_distances(held.targets[:, : self.n_outputs_], self._run(held.x))

    def _shaped(self, array: Array) -> Array:
        return array.ravel() if array.shape[1] == 1 else array
