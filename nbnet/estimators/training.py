"""Training of the multi-layer perceptrons, as in scikit-learn: rows, their order, validation, convergence, epochs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from nbnet.base.array_memory import pinned
from nbnet.base.console import show
from nbnet.callbacks import CallbackList
from nbnet.callbacks.callback import Callback, Logs
from nbnet.data.sparse import as_sparse_rows, is_sparse
from nbnet.engine.gemm.blas import SingleThread
from nbnet.engine.graph.tensor import Call
from nbnet.engine.runtime.batch_io import line_call
from nbnet.estimators.base import Array, F
from nbnet.estimators.mlp_parameters import MLPParameters
from nbnet.estimators.solvers import PenalizedLoss, RatePolicy
from nbnet.models import Model
from nbnet.train.data_source import ArraySource, EpochSampler
from nbnet.train.epoch_fusion import MultiEpochRunner
from nbnet.train.epoch_loop import train_epochs
from nbnet.train.finite_watch import FiniteWatch
from nbnet.train.fit import train_loop, training_lock
from nbnet.train.inputs import Rows
from nbnet.train.predict import predict
from nbnet.train.trainable import TrainingPosition


@dataclass(frozen=True, eq=False)
class FitData:
    """Rows to fit: a network's inputs, encoded targets, and sample weights or None."""

    x: tuple[Any, ...]
    targets: Array
    weights: Array | None

    def __len__(self) -> int:
        return len(self.targets)

    def rows(self, dtype: Any) -> Rows:
        """The rows as programs read them."""
        return replace(input_rows(self.x, dtype), y=(self.targets,), w=(self.weights,))

    def split(self, fraction: float, rng: np.random.RandomState, stratify: Array | None) -> tuple[FitData, FitData]:
        """Return the rows to train on, and the fraction that is held out; less than two of these are a ValueError."""
        arrays = [*self.x, self.targets, *([] if self.weights is None else [self.weights])]
        parts = train_test_split(*arrays, random_state=rng, test_size=fraction, stratify=stratify)
        if parts[1].shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return self._of(parts[::2]), self._of(parts[1::2])

    def _of(self, arrays: list[Any]) -> FitData:
        n = len(self.x)
        return FitData(tuple(arrays[:n]), arrays[n], None if self.weights is None else arrays[n + 1])


def input_rows(x: tuple[Any, ...], dtype: Any) -> Rows:
    """Return features as programs read them; integers are indices into embeddings."""
    parts = tuple(as_sparse_rows(part, "X", dtype=dtype) if is_sparse(part) else pinned(part, "X") for part in x)
    return Rows(parts, ids=tuple(part.dtype.kind == "i" for part in x))


def validator(
    model: Model, held: FitData, loss: PenalizedLoss, score: Callable[[Array, Array, Array | None], float]
) -> Callable[[], tuple[float, float]]:
    """Return a function that computes score and loss of the rows held out; NaN once the network has diverged."""
    rows = input_rows(held.x, model.dtype)

    def validate() -> tuple[float, float]:
        outputs: Array = predict(model, rows)
        if not np.isfinite(outputs).all():
            return float("nan"), float("nan")
        found = held.targets, outputs, held.weights
        return score(*found), loss.value(*found)

    return validate


def r2(y: Array, predicted: Array, weights: Array | None) -> float:
    """``1 - sum(w (y - predicted)**2) / sum(w (y - mean)**2)``, averaged over targets.

    A constant target scores 1 if it is predicted exactly, else 0. ``y`` and ``predicted`` are (n, targets), and are not
    checked again.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.estimators.training import r2
    >>> r2(np.array([[0.0], [2.0]]), np.array([[0.0], [1.0]]), None)
    0.5
    """
    w = np.ones((len(y), 1)) if weights is None else weights.astype(np.float64)[:, None]
    y64 = y.astype(np.float64)
    residual = (w * (y64 - predicted) ** 2).sum(0)
    total = (w * (y64 - np.average(y64, axis=0, weights=w[:, 0])) ** 2).sum(0)
    exact = np.where(residual == 0, 1.0, 0.0)
    varies = total != 0
    return float(np.where(varies, 1 - residual / np.where(varies, total, 1.0), exact).mean())


