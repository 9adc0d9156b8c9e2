"""The base class of losses: per-sample losses, weighted and averaged; and the ops that compute them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nbnet import data
from nbnet.base.array_memory import plain_array
from nbnet.base.constructor import RecordsArguments, constructor_config
from nbnet.base.docstrings import join_common_sections
from nbnet.base.registry import function_name, named_function, object_name, snake_case
from nbnet.base.validation import Interval, check_choice, check_int
from nbnet.config import standardize_dtype
from nbnet.engine.graph.op import INT, Op, Spec, register
from nbnet.engine.graph.parameter import argument_changes
from nbnet.engine.graph.symbolic import has_symbols, record, with_values
from nbnet.engine.graph.tensor import Tensor, apply, recorder, tensor, tensors
from nbnet.engine.kernels.abi import Function, Kernel, accumulates, device, mat, scratch, vec
from nbnet.losses.weighting import meet, same_rank
from nbnet.ops.broadcast import multiply
from nbnet.ops.compare import where
from nbnet.ops.convert import cast, converted
from nbnet.ops.elementwise import floor
from nbnet.ops.reduction import weighted_mean, weighted_sum
from nbnet.ops.reshape import broadcast_to, moveaxis, reshape

Array = NDArray[Any]

#: Smallest probability, norm or target in the denominator of a loss, as in Keras.
EPSILON = 1e-7
#: Ways to make the loss of a batch of those of samples: see :class:`Loss`.
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)
#: Shorter rows are computed many at a time, as one long row: short loops do not fill vector registers.
NARROW = 48
#: Entries that class creation adds to the docstring of each loss.
_LAST = """\
reduction : str or None
    Rule that makes the loss of a batch from those of samples, by default ``"sum_over_batch_size"``: see :class:`Loss`.
name : str, optional
    By default the class's ``name``.
dtype : str or numpy.dtype, optional
    Accepted as in Keras, narrow ones as well; losses are computed in the dtype of predictions."""


#: Dtypes that Keras has for losses and metrics, beside those that nbnet computes in.
_OTHER_DTYPES = frozenset(
    ("float16", "bfloat16", "bool", "int", *(f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)))
)


def dtype_name(dtype: Any) -> str:
    """The name of a dtype that a loss or metric is made with; the default is the framework's."""
    name = getattr(dtype, "name", dtype)
    name = name.removeprefix("mixed_") if isinstance(name, str) else name
    return name if isinstance(name, str) and name in _OTHER_DTYPES else standardize_dtype(dtype).name


