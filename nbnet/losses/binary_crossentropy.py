"""``-t log(p) - (1 - t) log(1 - p)``, mean over the last axis; from probabilities p or from logits z with ``p =
sigmoid(z)``."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet import data
from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import exp, log, log1p, sigmoid
from nbnet.losses.crossentropy import Crossentropy, clip
from nbnet.losses.loss import Array
from nbnet.losses.pairwise import pairwise
from nbnet.ops.sigmoid import SIGMOID


@device
def smooth(t: Any, a: Any) -> Any:
    """A target, moved by the share a towards 0.5."""
    return t * (1.0 - a) + 0.5 * a


@device
def _f(p: Any, t: Any, a: Any) -> Any:
    s, q = smooth(t, a), clip(p)
    return -s * log(q) - (1.0 - s) * log(1.0 - q)


@device
def _df(p: Any, t: Any, a: Any) -> Any:
    q = clip(p)
    d = (q - smooth(t, a)) / (q * (1.0 - q))
    return d if p == q else 0.0


@device
def _f_logits(z: Any, t: Any, a: Any) -> Any:
    return max(z, 0.0) - z * smooth(t, a) + log1p(exp(-abs(z)))


@device
def _df_logits(z: Any, t: Any, a: Any) -> Any:
    return sigmoid(z) - smooth(t, a)


BINARY_CROSSENTROPY = pairwise("binary_crossentropy", _f, _df)
BINARY_CROSSENTROPY_LOGITS = pairwise("binary_crossentropy_logits", _f_logits, _df_logits)


class BinaryCrossentropy(Crossentropy):
    """Cross-entropy of independent yes-or-no targets.

    Parameters
    ----------
    from_logits
        Whether predictions are logits. A sigmoid right before the loss is recognised and treated as logits.
    label_smoothing
        In [0, 1]: targets are moved by this share towards 0.5.
    axis
        The last one.
    reduction, name
        See :class:`Loss`.

    Raises
    ------
    ValueError
        If label_smoothing or a target lies outside [0, 1].

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.BinaryCrossentropy()([[1.0, 0.0]], [[0.5, 0.5]]).item(), 4)
    0.6931
    """

    name = "binary_crossentropy"
    activation = SIGMOID.op
    of_probabilities, of_logits = BINARY_CROSSENTROPY, BINARY_CROSSENTROPY_LOGITS

    def targets(self, y: Any, name: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        return data.check_probabilities(super().targets(y, name, n, shape, dtype), name)


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """Cross-entropy of each sample; see :class:`BinaryCrossentropy`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.binary_crossentropy([[0.0, 1.0], [1.0, 0.0]], [[0.5, 0.5], [0.25, 0.75]]).numpy().round(4)
    array([0.6931, 1.3863], dtype=float32)
    """
    return BinaryCrossentropy(from_logits, label_smoothing, axis).each(y_true, y_pred)
