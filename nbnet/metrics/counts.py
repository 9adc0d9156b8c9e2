"""Right and wrong decisions at rising thresholds, their ratios, and areas under curves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nbnet.metrics.metric import Array


def ratio(a: Array, b: Array) -> Array:
    """``a / b``, 0 where b is."""
    found: Array = np.divide(a, b, out=np.zeros_like(a), where=b != 0)
    return found


class Counts(NamedTuple):
    """Weights of right and wrong decisions at rising thresholds."""

    tp: Array
    fp: Array
    tn: Array
    fn: Array

    @classmethod
    def of(cls, positive: Array, predictions: Array, w: Array, thresholds: Array) -> Counts:
        """Counts of predictions above each threshold."""
        order = np.argsort(predictions, kind="stable")
        below = np.searchsorted(predictions[order], thresholds, side="right")

        def above(weights: Array) -> Array:
            sums = np.concatenate([[0.0], weights[order].cumsum()])
            found: Array = np.maximum(sums[-1] - sums[below], 0.0)
            return found

        tp, fp = above(w * positive), above(w * ~positive)
        return cls(tp, fp, (w * ~positive).sum() - fp, (w * positive).sum() - tp)

    @property
    def recall(self) -> Array:
        return ratio(self.tp, self.tp + self.fn)

    @property
    def precision(self) -> Array:
        return ratio(self.tp, self.tp + self.fp)

    @property
    def specificity(self) -> Array:
        return ratio(self.tn, self.tn + self.fp)

    def area(self, curve: str, summation: str) -> float:
        """The area under a curve, summed from threshold to threshold."""
        if curve == "PR" and summation == "interpolation":
            return self._interpolated()
        x, y = (1.0 - self.specificity, self.recall) if curve == "ROC" else (self.recall, self.precision)
        if curve == "ROC" and not (self.tn + self.fp).any():
            x = np.zeros_like(y)
        sides = {"interpolation": (y[:-1] + y[1:]) / 2, "minoring": np.minimum(y[:-1], y[1:])}
        return float(((x[:-1] - x[1:]) * sides.get(summation, np.maximum(y[:-1], y[1:]))).sum())

    def _interpolated(self) -> float:
        # Between thresholds, true positives are taken to change linearly with positives p: tp = slope p + start.
        # The area is that under tp / p over tp.
        p = self.tp + self.fp
        dtp = self.tp[:-1] - self.tp[1:]
        slope = ratio(dtp, p[:-1] - p[1:])
        start = self.tp[1:] - slope * p[1:]
        growth = np.where((p[:-1] > 0) & (p[1:] > 0), ratio(p[:-1], p[1:]), 1.0)
        return float(ratio(slope * (dtp + start * np.log(growth)), self.tp[1:] + self.fn[1:]).sum())
