"""Any network as a scikit-learn classifier or regressor: building, training, continuing, computing outputs."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self, cast

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted

from nbnet.base.validation import check_int
from nbnet.callbacks.callback import History
from nbnet.estimators import model_factory
from nbnet.estimators.architecture import small_network
from nbnet.estimators.base import Array, available_if, documented, generator, next_seed, sample_weights
from nbnet.estimators.decoding import LabelPredictor, OutputDecoder, OutputKind, expected_kind
from nbnet.estimators.regression_heads import GaussianHead, Head, PointHead, UncertaintyMixin
from nbnet.estimators.routing import RoutedParameters, accepts_routed
from nbnet.estimators.targets import MULTILABEL, Classification, Labels, Regression, Task, labels_of
from nbnet.estimators.training import CallbackSupportMixin, reported_fit, with_callbacks
from nbnet.losses import Loss
from nbnet.models.model import Model
from nbnet.models.monte_carlo import MCPrediction
from nbnet.random import seed_scope

#: Smaller batches are computed by other kernels than larger ones, and may differ from them in the last bits.
_LEAST_ROWS = 4

#: numpydoc of the first parameter.
MODEL = """
model : nbnet.Model, function or class
    A model, which stays as it is: ``fit`` trains a copy with new weights. Or a function that returns a model; it gets
    those of these facts that it has arguments for: ``input_shape`` of a row, ``n_features_in``, ``n_classes``,
    ``classes``, ``n_outputs``, ``target_type`` (scikit-learn's name of it), matching ``output_units`` and
    ``output_activation``, ``dtype``, and ``meta``, a dict with most of them under SciKeras's names. Rows of numbers are
    reshaped to the model's input, and split between several inputs in their order.
"""

#: numpydoc of the parameters that all wrappers have.
PARAMETERS = """
optimizer : str, class or nbnet.optimizers.Optimizer
    ``"auto"``: that of the compiled model, otherwise Adam.
loss : str, class, function or nbnet.losses.Loss
    ``"auto"``: that of the compiled model, otherwise a cross-entropy that fits the labels and the last layer, or the
    mean squared error of numbers. Labels are one-hot encoded if the loss requires it.
metrics : list
    Metrics of :mod:`nbnet.metrics`; by default those of the compiled model.
batch_size, epochs, verbose : int
    See :meth:`nbnet.Model.fit`.
validation_split : float
    Share of the rows to validate on after each epoch; classes keep their shares.
callbacks : nbnet.callbacks.Callback, class, list or dict of them
    Callbacks, of which each fit gets copies.
random_state : int, RandomState or None
    Source of the initial weights, the order of rows, dropout masks and the validation split.
warm_start : bool
    If True, ``fit`` continues with the model of the last fit, and begins with the weights of ``model``.
dtype : {"float32", "float64"}
    Dtype of the network; by default that of ``model``.
**routed
    ``model__units=8`` gives the function that builds the model ``units=8``; in a model, ``model__hidden__units=8``
    changes the layer named ``hidden``. ``optimizer__learning_rate``, ``loss__label_smoothing``,
    ``callbacks__patience`` (``callbacks__early_stopping__patience`` if there are several) and so on; ``compile__``,
    ``fit__`` and ``predict__`` are further arguments of these methods of the model. ``set_params``, ``clone`` and
    searches treat them like all other parameters.
"""

#: numpydoc of the attributes that all wrappers have.
ATTRIBUTES = """
model_ : nbnet.Model
    The trained model.
history_ : nbnet.History
    Losses and metrics of all its epochs.
n_iter_ : int
    Number of its epochs.
callbacks_ : list of nbnet.callbacks.Callback
    The copies of the last fit.
n_features_in_, feature_names_in_ : int, ndarray of str
    Columns of X, and their names if it has any.
"""


class Net(CallbackSupportMixin, RoutedParameters):
    """Base of :class:`NetClassifier`, :class:`NetRegressor` and :class:`NetTransformer`."""

    model_: Model
    #: Builds the model if none is given.
    _default_model: ClassVar[Callable[..., Model]] = staticmethod(small_network)
    #: Checks of features: bytes stay bytes, and rows may be images.
    _checks: ClassVar[dict[str, Any]] = {"dtype": "numeric", "allow_nd": True}
    _task: Task

    @accepts_routed
    def __init__(
        self, model: Any = None, *, optimizer: Any = "auto", loss: Any = "auto", metrics: Any = None,
        batch_size: int | None = 32, epochs: int = 50, validation_split: float = 0.0, callbacks: Any = None,
        random_state: Any = None, warm_start: bool = False, verbose: int | str = 0, dtype: Any = None,
        **routed: Any,
    ) -> None:  # fmt: skip
        self._set_parameters(locals())

    def __sklearn_is_fitted__(self) -> bool:
        # A routed parameter may end with an underscore, too.
        return "model_" in vars(self)

    # ---- a new model ----

    def _begin(self, X: Any, y: Any, task: Task) -> None:
        """Build and compile a model for data like these."""
        self._check_routed()
        self._rng = generator(self.random_state)
        with seed_scope(next_seed(self._rng)):
            model, source = self._make(X, y, task)
            self._compile(model, source, task, self._width(model, X))
        self.model_, self.history_ = model, History()
        #: Dtype of predictions: integers are no reason for more than the model's.
        self._float = np.result_type(X.dtype, model.dtype)
        #: Makes Monte Carlo predictions repeatable.
        self._mask_seed = next_seed(self._rng)

    def _compile(self, model: Model, source: Model, task: Task, width: int) -> None:
        loss = model_factory.compile_model(self, model, source, task, width)
        self._set_task(model, loss, task, width)
        self._built_by = self._settings("model")
        self._compiled_by = self._settings("optimizer", "loss", "metrics", "compile")

    def _set_task(self, model: Model, loss: Loss | None, task: Task, width: int) -> None:
        """Record the task of a compiled model and its number of output units."""
        self._task, self._units = task, width

    def _settings(self, *names: str) -> list[Any]:
        """Return the parameters of these names, and those with them as prefixes."""
        return [(getattr(self, name, None), self.routed(name)) for name in names]

    def _resume(self) -> None:
        """Compile the model of the last fit again if parameters have changed."""
        self._check_routed()
        if _differ(self._built_by, self._settings("model")):
            raise ValueError(
                "model: this training continues with the model of the last one, and parameters of the model have "
                "changed since; clone the estimator to start again"
            )
        if _differ(self._compiled_by, self._settings("optimizer", "loss", "metrics", "compile")):
            self._compile(self.model_, self.model_, self._task, self._units)

    def _make(self, X: Any, y: Any, task: Task) -> tuple[Model, Model]:
        """Return a model, and the one that says how to compile it."""
        changes = self.routed("model")
        if isinstance(self.model, Model):
            make = model_factory.copy_model if self.warm_start else model_factory.rebuild_model
            return make(self.model, changes, self.dtype), self.model
        facts = model_factory.model_facts(X, y, task.facts, self.dtype)
        function = type(self)._default_model if self.model is None else self.model
        model = model_factory.build_model(function, changes, facts, self.dtype)
        return model, model

    def _width(self, model: Model, X: Any) -> int:
        """Return the number of output units."""
        return model_factory.output_width(model, model_factory.feed(model, X[:1]))

    # ---- training ----

    def _train(
        self, X: Any, y: Array | None, weights: Array | None, validation: Any = None, epochs: int | None = None
    ) -> None:
        """Train the model on validated data, by default for the constructor's number of epochs.

        ``validation`` is ``(X, y)`` or ``(X, y, sample_weight)`` of the user.
        """
        x, target, given = model_factory.feed(self.model_, X), self._target(X, y), weights
        held = None
        if validation is not None:
            held = self._validation(validation)
        elif epochs is None and self.validation_split:
            rows, others = self._split(y, weights, len(target))
            held = (_rows(x, others), target[others], *(() if weights is None else (weights[others],)))
            x, target, weights = _rows(x, rows), target[rows], None if weights is None else weights[rows]
        first, more = self.n_iter_, check_int(self.epochs, "epochs") if epochs is None else epochs
        self.callbacks_ = model_factory.copy_callbacks(self.callbacks, self.routed("callbacks"))
        with (
            seed_scope(next_seed(self._rng)),
            reported_fit(self, more, X, y, given, self._fitted_attributes) as reporters,
        ):
            history = self.model_.fit(
                x, target, batch_size=self.batch_size, epochs=first + more, initial_epoch=first, verbose=self.verbose,
                callbacks=[*self.callbacks_, *reporters], validation_data=held, sample_weight=weights,
                **self.routed("fit"),
            )  # fmt: skip
        for name, values in history.history.items():
            self.history_.history.setdefault(name, []).extend(values)
        self.history_.epoch += history.epoch
        self.history_.params, self.history_.masks = history.params, history.masks
        self._end_training(held)

    @property
    def n_iter_(self) -> int:
        """Number of epochs of the model."""
        return len(self.history_.epoch)

    def _target(self, X: Any, y: Any) -> Array:
        """Return the target as the loss reads it."""
        return self._task.encode(y, self.model_.loss, self._units)

    def _fitted_attributes(self) -> dict[str, Any]:
        """Return the attributes of an estimator whose training ends now."""
        return {"model_": copy.deepcopy(self.model_)}

    def _end_training(self, held: tuple[Any, ...] | None) -> None:
        """Record the errors of rows that were validated on."""

    def _split(self, y: Any, weights: Array | None, n: int) -> tuple[Array, Array]:
        """Return indices of rows to train on and to validate on.

        The latter are drawn from rows with a weight; classes that are large enough keep their shares.
        """
        rows = np.arange(n) if weights is None else np.flatnonzero(weights)
        settings = {"test_size": self.validation_split, "random_state": next_seed(self._rng)}
        single = isinstance(self._task, Classification) and self._task.labels.kind != MULTILABEL
        try:
            _, held = train_test_split(rows, **settings, stratify=y[rows] if single else None)
        except ValueError:
            _, held = train_test_split(rows, **settings)
        return np.setdiff1d(np.arange(n), held), held

    def _validation(self, given: Any) -> tuple[Any, ...]:
        """Return validation data as the model reads them."""
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise ValueError(f"validation_data: expected (X, y) or (X, y, sample_weight), got {type(given).__name__}")
        try:
            X, y = self._checked(given[0], given[1], reset=False, multi_output=True, **self._checks)
            return (model_factory.feed(self.model_, X), self._target(X, y), *given[2:])
        except ValueError as error:
            raise ValueError(f"validation_data: {error}") from None

    # ---- outputs ----

    def _features(self, X: Any) -> Any:
        """Check features to predict from."""
        return self._checked(X, reset=False, **self._checks)

    def _outputs(self, X: Any) -> Array:
        """Return the outputs of the model for features, without dropout."""
        check_is_fitted(self)
        X = self._features(X)
        return self._compute(self.model_, X).astype(self._float, copy=False)

    def _compute(self, model: Model, X: Any) -> Array:
        """Return the outputs of a model: those of a row do not depend on the rows beside it."""
        n = X.shape[0]
        if n < _LEAST_ROWS:
            X = X[np.arange(_LEAST_ROWS) % n]
        outputs: Array = model.predict(model_factory.feed(model, X), **{"verbose": 0, **self.routed("predict")})
        return outputs[:n]

    def _sampled(self, X: Any, samples: int, **settings: Any) -> MCPrediction:
        """Return statistics of passes with active dropout; see :meth:`nbnet.Model.predict_mc`."""
        check_is_fitted(self)
        x = model_factory.feed(self.model_, self._features(X))
        return self.model_.predict_mc(x, samples, seed=self._mask_seed, **self.routed("predict"), **settings)


class SupervisedNet(Net):
    """Base of :class:`NetClassifier` and :class:`NetRegressor`."""

    @with_callbacks
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, validation_data: Any = None, *,
        X_val: Any = None, y_val: Any = None,
    ) -> Self:  # fmt: skip
        """Train a new model; with ``warm_start`` continue with that of the last fit.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, (n, features) or (n, ...)
        y : array_like, (n,) or (n, outputs)
            Labels, or indicators of labels (n, labels); for the regressor numbers.
        sample_weight : array_like, (n,)
        validation_data : tuple
            ``(X, y)`` or ``(X, y, sample_weight)``, instead of a ``validation_split``.
        X_val, y_val : array_like
            The same, one by one, so that ``Pipeline(transform_input=["X_val"])`` transforms it.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If data or parameters are not valid, or with ``warm_start`` the classes or outputs have changed.
        """
        if X_val is not None or y_val is not None:
            if X_val is None or y_val is None:
                missing, given = ("X_val", "y_val") if X_val is None else ("y_val", "X_val")
                raise ValueError(f"{missing}: expected data, because {given} is given, got None")
            if validation_data is not None:
                raise ValueError("validation_data: expected None beside X_val and y_val")
            validation_data = X_val, y_val
        return self._fit(X, y, sample_weight, validation_data, self.warm_start and hasattr(self, "model_"), None)

    @abstractmethod
    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation: Any, warm: bool, epochs: int | None, classes: Any = None
    ) -> Self:
        """Train a new model, or if ``warm`` the one there is; ``epochs`` is 1 for ``partial_fit``, otherwise None."""


def _rows(x: Any, indices: Array) -> Any:
    return [part[indices] for part in x] if isinstance(x, list) else x[indices]


def _differ(before: list[Any], now: list[Any]) -> bool:
    try:
        return before != now
    except ValueError:  # other arrays than before
        return True


def _output_kind(estimator: NetClassifier) -> OutputKind:
    """Return the kind of outputs, before ``fit`` the expected one."""
    return estimator._decoder.kind if hasattr(estimator, "model_") else expected_kind(estimator.loss)


def _has_scores(estimator: NetClassifier) -> bool:
    if _output_kind(estimator) == "probabilities":
        raise AttributeError("decision_function needs logits or margins; the outputs are probabilities")
    return True


@documented(model=MODEL, parameters=PARAMETERS, attributes=ATTRIBUTES)
class NetClassifier(LabelPredictor, SupervisedNet):
    """Any network with scikit-learn's methods, for labels of any kind, one or several a row.

    Parameters
    ----------
    %(model)s
        The output has a unit for each class or label, or one for two classes. The default is
        :func:`nbnet.estimators.architecture.small_network`.
    class_weight : dict or "balanced"
        Weight of each class, by label; multiplied with sample weights.
    %(parameters)s

    Attributes
    ----------
    classes_ : ndarray
        Sorted classes; indices of the labels if the target is multilabel.
    %(attributes)s

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.estimators import NetClassifier
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_iris(return_X_y=True)
    >>> layers = [nb.layers.Dense(32, "relu"), nb.layers.Dropout(0.2, name="drop"), nb.layers.Dense(3, "softmax")]
    >>> net = NetClassifier(nb.Sequential(layers), epochs=60, model__drop__rate=0.1, random_state=0)
    >>> make_pipeline(StandardScaler(), net).fit(X, y).score(X, y) > 0.9
    True
    >>> NetClassifier(lambda n_classes, units: nb.Sequential(), model__unit=3).set_params(model__unit=4)
    Traceback (most recent call last):
        ...
    ValueError: model__unit: <lambda> has no 'unit' (did you mean 'units'?); it has n_classes, units
    """

    classes_: Array

    @accepts_routed
    def __init__(
        self, model: Any = None, *, optimizer: Any = "auto", loss: Any = "auto", metrics: Any = None,
        batch_size: int | None = 32, epochs: int = 50, validation_split: float = 0.0, callbacks: Any = None,
        class_weight: Any = None, random_state: Any = None, warm_start: bool = False, verbose: int | str = 0,
        dtype: Any = None, **routed: Any,
    ) -> None:  # fmt: skip
        self._set_parameters(locals())

    @with_callbacks
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train the model, a new one if there is none, for one epoch.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        classes : array_like
            All labels; required in the first call, unless y has all of them or holds indicators.
        """
        if self.class_weight == "balanced":
            raise ValueError("class_weight: 'balanced' needs all rows at once; give partial_fit a dict of weights")
        return self._fit(X, y, sample_weight, None, hasattr(self, "model_"), 1, classes)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation: Any, warm: bool, epochs: int | None, classes: Any = None
    ) -> Self:
        X, y = self._checked(X, y, reset=not warm, multi_output=True, **self._checks)
        known = self._decoder.labels if warm else None
        if not warm and classes is not None and y.ndim == 1:
            known = Labels.of_classes(classes)
        elif classes is not None and known is not None and not np.array_equal(np.unique(classes), known.classes):
            raise ValueError(f"classes: expected those of the first call, {known.classes}, got {classes}")
        labels = labels_of(y, known, exactly=epochs is None)
        weights = sample_weights(X, y, sample_weight, self.class_weight, np.float64)
        if warm:
            self._resume()
        else:
            self._begin(X, y, Classification(labels))
            self.classes_ = labels.classes
        self._train(X, y, weights, validation, epochs)
        return self

    def _set_task(self, model: Model, loss: Loss | None, task: Task, width: int) -> None:
        super()._set_task(model, loss, task, width)
        assert isinstance(task, Classification)
        self._decoder = OutputDecoder.of(model, loss, task.labels, width)

    # ---- predictions ----

    def _has_probabilities(self) -> bool:
        if _output_kind(self) == "margins":
            raise AttributeError(
                f"predict_proba needs probabilities or logits; with the loss {self.loss!r} there are none"
            )
        return True

    def _predict(self, X: Any, samples: int | None) -> Array:
        check_is_fitted(self)
        if samples is None:
            return self._decoder.predict(self._outputs(X))
        if self._decoder.kind == "margins":
            return self._decoder.predict(self._sampled(X, samples).mean)
        return self._decoder.most_probable(self._predict_proba(X, samples))

    def _predict_proba(self, X: Any, samples: int | None) -> Array:
        check_is_fitted(self)
        decoder = self._decoder
        if samples is None:
            return decoder.probabilities(self._outputs(X))
        if decoder.kind == "probabilities":
            return decoder.probabilities(self._sampled(X, samples).mean)
        # The mean of probabilities differs from the probabilities of mean logits.
        outputs: Any = self._sampled(X, samples, return_samples=True).samples
        return cast(Array, np.mean([decoder.probabilities(logits) for logits in outputs], axis=0))

    @available_if(_has_scores)
    def decision_function(self, X: Any) -> Array:
        """Compute scores: logits or margins; only for models whose outputs are these.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, (n, features) or (n, ...)

        Returns
        -------
        ndarray, (n,) for two classes, or (n, classes) or (n, labels)
        """
        check_is_fitted(self)
        return self._decoder.scores(self._outputs(X))


