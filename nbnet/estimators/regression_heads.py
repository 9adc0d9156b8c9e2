"""Regression heads: the outputs of a network as means, normal distributions or quantiles of targets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from sklearn.base import RegressorMixin

from nbnet.base.validation import Interval
from nbnet.estimators.base import Array, Scored
from nbnet.losses import GaussianNegativeLogLikelihood, Loss, Quantile
from nbnet.models.monte_carlo import MCPrediction

Float64 = NDArray[np.float64]

#: Default number of passes with active dropout.
_MC_SAMPLES = 100


@dataclass(frozen=True)
class Head(ABC):
    """Reads outputs (n, width) as predictions of targets (n, targets)."""

    targets: int

    @property
    def width(self) -> int:
        """Outputs of the network."""
        return self.targets

    def mean(self, outputs: Array) -> Array:
        """Return predicted means (n, targets)."""
        return outputs

    def std(self, outputs: Array) -> Array | None:
        """Return predicted standard deviations (n, targets); None if there are none."""
        return None

    def edges(self, outputs: Array) -> tuple[Array, Array]:
        """Return lower and upper ends (n, targets) of the predictions, from which distances count."""
        return self.mean(outputs), self.mean(outputs)

    def distance(self, y: Array, outputs: Array) -> Array:
        """Return the distances (n, targets) of targets from predictions; negative between their ends."""
        (lower, upper), std = self.edges(outputs), self.std(outputs)
        outside = np.maximum(lower - y, y - upper)
        return cast(Array, outside if std is None else outside / std)

    def interval(self, outputs: Array, distance: Any) -> tuple[Array, Array]:
        """Return lower and upper ends of the targets within this distance."""
        (lower, upper), std = self.edges(outputs), self.std(outputs)
        half = distance if std is None else std * distance
        return lower - half, upper + half

    @abstractmethod
    def predicted_distance(self, coverage: float) -> float:
        """Return the distance within which a share of the targets lies by the loss, or raise ValueError."""


@dataclass(frozen=True)
class PointHead(Head):
    """An output for each target."""

    def predicted_distance(self, coverage: float) -> float:
        raise ValueError(
            "predict_interval needs rows that were held out, whose errors determine the width of intervals: fit with "
            "early_stopping=True or validation_data; or use the loss 'gaussian_negative_log_likelihood' or "
            "nbnet.losses.Quantile([0.05, 0.5, 0.95])."
        )


@dataclass(frozen=True)
class GaussianHead(Head):
    """Means, then logarithms of variances."""

    @property
    def width(self) -> int:
        return 2 * self.targets

    def mean(self, outputs: Array) -> Array:
        return outputs[:, : self.targets]

    def std(self, outputs: Array) -> Array:
        return np.exp(0.5 * outputs[:, self.targets :])

    def predicted_distance(self, coverage: float) -> float:
        return float(ndtri((1 + coverage) / 2))


@dataclass(frozen=True)
class QuantileHead(Head):
    """Quantiles of one target, at ascending ``levels``."""

    levels: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        return len(self.levels)

    def mean(self, outputs: Array) -> Array:
        """Return the quantile closest to the median."""
        # Quantiles that cross are sorted.
        nearest = int(np.argmin(np.abs(np.array(self.levels) - 0.5)))
        return np.sort(outputs, axis=1)[:, [nearest]]

    def edges(self, outputs: Array) -> tuple[Array, Array]:
        return outputs.min(1, keepdims=True), outputs.max(1, keepdims=True)

    def predicted_distance(self, coverage: float) -> float:
        between = self.levels[-1] - self.levels[0]
        if abs(between - coverage) > 1e-6:
            raise ValueError(
                f"coverage: expected {between:g}, the share between the quantiles of the loss, got {coverage:g}; for "
                "another share fit with early_stopping=True or validation_data."
            )
        return 0.0


def head_of(loss: Loss, targets: int) -> Head:
    """Return the head of a network that is trained with a loss.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.estimators.regression_heads import head_of
    >>> head_of(nb.losses.Quantile([0.9, 0.1]), 1)
    QuantileHead(targets=1, levels=(0.1, 0.9))
    """
    if isinstance(loss, GaussianNegativeLogLikelihood):
        return GaussianHead(targets)
    if isinstance(loss, Quantile) and isinstance(loss.q, list):
        if targets != 1:
            raise ValueError(f"loss: several quantiles are for one target, got {targets}.")
        return QuantileHead(targets, tuple(sorted(loss.q)))
    return PointHead(targets)


def conformal_distance(distances: Float64, coverage: float) -> Float64:
    """Return the distance that covers a share of rows like those held out, for each target.

    ``distances``, (n, targets), are those of the rows held out.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer: Algorithmic learning in a random world. Springer 2005.
    Y. Romano, E. Patterson, E. Candès: Conformalized quantile regression. NeurIPS 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.estimators.regression_heads import conformal_distance
    >>> conformal_distance(np.arange(1.0, 100.0)[:, None], 0.9)
    array([90.])
    >>> conformal_distance(np.arange(1.0, 4.0)[:, None], 0.9)
    array([inf])
    """
    n = len(distances)
    rank = int(np.ceil((n + 1) * coverage - 1e-9))
    if rank > n:
        return np.full(distances.shape[1], np.inf)
    return np.asarray(np.partition(distances, rank - 1, axis=0)[rank - 1], np.float64)


class UncertaintyMixin(Scored, RegressorMixin):
    """Predictions of regressors, with standard deviations and intervals."""

    #: Distances of the rows held out in the last fit; None if there were none.
    _distances: Float64 | None = None

    if TYPE_CHECKING:  # of the estimators

        @property
        def _head(self) -> Head: ...

        def _outputs(self, X: Any) -> Array: ...

        def _sampled(self, X: Any, samples: int, **settings: Any) -> MCPrediction: ...

        def _shaped(self, array: Array) -> Array: ...

    @overload
    def predict(self, X: Any, return_std: Literal[False] = False, *, mc_samples: int | None = None) -> Array: ...

    @overload
    def predict(self, X: Any, return_std: Literal[True], *, mc_samples: int | None = None) -> tuple[Array, Array]: ...

    @overload
    def predict(self, X: Any, return_std: bool, *, mc_samples: int | None = None) -> Array | tuple[Array, Array]: ...

    def predict(
        self, X: Any, return_std: bool = False, *, mc_samples: int | None = None
    ) -> Array | tuple[Array, Array]:
        """Predict targets.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, (n, features)
        return_std : bool
            If True, return standard deviations, too: the square root of the predicted variance (with the loss
            "gaussian_negative_log_likelihood") plus that of passes with active dropout.
        mc_samples : int
            Number of passes with active dropout to average. By default none, but 100 if ``return_std`` is True and
            the network predicts no variance.

        Returns
        -------
        ndarray (n,) or (n, targets), or two of them.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If X does not fit the network, or passes are requested and no layer draws random numbers.
        """
        if mc_samples is None:
            outputs, head = self._outputs(X), self._head
            mean, std = head.mean(outputs), head.std(outputs)
            if not return_std:
                return self._shaped(mean)
            if std is not None:
                return self._shaped(mean), self._shaped(std)
        found = self._sampled(X, _MC_SAMPLES if mc_samples is None else mc_samples)
        head = self._head
        mean, spread, std = head.mean(found.mean), head.mean(found.std), head.std(found.mean)
        if not return_std:
            return self._shaped(mean)
        return self._shaped(mean), self._shaped(spread if std is None else np.sqrt(spread**2 + std**2))

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Array, Array]:
        """Predict intervals that contain the targets with some probability.

        If rows were held out (``validation_data``, ``early_stopping`` or ``validation_split``), their errors determine
        the width that covers this share of rows like them (split conformal prediction): in proportion to predicted
        standard deviations, or around predicted quantiles. Otherwise the predicted distribution does.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, (n, features)
        coverage : float
            Share of the targets that lie inside, in (0, 1); for each target if there are several.

        Returns
        -------
        Lower and upper ends, each (n,) or (n, targets).

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If coverage is out of range, or nothing determines the width.

        Examples
        --------
        >>> import numpy as np
        >>> import nbnet as nb
        >>> from nbnet.estimators import MLPRegressor, NetRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-1, 1, (1000, 1))
        >>> y = X[:, 0] + rng.normal(0, 0.1, 1000)
        >>> net = MLPRegressor(early_stopping=True, learning_rate_init=0.01, random_state=0).fit(X[:800], y[:800])
        >>> 0.8 < nb.calibration.interval_coverage(y[800:], *net.predict_interval(X[800:], 0.9)) < 1.0
        True
        >>> net = NetRegressor(validation_split=0.25, epochs=30, random_state=0).fit(X[:800], y[:800])
        >>> 0.85 < nb.calibration.interval_coverage(y[800:], *net.predict_interval(X[800:], 0.9)) < 0.95
        True
        """
        share = Interval(0, 1, above=True, below=True).check(coverage, "coverage")
        outputs, distances = self._outputs(X), self._distances
        distance = self._head.predicted_distance(share) if distances is None else conformal_distance(distances, share)
        lower, upper = self._head.interval(outputs, distance)
        return self._shaped(lower), self._shaped(upper)

    def _keep_distances(self, y: Array, outputs: Array) -> None:
        """Record the distances of the rows held out."""
        self._distances = self._head.distance(y, outputs).astype(np.float64)
