"""What all estimators share: data and weights that are checked in scikit-learn's words, and seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, validate_data

Array = NDArray[Any]

#: Seeds for nbnet are below this.
SEEDS = 2**31 - 1


class NeuralEstimator(BaseEstimator):  # type: ignore[misc]
    """A network with scikit-learn's methods."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _keep(self, parameters: Mapping[str, Any]) -> None:
        """Keep what the constructor was given: its local variables."""
        self.__dict__.update({name: value for name, value in parameters.items() if name != "self"})

    def _checked(self, X: Any, y: Any = None, *, reset: bool, **how: Any) -> Any:
        """X, or (X, y), as arrays; CSR if sparse. Features are counted and their names kept (``reset``), or compared
        to those of the last fit.

        Parameters
        ----------
        **how
            For ``sklearn.utils.validation.validate_data``: ``dtype``, ``multi_output``, ``y_numeric``, ``allow_nd``.
        """
        how = {"accept_sparse": "csr", "order": "C"} | how
        if y is None and not reset:
            return validate_data(self, X, reset=False, **how)
        X, y = validate_data(self, X, y, reset=reset, **how)
        return X, flat(y)


def sample_weights(X: Any, y: Any, sample_weight: Any, class_weight: Any, dtype: Any) -> Array | None:
    """A weight for each row: those of samples times those of classes; None if there are neither.

    Parameters
    ----------
    X, y
        As they are after validation; labels not encoded.
    class_weight
        None, ``"balanced"``, a dict by label, or for several labels a list of dicts.

    Raises
    ------
    ValueError
        If there are not as many as rows, one is negative, or none is above 0.

    Examples
    --------
    >>> from nbnet.estimators.base import sample_weights
    >>> sample_weights([[0], [1], [2]], [0, 1, 1], None, "balanced", "float32")
    array([1.5 , 0.75, 0.75], dtype=float32)
    """
    if sample_weight is None and class_weight is None:
        return None
    weights = None
    if sample_weight is not None:
        weights = _check_sample_weight(sample_weight, X, dtype=dtype, ensure_non_negative=True)
        if not weights.any():
            raise ValueError("Sample weights must contain at least one non-zero number.")
    if class_weight is not None:
        by_class = compute_sample_weight(class_weight, y).astype(dtype, copy=False)
        weights = by_class if weights is None else weights * by_class
    assert weights is not None
    return np.ascontiguousarray(weights, dtype)


def flat(y: Array) -> Array:
    """Targets of a single column as a vector; scikit-learn's warning says that they should be one."""
    found: Array = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
    return found


def generator(random_state: Any) -> np.random.RandomState:
    """What ``random_state`` stands for: None, an integer, or a generator, which goes on."""
    return check_random_state(random_state)  # type: ignore[no-any-return]


def next_seed(rng: np.random.RandomState) -> int:
    """A seed for something of nbnet's.

    Examples
    --------
    >>> from nbnet.estimators.base import generator, next_seed
    >>> next_seed(generator(0)) == next_seed(generator(0))
    True
    """
    return int(rng.randint(SEEDS))
