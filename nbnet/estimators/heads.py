"""What the outputs of a regressor's network say of targets: numbers, normal distributions, or quantiles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from nbnet.losses import GaussianNegativeLogLikelihood, Loss, Quantile

Array = NDArray[Any]
Float64 = NDArray[np.float64]
Ends = tuple[Array, Array]


@dataclass(frozen=True)
class Head(ABC):
    """How outputs (n, width) are to be read.

    Attributes
    ----------
    targets
        Numbers in a row of targets.
    """

    targets: int

    @property
    def width(self) -> int:
        """Outputs of the network."""
        return self.targets

    def mean(self, outputs: Array) -> Array:
        """What is predicted, (n, targets)."""
        return outputs

    def std(self, outputs: Array) -> Array | None:
        """Standard deviations (n, targets), if they are predicted."""
        return None

    @abstractmethod
    def distance(self, y: Array, outputs: Array) -> Array:
        """How far targets lie from what is predicted, or (negative) how deep inside: (n, targets)."""

    @abstractmethod
    def interval(self, outputs: Array, distance: Any) -> Ends:
        """Lower and upper ends of where targets are not further away than that."""

    @abstractmethod
    def presumed(self, coverage: float) -> float:
        """How far away a share of the targets lies at most, as far as the loss tells.

        Raises
        ------
        ValueError
            If it does not.
        """


@dataclass(frozen=True)
class Numbers(Head):
    """An output for each target."""

    def distance(self, y: Array, outputs: Array) -> Array:
        found: Array = np.abs(y - outputs)
        return found

    def interval(self, outputs: Array, distance: Any) -> Ends:
        return outputs - distance, outputs + distance

    def presumed(self, coverage: float) -> float:
        raise ValueError(
            "predict_interval wants rows that were held out, whose errors say how wide intervals have to be: fit with "
            "early_stopping=True or validation_data; or a loss that tells, 'gaussian_negative_log_likelihood' or "
            "nbnet.losses.Quantile([0.05, 0.5, 0.95])."
        )


@dataclass(frozen=True)
class Normal(Head):
    """Means, then logarithms of variances."""

    @property
    def width(self) -> int:
        return 2 * self.targets

    def mean(self, outputs: Array) -> Array:
        return outputs[:, : self.targets]

    def std(self, outputs: Array) -> Array:
        found: Array = np.exp(0.5 * outputs[:, self.targets :])
        return found

    def distance(self, y: Array, outputs: Array) -> Array:
        found: Array = np.abs(y - self.mean(outputs)) / self.std(outputs)
        return found

    def interval(self, outputs: Array, distance: Any) -> Ends:
        mean, half = self.mean(outputs), self.std(outputs) * distance
        return mean - half, mean + half

    def presumed(self, coverage: float) -> float:
        return float(ndtri((1 + coverage) / 2))


@dataclass(frozen=True)
class Quantiles(Head):
    """Quantiles of one target.

    Attributes
    ----------
    levels
        Which; from the lowest on.
    """

    levels: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        return len(self.levels)

    def mean(self, outputs: Array) -> Array:
        """The one closest to the median."""
        # Quantiles that cross are put in their order.
        nearest = int(np.argmin(np.abs(np.array(self.levels) - 0.5)))
        return np.sort(outputs, axis=1)[:, [nearest]]

    def distance(self, y: Array, outputs: Array) -> Array:
        found: Array = np.maximum(outputs.min(1, keepdims=True) - y, y - outputs.max(1, keepdims=True))
        return found

    def interval(self, outputs: Array, distance: Any) -> Ends:
        return outputs.min(1, keepdims=True) - distance, outputs.max(1, keepdims=True) + distance

    def presumed(self, coverage: float) -> float:
        between = self.levels[-1] - self.levels[0]
        if abs(between - coverage) > 1e-6:
            raise ValueError(
                f"coverage: between the quantiles of the loss lie {between:g}, got {coverage:g}; for another share fit "
                "with early_stopping=True or validation_data."
            )
        return 0.0


def head_of(loss: Loss, targets: int) -> Head:
    """How to read the outputs of a network that is trained with a loss.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.estimators.heads import head_of
    >>> head_of(nb.losses.Quantile([0.9, 0.1]), 1)
    Quantiles(targets=1, levels=(0.1, 0.9))
    """
    if isinstance(loss, GaussianNegativeLogLikelihood):
        return Normal(targets)
    if isinstance(loss, Quantile) and isinstance(loss.q, list):
        if targets != 1:
            raise ValueError(f"loss: several quantiles are for one target, got {targets}.")
        return Quantiles(targets, tuple(sorted(loss.q)))
    return Numbers(targets)


def covering(distances: Float64, coverage: float) -> Float64:
    """The distance that covers a share of rows like those that were held out, for each target.

    Parameters
    ----------
    distances : ndarray, (n, targets)
        Of rows held out.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer: Algorithmic learning in a random world. Springer 2005.
    Y. Romano, E. Patterson, E. Candès: Conformalized quantile regression. NeurIPS 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.estimators.heads import covering
    >>> covering(np.arange(1.0, 100.0)[:, None], 0.9)
    array([90.])
    >>> covering(np.arange(1.0, 4.0)[:, None], 0.9)
    array([inf])
    """
    n = len(distances)
    rank = int(np.ceil((n + 1) * coverage - 1e-9))
    if rank > n:
        return np.full(distances.shape[1], np.inf)
    return np.asarray(np.partition(distances, rank - 1, axis=0)[rank - 1], np.float64)


def check_coverage(coverage: Any) -> float:
    """A share between 0 and 1."""
    if isinstance(coverage, bool) or not isinstance(coverage, (int, float, np.number)) or not 0 < coverage < 1:
        raise ValueError(f"coverage must be a number between 0 and 1, got {coverage!r}.")
    return float(coverage)
