"""``selu(x) = scale * x`` where ``x > 0``, else ``scale * alpha * (e^x - 1)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import exp, expm1
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise

# The fixed point of the appendix, for mean 0 and variance 1.
SCALE = 1.0507009873554804934193349852946
SCALE_ALPHA = SCALE * 1.6732632423543772848170429916717


@device
def _f(x: Any, a: Any) -> Any:
    return SCALE * x if x > 0.0 else SCALE_ALPHA * expm1(x)


@device
def _df(x: Any, a: Any) -> Any:
    return SCALE if x > 0.0 else SCALE_ALPHA * exp(x)


SELU = elementwise("selu", _f, _df)


def selu(x: Any) -> Tensor:
    """Scaled exponential linear unit: activations drift to mean 0 and variance 1 from layer to layer.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    References
    ----------
    G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter: Self-normalizing neural networks. NIPS (2017), equation 2.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.selu([-1e4, 0.0, 1.0]).numpy().round(4)
    array([-1.7581,  0.    ,  1.0507], dtype=float32)
    """
    return apply(SELU.op, tensor(x))  # type: ignore[no-any-return]
