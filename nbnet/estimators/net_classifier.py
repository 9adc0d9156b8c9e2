"""Any network as a scikit-learn classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from nbnet.estimators.base import sample_weights
from nbnet.estimators.labels import Labels, labels_of
from nbnet.estimators.net import Net, held_out
from nbnet.estimators.outputs import MARGINS, PROBABILITIES, Reading, probable_link
from nbnet.estimators.reporting import with_callbacks
from nbnet.estimators.routing import without_routed
from nbnet.estimators.tasks import Classification, Task
from nbnet.models.model import Model

Array = NDArray[Any]


def _link(net: Any) -> str:
    """What outputs are, or will probably be."""
    return str(net._reading.link) if hasattr(net, "model_") else probable_link(net.loss)


def _has_probabilities(net: Any) -> bool:
    if _link(net) == MARGINS:
        raise AttributeError(f"predict_proba wants probabilities or logits; with the loss {net.loss!r} there are none")
    return True


def _has_scores(net: Any) -> bool:
    if _link(net) == PROBABILITIES:
        raise AttributeError("decision_function wants logits or margins; the outputs are probabilities")
    return True


class NetClassifier(ClassifierMixin, Net):  # type: ignore[misc]
    """A network of yours with scikit-learn's methods, for targets that are labels of any kind, one or several a row.

    The network is never changed: a fit trains a copy of it, with new weights.

    Parameters
    ----------
    model : nbnet.Model, function or class, optional
        A model; or what makes one. A function is given those of these facts that it has arguments for: ``input_shape``
        of a row, ``n_features_in``, ``n_classes``, ``classes``, ``n_outputs``, ``target_type`` (scikit-learn's name of
        it), ``output_units`` and ``output_activation`` that fit, ``dtype``, and ``meta``, a dict with most of them
        under SciKeras's names. By default it is :func:`nbnet.estimators.networks.small_network`.

        The output has a unit for each class or label, or one if there are two classes. Rows of numbers are reshaped to
        what the model's input is shaped like, and dealt out to several inputs in their order.
    optimizer : str, class or nbnet.optimizers.Optimizer
        ``"auto"``: that of the compiled model, otherwise Adam.
    loss : str, class, function or nbnet.losses.Loss
        ``"auto"``: that of the compiled model, otherwise a cross-entropy that fits the target and the last layer. For
        a loss that wants one-hot targets, labels are encoded so.
    metrics : list
        By default those of the compiled model.
    batch_size, epochs, verbose
        See :meth:`nbnet.Model.fit`.
    validation_split
        Share of the rows, drawn with that of each class, to validate on after each epoch.
    callbacks
        A callback, a class of callbacks, a list of them, or a dict by name. Each fit works with copies.
    class_weight : dict or "balanced"
        Weight of each class, by label; multiplied with sample weights.
    random_state : int, RandomState or None
        Whatever is random: weights, the order of rows, masks, rows to validate on.
    warm_start
        Whether ``fit`` goes on with the model of the last fit, the first time with the weights that ``model`` has.
    dtype : {"float32", "float64"}
        What the network computes in; by default what ``model`` does.
    **routed
        ``model__units=8`` gives the function that builds the model ``units=8``; in a model that is given,
        ``model__hidden__units=8`` changes the layer named ``hidden``. ``optimizer__learning_rate``,
        ``loss__label_smoothing``, ``callbacks__patience`` (``callbacks__early_stopping__patience`` if there are
        several) and so on; ``compile__``, ``fit__`` and ``predict__`` are for the further arguments of these methods of
        a model. All are parameters that ``set_params``, ``clone`` and searches know.

    Attributes
    ----------
    model_ : nbnet.Model
        The trained model.
    classes_ : ndarray
        Sorted; for several labels a row, their numbers.
    history_ : nbnet.History
        Losses and metrics of all its epochs.
    n_iter_ : int
        Epochs it was trained for.
    callbacks_ : list of nbnet.callbacks.Callback
        The copies that saw the last fit.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of str
        Their names, if X had any.

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
        class_weight: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int | str = 0,
        dtype: Any = None,
        **routed: Any,
    ) -> None:
        self._keep(locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        validation_data: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> NetClassifier:
        """Train a new model; with ``warm_start`` go on with that of the last fit.

        Parameters
        ----------
        X : array_like, (n, features) or (n, ...)
            Sparse matrices and data frames, too.
        y : array_like, (n,) or (n, labels)
            Labels of any kind; several a row as indicators.
        sample_weight : array_like, (n,)
        validation_data : tuple
            ``(X, y)`` or ``(X, y, sample_weight)``, instead of a ``validation_split``.
        X_val, y_val : array_like
            The same, one by one, so that ``Pipeline(transform_input=["X_val"])`` transforms what it has to.

        Raises
        ------
        ValueError, TypeError
            If data or parameters do not fit, or with ``warm_start`` there are other classes than before.
        """
        warm, held = self.warm_start and hasattr(self, "model_"), held_out(validation_data, X_val, y_val)
        X, y = self._checked(X, y, reset=not warm, multi_output=True, **self._intake)
        known = self._task.labels if warm else None  # type: ignore[attr-defined]
        return self._fit(X, y, sample_weight, held, labels_of(y, known, exactly=True), not warm, None)

    @with_callbacks  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> NetClassifier:
        """Train the model, a new one only if there is none, for an epoch.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        classes : array_like
            All labels that there will ever be; wanted in the first call, unless y is one of indicators or has them all.
        """
        first = not hasattr(self, "model_")
        X, y = self._checked(X, y, reset=first, multi_output=True, **self._intake)
        if self.class_weight == "balanced":
            raise ValueError("class_weight: 'balanced' wants all rows at once; give partial_fit a dict of weights")
        labels = None if first else self._task.labels  # type: ignore[attr-defined]
        if first and classes is not None and y.ndim == 1:
            labels = Labels.of_classes(classes)
        elif classes is not None and labels is not None and not np.array_equal(np.unique(classes), labels.classes):
            raise ValueError(f"classes: wants those of the first call, {labels.classes}, got {classes}")
        return self._fit(X, y, sample_weight, None, labels_of(y, labels, exactly=False), first, 1)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation: Any, labels: Labels, fresh: bool, epochs: int | None
    ) -> NetClassifier:
        weights = sample_weights(X, y, sample_weight, self.class_weight, np.float64)
        if fresh:
            self._begin(X, y, Classification(labels))
            self.classes_ = labels.classes
        else:
            self._go_on()
        self._train(X, y, weights, validation, epochs)
        return self

    def _ready(self, model: Model, loss: Any, task: Task, units: int) -> None:
        assert isinstance(task, Classification)
        self._reading = Reading.of(model, loss, task.labels, units)

    # ---- predictions ----

    def predict(self, X: Any, *, mc_samples: int | None = None) -> Any:
        """Labels.

        Parameters
        ----------
        X : array_like, (n, features) or (n, ...)
        mc_samples
            How many passes with dropout at work to average, instead of none.

        Returns
        -------
        ndarray, (n,); of several labels a row indicators, (n, labels)
        """
        check_is_fitted(self)
        if mc_samples is None:
            return self._reading.decide(self._outputs(X))
        if self._reading.link == MARGINS:
            return self._reading.decide(self._sampled(X, mc_samples).mean)
        return self._reading.choose(self.predict_proba(X, mc_samples=mc_samples))

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any, *, mc_samples: int | None = None) -> Array:
        """Probabilities of classes, in the order of ``classes_``; or of labels.

        Parameters
        ----------
        X : array_like, (n, features) or (n, ...)
        mc_samples
            How many passes with dropout at work to average, instead of none.

        Returns
        -------
        ndarray, (n, classes) or (n, labels)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If passes are asked for, and no layer draws random numbers.
        """
        check_is_fitted(self)
        reading = self._reading
        if mc_samples is None:
            return reading.probabilities(self._outputs(X))
        if reading.link == PROBABILITIES:
            return reading.probabilities(self._sampled(X, mc_samples).mean)
        # The mean of probabilities is not what the mean of logits gives.
        samples = self._sampled(X, mc_samples, return_samples=True).samples
        mean: Array = np.mean([reading.probabilities(logits) for logits in samples], axis=0)
        return mean

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any, *, mc_samples: int | None = None) -> Array:
        """Logarithms of :meth:`predict_proba`."""
        with np.errstate(divide="ignore"):
            logarithms: Array = np.log(self.predict_proba(X, mc_samples=mc_samples))
        return logarithms

    @available_if(_has_scores)  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Array:
        """What decides before it is made a probability: logits, or margins; for models whose outputs are these.

        Parameters
        ----------
        X : array_like, (n, features) or (n, ...)

        Returns
        -------
        ndarray, (n,) for two classes, or (n, classes) or (n, labels)
        """
        check_is_fitted(self)
        return self._reading.scores(self._outputs(X))
