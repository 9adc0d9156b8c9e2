"""Compare nbnet with Keras itself, step by step: ``python -m benchmarks.keras_twins``.

What is compared are the scripts in ``examples``: each is run up to its first ``fit``, once as it is and once with
``import keras``. Both models get the same weights and, with dropout left out, train on the same batches.

In float32 rounding alone drives some of them apart: where a unit's input is within rounding of 0, one library clips it
and the other does not, and Adam divides a gradient of any size by that size. So all are judged in float64, and in
float32 those that do not depend on that.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

import nbnet as nb
from benchmarks.harness.table import aligned

Array = NDArray[Any]

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
IMPORT = "import nbnet as keras\n"
#: The scripts, and what they are called with.
SCRIPTS: dict[str, tuple[str, ...]] = {
    "binary_classification": (),
    "multiclass_classification": (),
    "regression": (),
    "multi_input": (),
    "embedding_tabular": (),
    "residual": (),
    "convnet_fashion_mnist": ("--digits",),
    "custom_loop": (),
}
#: Those that are judged in float32, too.
STEADY = ("multiclass_classification", "regression", "multi_input")
DTYPES = ("float32", "float64")
STEPS = 50
#: How far losses may be apart, relative to Keras's.
ALLOWED = 1e-4


class _Reached(BaseException):
    """The script called ``fit``: no exception that it would catch."""


@dataclass(frozen=True)
class Task:
    """The arguments of the first ``fit`` of a script.

    Attributes
    ----------
    model
        The compiled model.
    x, y
        Arrays, or dicts of arrays.
    """

    model: Any
    x: Any
    y: Any
    batch_size: int
    class_weight: Mapping[int, float] | None


@dataclass(frozen=True)
class Comparison:
    """The losses of all steps in nbnet and in Keras."""

    script: str
    dtype: str
    parameters: int
    optimizer: str
    ours: Array
    theirs: Array

    @property
    def difference(self) -> float:
        """The largest difference of losses in a step, relative to Keras's loss."""
        return float(np.max(np.abs(self.ours / self.theirs - 1)))

    @property
    def agrees(self) -> bool:
        """True if the difference is small enough, or need not be; NaN is not small."""
        return self.difference <= ALLOWED or (self.dtype == "float32" and self.script not in STEADY)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; end with 1 if losses disagree. See ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keras_twins", description="Compare with Keras.")
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help=f"of {', '.join(SCRIPTS)} (all)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of training ({STEPS})")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.scripts if name not in SCRIPTS]:
        parser.error(f"SCRIPT: expected names out of {', '.join(SCRIPTS)}, got {', '.join(unknown)}")
    if options.steps < 1:
        parser.error("--steps: expected 1 or more")
    keras = import_keras()
    print(f"nbnet {nb.__version__}, Keras {keras.__version__} on {keras.backend.backend()}")
    found = [compare(name, keras, dtype, options.steps) for name in options.scripts or SCRIPTS for dtype in DTYPES]
    print(table(found))
    print(f"difference: of the losses, the largest in {options.steps} steps; relative. !: more than {ALLOWED}")
    if not all(comparison.agrees for comparison in found):
        sys.exit(1)


def import_keras() -> Any:
    """The module Keras on JAX (unless ``KERAS_BACKEND`` says otherwise); ends the process if it is not there."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    # Without it JAX computes in float32, whatever it is told.
    os.environ.setdefault("JAX_ENABLE_X64", "1")
    try:
        import keras
    except ImportError as error:
        raise SystemExit(f"Keras on JAX is missing ({error}): pip install 'nbnet[keras]'") from None
    return keras


def compare(script: str, keras: Any, dtype: str, steps: int) -> Comparison:
    """Train a script's model in nbnet and in another library, from nbnet's initial weights.

    Parameters
    ----------
    script
        One of ``SCRIPTS``.
    keras
        The other library.
    dtype
        Dtype that both compute in.
    steps
        Number of batches to train on, which take the rows in order, repeatedly.
    """
    with _computing_in(dtype, nb), _computing_in(dtype, keras), _without_dropout(nb), _without_dropout(keras):
        mine, other = (captured(script, library) for library in (nb, keras))
        other.model.set_weights(mine.model.get_weights())
        parameters, optimizer = mine.model.count_params(), type(mine.model.optimizer).__name__
        return Comparison(script, dtype, parameters, optimizer, losses(mine, steps), losses(other, steps))


@contextlib.contextmanager
def _computing_in(dtype: str, library: Any) -> Iterator[None]:
    """Layers made inside have this dtype."""
    config, before = library.config, library.config.floatx()

    def change(dtype: str) -> None:
        config.set_floatx(dtype)
        # Keras's layers go by a policy, which was made of floatx when the first one was.
        if library is not nb:
            config.set_dtype_policy(dtype)

    change(dtype)
    try:
        yield
    finally:
        change(before)


@contextlib.contextmanager
def _without_dropout(library: Any) -> Iterator[None]:
    """Dropout layers return what they are given."""

    def identity(self: Any, x: Any, training: Any = None) -> Any:
        return x

    with mock.patch.object(library.layers.Dropout, "call", identity):
        yield


def captured(script: str, library: Any) -> Task:
    """Return the first task that a script would ``fit`` if it imported this library."""
    tasks = []

    def fit(
        self: Any, x: Any, y: Any, batch_size: int = 32, class_weight: Mapping[int, float] | None = None, **_: Any
    ) -> None:
        tasks.append(Task(self, x, y, batch_size, class_weight))
        raise _Reached

    path = EXAMPLES / f"{script}.py"
    source = path.read_text(encoding="utf-8")
    assert source.count(IMPORT) == 1
    code = compile(source.replace(IMPORT, f"import {library.__name__} as keras\n"), path, "exec")
    with (
        mock.patch.object(library.Model, "fit", fit),
        mock.patch.object(sys, "argv", [str(path), *SCRIPTS[script]]),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.suppress(_Reached),
    ):
        exec(code, {"__name__": "__main__"})
    (task,) = tasks
    return task


def losses(task: Task, steps: int) -> Array:
    """The loss of each step, before its update."""
    n = len(next(iter(task.y.values())) if isinstance(task.y, dict) else task.y) // task.batch_size
    found = []
    for step in range(steps):
        start = step % n * task.batch_size
        rows = slice(start, start + task.batch_size)
        # Keras's metrics go on from call to call.
        task.model.reset_metrics()
        logs = task.model.train_on_batch(
            _rows(task.x, rows), _rows(task.y, rows), class_weight=task.class_weight, return_dict=True
        )
        found.append(float(logs["loss"]))
    return np.array(found)


def _rows(data: Any, rows: slice) -> Any:
    return {name: array[rows] for name, array in data.items()} if isinstance(data, dict) else data[rows]


def table(found: Sequence[Comparison]) -> str:
    """A row for each: its first loss, its last ones, and the largest difference."""
    rows = [["script", "dtype", "parameters", "optimizer", "first loss", "last: nbnet", "Keras", "difference", ""]]
    for one in found:
        numbers = [f"{value:.6f}" for value in (one.ours[0], one.ours[-1], one.theirs[-1])]
        difference = [f"{one.difference:.1e}", "" if one.agrees else "!"]
        rows.append([one.script, one.dtype, f"{one.parameters:,}", one.optimizer, *numbers, *difference])
    return aligned(rows)


if __name__ == "__main__":
    main()
