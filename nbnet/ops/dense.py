"""Dense layers, ``y = x @ w + b``: alone, fused with the activation and dropout that follow, and on submatrices, for
dropout that a whole batch shares.

References
----------
B. Graham, J. Reizenstein, L. Robinson: Efficient batchwise dropout training using submatrices. arXiv:1502.02478 (2015),
section 2.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from math import prod
from typing import Any

from nbnet.engine.gemm.dispatch import matmul, outer_product, supports
from nbnet.engine.graph.op import BYTE, Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensors
from nbnet.engine.jit.linker import Kernel
from nbnet.engine.kernels.abi import (
    accumulates,
    attribute,
    block,
    bytevec,
    compress,
    device,
    expand,
    fill_rows,
    first_row,
    in_place,
    kernel,
    mat,
    present,
    seed,
    sum_rows,
    vec,
)
from nbnet.engine.kernels.philox import count_kept, fill_mask
from nbnet.ops.dropout import keep_scale
from nbnet.ops.elementwise import Elementwise, product


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


@kernel(
    extents="x[n,k] dy[n,m] dw[rows*m+] a?:*[rows*m] b?:*[rows*m] c?:*[rows*m]; first rows",
    within=lambda sizes: sizes["first"] + sizes["rows"] <= sizes["k"],
)
def dense_weights_backward(mem: Any, ins: Any, step: Any) -> None:
    """Rows of the gradient of the weights; attributes: the first row, and their number. Operands 3 to 5 are read by the
    update that follows."""
    x, dy, first, rows = mat(mem, ins, 0), mat(mem, ins, 1), attribute(ins, 0), attribute(ins, 1)
    dw = block(mat(mem, ins, 2), rows, dy.shape[1])
    if supports(x, rows):
        count = present(ins, 3) + present(ins, 4) + present(ins, 5)
        outer_product(x, first, rows, dy, dw, count, mat(mem, ins, 3), mat(mem, ins, 4), mat(mem, ins, 5))
    else:
        matmul(x[:, first : first + rows], True, dy, False, dw, False)


def infer_dense(x: Tensor, w: Tensor, b: Tensor) -> Spec:
    """Shape of ``x @ w + b``; the last axis of x is multiplied, the others are rows."""
    if len(w.shape) != 2 or not x.shape or x.shape[-1] != w.shape[0] or b.shape != (w.shape[1],):
        raise ValueError(
            f"dense: expected x (..., n), w (n, units) and b (units,), got {x.shape}, {w.shape} and {b.shape}"
        )
    return Spec((*x.shape[:-1], w.shape[1]))


DENSE = register(
    Op("dense", dense_forward, ("x", "w", "b"), infer=lambda x, w, b: (infer_dense(x, w, b),), backward=dense_backward,
       gradient=("x", "w", "dy", "dx", "dw", "db"), role="product", linear=True, outer="dy",
       extents="x[n,k] w[k,m] b[m] y[n,m]")
)  # fmt: skip


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
    return apply(DENSE, *tensors(x, w, b))


# ---- fused: dense -> activation -> dropout -------------------------------------------------------------------
# Operands: y is the result; s is read by the activation's derivative: its input or its output. With dropout s is kept
# apart from y, unless the derivative reads only the sign, which dropout leaves.


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
        name, Kernel(forward, f"{name}_forward"), inputs, saves=saves, infer=infer,
        backward=Kernel(backward, f"{name}_backward"),
        gradient=("x", "w", state, "dy", "dz", "dx", "dw", "db", *parameters, *(["rate", "mask"] if dropout else [])),
        work=("dz",), reuse={"dz": "dy"}, encode=encode, mask="mask" if dropout else None, random=dropout,
        role="product", outer="dz",
        extents=f"x[n,k] w[k,m] b[m] {' '.join(f'{p}[1]' for p in (*parameters, 'rate'))} y[n,m] s[n,m] mask:u1[n,m] "
                "dz[n,m]",
    )  # fmt: skip


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
        # dz usually shares dy's memory. The loop works on one view: over two views of one memory it does not vectorise.
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


# ---- batchwise dropout on submatrices ------------------------------------------------------------------------
# Where all rows of a batch drop the same units, the rest of a layer is a smaller matrix. A *packed* tensor has the kept
# columns side by side at the beginning of its memory; only ops below read one. A graph pass puts them in place, so that
# ``dense -> activation -> dropout -> dense`` multiplies kept rows by kept columns of the weights, forward and backward.


# ---- batchwise dropout alone ---------------------------------------------------------------------------------
# Attribute 0 is 0: the mask's elements are counted from 0 in every slice of the batch.


@kernel
def pack_forward(mem: Any, ins: Any, step: Any) -> None:
    x, rate, y, mask = mat(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), bytevec(mem, ins, 3)
    fill_mask(mask, first_row(ins) * attribute(ins, 0), seed(ins), step, rate)
    kept, scale = count_kept(mask), keep_scale(rate)
    for i in range(x.shape[0]):
        compress(x[i], mask, y[i * kept :])
    for i in range(x.shape[0] * kept):
        y[i] = product(y[i], scale)


@kernel
def pack_backward(mem: Any, ins: Any, step: Any) -> None:
    mask, rate, dy, dz, dx = (bytevec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), vec(mem, ins, 3),
    mat(mem, ins, 4))  # fmt: skip
    kept, scale = count_kept(mask), keep_scale(rate)
    # dz usually is dy's memory. The loop works on one view: with two of the same memory it would not vectorise.
    if not in_place(ins, 2, 3):
        for i in range(dx.shape[0] * kept):
            dz[i] = dy[i]
    for i in range(dx.shape[0] * kept):
        dz[i] = product(dz[i], scale)
    for i in range(dx.shape[0]):
        expand(dz[i * kept :], mask, dx[i], accumulates(ins, 4))


#: ``dropout_shared`` with a packed result.
PACK = Op(
    "dropout_packed",
    pack_forward,
    ("x", "rate"),
    saves=("mask",),
    infer=lambda x, rate: (Spec(x.shape), Spec((1, x.shape[1]), BYTE), Spec(x.shape)),
    encode=lambda x, rate: (0,),
    backward=pack_backward,
    gradient=("mask", "rate", "dy", "dz", "dx"),
    work=("dz",),
    reuse={"dz": "dy"},
    mask="mask",
    random=True,
    role="noise",
    extents="x[n,m] rate[1] y[n,m] mask:u1[m] dz[n,m]",
    partial=("y",),
)


# ---- dense layers on submatrices -----------------------------------------------------------------------------
# Operands of forward: x, w, b, the activation's parameters, the mask of the columns of x if they are packed, the rate
# if the result is packed; then y, s (the operand of the activation's derivative, if that is not y), the mask of y, and
# the kept weights with the kept biases below them.


@device
def pack_weights(w: Any, b: Any, of_rows: Any, of_columns: Any, packed: Any, kept: Any) -> None:
    """Copy kept rows and columns of w side by side, then the kept elements of b. An empty mask keeps everything."""
    at = 0
    for i in range(w.shape[0]):
        if of_rows.size == 0 or of_rows[i] > 0:
            copy_row(w[i], of_columns, packed[at : at + w.shape[1]])
            at += kept
    copy_row(b, of_columns, packed[at : at + b.size])


@device
def copy_row(row: Any, mask: Any, out: Any) -> None:
    if mask.size > 0:
        compress(row, mask, out)
    else:
        for j in range(row.size):
            out[j] = row[j]


@device
def spread_row(packed: Any, mask: Any, row: Any, add: Any) -> None:
    """Fill a row of a gradient from its kept elements, or add them to it."""
    if mask.size > 0:
        expand(packed, mask, row, add)
    else:
        for j in range(row.size):
            row[j] = row[j] + packed[j] if add else packed[j]


@dataclass(frozen=True, eq=False)
class PackedDense(Op):
    """The op ``activation(x @ w + b)`` on packed tensors: of a packed x (``reads``), or with a packed result of dropout
    (``drops``)."""

    activation: Elementwise | None = None
    reads: bool = False
    drops: bool = False

    def leaving_packed(self) -> PackedDense:
        """The same op with packed gradients of w and b, at the beginning of the memory of the whole ones."""
        return packed_dense(self.activation, self.reads, self.drops, False)


@functools.cache
def packed_dense(activation: Elementwise | None, reads: bool, drops: bool, spreads: bool = True) -> PackedDense:
    """The op for an activation and these properties; with ``spreads``, gradients of w and b are spread over the whole
    parameters, else they stay packed."""
    keeps_x = activation is not None and activation.keeps == "x"
    separate = activation is not None and (keeps_x or (drops and not activation.sign_only))
    parameters = activation.op.inputs[1:] if activation is not None else ()
    name = "_".join(["packed_dense", *([activation.name] if activation else []), *(["dropout"] if drops else [])])
    name += "" if reads else "_first"
    backward = f"{name}_backward" if spreads else f"{name}_backward_packed"
    inputs = ("x", "w", "b", *parameters, *(["kept"] if reads else []), *(["rate"] if drops else []))
    saves = (*(["s"] if separate else []), *(["mask"] if drops else []), "wp")

    def infer(x: Tensor, w: Tensor, b: Tensor, *rest: Tensor) -> tuple[Spec, ...]:
        y = infer_dense(x, w, b)
        n, units = w.shape
        weights = Spec((n + 1, units))
        saved = (*([y] if separate else []), *([Spec((1, units), BYTE)] if drops else []), weights)
        return (y, *saved, y, *([weights] if spreads else []))

    masks = (*(["kept"] if reads else []), *(["mask"] if drops else []), *(["rate"] if drops else []))
    state = "s" if separate else "y"
    return PackedDense(
        name,
        Kernel(_packed_forward(activation, len(parameters), reads, drops, separate), f"{name}_forward"),
        inputs,
        saves=saves,
        infer=infer,
        encode=lambda x, *rest: (0,),
        backward=Kernel(_packed_backward(activation, len(parameters), reads, drops, spreads), backward),
        gradient=("x", "wp", state, "dy", "dz", "dx", "dw", "db", *(["dwp"] if spreads else []), *parameters, *masks),
        work=("dz", "dwp") if spreads else ("dz",),
        reuse={"dz": "dy"},
        mask="mask" if drops else None,
        random=drops,
        role="product",
        extents=f"x[n,k] w[k,m] b[m] {' '.join(f'{p}[1]' for p in (*parameters, 'rate'))} kept:u1[k] y[n,m] s[n,m] "
        "mask:u1[m] wp[rows,m] dz[n,m]",
        within=lambda sizes: sizes["rows"] == sizes["k"] + 1,
        partial=(
            *(["y", state] if drops else []),
            "wp",
            *(["dx"] if reads else []),
            *([] if spreads else ["dw", "db"]),
        ),
        activation=activation,
        reads=reads,
        drops=drops,
    )


def _packed_forward(activation: Elementwise | None, parameters: int, reads: bool, drops: bool, separate: bool) -> Any:
    f: Any = activation.f if activation is not None else None
    keeps_x = activation is not None and activation.keeps == "x"
    at_kept = 3 + parameters
    at_rate = at_kept + reads
    at_y = at_rate + drops
    at_s, at_mask, at_weights = at_y + 1, at_y + 1 + separate, at_y + 1 + separate + drops

    def forward(mem: Any, ins: Any, step: Any) -> None:
        x, w, b, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, at_y)
        rows, kept_in, kept_out = x.shape[0], w.shape[0], w.shape[1]
        none = bytevec(mem, ins, at_weights)[:0]
        of_rows, of_columns = none, none
        a, scale = 0.0, 1.0
        if parameters > 0:
            a = vec(mem, ins, 3)[0]
        if reads:
            of_rows = bytevec(mem, ins, at_kept)
            kept_in = count_kept(of_rows)
        if drops:
            rate, of_columns = vec(mem, ins, at_rate)[0], bytevec(mem, ins, at_mask)
            fill_mask(of_columns, first_row(ins) * attribute(ins, 0), seed(ins), step, rate)
            scale, kept_out = keep_scale(rate), count_kept(of_columns)
        packed = vec(mem, ins, at_weights)
        pack_weights(w, b, of_rows, of_columns, packed, kept_out)
        bias = packed[kept_in * kept_out :]
        matmul(block(x, rows, kept_in), False, block(packed, kept_in, kept_out), False, block(y, rows, kept_out), False)
        s = vec(mem, ins, at_s if separate else at_y)
        for i in range(rows):
            line, state = y[i * kept_out : (i + 1) * kept_out], s[i * kept_out : (i + 1) * kept_out]
            for j in range(line.size):
                v = line[j] + bias[j]
                if separate:
                    if keeps_x:
                        state[j] = v
                    else:
                        state[j] = f(v, a)
                if f is not None:
                    v = f(v, a)
                if drops:
                    v = product(v, scale)
                line[j] = v

    return forward


def _packed_backward(activation: Elementwise | None, parameters: int, reads: bool, drops: bool, spreads: bool) -> Any:
    df: Any = activation.df if activation is not None else None
    at_parameters = 8 + spreads
    at_kept = at_parameters + parameters
    at_mask, at_rate = at_kept + reads, at_kept + reads + 1

    def backward(mem: Any, ins: Any, step: Any) -> None:
        x, packed, s, dy, dz = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3), vec(mem, ins, 4)
        dx, dw, db = mat(mem, ins, 5), mat(mem, ins, 6), vec(mem, ins, 7)
        rows, kept_in, kept_out = x.shape[0], packed.shape[0] - 1, packed.shape[1]
        none = bytevec(mem, ins, 1)[:0]
        of_rows, of_columns = none, none
        a, scale = 0.0, 1.0
        if parameters > 0:
            a = vec(mem, ins, at_parameters)[0]
        if reads:
            of_rows = bytevec(mem, ins, at_kept)
            kept_in = count_kept(of_rows)
        if drops:
            of_columns = bytevec(mem, ins, at_mask)
            scale, kept_out = keep_scale(vec(mem, ins, at_rate)[0]), count_kept(of_columns)
        # dz usually is dy's memory. The loop works on one view: with two of the same memory it would not vectorise.
        if not in_place(ins, 3, 4):
            for i in range(rows * kept_out):
                dz[i] = dy[i]
        for i in range(rows * kept_out):
            d = dz[i]
            if drops:
                d = product(d, scale)
            if df is not None:
                d = product(d, df(s[i], a))
            dz[i] = d
        small = block(dz, rows, kept_out)
        if present(ins, 7):
            total = (vec(mem, ins, 8) if spreads else db)[:kept_out]
            sum_rows(small, total, False)
            if spreads:
                spread_row(total, of_columns, db, accumulates(ins, 7))
        if present(ins, 6) and not spreads:
            matmul(block(x, rows, kept_in), True, small, False, block(dw, kept_in, kept_out), False)
        if present(ins, 6) and spreads:
            add, at, dwp = accumulates(ins, 6), 0, vec(mem, ins, 8)
            matmul(block(x, rows, kept_in), True, small, False, block(dwp, kept_in, kept_out), False)
            for i in range(dw.shape[0]):
                if of_rows.size == 0 or of_rows[i] > 0:
                    spread_row(dwp[at : at + dw.shape[1]], of_columns, dw[i], add)
                    at += kept_out
                elif not add:
                    for j in range(dw.shape[1]):
                        dw[i, j] = 0.0
        if present(ins, 5):
            matmul(small, False, block(packed, kept_in, kept_out), True, block(dx, rows, kept_in), accumulates(ins, 5))

    return backward
