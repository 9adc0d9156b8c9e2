"""Losses that are a mean, or a sum, over the last axis of something computed element by element."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import Function, Kernel, accumulates, device, mat, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register


def infer_rows(z: Tensor, t: Tensor, *rest: Tensor) -> tuple[Spec, ...]:
    """One loss for each row of two matrices of one shape."""
    if z.shape != t.shape or not z.shape:
        raise ValueError(f"y_true: predictions have shape {z.shape}, so targets must have; got {t.shape}")
    return (Spec(z.shape[:-1]),)


@device
def first(p: Any) -> Any:
    """The parameter of a loss that has one."""
    return p[0]


def pairwise(name: str, f: Function, df: Function, mean: bool = True, parameters: Function = first) -> Op:
    """The op ``l[i] = mean_j f(z[i, j], t[i, j], a)``; or a sum, if not ``mean``.

    Parameters
    ----------
    f, df
        Device functions ``f(z, t, a)`` and its derivative by z; z is the prediction, t the target, a the parameters of
        the loss.
    parameters
        Device function that makes a from the op's last input, a vector.
    """

    # Rows of one number are one loop over all of them: an inner loop of one step would not be vectorised. Nor would a
    # long loop with a choice inside, between adding and writing.
    def forward(mem: Any, ins: Any, step: Any) -> None:
        z, t, a, y = mat(mem, ins, 0), mat(mem, ins, 1), parameters(vec(mem, ins, 2)), vec(mem, ins, 3)
        if z.shape[1] == 1:
            z1, t1 = vec(mem, ins, 0), vec(mem, ins, 1)
            for i in range(y.size):
                y[i] = f(z1[i], t1[i], a)
        else:
            share = 1.0 / z.dtype.type(z.shape[1] if mean else 1)
            for i in range(z.shape[0]):
                total = 0.0
                for j in range(z.shape[1]):
                    total += f(z[i, j], t[i, j], a)
                y[i] = total * share

    def backward(mem: Any, ins: Any, step: Any) -> None:
        z, t, a, dy, dz = (
            mat(mem, ins, 0),
            mat(mem, ins, 1),
            parameters(vec(mem, ins, 2)),
            vec(mem, ins, 3),
            mat(mem, ins, 4),
        )
        if z.shape[1] == 1:
            z1, t1, dz1 = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 4)
            if accumulates(ins, 4):
                for i in range(dy.size):
                    dz1[i] += dy[i] * df(z1[i], t1[i], a)
            else:
                for i in range(dy.size):
                    dz1[i] = dy[i] * df(z1[i], t1[i], a)
        else:
            share = 1.0 / z.dtype.type(z.shape[1] if mean else 1)
            for i in range(z.shape[0]):
                scale = dy[i] * share
                if accumulates(ins, 4):
                    for j in range(z.shape[1]):
                        dz[i, j] += scale * df(z[i, j], t[i, j], a)
                else:
                    for j in range(z.shape[1]):
                        dz[i, j] = scale * df(z[i, j], t[i, j], a)

    return register(
        Op(
            name,
            Kernel(forward, f"{name}_forward"),
            ("z", "t", "a"),
            infer=infer_rows,
            backward=Kernel(backward, f"{name}_backward"),
            gradient=("z", "t", "a", "dy", "dz"),
        )
    )
