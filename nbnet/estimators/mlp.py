"""The base class of the multi-layer perceptrons: a network that is fitted as scikit-learn fits its own."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self, cast

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import is_classifier
from sklearn.utils import check_array, check_X_y
from sklearn.utils.validation import check_is_fitted, validate_data

from nbnet.base.array_memory import settled_parts
from nbnet.base.cpu import limited
from nbnet.engine.gemm.blas import SingleThread
from nbnet.engine.graph.tape import paused
from nbnet.estimators import base, solvers
from nbnet.estimators.architecture import Architecture, activation_of, copy_weights, layer_sizes, per_layer
from nbnet.estimators.base import Array, available_if, validates_parameters
from nbnet.estimators.categories import Categories
from nbnet.estimators.mlp_loss import PenalizedLoss
from nbnet.estimators.mlp_parameters import MLPParameters
from nbnet.estimators.training import Convergence, FitData, SklearnSampler, Training, input_rows, validator
from nbnet.layers import Dense
from nbnet.models import Model
from nbnet.models.monte_carlo import MCPrediction
from nbnet.train.data_source import PREDICT_ROWS
from nbnet.train.predict import predict

#: Attributes of a fit that a new one deletes first.
_FITTED = (
    "loss_", "loss_curve_", "best_loss_", "validation_scores_", "validation_loss_curve_", "best_validation_score_",
    "coefs_", "intercepts_", "model_", "_shared", "_distances",
)  # fmt: skip


class MLP(MLPParameters):
    """A multi-layer perceptron; see :class:`MLPClassifier` and :class:`MLPRegressor`."""

    coefs_: list[Array]
    intercepts_: list[Array]
    model_: Model
    n_outputs_: int
    out_activation_: str
    _categories: Categories | None
    _compiled: tuple[Any, ...]
    _architecture: Architecture
    _dense: list[Dense]

    # ---- differences between the subclasses ----

    @property
    @abstractmethod
    def _width(self) -> int:
        """Units of the last layer."""

    @abstractmethod
    def _validated(self, X: Any, y: Any, incremental: bool, first: bool) -> tuple[Any, Array]:
        """Check X and y, and set the attributes that describe the outputs."""

    @abstractmethod
    def _encoded(self, y: Array) -> Array:
        """Return the targets as numbers."""

    @abstractmethod
    def _objective(self, targets: Array, weights: Array | None) -> PenalizedLoss:
        """Return the loss for encoded targets."""

    @abstractmethod
    def _score(self, y: Array, outputs: Array, weights: Array | None) -> float:
        """Return the accuracy or R2 of outputs, for encoded targets."""

    def _keep_held_out(self, held: FitData) -> None:
        """Record the errors of rows that were held out."""

    # ---- fit ----

    @validates_parameters
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, (n, features)
        y : array_like, (n,) or (n, outputs)
            Labels, or indicators of labels (n, labels); for the regressor numbers.
        sample_weight : array_like, (n,)
        validation_data : tuple
            ``(X, y)`` or ``(X, y, sample_weight)`` to validate on after each epoch; with ``early_stopping``, in place
            of rows that are held out.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If parameters or data are not valid, mostly in scikit-learn's words.
        """
        return self._fit(X, y, sample_weight, validation_data, incremental=False)

    @available_if(solvers.is_stochastic)
    @validates_parameters
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on these rows.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        """
        return self._fit(X, y, sample_weight, None, incremental=True)

    def _fit(self, X: Any, y: Any, sample_weight: Any, validation_data: Any, incremental: bool) -> Self:
        units = layer_sizes(self.hidden_layer_sizes)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        data = self._fit_data(X, y, sample_weight, getattr(self, "class_weight", None), incremental, first)
        rng = base.generator(self.random_state)
        objective = self._objective(data.targets, data.weights)
        if first or not hasattr(self, "_convergence"):
            self._reset(first)
        self._build(self._describe(data, units), first, rng)
        objective.alpha, objective.kernels = float(self.alpha), [layer.kernel for layer in self._dense]
        with self._threads(), paused():
            if solvers.uses_lbfgs(self):
                if validation_data is not None:
                    raise ValueError("validation_data: solver='lbfgs' has no epochs after which to validate.")
                self._fit_lbfgs(objective, data)
            else:
                self._fit_stochastic(objective, data, validation_data, rng, incremental)
        self._share_weights()
        if not all(np.isfinite(w.memory()).all() for w in self.model_.weights):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )
        return self

    def _fit_data(
        self, X: Any, y: Any, sample_weight: Any, class_weight: Any, incremental: bool, first: bool
    ) -> FitData:
        """Check data of the user."""
        X, y = self._validated(X, y, incremental, first)
        dtype = solvers.compute_dtype(self, X)
        weights = base.sample_weights(X, y, sample_weight, class_weight, dtype)
        encoded = self._encoded(y)
        loss = self._objective(encoded, None).base
        targets = loss.targets(encoded, "y", len(encoded), (self._width,), dtype)
        return FitData(self._inputs(X), targets, weights)

    def _checked(self, X: Any, y: Any = None, *, reset: bool, **settings: Any) -> Any:
        if self.categorical_features is None:
            self._categories = None
            return super()._checked(X, y, reset=reset, **settings)
        X, y = settled_parts(X, "X"), settled_parts(y, "y")
        # Names and number of features are those of the data before encoding.
        validate_data(self, X, reset=reset, skip_check_array=True)
        if reset:
            self._categories = Categories.of(X, self.categorical_features)
        assert self._categories is not None
        encoded = self._categories.encode(X)
        if y is None:
            return check_array(encoded, **settings)
        encoded, y = check_X_y(encoded, y, **settings)
        return encoded, base.as_vector(y)

    def _inputs(self, X: Any) -> tuple[Any, ...]:
        """Return the array of each input of the network."""
        return (X,) if self._categories is None else self._categories.inputs(X)

    def _reset(self, first: bool) -> None:
        """Delete the results of earlier fits; keep the weights unless ``first``."""
        for name in _FITTED if first else ():
            self.__dict__.pop(name, None)
        self.n_iter_ = self.t_ = 0
        self._convergence = Convergence(self.early_stopping)

    def _describe(self, data: FitData, units: tuple[int, ...]) -> Architecture:
        count, tables = len(units), [] if self._categories is None else self._categories.sizes
        activations = per_layer(self.activation, count, "activation", activation_of)
        return Architecture(
            data.x[0].shape[1] if len(data.x) > len(tables) else 0, tuple(tables), units, self._width,
            self.out_activation_, activations, per_layer(self.dropout, count, "dropout"), self.input_dropout,
            self.batch_norm, self.max_norm, solvers.compute_dtype(self, data.x[0]),
        )  # fmt: skip

    def _build(self, architecture: Architecture, first: bool, rng: np.random.RandomState) -> None:
        """Build the network, with the weights of the last fit unless this is the first one."""
        old = None if first else vars(self).get("model_")
        if old is not None:
            self._load_weights()
        if old is None or architecture != self._architecture:
            model, dense = architecture.build(rng)
            if old is not None:
                copy_weights(old, model)
            self.model_, self._dense, self._architecture, self._compiled = model, dense, architecture, ()
            self.__dict__.pop("_optimizer", None)
            if old is None and not first:  # the user set coefs_ before any fit
                self._load_weights()
        self.n_layers_ = len(architecture.hidden) + 2

    def _fit_lbfgs(self, objective: PenalizedLoss, data: FitData) -> None:
        drops = any("dropout" in layer.name for layer in self.model_.layers)
        if drops or self.batch_norm or self.max_norm is not None:
            raise ValueError("solver='lbfgs' cannot be combined with dropout, input_dropout, batch_norm or max_norm.")
        self._compiled = ()
        self.loss_, self.n_iter_ = solvers.minimize(self, self.model_, objective, data.rows(self.model_.dtype))

    def _fit_stochastic(
        self, objective: PenalizedLoss, data: FitData, validation_data: Any, rng: np.random.RandomState, once: bool
    ) -> None:
        if self.early_stopping and once:
            raise ValueError("partial_fit does not support early_stopping=True")
        self._compile(objective, data.weights is not None, once)
        held = None if validation_data is None else self._validation_data(validation_data)
        if held is None and self.early_stopping:
            binary = is_classifier(self) and self.n_outputs_ == 1
            data, held = data.split(self.validation_fraction, rng, data.targets.astype(bool) if binary else None)
        self._convergence.early_stopping = self.early_stopping
        size = self._batch_size(len(data))
        training = Training(
            self, self.model_, data.rows(self.model_.dtype), size, self._convergence,
            sampler=SklearnSampler(len(data), size, rng if self.shuffle else None),
            rate_policy=solvers.RatePolicy.of(self, self._optimizer),
            validate=None if held is None else validator(self.model_, held, objective, self._score),
            one_epoch=once,
            constant=objective.constant,
        )  # fmt: skip
        self.n_iter_, self.t_ = training.run(self.t_)
        self._report(held)

    def _compile(self, objective: PenalizedLoss, weighted: bool, incremental: bool) -> None:
        """Compile the network, unless the programs of the last fit can be used."""
        objective.weighted = weighted
        if not (incremental and hasattr(self, "_optimizer")):
            self._optimizer = solvers.new_optimizer(self)
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

    def _validation_data(self, given: Any) -> FitData:
        """Check the rows that the user gave to validate on."""
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise ValueError("validation_data must be (X, y) or (X, y, sample_weight).")
        return self._fit_data(given[0], given[1], given[2] if len(given) == 3 else None, None, True, False)

    def _report(self, held: FitData | None) -> None:
        """Set the attributes that describe the course of the training."""
        convergence = self._convergence
        self.loss_curve_ = convergence.losses
        self.loss_ = convergence.losses[-1] if convergence.losses else np.nan
        self.best_loss_ = None if convergence.early_stopping else convergence.best_loss
        self.validation_scores_ = None if held is None else convergence.scores
        self.validation_loss_curve_ = None if held is None else convergence.validation_losses
        self.best_validation_score_ = None if held is None else convergence.best_score
        if held is not None:
            self._keep_held_out(held)

    # ---- predict ----

    def _features(self, X: Any) -> tuple[Any, ...]:
        """Check rows to predict, and load weights that the user has set."""
        check_is_fitted(self, "model_")
        X = self._checked(X, reset=False, dtype=solvers.accepted_dtypes(self))
        self._load_weights()
        return self._inputs(X)

    def _outputs(self, X: Any) -> Array:
        """Return the outputs of the network for rows."""
        return self._run(self._features(X))

    def _run(self, x: tuple[Any, ...]) -> Array:
        rows = input_rows(x, self.model_.dtype)
        # One program for a fold of a small data set, instead of one for most rows and another one for the rest.
        size = len(rows) if len(rows) <= 2 * PREDICT_ROWS else PREDICT_ROWS
        with self._threads(), SingleThread(), paused():
            return cast(Array, predict(self.model_, rows, size))

    def _sampled(self, X: Any, samples: int, **settings: Any) -> MCPrediction:
        """Return statistics of passes with active dropout; repeatable if ``random_state`` is an integer."""
        x = self._features(X)
        seed = None if self.random_state is None else base.next_seed(base.generator(self.random_state))
        with self._threads():
            return self.model_.predict_mc(list(x) if len(x) > 1 else x[0], samples, seed=seed, **settings)

    def _threads(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.n_jobs is None else limited(effective_n_jobs(self.n_jobs))

    # ---- coefs_ and intercepts_, which are the network's memory ----

    def _share_weights(self) -> None:
        """Make the lists of weights."""
        self.coefs_ = [layer.kernel.memory() for layer in self._dense]
        self.intercepts_ = [layer.bias.memory() for layer in self._dense]
        self._shared = [*self.coefs_, *self.intercepts_]

    def _load_weights(self) -> None:
        """Give the network the arrays that the user put into the lists."""
        given = [*vars(self).get("coefs_", ()), *vars(self).get("intercepts_", ())]
        shared = vars(self).get("_shared") or [None] * len(given)
        parameters: list[Any] = [*(layer.kernel for layer in self._dense), *(layer.bias for layer in self._dense)]
        changed = [(p, new) for p, new, old in zip(parameters, given, shared, strict=False) if new is not old]
        for parameter, array in changed:
            parameter.assign(array)
        if changed:
            self._share_weights()

    def __getstate__(self) -> dict[str, Any]:
        fitted = "model_" in vars(self)
        if fitted:
            self._load_weights()
        state: dict[str, Any] = super().__getstate__()
        if fitted:  # the network has the weights
            state = {name: v for name, v in state.items() if name not in ("coefs_", "intercepts_", "_shared")}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "model_" in state:
            self._share_weights()
