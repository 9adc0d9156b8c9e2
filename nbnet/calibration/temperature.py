"""Temperature scaling: one number that makes a classifier less, or more, confident."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from nbnet.calibration.scores import Float64, columns, labels, numbers

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
