"""``y = x @ w + b``, and the same with what follows it: an activation and dropout, in one pass over the product."""

from __future__ import annotations

import functools
from math import prod
from typing import Any

from nbnet.core.abi import (
    accumulates,
    attribute,
    block,
    bytevec,
    fill_rows,
    first_row,
    in_place,
    kernel,
    mat,
    matmul,
    present,
    seed,
    sum_rows,
    vec,
)
from nbnet.core.graph import Tensor
from nbnet.core.jit import Kernel
from nbnet.core.op import BYTE, Op, Spec, register
from nbnet.core.outer import fits, outer_product
from nbnet.core.philox import fill_mask
from nbnet.core.tape import apply, tensors
from nbnet.ops.elementwise import Elementwise, product
from nbnet.ops.rate import keep_scale


@kernel
def dense_forward(mem: Any, ins: Any, step: Any) -> None:
    x, w, b, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), mat(mem, ins, 3)
    fill_rows(y, b)
    matmul(x, False, w, False, y, True)


@kernel
def dense_backward(mem: Any, ins: Any, step: Any) -> None:
    x, w, dy, dx, dw, db = (mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2), mat(mem, ins, 3), mat(mem, ins, 4),
    vec(mem, ins, 5))  # fmt: skip
    if present(ins, 5):
        sum_rows(dy, db, accumulates(ins, 5))
    if present(ins, 4):
        matmul(x, True, dy, False, dw, accumulates(ins, 4))
    if present(ins, 3):
        matmul(dy, False, w, True, dx, accumulates(ins, 3))


@kernel
def dense_weights_backward(mem: Any, ins: Any, step: Any) -> None:
    """Rows of the gradient of the weights; attributes: the first, and how many. Operands 3 to 5 are what an update will
    read with them."""
    x, dy, first, rows = mat(mem, ins, 0), mat(mem, ins, 1), attribute(ins, 0), attribute(ins, 1)
    dw = block(mat(mem, ins, 2), rows, dy.shape[1])
    if fits(x, rows):
        count = present(ins, 3) + present(ins, 4) + present(ins, 5)
        outer_product(x, first, rows, dy, dw, count, mat(mem, ins, 3), mat(mem, ins, 4), mat(mem, ins, 5))
    else:
        matmul(x[:, first : first + rows], True, dy, False, dw, False)


def infer_dense(x: Tensor, w: Tensor, b: Tensor) -> Spec:
    """Shape of ``x @ w + b``; the last axis of x is multiplied, the others are rows."""
    if len(w.shape) != 2 or not x.shape or x.shape[-1] != w.shape[0] or b.shape != (w.shape[1],):
        raise ValueError(
            f"dense: wants x (..., n), w (n, units) and b (units,), got {x.shape}, {w.shape} and {b.shape}"
        )
    return Spec((*x.shape[:-1], w.shape[1]))


DENSE = register(
    Op(
        "dense",
        dense_forward,
        ("x", "w", "b"),
        infer=lambda x, w, b: (infer_dense(x, w, b),),
        backward=dense_backward,
        gradient=("x", "w", "dy", "dx", "dw", "db"),
        multiplies=True,
        outer="dy",
    )
)


def dense(x: Any, w: Any, b: Any) -> Tensor:
    """``x @ w + b``.

    Parameters
    ----------
    x
        (..., n)
    w
        (n, units)
    b
        (units,)

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.dense([[1.0, 2.0]], [[1.0], [10.0]], [0.5]).numpy()
    array([[21.5]], dtype=float32)
    """
    return apply(DENSE, *tensors(x, w, b))  # type: ignore[no-any-return]


# ---- fused: dense -> activation -> dropout -------------------------------------------------------------------
# Operands: y is what comes out. s is what the activation's derivative reads: its input or its output; with dropout it
# is kept apart from y, unless its sign is all that matters, and dropout leaves the sign.


