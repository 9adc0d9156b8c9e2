"""What layers add to the loss of a model: penalties on their weights, and on what they compute."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakSet

from nbnet import regularizers
from nbnet.core.graph import Tensor
from nbnet.core.parameter import Parameter
from nbnet.core.structure import flatten
from nbnet.core.tape import recorder, scope
from nbnet.layers.weights import Weights, inside
from nbnet.ops.multiply import multiply
from nbnet.ops.sum import sum as total

#: Their penalties of two parts of a batch add up to that of the whole.
_ADDITIVE = (regularizers.L1, regularizers.L2, regularizers.L1L2)


#: Layers that remember losses of a call that was computed at once.
_holders: WeakSet[Penalties] = WeakSet()


class Penalties(Weights):
    """The part of a :class:`Layer` that is about what it adds to the loss."""

    def __init__(self, trainable: bool, activity_regularizer: Any) -> None:
        super().__init__(trainable)
        self.activity_regularizer: Callable[[Any], Tensor] | None = regularizers.get(
            activity_regularizer, "activity_regularizer"
        )
        self._losses: list[Tensor] = []

    @property
    def losses(self) -> list[Tensor]:
        """Scalars that this layer and those inside it add to the loss: of their last call, then of their weights.

        Those of weights are computed anew each time, on a tape if one is at work. Weights that are not trained cost
        nothing.

        Examples
        --------
        >>> import nbnet as nb
        >>> layer = nb.layers.Dense(1, kernel_initializer="ones", kernel_regularizer="l2", activity_regularizer="l1")
        >>> y = layer([[1.0, 2.0], [3.0, 4.0]])
        >>> [round(loss.item(), 4) for loss in layer.losses]
        [0.05, 0.02]
        """
        active = recorder()
        if active is not None and active.deferred:
            found = [value for value, _ in active.losses]
        else:
            found = [value for layer in inside(self) for value in layer._losses]
        return found + weight_penalties(self.trainable_weights)

    def add_loss(self, loss: Any) -> None:
        """Add to the loss of the model what was computed in :meth:`call`.

        Parameters
        ----------
        loss : Tensor or list of Tensor
            Computed from the layer's input or weights; one that is no scalar is summed. A program that computes such a
            loss from the input does not cut its batches for several threads.

        Raises
        ------
        TypeError
            If it is no tensor.

        Examples
        --------
        >>> import nbnet as nb
        >>> class Gate(nb.layers.Layer):
        ...     def call(self, x):
        ...         self.add_loss(0.1 * nb.ops.mean(nb.ops.abs(x)))
        ...         return nb.ops.sigmoid(x)
        >>> gate = Gate()
        >>> y = gate([[1.0, -3.0]])
        >>> [round(loss.item(), 4) for loss in gate.losses]
        [0.2]
        """
        for value in loss if isinstance(loss, (list, tuple)) else [loss]:
            self._record(_scalar(value, "loss"), False)

    def _record(self, value: Tensor, additive: bool) -> None:
        active = recorder()
        if active is not None and active.deferred:
            active.losses.append((value, additive))
        else:
            self._losses.append(value)
            _holders.add(self)

    def _forget_losses(self) -> None:
        """Forget the losses of the last call, here and in the layers inside: another begins."""
        active = recorder()
        if _holders and (active is None or not active.deferred):
            for layer in inside(self):
                layer._losses = []
                _holders.discard(layer)

    def _penalise(self, outputs: Any) -> None:
        """Add the penalty on what the layer has computed: divided by the rows of the batch, as in Keras."""
        regularizer = self.activity_regularizer
        if regularizer is None:
            return
        for y in flatten(outputs):
            if not isinstance(y, Tensor):
                continue
            value = _scalar(regularizer(y), "activity_regularizer")
            self._record(multiply(value, 1.0 / max(len(y), 1)) if y.shape else value, type(regularizer) in _ADDITIVE)


def weight_penalties(weights: Iterable[Parameter]) -> list[Tensor]:
    """The penalty of each parameter that has a regularizer."""
    found = []
    for weight in weights:
        if weight.regularizer is not None:
            with scope(weight.name or "penalty"):
                found.append(_scalar(weight.regularizer(weight), "regularizer"))
    return found


def _scalar(value: Any, name: str) -> Tensor:
    if not isinstance(value, Tensor) or value.dtype.kind != "f":
        raise TypeError(f"{name}: wants a tensor computed with nbnet.ops, got {value!r}")
    return total(value) if value.shape else value
