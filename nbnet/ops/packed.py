"""Dropout that a whole batch shares, computed on submatrices: dropped units are not multiplied at all.

Where all rows of a batch drop the same units, what is kept of a layer is a smaller matrix. A *packed* tensor has the
kept columns side by side at the beginning of its memory; only ops of this file read one. The fusion pass makes them, so
that ``dense -> activation -> dropout -> dense`` multiplies kept rows by kept columns of the weights, forward and
backward.

References
----------
B. Graham, J. Reizenstein, L. Robinson: Efficient batchwise dropout training using submatrices. arXiv:1502.02478 (2015),
section 2.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from nbnet.core.abi import (
    accumulates,
    attribute,
    block,
    bytevec,
    compress,
    device,
    expand,
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
from nbnet.core.op import BYTE, Op, Spec
from nbnet.core.philox import count_kept, fill_mask
from nbnet.ops.dense import infer_dense
from nbnet.ops.elementwise import Elementwise, product
from nbnet.ops.rate import keep_scale

# ---- dropout alone -------------------------------------------------------------------------------------------
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
    mask, rate, dy, dx = bytevec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), mat(mem, ins, 3)
    kept, scale = count_kept(mask), keep_scale(rate)
    for i in range(dx.shape[0] * kept):
        dy[i] = product(dy[i], scale)
    for i in range(dx.shape[0]):
        expand(dy[i * kept :], mask, dx[i], accumulates(ins, 3))


#: ``dropout_shared`` with a packed result. Backward scales the gradient in place: nobody else reads it.
PACK = Op(
    "dropout_packed",
    pack_forward,
    ("x", "rate"),
    saves=("mask",),
    infer=lambda x, rate: (Spec(x.shape), Spec((1, x.shape[1]), BYTE)),
    encode=lambda x, rate: (0,),
    backward=pack_backward,
    gradient=("mask", "rate", "dy", "dx"),
    mask="mask",
    random=True,
)


# ---- dense layers --------------------------------------------------------------------------------------------
# Operands of forward: x, w, b, what the activation takes, mask of the columns of x if they are packed, rate if the
# result is packed; then y, s (what the activation's derivative reads, if that is not y), mask of y, and the kept
# weights with the kept biases below them.


@device
def pack_weights(w: Any, b: Any, of_rows: Any, of_columns: Any, packed: Any, kept: Any) -> None:
    """Kept rows and columns of w side by side, then the kept elements of b. An empty mask keeps everything."""
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
    """A row of a gradient from its kept elements."""
    if mask.size > 0:
        expand(packed, mask, row, add)
    else:
        for j in range(row.size):
            row[j] = row[j] + packed[j] if add else packed[j]


@dataclass(frozen=True, eq=False)
class PackedDense(Op):
    """The op ``activation(x @ w + b)``, of an x that is packed (``reads``), and with a packed result of dropout
    (``drops``)."""

    activation: Elementwise | None = None
    reads: bool = False
    drops: bool = False

    def leaving_packed(self) -> PackedDense:
        """The same op, whose gradients of w and b are packed, at the beginning of where they belong."""
        return packed_dense(self.activation, self.reads, self.drops, False)


@functools.cache
def packed_dense(activation: Elementwise | None, reads: bool, drops: bool, spreads: bool = True) -> PackedDense:
    """The op for these facts; ``spreads``: whether gradients of w and b are spread over their places."""
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
        Kernel(_forward(activation, len(parameters), reads, drops, separate), f"{name}_forward"),
        inputs,
        saves=saves,
        infer=infer,
        encode=lambda x, *rest: (0,),
        backward=Kernel(_backward(activation, len(parameters), reads, drops, spreads), backward),
        gradient=("x", "wp", state, "dy", "dz", "dx", "dw", "db", *(["dwp"] if spreads else []), *parameters, *masks),
        work=("dz", "dwp") if spreads else ("dz",),
        reuse={"dz": "dy"},
        mask="mask" if drops else None,
        random=drops,
        multiplies=True,
        activation=activation,
        reads=reads,
        drops=drops,
    )


def _forward(activation: Elementwise | None, parameters: int, reads: bool, drops: bool, separate: bool) -> Any:
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


def _backward(activation: Elementwise | None, parameters: int, reads: bool, drops: bool, spreads: bool) -> Any:
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
