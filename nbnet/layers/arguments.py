"""Arguments of layers: those of constructors, with their plain form in configurations, and those of calls, with the
shapes of inputs and the context of training or inference."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from nbnet import activations, constraints, dropout_schedules, initializers, regularizers
from nbnet.activations import ActivationLike
from nbnet.base.validation import check_int
from nbnet.constraints import ConstraintLike
from nbnet.engine.graph.tensor import Tensor
from nbnet.initializers import InitializerLike
from nbnet.regularizers import RegularizerLike

__all__ = [
    "OPTIONS",
    "ActivationLike",
    "ConstraintLike",
    "InitializerLike",
    "RegularizerLike",
    "argument_names",
    "as_axes",
    "build_arguments",
    "call_context",
    "check_rank",
    "check_sizes",
    "compatible",
    "features",
    "map_shapes",
    "marks_built",
    "mask_rows",
    "open_shape",
    "plain",
    "refuse",
    "sampling_mode",
    "training_argument",
    "training_mode",
    "weight_arguments",
    "weight_options",
]  # fmt: skip

#: Options of a weight, and the order in which configurations name them.
OPTIONS = ("initializer", "regularizer", "constraint")
#: How arguments that are objects or functions become plain data, by the last word of their names.
_SERIALIZERS: dict[str, Callable[[Any], Any]] = {
    "activation": activations.serialize,
    "initializer": initializers.serialize,
    "regularizer": regularizers.serialize,
    "constraint": constraints.serialize,
    "rate": dropout_schedules.serialize,
}


def plain(name: str, value: Any) -> Any:
    """An argument as JSON can hold it."""
    if callable(value):
        return _SERIALIZERS[name.rpartition("_")[2]](value)
    if isinstance(value, tuple):
        return [plain(name, part) for part in value]
    return value


def weight_arguments(*weights: str) -> tuple[str, ...]:
    """Names of the arguments of weights: ``kernel_initializer``, ``bias_initializer``, ``kernel_regularizer``, ..."""
    return tuple(f"{weight}_{option}" for option in OPTIONS for weight in weights)


def weight_options(
    name: str, initializer: InitializerLike, regularizer: RegularizerLike, constraint: ConstraintLike
) -> tuple[Callable[..., Any] | None, Callable[[Any], Tensor] | None, Callable[[Any], Any] | None]:
    """The initializer, regularizer and constraint of a weight such as ``"kernel"``, from a constructor's arguments."""
    return (
        initializers.get(initializer, f"{name}_initializer"),
        regularizers.get(regularizer, f"{name}_regularizer"),
        constraints.get(constraint, f"{name}_constraint"),
    )


def refuse(instead: str, **arguments: Any) -> None:
    """Raise ValueError for the first argument of Keras's that nbnet does not offer and that is neither None nor False.

    Examples
    --------
    >>> from nbnet.layers.arguments import refuse
    >>> refuse("train all weights", lora_rank=None)
    >>> refuse("train all weights", lora_rank=4)
    Traceback (most recent call last):
        ...
    ValueError: lora_rank: nbnet does not offer it, expected None, got 4; train all weights
    """
    for name, value in arguments.items():
        if value is not None and value is not False:
            raise ValueError(f"{name}: nbnet does not offer it, expected None, got {value!r}; {instead}")


def as_axes(axis: Any) -> int | list[int]:
    """An axis, or a sorted list of several; TypeError if it is neither.

    Examples
    --------
    >>> from nbnet.layers.arguments import as_axes
    >>> as_axes(-1), as_axes((2, 1))
    (-1, [1, 2])
    """
    several = isinstance(axis, Sequence) and not isinstance(axis, str)
    try:
        found = [check_int(k, "axis", None) for k in (axis if several else [axis])]
    except ValueError:
        raise TypeError(f"axis: expected an integer or a list of integers, got {axis!r}") from None
    return sorted(found) if several else found[0]


# ---- arguments of calls ----


@functools.cache
def training_argument(call: Callable[..., Any]) -> tuple[int | None, bool]:
    """Position of ``training`` among the arguments of a method after self, or None; and its default."""
    parameters = inspect.signature(call).parameters
    if "training" not in parameters:
        return None, False
    default = parameters["training"].default
    return list(parameters).index("training") - 1, default if isinstance(default, bool) else False


