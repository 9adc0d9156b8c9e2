"""Any network as a scikit-learn regressor."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from nbnet.estimators import net
from nbnet.estimators.base import Array, documented, sample_weights
from nbnet.estimators.regression_heads import GaussianHead, Head, PointHead, UncertaintyMixin
from nbnet.estimators.sklearn_callbacks import with_callbacks
from nbnet.estimators.targets import Regression


@documented(model=net.MODEL, parameters=net.PARAMETERS, attributes=net.ATTRIBUTES)
class NetRegressor(UncertaintyMixin, net.SupervisedNet):
    """Any network with scikit-learn's methods, for numbers, one or several a row.

    Parameters
    ----------
    %(model)s
        The output has a unit for each column of y, two with the loss
        :class:`nbnet.losses.GaussianNegativeLogLikelihood`. The default is
        :func:`nbnet.estimators.default_models.small_network`.
    %(parameters)s

    Attributes
    ----------
    n_outputs_ : int
        Columns of the target.
    %(attributes)s

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.estimators import NetRegressor
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> net = NetRegressor(epochs=100, model__dropout=0.1, optimizer__learning_rate=0.01, random_state=0)
    >>> net.fit(X, np.abs(X[:, 0])).score(X, np.abs(X[:, 0])) > 0.9
    True
    >>> mean, std = net.predict([[0.5], [30.0]], return_std=True)
    >>> bool(std[1] > 3 * std[0])
    True
    """

    n_outputs_: int

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @with_callbacks
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the model, a new one if there is none, for one epoch.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        """
        return self._fit(X, y, sample_weight, None, hasattr(self, "model_"), 1)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation: Any, warm: bool, epochs: int | None, classes: Any = None
    ) -> Self:
        X, y = self._checked(X, y, reset=not warm, multi_output=True, y_numeric=True, **self._checks)
        weights = sample_weights(X, y, sample_weight, None, np.float64)
        task = Regression.of(y)
        if not warm:
            self.n_outputs_ = task.outputs
            self._begin(X, y, task)
        elif task.outputs != self.n_outputs_:
            raise ValueError(f"y: expected {self.n_outputs_} columns, as in the last fit, got {task.outputs}")
        else:
            self._resume()
        self._train(X, y, weights, validation, epochs)
        return self

    @property
    def _head(self) -> Head:
        return (GaussianHead if self._units == 2 * self.n_outputs_ else PointHead)(self.n_outputs_)

    def _end_training(self, held: tuple[Any, ...] | None) -> None:
        self._distances = None
        if held is not None:
            self._keep_distances(held[1], self.model_.predict(held[0], verbose=0))

    def _shaped(self, array: Array) -> Array:
        array = array.astype(self._float, copy=False)
        return array[:, 0] if isinstance(self._task, Regression) and self._task.single else array
