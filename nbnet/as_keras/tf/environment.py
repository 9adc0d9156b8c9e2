"""The surroundings of a script for TensorFlow: devices, settings, contexts and control flow, of which little is here.

There is one device, a CPU. Settings that change no numbers are accepted.
"""

from __future__ import annotations

import builtins
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nbnet import ops, saving
from nbnet.as_keras.places import warn_old
from nbnet.as_keras.tf.data import map_parts
from nbnet.as_keras.tf.tensors import as_tensor
from nbnet.base.atomic_file import replacing
from nbnet.base.regular_file import open_regular
from nbnet.config import DTypePolicy, floatx, set_floatx
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers import Layer
from nbnet.optimizers import Optimizer


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


# ---- checkpoints ----


class Checkpoint:
    """Models, optimizers and variables whose values are kept in a file.

    Examples
    --------
    >>> import tempfile
    >>> from nbnet.as_keras.tf.environment import Checkpoint
    >>> from nbnet.as_keras.tf.tensors import Variable
    >>> step = Variable(1.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Checkpoint(step=step).save(f"{folder}/c")
    ...     _ = step.assign(5.0)
    ...     status = Checkpoint(step=step).restore(path)
    >>> path[-3:], float(step)
    ('c-1', 1.0)
    """

    def __init__(self, root: Any = None, **kwargs: Any) -> None:
        self._parts = kwargs if root is None else {"root": root, **kwargs}
        vars(self).update(kwargs)
        self.save_counter = 0

    def _state(self) -> dict[str, Any]:
        """Arrays by name."""
        found: dict[str, Any] = {}
        for name, part in self._parts.items():
            if isinstance(part, Optimizer):
                found |= {f"{name}:{key}": value for key, value in part.get_state().items()}
            elif isinstance(part, (Parameter, Layer, Module)):
                variables = [part] if isinstance(part, Parameter) else part.variables
                found |= {f"{name}:{k}": variable.numpy() for k, variable in enumerate(variables)}
        return found

    def write(self, file_prefix: Any, options: Any = None) -> str:
        """Write the values to a file, and return its path."""
        path = os.fspath(file_prefix)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with replacing(Path(path)) as file:
            np.savez(file, allow_pickle=False, **self._state())
        return str(path)

    def save(self, file_prefix: Any, options: Any = None) -> str:
        """Write the values to a file whose name is numbered, and return its path."""
        self.save_counter += 1
        return self.write(f"{os.fspath(file_prefix)}-{self.save_counter}")

    def restore(self, save_path: Any, options: Any = None) -> Checkpoint:
        """Set all values from a file; None is accepted, and changes nothing."""
        if save_path is None:
            return self
        from nbnet.datasets.keras_files import read_arrays

        found = read_arrays(Path(os.fspath(save_path)))
        for name, part in self._parts.items():
            own = {key.partition(":")[2]: value for key, value in found.items() if key.startswith(f"{name}:")}
            if isinstance(part, Optimizer):
                if own:
                    part.set_state(own)
            elif isinstance(part, (Parameter, Layer, Module)):
                variables = [part] if isinstance(part, Parameter) else part.variables
                for k, variable in enumerate(variables):
                    variable.assign(own[str(k)])
        return self

    read = restore

    def expect_partial(self) -> Checkpoint:
        """Return itself, as :meth:`assert_consumed` does."""
        return self

    assert_consumed = assert_existing_objects_matched = expect_partial


class CheckpointManager:
    """Keeps the last few files of a checkpoint in a folder."""

    def __init__(
        self, checkpoint: Checkpoint, directory: Any, max_to_keep: int | None = None, checkpoint_name: str = "ckpt",
        **others: Any,
    ) -> None:  # fmt: skip
        self.checkpoint, self.directory, self._most = checkpoint, os.fspath(directory), max_to_keep
        self._name = checkpoint_name
        os.makedirs(self.directory, exist_ok=True)

    @property
    def checkpoints(self) -> list[str]:
        """The paths of the files, the last one at the end."""
        return _numbered(self.directory, self._name)

    @property
    def latest_checkpoint(self) -> str | None:
        """The path of the last file; None if there is none."""
        return self.checkpoints[-1] if self.checkpoints else None

    def save(self, checkpoint_number: int | None = None, **others: Any) -> str:
        """Write a file, and remove those that are too many."""
        last = self.latest_checkpoint
        number = checkpoint_number or (1 if last is None else int(last.rpartition("-")[2]) + 1)
        path = self.checkpoint.write(os.path.join(self.directory, f"{self._name}-{int(number)}"))
        for old in self.checkpoints[: -self._most] if self._most else ():
            os.remove(old)
        return path


def _numbered(directory: str, name: str = "*") -> list[str]:
    found = [path for path in glob(os.path.join(directory, f"{name}-*")) if path.rpartition("-")[2].isdigit()]
    return sorted(found, key=lambda path: int(path.rpartition("-")[2]))


def latest_checkpoint(checkpoint_dir: Any, latest_filename: Any = None) -> str | None:
    """Return the path of the last file of a checkpoint, or of weights, in a folder; None if there is none."""
    folder = os.fspath(checkpoint_dir)
    files = [path for path in glob(os.path.join(folder, "*")) if os.path.isfile(path)]
    found = _numbered(folder) or sorted(files, key=os.path.getmtime)
    return found[-1] if found else None


