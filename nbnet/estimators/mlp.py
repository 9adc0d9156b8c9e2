"""What the classifier and the regressor have in common: a network, fitted as scikit-learn fits its own."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils import check_array, check_X_y
from sklearn.utils.validation import check_is_fitted, validate_data

from nbnet.core.blas import single_thread
from nbnet.core.processors import limited
from nbnet.core.tape import paused
from nbnet.estimators import lbfgs, settings
from nbnet.estimators.architecture import Architecture, activation_of, continued, each, sizes
from nbnet.estimators.base import NeuralEstimator, flat, generator, next_seed, sample_weights
from nbnet.estimators.categories import Categories
from nbnet.estimators.holdout import Part, inputs, validator
from nbnet.estimators.penalised import Penalised
from nbnet.estimators.solvers import accepted_dtypes, compute_dtype, looks_at_all_rows, new_optimizer, rates
from nbnet.estimators.stopping import Progress
from nbnet.estimators.training import Drawn, Training
from nbnet.estimators.weights import Shown
from nbnet.models import Model
from nbnet.models.monte_carlo import MCPrediction
from nbnet.models.prediction import USUAL_ROWS, predict

Array = NDArray[Any]

#: What a fit leaves behind and a new one begins without.
_STALE = (
    "loss_", "loss_curve_", "best_loss_", "validation_scores_", "validation_loss_curve_", "best_validation_score_",
    "coefs_", "intercepts_", "model_", "_shown", "_distances",
)  # fmt: skip


class MLP(Shown, NeuralEstimator):
    """A multi-layer perceptron; see :class:`MLPClassifier` and :class:`MLPRegressor`."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = settings.CONSTRAINTS
    _categories: Categories | None
    _compiled: tuple[Any, ...]
    _made: Architecture
    model_: Model

    # ---- what subclasses say ----

    @property
    @abstractmethod
    def _width(self) -> int:
        """Units of the last layer."""

    @abstractmethod
    def _validated(self, X: Any, y: Any, incremental: bool, first: bool) -> tuple[Any, Array]:
        """X and y, checked; what there is to learn of the outputs from y."""

    @abstractmethod
    def _encoded(self, y: Array) -> Array:
        """Targets in numbers."""

    @abstractmethod
    def _objective_for(self, targets: Array, weights: Array | None) -> Penalised:
        """What is to be minimised."""

    @abstractmethod
    def _score_of(self, y: Array, outputs: Array, weights: Array | None) -> float:
        """Accuracy or R2 of outputs, for encoded targets."""

    def _keep_held(self, held: Part) -> None:
        """Remember how far off predictions are for rows that are held out."""

    # ---- fit ----

    def _fit(self, X: Any, y: Any, sample_weight: Any, validation_data: Any, incremental: bool) -> Any:
        units = sizes(self.hidden_layer_sizes)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        part = self._part(X, y, sample_weight, getattr(self, "class_weight", None), incremental, first)
        rng = generator(self.random_state)
        objective = self._objective_for(part.targets, part.weights)
        if first or not hasattr(self, "_progress"):
            self._begin(first)
        self._build(self._architecture(part, units), first, rng)
        objective.alpha, objective.kernels = float(self.alpha), [layer.kernel for layer in self._dense]
        with self._threads(), paused():
            if looks_at_all_rows(self):
                if validation_data is not None:
                    raise ValueError("validation_data: solver='lbfgs' has no epochs after which to look at it.")
                self._fit_lbfgs(objective, part)
            else:
                self._fit_stochastic(objective, part, validation_data, rng, incremental)
        self._show()
        if not all(np.isfinite(w.numpy()).all() for w in self.model_.weights):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )
        return self

    def _part(self, X: Any, y: Any, sample_weight: Any, class_weight: Any, incremental: bool, first: bool) -> Part:
        """Data that were given, checked."""
        X, y = self._validated(X, y, incremental, first)
        dtype = compute_dtype(self, X)
        weights = sample_weights(X, y, sample_weight, class_weight, dtype)
        found = self._encoded(y)
        base = self._objective_for(found, None).base
        targets = base.targets(found, "y", len(found), (self._width,), dtype)
        return Part(self._inputs(X), targets, weights)

    def _checked(self, X: Any, y: Any = None, *, reset: bool, **how: Any) -> Any:
        if self.categorical_features is None:
            self._categories = None
            return super()._checked(X, y, reset=reset, **how)
        # Names and numbers of features are those of the data as they came.
        validate_data(self, X, reset=reset, skip_check_array=True)
        if reset:
            self._categories = Categories.of(X, self.categorical_features)
        assert self._categories is not None
        encoded = self._categories.encode(X)
        if y is None:
            return check_array(encoded, **how)
        encoded, y = check_X_y(encoded, y, **how)
        return encoded, flat(y)

    def _inputs(self, X: Any) -> tuple[Any, ...]:
        """What goes into each input of the network."""
        return (X,) if self._categories is None else self._categories.inputs(X)

    def _begin(self, first: bool) -> None:
        """Forget earlier fits; all but the weights if these are to stay."""
        for name in _STALE if first else ():
            self.__dict__.pop(name, None)
        self.n_iter_ = self.t_ = 0
        self._progress = Progress(self.early_stopping)

    def _architecture(self, part: Part, units: tuple[int, ...]) -> Architecture:
        count, tables = len(units), [] if self._categories is None else self._categories.sizes
        return Architecture(
            features=part.x[0].shape[1] if len(part.x) > len(tables) else 0,
            tables=tuple(tables),
            hidden=units,
            outputs=self._width,
            out_activation=self.out_activation_,
            activations=each(self.activation, count, "activation", activation_of),
            dropout=each(self.dropout, count, "dropout"),
            input_dropout=self.input_dropout,
            batch_norm=self.batch_norm,
            max_norm=self.max_norm,
            dtype=compute_dtype(self, part.x[0]),
        )

    def _build(self, made: Architecture, first: bool, rng: np.random.RandomState) -> None:
        """Have a network of such an architecture; unless this is the first fit, with the weights there are."""
        old = None if first else vars(self).get("model_")
        if old is not None:
            self._push()
        if old is None or made != self._made:
            model, dense = made.build(rng)
            if old is not None:
                continued(old, model)
            self.model_, self._dense, self._made, self._compiled = model, dense, made, ()
            self.__dict__.pop("_optimizer", None)
            if old is None and not first:  # weights were put into coefs_ before any fit
                self._push()
        self.n_layers_ = len(made.hidden) + 2

    def _fit_lbfgs(self, objective: Penalised, part: Part) -> None:
        drops = any("dropout" in layer.name for layer in self.model_.layers)
        if drops or self.batch_norm or self.max_norm is not None:
            raise ValueError("solver='lbfgs' goes not together with dropout, input_dropout, batch_norm or max_norm.")
        self._compiled = ()
        self.loss_, self.n_iter_ = lbfgs.minimise(
            self.model_,
            objective,
            part.rows(self.model_.dtype),
            tol=self.tol,
            max_iter=self.max_iter,
            max_fun=self.max_fun,
            verbose=bool(self.verbose),
        )

    def _fit_stochastic(
        self, objective: Penalised, part: Part, validation_data: Any, rng: np.random.RandomState, incremental: bool
    ) -> None:
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        self._compile(objective, part.weights is not None, incremental)
        held = None if validation_data is None else self._held(validation_data)
        if held is None and self.early_stopping:
            binary = is_classifier(self) and self.n_outputs_ == 1
            part, held = part.split(self.validation_fraction, rng, part.targets.astype(bool) if binary else None)
        self._progress.early = self.early_stopping
        size = self._batch_size(len(part))
        training = Training(
            self.model_,
            part.rows(self.model_.dtype),
            batch_size=size,
            max_iter=self.max_iter,
            tol=self.tol,
            patience=self.n_iter_no_change,
            verbose=bool(self.verbose),
            orders=Drawn(len(part), size, rng if self.shuffle else None),
            progress=self._progress,
            rates=rates(self, self._optimizer),
            validate=None if held is None else validator(self.model_, held, objective, self._score_of),
            callbacks=self.callbacks,
            once=incremental,
            constant=objective.constant,
        )
        self.n_iter_, self.t_ = training.run(self.t_)
        self._tell(held)

    def _compile(self, objective: Penalised, weighted: bool, incremental: bool) -> None:
        """Compile the network, unless the programs of an earlier fit will do."""
        objective.weighted = weighted
        if not (incremental and hasattr(self, "_optimizer")):
            self._optimizer = new_optimizer(self)
        key = id(self._optimizer), objective.alpha, weighted, self.loss
        if key != self._compiled:
            self.model_.compile(self._optimizer, objective)
            self._compiled = key

    def _batch_size(self, n: int) -> int:
        if self.batch_size == "auto":
            return min(200, n)
        if self.batch_size > n:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=6
            )
        return int(min(self.batch_size, n))

    def _held(self, given: Any) -> Part:
        """Rows that were given to validate on."""
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise ValueError("validation_data must be (X, y) or (X, y, sample_weight).")
        return self._part(given[0], given[1], given[2] if len(given) == 3 else None, None, True, False)

    def _tell(self, held: Part | None) -> None:
        """Attributes that say how the training went."""
        progress = self._progress
        self.loss_curve_ = progress.losses
        self.loss_ = progress.losses[-1] if progress.losses else np.nan
        self.best_loss_ = None if progress.early else progress.best_loss
        self.validation_scores_ = None if held is None else progress.scores
        self.validation_loss_curve_ = None if held is None else progress.validation_losses
        self.best_validation_score_ = None if held is None else progress.best_score
        if held is not None:
            self._keep_held(held)

    # ---- predict ----

    def _features(self, X: Any) -> tuple[Any, ...]:
        """Rows to predict, checked, as inputs of the network, which is brought up to date."""
        check_is_fitted(self, "model_")
        X = self._checked(X, reset=False, dtype=accepted_dtypes(self))
        self._push()
        return self._inputs(X)

    def _outputs(self, X: Any) -> Array:
        """The outputs of the network for rows."""
        return self._run(self._features(X))

    def _run(self, x: tuple[Any, ...]) -> Array:
        rows = inputs(x, self.model_.dtype)
        # One program for a fold of a small data set, not one for most rows and another one for the rest.
        size = len(rows) if len(rows) <= 2 * USUAL_ROWS else USUAL_ROWS
        with self._threads(), single_thread, paused():
            found: Array = predict(self.model_, rows, size, None)
        return found

    def _sampled(self, X: Any, samples: int) -> MCPrediction:
        """Outputs in many passes with dropout at work; repeatable if ``random_state`` is an integer."""
        x = self._features(X)
        seed = None if self.random_state is None else next_seed(generator(self.random_state))
        with self._threads():
            found: MCPrediction = self.model_.predict_mc(list(x) if len(x) > 1 else x[0], samples, seed=seed)
        return found

    # ---- how ----

    def _threads(self) -> AbstractContextManager[Any]:
        if self.n_jobs is None:
            return nullcontext()
        return limited(effective_n_jobs(self.n_jobs))
