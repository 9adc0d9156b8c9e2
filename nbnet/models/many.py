"""Training of many models at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

from nbnet.base.console import show
from nbnet.callbacks.callback import History
from nbnet.callbacks.progress import Progress
from nbnet.data import settled_parts
from nbnet.engine.gemm.blas import SingleThread
from nbnet.engine.runtime.parallel import resolve_n_jobs, run_tasks
from nbnet.models.model import Model
from nbnet.models.trainer import PreparedFit, prepare_fit
from nbnet.train.compiled_runner import clear_programs
from nbnet.train.fit import training_lock


def fit_many(
    jobs: Iterable[Model | Mapping[str, Any]],
    x: Any = None,
    y: Any = None,
    *,
    n_jobs: int | None = None,
    verbose: int | str = "auto",
    return_exceptions: bool = False,
    **shared: Any,
) -> list[History]:
    """Train many compiled models at once, on all processors, in this process.

    Each model has one processor; several, if fewer models than processors are trained at a time. The weights are, bit
    for bit, those of one ``fit`` after the other in this order, with as many processors each
    (``NBNET_NUM_THREADS=1``). Arrays are read where they are; they are not copied for each model. Fits whose callbacks
    have to see every epoch or batch wait for each other now and then.

    Parameters
    ----------
    jobs
        Models; or dicts with a ``"model"`` and arguments of :meth:`nbnet.Model.fit` for it only.
    x, y, **shared
        Arguments of ``fit`` for the jobs that have none of their own.
    n_jobs
        Number of models that are trained at the same time: by default, or -1, that of processors.
    verbose : {"auto", 0, 1, 2}
        See :class:`nbnet.callbacks.progress.Progress`; 1 draws a bar for all jobs, 2 prints a line for each.
    return_exceptions
        If True, the error of a job takes the place of its history. Otherwise it is raised when all jobs are done, with
        a note that names the job.

    Returns
    -------
    list of History
        In the order of the jobs; each is the model's ``history``, too.

    Raises
    ------
    ValueError, TypeError
        Before anything is trained: if arguments of a job do not fit its model, or two jobs share an object that
        training changes (a model, weights, an optimizer, a callback).

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> nb.set_random_seed(0)
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> models = []
    >>> for units in (2, 4, 8):
    ...     models.append(nb.Sequential([nb.Input((1,)), nb.layers.Dense(units, "tanh"), nb.layers.Dense(1)]))
    ...     models[-1].compile("adam", "mse")
    >>> histories = nb.fit_many(models, x, x**2, epochs=20, verbose=0)
    >>> [len(history.epoch) for history in histories]
    [20, 20, 20]
    >>> halves = [{"model": model, "x": x[k::2], "y": x[k::2]} for k, model in enumerate(models[:2])]
    >>> [history.params["epochs"] for history in nb.fit_many(halves, epochs=5, verbose=0)]
    [5, 5]
    """
    # Copies of mapped files, if they are small, are made once.
    x, y = settled_parts(x, "x"), settled_parts(y, "y")
    members = [_Job(number, job, {"x": x, "y": y, **shared}) for number, job in enumerate(jobs)]
    _check_apart(members)
    threads, each = resolve_n_jobs(n_jobs, len(members))
    results: dict[int, Any] = {}
    with ExitStack() as held, Progress(verbose, None, len(members)) as bar, SingleThread():
        ready = []
        for job in members:
            try:
                ready.append((job, job.prepare(held)))
            except Exception as error:
                if not return_exceptions:
                    raise
                results[job.number] = error
        bar.begin_epoch(0)
        tasks = [task for _, task in ready]
        for k, history, failure in held.enter_context(closing(run_tasks(tasks, threads, each))):
            if failure is not None and not isinstance(failure, Exception):
                raise failure
            job = ready[k][0]
            results[job.number] = history if failure is None else job.named(failure)
            _show(bar, job, results)
        bar.end_epoch({})
    histories = [results[job.number] for job in members]
    failures = {number: result for number, result in enumerate(histories) if isinstance(result, Exception)}
    if failures and not return_exceptions:
        first = next(iter(failures.values()))
        first.add_note(f"fit_many: {len(failures)} of {len(members)} jobs have failed: {', '.join(map(str, failures))}")
        raise first
    return histories


class _Job:
    """A model, and the arguments of its ``fit``."""

    def __init__(self, number: int, given: Any, shared: Mapping[str, Any]) -> None:
        own = dict(given) if isinstance(given, Mapping) else {"model": given}
        model = own.pop("model", None)
        if not isinstance(model, Model):
            raise TypeError(f"jobs[{number}]: expected a model, or a dict with a 'model', got {given!r}")
        self.number, self.model = number, model
        self.name = f"jobs[{number}], model {model.name}"
        if "verbose" in own:
            raise TypeError(f"{self.name}: verbose is for fit_many, not for a job")
        self.arguments = {**shared, **own, "verbose": 0}
        self._prepared: PreparedFit | None = None

    def prepare(self, held: ExitStack) -> Callable[[], History]:
        """Check the arguments and draw the keys; return the function that trains."""
        model = self.model
        if type(model).fit is not Model.fit:
            return lambda: model.fit(**self.arguments)
        try:
            self._prepared = prepare_fit(model, self.arguments)
            held.enter_context(training_lock(model))
        except Exception as error:
            raise self.named(error) from error.__cause__
        self._prepared.fit.begin()
        return self._run

    def named(self, error: Exception) -> Exception:
        """Return the error with a note that names the job."""
        error.add_note(f"fit_many: in {self.name}")
        return error

    def _run(self) -> History:
        prepared, self._prepared = self._prepared, None
        assert prepared is not None
        try:
            prepared.fit.run(prepared.calls, prepared.bar, prepared.history)
        finally:
            # Programs belong to this thread, which ends; their memory goes now.
            clear_programs(self.model)
        return prepared.history


def _check_apart(jobs: Sequence[_Job]) -> None:
    """Raise ValueError if two jobs change the same object."""
    known: dict[int, tuple[_Job, str]] = {}
    for job in jobs:
        for part, what in _changed(job):
            other, _ = known.setdefault(id(part), (job, what))
            if other is not job:
                raise ValueError(
                    f"jobs: {other.number} and {job.number} share {what}; what training changes must be each job's own"
                )


def _changed(job: _Job) -> Iterable[tuple[Any, str]]:
    """Yield the objects that a job changes, and their names in messages."""
    model = job.model
    yield model, f"the model {model.name}"
    yield from ((w, f"the weight {w.name}") for w in model.weights)
    if model.optimizer is not None:
        yield model.optimizer, f"the optimizer {model.optimizer.name}"
    callbacks = job.arguments.get("callbacks")
    for callback in callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]:
        if callback is not None:
            yield callback, f"the callback {type(callback).__name__}"
    if hasattr(job.arguments["x"], "__next__"):
        yield job.arguments["x"], "the generator x"


def _show(bar: Progress, job: _Job, results: Mapping[int, Any]) -> None:
    """Show that a job is done."""
    result = results[job.number]
    bar.update(len(results), {k: v[-1] for k, v in result.history.items()} if isinstance(result, History) else {})
    if bar.verbose == 2:
        show(f"{len(results)}/{bar.steps} - {job.name}: {result!r}", bar.stream)