class SummaryWriter:
    """Writes numbers for TensorBoard with tensorboardX; without it nothing, after a warning."""

    _current: SummaryWriter | None = None

    def __init__(self, logdir: Any, *args: Any, **kwargs: Any) -> None:
        try:
            from tensorboardX import SummaryWriter as Writer
        except ImportError:
            warnings.warn("tf.summary: nothing is written: pip install 'nbnet[tensorboard]'", stacklevel=2)
            Writer = None
        self._writer = None if Writer is None else Writer(os.fspath(logdir))

    @contextmanager
    def as_default(self, step: Any = None) -> Iterator[SummaryWriter]:
        """Inside, functions of ``tf.summary`` write to it."""
        before, SummaryWriter._current = SummaryWriter._current, self
        try:
            yield self
        finally:
            SummaryWriter._current = before

    set_as_default = flush = close = nothing


def write_scalar(name: str, data: Any, step: Any = None, description: Any = None) -> bool:
    """Write a number to the writer that is the default; return True if there is one."""
    return _write("scalar", name, float(data), step)


def write_histogram(name: str, data: Any, step: Any = None, **others: Any) -> bool:
    """Write a histogram to the writer that is the default; return True if there is one."""
    return _write("histogram", name, np.asarray(data), step)


def write_text(name: str, data: Any, step: Any = None, **others: Any) -> bool:
    """Write a text to the writer that is the default; return True if there is one."""
    return _write("text", name, str(data), step)


def write_image(name: str, data: Any, step: Any = None, max_outputs: int = 3, **others: Any) -> bool:
    """Write pictures (n, height, width, channels) to the writer that is the default; return True if there is one."""
    pictures = np.asarray(data)[:max_outputs]
    return all([_write("image", f"{name}/{k}", picture, step, dataformats="HWC") for k, picture in enumerate(pictures)])


def _write(kind: str, name: str, value: Any, step: Any, **options: Any) -> bool:
    writer = SummaryWriter._current and SummaryWriter._current._writer
    if writer is not None:
        getattr(writer, f"add_{kind}")(name, value, int(step or 0), **options)
    return writer is not None


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


#: Endings of names of files that models, and weights, are saved to as they are.
_MODELS, _WEIGHTS = (".nbnet", ".keras", ".h5", ".hdf5"), (".nbnet", ".safetensors", ".weights.h5", ".keras")


def save(method: Any, model: Any, filepath: Any, overwrite: bool = True, *args: Any, **kwargs: Any) -> None:
    """Save a model under a name that Keras 2 took: without an ending, it is a file of nbnet's."""
    for old in ("save_format", "signatures", "options", "save_traces"):
        kwargs.pop(old, None)
    path = os.fspath(filepath).rstrip("/")
    if path.endswith(_MODELS):
        method(model, filepath, overwrite, *args, **kwargs)
        return
    warn_old(f"a model in a file named {os.path.basename(path)}", "one whose name ends in .keras")
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path) or ".") as folder:
        method(model, os.path.join(folder, "a.nbnet"), overwrite, *args, **kwargs)
        os.replace(os.path.join(folder, "a.nbnet"), path)


def save_model(model: Any, filepath: Any, *args: Any, **kwargs: Any) -> None:
    """Write a model to a file of any name."""
    model.save(filepath, *args, **kwargs)


def load_model(filepath: Any, *args: Any, **kwargs: Any) -> Any:
    """Load a model from a file of any name."""
    path = os.fspath(filepath).rstrip("/")
    kwargs.pop("options", None)
    if path.endswith(_MODELS) or not os.path.isfile(path):
        return saving.load_model(filepath, *args, **kwargs)
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "a.nbnet")
        shutil.copyfile(path, copy)
        return saving.load_model(copy, *args, **kwargs)


def save_weights(method: Any, model: Any, filepath: Any, *args: Any, **kwargs: Any) -> None:
    """Save weights under a name that Keras 2 took: ``weights.h5``, or one without ending."""
    path, name = filepath, os.fspath(filepath)
    if name.endswith(_WEIGHTS):
        method(model, path, *args, **kwargs)
        return
    folder = os.path.dirname(name) or "."
    os.makedirs(folder, exist_ok=True)
    with _beside(name, folder) as middle:
        kwargs.pop("overwrite", None)
        kwargs.pop("save_format", None)
        method(model, middle, *args, **kwargs)
        os.replace(middle, name)


def load_weights(method: Any, model: Any, filepath: Any, *args: Any, **kwargs: Any) -> Any:
    """Load weights from a file of a name that Keras 2 took."""
    path, name = filepath, os.fspath(filepath)
    if name.endswith(_WEIGHTS) or _legacy(name):
        return method(model, path, *args, **kwargs)
    with _beside(name, os.path.dirname(name) or ".") as middle:
        shutil.copyfile(name, middle)
        return method(model, middle, *args, **kwargs)


@contextmanager
def _beside(name: str, where: str) -> Iterator[str]:
    """The path of a file in a new folder, of the ending that weights of this name have in Keras 3."""
    warn_old(f"weights in a file named {os.path.basename(name)}", "one whose name ends in .weights.h5")
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield os.path.join(folder, "a.weights.h5" if name.endswith((".h5", ".hdf5")) else "a.safetensors")


def _legacy(name: str) -> bool:
    """True if a file was written by Keras 2, whose layout has names of layers at its top."""
    if not name.endswith((".h5", ".hdf5")):
        return False
    with open_regular(Path(name)) as file:
        return b"layer_names" in file.read(1 << 20)


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