class Loss(RecordsArguments):
    """A loss: ``loss(y_true, y_pred, sample_weight=None)`` is the mean over the batch of weighted per-sample losses.

    For a loss of your own, write a subclass with ``call(y_true, y_pred)``, made of functions of ``nbnet.ops``.

    Parameters
    ----------
    name : str, optional
        By default the name of the class in snake case.
    reduction : {"sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None}
        Rule that makes the loss of a batch from weighted losses of samples. The first two, which are the same, divide
        their sum by the number of losses, not by the sum of weights, as in Keras 3; "mean_with_sample_weight" divides
        by the sum of the weights, before they are repeated for several losses of a sample; "none" and None keep one
        loss for each sample, with which training is impossible.
    dtype : str or numpy.dtype, optional
        Accepted as in Keras, narrow ones as well; losses are computed in the dtype of predictions.

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
    #: True if targets are class labels (integers), not arrays shaped like the predictions.
    sparse: ClassVar[bool] = False
    #: True if targets and predictions broadcast.
    broadcasts: ClassVar[bool] = False
    #: True if the loss of a row is no mean over its last axis.
    of_rows: ClassVar[bool] = False
    reduction: str | None = "sum_over_batch_size"
    #: Names of the constructor's arguments, beside name and reduction, that are attributes.
    _arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        self._dtype = dtype_name(dtype)
        self.reduction = check_choice(reduction, "reduction", REDUCTIONS)
        if name is not None or not hasattr(self, "name"):
            self.name = name or snake_case(type(self).__name__)

    def __setattr__(self, name: str, value: Any) -> None:
        argument_changes(self, name, value)
        super().__setattr__(name, value)

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not abstract and not hasattr(cls, "name"):
            cls.name = snake_case(cls.__name__)
        join_common_sections(cls, last=_LAST)

    @property
    def dtype(self) -> str:
        """Name of the dtype that the loss was made with, by default the framework's."""
        return self._dtype

    @property
    def is_users(self) -> bool:
        """True if the user wrote the formula, which may read targets of any shape."""
        return not type(self).call.__module__.startswith("nbnet.")

    def _called(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        value = self.call(y_true, y_pred)
        if not isinstance(value, Tensor):
            raise TypeError(f"{self.name}: expected a tensor from call(y_true, y_pred), got {type(value).__name__}")
        return value

    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One loss for each sample of a batch, as :meth:`call` computes it: shape ``y_pred.shape[:-1]``."""
        value = self._called(y_true, y_pred)
        if not value.shape and y_pred.shape:  # a mean over the batch is the loss of each of its samples
            shape = y_pred.shape[:1] if y_pred.time_mask is None else y_pred.time_mask.shape
            value = multiply(value, np.ones(shape, y_pred.dtype))
        if value.shape[:1] != y_pred.shape[:1]:
            n = y_pred.shape[0]
            raise ValueError(f"{self.name}: expected a loss for each of {n} samples, got shape {value.shape}")
        return value

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One loss for each sample, of tensors; for subclasses to define, or to change."""
        raise NotImplementedError(f"{type(self).__name__} defines no call(y_true, y_pred)")

    def targets(self, y: Any, name: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Check targets for predictions of ``shape`` (without the batch axis) and convert them for the loss."""
        if self.sparse:
            if not shape:
                raise ValueError(f"{name}: {self.name} expected predictions (n, ..., classes), the model's are (n,)")
            return data.as_labels(y, name, n, shape[-1], shape[:-1])
        if self.is_users:
            # A number for each row is a column beside a column.
            shape = np.shape(y)[1:] or ((1,) if shape[-1:] in ((), (1,)) else ())
        return data.as_dense_targets(y, name, n, shape, dtype, self.broadcasts, not self.of_rows)

    def each(self, y_true: Any, y_pred: Any) -> Tensor:
        """The losses of samples, neither weighted nor averaged; a vector of predictions is one sample, as in Keras.
        Symbols give a symbol."""
        if has_symbols((y_true, y_pred)):
            each: Tensor = record(self.each, (y_true, y_pred), {}, self.name)
            return each
        y_pred = tensor(y_pred, name="y_pred")
        if not self.sparse:
            y_true, y_pred = of_same_rank(y_true, y_pred)
        y_true = as_given(y_true, self.sparse, y_pred)
        if not isinstance(y_true, Tensor):
            if y_pred.ndim == 1 and not self.sparse:
                row = plain_array(y_true, "y_true")[None]
                array = self.targets(row, "y_true", 1, y_pred.shape, y_pred.dtype)[0]
            else:
                array = self.targets(y_true, "y_true", len(y_pred), y_pred.shape[1:], y_pred.dtype)
            y_true = Tensor(array.shape, array.dtype, array) if self.sparse else tensor(array, y_pred.dtype)
        elif self.sparse:
            self.check_labels(y_true, y_pred.shape[-1])
        elif y_true.dtype.kind == "f":
            y_true = cast(y_true, y_pred.dtype)
        return self._called(*aligned(y_true, y_pred) if self.broadcasts else (y_true, y_pred))

    def check_labels(self, y: Tensor, classes: int) -> None:
        """Raise ValueError if labels whose values are known are not those of classes."""
        if y.data is not None and y.size and y.data.view(np.uint64).max() >= classes:
            data.as_labels(y.data.reshape(-1), "y_true", y.size, classes)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch: a scalar tensor, unless the reduction is none. Symbols give a symbol.

        Parameters
        ----------
        y_true : Tensor or array_like
            Targets.
        y_pred : Tensor or array_like
            Predictions; gradients flow to a tensor.
        sample_weight : Tensor or array_like, optional
            A weight for each sample, for each loss or for all, by default 1; see :mod:`nbnet.losses.weighting`.
        """
        if has_symbols((y_true, y_pred, sample_weight)):
            loss: Tensor = record(self, (y_true, y_pred, sample_weight), {}, self.name)
            return loss
        values, weights = self.each(y_true, y_pred), None
        if sample_weight is None:
            if not values.shape:
                return values
        else:
            values, weights = _matched(values, sample_weight)
        mask = y_pred.time_mask if isinstance(y_pred, Tensor) else None
        return self.reduce(values, weights, max(values.size, 1), mask)

    def reduce(self, per_sample: Tensor, weights: Tensor | None, count: int, mask: Tensor | None = None) -> Tensor:
        """The loss of a batch from the losses of its samples.

        Parameters
        ----------
        per_sample : Tensor
            A loss for each sample of a slice of the batch.
        weights : Tensor, optional
            Their weights, as for :func:`spread`, by default 1.
        count : int
            Number of losses in the whole batch. The values of its slices add up to the loss of the batch; an op that
            needs sums over the whole batch says so (``Op.whole_batch``).
        mask : Tensor, optional
            The mask of time steps of the predictions. Losses where it is 0 do not count; a mean is one over the others,
            as with the mask that the losses themselves may have.
        """
        given, weights = weights, spread(weights, per_sample)
        mask = loss_mask(per_sample, mask)
        if self.reduction in ("none", None):
            active = recorder()
            if active is not None and active.deferred:
                raise ValueError(
                    f"{self.name}: training needs a number for each batch, reduction={self.reduction!r} keeps one for "
                    "each sample; take 'sum_over_batch_size'"
                )
            return multiply(per_sample, weights if mask is None else multiply(weights, mask))
        if self.reduction == "mean_with_sample_weight" and per_sample.shape:
            weights = weights if mask is None else multiply(weights, mask)
            # The sum of the weights is that before they are repeated; those of a mask are one for each loss.
            repeated = 1 if given is None or mask is not None else per_sample.size // max(given.size, 1)
            return weighted_mean(per_sample, weights, weights if repeated == 1 else multiply(weights, 1.0 / repeated))
        if mask is not None:
            weights = multiply(weights, mask)
            if self.reduction != "sum":
                return weighted_mean(per_sample, weights, mask)
        scale = 1.0 if self.reduction == "sum" else 1.0 / count
        return weighted_sum(per_sample, weights, tensors(per_sample, scale)[1])

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return constructor_config(self, self._declared())

    def _declared(self) -> dict[str, Any]:
        own = {argument: getattr(self, argument) for argument in self._arguments}
        return {"name": self.name, "reduction": self.reduction} | own

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The loss that :meth:`get_config` describes."""
        return cls(**config)

    def __repr__(self) -> str:
        usual = {"name": type(self).name, "reduction": Loss.reduction}
        config = ", ".join(f"{k}={v!r}" for k, v in self._declared().items() if k not in usual or usual[k] != v)
        return f"{type(self).__name__}({config})"


def _matched(values: Tensor, sample_weight: Any) -> tuple[Tensor, Tensor]:
    """Losses, and weights of as many axes."""
    if not isinstance(sample_weight, Tensor):
        given = plain_array(sample_weight, "sample_weight")
        data.check_finite(given, "sample_weight", values.dtype)
        sample_weight = tensor(given, values.dtype, name="sample_weight")
    elif sample_weight.dtype != values.dtype:
        sample_weight = cast(sample_weight, values.dtype)
    v_shape, w_shape, whole = meet(values.shape, sample_weight.shape)
    if whole != values.shape:
        mask, values = values.time_mask, broadcast_to(reshape(values, v_shape), whole)
        values.time_mask = None if mask is None else broadcast_to(reshape(mask, v_shape), whole)
    w_shape = (*[1] * (len(whole) - len(w_shape)), *w_shape)
    return values, sample_weight if w_shape == sample_weight.shape else reshape(sample_weight, w_shape)


def of_same_rank(y_true: Any, y_pred: Tensor) -> tuple[Any, Tensor]:
    """Targets and predictions, without a last axis of size 1 that only one of them has; a vector beside a column
    becomes one, too."""
    given = y_true if isinstance(y_true, Tensor) else plain_array(y_true, "y_true")
    if not given.ndim or not y_pred.ndim:
        return y_true, y_pred
    t_shape, p_shape = same_rank(given.shape, y_pred.shape)
    if p_shape != y_pred.shape:
        mask, y_pred = y_pred.time_mask, reshape(y_pred, p_shape)
        y_pred.time_mask = mask
    if t_shape == given.shape:
        return y_true, y_pred
    return reshape(given, t_shape) if isinstance(given, Tensor) else given.reshape(t_shape), y_pred


def one_or_many(value: float | Sequence[float], name: str, allowed: Interval) -> float | list[float]:
    """A number, or a list of at least one, checked."""
    if isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str):
        if not len(value):
            raise ValueError(f"{name}: expected at least one number, got {value!r}")
        return [allowed.check(v, name) for v in value]
    return allowed.check(value, name)


def as_given(y_true: Any, sparse: bool, y_pred: Tensor) -> Any:
    """Targets, as an array that still needs conversion if they are a tensor whose value cannot be read directly."""
    if not isinstance(y_true, Tensor) or y_true.requires_grad:
        return y_true
    if y_true.data is None:
        if sparse and y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
            y_true = reshape(y_true, y_true.shape[:-1])
        if (y_true.dtype == INT) == sparse:
            return y_true
        if sparse and y_true.dtype.kind == "f":  # What is no whole number is no class: its loss is NaN.
            y_true = where(y_true == floor(y_true), y_true, -1.0)
        return converted(y_true, INT if sparse else y_pred.dtype)
    flat = y_true.ndim == y_pred.ndim - 1
    # One column of predictions: a vector of targets is one, too.
    reads = flat if sparse else not (flat and y_pred.shape[-1] == 1)
    return y_true if reads and (y_true.dtype == INT) == sparse else y_true.numpy()


def spread(weights: Tensor | None, values: Tensor, name: str = "sample_weight") -> Tensor:
    """Weights of samples, or of positions in them, as one weight for each value; None stands for ones.

    Their axes are the first axes of the values, or have length 1; last axes of length 1 do not count.

    Raises
    ------
    ValueError
        If they have other axes.
    """
    shape, dtype = values.shape, values.dtype
    if weights is None:
        return Tensor(shape, dtype, np.ones(shape, dtype), name="ones")
    sizes = weights.shape
    while len(sizes) > 1 and sizes[-1] == 1:
        sizes = sizes[:-1]
    if len(sizes) > len(shape) or any(m not in (1, n) for m, n in zip(sizes, shape, strict=False)):
        raise ValueError(
            f"{name}: expected a number for each of the values of shape {shape}, got shape {weights.shape}"
        )
    sizes = (*sizes, *[1] * (len(shape) - len(sizes)))
    weights = weights if weights.shape == sizes else reshape(weights, sizes)
    return weights if sizes == shape else multiply(weights, np.ones(shape, dtype))


def loss_mask(values: Tensor, mask: Tensor | None) -> Tensor | None:
    """The mask of losses, or of values of a metric: 1 for those that count, else 0; None if all do.

    Parameters
    ----------
    values
        They may have a mask themselves.
    mask
        That of the predictions.
    """
    masks = [spread(_as_weights(m, values), values, "mask") for m in (mask, values.time_mask) if m is not None]
    return reduce(multiply, masks) if masks else None


def _as_weights(mask: Tensor, values: Tensor) -> Tensor:
    """A mask in the dtype of losses: 1 where it is not 0."""
    if mask.dtype == values.dtype:
        return mask
    if mask.data is not None:
        return tensor(mask.numpy() != 0, values.dtype)
    return where(mask, np.ones((1,) * mask.ndim, values.dtype), 0.0)


def aligned(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Targets and predictions, broadcast to one shape if they have as many axes."""
    if y_true.shape == y_pred.shape or y_true.dtype == INT or y_true.ndim != y_pred.ndim:
        return y_true, y_pred
    try:
        shape = np.broadcast_shapes(y_true.shape, y_pred.shape)
    except ValueError:
        raise ValueError(f"y_true: expected the shape of the predictions, {y_pred.shape}, got {y_true.shape}") from None
    repeated = broadcast_to(y_pred, shape)
    repeated.time_mask = y_pred.time_mask
    return broadcast_to(y_true, shape), repeated


def logits_before(y_pred: Tensor, op: Op) -> Tensor | None:
    """The input of ``op``, a softmax or sigmoid, if its output is ``y_pred``; else None."""
    node = y_pred.node
    return node.inputs[0] if node is not None and node.op is op else None


def labels(y: Tensor, y_pred: Tensor) -> Tensor:
    """The class labels of predictions: integers, without a last axis of length 1."""
    if y.ndim == y_pred.ndim and y.shape[-1] == 1:
        y = reshape(y, y.shape[:-1])
    return y if y.dtype == INT else cast(y, INT)


def check_axis(axis: Any) -> int:
    """The number of an axis, which may count from the end."""
    return check_int(axis, "axis", None)


def last_axis(x: Tensor, axis: int) -> Tensor:
    """A tensor with an axis moved to the end, as kernels work on rows; the axis of samples stays the first."""
    at = axis + x.ndim if axis < 0 else axis
    if not 0 < at < x.ndim and x.ndim > 1:
        raise ValueError(f"axis: expected an axis of {x.shape} after the first, that of samples, got {axis}")
    return x if at == x.ndim - 1 or x.ndim < 2 else moveaxis(x, at, -1)


class LossFunctionWrapper(Loss):
    """A loss that calls a function; made by ``compile(loss=function)``.

    Parameters
    ----------
    fn : callable
        ``fn(y_true, y_pred, **kwargs)`` returns a tensor with a loss for each sample, made by functions of
        ``nbnet.ops``.
    name : str, optional
        By default the function's name, or that of its class, in snake case.
    **kwargs
        Arguments of the function.

    Examples
    --------
    >>> import nbnet as nb
    >>> def cubic(y_true, y_pred):
    ...     return nb.ops.mean(nb.ops.abs(y_true - y_pred) ** 3.0, axis=-1)
    >>> nb.losses.LossFunctionWrapper(cubic)([[0.0]], [[2.0]]).item()
    8.0
    """

    def __init__(
        self,
        fn: Callable[..., Tensor],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name or object_name(fn), reduction, dtype)
        self.fn, self.kwargs = fn, kwargs

    @property
    def is_users(self) -> bool:
        return True

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        value: Tensor = with_values(self.fn(y_true, y_pred, **self.kwargs))
        return value

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"fn": function_name(self.fn, "loss"), **self.kwargs}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**{**config, "fn": named_function(config.get("fn"), "loss")})


