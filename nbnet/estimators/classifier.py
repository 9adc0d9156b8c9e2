"""A multi-layer perceptron for labels."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target

from nbnet.estimators import penalised, settings
from nbnet.estimators.base import Array
from nbnet.estimators.labels import BINARY, MULTICLASS, Labels, labels_of
from nbnet.estimators.mlp import MLP
from nbnet.estimators.solvers import accepted_dtypes, has_partial_fit

Float = NDArray[np.floating[Any]]


class MLPClassifier(ClassifierMixin, MLP):  # type: ignore[misc]
    """A neural network for classification: scikit-learn's ``MLPClassifier``, and more.

    Everything that scikit-learn's class has means the same here: change the import, and the same ``random_state`` gives
    the same initial weights and the same batches. Numbers differ by rounding: by default it computes in float32 (see
    ``dtype``). Parameters from ``loss`` on are beyond scikit-learn's.

    Parameters
    ----------
    hidden_layer_sizes : array_like of int
        Units of each hidden layer.
    activation : str, callable or list of them
        Of hidden layers, one for all or one for each: "relu", "tanh", "logistic", "identity", or any other of
        :mod:`nbnet.activations`.
    solver : {"adam", "sgd", "lbfgs"}
        The last one looks at all rows at once; it is good for small data.
    alpha : float
        Strength of the L2 penalty on kernels; it is divided by the number of samples of the batch.
    batch_size : int or "auto"
        Rows of a step; "auto": 200, or all if there are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"} or nbnet.optimizers.schedules.LearningRateSchedule
        The first three are policies of "sgd": constant; divided by ``t_ ** power_t``, rows seen so far, after each
        epoch; divided by 5 instead of stopping. A schedule is one of any solver but "lbfgs", by step.
    learning_rate_init, power_t : float
        The learning rate, or the first one; the exponent of "invscaling".
    max_iter : int
        Most epochs, or iterations of "lbfgs".
    shuffle : bool
        Whether each epoch has an order of its own.
    random_state : int, RandomState or None
        What weights, orders, masks of dropout and the split for validation are drawn from.
    tol : float
        What counts as an improvement of the loss, or of the score of validation.
    verbose : bool
        Whether to print a line for each epoch.
    warm_start : bool
        Whether ``fit`` goes on from the last fit.
    momentum, nesterovs_momentum : float, bool
        Of "sgd"; whether it is Nesterov's.
    early_stopping : bool
        Whether to hold out rows, to stop when their score no longer improves, and to keep the best weights.
    validation_fraction : float
        Share of the rows to hold out.
    beta_1, beta_2, epsilon : float
        Of "adam".
    n_iter_no_change : int or inf
        Epochs without improvement after which training stops.
    max_fun : int
        Most evaluations of the loss by "lbfgs".
    loss : str, nbnet.losses.Loss or callable
        "log_loss", or another of :mod:`nbnet.losses` for probabilities.
    class_weight : dict, "balanced", list of dict or None
        Weights of classes; multiplied with those of samples.
    dropout : float, nbnet.dropout_schedules.DropoutSchedule or list of them
        Probability to DROP a unit of a hidden layer, one for all or one for each.
    input_dropout : float or nbnet.dropout_schedules.DropoutSchedule
        Probability to drop a feature.
    batch_norm : bool
        Whether to normalise what goes into the activations of hidden layers.
    max_norm : float or None
        Largest norm of the weights that lead to a hidden unit.
    optimizer : str, nbnet.optimizers.Optimizer or None
        Takes the place of ``solver``. A name: with ``learning_rate_init``; an optimizer is copied for each fit.
    dtype : {"auto", "float32", "float64"}
        What to compute in. "auto" is float32, which is twice as fast; but for "lbfgs", whose line search wants to see
        small differences, the dtype of X. Weights and predictions are of this dtype.
    callbacks : list of nbnet.callbacks.Callback
        Called after each epoch; logs hold "loss", and "val_loss" and "val_score" of validation.
    n_jobs : int or None
        Threads for a step; None: as many as pay.
    categorical_features : None, "from_dtype", or array_like of bool, int or str
        Columns of categories, by mask, number or name, or those of a data frame whose dtype is categorical. Each gets
        an embedding; categories that ``fit`` has not seen, and missing ones, share one vector.

    Attributes
    ----------
    classes_ : ndarray, (classes,)
    coefs_, intercepts_ : list of ndarray
        Weights of the dense layers. They are the memory of the network.
    model_ : nbnet.Model
        The network.
    loss_, best_loss_ : float
        Of the last epoch and the best; the latter None with early stopping.
    loss_curve_ : list of float
        After each epoch, the penalty included.
    validation_scores_, validation_loss_curve_ : list of float or None
        Accuracy, and loss without the penalty, of the rows held out.
    best_validation_score_ : float or None
    n_iter_, t_ : int
        Epochs of the last fit; rows seen in all.
    n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        Of the network, the input counted as a layer; of X.

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = settings.CONSTRAINTS | settings.OF_CLASSIFIERS

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Literal["adam", "sgd", "lbfgs"] = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: Any = "log_loss",
        class_weight: Any = None,
        dropout: Any = 0.0,
        input_dropout: Any = 0.0,
        batch_norm: bool = False,
        max_norm: float | None = None,
        optimizer: Any = None,
        dtype: Any = "auto",
        callbacks: Any = None,
        n_jobs: int | None = None,
        categorical_features: Any = None,
    ) -> None:
        self._keep(locals())

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None) -> MLPClassifier:
        """Train.

        Parameters
        ----------
        X : array_like or sparse matrix, (n, features)
        y : array_like, (n,), or indicators of labels, (n, labels)
        sample_weight : array_like, (n,)
        validation_data : tuple
            ``(X, y)`` or ``(X, y, sample_weight)`` to validate on after each epoch; with ``early_stopping``, in place
            of rows that are held out.

        Returns
        -------
        The estimator itself.
        """
        return self._fit(X, y, sample_weight, validation_data, incremental=False)  # type: ignore[no-any-return]

    @available_if(has_partial_fit)  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Train for an epoch on these rows.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        classes : array_like
            All there are; needed in the first call, may be left out later.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which does not see all rows: give a dict, "
                "such as sklearn.utils.class_weight.compute_class_weight makes."
            )
        if _check_partial_fit_first_call(self, classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._coding = Labels.of(y) if multilabel else Labels.of_classes(classes)
        return self._fit(X, y, sample_weight, None, incremental=True)  # type: ignore[no-any-return]

    def _validated(self, X: Any, y: Any, incremental: bool, first: bool) -> tuple[Any, Array]:
        X, y = self._checked(X, y, reset=first, dtype=accepted_dtypes(self), multi_output=True)
        stay = hasattr(self, "classes_") and (self.warm_start or incremental)
        known = vars(self).get("_coding") if stay else None
        self._coding = labels_of(y, known, exactly=self.warm_start and not incremental)
        self.classes_ = self._coding.classes
        self.n_outputs_ = self._coding.outputs
        self.out_activation_ = "softmax" if self._coding.kind == MULTICLASS else "logistic"
        return X, y

    @property
    def _width(self) -> int:
        return self.n_outputs_

    def _encoded(self, y: Array) -> Array:
        codes = self._coding.encode(y)
        if self._coding.kind == BINARY:
            return codes.reshape(-1, 1)
        if self._coding.kind == MULTICLASS and not self._objective_for(codes, None).sparse:
            return np.eye(self.n_outputs_)[codes]
        return codes

    def _objective_for(self, targets: Array, weights: Array | None) -> penalised.Penalised:
        return penalised.of_classes(self.loss, self.n_outputs_, self._coding.kind == MULTICLASS)

    def _score_of(self, y: Array, outputs: Array, weights: Array | None) -> float:
        if self._coding.kind == MULTICLASS:
            right = outputs.argmax(1) == (y if y.ndim == 1 else y.argmax(1))
        else:
            right = ((outputs > 0.5) == (y > 0.5)).all(1)
        return float(np.average(right, weights=weights))

    def predict(self, X: Any, *, mc_samples: int | None = None) -> Any:
        """Labels of rows.

        Parameters
        ----------
        X : array_like or sparse matrix, (n, features)
        mc_samples : int
            See :meth:`predict_proba`.

        Returns
        -------
        ndarray (n,), or indicators (n, labels).
        """
        found = self._probabilities(X, mc_samples)
        return self._coding.decode(found)

    def predict_proba(self, X: Any, *, mc_samples: int | None = None) -> Float:
        """Probabilities of classes, or of labels.

        Parameters
        ----------
        X : array_like or sparse matrix, (n, features)
        mc_samples : int
            Passes with dropout at work whose mean it is; None: a single one without dropout.
        """
        found = self._probabilities(X, mc_samples)
        if self._coding.kind != BINARY:
            return found
        second = found.reshape(-1)
        return np.vstack([1 - second, second]).T if len(self.classes_) == 2 else np.ones((len(second), 1), found.dtype)

    def predict_log_proba(self, X: Any, *, mc_samples: int | None = None) -> Float:
        """Logarithms of what :meth:`predict_proba` returns."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, mc_samples=mc_samples))

    def _probabilities(self, X: Any, samples: int | None) -> Float:
        return self._outputs(X) if samples is None else self._sampled(X, samples).mean

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
