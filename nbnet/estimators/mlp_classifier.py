"""A multi-layer perceptron for classification."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target

from nbnet import losses
from nbnet.estimators import mlp_parameters
from nbnet.estimators.base import Array, available_if, documented, validates_parameters
from nbnet.estimators.decoding import LabelPredictor
from nbnet.estimators.mlp import MLP
from nbnet.estimators.mlp_loss import PenalizedLoss, classification_loss
from nbnet.estimators.mlp_parameters import MLPParameters
from nbnet.estimators.solvers import accepted_dtypes, is_stochastic
from nbnet.estimators.targets import BINARY, MULTICLASS, Labels, labels_of


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
