"""What a network is to learn: which outputs it needs, which loss fits them, and what the loss reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nbnet import losses
from nbnet.estimators.labels import MULTICLASS, MULTILABEL, Labels

Array = NDArray[Any]


class Task(ABC):
    """A target, as far as a network has to know it."""

    @property
    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What a function that builds a model may ask for."""

    @abstractmethod
    def check(self, width: int, loss: losses.Loss | None) -> None:
        """Raise a ValueError if a model with so many output units cannot learn it by this loss."""

    @abstractmethod
    def loss(self, width: int, ends: str | None) -> losses.Loss:
        """The loss for a model with so many output units, whose last layer has this activation (None: unknown)."""

    @abstractmethod
    def encode(self, y: Any, loss: losses.Loss | None, width: int) -> Array:
        """The target as the loss reads it."""


@dataclass(frozen=True, eq=False)
class Classification(Task):
    """Labels, one or several a row.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.estimators.labels import Labels
    >>> from nbnet.estimators.tasks import Classification
    >>> task = Classification(Labels.of(["a", "b", "c", "a"]))
    >>> task.loss(3, "softmax").name
    'sparse_categorical_crossentropy'
    >>> task.encode(["c"], nb.losses.CategoricalCrossentropy(), 3)
    array([[0., 0., 1.]], dtype=float32)
    >>> task.check(2, None)
    Traceback (most recent call last):
        ...
    ValueError: model: its output has 2 units, and y has 3 classes: wants 3 units
    """

    labels: Labels

    @property
    def facts(self) -> dict[str, Any]:
        labels = self.labels
        return {
            "n_classes": len(labels.classes),
            "classes": labels.classes,
            "n_outputs": len(labels.classes) if labels.kind == MULTILABEL else 1,
            "target_type": labels.kind,
            "output_units": labels.outputs,
            "output_activation": "softmax" if labels.kind == MULTICLASS else "sigmoid",
        }

    def check(self, width: int, loss: losses.Loss | None) -> None:
        labels = self.labels
        several = labels.kind == MULTILABEL
        wanted = {labels.outputs} if several else {labels.outputs, max(len(labels.classes), 2)}
        if width not in wanted:
            what = "label" if several else "class"
            raise ValueError(
                f"model: its output has {_count(width, 'unit')}, and y has {_count(len(labels.classes), what)}: "
                f"wants {' or '.join(map(str, sorted(wanted)))} unit{'s' if wanted != {1} else ''}"
            )
        if loss is not None and loss.sparse and (several or width == 1):
            raise ValueError(
                f"loss: {loss.name} wants one label a row and an output unit for each class; the model has "
                f"{_count(width, 'unit')} and y is of type {labels.kind!r}: take 'auto' or 'binary_crossentropy'"
            )

    def loss(self, width: int, ends: str | None) -> losses.Loss:
        if ends not in ("softmax", "sigmoid", "linear"):
            raise ValueError(
                "loss: 'auto' cannot tell what the outputs of the model's last layer are; end it with a Dense with "
                "activation 'softmax', 'sigmoid' or None (logits), or say which loss it is"
            )
        if self.labels.kind == MULTILABEL or width == 1:
            if ends == "softmax":
                raise ValueError(
                    f"model: its output, a softmax of {_count(width, 'unit')}, adds up to 1, and y is of type "
                    f"{self.labels.kind!r}: wants activation 'sigmoid', or None"
                )
            return losses.BinaryCrossentropy(from_logits=ends == "linear")
        if ends == "sigmoid":
            return losses.BinaryCrossentropy()
        return losses.SparseCategoricalCrossentropy(from_logits=ends == "linear")

    def encode(self, y: Any, loss: losses.Loss | None, width: int) -> Array:
        codes = self.labels.encode(y)
        if self.labels.kind == MULTILABEL:
            return codes.astype(np.float32)
        if width == 1:
            return codes.astype(np.float32)[:, None]
        return codes if loss is None or loss.sparse else np.eye(width, dtype=np.float32)[codes]


@dataclass(frozen=True)
class Regression(Task):
    """Numbers, one or several a row.

    Parameters
    ----------
    outputs
        How many.
    single
        Whether they come, and are predicted, as (n,).

    Examples
    --------
    >>> from nbnet.estimators.tasks import Regression
    >>> Regression(2, False).check(3, None)
    Traceback (most recent call last):
        ...
    ValueError: model: its output has 3 units, and y has 2 columns: wants 2 units
    """

    outputs: int
    single: bool

    @classmethod
    def of(cls, y: Array) -> Self:
        """The task of a target (n,) or (n, outputs)."""
        return cls(1 if y.ndim == 1 else y.shape[1], y.ndim == 1)

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "n_outputs": self.outputs,
            "target_type": "continuous" if self.single else "continuous-multioutput",
            "output_units": self.outputs,
            "output_activation": None,
        }

    def check(self, width: int, loss: losses.Loss | None) -> None:
        # That loss wants means and logarithms of variances.
        wanted = self.outputs * (1 + isinstance(loss, losses.GaussianNegativeLogLikelihood))
        if width != wanted:
            raise ValueError(
                f"model: its output has {_count(width, 'unit')}, and y has {_count(self.outputs, 'column')}: "
                f"wants {_count(wanted, 'unit')}"
            )

    def loss(self, width: int, ends: str | None) -> losses.Loss:
        return losses.MeanSquaredError()

    def encode(self, y: Any, loss: losses.Loss | None, width: int) -> Array:
        array = np.asarray(y)
        return array.reshape(len(array), -1)


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}{'es' if what.endswith('s') else 's'}"
