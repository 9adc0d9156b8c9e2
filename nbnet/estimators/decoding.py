"""Outputs of a classifier's model: probabilities, logits or margins, and the labels they stand for."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, Self, cast

import numpy as np
from sklearn.base import ClassifierMixin

from nbnet import losses
from nbnet.base.tree import flatten, restructure
from nbnet.engine.graph.op import INT, Op
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Tensor
from nbnet.estimators.base import Array, Scored, available_if
from nbnet.estimators.routing import is_automatic
from nbnet.estimators.targets import BINARY, MULTICLASS, MULTILABEL, Labels
from nbnet.models.model import Model

#: Kind of outputs; see :func:`output_kind`.
OutputKind = Literal["probabilities", "logits", "margins"]
#: Losses with targets -1 and 1, so that the sign of an output decides.
_SIGNED = (losses.Hinge, losses.SquaredHinge)


@dataclass(frozen=True, eq=False)
class OutputDecoder:
    """Turns outputs into probabilities, scores and labels.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> from nbnet.estimators.decoding import OutputDecoder
    >>> from nbnet.estimators.targets import Labels
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)])
    >>> loss = nb.losses.BinaryCrossentropy(from_logits=True)
    >>> decoder = OutputDecoder.of(model, loss, Labels.of(["no", "yes"]), 1)
    >>> decoder.probabilities(np.array([[0.0], [100.0]])).round(2)
    array([[0.5, 0.5],
           [0. , 1. ]])
    """

    labels: Labels
    kind: OutputKind
    units: int  # outputs of a row
    softmax: bool  # logits become probabilities by a softmax, otherwise by sigmoids
    signed: bool  # margins are compared with zero, otherwise with a half

    @classmethod
    def of(cls, model: Model, loss: losses.Loss | None, labels: Labels, units: int) -> Self:
        """Return the decoder of a model that is trained by a loss; it raises the errors of :func:`output_kind`."""
        kind = output_kind(model, loss)
        softmax = labels.kind != MULTILABEL and units > 1 and not isinstance(loss, losses.BinaryCrossentropy)
        return cls(labels, kind, units, softmax, kind == "logits" or isinstance(loss, _SIGNED))

    def probabilities(self, outputs: Array) -> Array:
        """Return probabilities of classes, (n, classes), or of labels, (n, labels)."""
        if self.kind == "logits":
            outputs = _softmax(outputs) if self.softmax else _sigmoid(outputs)
        if self.labels.kind == MULTILABEL:
            return outputs
        if len(self.labels.classes) == 1:
            return np.ones((len(outputs), 1), outputs.dtype)
        if self.units == 1:
            return np.hstack([1 - outputs, outputs])
        # Sigmoids, one for each class, need not add up to 1; a float32 softmax does only to float32 precision.
        return cast(Array, outputs / outputs.sum(1, keepdims=True))

    def scores(self, outputs: Array) -> Array:
        """Return scores: the largest of (n, classes) wins, or those above zero in (n,) or (n, labels)."""
        kind = self.labels.kind
        if kind == BINARY and self.units == 2:
            return outputs[:, 1] - outputs[:, 0]
        outputs = outputs[:, 0] if kind == BINARY else outputs
        return outputs if self.signed or kind == MULTICLASS else outputs - outputs.dtype.type(0.5)

    def predict(self, outputs: Array) -> Array:
        """Return the labels of outputs."""
        if self.kind == "margins":
            return self.labels.decode(self.scores(outputs) + 0.5)
        return self.most_probable(self.probabilities(outputs))

    def most_probable(self, probabilities: Array) -> Array:
        """Return the most probable labels."""
        two = self.labels.kind == BINARY and probabilities.shape[1] == 2
        return self.labels.decode(probabilities[:, 1:] if two else probabilities)


class LabelPredictor(Scored, ClassifierMixin):
    """Predictions of classifiers: labels and probabilities."""

    @abstractmethod
    def _predict(self, X: Any, samples: int | None) -> Array:
        """Return the labels of rows, after ``samples`` passes with active dropout, or one without."""

    @abstractmethod
    def _predict_proba(self, X: Any, samples: int | None) -> Array:
        """Return the probabilities of rows."""

    def _has_probabilities(self) -> bool:
        """Return True; raise AttributeError if the outputs of the network are no probabilities."""
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def predict(self, X: Any, *, mc_samples: int | None = None) -> Array:
        """Predict labels.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, (n, features) or (n, ...)
        mc_samples : int
            Number of passes with active dropout to average; None for a single pass without dropout.

        Returns
        -------
        ndarray (n,), or indicators (n, labels); the latter are sparse if those of ``fit`` were.
        """
        return self._predict(X, mc_samples)

    @available_if(lambda estimator: estimator._has_probabilities())
    def predict_proba(self, X: Any, *, mc_samples: int | None = None) -> Array:
        """Predict probabilities of classes, in the order of ``classes_``, or of labels.

        Parameters
        ----------
        X, mc_samples
            As for :meth:`predict`.

        Returns
        -------
        ndarray, (n, classes) or (n, labels)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If passes are requested and no layer draws random numbers.
        """
        return self._predict_proba(X, mc_samples)

    @available_if(lambda estimator: estimator._has_probabilities())
    def predict_log_proba(self, X: Any, *, mc_samples: int | None = None) -> Array:
        """Logarithms of :meth:`predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self._predict_proba(X, mc_samples))


def _sigmoid(z: Array) -> Array:
    small = np.exp(-np.abs(z))
    return cast(Array, np.where(z >= 0, 1, small) / (1 + small))


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(1, keepdims=True))
    return cast(Array, e / e.sum(1, keepdims=True))


def last_activation(model: Model) -> str | None:
    """Return the last activation of a model: ``"softmax"``, ``"sigmoid"`` or another op; ``"linear"`` without one.

    None if it cannot be determined.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.estimators.decoding import last_activation
    >>> last_activation(nb.Sequential([nb.Input((2,)), nb.layers.Dense(1), nb.layers.Activation("sigmoid")]))
    'sigmoid'
    >>> last_activation(nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)]))
    'linear'
    """
    inputs = model.inputs_known
    rows = [
        Tensor((1, *(n or 1 for n in shape)), INT if whole else model.compute_dtype)
        for shape, whole in zip(inputs.shapes, inputs.whole, strict=True)
    ]
    with Trace(model.compute_dtype):
        return _last(next(flatten(model.forward(restructure(inputs.template, rows), training=False))))


def _last(y: Tensor) -> str | None:
    if y.node is None:
        return None
    op: Op = y.node.op
    # The logarithm of a softmax differs from its logits by a constant.
    if op.role in ("product", "normalization") or op.name == "log_softmax":
        return "linear"
    if not op.linear:
        return op.name
    before = {_last(x) for x in y.node.inputs if x.node is not None}
    if len(before) != 1:
        return None
    (activation,) = before
    # Means of probabilities are probabilities; sums and products are not.
    keeps = op.moves_values or op.role == "pool" or op.name == "mean"
    return activation if activation == "linear" or keeps else None


def output_kind(model: Model, loss: losses.Loss | None) -> OutputKind:
    """Return the kind of a model's outputs.

    ``"probabilities"``, ``"logits"`` of a sigmoid or softmax, or ``"margins"``, of which the largest or positive ones
    win. Raise ValueError if the loss needs one of the first two, and the last layer gives the other.
    """
    last, from_logits = last_activation(model), getattr(loss, "from_logits", None)
    if from_logits is False and last == "linear":
        raise ValueError(
            f"loss: {getattr(loss, 'name', loss)} needs probabilities, and the last layer of {model.name} has no "
            "activation: give it 'softmax' or 'sigmoid', or use loss='auto', or the loss with from_logits=True"
        )
    if from_logits and last in ("softmax", "sigmoid"):
        raise ValueError(
            f"loss: {getattr(loss, 'name', loss)} with from_logits=True needs logits, and the last layer of "
            f"{model.name} has activation {last!r}: remove it, or use loss='auto'"
        )
    if from_logits:
        return "logits"
    return "probabilities" if from_logits is False or last in ("softmax", "sigmoid") else "margins"


def expected_kind(loss: Any) -> OutputKind:
    """Return the kind of outputs that an estimator's parameter ``loss`` suggests before ``fit``.

    Examples
    --------
    >>> from nbnet.estimators.decoding import expected_kind
    >>> expected_kind("auto"), expected_kind("hinge")
    ('probabilities', 'margins')
    """
    if loss is None or is_automatic(loss):
        return "probabilities"
    found = losses.as_loss(loss)
    if isinstance(found, (*_SIGNED, losses.CategoricalHinge)):
        return "margins"
    return "logits" if getattr(found, "from_logits", False) else "probabilities"
