"""Count the files that a call of nbnet passes through: ``python -m benchmarks.call_path``.

A network of 64-32-10 with dropout is trained, with its kernels compiled already. For its first ``fit``, a second one
and a forward pass on a tape, the script prints how many files and functions were entered, how many Python calls were
made, and how often a call was in another file than the call before it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import FrameType
from typing import Any

import numpy as np

import nbnet as nb

ROOT = os.path.dirname(nb.__file__) + os.sep


@dataclass
class CallPath:
    """Calls of functions in the package, in the order in which they were made."""

    calls: list[tuple[str, str]] = field(default_factory=list)

    @property
    def files(self) -> list[str]:
        """Files, in the order in which they were first entered."""
        return list(dict.fromkeys(file for file, _ in self.calls))

    @property
    def changes(self) -> Counter[tuple[str, str]]:
        """Pairs of different files of consecutive calls, and how often each occurred."""
        files = [file for file, _ in self.calls]
        return Counter((a, b) for a, b in pairwise(files) if a != b)

    def __str__(self) -> str:
        counts = len(self.files), len(set(self.calls)), len(self.calls), self.changes.total()
        return "{} files, {} functions, {} calls, {} changes of file".format(*counts)


def record(function: Callable[[], Any]) -> CallPath:
    """Call a function and record the calls it makes.

    Examples
    --------
    >>> path = record(lambda: nb.ops.exp([0.0]))
    >>> "ops/elementwise.py" in path.files
    True
    """
    path = CallPath()

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(ROOT):
            path.calls.append((name[len(ROOT) :].replace(os.sep, "/"), frame.f_code.co_qualname))

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return path


def network() -> nb.Sequential:
    """A compiled network with dropout."""
    hidden = nb.layers.Dense(32, "relu")
    model = nb.Sequential([nb.Input((64,)), hidden, nb.layers.Dropout(0.5), nb.layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the counts; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.call_path", description="Count files and calls.")
    parser.add_argument("-v", "--verbose", action="store_true", help="list the files and the most frequent changes")
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(0)
    x, y = rng.random((320, 64), "float32"), rng.integers(0, 10, 320)
    network().fit(x, y, verbose=0)
    model = network()
    for label, call in (
        ("first fit", lambda: model.fit(x, y, verbose=0)),
        ("second fit", lambda: model.fit(x, y, verbose=0)),
        ("forward on a tape", lambda: forward(model, x[:4])),
    ):
        path = record(call)
        print(f"{label}: {path}")
        if options.verbose:
            print("  " + " -> ".join(path.files))
            for (a, b), count in path.changes.most_common(12):
                print(f"  {count:4d}  {a} -> {b}")


def forward(model: nb.Sequential, x: Any) -> Any:
    """The outputs for a batch, with dropout, recorded on a tape."""
    with nb.Tape():
        return model(x, training=True)


if __name__ == "__main__":
    main()