def infer_rows(z: Tensor, t: Tensor, *rest: Tensor, **attributes: int) -> tuple[Spec, ...]:
    """One loss for each row of two matrices of the same shape."""
    if z.shape != t.shape or not z.shape:
        raise ValueError(f"y_true: expected the shape of the predictions, {z.shape}, got {t.shape}")
    if not z.shape[-1]:
        raise ValueError(f"y_pred: expected rows of at least one prediction, got shape {z.shape}")
    return (Spec(z.shape[:-1]),)


def infer_labels(z: Tensor, t: Tensor, **attributes: int) -> tuple[Spec, ...]:
    """One loss for each row of predictions and its label."""
    if len(z.shape) < 2 or t.shape != z.shape[:-1]:
        raise ValueError(f"y_true: expected labels of shape {z.shape[:-1]} for predictions {z.shape}, got {t.shape}")
    if not z.shape[-1]:
        raise ValueError(f"y_pred: expected rows of at least one prediction, got shape {z.shape}")
    return (Spec(t.shape),)


def loss_op(
    name: str,
    forward: Kernel,
    backward: Kernel,
    inputs: tuple[str, ...],
    infer: Callable[..., tuple[Spec, ...]] = infer_rows,
    saves: tuple[str, ...] = (),
    work: tuple[str, ...] = (),
    **fields: Any,
) -> Op:
    """Register an op that computes a loss for each row of its first input, z, and the gradient by z.

    Parameters
    ----------
    saves, work : tuple of str
        Arrays like z that the forward kernel keeps, in place of z, and that the backward kernel uses as scratch.
    **fields
        Other fields of :class:`nbnet.Op`.
    """
    like_z = len(saves) + len(work)
    gradient = (*(saves or inputs[:1]), *inputs[1:], "dy", "dz", *work)
    own: dict[str, Any] = {"gradient": gradient, "role": "loss", "saves": saves, "work": work, "backward": backward}
    like = " ".join(f"{x}[r,c]" for x in (*saves, *work))
    own["extents"] = f"z[r,c] {'t:i8[r]' if 't' in fields.get('integers', ()) else 't[r,c]'} a[1] y[r] {like}"

    def shapes(z: Tensor, *others: Tensor, **attributes: int) -> tuple[Spec, ...]:
        return (*infer(z, *others, **attributes), *[Spec(z.shape)] * like_z)

    return register(Op(name, forward, inputs, infer=shapes, **own | fields))


