"""Any network as a scikit-learn classifier."""

from __future__ import annotations

from typing import Any, Self, cast

import numpy as np
from sklearn.utils.validation import check_is_fitted

from nbnet.estimators import net
from nbnet.estimators.base import Array, available_if, documented, sample_weights
from nbnet.estimators.decoding import LabelPredictor, OutputDecoder, OutputKind, expected_kind
from nbnet.estimators.routing import accepts_routed
from nbnet.estimators.sklearn_callbacks import with_callbacks
from nbnet.estimators.targets import Classification, Labels, Task, labels_of
from nbnet.losses import Loss
from nbnet.models.model import Model


def _output_kind(estimator: NetClassifier) -> OutputKind:
    """Return the kind of outputs, before ``fit`` the expected one."""
    return estimator._decoder.kind if hasattr(estimator, "model_") else expected_kind(estimator.loss)


def _has_scores(estimator: NetClassifier) -> bool:
    if _output_kind(estimator) == "probabilities":
        raise AttributeError("decision_function needs logits or margins; the outputs are probabilities")
    return True


@documented(model=net.MODEL, parameters=net.PARAMETERS, attributes=net.ATTRIBUTES)
class NetClassifier(LabelPredictor, net.SupervisedNet):
    """Any network with scikit-learn's methods, for labels of any kind, one or several a row.

    Parameters
    ----------
    %(model)s
        The output has a unit for each class or label, or one for two classes. The default is
        :func:`nbnet.estimators.default_models.small_network`.
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
