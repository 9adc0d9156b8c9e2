"""Means and sums: of numbers, of a loss, of a function of targets and predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from nbnet import losses
from nbnet.core.graph import Tensor
from nbnet.core.tape import tensor
from nbnet.losses.loss import Loss, as_given
from nbnet.metrics.metric import Metric, weighted
from nbnet.registry import function_name, named_function


class Mean(Metric):
    """The mean of the numbers it is given.

    Parameters
    ----------
    name
        See :class:`Metric`.

    Examples
    --------
    >>> import nbnet as nb
    >>> mean = nb.metrics.Mean()
    >>> mean.update_state([1.0, 3.0, 5.0], sample_weight=[1.0, 1.0, 0.0])
    >>> mean.update_state(8.0)
    >>> mean.result()
    4.0
    """

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take more numbers into account.

        Parameters
        ----------
        values
            (n, ...); of several numbers in a sample the mean counts.
        sample_weight
            One weight a sample, one a number, or one for all; by default 1.
        """
        total, count = weighted(values, sample_weight, np.mean)
        self._total += total
        self._count += count


class Sum(Metric):
    """The sum of the numbers it is given.

    Parameters
    ----------
    name
        See :class:`Metric`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.Sum()([1.0, 3.0, 5.0], sample_weight=[1.0, 1.0, 0.0])
    4.0
    """

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take more numbers into account.

        Parameters
        ----------
        values
            Numbers of any shape.
        sample_weight
            One weight a sample, one a number, or one for all; by default 1.
        """
        self._total += weighted(values, sample_weight, np.sum)[0]

    def result(self) -> Any:
        """The sum since the last reset."""
        return self._total


class MeanLoss(Metric):
    """A loss, watched and not minimised.

    Parameters
    ----------
    loss
        What to watch.
    name
        By default the loss's.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.MeanLoss(nb.losses.MeanSquaredError())([[0.0]], [[2.0]])
    4.0
    """

    def __init__(self, loss: Loss, name: str | None = None) -> None:
        super().__init__(name or loss.name)
        self.loss = loss
        self.sparse = loss.sparse

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.loss.losses(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"loss": losses.serialize(self.loss)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        given = {"loss": losses.get(config["loss"])} if "loss" in config else {}
        return cls(**{**config, **given})

    def _target(self, y_true: Any, y_pred: Tensor) -> Tensor:
        y_true = as_given(y_true, self.sparse, y_pred)
        if isinstance(y_true, Tensor):
            return y_true
        array = self.loss.targets(y_true, "y_true", y_pred.shape[0], y_pred.shape[1:], y_pred.dtype)
        return Tensor(array.shape, array.dtype, array) if self.sparse else tensor(array, y_pred.dtype)


class NamedLoss(MeanLoss):
    """Base of the losses that are metrics of their own, and take nothing but a name."""

    kind: ClassVar[type[Loss]]

    def __init__(self, name: str | None = None) -> None:
        super().__init__(self.kind(), name or type(self).name)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


class MeanMetricWrapper(Metric):
    """The mean of a function of targets and predictions: what ``metrics=[function]`` makes.

    Parameters
    ----------
    fn
        ``fn(y_true, y_pred, **kwargs)`` returns a tensor with one value a sample, computed with functions of
        ``nbnet.ops``.
    name
        By default the function's.
    **kwargs
        For the function.

    Examples
    --------
    >>> import nbnet as nb
    >>> def bias(y_true, y_pred):
    ...     return nb.ops.mean(y_pred - y_true, axis=-1)
    >>> nb.metrics.MeanMetricWrapper(bias)([[0.0], [0.0]], [[1.0], [2.0]])
    1.5
    """

    def __init__(self, fn: Callable[..., Tensor], name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name or getattr(fn, "__name__", None))
        self.fn, self.kwargs = fn, kwargs

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.fn(y_true, y_pred, **self.kwargs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"fn": function_name(self.fn, "metrics"), **self.kwargs}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**{**config, "fn": named_function(config.get("fn"), "metrics")})
