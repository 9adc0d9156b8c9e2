"""What the outputs of a classifier's model mean: probabilities, logits or margins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nbnet import losses
from nbnet.core.graph import Tensor
from nbnet.core.op import INT
from nbnet.core.structure import flatten
from nbnet.core.tape import Trace
from nbnet.estimators.labels import BINARY, MULTICLASS, MULTILABEL, Labels
from nbnet.estimators.routing import is_automatic
from nbnet.models.intake import packed
from nbnet.models.model import Model

Array = NDArray[Any]

#: What outputs may be: see :func:`link_of`.
PROBABILITIES, LOGITS, MARGINS = "probabilities", "logits", "margins"
#: Losses whose targets are -1 and 1, so that the sign of an output decides.
SIGNED = (losses.Hinge, losses.SquaredHinge)
#: Ops that no activation is in (the logarithm of a softmax is as good as what it was taken of), and those that leave
#: open what was before them.
_LINEAR = frozenset(("dense", "matmul", "conv", "batch_norm", "batch_norm_fixed", "log_softmax"))
_KEEPING = frozenset(("reshape", "mean", "average_pool"))
_PASSING = _KEEPING | {"add", "subtract", "multiply", "divide", "sum", "transpose", "weighted_sum"}


@dataclass(frozen=True, eq=False)
class Reading:
    """How outputs are read.

    Attributes
    ----------
    labels
        What they stand for.
    link
        What they are.
    units
        How many there are in a row.
    softmax
        Whether logits are made probabilities by a softmax, not by sigmoids.
    signed
        Whether margins are compared with zero, not with a half.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> from nbnet.estimators.labels import Labels
    >>> from nbnet.estimators.outputs import Reading
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)])
    >>> reading = Reading.of(model, nb.losses.BinaryCrossentropy(from_logits=True), Labels.of(["no", "yes"]), 1)
    >>> reading.probabilities(np.array([[0.0], [100.0]])).round(2)
    array([[0.5, 0.5],
           [0. , 1. ]])
    """

    labels: Labels
    link: str
    units: int
    softmax: bool
    signed: bool

    @classmethod
    def of(cls, model: Model, loss: Any, labels: Labels, units: int) -> Self:
        """For a model that is trained by a loss.

        Raises
        ------
        ValueError
            See :func:`link_of`.
        """
        link = link_of(model, loss)
        softmax = labels.kind != MULTILABEL and units > 1 and not isinstance(loss, losses.BinaryCrossentropy)
        return cls(labels, link, units, softmax, link == LOGITS or isinstance(loss, SIGNED))

    def probabilities(self, outputs: Array) -> Array:
        """Of classes, (n, classes); or of labels, (n, labels)."""
        if self.link == LOGITS:
            outputs = _softmax(outputs) if self.softmax else _sigmoid(outputs)
        if self.labels.kind == MULTILABEL:
            return outputs
        if len(self.labels.classes) == 1:
            return np.ones((len(outputs), 1), outputs.dtype)
        if self.units == 1:
            return np.hstack([1 - outputs, outputs])
        # Sigmoids, one for each class, need not add up to 1; a softmax of float32 does not to the last bits of float64.
        probabilities: Array = outputs / outputs.sum(1, keepdims=True)
        return probabilities

    def scores(self, outputs: Array) -> Array:
        """What decides: the largest of (n, classes), or what is above zero in (n,) or (n, labels)."""
        kind = self.labels.kind
        if kind == BINARY and self.units == 2:
            difference: Array = outputs[:, 1] - outputs[:, 0]
            return difference
        outputs = outputs[:, 0] if kind == BINARY else outputs
        return outputs if self.signed or kind == MULTICLASS else outputs - outputs.dtype.type(0.5)

    def decide(self, outputs: Array) -> Any:
        """Labels."""
        labels = self.labels
        if self.link == MARGINS:
            return labels.decode(self.scores(outputs) + 0.5)
        return self.choose(self.probabilities(outputs))

    def choose(self, probabilities: Array) -> Any:
        """Labels that are most probable."""
        two = self.labels.kind == BINARY and probabilities.shape[1] == 2
        return self.labels.decode(probabilities[:, 1:] if two else probabilities)


def _sigmoid(z: Array) -> Array:
    small = np.exp(-np.abs(z))
    p: Array = np.where(z >= 0, 1, small) / (1 + small)
    return p


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(1, keepdims=True))
    p: Array = e / e.sum(1, keepdims=True)
    return p


def last_activation(model: Model) -> str | None:
    """What the outputs of a model went through last: ``"softmax"``, ``"sigmoid"`` or the name of another op;
    ``"linear"`` if that is no activation, None if it cannot be told.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.estimators.outputs import last_activation
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
    with Trace():
        return _last(next(flatten(model.forward(packed(inputs.template, rows), training=False))))


def _last(y: Tensor) -> str | None:
    if y.node is None:
        return None
    name = y.node.op.name
    if name in _LINEAR:
        return "linear"
    if name not in _PASSING:
        return name
    found = {_last(x) for x in y.node.inputs if x.node is not None}
    if len(found) != 1:
        return None
    (inner,) = found
    return inner if inner == "linear" or name in _KEEPING else None


def link_of(model: Model, loss: losses.Loss | None) -> str:
    """Whether outputs are ``"probabilities"``, ``"logits"`` that a sigmoid or softmax makes probabilities, or
    ``"margins"``, the largest or positive of which win.

    Raises
    ------
    ValueError
        If the loss wants one of the first two, and the last layer gives the other.
    """
    ends, from_logits = last_activation(model), getattr(loss, "from_logits", None)
    if from_logits is False and ends == "linear":
        raise ValueError(
            f"loss: {getattr(loss, 'name', loss)} wants probabilities, and the last layer of {model.name} has no "
            "activation: give it 'softmax' or 'sigmoid', or take loss='auto', or the loss with from_logits=True"
        )
    if from_logits and ends in ("softmax", "sigmoid"):
        raise ValueError(
            f"loss: {getattr(loss, 'name', loss)} with from_logits=True wants logits, and the last layer of "
            f"{model.name} has activation {ends!r}: leave that away, or take loss='auto'"
        )
    if from_logits:
        return LOGITS
    return PROBABILITIES if from_logits is False or ends in ("softmax", "sigmoid") else MARGINS


def probable_link(loss: Any) -> str:
    """What outputs will be, as far as the parameter ``loss`` of an estimator tells.

    Examples
    --------
    >>> from nbnet.estimators.outputs import probable_link
    >>> probable_link("auto"), probable_link("hinge")
    ('probabilities', 'margins')
    """
    if loss is None or is_automatic(loss):
        return PROBABILITIES
    made = losses.get(loss)
    if isinstance(made, (*SIGNED, losses.CategoricalHinge)):
        return MARGINS
    return LOGITS if getattr(made, "from_logits", False) else PROBABILITIES
