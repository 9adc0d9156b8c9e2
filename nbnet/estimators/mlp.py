"""Multi-layer perceptrons for classification and regression, fitted as scikit-learn fits its own."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, cast

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import is_classifier
from sklearn.utils import check_array, check_X_y
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from nbnet import losses
from nbnet.base.array_memory import settled_parts
from nbnet.base.cpu import limited
from nbnet.engine.gemm.blas import SingleThread
from nbnet.engine.graph.tape import paused
from nbnet.estimators import base, mlp_parameters, solvers
from nbnet.estimators.architecture import Architecture, activation_of, copy_weights, layer_sizes, per_layer
from nbnet.estimators.base import Array, available_if, documented, validates_parameters
from nbnet.estimators.categories import Categories
from nbnet.estimators.decoding import LabelPredictor
from nbnet.estimators.mlp_parameters import MLPParameters
from nbnet.estimators.regression_heads import Head, UncertaintyMixin, head_of
from nbnet.estimators.solvers import PenalizedLoss, accepted_dtypes, classification_loss, is_stochastic, regression_loss
from nbnet.estimators.targets import BINARY, MULTICLASS, Labels, labels_of
from nbnet.estimators.training import Convergence, FitData, SklearnSampler, Training, input_rows, r2, validator
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


@documented(parameters=mlp_parameters.PARAMETERS, attributes=mlp_parameters.ATTRIBUTES)
@dataclass(eq=False, repr=False, match_args=False)
class MLPClassifier(LabelPredictor, MLP):
    """A neural network for classification: scikit-learn's ``MLPClassifier``, and more.

    All parameters of scikit-learn's class have the same meaning: change the import, and the same ``random_state`` gives
    the same initial weights and the same batches. Numbers differ by rounding: the default is float32 (see ``dtype``).
    ``loss`` and ``class_weight``, and the parameters from ``dropout`` on, go beyond scikit-learn's.

    Parameters
    ----------
    %(parameters)s
    loss : str, nbnet.losses.Loss or callable
        "log_loss", or another loss of :mod:`nbnet.losses` for probabilities.
    class_weight : dict, "balanced", list of dict or None
        Weights of classes; multiplied with those of samples.

    Attributes
    ----------
    classes_ : ndarray, (classes,)
        Sorted classes.
    %(attributes)s

    References
    ----------
    X. Glorot, Y. Bengio: Understanding the difficulty of training deep feedforward neural networks. AISTATS 2010.
    N. Srivastava et al.: Dropout: a simple way to prevent neural networks from overfitting. JMLR 15 (2014).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from nbnet.estimators import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier([32, 32], dropout=0.1, learning_rate_init=0.01, random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), net).fit(X, y)
    >>> pipeline.score(X, y) > 0.95
    True
    """

    loss: Any = field(default="log_loss", kw_only=True)
    class_weight: Any = field(default=None, kw_only=True)

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MLPParameters._parameter_constraints,
        "loss": [StrOptions({"log_loss", *losses.known}), losses.Loss, callable],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }

    @available_if(is_stochastic)
    @validates_parameters
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch on these rows.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        classes : array_like
            All classes; required in the first call, optional later.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which does not see all rows: give a dict, "
                "such as sklearn.utils.class_weight.compute_class_weight makes."
            )
        if _check_partial_fit_first_call(self, classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._labels = Labels.of(y) if multilabel else Labels.of_classes(classes)
        return self._fit(X, y, sample_weight, None, incremental=True)

    def _validated(self, X: Any, y: Any, incremental: bool, first: bool) -> tuple[Any, Array]:
        X, y = self._checked(X, y, reset=first, dtype=accepted_dtypes(self), multi_output=True)
        stay = hasattr(self, "classes_") and (self.warm_start or incremental)
        known = vars(self).get("_labels") if stay else None
        self._labels = labels_of(y, known, exactly=self.warm_start and not incremental)
        self.classes_ = self._labels.classes
        self.n_outputs_ = self._labels.outputs
        self.out_activation_ = "softmax" if self._labels.kind == MULTICLASS else "logistic"
        return X, y

    @property
    def _width(self) -> int:
        return self.n_outputs_

    def _encoded(self, y: Array) -> Array:
        codes = self._labels.encode(y)
        if self._labels.kind == BINARY:
            return codes.reshape(-1, 1)
        if self._labels.kind == MULTICLASS and not self._objective(codes, None).sparse:
            return np.eye(self.n_outputs_)[codes]
        return codes

    def _objective(self, targets: Array, weights: Array | None) -> PenalizedLoss:
        return classification_loss(self.loss, self.n_outputs_, self._labels.kind == MULTICLASS)

    def _score(self, y: Array, outputs: Array, weights: Array | None) -> float:
        if self._labels.kind == MULTICLASS:
            right = outputs.argmax(1) == (y if y.ndim == 1 else y.argmax(1))
        else:
            right = ((outputs > 0.5) == (y > 0.5)).all(1)
        return float(np.average(right, weights=weights))

    def _predict(self, X: Any, samples: int | None) -> Array:
        probabilities = self._probabilities(X, samples)  # first: it checks that there are labels
        return self._labels.decode(probabilities)

    def _predict_proba(self, X: Any, samples: int | None) -> Array:
        outputs = self._probabilities(X, samples)
        if self._labels.kind != BINARY:
            return outputs
        second = outputs.reshape(-1)
        if len(self.classes_) == 2:
            return np.vstack([1 - second, second]).T
        return np.ones((len(second), 1), outputs.dtype)

    def _probabilities(self, X: Any, samples: int | None) -> Array:
        return self._outputs(X) if samples is None else self._sampled(X, samples).mean


@documented(parameters=mlp_parameters.PARAMETERS, attributes=mlp_parameters.ATTRIBUTES)
@dataclass(eq=False, repr=False, match_args=False)
class MLPRegressor(UncertaintyMixin, MLP):
    """A neural network for regression: scikit-learn's ``MLPRegressor``, and more.

    All parameters of scikit-learn's class have the same meaning; those from ``dropout`` on go beyond it. Numbers differ
    by rounding: the default is float32 (see ``dtype``).

    Parameters
    ----------
    loss : str, nbnet.losses.Loss or callable
        "squared_error", "poisson", or another loss of :mod:`nbnet.losses`, such as "huber". With
        "gaussian_negative_log_likelihood" the network predicts variances, too; with ``Quantile([0.05, 0.5, 0.95])``
        quantiles.
    %(parameters)s

    Attributes
    ----------
    %(attributes)s

    Raises
    ------
    ValueError, TypeError
        If parameters or data do not fit, mostly in scikit-learn's words.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.estimators import MLPRegressor
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> net = MLPRegressor(hidden_layer_sizes=[32], solver="lbfgs", max_iter=1000, random_state=0)
    >>> net.fit(X, np.sin(3 * X[:, 0])).predict([[0.5]]).round(2)
    array([1.])
    """

    loss: Any = "squared_error"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MLPParameters._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson", *losses.known}), losses.Loss, callable],
    }

    def _validated(self, X: Any, y: Any, incremental: bool, first: bool) -> tuple[Any, Array]:
        X, y = self._checked(X, y, reset=first, dtype=accepted_dtypes(self), multi_output=True, y_numeric=True)
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        return X, y

    @property
    def _head(self) -> Head:
        return head_of(self._objective(np.zeros((1, self.n_outputs_)), None).base, self.n_outputs_)

    @property
    def _width(self) -> int:
        return self._head.width

    def _encoded(self, y: Array) -> Array:
        return np.ascontiguousarray(y.reshape(len(y), -1))

    def _objective(self, targets: Array, weights: Array | None) -> PenalizedLoss:
        return regression_loss(self.loss, targets, weights)

    def _score(self, y: Array, outputs: Array, weights: Array | None) -> float:
        return r2(y[:, : self.n_outputs_], self._head.mean(outputs), weights)

    def _keep_held_out(self, held: FitData) -> None:
        self._keep_distances(held.targets[:, : self.n_outputs_], self._run(held.x))

    def _shaped(self, array: Array) -> Array:
        return array.ravel() if array.shape[1] == 1 else array
