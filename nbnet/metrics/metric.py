"""The base classes of metrics: a value for each sample, averaged over an epoch; or a score of a whole epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nbnet import data, initializers
from nbnet.base.array_memory import plain_array
from nbnet.base.constructor import RecordsArguments, constructor_config
from nbnet.base.docstrings import join_common_sections
from nbnet.base.registry import function_name, named_function, snake_case
from nbnet.config import floatx, standardize_dtype
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tape import paused
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.losses.loss import as_given

Array = NDArray[Any]
#: A metric of an epoch: a number, or a number for each class or threshold.
Score = float | Array

#: Entry that class creation adds to the docstring of each metric.
_LAST = """\
name : str, optional
    Name in logs and in :class:`nbnet.History`, by default the class's ``name``."""


class Metric(RecordsArguments):
    """A mean over samples; base class of all metrics.

    There are two ways to write a metric of your own: define :meth:`values`, which the compiled loop computes, or define
    ``update_state`` and ``result`` as in Keras, which are called at the end of each epoch.

    Parameters
    ----------
    name : str, optional
        Name in :class:`nbnet.History`; by default the name of the class in snake case.
    dtype : {"float32", "float64", None}
        Accepted as in Keras; values are computed in the dtype of predictions, and added up in float64.

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
    #: True if targets are class labels.
    sparse: bool = False
    #: True if :meth:`compute` takes the targets and predictions of a whole epoch, and there are no :meth:`values`.
    epoch_end: ClassVar[bool] = False
    #: Names of the constructor's arguments, beside the name, that are attributes.
    _arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        if dtype is not None:
            standardize_dtype(dtype)
        if name is not None or not hasattr(self, "name"):
            self.name = name or snake_case(type(self).__name__)
        self.variables: list[Parameter] = []
        self._total, self._count = 0.0, 0.0

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not abstract and not hasattr(cls, "name"):
            cls.name = snake_case(cls.__name__)
        if "update_state" in vars(cls) and "values" not in vars(cls):
            cls.epoch_end = True
        join_common_sections(cls, last=_LAST)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value for each sample: shape ``y_pred.shape[:-1]``."""
        raise NotImplementedError(f"{self.name} is not a mean over samples: {type(self).__name__} defines no values")

    def each(self, y_true: Any, y_pred: Any) -> Tensor:
        """:meth:`values` of arrays or tensors; a vector of predictions is one column."""
        y_pred = tensor(y_pred, name="y_pred")
        if y_pred.ndim == 1:
            y_pred = tensor(y_pred.numpy().reshape(-1, 1))
        return self.values(self._target(y_true, y_pred), y_pred)

    def finish(self, mean: float) -> float:
        """The metric from the mean of the values."""
        return mean

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Score:
        """The metric of a whole epoch: a float, or an array for metrics of many numbers.

        Parameters
        ----------
        y_true, y_pred : array_like, (n, ...)
            Targets and predictions.
        sample_weight : array_like, optional
            A weight for each sample, by default 1.
        """
        self.reset_state()
        self.update_state(y_true, y_pred, **({} if sample_weight is None else {"sample_weight": sample_weight}))
        score = np.asarray(self.result())
        return score if score.ndim else float(score)

    # ---- Keras's stateful interface ----

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take more samples into account.

        Parameters
        ----------
        y_true : array_like
            Targets (n, ...), or labels (n,).
        y_pred : array_like
            Predictions (n, ...); a vector is one column.
        sample_weight : array_like, optional
            A weight for each sample, for each value, or for all; by default 1.
        """
        with paused():
            values = self.each(y_true, y_pred).numpy()
        total, count = weighted(values, sample_weight, np.mean)
        self._total += total
        self._count += count

    def result(self) -> Score:
        """The metric of all samples since the last reset; 0 if there are none."""
        return self.finish(self._total / self._count if self._count else 0.0)

    def reset_state(self) -> None:
        """Forget all samples."""
        self._total = self._count = 0.0
        for variable in self.variables:
            variable.assign(np.zeros(variable.shape))

    def __call__(self, *args: Any, **kwargs: Any) -> Score:
        """Take more samples into account, and return the metric of all samples since the last reset."""
        self.update_state(*args, **kwargs)
        return self.result()

    def add_variable(
        self, shape: tuple[int, ...] = (), initializer: Any = "zeros", dtype: Any = None, name: str | None = None
    ) -> Parameter:
        """A variable that :meth:`reset_state` sets to 0: state for your own ``update_state`` and ``result``.

        Parameters
        ----------
        shape : tuple of int
            Shape of the variable.
        initializer : str or Initializer
            Initial values.
        dtype : dtype, optional
            float32, float64 or, also in place of integer dtypes, the default dtype: sums and counts are divided, so
            they need the same dtype. In float32, integers are exact up to 2**24.
        name : str, optional
            Name of the variable.
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
        """The arguments of the constructor."""
        own = {argument: getattr(self, argument) for argument in self._arguments}
        return constructor_config(self, {"name": self.name} | own)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The metric that :meth:`get_config` describes."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"

    def _target(self, y_true: Any, y_pred: Tensor) -> Tensor:
        y_true = as_given(y_true, self.sparse, y_pred)
        if isinstance(y_true, Tensor):
            return y_true
        array = self._targets(y_true, len(y_pred), y_pred.shape[1:], y_pred.dtype)
        return Tensor(array.shape, array.dtype, array) if self.sparse else tensor(array, y_pred.dtype)

    def _targets(self, y: Any, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Check targets for n predictions of a shape, and convert them."""
        if self.sparse:
            return data.as_labels(y, "y_true", n, shape[-1], shape[:-1])
        return data.as_dense_targets(y, "y_true", n, shape, dtype)


def weighted(values: Array, sample_weight: Any, within: Callable[..., Any]) -> tuple[float, float]:
    """The sum of weighted values (n, ...), and the sum of weights; ``within`` reduces the values of a sample to one."""
    values = _floats(values, "values")
    w = np.ones(values.shape[:1]) if sample_weight is None else _floats(sample_weight, "sample_weight")
    if w.ndim == values.ndim + 1 and w.shape[-1] == 1:
        w = w[..., 0]
    if 0 < w.ndim < values.ndim:
        values = within(values, axis=tuple(range(w.ndim, values.ndim)))
    w = np.broadcast_to(w, values.shape)
    inner = tuple(range(1, values.ndim))
    return float(np.sum(within(values * w, axis=inner))), float(np.sum(within(w, axis=inner)))


def _floats(value: Any, name: str) -> Array:
    return np.asarray(plain_array(value, name), np.float64)


class Reduction(Metric, abstract=True):
    """Base class of the metrics of plain numbers."""

    #: Reduces the numbers of a sample to one.
    _within: ClassVar[Callable[..., Any]]

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take more numbers into account.

        Parameters
        ----------
        values : array_like, (n, ...)
            Numbers; of several numbers of a sample, :class:`Mean` takes the mean, and :class:`Sum` the sum.
        sample_weight : array_like, optional
            A weight for each sample, for each number, or for all; by default 1.
        """
        total, count = weighted(values, sample_weight, self._within)
        self._total += total
        self._count += count


class Mean(Reduction):
    """The mean of the numbers it is given.

    Examples
    --------
    >>> import nbnet as nb
    >>> mean = nb.metrics.Mean()
    >>> mean.update_state([1.0, 3.0, 5.0], sample_weight=[1.0, 1.0, 0.0])
    >>> mean.update_state(8.0)
    >>> mean.result()
    4.0
    """

    _within = staticmethod(np.mean)


class Sum(Reduction):
    """The sum of the numbers it is given.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.Sum()([1.0, 3.0, 5.0], sample_weight=[1.0, 1.0, 0.0])
    4.0
    """

    _within = staticmethod(np.sum)

    def result(self) -> float:
        """The sum since the last reset."""
        return self._total


class MeanMetricWrapper(Metric):
    """The mean of a function of targets and predictions; made by ``metrics=[function]``.

    Parameters
    ----------
    fn : callable
        ``fn(y_true, y_pred, **kwargs)`` returns a tensor with a value for each sample, made by functions of
        ``nbnet.ops``.
    name : str, optional
        By default the function's name.
    **kwargs
        Arguments of the function.

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


class EpochMetric(Metric):
    """A metric of a whole epoch, whose targets and predictions are kept until :meth:`reset_state`.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> class LargestError(nb.metrics.EpochMetric):
    ...     def compute(self, y_true, y_pred, sample_weight=None):
    ...         return np.abs(y_true - y_pred).max()
    >>> metric = LargestError()
    >>> metric.update_state([1.0, 2.0], [1.0, 2.5])
    >>> metric.update_state([3.0], [3.25])
    >>> float(metric.result())
    0.5
    """

    epoch_end = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "Parameters\n" in (vars(cls).get("__doc__") or ""):
            join_common_sections(cls, raises="ValueError\n    If an argument is out of range.")
        super().__init_subclass__(**kwargs)

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._seen: list[tuple[Array, Array, Array]] = []

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Score:
        raise NotImplementedError(f"{type(self).__name__} defines no compute")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = np.array(plain_array(y_true, "y_true")), np.array(plain_array(y_pred, "y_pred"))
        w = np.array(1.0 if sample_weight is None else plain_array(sample_weight, "sample_weight"), np.float64)
        self._seen.append((y_true, y_pred, w if w.ndim else np.full(len(y_pred), w)))

    def result(self) -> Score:
        if not self._seen:
            return 0.0
        return self.compute(*(np.concatenate(parts) for parts in zip(*self._seen, strict=True)))

    def reset_state(self) -> None:
        self._seen = []


def pairs(y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple[Array, Array, Array]:
    """Targets and predictions of one shape (n, ...), and as many weights."""
    y_true, y_pred = _floats(y_true, "y_true"), _floats(y_pred, "y_pred")
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    if y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        y_pred = y_pred[..., 0]
    if y_true.shape != y_pred.shape:
        raise ValueError(f"y_true: expected the shape of the predictions, {y_pred.shape}, got {y_true.shape}")
    w = np.ones(()) if sample_weight is None else _floats(sample_weight, "sample_weight")
    if w.ndim == y_true.ndim + 1 and w.shape[-1] == 1:
        w = w[..., 0]
    w = w.reshape(*w.shape, *[1] * (y_true.ndim - w.ndim))
    return y_true, y_pred, np.broadcast_to(w, y_true.shape)
