"""The surroundings of a script for TensorFlow: devices, settings, contexts and control flow, of which little is here.

There is one device, a CPU. Settings that change no numbers are accepted.
"""

from __future__ import annotations

import builtins
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nbnet import ops
from nbnet.as_keras.tf.data import map_parts
from nbnet.as_keras.tf.tensors import as_tensor
from nbnet.base.regular_file import open_regular
from nbnet.config import DTypePolicy, floatx, set_floatx
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers import Layer


class Device(NamedTuple):
    """A device as TensorFlow lists it."""

    name: str
    device_type: str


_CPU = Device("/physical_device:CPU:0", "CPU")


def list_physical_devices(device_type: str | None = None) -> list[Device]:
    """The CPU; nothing if another kind is asked for."""
    return [_CPU] if device_type in (None, "CPU") else []


def nothing(*args: Any, **kwargs: Any) -> None:
    """Accept a setting that changes no numbers."""


def never(*args: Any, **kwargs: Any) -> bool:
    """False: there are no GPUs."""
    return False


def no_name(*args: Any, **kwargs: Any) -> str:
    """The empty name of no GPU."""
    return ""


def identity(value: Any = None, *args: Any, **kwargs: Any) -> Any:
    """The value itself, or a decorator that returns the function itself."""
    return value if value is not None else identity


def executing_eagerly() -> bool:
    """True: everything runs at once."""
    return True


def get_logger() -> logging.Logger:
    """The logger of the name of TensorFlow."""
    return logging.getLogger("tensorflow")


def print(*inputs: Any, output_stream: Any = None, end: str = "\n", sep: str = " ", **others: Any) -> None:
    """Print values; those of tensors as arrays."""
    shown = [str(x.numpy()) if isinstance(x, Tensor) and x.data is not None else str(x) for x in inputs]
    builtins.print(*shown, end=end, sep=sep)


@contextmanager
def context(*args: Any, **kwargs: Any) -> Iterator[Any]:
    """A context that changes nothing: name_scope, device, control_dependencies."""
    yield args[0] if args else None


class Strategy:
    """A strategy of distribution on one CPU: everything runs as without it."""

    num_replicas_in_sync = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    scope = staticmethod(context)

    def run(self, fn: Callable[..., Any], args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        """Call a function."""
        return fn(*args, **(kwargs or {}))

    def reduce(self, reduce_op: Any, value: Any, axis: Any = None) -> Any:
        """The value itself."""
        return value

    def experimental_distribute_dataset(self, dataset: Any) -> Any:
        """The dataset itself."""
        return dataset


def set_global_policy(policy: Any) -> None:
    """Set the default dtype: nbnet computes in float32 or float64, and a policy is one of these."""
    set_floatx(DTypePolicy(policy).name)


def global_policy() -> DTypePolicy:
    """The default dtype as a policy."""
    return DTypePolicy(floatx())


# ---- control flow ----


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any], name: str | None = None) -> Any:
    """Call the first function if ``pred`` is true, else the second."""
    return true_fn() if bool(np.asarray(pred)) else false_fn()


def while_loop(cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a function on its own results while a condition holds."""
    values = tuple(loop_vars)
    while bool(np.asarray(cond(*values))):
        result = body(*values)
        values = tuple(result) if isinstance(result, (list, tuple)) else (result,)
    return list(values)


def map_fn(fn: Callable[[Any], Any], elems: Any, *args: Any, **kwargs: Any) -> Any:
    """A function of each row, stacked."""
    rows = zip(*(ops.unstack(as_tensor(e)) for e in elems), strict=True) if isinstance(elems, tuple) else None
    results = [fn(row) for row in (ops.unstack(as_tensor(elems)) if rows is None else rows)]
    return map_parts(lambda *parts: ops.stack(builtins.list(parts)), *results)


vectorized_map = map_fn


def check(condition: Any, data: Any = None, message: str = "the condition is false", **others: Any) -> None:
    """Raise ValueError unless a condition holds everywhere."""
    if not np.asarray(condition).all():
        raise ValueError(f"tf.debugging: {message}: {data!r}")


def assert_equal(x: Any, y: Any, message: str | None = None, **others: Any) -> None:
    """Raise ValueError unless two values are equal."""
    check(np.asarray(x) == np.asarray(y), (x, y), message or "the values differ")


class Module:
    """Base of classes that own variables: ``tf.Module``."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or type(self).__name__.lower()

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables of this module and of those in its attributes."""
        return tuple(_variables(vars(self).values()))

    @property
    def trainable_variables(self) -> tuple[Any, ...]:
        """The variables among them that are trained."""
        return tuple(v for v in self.variables if v.trainable)

    @property
    def submodules(self) -> tuple[Any, ...]:
        """The modules in its attributes."""
        return tuple(value for value in vars(self).values() if isinstance(value, (Module, Layer)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no __call__")


def _variables(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, Parameter):
            yield value
        elif isinstance(value, (Module, Layer)):
            yield from value.variables
        elif isinstance(value, (list, tuple)):
            yield from _variables(value)
        elif isinstance(value, dict):
            yield from _variables(value.values())


class UnconnectedGradients:
    """Gradients of tensors that a target does not depend on: None or zeros."""

    NONE, ZERO = "none", "zero"


# ---- files ----


def makedirs(path: Any) -> None:
    """Make a folder and those above it."""
    os.makedirs(path, exist_ok=True)


def isdir(path: Any) -> bool:
    """True if it is a folder."""
    return os.path.isdir(path)


def glob_files(pattern: Any) -> list[str]:
    """The paths that fit a pattern."""
    return sorted(glob(os.fspath(pattern)))


def read_text(filename: Any) -> bytes:
    """The content of a file."""
    with open_regular(Path(os.fsdecode(filename))) as file:
        return bytes(file.read())


class OpError(Exception):
    """Base of errors that TensorFlow raises."""


class InvalidArgumentError(OpError, ValueError):
    """A wrong argument: what nbnet raises as ValueError."""


class OutOfRangeError(OpError):
    """The end of a dataset."""


class NotFoundError(OpError, FileNotFoundError):
    """A file that is not there."""


class ResourceExhaustedError(OpError, MemoryError):
    """Too little memory."""
