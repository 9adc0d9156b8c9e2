"""A multi-layer perceptron for numbers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils.metaestimators import available_if

from nbnet.estimators import heads, penalised, settings
from nbnet.estimators.base import Array
from nbnet.estimators.holdout import Part
from nbnet.estimators.mlp import MLP
from nbnet.estimators.scores import r2
from nbnet.estimators.solvers import accepted_dtypes, has_partial_fit
from nbnet.estimators.uncertainty import Uncertain

Float = NDArray[np.floating[Any]]


class MLPRegressor(RegressorMixin, Uncertain, MLP):  # type: ignore[misc]
    """A neural network for regression: scikit-learn's ``MLPRegressor``, and more.

    Everything that scikit-learn's class has means the same here; see :class:`MLPClassifier` for what they share.

    Parameters
    ----------
    loss : str, nbnet.losses.Loss or callable
        "squared_error", "poisson", or another of :mod:`nbnet.losses`, such as "huber". With
        "gaussian_negative_log_likelihood" the network predicts variances, too; with ``Quantile([0.05, 0.5, 0.95])``
        quantiles.
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter
        As those of :class:`MLPClassifier`, like all that follow.
    shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction
        The score of validation is R2.
    beta_1, beta_2, epsilon, n_iter_no_change, max_fun
        As in scikit-learn.
    dropout, input_dropout, batch_norm, max_norm, optimizer, dtype, callbacks, n_jobs, categorical_features
        Beyond scikit-learn's.

    Attributes
    ----------
    coefs_, intercepts_, model_, loss_, best_loss_, loss_curve_, validation_scores_, validation_loss_curve_
        As those of :class:`MLPClassifier`, like all that follow.
    best_validation_score_, n_iter_, t_, n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn.

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = settings.CONSTRAINTS | settings.OF_REGRESSORS

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Literal["adam", "sgd", "lbfgs"] = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        input_dropout: Any = 0.0,
        batch_norm: bool = False,
        max_norm: float | None = None,
        optimizer: Any = None,
        dtype: Any = "auto",
        callbacks: Any = None,
        n_jobs: int | None = None,
        categorical_features: Any = None,
    ) -> None:
        self._keep(locals())

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None) -> MLPRegressor:
        """Train.

        Parameters
        ----------
        X : array_like or sparse matrix, (n, features)
        y : array_like, (n,) or (n, targets)
        sample_weight : array_like, (n,)
        validation_data : tuple
            ``(X, y)`` or ``(X, y, sample_weight)`` to validate on after each epoch; with ``early_stopping``, in place
            of rows that are held out.

        Returns
        -------
        The estimator itself.
        """
        return self._fit(X, y, sample_weight, validation_data, incremental=False)  # type: ignore[no-any-return]

    @available_if(has_partial_fit)  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for an epoch on these rows.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        """
        return self._fit(X, y, sample_weight, None, incremental=True)  # type: ignore[no-any-return]

    def _validated(self, X: Any, y: Any, incremental: bool, first: bool) -> tuple[Any, Array]:
        X, y = self._checked(X, y, reset=first, dtype=accepted_dtypes(self), multi_output=True, y_numeric=True)
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        return X, y

    @property
    def _head(self) -> heads.Head:
        """How outputs are to be read."""
        objective = penalised.of_numbers(self.loss, np.zeros((1, self.n_outputs_)), None)
        return heads.head_of(objective.base, self.n_outputs_)

    @property
    def _width(self) -> int:
        return self._head.width

    def _encoded(self, y: Array) -> Array:
        return np.ascontiguousarray(y.reshape(len(y), -1))

    def _objective_for(self, targets: Array, weights: Array | None) -> penalised.Penalised:
        return penalised.of_numbers(self.loss, targets, weights)

    def _score_of(self, y: Array, outputs: Array, weights: Array | None) -> float:
        return r2(y[:, : self.n_outputs_], self._head.mean(outputs), weights)

    def predict(self, X: Any, return_std: bool = False, *, mc_samples: int | None = None) -> Any:
        """Numbers for rows.

        Parameters
        ----------
        X : array_like or sparse matrix, (n, features)
        return_std : bool
            Whether to say how far off they may be: the square root of the variance that the network predicts (with
            the loss "gaussian_negative_log_likelihood"), plus that of passes with dropout at work.
        mc_samples : int
            Passes with dropout at work whose mean it is; None: a single one without dropout, but 100 if only they
            tell a standard deviation.

        Returns
        -------
        ndarray (n,) or (n, targets), or two of them.

        Raises
        ------
        ValueError
            If there is nothing to tell a standard deviation from.
        """
        return self._predicted(X, return_std, mc_samples)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Float, Float]:
        """Where the target of a row lies with some probability.

        If rows were held out (``early_stopping`` or ``validation_data``), their errors say how wide intervals have to
        be to cover the share that is wanted of rows like them (split conformal prediction): in proportion to standard
        deviations or around quantiles, where these are predicted. Otherwise what is predicted is taken at its word.

        Parameters
        ----------
        X : array_like or sparse matrix, (n, features)
        coverage : float
            Between 0 and 1; of several targets, for each.

        Returns
        -------
        Lower and upper ends, each (n,) or (n, targets).

        Raises
        ------
        ValueError
            If coverage is out of range, or there is nothing to tell a width from.

        Examples
        --------
        >>> import numpy as np
        >>> import nbnet as nb
        >>> from nbnet.estimators import MLPRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-1, 1, (1000, 1))
        >>> y = X[:, 0] + rng.normal(0, 0.1, 1000)
        >>> net = MLPRegressor(early_stopping=True, learning_rate_init=0.01, random_state=0).fit(X[:800], y[:800])
        >>> lower, upper = net.predict_interval(X[800:], 0.9)
        >>> 0.8 < nb.calibration.interval_coverage(y[800:], lower, upper) < 1.0
        True
        """
        return self._interval(X, coverage)

    def _keep_held(self, held: Part) -> None:
        self._keep_distances(held.targets[:, : self.n_outputs_], self._run(held.x))

    def _shaped(self, found: Array) -> Array:
        return found.ravel() if found.shape[1] == 1 else found
