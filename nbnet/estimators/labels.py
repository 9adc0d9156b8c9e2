"""Targets of classifiers: labels of any kind, and the numbers that networks read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

Array = NDArray[Any]

BINARY, MULTICLASS, MULTILABEL = "binary", "multiclass", "multilabel-indicator"


@dataclass(frozen=True, eq=False)
class Labels:
    """The classes of a target, and what stands for them in a network.

    Attributes
    ----------
    kind : {"binary", "multiclass", "multilabel-indicator"}
        ``"binary"`` if there are at most two classes.
    classes : ndarray, (classes,)
        Sorted; for several labels a row, their numbers.
    sparse : bool
        Whether indicators of labels came as a sparse matrix; then predictions do, too.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.estimators.labels import Labels
    >>> labels = Labels.of(["no", "yes", "yes"])
    >>> labels.encode(["yes", "no"])
    array([1, 0])
    >>> labels.decode(np.array([[0.9], [0.2]]))
    array(['yes', 'no'], dtype='<U3')
    """

    kind: str
    classes: Array
    sparse: bool = False

    @classmethod
    def of(cls, y: Any) -> Self:
        """The labels of a target (n,), or of indicators (n, labels).

        Raises
        ------
        ValueError
            If the target is not one of a classification, or has several columns that are no indicators.
        """
        kind = type_of_target(y, input_name="y")
        if kind in (BINARY, MULTICLASS) and isinstance(y, np.ndarray) and y.dtype.kind != "O":
            # The usual case: unique_labels would look for the type once more, and again for each column.
            return cls._of_sorted(np.unique(y))
        check_classification_targets(y)
        if kind.endswith("multioutput"):
            raise ValueError(
                f"y: wants labels (n,) or indicators of labels (n, labels), got a target of type {kind!r}; fit a "
                "classifier for each column with sklearn.multioutput.MultiOutputClassifier"
            )
        if kind == MULTILABEL:
            return cls(MULTILABEL, np.arange(y.shape[1] if sparse.issparse(y) else np.shape(y)[1]), sparse.issparse(y))
        return cls.of_classes(unique_labels(y))

    @classmethod
    def of_classes(cls, classes: ArrayLike) -> Self:
        """The labels of a target with these classes."""
        return cls._of_sorted(unique_labels(classes))

    @classmethod
    def _of_sorted(cls, classes: Array) -> Self:
        return cls(MULTICLASS if len(classes) > 2 else BINARY, classes)

    @property
    def outputs(self) -> int:
        """Numbers that a network with one output for two classes has to give for a row."""
        return 1 if self.kind == BINARY else len(self.classes)

    def encode(self, y: Any) -> Array:
        """Numbers of classes, int64 (n,); for several labels a row indicators, bool (n, labels).

        Raises
        ------
        ValueError
            If there are labels among them that are none of the classes, or another number of columns.
        """
        if self.kind == MULTILABEL:
            dense = y.toarray() if sparse.issparse(y) else np.asarray(y)
            if dense.ndim != 2 or dense.shape[1] != len(self.classes):
                raise ValueError(f"y: wants indicators (n, {len(self.classes)}), got shape {np.shape(dense)}")
            indicators: Array = dense != 0
            return indicators
        given = np.asarray(y)
        codes = np.searchsorted(self.classes, given).clip(max=len(self.classes) - 1)
        if not (known := self.classes[codes] == given).all():
            raise ValueError(f"y: wants labels out of {self.classes}, got {given[~known].tolist()[0]!r}")
        return codes

    def decode(self, scores: Array) -> Any:
        """Labels of rows, from probabilities of the second class (n,) or (n, 1), or of all classes or labels."""
        if self.kind == MULTILABEL:
            found = (scores > 0.5).astype(np.int64)
            return sparse.csr_matrix(found) if self.sparse else found
        if scores.ndim == 2 and scores.shape[1] > 1:
            return self.classes[scores.argmax(1)]
        second = (scores.reshape(len(scores)) > 0.5) & (len(self.classes) > 1)
        return self.classes[second.astype(np.intp)]


def labels_of(y: Any, known: Labels | None, exactly: bool) -> Labels:
    """The labels of a target of a fit.

    Parameters
    ----------
    known
        Those of an earlier fit, which stay; None: they are what the target has.
    exactly
        Whether all that are known have to occur; otherwise some may be missing.

    Raises
    ------
    ValueError
        If there are others than those known.
    """
    if known is None:
        return Labels.of(y)
    found = unique_labels(y)
    if exactly and set(found.tolist()) != set(known.classes.tolist()):
        raise ValueError(
            "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
            f"got {known.classes}, `y` has {found}"
        )
    if np.setdiff1d(found, known.classes, assume_unique=True).size:
        raise ValueError(
            f"`y` has classes not in `self.classes_`. `self.classes_` has {known.classes}. 'y' has {found}."
        )
    return known
