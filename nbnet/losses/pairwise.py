"""Losses that are a mean over the last axis of something computed element by element."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import Function, Kernel, accumulates, mat, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register


def infer_rows(z: Tensor, t: Tensor, *rest: Tensor) -> tuple[Spec, ...]:
    """One loss for each row of two matrices of one shape."""
    if z.shape != t.shape or not z.shape:
        raise ValueError(f"y_true: predictions have shape {z.shape}, so targets must have; got {t.shape}")
    return (Spec(z.shape[:-1]),)


def pairwise(name: str, f: Function, df: Function) -> Op:
    """The op ``l[i] = mean_j f(z[i, j], t[i, j], a)``.

    Parameters
    ----------
    f, df
        Device functions ``f(z, t, a)`` and its derivative by z; z is the prediction, t the target, a a parameter of
        the loss.
    """

    def forward(mem: Any, ins: Any, step: Any) -> None:
        z, t, a, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3)
        share = 1.0 / z.dtype.type(z.shape[1])
        for i in range(z.shape[0]):
            total = 0.0
            for j in range(z.shape[1]):
                total += f(z[i, j], t[i, j], a)
            y[i] = total * share

    def backward(mem: Any, ins: Any, step: Any) -> None:
        z, t, a, dy, dz = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3), mat(mem, ins, 4)
        add = accumulates(ins, 4)
        share = 1.0 / z.dtype.type(z.shape[1])
        for i in range(z.shape[0]):
            scale = dy[i] * share
            for j in range(z.shape[1]):
                d = scale * df(z[i, j], t[i, j], a)
                dz[i, j] = dz[i, j] + d if add else d

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
