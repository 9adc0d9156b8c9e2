"""What the wrappers of a network share: building, training, going on, computing outputs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted

from nbnet.estimators import building
from nbnet.estimators.base import NeuralEstimator, generator, next_seed
from nbnet.estimators.compiling import compile_for, own_callbacks
from nbnet.estimators.labels import MULTILABEL
from nbnet.estimators.networks import small_network
from nbnet.estimators.reporting import CallbackSupportMixin, reported
from nbnet.estimators.routing import PREFIXES, Routed, without_routed
from nbnet.estimators.tasks import Classification, Task
from nbnet.history import History
from nbnet.models.model import Model
from nbnet.random import seed_scope

Array = NDArray[Any]
#: Smaller batches are computed by other kernels than larger ones, and may differ from them in the last bits.
FEWEST_ROWS = 4


class Net(Routed, CallbackSupportMixin, NeuralEstimator):  # type: ignore[misc]
    """Base of :class:`NetClassifier`, :class:`NetRegressor` and :class:`NetTransformer`."""

    _prefixes: ClassVar[Mapping[str, Callable[[Any], Iterable[str] | None]]] = PREFIXES
    #: What makes a model if there is none.
    _usual: ClassVar[Callable[..., Model]] = staticmethod(small_network)

    @without_routed
    def __init__(
        self,
        model: Any = None,
        *,
        optimizer: Any = "auto",
        loss: Any = "auto",
        metrics: Any = None,
        batch_size: int | None = 32,
        epochs: int = 50,
        validation_split: float = 0.0,
        callbacks: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int | str = 0,
        dtype: Any = None,
        **routed: Any,
    ) -> None:
        self._keep(locals())

    def _keep(self, parameters: Mapping[str, Any]) -> None:
        own = dict(parameters)
        self._take(own.pop("routed"))
        super()._keep(own)

    def __sklearn_is_fitted__(self) -> bool:
        # A routed parameter may end with an underscore, too.
        return "model_" in vars(self)

    # ---- a new model ----

    def _begin(self, X: Any, y: Any, task: Task) -> None:
        """Build and compile a model for data like these."""
        self.check_routed()
        self._rng = generator(self.random_state)
        with seed_scope(next_seed(self._rng)):
            model, source = self._make(X, y, task)
            self._compile(model, source, task, self._width(model, X))
        self.model_, self.history_ = model, History()
        #: What predictions come in: bytes and the like do not make them more exact.
        self._float = np.result_type(X.dtype, model.dtype)
        #: Masks of predictions that sample are the same each time.
        self._mask_seed = next_seed(self._rng)

    def _compile(self, model: Model, source: Model, task: Task, width: int) -> None:
        self._ready(model, compile_for(self, model, source, task, width), task, width)
        self._task, self._units = task, width
        self._built_by = self._settings("model")
        self._compiled_by = self._settings("optimizer", "loss", "metrics", "compile")

    def _settings(self, *names: str) -> list[Any]:
        """Parameters of these names, and those with them as prefixes."""
        return [(getattr(self, name, None), self.routed(name)) for name in names]

    def _go_on(self) -> None:
        """See to it that the model of the last fit is what parameters say now."""
        self.check_routed()
        if _differ(self._built_by, self._settings("model")):
            raise ValueError(
                "model: this training goes on with the model of the last one, and parameters of the model were changed "
                "since; clone the estimator to begin anew"
            )
        if _differ(self._compiled_by, self._settings("optimizer", "loss", "metrics", "compile")):
            self._compile(self.model_, self.model_, self._task, self._units)

    def _make(self, X: Any, y: Any, task: Task) -> tuple[Model, Model]:
        """A model, and the one that says how to compile it."""
        changes = self.routed("model")
        if isinstance(self.model, Model):
            make = building.taken if self.warm_start else building.renewed
            return make(self.model, changes, self.dtype), self.model
        facts = building.facts_about(X, y, task.facts, self.dtype)
        function = type(self)._usual if self.model is None else self.model
        made = building.built(function, changes, facts, self.dtype)
        return made, made

    def _width(self, model: Model, X: Any) -> int:
        """Units of the output."""
        return building.output_width(model, building.feed(model, X[:1]))

    def _ready(self, model: Model, loss: Any, task: Task, units: int) -> None:
        """Take note of a model that was compiled for a task."""

    # ---- training ----

    def _train(
        self, X: Any, y: Array | None, weights: Array | None, validation: Any = None, epochs: int | None = None
    ) -> None:
        """Train the model, from where it stands, for a number of epochs.

        Parameters
        ----------
        y
            As it was validated.
        weights
            Of rows.
        validation
            ``(X, y)`` or ``(X, y, sample_weight)``, as the user gave them.
        epochs
            By default those of the constructor.
        """
        x, target, given = building.feed(self.model_, X), self._target(X, y), weights
        held = None
        if validation is not None:
            held = self._validation(validation)
        elif epochs is None and self.validation_split:
            rows, others = self._split(y, weights, len(target))
            held = (_rows(x, others), target[others], *(() if weights is None else (weights[others],)))
            x, target, weights = _rows(x, rows), target[rows], None if weights is None else weights[rows]
        first, more = self.n_iter_, self.epochs if epochs is None else epochs
        self.callbacks_ = own_callbacks(self.callbacks, self.routed("callbacks"))
        with seed_scope(next_seed(self._rng)), reported(self, more, X, y, given, self._snapshot) as told:
            history = self.model_.fit(
                x,
                target,
                batch_size=self.batch_size,
                epochs=first + more,
                initial_epoch=first,
                verbose=self.verbose,
                callbacks=[*self.callbacks_, *told],
                validation_data=held,
                sample_weight=weights,
                **self.routed("fit"),
            )
        for name, values in history.history.items():
            self.history_.history.setdefault(name, []).extend(values)
        self.history_.epoch += history.epoch
        self.history_.params, self.history_.masks = history.params, history.masks
        self._trained(held)

    @property
    def n_iter_(self) -> int:
        """Epochs that the model was trained for."""
        return len(self.history_.epoch)

    def _target(self, X: Any, y: Any) -> Array:
        """What the loss reads."""
        return self._task.encode(y, self.model_.loss, self._units)

    def _snapshot(self) -> dict[str, Any]:
        """Attributes of an estimator like this one whose training is over."""
        return {"model_": copy.deepcopy(self.model_)}

    def _trained(self, held: tuple[Any, ...] | None) -> None:
        """Take note of the rows that were validated on."""

    def _split(self, y: Any, weights: Array | None, n: int) -> tuple[Array, Array]:
        """Numbers of rows to train on, and of those to validate on: drawn from rows that count, and for classifiers
        with each class's share if the classes are large enough."""
        rows = np.arange(n) if weights is None else np.flatnonzero(weights)
        how = {"test_size": self.validation_split, "random_state": next_seed(self._rng)}
        try:
            _, held = train_test_split(rows, **how, stratify=self._strata(y, rows))
        except ValueError:
            _, held = train_test_split(rows, **how)
        return np.setdiff1d(np.arange(n), held), held

    def _strata(self, y: Any, rows: Array) -> Any:
        task = self._task
        single = isinstance(task, Classification) and task.labels.kind != MULTILABEL
        return y[rows] if single else None

    def _validation(self, given: Any) -> tuple[Any, ...]:
        """Data of validation as the model reads them."""
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise ValueError(f"validation_data: wants (X, y) or (X, y, sample_weight), got {type(given).__name__}")
        try:
            X, y = self._checked(given[0], given[1], reset=False, multi_output=True, **self._intake)
            return (building.feed(self.model_, X), self._target(X, y), *given[2:])
        except ValueError as error:
            raise ValueError(f"validation_data: {error}") from None

    # ---- outputs ----

    def _features(self, X: Any) -> Any:
        """Features to predict from, or to validate on."""
        return self._checked(X, reset=False, **self._intake)

    #: How features are checked: bytes stay bytes, and rows may be images.
    _intake: ClassVar[dict[str, Any]] = {"dtype": "numeric", "allow_nd": True}

    def _outputs(self, X: Any) -> Array:
        """What the model makes of features, dropout not at work."""
        check_is_fitted(self)
        X = self._features(X)
        return self._computed(self.model_, X).astype(self._float, copy=False)

    def _computed(self, model: Model, X: Any) -> Array:
        """The outputs of a model for features: for a row the same whichever rows are beside it."""
        n = X.shape[0]
        if n < FEWEST_ROWS:
            X = X[np.arange(FEWEST_ROWS) % n]
        outputs: Array = model.predict(building.feed(model, X), **self.routed("predict"))
        return outputs[:n]

    def _sampled(self, X: Any, samples: int, **wishes: Any) -> Any:
        """What it makes of them in so many passes with dropout at work; see :meth:`nbnet.Model.predict_mc`."""
        check_is_fitted(self)
        x = building.feed(self.model_, self._features(X))
        return self.model_.predict_mc(x, samples, seed=self._mask_seed, **self.routed("predict"), **wishes)


def _rows(x: Any, which: Array) -> Any:
    return [part[which] for part in x] if isinstance(x, list) else x[which]


def held_out(validation_data: Any, X_val: Any, y_val: Any) -> Any:
    """Data of validation, however they are given.

    Raises
    ------
    ValueError
        If they are given twice, or half of them.
    """
    if X_val is None and y_val is None:
        return validation_data
    if X_val is None or y_val is None:
        raise ValueError(f"{'X_val' if X_val is None else 'y_val'}: wants data, as there are of the other; got None")
    if validation_data is not None:
        raise ValueError("validation_data: wants None beside X_val and y_val")
    return X_val, y_val


def _differ(before: list[Any], now: list[Any]) -> bool:
    try:
        return before != now
    except ValueError:  # other arrays than before
        return True