class SklearnSampler(EpochSampler):
    """The order of rows in each epoch, drawn as ``sklearn.utils.shuffle`` draws it; ``rng`` None: always the same."""

    resumes = False

    def __init__(self, n: int, size: int, rng: np.random.RandomState | None) -> None:
        super().__init__(n, size, False, TrainingPosition())
        self._rng = rng

    def remember(self) -> Callable[[], None] | None:
        """Return a function that brings back the order and the generator as they are now."""
        if self._rng is None:
            return None
        rng, order, state = self._rng, self.order.copy(), self._rng.get_state()

        def restore() -> None:
            self.order[:] = order
            rng.set_state(state)

        return restore

    def epoch(self, number: int) -> slice:
        """Put the rows in the order of the next epoch, which covers all of them."""
        if self._rng is not None:
            self.order[:] = self._next(self.order, self._rng)
        self.position.batch = 0
        return super().epoch(number)

    def calls(self, epochs: Sequence[int]) -> list[Call]:
        """Draw the orders of the next epochs; return the calls that put the rows in them."""
        if self._rng is None:
            return []
        lines, order = np.empty((len(epochs), len(self.order)), np.int64), self.order
        for line in lines:
            line[:] = order = self._next(order, self._rng)
        return [line_call(self.order, lines)]

    @staticmethod
    def _next(order: Array, rng: np.random.RandomState) -> Array:
        drawn = np.arange(len(order))
        rng.shuffle(drawn)
        return order[drawn]


@dataclass
class Convergence:
    """Losses and scores so far, and when to stop; kept by ``warm_start`` and ``partial_fit``."""

    early_stopping: bool  # validation scores decide, otherwise training losses
    losses: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best_loss: float = np.inf
    best_score: float = -np.inf
    no_improvement_count: int = 0  # consecutive epochs without an improvement by tol
    best_weights: Any = None  # of the epoch with the best score

    def add_loss(self, loss: float, tol: float) -> None:
        """Record the training loss of an epoch."""
        self.losses.append(loss)
        if self.early_stopping:
            return
        self.no_improvement_count = self.no_improvement_count + 1 if loss > self.best_loss - tol else 0
        # Not min(): NaN is never the best loss.
        self.best_loss = loss if loss < self.best_loss else self.best_loss

    def add_score(self, score: float, loss: float, tol: float) -> bool:
        """Record the validation score and loss of an epoch; return True if the score is the best so far."""
        self.scores.append(score)
        self.validation_losses.append(loss)
        if self.early_stopping:
            self.no_improvement_count = self.no_improvement_count + 1 if score < self.best_score + tol else 0
        if better := score > self.best_score:
            self.best_score = score
        return better

    def reason_to_stop(self, tol: float, patience: float) -> str:
        """Return the reason to stop, empty if training continues."""
        if self.no_improvement_count <= patience:
            return ""
        quantity = "Validation score" if self.early_stopping else "Training loss"
        return f"{quantity} did not improve more than tol={tol:f} for {patience} consecutive epochs."


