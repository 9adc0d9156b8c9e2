"""Time what comes before training: ``python -m benchmarks.startup``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import machine
from benchmarks.harness.learners import build, oppose
from benchmarks.harness.table import aligned, spread
from benchmarks.harness.turns import ratios
from benchmarks.harness.workloads import WORKLOADS

EPOCH = """
import numpy as np
import nbnet as nb

x, y = np.load("x.npy"), np.load("y.npy")
model = nb.Sequential([nb.Input((64,))])
for units in (128, 64):
    model.add(nb.layers.Dense(units, activation="relu"))
    model.add(nb.layers.Dropout(0.5))
model.add(nb.layers.Dense(10, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(x, y, batch_size=32, verbose=0)
"""
"""Trains for an epoch on digits, which lie beside it: reading them from scikit-learn would import scikit-learn."""

PROCESSES = {
    "import numba": "import numba",
    "import nbnet": "import nbnet",
    "first epoch, warm cache": EPOCH,
    "first epoch, empty cache": EPOCH,
}

NOTES = """\
Whole processes, from start to exit, in turn; medians over the rounds [smallest - largest], ratios within a round.
First epoch: a process that imports nbnet, builds 64-128-64-10 and trains for one epoch on digits. The warm cache was
filled by an earlier process; with the empty one every kernel is compiled, on all processors that NBNET_NUM_THREADS
leaves. Python's own .pyc files exist throughout.
predict: one row of digits, another one each time, in a process that has done it before."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description="Time imports and first epochs.")
    parser.add_argument("--rounds", type=int, default=7, help="how often each process is run (7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there, too")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds: expected a number above 0")

    described = machine.describe()
    print("\n".join(machine.lines(described)), end="\n\n", flush=True)
    processes, predictions = time_processes(options.rounds), time_predictions(2000)
    print(process_table(processes), prediction_table(predictions), NOTES, sep="\n\n")
    if options.json:
        found = {"machine": described, "processes": processes, "predictions": predictions}
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def time_processes(rounds: int) -> dict[str, list[float]]:
    """Seconds that each of ``PROCESSES`` takes, in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in PROCESSES}
    with tempfile.TemporaryDirectory() as folder:
        x, y = WORKLOADS["digits"].make()
        np.save(Path(folder, "x.npy"), x)
        np.save(Path(folder, "y.npy"), y)
        warm = Path(folder, "warm")
        for script in dict.fromkeys(PROCESSES.values()):
            run(script, folder, warm)
        for i in range(rounds):
            for name, script in PROCESSES.items():
                cache = Path(folder, f"cache-{i}") if "empty" in name else warm
                seconds[name].append(run(script, folder, cache))
    return seconds


def run(script: str, folder: str, cache: Path) -> float:
    """Seconds that a process takes for a script, in a folder, with a cache of kernels."""
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    # Set to nothing, it is off: without .pyc files half of the time would be spent compiling Python.
    own = {"PYTHONPATH": path, "NBNET_CACHE_DIR": str(cache), "PYTHONDONTWRITEBYTECODE": ""}
    environment = os.environ | own
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment, check=True)
    return time.perf_counter() - began


def time_predictions(calls: int) -> dict[str, list[float]]:
    """Microseconds that ``predict`` takes on one row of digits, for each call."""
    load = WORKLOADS["digits"]
    x, _ = load.make()
    rows = [x[i : i + 1] for i in range(len(x))]
    learners: dict[str, Any] = {"nbnet": build(load), "NumPy": oppose("NumPy", load)}
    found: dict[str, list[float]] = {}
    for name, model in learners.items():
        for row in rows[:100]:
            model.predict(row)
        found[name] = []
        for i in range(calls):
            began = time.perf_counter()
            model.predict(rows[i % len(rows)])
            found[name].append((time.perf_counter() - began) * 1e6)
    return found


def process_table(seconds: Mapping[str, Sequence[float]]) -> str:
    """Time of each process, and how many times ``import numba`` that is."""
    rows = [["process", "seconds", "/ import numba"]]
    for name, times in seconds.items():
        rows.append([name, spread(times), spread(ratios(times, seconds["import numba"]))])
    return aligned(rows)


def prediction_table(microseconds: Mapping[str, Sequence[float]]) -> str:
    """Time of ``predict`` on one row."""
    rows = [["predict, one row", "median us", "90% within us"]]
    rows += [[name, f"{np.median(t):.1f}", f"{np.percentile(t, 90):.1f}"] for name, t in microseconds.items()]
    return aligned(rows)


if __name__ == "__main__":
    main()
