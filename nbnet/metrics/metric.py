"""The base classes of metrics: a value for each sample, averaged over an epoch, of a function or a loss too; or state
that batches are added to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ClassVar, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from nbnet import data, initializers, losses
from nbnet.base.array_memory import plain_array
from nbnet.base.constructor import RecordsArguments, constructor_config
from nbnet.base.docstrings import join_common_sections
from nbnet.base.registry import function_name, named_function, object_name, snake_case
from nbnet.base.tree import Kinds, flatten
from nbnet.config import floatx
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.symbolic import with_values
from nbnet.engine.graph.tape import paused
from nbnet.engine.graph.tensor import Tensor, changes, recorder, tensor
from nbnet.losses.loss import Loss, aligned, as_given, dtype_name, loss_mask, of_same_rank
from nbnet.losses.weighting import by_sample, meet, numbers
from nbnet.ops import convert
from nbnet.ops.reshape import reshape

Array = NDArray[Any]
S = TypeVar("S")
#: A metric of an epoch: a number, or a number for each class or threshold.
Score = float | Array

#: Entry that class creation adds to the docstring of each metric.
_LAST = """\
name : str, optional
    Name in logs and in :class:`nbnet.History`, by default the class's ``name``.
dtype : str or numpy.dtype, optional
    Accepted as in Keras, narrow ones as well; values are computed in the dtype of predictions, and added up in
    float64."""
#: Methods with which Keras writes a metric. What overrides them is called, and not traced.
_STATEFUL = ("update_state", "result", "reset_state", "compute", "__call__")


def _outside_traces(update: Callable[..., None]) -> Callable[..., None]:
    """Update a metric with values, not with tensors whose values a model will compute: an attribute of a model, or of a
    layer, that is updated in a call."""

    @wraps(update)
    def update_state(self: Metric, *args: Any, **kwargs: Any) -> None:
        active = recorder()
        if active is None or not active.deferred or active.changes is not None:
            update(self, *args, **kwargs)
        elif active.trains:
            raise ValueError(
                f"{self.name}: a metric that is updated in a call must be an attribute of a layer or model"
            )

    return update_state


def _after_program(result: Callable[[Any], S]) -> Callable[[Any], S]:
    """Compute a result when the program has run that is being built."""

    @wraps(result)
    def late(self: Metric) -> S:
        program = changes()
        return result(self) if program is None else cast(S, program.late(lambda: result(self)))

    return late


class Metric(RecordsArguments):
    """A mean over samples; base class of all metrics.

    There are two ways to write a metric of your own: define :meth:`values`, which the compiled loop computes, or define
    ``update_state`` and ``result`` as in Keras, which are called at the end of each epoch.

    Parameters
    ----------
    name : str, optional
        Name in :class:`nbnet.History`; by default the name of the class in snake case.
    dtype : str or numpy.dtype, optional
        Accepted as in Keras, narrow ones as well; values are computed in the dtype of predictions, and added up in
        float64.

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
    #: True if targets are class labels, False if they are arrays shaped like predictions, None if they may be either:
    #: those that the loss reads.
    sparse: bool | None = None
    #: True if targets and predictions broadcast.
    broadcasts: bool = False
    #: True if the metric is computed at the end of an epoch, from all its targets and predictions, and not by compiled
    #: code: there are no :meth:`values`, or a subclass overrides what is done with them.
    epoch_end: ClassVar[bool] = False
    #: False if masked time steps of the predictions count as the others.
    heeds_masks: ClassVar[bool] = True
    #: Names of the constructor's arguments, beside the name, that are attributes.
    _arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        self._dtype = dtype_name(dtype)
        if name is not None or not hasattr(self, "name"):
            self.name = name or snake_case(type(self).__name__)
        self._variables: list[Parameter] = []
        if type(self).values is not Metric.values:
            self.total, self.count = self._sum("total"), self._sum("count")

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not abstract and not hasattr(cls, "name"):
            cls.name = snake_case(cls.__name__)
        own = [name for name in (*_STATEFUL, "values") if name in vars(cls)]
        if own == ["values"]:
            cls.epoch_end = False
        elif own:
            cls.epoch_end = True
        if "update_state" in vars(cls):
            cls.update_state = _outside_traces(cls.update_state)  # type: ignore[method-assign]
        if "result" in vars(cls) and cls.__module__.startswith("nbnet.metrics."):
            cls.result = _after_program(cls.result)  # type: ignore[method-assign]
        join_common_sections(cls, last=_LAST)

    @property
    def dtype(self) -> str:
        """Name of the dtype that the metric was made with, by default the framework's."""
        return self._dtype

    @property
    def variables(self) -> list[Parameter]:
        """The state: what :meth:`add_variable` made, variables that are attributes, and those of inner metrics."""
        found = list(self._variables)
        for value in vars(self).values():
            for part in flatten(value) if isinstance(value, (list, tuple, dict)) else (value,):
                inner = part.variables if isinstance(part, Metric) else [part] if isinstance(part, Parameter) else []
                found += [variable for variable in inner if not any(variable is known for known in found)]
        return found

    @property
    def _real(self) -> type[np.floating[Any]]:
        """The dtype that predictions are compared in: that of Keras's numbers."""
        return np.float64 if self._dtype == "float64" else np.float32

    @property
    def by_batch(self) -> bool:
        """True if the user wrote a method of the state: ``update_state`` is then called for each batch."""
        own = type(self)
        stateful = own.update_state, own.result, own.reset_state
        return own.compute is Metric.compute and not all(m.__module__.startswith("nbnet.") for m in stateful)

    def _sum(self, name: str, shape: Sequence[int] = ()) -> Parameter:
        """A sum of state, in float64."""
        return self.add_variable(tuple(shape), dtype=np.float64, name=name)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value for each sample: shape ``y_pred.shape[:-1]``."""
        raise NotImplementedError(f"{self.name} is not a mean over samples: {type(self).__name__} defines no values")

    def each(self, y_true: Any, y_pred: Any, weights: Any = None) -> Tensor:
        """:meth:`values` of arrays or tensors. A vector of predictions is one sample, as in Keras; beside a column of
        targets, or as many weights, it is a column."""
        y_pred = tensor(y_pred, name="y_pred")
        if y_pred.dtype.kind != "f":
            y_pred = convert.cast(y_pred, floatx())
        if y_pred.ndim == 1 and np.ndim(weights) and np.size(weights) > 1:
            y_pred = reshape(y_pred, (-1, 1))
        if not self.sparse:
            y_true, y_pred = of_same_rank(y_true, y_pred)
        y_true = self._target(y_true, y_pred)
        return tensor(self.values(*aligned(y_true, y_pred) if self.broadcasts else (y_true, y_pred)))

    def mask_of(self, y_pred: Any) -> Tensor | None:
        """The mask of time steps of predictions, if it counts."""
        return y_pred.time_mask if self.heeds_masks and isinstance(y_pred, Tensor) else None

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

    @_outside_traces
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take more samples into account.

        Parameters
        ----------
        y_true : array_like
            Targets (n, ...), or labels (n,).
        y_pred : array_like
            Predictions (n, ...); a vector is one sample, or with a weight for each number a column.
        sample_weight : array_like, optional
            A weight for each sample, for each value, or for all; by default 1.
        """
        if (program := changes()) is not None:
            program.update_mean(self, self.each(y_true, y_pred, sample_weight), sample_weight)
            return
        with paused():
            values = self.each(y_true, y_pred, sample_weight)
            steps = self.mask_of(y_pred)
            mask = None if steps is None and sample_weight is None else loss_mask(values, steps)
        if mask is not None:
            weights = mask.numpy()
            if sample_weight is not None:
                given = numbers(sample_weight, "sample_weight")
                weights = weights * given.reshape(meet(values.shape, given.shape)[1])
            sample_weight = weights
        self._add(values.numpy(), sample_weight)

    def _add(self, values: Array, sample_weight: Any, within: Callable[..., Any] = np.mean) -> None:
        values, weights = by_sample(np.asarray(values, np.float64), sample_weight, within)
        self.total.assign_add(np.sum(values))
        self.count.assign_add(float(len(values) if values.ndim else 1) if weights is None else np.sum(weights))

    def cell(self) -> Array:
        """The memory of ``total`` and ``count``, if there is one, side by side, for programs that add to both."""
        parts = [self.total, *([self.count] if hasattr(self, "count") else [])]
        kept = parts[0].memory().base
        if kept is None or any(part.memory().base is not kept for part in parts):
            kept = np.zeros(2)
            for k, part in enumerate(parts):
                kept[k] = part.memory()
                part.data = kept[k : k + 1].reshape(())
        return kept

    @_after_program
    def result(self) -> Score:
        """The metric of all samples since the last reset; 0 if there are none."""
        total, count = self.total.item(), self.count.item()
        return self.finish(total / count if count else 0.0)

    def reset_state(self) -> None:
        """Forget all samples."""
        for variable in self.variables:
            variable.assign(np.zeros(variable.shape))

    def stateless_update_state(self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any) -> list[Array]:
        """Return what :meth:`variables` would hold after an update that begins with ``metric_variables``."""
        return self._stateless(metric_variables, lambda: self.update_state(*args, **kwargs))[0]

    def stateless_result(self, metric_variables: Sequence[Any]) -> Score:
        """Return the metric that the values ``metric_variables`` stand for."""
        score: Score = self._stateless(metric_variables, self.result)[1]
        return score

    def stateless_reset_state(self) -> list[Array]:
        """Return what :meth:`variables` would hold after a reset."""
        return self._stateless([v.numpy() for v in self.variables], self.reset_state)[0]

    def _stateless(self, values: Sequence[Any], action: Callable[[], Any]) -> tuple[list[Array], Any]:
        """The values of the variables after an action that begins with others, and what it returns."""
        variables, before = self.variables, [np.array(v.numpy()) for v in self.variables]
        if len(values) != len(variables):
            raise ValueError(f"metric_variables: expected {len(variables)} values, got {len(values)}")
        try:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            returned = action()
            return [np.array(v.numpy()) for v in variables], returned
        finally:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)

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
        initializer : str, Initializer or array_like
            Initial values.
        dtype : dtype, optional
            float32, float64 or, also in place of integer dtypes, the default dtype: sums and counts are divided, so
            they need the same dtype. In float32, integers are exact up to 2**24.
        name : str, optional
            Name of the variable.
        """
        if dtype is not None and np.dtype(dtype).kind in "iub":
            dtype = None
        if isinstance(initializer, (Tensor, np.ndarray, list, tuple, int, float)):
            value = np.broadcast_to(numbers(initializer, "initializer"), tuple(shape) or np.shape(initializer))
            # Whole numbers stay what they are.
            value = value.astype(dtype or (floatx() if (value == np.float32(value)).all() else np.float64))
        else:
            value = initializers.get(initializer)(tuple(shape), dtype or floatx())
        variable = Parameter(value, trainable=False, name=name or "variable")
        self._variables.append(variable)
        return variable

    add_weight = add_variable

    # ---- configuration ----

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        own = {argument: getattr(self, argument) for argument in self._arguments}
        return constructor_config(self, {"name": self.name, "dtype": self.dtype} | own)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The metric that :meth:`get_config` describes."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"

    def _target(self, y_true: Any, y_pred: Tensor) -> Tensor:
        if self.sparse is None:
            return _as_they_are(y_true, y_pred)
        y_true = as_given(y_true, self.sparse, y_pred)
        if isinstance(y_true, Tensor):
            return y_true if self.sparse else convert.cast(y_true, y_pred.dtype)
        array = self._targets(y_true, len(y_pred), y_pred.shape[1:], y_pred.dtype)
        return Tensor(array.shape, array.dtype, array) if self.sparse else tensor(array, y_pred.dtype)

    def _targets(self, y: Any, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Check targets for n predictions of a shape, and convert them."""
        if self.sparse:
            return data.as_labels(y, "y_true", n, shape[-1], shape[:-1])
        return data.as_dense_targets(y, "y_true", n, shape, dtype, self.broadcasts)


