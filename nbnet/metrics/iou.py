"""Intersection over union: ``tp / (tp + fp + fn)`` of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet.base.array_memory import plain_array
from nbnet.base.loading_budget import check_memory, reserve
from nbnet.base.validation import FINITE, check_int
from nbnet.engine.graph.parameter import Parameter
from nbnet.losses.loss import check_axis
from nbnet.losses.weighting import numbers
from nbnet.metrics.metric import Array, Metric


class IntersectionOverUnion(Metric, abstract=True):
    """Base class of the means over some classes, by default all; classes in neither targets nor predictions are left
    out, and samples of other labels do not count."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int] | None,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name, dtype)
        self.num_classes, self.axis = check_int(num_classes, "num_classes"), check_axis(axis)
        reserve(self.num_classes, "num_classes", kept=True)
        ids = range(self.num_classes) if target_class_ids is None else target_class_ids
        self.target_class_ids = [int(k) for k in ids]
        if not all(0 <= k < self.num_classes for k in self.target_class_ids):
            raise ValueError(f"target_class_ids: expected classes below {num_classes}, got {list(ids)}")
        self.ignore_class, self.sparse_y_true, self.sparse_y_pred = ignore_class, sparse_y_true, sparse_y_pred
        # Made when it is needed: a file that asks for many classes gets no memory for them.
        self._table: Parameter | None = None

    @property
    def total_cm(self) -> Parameter:
        """Weights by true and predicted class, (num_classes, num_classes)."""
        if self._table is None:
            check_memory(8 * self.num_classes**2, f"{self.name}: a table of {self.num_classes} classes")
            self._table = self._sum("total_confusion_matrix", (self.num_classes,) * 2)
        return self._table

    @total_cm.setter
    def total_cm(self, table: Parameter) -> None:
        self._table = table

    @property
    def variables(self) -> list[Parameter]:
        """The table."""
        return [self.total_cm]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take more samples into account.

        Parameters
        ----------
        y_true, y_pred : array_like
            Labels, or arrays whose largest along ``axis`` is the class.
        sample_weight : array_like, optional
            A weight for each label, for each sample or for all; by default 1. Fractions count as they are (Keras cuts
            them off).
        """
        labels = self._labels(y_true, self.sparse_y_true, "y_true")
        predicted = self._labels(y_pred, self.sparse_y_pred, "y_pred").reshape(-1)
        if labels.size != predicted.size:
            raise ValueError(f"y_true: expected one label for each of {predicted.size} predicted, got {labels.size}")
        w = np.ones(()) if sample_weight is None else numbers(sample_weight, "sample_weight")
        if w.ndim and (not w.size or labels.size % w.size):
            raise ValueError(f"sample_weight: expected one for each of {labels.size} labels, got shape {w.shape}")
        w = np.repeat(w.reshape(-1), labels.size // max(w.size, 1))
        labels, n = labels.reshape(-1), self.num_classes
        counted = (labels >= 0) & (labels < n) & (predicted >= 0) & (predicted < n)
        if self.ignore_class is not None:
            counted &= labels != self.ignore_class
        cells = labels[counted] * n + predicted[counted]
        self.total_cm.assign_add(np.bincount(cells, w[counted], n * n).reshape(n, n))

    def _labels(self, y: Any, sparse: bool, name: str) -> Array:
        y = plain_array(y, name)
        labels: Array = (y if sparse else y.argmax(self.axis)).astype(np.int64)
        return labels

    def result(self) -> float:
        """The mean of all samples since the last reset; 0 if there are none."""
        table = self.total_cm.numpy()
        right = np.diag(table)
        union = table.sum(0) + table.sum(1) - right
        shares = [right[k] / union[k] for k in self.target_class_ids if union[k] > 0]
        return float(np.mean(shares)) if shares else 0.0


class IoU(IntersectionOverUnion):
    """Mean intersection over union of some classes.

    Parameters
    ----------
    num_classes : int
        Number of classes.
    target_class_ids : sequence of int
        The classes that count.
    ignore_class : int, optional
        A label whose samples do not count.
    sparse_y_true, sparse_y_pred : bool
        True if targets, or predictions, are labels; else the class is the largest along ``axis``.
    axis : int
        Axis of the classes of targets and predictions that are no labels, by default the last.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1]), 4)
    0.3333
    """

    name = "io_u"
    _arguments = ("num_classes", "target_class_ids", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")


class MeanIoU(IntersectionOverUnion):
    """Mean intersection over union of all classes.

    Parameters
    ----------
    num_classes, ignore_class, sparse_y_true, sparse_y_pred, axis
        See :class:`IoU`.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1]), 4)
    0.3333
    """

    name = "mean_io_u"
    _arguments = ("num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, None, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)


class BinaryIoU(IntersectionOverUnion):
    """Mean intersection over union of the classes 0 and 1, told apart by a threshold.

    Parameters
    ----------
    target_class_ids : sequence of int
        The classes that count: 0, 1 or both.
    threshold : float
        Predictions from it on are of class 1.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]), 4)
    0.3333
    """

    name = "binary_io_u"
    _arguments = ("target_class_ids", "threshold")

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = FINITE.check(threshold, "threshold")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take more samples into account; weights as for :class:`IoU`."""
        super().update_state(y_true, plain_array(y_pred, "y_pred") >= self.threshold, sample_weight)


class OneHotIoU(IntersectionOverUnion):
    """Mean intersection over union of some classes; targets are one-hot.

    Parameters
    ----------
    num_classes, target_class_ids, ignore_class, sparse_y_pred, axis
        See :class:`IoU`.

    Examples
    --------
    >>> import nbnet as nb
    >>> metric = nb.metrics.OneHotIoU(num_classes=2, target_class_ids=[0])
    >>> metric([[1, 0], [0, 1], [0, 1]], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    0.5
    """

    name = "one_hot_io_u"
    _arguments = ("num_classes", "target_class_ids", "ignore_class", "sparse_y_pred", "axis")

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


class OneHotMeanIoU(IntersectionOverUnion):
    """Mean intersection over union of all classes; targets are one-hot.

    Parameters
    ----------
    num_classes, ignore_class, sparse_y_pred, axis
        See :class:`IoU`.

    Examples
    --------
    >>> import nbnet as nb
    >>> metric = nb.metrics.OneHotMeanIoU(num_classes=2)
    >>> metric([[1, 0], [0, 1], [0, 1]], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    0.5
    """

    name = "one_hot_mean_io_u"
    _arguments = ("num_classes", "ignore_class", "sparse_y_pred", "axis")

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, None, name, dtype, ignore_class, False, sparse_y_pred, axis)
