"""What every metric is: a value for each sample, averaged over an epoch; or something of an epoch as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nbnet import data, initializers
from nbnet.config import floatx, standardize_dtype
from nbnet.core.graph import Tensor
from nbnet.core.parameter import Parameter
from nbnet.core.tape import paused, tensor
from nbnet.losses.loss import as_given
from nbnet.registry import snake_case

Array = NDArray[Any]


class Metric:
    """A mean over samples.

    There are two ways to write a metric of your own. Define :meth:`values`, and it is computed in the compiled loop; or
    define ``update_state`` and ``result`` as in Keras, and it is computed at the end of each epoch.

    Parameters
    ----------
    name
        Its name in :class:`nbnet.History`; by default that of the class, in snake case.
    dtype
        float32, float64 or None, as in Keras; values are computed in the dtype of predictions, and added up in float64.

    Examples
    --------
    >>> import nbnet as nb
    >>> class Bias(nb.metrics.Metric):
    ...     def values(self, y_true, y_pred):
    ...         return nb.ops.mean(y_pred - y_true, axis=-1)
    >>> metric = Bias()
    >>> metric.update_state([[0.0], [0.0]], [[1.0], [2.0]])
    >>> metric.update_state([[0.0]], [[6.0]])
    >>> metric.result()
    3.0
    """

    name: str
    #: Whether targets are class labels.
    sparse: bool = False
    #: Whether it takes the targets and predictions of a whole epoch: :meth:`compute`, and not :meth:`values`.
    epoch_end: ClassVar[bool] = False

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        if dtype is not None:
            standardize_dtype(dtype)
        if name is not None or not hasattr(self, "name"):
            self.name = name or snake_case(type(self).__name__)
        self.variables: list[Parameter] = []
        self._total, self._count = 0.0, 0.0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not hasattr(cls, "name"):
            cls.name = snake_case(cls.__name__)
        if "update_state" in vars(cls) and "values" not in vars(cls):
            cls.epoch_end = True

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value for each sample: shape ``y_pred.shape[:-1]``."""
        raise NotImplementedError(f"{self.name} is no mean over samples: {type(self).__name__} defines no values")

    def each(self, y_true: Any, y_pred: Any) -> Tensor:
        """:meth:`values` of arrays or tensors; a vector of predictions is one column."""
        y_pred = tensor(y_pred)
        if y_pred.ndim == 1:
            y_pred = tensor(y_pred.numpy().reshape(-1, 1))
        return self.values(self._target(y_true, y_pred), y_pred)

    def finish(self, mean: float) -> float:
        """The metric from the mean of the values."""
        return mean

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The metric of a whole epoch: a float, or an array for metrics that are many numbers.

        Parameters
        ----------
        y_true, y_pred
            Targets and predictions, arrays (n, ...).
        sample_weight
            One weight a sample, by default 1.
        """
        self.reset_state()
        self.update_state(y_true, y_pred, **({} if sample_weight is None else {"sample_weight": sample_weight}))
        found = np.asarray(self.result())
        return found if found.ndim else float(found)

    # ---- Keras's stateful interface ----

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take more samples into account.

        Parameters
        ----------
        y_true
            Targets (n, ...), or labels (n,).
        y_pred
            Predictions (n, ...); a vector is one column.
        sample_weight
            One weight a sample, one a value, or one for all; by default 1.
        """
        with paused():
            values = self.each(y_true, y_pred).numpy()
        total, count = weighted(values, sample_weight, np.mean)
        self._total += total
        self._count += count

    def result(self) -> Any:
        """The metric of all samples since the last reset; 0 of none."""
        return self.finish(self._total / self._count if self._count else 0.0)

    def reset_state(self) -> None:
        """Forget all samples."""
        self._total = self._count = 0.0
        for variable in self.variables:
            variable.assign(np.zeros(variable.shape))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take more samples into account: the metric of all since the last reset."""
        self.update_state(*args, **kwargs)
        return self.result()

    def add_variable(
        self, shape: tuple[int, ...] = (), initializer: Any = "zeros", dtype: Any = None, name: str | None = None
    ) -> Parameter:
        """A number or array that :meth:`reset_state` sets to 0: state for ``update_state`` and ``result`` of your own.

        Parameters
        ----------
        shape, name
            Of the variable.
        initializer
            Name or initializer.
        dtype
            float32, float64, or the framework's default, which stands for dtypes of whole numbers, too: what is
            divided by one another is of one dtype. In float32 whole numbers are exact up to 2**24.
        """
        if dtype is not None and np.dtype(dtype).kind in "iub":
            dtype = None
        value = initializers.get(initializer)(tuple(shape), dtype or floatx())
        variable = Parameter(value, trainable=False, name=name or "variable")
        self.variables.append(variable)
        return variable

    add_weight = add_variable

    # ---- configuration ----

    def get_config(self) -> dict[str, Any]:
        """What the constructor was given."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Made from what :meth:`get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"

    def _target(self, y_true: Any, y_pred: Tensor) -> Tensor:
        y_true = as_given(y_true, self.sparse, y_pred)
        if isinstance(y_true, Tensor):
            return y_true
        n, shape = y_pred.shape[0], y_pred.shape[1:]
        if self.sparse:
            array: Array = data.as_labels(y_true, "y_true", n, shape[-1])
            return Tensor(array.shape, array.dtype, array)
        return tensor(data.as_dense_targets(y_true, "y_true", n, shape, y_pred.dtype), y_pred.dtype)


def weighted(values: Array, sample_weight: Any, within: Callable[..., Any]) -> tuple[float, float]:
    """The sum of weighted values, and the sum of weights: what a mean is made of.

    Parameters
    ----------
    values
        (n, ...)
    sample_weight
        None, a number, or an array of as many axes as the values or fewer.
    within
        ``np.mean`` or ``np.sum``: what makes one number of the values of a sample.
    """
    values = np.asarray(values, np.float64)
    w: Array = np.ones(values.shape[:1]) if sample_weight is None else np.asarray(sample_weight, np.float64)
    if w.ndim == values.ndim + 1 and w.shape[-1] == 1:
        w = w[..., 0]
    if 0 < w.ndim < values.ndim:
        values = within(values, axis=tuple(range(w.ndim, values.ndim)))
    w = np.broadcast_to(w, values.shape)
    inner = tuple(range(1, values.ndim))
    return float(np.sum(within(values * w, axis=inner))), float(np.sum(within(w, axis=inner)))
