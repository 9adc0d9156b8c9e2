"""Predicted probabilities against what happened, bin by bin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nbnet.calibration.drawing import unit_axes
from nbnet.calibration.intake import Float64, Labels, labels, probabilities
from nbnet.ranges import count


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """What :func:`reliability_curve` found; bins without predictions are left out.

    Attributes
    ----------
    accuracy : ndarray, (bins,)
        Share of the predictions in each bin that came true.
    confidence : ndarray, (bins,)
        Their mean predicted probability.
    counts : ndarray, (bins,)
        How many there are.

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

    @property
    def expected_error(self) -> float:
        """Mean over predictions of the distance between accuracy and confidence of their bin (ECE)."""
        return float(np.average(np.abs(self.accuracy - self.confidence), weights=self.counts))

    @property
    def maximum_error(self) -> float:
        """The largest of these distances (MCE)."""
        return float(np.abs(self.accuracy - self.confidence).max())

    def plot(self, ax: Any = None) -> Any:
        """Draw the reliability diagram with matplotlib: a point for each bin, as large as its share of predictions.

        Parameters
        ----------
        ax : matplotlib axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        The axes.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        ax = unit_axes(ax, "ReliabilityCurve.plot", "confidence", "accuracy")
        (line,) = ax.plot(self.confidence, self.accuracy)
        shares = self.counts / self.counts.sum()
        ax.scatter(self.confidence, self.accuracy, 12 + 300 * shares, color=line.get_color(), label="predictions")
        ax.set_title(f"expected calibration error {self.expected_error:.3f}")
        ax.legend()
        return ax


def reliability_curve(
    y_true: ArrayLike, y_prob: ArrayLike, n_bins: int = 15, strategy: str = "uniform"
) -> ReliabilityCurve:
    """Accuracy and confidence of predictions in bins of their confidence.

    Parameters
    ----------
    y_true : array_like, (n,)
        Classes from 0; or one-hot, (n, classes).
    y_prob : array_like, (n,) or (n, classes)
        Probability of class 1; or of all classes: then that of the likeliest is the confidence, and it comes true if
        this is the right one.
    n_bins : int
        How many there are.
    strategy : {"uniform", "quantile"}
        Whether bins are as wide as each other, or hold as many predictions.

    Raises
    ------
    ValueError
        If shapes do not fit, or numbers are no probabilities or classes.

    See Also
    --------
    sklearn.calibration.calibration_curve : What it is computed by.

    Examples
    --------
    >>> import nbnet as nb
    >>> curve = nb.calibration.reliability_curve([0, 1, 0, 1], [0.1, 0.2, 0.9, 0.9], n_bins=2)
    >>> curve.accuracy, curve.confidence.round(2), curve.counts
    (array([0.5, 0.5]), array([0.15, 0.9 ]), array([2, 2]))
    """
    from sklearn.calibration import calibration_curve

    events, confidence = _events(y_true, y_prob)
    n_bins = count(n_bins, "n_bins")
    if strategy not in ("uniform", "quantile"):
        raise ValueError(f"strategy: wants 'uniform' or 'quantile', got {strategy!r}")
    accuracy, mean = calibration_curve(events, confidence, pos_label=1, n_bins=n_bins, strategy=strategy)
    # The bins that calibration_curve makes, for it does not tell how many predictions are in each.
    levels = np.linspace(0, 1, n_bins + 1)
    edges = levels if strategy == "uniform" else np.percentile(confidence, levels * 100)
    counts = np.bincount(np.searchsorted(edges[1:-1], confidence), minlength=n_bins)
    return ReliabilityCurve(accuracy, mean, counts[counts > 0])


def _events(y_true: Any, y_prob: Any) -> tuple[Labels, Float64]:
    """What was predicted for each row: whether it came true, and with what probability."""
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
