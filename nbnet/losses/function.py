"""A loss made of a function of targets and predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from nbnet.core.graph import Tensor
from nbnet.losses.loss import Loss
from nbnet.registry import function_name, named_function


class LossFunctionWrapper(Loss):
    """A loss that calls a function: what ``compile(loss=function)`` makes.

    Parameters
    ----------
    fn
        ``fn(y_true, y_pred, **kwargs)`` returns a tensor with one loss a sample, computed with functions of
        ``nbnet.ops``.
    reduction, name
        See :class:`Loss`; the name is by default the function's.
    **kwargs
        For the function.

    Examples
    --------
    >>> import nbnet as nb
    >>> def cubic(y_true, y_pred):
    ...     return nb.ops.mean(nb.ops.abs(y_true - y_pred) ** 3.0, axis=-1)
    >>> nb.losses.get(cubic)([[0.0]], [[2.0]]).item()
    8.0
    """

    name = "loss_function_wrapper"

    def __init__(
        self,
        fn: Callable[..., Tensor],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction)
        self.fn, self.kwargs = fn, kwargs

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.fn(y_true, y_pred, **self.kwargs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"fn": function_name(self.fn, "loss"), **self.kwargs}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**{**config, "fn": named_function(config.get("fn"), "loss")})