_metrics_in = Kinds(Metric)


def metrics_in(owner: object) -> list[Metric]:
    """Metrics that are attributes of an object, or stand in lists and dicts that are; in those of nbnet's own classes
    there are none."""
    if type(owner).__module__.startswith("nbnet."):
        return [value for value in vars(owner).values() if isinstance(value, Metric)]
    return list({id(metric): metric for metric in _metrics_in.among(vars(owner).values())}.values())


def _as_they_are(y_true: Any, y_pred: Tensor) -> Tensor:
    """Targets of any shape: labels if they are integers beside several columns of predictions, else real numbers."""
    if isinstance(y_true, Tensor):
        return y_true
    array = plain_array(y_true, "y_true")
    column = array.ndim == 1 or array.shape[1:] == (1,)
    if array.dtype.kind in "iu" and column and y_pred.shape[-1] > 1:
        labels = np.ascontiguousarray(array.reshape(-1), np.int64)
        return Tensor(labels.shape, labels.dtype, labels)
    return tensor(array.reshape(-1, 1) if array.ndim == 1 and y_pred.ndim == 2 else array, y_pred.dtype)


class Reduction(Metric, abstract=True):
    """Base class of the metrics of plain numbers."""

    #: Reduces the numbers of a sample to one.
    _within: ClassVar[Callable[..., Any]]

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.total = self._sum("total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take more numbers into account.

        Parameters
        ----------
        values : array_like, (n, ...)
            Numbers; of several numbers of a sample, :class:`Mean` takes the mean, and :class:`Sum` the sum.
        sample_weight : array_like, optional
            A weight for each sample, for each number, or for all; by default 1.
        """
        if (program := changes()) is not None:
            program.update_mean(self, tensor(values), sample_weight)
            return
        if isinstance(values, Tensor):
            values = values.numpy()
        self._add(numbers(values, "values"), sample_weight, self._within)


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

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.count = self._sum("count")


class Sum(Reduction):
    """The sum of the numbers it is given.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.Sum()([1.0, 3.0, 5.0], sample_weight=[1.0, 1.0, 0.0])
    4.0
    """

    _within = staticmethod(np.sum)

    def _add(self, values: Array, sample_weight: Any, within: Callable[..., Any] = np.sum) -> None:
        self.total.assign_add(np.sum(by_sample(values, sample_weight, within)[0]))

    def result(self) -> float:
        """The sum since the last reset."""
        total: float = self.total.item()
        return total


class MeanMetricWrapper(Metric):
    """The mean of a function of targets and predictions; made by ``metrics=[function]``.

    Parameters
    ----------
    fn : callable
        ``fn(y_true, y_pred, **kwargs)`` returns a tensor with a value for each sample, made by functions of
        ``nbnet.ops``.
    name : str, optional
        By default the function's name, or that of its class, in snake case.
    dtype : str or numpy.dtype, optional
        As for :class:`Metric`.
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

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name or object_name(fn), dtype)
        self.fn, self.kwargs = fn, kwargs

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        value: Tensor = tensor(with_values(self.fn(y_true, y_pred, **self.kwargs)), name="metrics")
        return value

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"fn": function_name(self.fn, "metrics"), **self.kwargs}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**{**config, "fn": named_function(config.get("fn"), "metrics")})


