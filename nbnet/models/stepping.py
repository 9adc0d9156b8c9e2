"""Loops in Python over the steps of a model: see :class:`nbnet.models.steps.Steps`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbnet.core.graph import Tensor
from nbnet.core.op import INT
from nbnet.core.structure import flatten, map_structure
from nbnet.core.tape import paused, tensor
from nbnet.data import SparseRows
from nbnet.models.intake import Rows, packed
from nbnet.models.orders import Orders
from nbnet.models.prediction import joined

if TYPE_CHECKING:
    from nbnet.callbacks.callback import CallbackList
    from nbnet.models.learner import Learner
    from nbnet.progress import Progress

Array = NDArray[Any]


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Inputs, targets and weights of a batch: what ``train_step`` is given, taken apart; what is lacking is None.

    Examples
    --------
    >>> from nbnet.models.stepping import unpack_x_y_sample_weight
    >>> unpack_x_y_sample_weight(([1.0], [2.0]))
    ([1.0], [2.0], None)
    """
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"data: wants (x,), (x, y) or (x, y, sample_weight), got {len(data)} parts")
    x, y, w = (*data, None, None)[:3]
    return x, y, w


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """What ``train_step`` is given.

    Examples
    --------
    >>> from nbnet.models.stepping import pack_x_y_sample_weight
    >>> pack_x_y_sample_weight([1.0], [2.0])
    ([1.0], [2.0])
    """
    if y is None and sample_weight is None:
        return (x,) if isinstance(x, (tuple, list)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


class Batches:
    """Batches of arrays as steps take them.

    Parameters
    ----------
    x, y, w
        Structures of arrays; None where there are none.
    dtype
        Of the tensors; integers of targets stay integers.
    """

    def __init__(self, x: Any, y: Any, w: Any, dtype: np.dtype[Any]) -> None:
        self.x, self.y, self.w, self.dtype = x, y, w, dtype
        self.n = len(next(flatten(x)))

    def take(self, rows: Any) -> Any:
        """Some rows, as ``train_step`` wants them."""

        def part(array: Array) -> Tensor:
            chosen = array.dense(rows) if isinstance(array, SparseRows) else np.ascontiguousarray(array[rows])
            return Tensor(chosen.shape, INT, chosen) if chosen.dtype == INT else tensor(chosen, self.dtype)

        x, y, w = (
            None if s is None else map_structure(lambda a: None if a is None else part(a), s)
            for s in (self.x, self.y, self.w)
        )
        return pack_x_y_sample_weight(x, y, w)


def batches_of(model: Learner, rows: Rows) -> Batches:
    """Rows as the steps of a model take them, in the structures the user gave."""
    y, w = (
        packed(template, parts) if any(part is not None for part in parts) else None
        for template, parts in ((rows.targets, rows.y), (rows.weights, rows.w))
    )
    return Batches(packed(model.inputs_known.template, rows.x), y, w, model.compute_dtype)


class StepEpochs:
    """Epochs of steps in Python on the same arrays; see :class:`nbnet.models.loop.Epochs`."""

    def __init__(
        self,
        model: Learner,
        given: Batches,
        size: int,
        orders: Orders,
        calls: CallbackList,
        bar: Progress | None,
    ) -> None:
        self.model, self.given, self.size, self.calls, self.bar = model, given, size, calls, bar
        self._orders = orders

    def run(self, epoch: int) -> dict[str, Any]:
        """Train for an epoch; returns the logs of its last step, for metrics go on from batch to batch."""
        model, span, position = self.model, self._orders.epoch(epoch), self._orders.position
        order = self._orders.order[span]
        model.reset_metrics()
        logs: dict[str, Any] = {}
        for number, start in enumerate(range(0, len(order), self.size), position.batch):
            self.calls.call("on_train_batch_begin", number, None)
            logs = numbers(model.train_step(self.given.take(order[start : start + self.size])))
            position.batch = number + 1
            if self.bar is not None:
                self.bar.update(number + 1, logs)
            self.calls.call("on_train_batch_end", number, logs)
            if model.stop_training:
                break
        return logs


def step_predictions(model: Learner, given: Batches, size: int) -> Any:
    """Outputs by ``predict_step``, joined."""
    with paused():
        parts = [model.predict_step(given.take(slice(start, start + size))) for start in range(0, given.n, size)]
    return joined(parts)


def numbers(logs: Any) -> dict[str, Any]:
    """Logs as numbers (or arrays of them), dicts in them joined to them."""
    if not isinstance(logs, Mapping):
        raise TypeError(f"train_step and test_step return a dict of numbers, got {type(logs).__name__}")
    found: dict[str, Any] = {}
    for name, value in logs.items():
        if isinstance(value, Mapping):
            found |= numbers(value)
        else:
            array = np.asarray(value)
            found[name] = array if array.ndim else float(array)
    return found