@documented(model=MODEL, parameters=PARAMETERS, attributes=ATTRIBUTES)
class NetRegressor(UncertaintyMixin, SupervisedNet):
    """Any network with scikit-learn's methods, for numbers, one or several a row.

    Parameters
    ----------
    %(model)s
        The output has a unit for each column of y, two with the loss
        :class:`nbnet.losses.GaussianNegativeLogLikelihood`. The default is
        :func:`nbnet.estimators.architecture.small_network`.
    %(parameters)s

    Attributes
    ----------
    n_outputs_ : int
        Columns of the target.
    %(attributes)s

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.estimators import NetRegressor
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> net = NetRegressor(epochs=100, model__dropout=0.1, optimizer__learning_rate=0.01, random_state=0)
    >>> net.fit(X, np.abs(X[:, 0])).score(X, np.abs(X[:, 0])) > 0.9
    True
    >>> mean, std = net.predict([[0.5], [30.0]], return_std=True)
    >>> bool(std[1] > 3 * std[0])
    True
    """

    n_outputs_: int

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @with_callbacks
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the model, a new one if there is none, for one epoch.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        """
        return self._fit(X, y, sample_weight, None, hasattr(self, "model_"), 1)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation: Any, warm: bool, epochs: int | None, classes: Any = None
    ) -> Self:
        X, y = self._checked(X, y, reset=not warm, multi_output=True, y_numeric=True, **self._checks)
        weights = sample_weights(X, y, sample_weight, None, np.float64)
        task = Regression.of(y)
        if not warm:
            self.n_outputs_ = task.outputs
            self._begin(X, y, task)
        elif task.outputs != self.n_outputs_:
            raise ValueError(f"y: expected {self.n_outputs_} columns, as in the last fit, got {task.outputs}")
        else:
            self._resume()
        self._train(X, y, weights, validation, epochs)
        return self

    @property
    def _head(self) -> Head:
        return (GaussianHead if self._units == 2 * self.n_outputs_ else PointHead)(self.n_outputs_)

    def _end_training(self, held: tuple[Any, ...] | None) -> None:
        self._distances = None
        if held is not None:
            self._keep_distances(held[1], self.model_.predict(held[0], verbose=0))

    def _shaped(self, array: Array) -> Array:
        array = array.astype(self._float, copy=False)
        return array[:, 0] if isinstance(self._task, Regression) and self._task.single else array