@functools.cache
def fused_dense(activation: Elementwise | None, dropout: bool) -> Op:
    """The op ``dropout(activation(x @ w + b))``; its kernels are compiled when a program first uses them."""
    if activation is None and not dropout:
        return DENSE
    name = "_".join(["dense", *([activation.name] if activation else []), *(["dropout"] if dropout else [])])
    parameters = activation.op.inputs[1:] if activation else ()
    inputs = ("x", "w", "b", *parameters, *(["rate"] if dropout else []))
    separate = activation is not None and (activation.keeps == "x" or (dropout and not activation.sign_only))
    saves = (*(["s"] if separate else []), *(["mask"] if dropout else []))
    forward = _fused_forward(activation, len(parameters), dropout, separate)
    backward = _fused_backward(activation, len(parameters), dropout)

    def infer(x: Tensor, w: Tensor, b: Tensor, *rest: Tensor) -> tuple[Spec, ...]:
        y = infer_dense(x, w, b)
        return (y, *([y] if separate else []), *([Spec(y.shape, BYTE)] if dropout else []), y)

    def encode(x: Tensor, w: Tensor, *rest: Tensor) -> tuple[int, ...]:
        return (prod(x.shape[1:-1]) * w.shape[1],)

    state = "s" if separate else "y"
    return Op(
        name,
        Kernel(forward, f"{name}_forward"),
        inputs,
        saves=saves,
        infer=infer,
        backward=Kernel(backward, f"{name}_backward"),
        gradient=("x", "w", state, "dy", "dz", "dx", "dw", "db", *parameters, *(["rate", "mask"] if dropout else [])),
        work=("dz",),
        reuse={"dz": "dy"},
        encode=encode,
        mask="mask" if dropout else None,
        random=dropout,
        multiplies=True,
        outer="dz",
    )


def _fused_forward(activation: Elementwise | None, parameters: int, dropout: bool, separate: bool) -> Any:
    f: Any = activation.f if activation is not None else None
    keeps_x = activation is not None and activation.keeps == "x"
    at_rate = 3 + parameters
    at_y = at_rate + dropout
    at_s, at_mask = at_y + 1, at_y + 1 + separate

    def forward(mem: Any, ins: Any, step: Any) -> None:
        fill_rows(mat(mem, ins, at_y), vec(mem, ins, 2))
        matmul(mat(mem, ins, 0), False, mat(mem, ins, 1), False, mat(mem, ins, at_y), True)
        y = vec(mem, ins, at_y)
        real = y.dtype.type
        a = 0.0
        if parameters > 0:
            a = vec(mem, ins, 3)[0]
        s = vec(mem, ins, at_s if separate else at_y)
        if dropout:
            rate, mask = vec(mem, ins, at_rate)[0], bytevec(mem, ins, at_mask)
            fill_mask(mask, first_row(ins) * attribute(ins, 0), seed(ins), step, rate)
            scale = keep_scale(rate)
            for i in range(y.size):
                v = y[i]
                if separate:
                    if keeps_x:
                        s[i] = v
                    else:
                        s[i] = f(v, a)
                if f is not None:
                    v = f(v, a)
                y[i] = product(v, scale * real(mask[i]))
        else:
            for i in range(y.size):
                v = y[i]
                if keeps_x:
                    s[i] = v
                y[i] = f(v, a)

    return forward


def _fused_backward(activation: Elementwise | None, parameters: int, dropout: bool) -> Any:
    df: Any = activation.df if activation is not None else None
    at_rate = 8 + parameters
    at_mask = at_rate + 1

    def backward(mem: Any, ins: Any, step: Any) -> None:
        s, dy, dz = vec(mem, ins, 2), vec(mem, ins, 3), vec(mem, ins, 4)
        real = dz.dtype.type
        a = 0.0
        if parameters > 0:
            a = vec(mem, ins, 8)[0]
        if dropout:
            scale, mask = keep_scale(vec(mem, ins, at_rate)[0]), bytevec(mem, ins, at_mask)
        # dz usually is dy's memory. The loop works on one view: with two of the same memory it would not vectorise.
        if not in_place(ins, 3, 4):
            for i in range(dz.size):
                dz[i] = dy[i]
        for i in range(dz.size):
            d = dz[i]
            if dropout:
                d = product(d, scale * real(mask[i]))
            if df is not None:
                d = product(d, df(s[i], a))
            dz[i] = d
        x, w, dx, dw, db = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 5), mat(mem, ins, 6), vec(mem, ins, 7)
        dz2 = mat(mem, ins, 4)
        if present(ins, 7):
            sum_rows(dz2, db, accumulates(ins, 7))
        if present(ins, 6):
            matmul(x, True, dz2, False, dw, accumulates(ins, 6))
        if present(ins, 5):
            matmul(dz2, False, w, True, dx, accumulates(ins, 5))

    return backward
