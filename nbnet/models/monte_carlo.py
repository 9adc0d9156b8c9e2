"""Monte Carlo predictions: an output and its uncertainty, from samples with dropout active."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.validation import ABOVE_ZERO
from nbnet.train.mc_predict import MCResult

Array = NDArray[Any]
Float64 = NDArray[np.float64]

#: Numbers that are worked on at a time.
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False, repr=False)
class MCPrediction:
    """An output of a model over many samples with dropout active, as ``predict_mc`` returns it.

    Entropies are in nats. They belong to each row of a softmax; with sigmoids each unit has its own, and that of a
    single unit is the row's.

    Attributes
    ----------
    n_samples : int
        Number of samples.
    mean, std : ndarray, (n, ...)
        Mean and standard deviation of the samples; the variance is divided by their number, not by one less.
    samples : ndarray, (n_samples, n, ...)
        None unless ``return_samples``.
    quantiles : ndarray, (quantiles, n, ...)
        Without the first axis if a number was asked for; None if nothing was.

    References
    ----------
    Y. Gal, Z. Ghahramani: Dropout as a Bayesian approximation: representing model uncertainty in deep learning. ICML
    2016.

    N. Houlsby, F. Huszar, Z. Ghahramani, M. Lengyel: Bayesian active learning for classification and preference
    learning. arXiv:1112.5745 (2011), on the mutual information, called BALD.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> nb.set_random_seed(0)
    >>> layers = [nb.layers.Dense(16, "relu"), nb.layers.Dropout(0.5), nb.layers.Dense(3, "softmax")]
    >>> prediction = nb.Sequential([nb.Input((4,)), *layers]).predict_mc(np.ones((5, 4)), samples=50)
    >>> prediction
    <MCPrediction of 50 samples: mean (5, 3)>
    >>> bool((prediction.mutual_information <= prediction.predictive_entropy).all())
    True
    """

    n_samples: int
    mean: Array
    std: Array
    samples: Array | None = None
    quantiles: Array | None = None
    _predictive: Float64 | None = None
    _expected: Float64 | None = None

    @classmethod
    def of(cls, count: int, result: MCResult, dtype: np.dtype[Any]) -> Self:
        """Return the prediction from the statistics of ``count`` samples, in the dtype of the model."""
        std = np.sqrt(np.maximum(result.squares, 0.0) / count)
        mean, entropy = result.mean, result.entropy
        kept = mean.astype(dtype), std.astype(dtype), result.samples, result.quantiles
        if entropy is None:
            return cls(count, *kept)
        predictive = _minus_plogp(mean)
        if entropy.ndim == mean.ndim:
            predictive += _minus_plogp(1.0 - mean)
        else:
            predictive = predictive.sum(-1)
        expected = entropy / count
        if entropy.ndim == mean.ndim > 1 and mean.shape[-1] == 1:
            predictive, expected = predictive[..., 0], expected[..., 0]
        return cls(count, *kept, predictive, expected)

    @property
    def predictive_entropy(self) -> Float64:
        """Entropy of the mean probabilities, (n,): the total uncertainty."""
        return self._entropies()[0]

    @property
    def expected_entropy(self) -> Float64:
        """Mean entropy of the samples, (n,): the uncertainty that remains whatever the weights."""
        return self._entropies()[1]

    @property
    def mutual_information(self) -> Float64:
        """Predictive minus expected entropy, (n,), at least 0: how far the samples disagree."""
        predictive, expected = self._entropies()
        return np.maximum(predictive - expected, 0.0)

    def _entropies(self) -> tuple[Float64, Float64]:
        if self._predictive is None or self._expected is None:
            raise ValueError("entropy: expected probabilities, the output of a softmax or a sigmoid; got other outputs")
        return self._predictive, self._expected

    def log_likelihood(self, y: ArrayLike, tau: float) -> Float64:
        """Return the log density of y under the mixture of normal distributions around the samples, for each row.

        It is ``logsumexp(-tau/2 |y - y_t|^2) - log T - d/2 log(2 pi) + d/2 log(tau)``, over samples t = 1 ... T of d
        numbers a row.

        Parameters
        ----------
        y : array_like, (n, ...)
            Targets, shaped like the output; (n,) if that has one unit.
        tau : float
            Precision of the noise, one over its variance, in the unit of y.

        Returns
        -------
        ndarray, (n,)

        Raises
        ------
        ValueError
            If the samples were not kept, y has another shape, or tau is not above 0.

        References
        ----------
        Y. Gal, Z. Ghahramani: Dropout as a Bayesian approximation. ICML 2016, section 4.4.

        Examples
        --------
        >>> import numpy as np
        >>> import nbnet as nb
        >>> nb.set_random_seed(0)
        >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dropout(0.1), nb.layers.Dense(1)])
        >>> prediction = model.predict_mc(np.zeros((3, 2)), samples=20, return_samples=True)
        >>> prediction.log_likelihood(np.zeros(3), tau=1.0).round(4)
        array([-0.9189, -0.9189, -0.9189])
        """
        # Imported here: scipy.special takes longer to import than all of nbnet.
        from scipy.special import logsumexp

        if self.samples is None:
            raise ValueError("samples: the log-likelihood needs all of them: call predict_mc with return_samples=True")
        tau, targets = ABOVE_ZERO.check(tau, "tau"), np.asarray(plain_array(y, "y"), np.float64)
        if targets.shape != self.mean.shape and (*targets.shape, 1) != self.mean.shape:
            raise ValueError(f"y: expected shape {self.mean.shape}, that of the output, got {targets.shape}")
        n, d = len(self.mean), self.mean[:1].size
        targets, samples = targets.reshape(n, d), self.samples.reshape(-1, n, d)
        density, size = np.empty(n), max(1, _BLOCK // (self.n_samples * max(d, 1)))
        for start in range(0, n, size):
            rows = slice(start, start + size)
            errors = ((targets[rows] - samples[:, rows].astype(np.float64)) ** 2).sum(-1)
            density[rows] = logsumexp(-0.5 * tau * errors, axis=0)
        return density - math.log(self.n_samples) + 0.5 * d * (math.log(tau) - math.log(2 * math.pi))

    def __repr__(self) -> str:
        return f"<MCPrediction of {self.n_samples} samples: mean {self.mean.shape}>"


def _minus_plogp(p: Float64) -> Float64:
    """-p ln p, which is 0 where p is."""
    return np.negative(p * np.log(p, where=p > 0, out=np.zeros_like(p))) + 0.0
