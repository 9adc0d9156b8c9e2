"""``keras.wrappers.scikit_learn`` of Keras 2 and ``scikeras.wrappers``: estimators of a function that builds a model.

``KerasClassifier(build_fn=f, epochs=5)`` and ``KerasClassifier(model=f, model__units=8)`` are both understood.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score

from nbnet import losses, optimizers
from nbnet.models import Model, clone_model
from nbnet.utils import set_random_seed, to_categorical

Array = NDArray[Any]
_FIT = frozenset(inspect.signature(Model.fit).parameters) - {"self", "x", "y", "sample_weight"} | {"nb_epoch"}
_PREDICT = frozenset(("batch_size", "verbose", "steps"))
_COMPILE = frozenset(("optimizer", "loss", "metrics", "loss_weights", "weighted_metrics", "run_eagerly"))
_ROUTES = ("model__", "fit__", "predict__", "compile__", "optimizer__", "loss__", "metrics__")
_OWN = frozenset(("random_state", "warm_start", "class_weight"))

__all__ = ["KerasClassifier", "KerasRegressor"]


class _Wrapper(BaseEstimator):  # type: ignore[misc]
    """An estimator whose parameters are those of a function that builds a model, of fit, predict and compile."""

    def __init__(self, build_fn: Any = None, *, model: Any = None, **sk_params: Any) -> None:
        self.build_fn, self._given_model, self.sk_params = build_fn, model, sk_params
        known = set(self._builder_arguments()) | _FIT | _PREDICT | _COMPILE | _OWN
        for name in sk_params:
            if name not in known and not name.startswith(_ROUTES):
                raise ValueError(f"{name}: expected a parameter of the function that builds the model, or of fit")

    @property
    def _given(self) -> Any:
        return self._given_model if self._given_model is not None else self.build_fn

    @property
    def model(self) -> Any:
        """The model, or the function that builds it, as given; without it, the model that was trained."""
        return getattr(self, "model_", None) if self._given_model is None else self._given_model

    @model.setter
    def model(self, value: Any) -> None:
        self._given_model = value

    @property
    def _builder(self) -> Callable[..., Any]:
        given = self._given
        if given is None:
            # A subclass builds the model in __call__.
            return self.__call__  # type: ignore[no-any-return]
        return (lambda: clone_model(given)) if isinstance(given, Model) else given

    def _builder_arguments(self) -> dict[str, Any]:
        return {} if isinstance(self._given, Model) else dict(inspect.signature(self._builder).parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters, as scikit-learn asks for them."""
        given = {"build_fn": self.build_fn} if self._given_model is None else {"model": self._given_model}
        return {**given, **self.sk_params}

    def set_params(self, **params: Any) -> Self:
        """Set parameters, as scikit-learn does in searches."""
        for name, value in params.items():
            if name in ("build_fn", "model"):
                setattr(self, name, value)
            else:
                self.sk_params[name] = value
        type(self)(**self.get_params())
        return self

    def _chosen(self, names: Any, route: str) -> dict[str, Any]:
        plain = {name: value for name, value in self.sk_params.items() if name in names}
        routed = {name.removeprefix(route): value for name, value in self.sk_params.items() if name.startswith(route)}
        return plain | routed

    def _build(self, X: Any, y: Any) -> Any:
        arguments = self._builder_arguments()
        chosen = self._chosen(arguments, "model__")
        if "meta" in arguments:
            shape = np.shape(X)
            chosen["meta"] = {"n_features_in_": shape[1], "X_shape_": shape, **self._described(y)}
        model = self._builder(**chosen)
        compiled = self._chosen(_COMPILE, "compile__")
        if compiled.get("loss") is not None and getattr(model, "loss", None) is None:
            optimizer = compiled.get("optimizer", "rmsprop")
            options = self._chosen((), "optimizer__")
            if options:
                given = optimizers.get(optimizer) if not isinstance(optimizer, type) else optimizer()
                optimizer = type(given).from_config({**given.get_config(), **options})
            elif isinstance(optimizer, type):
                optimizer = optimizer()
            model.compile(**{**compiled, "optimizer": optimizer})
        return model

    def _described(self, y: Any) -> dict[str, Any]:
        return {}

    def fit(self, X: Any, y: Any, **kwargs: Any) -> Any:
        """Build a model and train it; scikit-learn's other arguments go to ``Model.fit``."""
        if self.sk_params.get("random_state") is not None:
            set_random_seed(int(self.sk_params["random_state"]))
        self.model_ = self._build(X, y)
        targets = self._targets(np.asarray(y))
        options = {**self._chosen(_FIT, "fit__"), **kwargs}
        self.n_features_in_ = np.shape(X)[-1]
        self.history_ = self.model_.fit(np.asarray(X), targets, **options)
        # The wrappers of Keras 2 returned the history.
        return self if self.build_fn is None else self.history_

    def _targets(self, y: Array) -> Array:
        return y

    def _predicted(self, X: Any, kwargs: dict[str, Any]) -> Array:
        options = {"verbose": 0, **self._chosen(_PREDICT, "predict__"), **kwargs}
        return np.asarray(self.model_.predict(np.asarray(X), **options))


