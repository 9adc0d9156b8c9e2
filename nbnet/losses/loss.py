"""What every loss is: per-sample losses, weighted and averaged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from nbnet import data
from nbnet.config import standardize_dtype
from nbnet.core.graph import Tensor
from nbnet.core.op import INT, Op
from nbnet.core.tape import recorder, tensor, tensors
from nbnet.ops.multiply import multiply
from nbnet.ops.weighted_mean import weighted_mean
from nbnet.ops.weighted_sum import weighted_sum
from nbnet.registry import snake_case

Array = NDArray[Any]

#: How losses of samples become the loss of a batch: see :class:`Loss`.
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)
#: For tensors of losses of which not all count: 1 for those that do, else 0.
_masks: WeakKeyDictionary[Tensor, Tensor] = WeakKeyDictionary()


class Loss:
    """A loss: ``loss(y_true, y_pred, sample_weight=None)`` is the mean over the batch of weighted per-sample losses.

    For a loss of your own, subclass and write ``call(y_true, y_pred)`` with functions of ``nbnet.ops``.

    Parameters
    ----------
    name
        By default that of the class, in snake case.
    reduction : {"sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None}
        What becomes of the weighted losses of samples. The first two, which are the same, divide their sum by the
        number of losses, not by the sum of weights, as in Keras 3; "mean_with_sample_weight" divides by the sum of
        weights; "none" and None leave one loss a sample, which is not something to train with.
    dtype
        float32, float64 or None, as in Keras; losses are computed in the dtype of predictions.

    Raises
    ------
    ValueError
        If reduction is none of these.

    Examples
    --------
    >>> import nbnet as nb
    >>> class Cubic(nb.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return nb.ops.mean(nb.ops.abs(y_true - y_pred) ** 3.0, axis=-1)
    >>> Cubic(reduction="sum")([[0.0], [1.0]], [[2.0], [3.0]]).item()
    16.0
    """

    #: Name in the registry, in snake case.
    name: str
    #: Whether targets are class labels (integers) and not arrays shaped like the predictions.
    sparse: ClassVar[bool] = False
    reduction: str | None = "sum_over_batch_size"

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        if dtype is not None:
            standardize_dtype(dtype)
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction: wants one of {', '.join(map(repr, REDUCTIONS))}, got {reduction!r}")
        self.reduction = reduction
        if name is not None or not hasattr(self, "name"):
            self.name = name or snake_case(type(self).__name__)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not hasattr(cls, "name"):
            cls.name = snake_case(cls.__name__)

    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One loss for each sample: shape ``y_pred.shape[:-1]``."""
        found = self.call(y_true, y_pred)
        if not isinstance(found, Tensor):
            raise TypeError(f"{self.name}: wants a tensor from call(y_true, y_pred), got {type(found).__name__}")
        if not found.shape and y_pred.shape:  # a mean over the batch is the loss of each of its samples
            found = multiply(found, np.ones(y_pred.shape[:1], y_pred.dtype))
        if found.shape[:1] != y_pred.shape[:1]:
            raise ValueError(
                f"{self.name}: wants a loss for each of {y_pred.shape[0]} samples, got a tensor of shape {found.shape}"
            )
        return found

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One loss for each sample; for subclasses to define."""
        raise NotImplementedError(f"{type(self).__name__} defines no call(y_true, y_pred)")

    def targets(self, y: Any, name: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Check targets for predictions of ``shape`` (without the batch axis) and bring them to the form this loss
        reads."""
        if self.sparse:
            if len(shape) != 1:
                sizes = ", ".join(map(str, ("n", *shape)))
                raise ValueError(f"{name}: {self.name} wants predictions (n, classes), the model's are ({sizes})")
            return data.as_labels(y, name, n, shape[-1])
        if type(self).losses is Loss.losses:  # call is the user's: he may want targets of another shape
            shape = np.shape(y)[1:] or (1,)
        return data.as_dense_targets(y, name, n, shape, dtype)

    def each(self, y_true: Any, y_pred: Any) -> Tensor:
        """The losses of samples, not weighted and not averaged.

        Parameters
        ----------
        y_true, y_pred
            As for a call. A vector of predictions is one sample, as in Keras.
        """
        y_pred = tensor(y_pred)
        y_true = as_given(y_true, self.sparse, y_pred)
        if not isinstance(y_true, Tensor):
            if y_pred.ndim == 1 and not self.sparse:
                row = np.asarray(y_true)[None]
                array = self.targets(row, "y_true", 1, y_pred.shape, y_pred.dtype)[0]
            else:
                array = self.targets(y_true, "y_true", len(y_pred), y_pred.shape[1:], y_pred.dtype)
            y_true = Tensor(array.shape, array.dtype, array) if self.sparse else tensor(array, y_pred.dtype)
        return self.losses(y_true, y_pred)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch: a scalar tensor, unless the reduction is none.

        Parameters
        ----------
        y_true
            Targets: an array, or a tensor.
        y_pred
            Predictions: a tensor (gradients flow to it) or an array.
        sample_weight
            One weight a sample, or one a loss, by default 1.
        """
        per_sample = self.each(y_true, y_pred)
        shape, dtype = per_sample.shape, per_sample.dtype
        if isinstance(sample_weight, Tensor):
            weights = sample_weight
        elif sample_weight is None:
            weights = tensor(np.ones(shape, dtype))
        else:
            weights = tensor(_spread(sample_weight, shape, dtype))
        return self.reduce(per_sample, weights, max(per_sample.size, 1))

    def reduce(self, per_sample: Tensor, weights: Tensor, count: int) -> Tensor:
        """The loss of a batch from the losses of its samples.

        Parameters
        ----------
        per_sample, weights
            A loss and a weight for each sample of a slice of the batch.
        count
            Number of losses in the whole batch. The values of its slices add up to the loss of the batch; where that
            takes sums over the whole batch, the op says so (``Op.whole_batch``).
        """
        mask = _masks.get(per_sample)
        if self.reduction in ("none", None):
            active = recorder()
            if active is not None and active.deferred:
                raise ValueError(
                    f"{self.name}: training wants one number a batch, and reduction={self.reduction!r} leaves one a "
                    "sample; take 'sum_over_batch_size'"
                )
            return multiply(per_sample, weights)
        if self.reduction == "mean_with_sample_weight":
            weights = weights if mask is None else multiply(weights, mask)
            return weighted_mean(per_sample, weights, weights)
        if self.reduction != "sum" and mask is not None:
            return weighted_mean(per_sample, weights, mask)
        scale = 1.0 if self.reduction == "sum" else 1.0 / count
        return weighted_sum(per_sample, weights, tensors(per_sample, scale)[1])

    def get_config(self) -> dict[str, Any]:
        """What the constructor was given."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Made from what :meth:`get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        usual = {"name": type(self).name, "reduction": Loss.reduction}
        config = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items() if k not in usual or usual[k] != v)
        return f"{type(self).__name__}({config})"


def _spread(sample_weight: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A weight for each loss from one for each sample, for each loss, or for all."""
    given = np.asarray(sample_weight)
    if given.ndim == 0:
        given = np.full(shape[:1], given)
    if given.shape == shape and len(shape) > 1:
        return data.as_weights(given.reshape(-1), "sample_weight", given.size, dtype).reshape(shape)
    n = shape[0] if shape else 1
    column = data.as_weights(given.reshape(1) if not shape else given, "sample_weight", n, dtype)
    return np.ascontiguousarray(np.broadcast_to(column.reshape(n, *[1] * (len(shape) - 1)), (n, *shape[1:]))).reshape(
        shape
    )


def as_given(y_true: Any, sparse: bool, y_pred: Tensor) -> Any:
    """Targets as they are; of a tensor with a value that a loss or metric does not read as it is, the array, for them
    to convert."""
    if not isinstance(y_true, Tensor) or y_true.data is None or y_true.requires_grad:
        return y_true
    flat = y_true.ndim == y_pred.ndim - 1
    # One column of predictions: a vector of targets is one, too.
    reads = flat if sparse else not (flat and y_pred.shape[-1] == 1)
    return y_true if reads and (y_true.dtype == INT) == sparse else y_true.numpy()


def mask_losses(per_sample: Tensor, mask: Tensor) -> Tensor:
    """Note which losses of samples count: the mask is 1 for these and 0 for the others."""
    _masks[per_sample] = mask
    return per_sample


def logits_before(y_pred: Tensor, op: Op) -> Tensor | None:
    """The logits that ``op``, a softmax or sigmoid, made ``y_pred`` of; None if something else made it."""
    node = y_pred.node
    return node.inputs[0] if node is not None and node.op is op else None


def labels(y: Tensor) -> Tensor:
    """Check that a tensor holds class labels."""
    if y.dtype != INT:
        raise TypeError(f"y_true: class labels are int64, got {y.dtype}")
    return y


def check_axis(axis: int) -> int:
    """The axis of features: kernels work on rows, so it is the last one."""
    if axis != -1:
        raise ValueError(f"axis: only the last axis, -1, is offered, got {axis!r}")
    return axis
