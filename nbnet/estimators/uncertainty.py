"""How sure a regressor is: standard deviations, and intervals for targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbnet.estimators.heads import Head, check_coverage, covering
from nbnet.models.monte_carlo import MCPrediction

Array = NDArray[Any]
Float64 = NDArray[np.float64]

#: Passes with dropout at work, if nobody says how many.
SAMPLES = 100


class Uncertain:
    """Mixin of regressors.

    Attributes
    ----------
    _distances
        Of the rows that were held out in the last fit; None if there were none.
    """

    _distances: Float64 | None = None

    if TYPE_CHECKING:

        @property
        def _head(self) -> Head:
            """How outputs are to be read."""
            ...

        def _outputs(self, X: Any) -> Array:
            """Outputs of the network for rows, which are checked."""
            ...

        def _sampled(self, X: Any, samples: int) -> MCPrediction:
            """Outputs in many passes."""
            ...

        def _shaped(self, found: Array) -> Array:
            """Numbers (n, targets) in the shape of targets."""
            ...

    def _predicted(self, X: Any, return_std: bool, samples: int | None) -> Any:
        """Numbers for rows, and standard deviations if they are wanted."""
        if samples is None:
            outputs = self._outputs(X)
            head = self._head
            mean, std = head.mean(outputs), head.std(outputs)
            if not return_std:
                return self._shaped(mean)
            if std is not None:
                return self._shaped(mean), self._shaped(std)
        found = self._sampled(X, SAMPLES if samples is None else samples)
        head = self._head
        mean, spread, std = head.mean(found.mean), head.mean(found.std), head.std(found.mean)
        if not return_std:
            return self._shaped(mean)
        return self._shaped(mean), self._shaped(spread if std is None else np.sqrt(spread**2 + std**2))

    def _interval(self, X: Any, coverage: Any) -> tuple[Array, Array]:
        """Lower and upper ends."""
        share, outputs = check_coverage(coverage), self._outputs(X)
        distance = self._head.presumed(share) if self._distances is None else covering(self._distances, share)
        lower, upper = self._head.interval(outputs, distance)
        return self._shaped(lower), self._shaped(upper)

    def _keep_distances(self, y: Array, outputs: Array) -> None:
        """Remember how far off predictions are for rows that are held out."""
        self._distances = self._head.distance(y, outputs).astype(np.float64)