@functools.cache
def argument_names(call: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the arguments of a method."""
    return tuple(inspect.signature(call).parameters)


@functools.cache
def build_arguments(build: Callable[..., None], call: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the arguments of ``call`` whose shapes ``build`` takes, each with ``_shape`` after its name; empty if it
    takes one shape, that of the first argument."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    shapes = [name for name, p in list(inspect.signature(build).parameters.items())[1:] if p.kind in named]
    if len(shapes) < 2:
        return ()
    known = list(inspect.signature(call).parameters)[1:]
    for name in shapes:
        if not name.endswith("_shape") or name.removesuffix("_shape") not in known:
            raise ValueError(
                f"build: of several arguments, each has the name of an argument of call, {known}, and _shape after it; "
                f"got {name!r}"
            )
    return tuple(name.removesuffix("_shape") for name in shapes)


def marks_built(build: Callable[..., None]) -> Callable[..., None]:
    """Wrap a ``build`` method so that it marks its layer as built, whoever calls it."""

    @functools.wraps(build)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        build(self, *args, **kwargs)
        # A base class's build, called by that of a subclass, is only a part of it.
        if type(self).build is wrapper:
            self.built = True

    return wrapper


def open_shape(x: Any) -> tuple[int | None, ...]:
    """Shape of a tensor or symbol with an open batch axis."""
    return (None, *x.shape[1:]) if x is not None else ()


def map_shapes(function: Callable[[Any], Any], shapes: Any) -> Any:
    """Apply a function to a shape, or to each shape of a structure of them."""
    if isinstance(shapes, Mapping):
        return {name: map_shapes(function, shape) for name, shape in shapes.items()}
    if not any(isinstance(part, (list, tuple, Mapping)) for part in shapes):
        return function(shapes)
    return (tuple if isinstance(shapes, tuple) else list)(map_shapes(function, shape) for shape in shapes)


# ---- shapes of inputs ----


def features(layer: str, shape: tuple[int | None, ...]) -> int:
    """Size of the last axis of a layer's input; ValueError if it is not known, or the input has only a batch axis."""
    size = shape[-1] if len(shape) > 1 else None
    if size is None:
        raise ValueError(f"{layer}: expected inputs (batch, ..., features) with a known last axis, got {shape}")
    return int(size)


def check_rank(layer: str, shape: tuple[int | None, ...], rank: int) -> None:
    """Raise ValueError if a layer's input has another number of spatial axes."""
    if len(shape) != rank + 2:
        axes = ("length", "height, width", "depth, height, width")[rank - 1]
        raise ValueError(f"{layer}: expected inputs (batch, {axes}, channels), got shape {shape}")


def check_sizes(layer: str, shape: tuple[int | None, ...], sizes: tuple[int | None, ...]) -> None:
    """Raise ValueError unless a layer's input has these sizes, where None stands for any."""
    if len(shape) != len(sizes) or any(n is not None and n != m for n, m in zip(sizes, shape, strict=True)):
        raise ValueError(f"{layer}: was built for inputs of shape {sizes}, got shape {shape}")


def compatible(shapes: Sequence[tuple[int | None, ...]], others: Sequence[tuple[int | None, ...]]) -> bool:
    """True if shapes are the same, one by one, where None stands for any size.

    Examples
    --------
    >>> from nbnet.layers.arguments import compatible
    >>> compatible([(None, 3)], [(2, 3)]), compatible([(2, 4)], [(2, 3)])
    (True, False)
    """
    return len(shapes) == len(others) and all(
        len(one) == len(other) and all(n == m or n is None or m is None for n, m in zip(one, other, strict=True))
        for one, other in zip(shapes, others, strict=True)
    )


# ---- the context of calls ----


class _CallContext(threading.local):
    def __init__(self) -> None:
        #: True or False inside a layer call, for training and inference; None outside.
        self.training: bool | None = None
        #: Set while stochastic layers draw in inference: ``"per_sample"`` or ``"shared"`` masks.
        self.sampling: str | None = None


#: The context of the current thread.
call_context = _CallContext()


@contextmanager
def training_mode(training: bool) -> Iterator[None]:
    """Call the layers inside for training or for inference, unless a call says otherwise."""
    before, call_context.training = call_context.training, training
    try:
        yield
    finally:
        call_context.training = before


@contextmanager
def sampling_mode(masks: str | None = "per_sample") -> Iterator[None]:
    """Let the stochastic layers inside draw as in training, in any mode; the other layers keep their mode. With
    ``"shared"`` masks, layers that can share a mask among all rows of the batch do so. None ends it."""
    before, call_context.sampling = call_context.sampling, masks
    try:
        yield
    finally:
        call_context.sampling = before


def mask_rows() -> int | None:
    """Size of a mask's batch axis: 1 if all rows share it, else None, which stands for the rows of the batch."""
    return 1 if call_context.sampling == "shared" else None


def check_salt(salt: Any) -> list[int] | None:
    """Return the key of a hash function as two integers, or None; ValueError for anything else.

    Examples
    --------
    >>> from nbnet.layers.arguments import check_salt
    >>> check_salt(3), check_salt((3, 4))
    ([3, 3], [3, 4])
    """
    keys = [salt, salt] if isinstance(salt, (int, np.integer)) else salt
    if keys is None:
        return None
    if not (isinstance(keys, (list, tuple)) and len(keys) == 2 and all(isinstance(k, (int, np.integer)) for k in keys)):
        raise ValueError(f"salt: expected an integer, two of them or None, got {salt!r}")
    return [int(key) for key in keys]
