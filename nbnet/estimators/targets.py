"""Targets: labels and their codes, and the tasks they set a network: outputs, losses, and encoded targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from nbnet import losses
from nbnet.estimators.base import Array

BINARY, MULTICLASS, MULTILABEL = "binary", "multiclass", "multilabel-indicator"


@dataclass(frozen=True, eq=False)
class Labels:
    """The classes of a target, and their codes in a network.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.estimators.targets import Labels
    >>> labels = Labels.of(["no", "yes", "yes"])
    >>> labels.encode(["yes", "no"])
    array([1, 0])
    >>> labels.decode(np.array([[0.9], [0.2]]))
    array(['yes', 'no'], dtype='<U3')
    """

    kind: str  # BINARY if there are at most two classes, MULTICLASS or MULTILABEL
    classes: Array  # sorted; of multilabel targets the indices of the labels
    sparse: bool = False  # indicators came as a sparse matrix; then predictions are sparse, too

    @classmethod
    def of(cls, y: Any) -> Self:
        """Return the labels of a target (n,), or of indicators (n, labels); raise ValueError for any other target."""
        kind = type_of_target(y, input_name="y")
        if kind in (BINARY, MULTICLASS) and isinstance(y, np.ndarray) and y.dtype.kind != "O":
            # The usual case: unique_labels would determine the type once more, and again for each column.
            return cls._of_sorted(np.unique(y))
        check_classification_targets(y)
        if kind.endswith("multioutput"):
            raise ValueError(
                f"y: expected labels (n,) or indicators of labels (n, labels), got a target of type {kind!r}; fit a "
                "classifier for each column with sklearn.multioutput.MultiOutputClassifier"
            )
        if kind == MULTILABEL:
            return cls(MULTILABEL, np.arange(y.shape[1] if sparse.issparse(y) else np.shape(y)[1]), sparse.issparse(y))
        return cls.of_classes(unique_labels(y))

    @classmethod
    def of_classes(cls, classes: ArrayLike) -> Self:
        """Return the labels of a target with these classes."""
        return cls._of_sorted(unique_labels(classes))

    @classmethod
    def _of_sorted(cls, classes: Array) -> Self:
        return cls(MULTICLASS if len(classes) > 2 else BINARY, classes)

    @property
    def outputs(self) -> int:
        """Outputs of a network that has a single one for two classes."""
        return 1 if self.kind == BINARY else len(self.classes)

    def encode(self, y: Any) -> Array:
        """Return class indices, int64 (n,), or multilabel indicators, bool (n, labels).

        Raise ValueError if y has a label that is not among the classes, or another number of columns.
        """
        if self.kind == MULTILABEL:
            dense = y.toarray() if sparse.issparse(y) else np.asarray(y)
            if dense.ndim != 2 or dense.shape[1] != len(self.classes):
                raise ValueError(f"y: expected indicators (n, {len(self.classes)}), got shape {np.shape(dense)}")
            return cast(Array, dense != 0)
        given = np.asarray(y)
        codes = np.searchsorted(self.classes, given).clip(max=len(self.classes) - 1)
        if not (known := self.classes[codes] == given).all():
            raise ValueError(f"y: expected labels out of {self.classes}, got {given[~known].tolist()[0]!r}")
        return codes

    def decode(self, scores: Array) -> Array:
        """Return labels for probabilities of the second class (n,) or (n, 1), or of all classes or labels."""
        if self.kind == MULTILABEL:
            indicators = (scores > 0.5).astype(np.int64)
            return cast(Array, sparse.csr_matrix(indicators)) if self.sparse else indicators
        if scores.ndim == 2 and scores.shape[1] > 1:
            return cast(Array, self.classes[scores.argmax(1)])
        second = (scores.reshape(len(scores)) > 0.5) & (len(self.classes) > 1)
        return self.classes[second.astype(np.intp)]


def labels_of(y: Any, known: Labels | None, exactly: bool) -> Labels:
    """Return the labels of a fit's target, or the ``known`` ones of an earlier fit; raise ValueError for other labels.

    If ``exactly`` is True, all known labels must occur; otherwise some may be missing.
    """
    if known is None:
        return Labels.of(y)
    present = unique_labels(y)
    if exactly and set(present.tolist()) != set(known.classes.tolist()):
        raise ValueError(
            "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
            f"got {known.classes}, `y` has {present}"
        )
    if np.setdiff1d(present, known.classes, assume_unique=True).size:
        raise ValueError(
            f"`y` has classes not in `self.classes_`. `self.classes_` has {known.classes}. 'y' has {present}."
        )
    return known


@dataclass(frozen=True, eq=False)
class Classification:
    """One label per row, or several.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.estimators.targets import Classification, Labels
    >>> task = Classification(Labels.of(["a", "b", "c", "a"]))
    >>> task.loss(3, "softmax").name
    'sparse_categorical_crossentropy'
    >>> task.encode(["c"], nb.losses.CategoricalCrossentropy(), 3)
    array([[0., 0., 1.]], dtype=float32)
    >>> task.check(2, None)
    Traceback (most recent call last):
        ...
    ValueError: model: expected 3 output units for 3 classes in y, got 2 units
    """

    labels: Labels

    @property
    def facts(self) -> dict[str, Any]:
        """Facts about the target that a function which builds a model may request."""
        labels = self.labels
        count, activation = len(labels.classes), "softmax" if labels.kind == MULTICLASS else "sigmoid"
        return {
            "n_classes": count, "classes": labels.classes, "n_outputs": count if labels.kind == MULTILABEL else 1,
            "target_type": labels.kind, "output_units": labels.outputs, "output_activation": activation,
        }  # fmt: skip

    def check(self, width: int, loss: losses.Loss | None) -> None:
        """Raise a ValueError if a model with ``width`` output units cannot learn the task by this loss."""
        labels = self.labels
        several = labels.kind == MULTILABEL
        expected = {labels.outputs} if several else {labels.outputs, max(len(labels.classes), 2)}
        if width not in expected:
            _raise_width(expected, len(labels.classes), "label" if several else "class", width)
        if loss is not None and loss.sparse and (several or width == 1):
            raise ValueError(
                f"loss: {loss.name} needs one label per row and an output unit for each class; the model has "
                f"{_count(width, 'unit')} and y is of type {labels.kind!r}: use 'auto' or 'binary_crossentropy'"
            )

    def loss(self, width: int, last: str | None) -> losses.Loss:
        """Return the default loss of a model with ``width`` output units and ``last`` activation (None: unknown)."""
        if last not in ("softmax", "sigmoid", "linear"):
            raise ValueError(
                "loss: 'auto' cannot tell the kind of the model's outputs; end the model with a Dense layer with "
                "activation 'softmax', 'sigmoid' or None (logits), or name the loss"
            )
        if self.labels.kind == MULTILABEL or width == 1:
            if last == "softmax":
                raise ValueError(
                    f"model: expected a last activation 'sigmoid' or None for y of type {self.labels.kind!r}, got a "
                    f"softmax of {_count(width, 'unit')}, whose outputs add up to 1"
                )
            return losses.BinaryCrossentropy(from_logits=last == "linear")
        if last == "sigmoid":
            return losses.BinaryCrossentropy()
        return losses.SparseCategoricalCrossentropy(from_logits=last == "linear")

    def encode(self, y: Any, loss: losses.Loss | None, width: int) -> Array:
        """Return the target as the loss reads it."""
        codes = self.labels.encode(y)
        if self.labels.kind == MULTILABEL:
            return codes.astype(np.float32)
        if width == 1:
            return codes.astype(np.float32)[:, None]
        return codes if loss is None or loss.sparse else np.eye(width, dtype=np.float32)[codes]


@dataclass(frozen=True)
class Regression:
    """One number per row, or several; its methods are those of :class:`Classification`.

    Examples
    --------
    >>> from nbnet.estimators.targets import Regression
    >>> Regression(2, False).check(3, None)
    Traceback (most recent call last):
        ...
    ValueError: model: expected 2 output units for 2 columns in y, got 3 units
    """

    outputs: int  # numbers in a row
    single: bool  # targets and predictions have shape (n,)

    @classmethod
    def of(cls, y: Array) -> Self:
        """Return the task of a target (n,) or (n, outputs)."""
        return cls(1 if y.ndim == 1 else y.shape[1], y.ndim == 1)

    @property
    def facts(self) -> dict[str, Any]:
        kind = "continuous" if self.single else "continuous-multioutput"
        return dict(n_outputs=self.outputs, target_type=kind, output_units=self.outputs, output_activation=None)

    def check(self, width: int, loss: losses.Loss | None) -> None:
        # The Gaussian likelihood needs means and logarithms of variances.
        expected = self.outputs * (1 + isinstance(loss, losses.GaussianNegativeLogLikelihood))
        if width != expected:
            _raise_width({expected}, self.outputs, "column", width)

    def loss(self, width: int, last: str | None) -> losses.Loss:
        return losses.MeanSquaredError()

    def encode(self, y: Any, loss: losses.Loss | None, width: int) -> Array:
        array = np.asarray(y)
        return array.reshape(len(array), -1)


#: The learning task that a target sets a network.
Task = Classification | Regression


def _raise_width(expected: set[int], n: int, thing: str, width: int) -> None:
    units = f"{' or '.join(map(str, sorted(expected)))} output unit{'s' if expected != {1} else ''}"
    raise ValueError(f"model: expected {units} for {_count(n, thing)} in y, got {_count(width, 'unit')}")


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}" if n == 1 else f"{n} {thing}{'es' if thing.endswith('s') else 's'}"
