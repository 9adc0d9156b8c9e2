"""The base class of all estimators, and the checks of data and sample weights that they share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state, column_or_1d, metaestimators
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, validate_data

from nbnet.base.array_memory import settled_parts

Array = NDArray[Any]
F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)

#: Seeds for nbnet are below this.
_SEEDS = 2**31 - 1


class NeuralEstimator(BaseEstimator):
    """Base class of networks with scikit-learn's methods."""

    if TYPE_CHECKING:  # scikit-learn has no types

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...

        def set_params(self, **params: Any) -> Self: ...

        def score(self, X: Any, y: Any, sample_weight: Any = None) -> float: ...

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _checked(self, X: Any, y: Any = None, *, reset: bool, **settings: Any) -> Any:
        """Return X, or (X, y), as arrays; a sparse X as CSR. ``settings`` are those of ``validate_data``.

        If ``reset`` is True, record the number and names of the features, else compare them to those of the last fit.
        """
        settings = {"accept_sparse": "csr", "order": "C"} | settings
        X, y = settled_parts(X, "X"), settled_parts(y, "y")
        if y is None and not reset:
            return validate_data(self, X, reset=False, **settings)
        X, y = validate_data(self, X, y, reset=reset, **settings)
        return X, as_vector(y)


class Scored:
    """Base class of the predictors that scikit-learn scores."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Score the predictions, as scikit-learn does: the accuracy of labels, R² of numbers.

        Parameters
        ----------
        X, y : array_like
            Features, and the labels or numbers to predict.
        sample_weight : array_like, optional
            A weight for each sample.

        Raises
        ------
        ValueError
            If an array has masked entries.
        """
        y, sample_weight = settled_parts(y, "y"), settled_parts(sample_weight, "sample_weight")
        score: float = super().score(X, y, sample_weight)  # type: ignore[misc]
        return score


def sample_weights(X: Any, y: Any, sample_weight: Any, class_weight: Any, dtype: Any) -> Array | None:
    """Weights of the samples times those of their classes; None if there are neither.

    ``class_weight`` is None, ``"balanced"``, a dict by label (not encoded), or a list of dicts for multilabel targets.
    Raise ValueError if the number of weights differs from that of the samples, one is negative, or all are zero.

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
        sample_weight = settled_parts(sample_weight, "sample_weight")
        weights = _check_sample_weight(sample_weight, X, dtype=dtype, ensure_non_negative=True)
        if not weights.any():
            raise ValueError("Sample weights must contain at least one non-zero number.")
    if class_weight is not None:
        by_class = compute_sample_weight(class_weight, y).astype(dtype, copy=False)
        weights = by_class if weights is None else weights * by_class
    assert weights is not None
    return np.array(weights, dtype, order="C")


def as_vector(y: Array) -> Array:
    """Return targets of a single column as a vector; scikit-learn's warning asks for one."""
    return cast(Array, column_or_1d(y, warn=True)) if y.ndim == 2 and y.shape[1] == 1 else y


def generator(random_state: Any) -> np.random.RandomState:
    """Return the generator that ``random_state`` stands for: None, an integer, or a generator, which goes on."""
    return cast(np.random.RandomState, check_random_state(random_state))


def next_seed(rng: np.random.RandomState) -> int:
    """Draw a seed for layers and samplers of nbnet.

    Examples
    --------
    >>> from nbnet.estimators.base import generator, next_seed
    >>> next_seed(generator(0)) == next_seed(generator(0))
    True
    """
    return int(rng.randint(_SEEDS))


# ---- decorators; those of scikit-learn have no types ----


def validates_parameters(method: F) -> F:
    """Decorator of ``fit``: scikit-learn first checks the estimator's parameters against its constraints."""
    return cast(F, _fit_context(prefer_skip_nested_validation=True)(method))


def available_if(check: Callable[[Any], bool]) -> Callable[[F], F]:
    """Decorator of methods that an estimator lacks if ``check(estimator)`` raises an AttributeError."""
    return cast(Callable[[F], F], metaestimators.available_if(check))


def documented(**blocks: str) -> Callable[[C], C]:
    """Decorator of classes: fills in the docstring, where ``%(name)s`` stands for the block of that name.

    Examples
    --------
    >>> from nbnet.estimators.base import documented
    >>> @documented(units="units : int")
    ... class Net:
    ...     '''Parameters: %(units)s.'''
    >>> Net.__doc__
    'Parameters: units : int.'
    """

    def fill(cls: C) -> C:
        if cls.__doc__ is not None:
            doc = inspect.cleandoc(cls.__doc__)
            for name, block in blocks.items():
                doc = doc.replace(f"%({name})s", inspect.cleandoc(block))
            cls.__doc__ = doc
        return cls

    return fill
