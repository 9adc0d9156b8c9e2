"""Any network as a scikit-learn regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from nbnet.estimators.base import sample_weights
from nbnet.estimators.heads import Head, Normal, Numbers
from nbnet.estimators.net import Net, held_out
from nbnet.estimators.reporting import with_callbacks
from nbnet.estimators.tasks import Regression
from nbnet.estimators.uncertainty import Uncertain

Array = NDArray[Any]


class NetRegressor(RegressorMixin, Uncertain, Net):  # type: ignore[misc]
    """A network of yours with scikit-learn's methods, for targets that are numbers, one or several a row.

    Parameters
    ----------
    model
        As for :class:`NetClassifier`; its output has a unit for each column of y, two with the loss
        :class:`nbnet.losses.GaussianNegativeLogLikelihood`.
    loss
        ``"auto"``: that of the compiled model, otherwise the mean squared error.
    optimizer, metrics, batch_size, epochs, validation_split, callbacks, random_state, warm_start, verbose, dtype
        As for :class:`NetClassifier`.
    **routed
        As for :class:`NetClassifier`.

    Attributes
    ----------
    model_ : nbnet.Model
        The trained model.
    history_ : nbnet.History
        Losses and metrics of all its epochs.
    n_iter_ : int
        Epochs it was trained for.
    n_outputs_ : int
        Columns of the target.
    callbacks_ : list of nbnet.callbacks.Callback
        The copies that saw the last fit.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of str
        Their names, if X had any.

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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        validation_data: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> NetRegressor:
        """Train a new model; with ``warm_start`` go on with that of the last fit.

        Parameters
        ----------
        X : array_like, (n, features) or (n, ...)
            Sparse matrices and data frames, too.
        y : array_like, (n,) or (n, outputs)
        sample_weight : array_like, (n,)
        validation_data : tuple
            ``(X, y)`` or ``(X, y, sample_weight)``, instead of a ``validation_split``.
        X_val, y_val : array_like
            The same, one by one, so that ``Pipeline(transform_input=["X_val"])`` transforms what it has to.

        Raises
        ------
        ValueError, TypeError
            If data or parameters do not fit.
        """
        warm, held = self.warm_start and hasattr(self, "model_"), held_out(validation_data, X_val, y_val)
        return self._fit(X, y, sample_weight, held, warm, None)

    @with_callbacks  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetRegressor:
        """Train the model, a new one only if there is none, for an epoch.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        """
        return self._fit(X, y, sample_weight, None, hasattr(self, "model_"), 1)

    def _fit(self, X: Any, y: Any, sample_weight: Any, validation: Any, warm: bool, epochs: int | None) -> NetRegressor:
        X, y = self._checked(X, y, reset=not warm, multi_output=True, y_numeric=True, **self._intake)
        weights = sample_weights(X, y, sample_weight, None, np.float64)
        task = Regression.of(y)
        if not warm:
            self.n_outputs_ = task.outputs
            self._begin(X, y, task)
        elif task.outputs != self.n_outputs_:
            raise ValueError(f"y: wants {self.n_outputs_} columns, as in the last fit, got {task.outputs}")
        else:
            self._go_on()
        self._train(X, y, weights, validation, epochs)
        return self

    def predict(self, X: Any, return_std: bool = False, *, mc_samples: int | None = None) -> Any:
        """Targets.

        Parameters
        ----------
        X : array_like, (n, features) or (n, ...)
        return_std
            Whether to return ``(mean, std)``: the square root of the variance that the model predicts (with the loss
            :class:`nbnet.losses.GaussianNegativeLogLikelihood`), plus that of passes with dropout at work.
        mc_samples
            How many such passes to average, by default none, but 100 if only they tell a standard deviation.

        Returns
        -------
        ndarray, (n,) or (n, outputs), or two of them.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If X does not fit, or passes are wanted and no layer draws random numbers.
        """
        check_is_fitted(self)
        return self._predicted(X, return_std, mc_samples)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Array, Array]:
        """Where the target of a row lies with some probability; see :meth:`MLPRegressor.predict_interval`.

        If rows were held out (``validation_split`` or ``validation_data``), their errors say how wide intervals are,
        otherwise the variance that the model predicts.

        Parameters
        ----------
        X : array_like, (n, features) or (n, ...)
        coverage
            Share of rows whose targets are to lie in between, in (0, 1).

        Returns
        -------
        Lower and upper ends, each (n,) or (n, outputs).

        Examples
        --------
        >>> import numpy as np
        >>> import nbnet as nb
        >>> from nbnet.estimators import NetRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-1, 1, (1000, 1))
        >>> y = X[:, 0] + rng.normal(0, 0.1, 1000)
        >>> net = NetRegressor(validation_split=0.25, epochs=30, random_state=0).fit(X[:800], y[:800])
        >>> 0.85 < nb.calibration.interval_coverage(y[800:], *net.predict_interval(X[800:], 0.9)) < 0.95
        True
        """
        check_is_fitted(self)
        return self._interval(X, coverage)

    @property
    def _head(self) -> Head:
        return (Normal if self._units == 2 * self.n_outputs_ else Numbers)(self.n_outputs_)

    def _trained(self, held: tuple[Any, ...] | None) -> None:
        self._distances = None
        if held is not None:
            self._keep_distances(held[1], self.model_.predict(held[0]))

    def _shaped(self, array: Array) -> Array:
        array = array.astype(self._float, copy=False)
        return array[:, 0] if self._task.single else array  # type: ignore[attr-defined]