class KerasClassifier(ClassifierMixin, _Wrapper):  # type: ignore[misc]
    """A classifier of a function that builds and compiles a model."""

    def _described(self, y: Any) -> dict[str, Any]:
        n = len(np.unique(y))
        return {"n_classes_": n, "target_type_": "binary" if n == 2 else "multiclass"}

    @property
    def n_classes_(self) -> int:
        """The number of classes."""
        return len(self.classes_)

    def _targets(self, y: Array) -> Array:
        if y.ndim == 2 and y.shape[1] > 1:
            self.classes_ = np.arange(y.shape[1])
            return y
        self.classes_, codes = np.unique(y, return_inverse=True)
        codes = codes.reshape(-1)
        one_hot = getattr(losses.as_loss(self.model_.loss), "name", "") == "categorical_crossentropy"
        return to_categorical(codes, len(self.classes_)) if one_hot else codes

    def predict(self, X: Any, **kwargs: Any) -> Array:
        """The most probable class of each row."""
        p = self._predicted(X, kwargs)
        codes = p.argmax(-1) if p.ndim > 1 and p.shape[-1] > 1 else (p.reshape(-1) > 0.5).astype(int)
        return np.asarray(self.classes_[codes])

    def predict_proba(self, X: Any, **kwargs: Any) -> Array:
        """Probabilities of the classes, (n, classes)."""
        p = self._predicted(X, kwargs)
        return np.hstack([1 - p, p]) if p.shape[-1] == 1 else p

    def score(self, X: Any, y: Any, sample_weight: Any = None, **kwargs: Any) -> float:
        """The share of rows that are classified correctly."""
        truth = np.asarray(y)
        truth = truth.argmax(-1) if truth.ndim == 2 and truth.shape[1] > 1 else truth.reshape(-1)
        return float(accuracy_score(truth, self.predict(X, **kwargs), sample_weight=sample_weight))


class KerasRegressor(RegressorMixin, _Wrapper):  # type: ignore[misc]
    """A regressor of a function that builds and compiles a model."""

    def predict(self, X: Any, **kwargs: Any) -> Array:
        """The prediction of each row."""
        p = self._predicted(X, kwargs)
        return p.reshape(-1) if p.ndim == 2 and p.shape[1] == 1 else p

    def score(self, X: Any, y: Any, sample_weight: Any = None, **kwargs: Any) -> float:
        """R squared; the negative loss for wrappers of Keras 2, whose searches took the largest."""
        if self._given_model is None:
            loss = self.model_.evaluate(np.asarray(X), np.asarray(y), verbose=0)
            return -float(loss[0] if isinstance(loss, (list, tuple)) else loss)
        return float(r2_score(y, self.predict(X, **kwargs), sample_weight=sample_weight))


class ScikerasClassifier(KerasClassifier):
    """``KerasClassifier`` of scikeras, whose first argument is the model."""

    def __init__(self, model: Any = None, **sk_params: Any) -> None:
        super().__init__(model=model, **sk_params)


class ScikerasRegressor(KerasRegressor):
    """``KerasRegressor`` of scikeras, whose first argument is the model."""

    def __init__(self, model: Any = None, **sk_params: Any) -> None:
        super().__init__(model=model, **sk_params)


# Their names in ``repr``.
ScikerasClassifier.__name__, ScikerasRegressor.__name__ = __all__
