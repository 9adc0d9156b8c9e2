"""How sure a network is: many passes with dropout at work, variances that it predicts, residuals of rows held out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from nbnet.estimators.base import Array, generator, next_seed
from nbnet.models.monte_carlo import MCPrediction

if TYPE_CHECKING:
    from nbnet.estimators.mlp import MLP

Float64 = NDArray[np.float64]

#: Passes with dropout at work, if nobody says how many.
SAMPLES = 100


def sampled(estimator: MLP, X: Any, samples: int) -> MCPrediction:
    """What many passes give; repeatable if ``random_state`` is an integer."""
    x = estimator._features(X)
    seed = None if estimator.random_state is None else next_seed(generator(estimator.random_state))
    with estimator._threads():
        found: MCPrediction = estimator.model_.predict_mc(list(x) if len(x) > 1 else x[0], samples, seed=seed)
    return found


def moments(outputs: Array, targets: int) -> tuple[Array, Array | None]:
    """Means and standard deviations that a network with twice as many outputs as targets gives; else None."""
    if outputs.shape[1] != 2 * targets:
        return outputs, None
    return outputs[:, :targets], np.exp(0.5 * outputs[:, targets:])


def half_width(scores: Float64, coverage: float) -> Float64:
    """The quantile of residuals of rows held out that covers a share of others, for each target.

    Parameters
    ----------
    scores : ndarray, (n, targets)
        Absolute residuals, over standard deviations if these are known.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer: Algorithmic learning in a random world. Springer 2005.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.estimators.uncertainty import half_width
    >>> half_width(np.arange(1.0, 100.0)[:, None], 0.9)
    array([90.])
    >>> half_width(np.arange(1.0, 4.0)[:, None], 0.9)
    array([inf])
    """
    n = len(scores)
    rank = int(np.ceil((n + 1) * coverage - 1e-9))
    if rank > n:
        return np.full(scores.shape[1], np.inf)
    return np.asarray(np.partition(scores, rank - 1, axis=0)[rank - 1], np.float64)


def check_coverage(coverage: Any) -> float:
    """A share between 0 and 1."""
    if isinstance(coverage, bool) or not isinstance(coverage, (int, float, np.number)) or not 0 < coverage < 1:
        raise ValueError(f"coverage must be a number between 0 and 1, got {coverage!r}.")
    return float(coverage)


def normal(coverage: float) -> float:
    """Half the width, in standard deviations, of the central interval of a normal distribution."""
    return float(ndtri((1 + coverage) / 2))
