"""Any network as a scikit-learn regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from nbnet.estimators.base import sample_weights
from nbnet.estimators.net import USUAL_SAMPLES, Net
from nbnet.estimators.tasks import Regression
from nbnet.losses import GaussianNegativeLogLikelihood
from nbnet.ranges import Range

Array = NDArray[Any]


class NetRegressor(RegressorMixin, Net):  # type: ignore[misc]
    """A network of yours with scikit-learn's methods, for targets that are numbers, one or several a row.

    Parameters
    ----------
    model
        As for :class:`NetClassifier`; its output has a unit for each column of y, two with the loss
        :class:`nbnet.losses.GaussianNegativeLogLikelihood`.
    loss
        ``"auto"``: that of the compiled model, otherwise the mean squared error.
    optimizer, metrics, batch_size, epochs, validation_split, callbacks, random_state, warm_start, verbose, dtype, routed
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None, validation_data: Any = None) -> NetRegressor:
        """Train a new model; with ``warm_start`` go on with that of the last fit.

        Parameters
        ----------
        X : array_like, (n, features) or (n, ...)
            Sparse matrices and data frames, too.
        y : array_like, (n,) or (n, outputs)
        sample_weight : array_like, (n,)
        validation_data : tuple
            ``(X, y)`` or ``(X, y, sample_weight)``, instead of a ``validation_split``.

        Raises
        ------
        ValueError, TypeError
            If data or parameters do not fit.
        """
        warm = self.warm_start and hasattr(self, "model_")
        return self._fit(X, y, sample_weight, validation_data, warm, None)

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
        task = Regression(1 if y.ndim == 1 else y.shape[1], y.ndim == 1)
        if not warm:
            self._begin(X, y, task)
            self.n_outputs_ = task.outputs
        elif task.outputs != self.n_outputs_:
            raise ValueError(f"y: wants {self.n_outputs_} columns, as in the last fit, got {task.outputs}")
        self._train(X, y, weights, validation, epochs)
        return self

    def predict(self, X: Any, return_std: bool = False, mc_samples: int | None = None) -> Any:
        """Targets.

        Parameters
        ----------
        X : array_like, (n, features) or (n, ...)
        return_std
            Whether to return ``(mean, std)``. The standard deviation is that of passes with dropout at work; with the
            loss :class:`nbnet.losses.GaussianNegativeLogLikelihood`, that of the predicted distribution, to whose
            variance that of passes is added if there are any.
        mc_samples
            How many passes with dropout at work, by default none, or 100 for a standard deviation.

        Returns
        -------
        ndarray, (n,) or (n, outputs)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If X does not fit, or a standard deviation is asked for and no layer draws random numbers.
        """
        gaussian = self._is_gaussian() if hasattr(self, "model_") else False
        if mc_samples is None and return_std and not gaussian:
            mc_samples = USUAL_SAMPLES
        if mc_samples is None:
            outputs, spread = self._outputs(X), None
        else:
            found = self._sampled(X, mc_samples, return_samples=gaussian and return_std)
            outputs, spread = found.mean, found.std
            if gaussian and return_std:
                return self._mixture(found.samples)
        n = self.n_outputs_
        if not return_std:
            return self._shaped(outputs[:, :n])
        if gaussian:
            spread = np.exp(0.5 * outputs[:, n:])
        assert spread is not None
        return self._shaped(outputs[:, :n]), self._shaped(spread)

    def predict_interval(self, X: Any, coverage: float = 0.9, mc_samples: int = USUAL_SAMPLES) -> Array:
        """Lower and upper bounds of central intervals, from quantiles of passes with dropout at work.

        They say how sure the network is of its mean; the noise of the target is not in them.

        Parameters
        ----------
        X : array_like, (n, features) or (n, ...)
        coverage
            Share of the passes that lies in between, in (0, 1).
        mc_samples
            How many passes.

        Returns
        -------
        ndarray, (n, 2) or (n, outputs, 2)
        """
        share = Range(0, 1, above=True, below=True).check(coverage, "coverage")
        found = self._sampled(X, mc_samples, quantiles=[0.5 - share / 2, 0.5 + share / 2])
        bounds = np.moveaxis(found.quantiles[:, :, : self.n_outputs_], 0, -1)
        return bounds[:, 0] if self._task.single else bounds  # type: ignore[attr-defined]

    def _is_gaussian(self) -> bool:
        return isinstance(self.model_.loss, GaussianNegativeLogLikelihood)

    def _mixture(self, samples: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of a mixture of normal distributions."""
        means, logarithms = np.split(samples, 2, axis=-1)
        variance = np.exp(logarithms).mean(0) + means.var(0)
        return self._shaped(means.mean(0)), self._shaped(np.sqrt(variance))

    def _shaped(self, array: Array) -> Array:
        return array[:, 0] if self._task.single else array  # type: ignore[attr-defined]
