"""A library's process: ``python -m benchmarks.peers.worker LIBRARY`` reads requests and writes answers, a line each.

A request is a JSON object: ``do``, the name of a method of :class:`Worker`, and its arguments. An answer is what the
method returned, under ``found``, or ``error``.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from benchmarks.peers.exercise import Exercise, load
from benchmarks.peers.libraries import LIBRARIES, Learner, Module
from benchmarks.peers.searching import Grid, best
from benchmarks.peers.timing import median_time

#: Seconds for which a setting is tried out, once it has trained an epoch.
TRIAL = 0.3
#: Seconds of predictions that do not count.
WARM_UP = 0.05


class Worker:
    """The methods that a worker process can be asked to run.

    Parameters
    ----------
    name
        Name of the library.
    """

    def __init__(self, name: str) -> None:
        self.library = LIBRARIES[name]
        self.module: Module = self.library.load()
        self.exercise: Exercise
        self.learner: Learner

    def versions(self) -> dict[str, str]:
        """Of Python and of the library."""
        return {"python": platform.python_version(), **self.library.versions()}

    def start(self, exercise: str, setting: str | None = None, trial: bool = True) -> dict[str, Any]:
        """Make a learner; with several settings to choose from, the one that trains fastest.

        Parameters
        ----------
        exercise
            Path of the file.
        setting
            Name of the setting to use, without trying the others.
        trial
            True to try all settings; if False, the first one is used.
        """
        self.exercise = load(Path(exercise))
        offered = self.module.settings(self.exercise.network)
        tried: dict[str, float | str] = {}
        if setting is None and trial and len(offered) > 1:
            tried = {name: self._try(keywords) for name, keywords in offered.items()}
            worked = {name: seconds for name, seconds in tried.items() if isinstance(seconds, float)}
            if not worked:
                raise RuntimeError(f"no setting works: {tried}")
            setting = min(worked, key=worked.__getitem__)
        setting = setting or next(iter(offered))
        self.setting = offered[setting]
        self.learner = self.module.start(self.exercise, **self.setting)
        self.known: set[int] = set()
        return {"setting": setting, "tried": tried}

    def _try(self, keywords: dict[str, Any]) -> float | str:
        """Return the seconds that an epoch took, or the error that prevented it."""
        gc.collect()
        try:
            learner = self.module.start(self.exercise, **keywords)
            learner.train(1)
            return median_time(lambda: learner.train(1), TRIAL)
        except Exception as error:
            return short(error)

    def train(self, epochs: int, seconds: float = 0.0) -> dict[str, Any]:
        """Train from the initial weights, again and again while time lasts.

        A learner's very first training, which compiles what there is to compile, does not count.

        Parameters
        ----------
        epochs
            Number of epochs of each training.
        seconds
            Time to spend; there is at least one training.

        Returns
        -------
        dict
            ``seconds``, the median time; ``times``, the number of trainings; ``loss``, the last loss.
        """
        if epochs not in self.known:
            # A call for several epochs may be made otherwise than one for a single one.
            self.learner.train(epochs)
            self.known.add(epochs)
        gc.collect()
        took: list[float] = []
        while not took or sum(took) < seconds:
            self.learner.reset()
            began = time.perf_counter()
            losses = self.learner.train(epochs)
            took.append(time.perf_counter() - began)
        return {"seconds": float(np.median(took)), "times": len(took), "loss": losses[-1]}

    def losses(self, epochs: int) -> list[float]:
        """Return the loss of each epoch, from the initial weights."""
        self.learner.reset()
        return self.learner.train(epochs)

    def search(self, grid: Grid, folds: int, epochs: int) -> dict[str, float]:
        """Seconds of a search over all settings of a grid on the exercise's data, and the best score in it."""
        search = getattr(self.module, "search", partial(best, self.module, self.setting))
        # Kernels are loaded and processes started before time is taken.
        search(self.exercise, {name: values[:1] for name, values in grid.items()}, 2, 1)
        gc.collect()
        began = time.perf_counter()
        score = search(self.exercise, grid, folds, epochs)
        return {"seconds": time.perf_counter() - began, "score": float(score)}

    def alone(self, what: str, arguments: list[Any]) -> list[str]:
        """Make ready what a function of the library's module offers to call; return the names of its ways."""
        if not hasattr(self.module, what):
            return []
        self.calls: dict[str, Any] = getattr(self.module, what)(*arguments)
        return list(self.calls)

    def time(self, way: str, seconds: float) -> dict[str, float]:
        """Median seconds that a call took."""
        median_time(self.calls[way], WARM_UP)
        return {"seconds": median_time(self.calls[way], seconds)}

    def predict(self, way: str, rows: int, seconds: float) -> dict[str, float]:
        """Median seconds that a call took; each call has other rows."""
        x = self.exercise.x
        batches = [(x[i : i + rows],) for i in range(0, len(x) - rows + 1, rows)][:256]
        call = self.learner.predictors(rows)[way]
        median_time(call, WARM_UP, batches)
        return {"seconds": median_time(call, seconds, batches)}

    def probabilities(self, rows: int) -> dict[str, list[list[float]]]:
        """Of the first rows, for each way to predict."""
        x = self.exercise.x[:rows]
        return {name: np.asarray(call(x)).tolist() for name, call in self.learner.predictors(len(x)).items()}


def short(error: BaseException) -> str:
    """An exception in a line."""
    return f"{type(error).__name__}: {error}".split("\n")[0][:300]


def answers() -> TextIO:
    """Where answers go. What libraries print goes to where errors go."""
    kept = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return kept


def main(name: str) -> None:
    """Answer requests until there are no more."""
    out = answers()
    worker: Worker | str
    try:
        worker = Worker(name)
    except Exception as error:
        worker = short(error)
    for line in sys.stdin:
        print(json.dumps(answer(worker, json.loads(line))), file=out, flush=True)


def answer(worker: Worker | str, request: dict[str, Any]) -> dict[str, Any]:
    """To a request; without a worker, why there is none."""
    if isinstance(worker, str):
        return {"error": worker}
    try:
        return {"found": getattr(worker, request.pop("do"))(**request)}
    except Exception as error:
        return {"error": short(error)}


if __name__ == "__main__":
    main(sys.argv[1])
