"""Reliability of predicted probabilities: confidence against accuracy in bins, and calibration errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nbnet.base.validation import check_choice, check_int
from nbnet.calibration.scores import Float64, Labels, labels, probabilities

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
