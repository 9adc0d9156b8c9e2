"""What the classifier and the regressor have in common: a network, fitted as scikit-learn fits its own."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted

from nbnet import optimizers
from nbnet.core.blas import single_thread
from nbnet.core.processors import limited
from nbnet.core.tape import paused
from nbnet.estimators import lbfgs, settings
from nbnet.estimators.architecture import Architecture, activation_of, each, sizes
from nbnet.estimators.base import NeuralEstimator, generator, readable, sample_weights
from nbnet.estimators.penalised import Penalised
from nbnet.estimators.stopping import Progress, Rates
from nbnet.estimators.training import Orders, Training
from nbnet.estimators.weights import Shown
from nbnet.layers import Dense
from nbnet.models import Model
from nbnet.models.intake import Rows
from nbnet.models.prediction import USUAL_ROWS, predict

Array = NDArray[Any]


class MLP(Shown, NeuralEstimator):
    """A multi-layer perceptron; see :class:`MLPClassifier` and :class:`MLPRegressor`."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = settings.CONSTRAINTS

    # ---- what subclasses say ----

    @abstractmethod
    def _encoded(self, y: Array) -> Array:
        """Targets as programs read them."""

    @abstractmethod
    def _objective_for(self, targets: Array, weights: Array | None) -> Penalised:
        """What is to be minimised."""

    @abstractmethod
    def _score_of(self, y: Array, outputs: Array, weights: Array | None) -> float:
        """Accuracy or R2 of outputs, for encoded targets."""

    def _keep_residuals(self, rows: Rows, targets: Array) -> None:
        """Remember what the rows that are held out say of errors."""

    # ---- fit ----

    def _fit(self, X: Any, y: Any, sample_weight: Any, held: Any, incremental: bool) -> Any:
        units = sizes(self.hidden_layer_sizes)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = self._validated(X, y, incremental, first)
        dtype = self._compute_dtype(X)
        weights = sample_weights(X, y, sample_weight, getattr(self, "class_weight", None), dtype)
        targets = self._targets(y, dtype)
        rng = generator(self.random_state)
        objective = self._objective_for(targets, weights)
        if first:
            self._begin()
        if not hasattr(self, "_progress"):  # weights were put into coefs_ before any fit
            self._progress = Progress(self.early_stopping)
        if first or not hasattr(self, "model_"):
            self._build(X.shape[1], units, dtype, rng)
        self._push()
        with self._threads(), paused():
            if self.optimizer is None and self.solver == "lbfgs":
                self._fit_lbfgs(objective, Rows((readable(X, dtype),), (targets,), (weights,), (False,)))
            else:
                self._fit_stochastic(objective, X, targets, weights, held, rng, incremental)
        self._show()
        if not all(np.isfinite(w.numpy()).all() for w in self.model_.weights):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )
        return self

    def _targets(self, y: Array, dtype: Any) -> Array:
        found = self._encoded(y)
        return found if self._sparse else found.astype(dtype, copy=False)

    def _compute_dtype(self, X: Array) -> np.dtype[Any]:
        if self.dtype != "auto":
            return np.dtype(self.dtype)
        exact = self.solver == "lbfgs" and self.optimizer is None and X.dtype != np.float32
        return np.dtype("float64" if exact else "float32")

    def _begin(self) -> None:
        """Forget earlier fits."""
        self.n_iter_ = self.t_ = 0
        self._progress = Progress(self.early_stopping)
        stale = "loss_curve_ best_loss_ validation_scores_ validation_loss_curve_ best_validation_score_ loss_ _residuals"
        for name in [*stale.split(), "coefs_", "intercepts_", "_shown"]:
            vars(self).pop(name, None)

    def _build(self, features: int, units: tuple[int, ...], dtype: Any, rng: np.random.RandomState) -> None:
        count = len(units)
        made = Architecture(
            features,
            units,
            self._width,
            self.out_activation_,
            each(self.activation, count, "activation", activation_of),
            each(self.dropout, count, "dropout"),
            self.input_dropout,
            self.batch_norm,
            self.max_norm,
            dtype,
        )
        self.n_layers_ = count + 2
        self.model_: Model
        self._dense: list[Dense]
        self.model_, self._dense = made.build(rng)
        self._compiled: tuple[Any, ...] = ()

    def _fit_lbfgs(self, objective: Penalised, rows: Rows) -> None:
        if self._stochastic_layers:
            raise ValueError(f"{self._stochastic_layers[0]}: wants solver='sgd' or 'adam', got 'lbfgs'.")
        self._compiled = ()
        objective.alpha, objective.kernels = float(self.alpha), [layer.kernel for layer in self._dense]
        self.loss_, self.n_iter_ = lbfgs.minimise(
            self.model_,
            objective,
            rows,
            tol=self.tol,
            max_iter=self.max_iter,
            max_fun=self.max_fun,
            verbose=bool(self.verbose),
        )

    @property
    def _stochastic_layers(self) -> list[str]:
        """Parameters that go not together with a solver that looks at all rows at once."""
        given = {
            "dropout": any(layer.name.startswith("dropout") for layer in self.model_.layers),
            "input_dropout": any(layer.name == "input_dropout" for layer in self.model_.layers),
            "batch_norm": self.batch_norm,
            "max_norm": self.max_norm is not None,
        }
        return [name for name, found in given.items() if found]

    def _fit_stochastic(
        self,
        objective: Penalised,
        X: Any,
        targets: Array,
        weights: Array | None,
        held: Any,
        rng: np.random.RandomState,
        incremental: bool,
    ) -> None:
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        self._compile(objective, weights is not None, incremental)
        if held is not None:
            held = self._held(held)
        elif self.early_stopping:
            X, targets, weights, held = self._split(X, targets, weights, rng)
        n = X.shape[0]
        self._progress.early = self.early_stopping
        rows = Rows((readable(X, self.model_.dtype),), (targets,), (weights,), (False,))
        training = Training(
            self.model_,
            rows,
            self._batch_size(n),
            self.max_iter,
            self.tol,
            self.n_iter_no_change,
            bool(self.verbose),
            Orders(n, rng if self.shuffle else None),
            self._progress,
            self._rates(),
            None if held is None else self._validator(objective, *held),
            self.callbacks,
            incremental,
            objective.constant,
        )
        self.n_iter_, self.t_ = training.run(self.t_)
        self._tell(held is not None)
        if held is not None:
            self._keep_residuals(Rows((readable(held[0], self.model_.dtype),), ids=(False,)), held[1])

    def _compile(self, objective: Penalised, weighted: bool, incremental: bool) -> None:
        """Compile the network, unless the programs of an earlier fit will do."""
        objective.alpha, objective.weighted = float(self.alpha), weighted
        objective.kernels = [layer.kernel for layer in self._dense]
        if not (incremental and hasattr(self, "_optimizer")):
            self._optimizer = self._new_optimizer()
        key = id(self._optimizer), objective.alpha, weighted, repr(objective.base), objective.outputs
        if key != self._compiled:
            self.model_.compile(self._optimizer, objective)
            self._compiled = key

    def _new_optimizer(self) -> optimizers.Optimizer:
        given, rate = self.optimizer, self.learning_rate_init
        if isinstance(given, optimizers.Optimizer):
            return type(given).from_config(given.get_config())
        if not isinstance(self.learning_rate, str):
            rate = self.learning_rate
        if given is not None:
            return optimizers.get({"class_name": type(optimizers.get(given)).__name__, "config": {"learning_rate": rate}})
        if self.solver == "sgd":
            return optimizers.SGD(rate, self.momentum, self.nesterovs_momentum)
        return optimizers.Adam(rate, self.beta_1, self.beta_2, self.epsilon)

    def _rates(self) -> Rates | None:
        """The policy of the learning rate; as in scikit-learn, Adam has none."""
        scheduled = not isinstance(self.learning_rate, str)
        if scheduled or (self.optimizer is None and self.solver == "adam"):
            return None
        first = self.learning_rate_init
        if isinstance(self.optimizer, optimizers.Optimizer):
            first = self.optimizer.learning_rate
        return Rates(self._optimizer, self.learning_rate, float(first), self.power_t)

    def _batch_size(self, n: int) -> int:
        if self.batch_size == "auto":
            return min(200, n)
        if self.batch_size > n:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=6
            )
        return int(min(self.batch_size, n))

    # ---- validation ----

    def _split(self, X: Any, targets: Array, weights: Array | None, rng: np.random.RandomState) -> tuple[Any, ...]:
        """Rows to train on, and those that are held out."""
        arrays = [X, targets] if weights is None else [X, targets, weights]
        stratify = targets.astype(bool) if is_classifier(self) and self.n_outputs_ == 1 else None
        parts = train_test_split(*arrays, random_state=rng, test_size=self.validation_fraction, stratify=stratify)
        if parts[1].shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        first, held = parts[::2], parts[1::2]
        return first[0], first[1], (None if weights is None else first[2]), (*held, *([None] if weights is None else []))

    def _held(self, given: Any) -> tuple[Any, Array, Array | None]:
        """Rows that were given to validate on."""
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise ValueError("validation_data must be (X, y) or (X, y, sample_weight).")
        X, y = self._validated(given[0], given[1], True, False)
        dtype = self.model_.dtype
        weights = sample_weights(X, y, given[2] if len(given) == 3 else None, None, dtype)
        return X, self._targets(y, dtype), weights

    def _validator(
        self, objective: Penalised, X: Any, targets: Array, weights: Array | None
    ) -> Callable[[], tuple[float, float]]:
        rows = Rows((readable(X, self.model_.dtype),), ids=(False,))

        def validate() -> tuple[float, float]:
            outputs: Array = predict(self.model_, rows, USUAL_ROWS, None)
            if not np.isfinite(outputs).all():
                return float("nan"), float("nan")
            return self._score_of(targets, outputs, weights), objective.value(targets, outputs, weights)

        return validate

    def _tell(self, validated: bool) -> None:
        """Attributes that say how the training went."""
        progress = self._progress
        self.loss_curve_ = progress.losses
        self.loss_ = progress.losses[-1]
        self.best_loss_ = None if progress.early else progress.best_loss
        self.validation_scores_ = progress.scores if validated else None
        self.validation_loss_curve_ = progress.validation_losses if validated else None
        self.best_validation_score_ = progress.best_score if validated else None

    # ---- predict ----

    def _features(self, X: Any) -> Any:
        """Rows to predict, checked; the network is brought up to date."""
        check_is_fitted(self)
        X = self._checked(X, reset=False, dtype=self._accepted)
        self._push()
        return X

    def _outputs(self, X: Any) -> Array:
        """The outputs of the network for rows."""
        X = self._features(X)
        found = self._run(Rows((readable(X, self.model_.dtype),), ids=(False,)))
        return found.astype(self._returned(X), copy=False)

    def _run(self, rows: Rows) -> Array:
        with self._threads(), single_thread, paused():
            found: Array = predict(self.model_, rows, USUAL_ROWS, None)
        return found

    @property
    def _accepted(self) -> list[Any]:
        """What X may be; the first is what it is made otherwise."""
        wide = self.dtype == "float64" or (self.dtype == "auto" and self.solver == "lbfgs" and self.optimizer is None)
        return [np.float64, np.float32] if wide else [np.float32, np.float64]

    def _returned(self, X: Any) -> Any:
        return np.dtype(self.dtype) if self.dtype != "auto" else X.dtype

    def _threads(self) -> AbstractContextManager[Any]:
        if self.n_jobs is None:
            return nullcontext()
        from joblib import effective_n_jobs

        return limited(effective_n_jobs(self.n_jobs))
