"""``glu(x) = a sigmoid(b)``, where a and b are the halves of the last axis."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import accumulates, kernel, mat
from nbnet.core.graph import Tensor
from nbnet.core.math import sigmoid
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, tensor
from nbnet.ops.softmax import last_axis


@kernel
def glu_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y = mat(mem, ins, 0), mat(mem, ins, 1)
    n = y.shape[1]
    for i in range(y.shape[0]):
        for j in range(n):
            y[i, j] = x[i, j] * sigmoid(x[i, n + j])


@kernel
def glu_backward(mem: Any, ins: Any, step: Any) -> None:
    x, dy, dx = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2)
    n = dy.shape[1]
    for i in range(dy.shape[0]):
        a, b, d, da, db = x[i, :n], x[i, n:], dy[i], dx[i, :n], dx[i, n:]
        # Loops with a choice inside, between adding and writing, would not be vectorised.
        if accumulates(ins, 2):
            for j in range(n):
                s = sigmoid(b[j])
                da[j] += d[j] * s
                db[j] += d[j] * a[j] * s * (1.0 - s)
        else:
            for j in range(n):
                s = sigmoid(b[j])
                da[j] = d[j] * s
                db[j] = d[j] * a[j] * s * (1.0 - s)


def _infer(x: Tensor) -> tuple[Spec, ...]:
    if not x.shape or x.shape[-1] % 2:
        raise ValueError(f"glu: wants a last axis of even length, got shape {x.shape}")
    return (Spec((*x.shape[:-1], x.shape[-1] // 2)),)


GLU = register(Op("glu", glu_forward, ("x",), infer=_infer, backward=glu_backward, gradient=("x", "dy", "dx")))


def glu(x: Any, axis: int = -1) -> Tensor:
    """``a * sigmoid(b)``, where a is the first half of the last axis and b the second.

    Parameters
    ----------
    x
        (..., 2 n)
    axis
        The last one.

    Returns
    -------
    Tensor, (..., n)

    Raises
    ------
    ValueError
        If the last axis is of odd length, or axis is another.

    References
    ----------
    Y. N. Dauphin, A. Fan, M. Auli, D. Grangier: Language modeling with gated convolutional networks. ICML (2017).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.glu([[2.0, 4.0, 0.0, -1e4]]).numpy()
    array([[1., 0.]], dtype=float32)
    """
    return apply(GLU, last_axis(tensor(x), axis))  # type: ignore[no-any-return]