@dataclass
class Training:
    """A training of a compiled network by a stochastic solver."""

    estimator: MLPParameters
    model: Model
    rows: Rows
    batch_size: int
    convergence: Convergence  # kept up to date
    sampler: EpochSampler
    rate_policy: RatePolicy
    validate: Callable[[], tuple[float, float]] | None = None  # returns validation score and loss
    one_epoch: bool = False  # stop after an epoch without a test of convergence: partial_fit
    constant: float = 0.0  # added to reported losses
    _calls: CallbackList = field(init=False)
    _done: int = field(init=False, default=0)
    _seen: int = field(init=False, default=0)

    def run(self, seen: int) -> tuple[int, int]:
        """Train, after ``seen`` rows of earlier fits; return the epochs of this training, and all rows seen."""
        model, max_iter, verbose = self.model, self.estimator.max_iter, int(self.estimator.verbose)
        source = ArraySource(self.rows, self.batch_size, self.sampler)
        calls = CallbackList(self.estimator.callbacks, model, verbose=verbose, epochs=max_iter, steps=source.length)
        self._calls, self._done, self._seen = calls, 0, seen
        with training_lock(model), SingleThread():
            loop = train_loop(model, source, calls)
            loop.watch = FiniteWatch(loop, "warn", 1 if self.one_epoch else max_iter, calls.callbacks)
            fused = MultiEpochRunner.of(loop) if self.validate is None and not self.one_epoch else None
            train_epochs(loop, range(max_iter), max_iter, self, calls, fused)
        if self.convergence.early_stopping and self.convergence.best_weights is not None:
            model.set_weights(self.convergence.best_weights)
        return self._done, self._seen

    # ---- the stopping policy ----

    def spare_epochs(self) -> int:
        """Epochs that may be trained before anything depends on the result of this one."""
        patience = self.estimator.n_iter_no_change - self.convergence.no_improvement_count
        return 0 if self.rate_policy.policy == "invscaling" else int(min(patience, self.estimator.max_iter))

    def interrupted(self) -> bool:
        """Warn of a Ctrl-C: training ends there, in good order."""
        warnings.warn("Training interrupted by user.", stacklevel=8)
        return True

    def end_epoch(self, epoch: int, logs: dict[str, Any]) -> bool:
        """Record an epoch; return True if it was the last."""
        self._done, self._seen = epoch + 1, self._seen + len(self.rows)
        convergence, loss = self.convergence, logs["loss"] + self.constant
        logs["loss"] = loss
        convergence.add_loss(loss, self.estimator.tol)
        self._print(f"Iteration {self._done}, loss = {loss:.8f}")
        if self.validate is not None:
            score, validation_loss = self.validate()
            logs |= {"val_loss": validation_loss, "val_score": score}
            self._print(f"Validation score: {score:f}")
            if convergence.add_score(score, validation_loss, self.estimator.tol) and convergence.early_stopping:
                convergence.best_weights = self.model.get_weights()
        self.rate_policy.end_epoch(self._seen)
        self._calls.call("on_epoch_end", epoch, logs)
        if self.model.stop_training or self._has_converged() or self.one_epoch:
            return True
        if self._done == self.estimator.max_iter:
            text = f"Stochastic Optimizer: Maximum iterations ({self._done}) reached"
            warnings.warn(f"{text} and the optimization hasn't converged yet.", ConvergenceWarning, stacklevel=8)
        return False

    def _has_converged(self) -> bool:
        reason = self.convergence.reason_to_stop(self.estimator.tol, self.estimator.n_iter_no_change)
        if not reason:
            return False
        stops, message = self.rate_policy.reach_plateau()
        self._print(reason + message)
        if not stops:
            self.convergence.no_improvement_count = 0
        return stops

    def _print(self, text: str) -> None:
        if self.estimator.verbose:
            show(text)


try:
    from sklearn import callback as _sklearn
except ImportError:  # an older scikit-learn
    _sklearn = None

#: Base class of estimators with callbacks.
CallbackSupportMixin: Any = type("NoCallbacks", (), {}) if _sklearn is None else _sklearn.CallbackSupportMixin


def with_callbacks(method: F) -> F:
    """Decorator of ``fit``: it releases the callbacks at the end."""
    return method if _sklearn is None else cast(F, _sklearn.with_callbacks(method))


class EpochReporter(Callback):
    """Reports each epoch to scikit-learn's callbacks; one that wants to stop ends the training.

    Examples
    --------
    >>> from nbnet.estimators.training import EpochReporter
    >>> EpochReporter(None, {}).wants_batches("train")
    False
    """

    def __init__(self, context: Any, arguments: dict[str, Any]) -> None:
        super().__init__()
        self._context, self._arguments, self._epoch = context, arguments, context

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = self._context.subcontext(task_name="epoch").call_on_fit_task_begin(**self._arguments)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self._epoch.call_on_fit_task_end(**self._arguments):
            self.model.stop_training = True


@contextmanager
def reported_fit(
    estimator: Any, epochs: int, X: Any, y: Any, weights: Any, fitted: Callable[[], dict[str, Any]]
) -> Iterator[list[Callback]]:
    """Context of a fit; yields the callbacks that report it to those of the estimator.

    ``epochs`` is the largest number of epochs; ``fitted`` returns the attributes of the estimator as if the fit were
    over.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        yield []
        return
    metadata = None if weights is None else {"sample_weight": weights}
    arguments = {"estimator": estimator, "X": X, "y": y, "metadata": metadata, "reconstruction_attributes": fitted}
    context = estimator._init_callback_context(max_subtasks=epochs)
    context.call_on_fit_task_begin(**arguments)
    yield [EpochReporter(context, arguments)]
    context.call_on_fit_task_end(**arguments)