class LossMetric(Metric, abstract=True):
    """Base class of the means of a loss."""

    def __init__(self, loss: Loss, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.loss, self.sparse, self.broadcasts = loss, loss.sparse, loss.broadcasts

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if y_pred.ndim == 1 and y_pred.data is not None:
            return self.loss.call(y_true, y_pred)
        return self.loss.losses(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        own = {argument: getattr(self.loss, argument) for argument in self._arguments}
        return constructor_config(self, {"name": self.name, "dtype": self.dtype} | own)

    def _targets(self, y: Any, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        return self.loss.targets(y, "y_true", n, shape, dtype)


class MeanLoss(LossMetric):
    """A loss, watched and not minimised.

    Parameters
    ----------
    loss : Loss
        The loss.
    name : str, optional
        By default the loss's name.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.MeanLoss(nb.losses.MeanSquaredError())([[0.0]], [[2.0]])
    4.0
    """

    def __init__(self, loss: Loss, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(loss, name or loss.name, dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"loss": losses.serialize(self.loss)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        given = {"loss": losses.as_loss(config["loss"])} if "loss" in config else {}
        return cls(**{**config, **given})


class NamedLoss(LossMetric, abstract=True):
    """Base class of the losses that are metrics of their own, without arguments."""

    kind: ClassVar[type[Loss]]

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(self.kind(), name, dtype)


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

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name, dtype)
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
