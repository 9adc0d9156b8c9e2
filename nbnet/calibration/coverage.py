"""Coverage of predictive intervals: their levels against the share of targets inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from nbnet.calibration.reliability import CalibrationCurve
from nbnet.calibration.scores import Float64, numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
