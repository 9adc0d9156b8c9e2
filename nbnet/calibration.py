"""Calibration of predicted probabilities and intervals: reliability, coverage, temperature scaling."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.validation import check_choice, check_int

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "CoverageCurve", "ReliabilityCurve", "TemperatureScaling", "brier_score", "coverage_curve",
    "expected_calibration_error", "interval_coverage", "log_loss", "maximum_calibration_error", "reliability_curve",
]  # fmt: skip

Float64 = NDArray[np.float64]
Labels = NDArray[np.int64]


class CalibrationCurve(ABC):
    """A curve of predicted against observed probabilities."""

    _axes: ClassVar[tuple[str, str]]
    _error: ClassVar[str]

    @abstractmethod
    def _points(self) -> tuple[Float64, Float64, Labels | None]:
        """Return predicted and observed probabilities, and weights of the points."""

    @abstractmethod
    def _draw(self, ax: Axes) -> None:
        """Draw the curve on axes."""

    @property
    def expected_error(self) -> float:
        """Mean distance between predicted and observed probabilities, over predictions (ECE) or levels."""
        predicted, observed, weights = self._points()
        return float(np.average(np.abs(observed - predicted), weights=weights))

    @property
    def maximum_error(self) -> float:
        """Largest distance between predicted and observed probabilities (MCE)."""
        predicted, observed, _ = self._points()
        return float(np.abs(observed - predicted).max())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curve with matplotlib, and the diagonal of perfect predictions.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        if ax is None:
            try:
                from matplotlib import pyplot
            except ImportError as error:
                name = type(self).__name__
                raise ImportError(f"{name}.plot requires matplotlib: pip install 'nbnet[plot]'") from error
            ax = pyplot.subplots(figsize=(4.2, 4.2), layout="constrained")[1]
        ax.plot([0, 1], [0, 1], color="gray", linestyle=":", label="perfect")
        (xlabel, ylabel), limits = self._axes, (-0.02, 1.02)
        ax.set(xlim=limits, ylim=limits, xlabel=xlabel, ylabel=ylabel, aspect="equal")
        self._draw(ax)
        ax.set_title(f"{self._error} {self.expected_error:.3f}")
        ax.legend()
        return ax


@dataclass(frozen=True, eq=False)
class ReliabilityCurve(CalibrationCurve):
    """Accuracy and confidence of predictions by bin, without empty bins; see :func:`reliability_curve`.

    Attributes
    ----------
    accuracy : ndarray, (bins,)
        Share of correct predictions in each bin.
    confidence : ndarray, (bins,)
        Mean predicted probability in each bin.
    counts : ndarray, (bins,)
        Number of predictions in each bin.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger: On calibration of modern neural networks. ICML 2017, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> curve = nb.calibration.ReliabilityCurve(np.array([0.25, 0.75]), np.array([0.5, 1.0]), np.array([4, 4]))
    >>> curve.expected_error, curve.maximum_error
    (0.25, 0.25)
    """

    accuracy: Float64
    confidence: Float64
    counts: Labels

    _axes = ("confidence", "accuracy")
    _error = "expected calibration error"

    def _points(self) -> tuple[Float64, Float64, Labels]:
        return self.confidence, self.accuracy, self.counts

    def _draw(self, ax: Axes) -> None:
        # The area of a point is the bin's share of predictions.
        (line,) = ax.plot(self.confidence, self.accuracy)
        areas = 12 + 300 * self.counts / self.counts.sum()
        ax.scatter(self.confidence, self.accuracy, areas, color=line.get_color(), label="predictions")


def reliability_curve(
    y_true: ArrayLike, y_prob: ArrayLike, n_bins: int = 15, strategy: str = "uniform"
) -> ReliabilityCurve:
    """Accuracy and confidence of predictions in bins of their confidence.

    Parameters
    ----------
    y_true : array_like, (n,)
        Classes from 0; or one-hot, (n, classes).
    y_prob : array_like, (n,) or (n, classes)
        Probabilities of class 1; or of all classes: then the largest is the confidence, and the prediction is correct
        if it is that of the right class.
    n_bins : int
        Number of bins.
    strategy : {"uniform", "quantile"}
        Bins of equal width, or with equally many predictions.

    Raises
    ------
    ValueError
        If shapes do not match, or numbers are no probabilities or classes.

    See Also
    --------
    sklearn.calibration.calibration_curve : computes it.

    Examples
    --------
    >>> import nbnet as nb
    >>> curve = nb.calibration.reliability_curve([0, 1, 0, 1], [0.1, 0.2, 0.9, 0.9], n_bins=2)
    >>> curve.accuracy, curve.confidence.round(2), curve.counts
    (array([0.5, 0.5]), array([0.15, 0.9 ]), array([2, 2]))
    """
    from sklearn.calibration import calibration_curve

    events, confidence = _events(y_true, y_prob)
    n_bins, strategy = check_int(n_bins, "n_bins"), check_choice(strategy, "strategy", ["uniform", "quantile"])
    accuracy, mean = calibration_curve(events, confidence, pos_label=1, n_bins=n_bins, strategy=strategy)
    # Repeat the bins of calibration_curve, which does not return the counts.
    levels = np.linspace(0, 1, n_bins + 1)
    edges = levels if strategy == "uniform" else np.percentile(confidence, levels * 100)
    counts = np.bincount(np.searchsorted(edges[1:-1], confidence), minlength=n_bins)
    return ReliabilityCurve(accuracy, mean, counts[counts > 0])


def _events(y_true: Any, y_prob: Any) -> tuple[Labels, Float64]:
    """Return for each row whether the prediction is correct, and its probability."""
    p = probabilities(y_prob)
    y = labels(y_true, p)
    return (y, p) if p.ndim == 1 else ((p.argmax(1) == y).astype(np.int64), p.max(1).clip(0, 1))


def expected_calibration_error(
    y_true: ArrayLike, y_prob: ArrayLike, n_bins: int = 15, strategy: str = "uniform"
) -> float:
    """Mean distance between accuracy and confidence, over bins weighted by their predictions (ECE).

    Parameters
    ----------
    y_true, y_prob, n_bins, strategy
        See :func:`reliability_curve`.

    References
    ----------
    M. P. Naeini, G. F. Cooper, M. Hauskrecht: Obtaining well calibrated probabilities using Bayesian binning. AAAI
    2015.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.calibration.expected_calibration_error([0, 1, 1, 1], [0.5, 0.5, 0.9, 0.9]), 3)
    0.05
    """
    return reliability_curve(y_true, y_prob, n_bins, strategy).expected_error


def maximum_calibration_error(
    y_true: ArrayLike, y_prob: ArrayLike, n_bins: int = 15, strategy: str = "uniform"
) -> float:
    """Largest distance between accuracy and confidence of a bin (MCE).

    Parameters
    ----------
    y_true, y_prob, n_bins, strategy
        See :func:`reliability_curve`.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.calibration.maximum_calibration_error([0, 1, 1, 1], [0.5, 0.5, 0.9, 0.9]), 3)
    0.1
    """
    return reliability_curve(y_true, y_prob, n_bins, strategy).maximum_error


def numbers(value: Any, name: str) -> Float64:
    """Return a float64 array of finite numbers with at least one row."""
    array = plain_array(value, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    array = array.astype(np.float64)
    if array.ndim == 0 or len(array) == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name}: expected at least one row of finite numbers, got shape {array.shape}")
    return array


def probabilities(value: Any, name: str = "y_prob") -> Float64:
    """Return probabilities: (n,) of the positive class of two, or (n, classes) with rows that sum to 1."""
    p = columns(numbers(value, name), name)
    if p.min() < 0 or p.max() > 1:
        wrong = p[(p < 0) | (p > 1)].flat[0]
        raise ValueError(f"{name}: expected probabilities in [0, 1], got {wrong:g}")
    if p.ndim == 2 and np.abs(p.sum(1) - 1).max() > 1e-3:
        raise ValueError(f"{name}: expected rows that sum to 1, got one of {p.sum(1)[np.abs(p.sum(1) - 1).argmax()]:g}")
    return p


def columns(array: Float64, name: str) -> Float64:
    """Return (n,) for two classes, (n, classes) for more; a single column becomes (n,)."""
    if array.ndim > 2 or (array.ndim == 2 and not array.shape[1]):
        raise ValueError(f"{name}: expected shape (n,), (n, 1) or (n, classes), got {array.shape}")
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def labels(value: Any, predicted: Float64) -> Labels:
    """Return classes from 0, for predictions of shape (n,) or (n, classes); one-hot rows become classes."""
    y, classes = numbers(value, "y_true"), 2 if predicted.ndim == 1 else predicted.shape[1]
    if y.ndim == 2 and y.shape == predicted.shape:
        if not (np.isin(y, (0, 1)).all() and (y.sum(1) == 1).all()):
            raise ValueError("y_true: expected classes, or rows with a single 1 among zeros")
        return np.nonzero(y)[1]
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.shape != predicted.shape[:1]:
        raise ValueError(f"y_true: expected a class for each of {len(predicted)} rows, got shape {y.shape}")
    wrong = y[(y != np.floor(y)) | (y < 0) | (y >= classes)]
    if wrong.size:
        raise ValueError(f"y_true: expected classes from 0 to {classes - 1}, got {wrong[0]:g}")
    return y.astype(np.int64)


def brier_score(y_true: ArrayLike, y_prob: ArrayLike) -> float:
    """Mean squared distance between probabilities and outcomes, summed over classes if there are more than two.

    Parameters
    ----------
    y_true : array_like, (n,)
        Classes from 0; or one-hot, (n, classes).
    y_prob : array_like, (n,) or (n, classes)
        Probabilities of class 1, with a score up to 1; or of all classes, with a score up to 2.

    Raises
    ------
    ValueError
        If shapes do not match, or numbers are no probabilities or classes.

    References
    ----------
    G. W. Brier: Verification of forecasts expressed in terms of probability. Monthly Weather Review 78 (1950).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.calibration.brier_score([1, 0], [0.5, 0.0])
    0.125
    >>> nb.calibration.brier_score([1, 0], [[0.5, 0.5], [1.0, 0.0]])
    0.25
    """
    from sklearn.metrics import brier_score_loss

    p = probabilities(y_prob)
    y = labels(y_true, p)
    if p.ndim == 1:
        return float(brier_score_loss(y, p, pos_label=1))
    return float(((p - np.eye(p.shape[1])[y]) ** 2).sum(1).mean())


def log_loss(y_true: ArrayLike, y_prob: ArrayLike) -> float:
    """Mean of ``-log`` of the probability of the outcome, by scikit-learn.

    Parameters
    ----------
    y_true, y_prob
        See :func:`brier_score`. A probability of 0 counts as the smallest number above it.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.calibration.log_loss([1, 0], [[0.5, 0.5], [1.0, 0.0]]), 4)
    0.3466
    """
    from sklearn.metrics import log_loss as by_sklearn

    p = probabilities(y_prob)
    both = np.stack([1 - p, p], 1) if p.ndim == 1 else p / p.sum(1, keepdims=True)
    return float(by_sklearn(labels(y_true, p), both, labels=range(both.shape[1])))


@dataclass(frozen=True, eq=False)
class CoverageCurve(CalibrationCurve):
    """Coverage of central predictive intervals by level; see :func:`coverage_curve`.

    Attributes
    ----------
    levels : ndarray, (m,)
        Nominal probability of each interval.
    coverage : ndarray, (m,)
        Share of the targets inside each interval.

    References
    ----------
    V. Kuleshov, N. Fenner, S. Ermon: Accurate uncertainties for deep learning using calibrated regression. ICML 2018.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> nb.calibration.CoverageCurve(np.array([0.5, 0.9]), np.array([0.25, 0.65])).expected_error
    0.25
    """

    levels: Float64
    coverage: Float64

    _axes = ("level", "targets inside")
    _error = "expected error"

    def _points(self) -> tuple[Float64, Float64, None]:
        return self.levels, self.coverage, None

    def _draw(self, ax: Axes) -> None:
        ax.plot(self.levels, self.coverage, marker="o", label="intervals")


def interval_coverage(y_true: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> float:
    """Share of the targets that lie in their intervals, bounds included.

    Parameters
    ----------
    y_true, lower, upper : array_like, (n, ...)
        Targets and bounds, of one shape.

    Raises
    ------
    ValueError
        If shapes differ, numbers are not finite, or a lower bound is above the upper.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.calibration.interval_coverage([1.0, 2.0, 3.0, 4.0], [0.0] * 4, [2.0] * 4)
    0.5
    """
    y, low, high = numbers(y_true, "y_true"), numbers(lower, "lower"), numbers(upper, "upper")
    if low.shape != y.shape or high.shape != y.shape:
        raise ValueError(f"lower, upper: expected shape {y.shape}, that of y_true, got {low.shape} and {high.shape}")
    if (low > high).any():
        raise ValueError("upper: expected bounds that are not below lower")
    return float(((low <= y) & (y <= high)).mean())


def coverage_curve(
    y_true: ArrayLike,
    mean: ArrayLike | None = None,
    std: ArrayLike | None = None,
    *,
    samples: ArrayLike | None = None,
    levels: ArrayLike | None = None,
) -> CoverageCurve:
    """Share of the targets inside central predictive intervals of several levels.

    Parameters
    ----------
    y_true : array_like, (n, ...)
        Targets.
    mean, std : array_like, (n, ...)
        Means and standard deviations of normal distributions. ``predict_mc`` returns only the spread of the
        network's outputs; for targets with noise of precision tau, pass ``sqrt(std**2 + 1 / tau)``.
    samples : array_like, (samples, n, ...)
        Samples in place of mean and std; intervals lie between their quantiles.
    levels : array_like, (m,)
        Levels in (0, 1); by default 0.05, 0.1 ... 0.95.

    Raises
    ------
    TypeError
        If neither mean and std nor samples are given, or both.
    ValueError
        If shapes do not match, numbers are not finite, a std is negative, or a level lies outside.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> y = np.random.default_rng(0).normal(size=10_000)
    >>> curve = nb.calibration.coverage_curve(y, np.zeros(10_000), np.ones(10_000), levels=[0.5, 0.9])
    >>> curve.coverage.round(1)
    array([0.5, 0.9])
    """
    y = numbers(y_true, "y_true")
    wanted = np.arange(1, 20) / 20 if levels is None else np.atleast_1d(numbers(levels, "levels"))
    if wanted.ndim != 1 or wanted.min() <= 0 or wanted.max() >= 1:
        raise ValueError(f"levels: expected numbers in (0, 1), got {wanted.tolist()}")
    if samples is not None and mean is None and std is None:
        drawn = numbers(samples, "samples")
        if drawn.shape[1:] != y.shape:
            raise ValueError(f"samples: expected shape (samples, {str(y.shape)[1:]}, got {drawn.shape}")
        lower = np.quantile(drawn, (1 - wanted) / 2, axis=0)
        upper = np.quantile(drawn, (1 + wanted) / 2, axis=0)
    elif samples is None and mean is not None and std is not None:
        lower, upper = _normal(y, numbers(mean, "mean"), numbers(std, "std"), wanted)
    else:
        raise TypeError("samples: expected mean and std, or samples; not both")
    inside = (lower <= y) & (y <= upper)
    return CoverageCurve(wanted, inside.reshape(len(wanted), -1).mean(1))


def _normal(y: Float64, mean: Float64, std: Float64, levels: Float64) -> tuple[Float64, Float64]:
    """Return the bounds of central intervals of normal distributions, (levels, n, ...)."""
    from scipy.special import ndtri

    for name, array in (("mean", mean), ("std", std)):
        if array.shape != y.shape:
            raise ValueError(f"{name}: expected shape {y.shape}, that of y_true, got {array.shape}")
    if std.min() < 0:
        raise ValueError(f"std: expected numbers from 0, got {std.min():g}")
    half = ndtri((1 + levels) / 2).reshape(-1, *[1] * y.ndim) * std
    return mean - half, mean + half


#: Temperatures are searched between 1 / LIMIT and LIMIT.
LIMIT = 1e3


class TemperatureScaling:
    """Division of logits by the temperature with the largest likelihood on held-out data.

    The order of the classes, and so the accuracy, stays the same.

    Attributes
    ----------
    temperature_ : float
        Set by :meth:`fit`, from 0.001 to 1000; above 1 if the network is overconfident.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger: On calibration of modern neural networks. ICML 2017, section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> rng = np.random.default_rng(0)
    >>> logits = rng.normal(size=(2000, 3))
    >>> p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    >>> y = [rng.choice(3, p=row) for row in p]
    >>> scaling = nb.calibration.TemperatureScaling().fit(4 * logits, y)
    >>> round(scaling.temperature_, 1)
    4.0
    >>> scaling.predict_proba(4 * logits).shape
    (2000, 3)
    """

    temperature_: float

    def fit(self, logits: ArrayLike, y_true: ArrayLike) -> Self:
        """Find the temperature.

        Parameters
        ----------
        logits : array_like, (n, classes) or (n,)
            Inputs of the softmax, or of the sigmoid for two classes, on rows that the network was not trained on.
            Logarithms of a softmax's probabilities also work.
        y_true : array_like, (n,)
            Classes from 0; or one-hot, (n, classes).

        Raises
        ------
        ValueError
            If shapes do not match, or numbers are not finite or no classes.
        """
        from scipy.optimize import minimize_scalar

        z = _logits(logits)
        y = labels(y_true, z)
        # The mean loss is convex in the inverse temperature, so it has one minimum in its logarithm.
        limit = math.log(LIMIT)
        found = minimize_scalar(
            lambda t: _loss(z * math.exp(-t), y), bounds=(-limit, limit), method="bounded", options={"xatol": 1e-8}
        )
        self.temperature_ = math.exp(found.x)
        return self

    def transform(self, logits: ArrayLike) -> Float64:
        """Return the logits divided by the temperature."""
        if not hasattr(self, "temperature_"):
            raise ValueError("temperature_: is not known yet: call fit(logits, y_true) first")
        return numbers(logits, "logits") / self.temperature_

    def predict_proba(self, logits: ArrayLike) -> Float64:
        """Return probabilities, in the shape of the logits."""
        from scipy.special import expit, softmax

        z = self.transform(logits)
        found: Float64 = expit(z) if _logits(z).ndim == 1 else softmax(z, axis=1)
        return found

    def __repr__(self) -> str:
        return f"TemperatureScaling(temperature_={getattr(self, 'temperature_', None)})"


def _logits(value: Any) -> Float64:
    return columns(numbers(value, "logits"), "logits")


def _loss(z: Float64, y: Any) -> float:
    """Return the mean of -log of the probability of the right class."""
    if z.ndim == 1:
        return float(np.logaddexp(0.0, np.where(y == 1, -z, z)).mean())
    z = z - z.max(1, keepdims=True)
    return float((np.log(np.exp(z).sum(1)) - z[np.arange(len(y)), y]).mean())
