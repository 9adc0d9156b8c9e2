"""What all estimators share: data and weights that are checked in scikit-learn's words, and seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import _check_sample_weight, validate_data

from nbnet.data.sparse import as_sparse_rows, is_sparse
from nbnet.estimators.labels import Labels

Array = NDArray[Any]

#: Seeds for nbnet are below this.
SEEDS = 2**31 - 1
#: What X may come in: the first is what anything else becomes.
FLOATS = (np.float64, np.float32)


class NeuralEstimator(BaseEstimator):  # type: ignore[misc]
    """A network with scikit-learn's methods."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _checked(self, X: Any, y: Any = None, *, reset: bool, dtype: Any = FLOATS, **how: Any) -> Any:
        """X, or (X, y), as arrays; CSR if sparse. Features are counted and their names kept (``reset``), or compared
        to those of the last fit.

        Parameters
        ----------
        dtype
            What X is to be; of several, the first is what others are converted to.
        **how
            For ``sklearn.utils.validation.validate_data``; ``multi_output``, ``y_numeric`` and ``allow_nd`` among it.
        """
        how = {"accept_sparse": "csr", "dtype": dtype, "order": "C"} | how
        if y is None and not reset:
            return validate_data(self, X, reset=False, **how)
        X, y = validate_data(self, X, y, reset=reset, **how)
        return X, flat(y)

    def _labels(self, y: Any, labels: Labels | None, known: bool, exactly: bool) -> Labels:
        """The labels of a target.

        Parameters
        ----------
        labels
            Those of an earlier fit.
        known
            Whether they stay.
        exactly
            Whether all of them, and no others, have to occur; otherwise some may be missing.

        Raises
        ------
        ValueError
            If they stay, and there are others.
        """
        if labels is None or not known:
            return Labels.of(y)
        found = unique_labels(y)
        if exactly and set(found.tolist()) != set(labels.classes.tolist()):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {labels.classes}, `y` has {found}"
            )
        if np.setdiff1d(found, labels.classes, assume_unique=True).size:
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {labels.classes}. 'y' has {found}."
            )
        return labels


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


def readable(X: Any, dtype: Any) -> Any:
    """Validated features as programs read them: the array itself, or the rows of a sparse matrix."""
    return as_sparse_rows(X, "X", dtype=dtype) if is_sparse(X) else X