@device
def _first(p: Any) -> Any:
    """The parameter of a loss with one parameter."""
    return p[0]


@device
def _rows_in(each: Any, width: Any) -> Any:
    """Number of rows that fit in the scratch: from 16 on a multiple of 16, which fills vectors."""
    rows = each.size // max(width, 1)
    return max(rows // 16 * 16 if rows >= 16 else rows, 1)


@device
def _flat(x: Any, low: Any, rows: Any, width: Any) -> Any:
    """The rows of a flat matrix from ``low`` on, one for each element of ``rows``."""
    return x[low * width : (low + rows.size) * width]


@device
def _sum_rows(each: Any, width: Any, share: Any, y: Any) -> None:
    """``y[i] = share * sum_j each[i, j]``"""
    if width == 1:
        for i in range(y.size):
            y[i] = each[i] * share
    else:
        for i in range(y.size):
            row, total = each[i * width : i * width + width], 0.0
            for j in range(width):
                total += row[j]
            y[i] = total * share


@device
def _scale_rows(each: Any, width: Any, share: Any, dy: Any, dz: Any, add: bool) -> None:
    """``dz[i, j] (+)= share * dy[i] * each[i, j]``"""
    if width == 1:
        for i in range(dy.size):
            each[i] *= share * dy[i]
    else:
        for i in range(dy.size):
            row, scale = each[i * width : i * width + width], share * dy[i]
            for j in range(width):
                row[j] *= scale
    if add:
        for k in range(dz.size):
            dz[k] += each[k]
    else:
        for k in range(dz.size):
            dz[k] = each[k]


def pairwise(
    name: str, f: Function, df: Function, mean: bool = True, parameters: Function = _first, numbers: int = 1
) -> Op:
    """The op ``l[i] = mean_j f(z[i, j], t[i, j], a)``.

    Parameters
    ----------
    f, df : Function
        Device function ``f(z, t, a)`` and its derivative by z; z is the prediction, t the target, a the parameters of
        the loss.
    mean : bool
        If False, sum instead of averaging.
    parameters : Function
        Device function that makes a from the op's last input, a vector.
    numbers : int
        Size of that vector.
    """

    # A long loop that chooses inside between adding and writing would not be vectorised.
    def forward(mem: Any, ins: Any, step: Any) -> None:
        z, t, a, y = mat(mem, ins, 0), mat(mem, ins, 1), parameters(vec(mem, ins, 2)), vec(mem, ins, 3)
        width = z.shape[1]
        share = 1.0 / z.dtype.type(width if mean else 1)
        if width < NARROW:
            each = scratch(mem)
            rows = _rows_in(each, width)
            for low in range(0, y.size, rows):
                into = y[low : low + rows]
                zb, tb = _flat(vec(mem, ins, 0), low, into, width), _flat(vec(mem, ins, 1), low, into, width)
                for k in range(zb.size):
                    each[k] = f(zb[k], tb[k], a)
                _sum_rows(each, width, share, into)
        else:
            for i in range(z.shape[0]):
                total = 0.0
                for j in range(z.shape[1]):
                    total += f(z[i, j], t[i, j], a)
                y[i] = total * share

    def backward(mem: Any, ins: Any, step: Any) -> None:
        z, t, a = mat(mem, ins, 0), mat(mem, ins, 1), parameters(vec(mem, ins, 2))
        dy, dz = vec(mem, ins, 3), mat(mem, ins, 4)
        width = z.shape[1]
        share = 1.0 / z.dtype.type(width if mean else 1)
        if width < NARROW:
            each = scratch(mem)
            rows = _rows_in(each, width)
            for low in range(0, dy.size, rows):
                d = dy[low : low + rows]
                zb, tb = _flat(vec(mem, ins, 0), low, d, width), _flat(vec(mem, ins, 1), low, d, width)
                for k in range(zb.size):
                    each[k] = df(zb[k], tb[k], a)
                _scale_rows(each, width, share, d, _flat(vec(mem, ins, 4), low, d, width), accumulates(ins, 4))
        else:
            for i in range(z.shape[0]):
                scale = dy[i] * share
                if accumulates(ins, 4):
                    for j in range(z.shape[1]):
                        dz[i, j] += scale * df(z[i, j], t[i, j], a)
                else:
                    for j in range(z.shape[1]):
                        dz[i, j] = scale * df(z[i, j], t[i, j], a)

    kernels = Kernel(forward, f"{name}_forward"), Kernel(backward, f"{name}_backward")
    return loss_op(name, *kernels, ("z", "t", "a"), extents=f"z[r,c] t[r,c] a[{numbers}] y[r]")


class PairwiseLoss(Loss, abstract=True):
    """Base class of the losses without parameters that one op computes."""

    op: ClassVar[Op]
    broadcasts = True

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(self.op, *tensors(y_pred, y_true, 0.0)[: len(self.op.inputs)])
