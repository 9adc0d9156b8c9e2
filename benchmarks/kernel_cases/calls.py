"""Calls of kernels with something to work on: what ``benchmarks.kernels`` times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nbnet as nb
from benchmarks.kernel_cases.inputs import Draws, recipes
from nbnet.engine.graph.autodiff import differentiate
from nbnet.engine.graph.op import INT, Op, registry
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Call, Tensor, apply_many, run_call
from nbnet.engine.kernels.executor import aligned
from nbnet.engine.runtime import batch_io
from nbnet.ops.dense import fused_dense
from nbnet.ops.elementwise import fusible
from nbnet.ops.slicing import concatenate_op
from nbnet.optimizers import Optimizer

Array = NDArray[Any]

#: Ops that are made on demand, and so are not registered: a choice of them.
MADE = (
    concatenate_op(2, False),
    concatenate_op(2, True),
    fused_dense(fusible["relu"], False),
    fused_dense(fusible["relu"], True),
    fused_dense(fusible["gelu"], True),
)
OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "sgd": nb.optimizers.SGD,
    "sgd momentum": lambda: nb.optimizers.SGD(momentum=0.9),
    "rmsprop": nb.optimizers.RMSprop,
    "rmsprop full": lambda: nb.optimizers.RMSprop(momentum=0.9, centered=True),
    "adam": nb.optimizers.Adam,
    "adam amsgrad": lambda: nb.optimizers.Adam(amsgrad=True),
    "adam clipnorm": lambda: nb.optimizers.Adam(clipnorm=1.0),
    "adamw": nb.optimizers.AdamW,
    "adamax": nb.optimizers.Adamax,
    "nadam": nb.optimizers.Nadam,
    "adagrad": nb.optimizers.Adagrad,
    "adadelta": nb.optimizers.Adadelta,
    "ftrl": nb.optimizers.Ftrl,
    "ftrl power": lambda: nb.optimizers.Ftrl(learning_rate_power=-0.3),
    "lion": nb.optimizers.Lion,
    "sgd ema": lambda: nb.optimizers.SGD(use_ema=True),
    "sgd accumulated": lambda: nb.optimizers.SGD(gradient_accumulation_steps=2),
}
#: Dtypes of the arrays of users.
SOURCES = ("bool", "uint8", "int32", "int64", "float32", "float64")


@dataclass(frozen=True, eq=False)
class Subject:
    """A call and what it has to do.

    Attributes
    ----------
    name
        Of the op, the optimizer's kernel or the row, and what is special about its operands.
    elements
        Of the largest operand; of a product, its multiply-adds.
    nbytes
        Read and written, where the call is limited by memory.
    products
        Rows, inner length and columns of each matrix product it consists of; empty where memory is the limit.
    """

    name: str
    call: Call
    products: tuple[tuple[int, int, int], ...] = ()

    @property
    def elements(self) -> int:
        if self.products:
            total: int = sum(rows * inner * columns for rows, inner, columns in self.products)
            return total
        there = [t for t in self.call.operands if t is not None]
        return int(max(t.size for t in [t for t in there if t.dtype != INT] or there))  # Numbers of rows do not count.

    @property
    def nbytes(self) -> int:
        nbytes: int = sum(t.nbytes for t in {t for t in self.call.operands if t is not None})
        return nbytes + self.changed

    @property
    def changed(self) -> int:
        """Bytes that are read and then written; gradients, which optimizers may clip, are only read here."""
        there = [(k, t) for k, t in enumerate(self.call.operands) if t is not None and t.name != "gradients"]
        return sum(t.nbytes for t in {t for k, t in there if self.call.accumulate >> k & 1})


def subjects(dtype: Any, n: int, m: int, wanted: Callable[[str], bool]) -> Iterator[Subject]:
    """A call of every kernel of the names that are wanted, on n rows of m numbers, ready to run."""
    for op in ops():
        if wanted(op.name):
            for pair in of_op(op, dtype, n, m):
                yield from _placed(pair)
    for name in OPTIMIZERS:
        if wanted(name):
            yield from _placed(of_optimizer(name, dtype, n * m))
    for name, make in FEEDS.items():
        if wanted(name):
            yield from _placed([Subject(name, make(Draws(dtype), n, m))])


def ops() -> list[Op]:
    """Those of the package, registered or made."""
    return [*(op for op in registry.values() if op.forward.__module__.startswith("nbnet.")), *MADE]


def of_op(op: Op, dtype: Any, n: int, m: int) -> Iterator[list[Subject]]:
    """The call of an op, and that of its backward kernel, with the gradients of all inputs; nothing is run."""
    for label, recipe in recipes(op.name).items():
        given, draws = recipe(Draws(dtype), n, m), Draws(dtype)
        inputs = [_input(value, draws.dtype) for value in given.inputs]
        with Trace() as trace:
            apply_many(op, *inputs, key=1 if op.random else None, **given.attributes)
        (node,), special = trace.nodes, f", {label}" if label else ""
        products = [] if given.product is None else [given.product]
        found = [Subject(f"{op.name} forward{special}", node.call(), tuple(products))]
        if op.backward is not None:
            y = node.outputs[0]
            dy = Tensor(y.shape, y.dtype, draws.normal(*y.shape))
            calls, _ = differentiate([node], {y: dy}, [t for t in node.inputs if t.requires_grad])
            both = [p for rows, inner, columns in products for p in ((rows, columns, inner), (inner, rows, columns))]
            found.append(Subject(f"{op.name} backward{special}", calls[0], tuple(both)))
        yield found


def _input(value: Any, dtype: np.dtype[Any]) -> Tensor:
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return Tensor(array.shape, array.dtype, array)
    return Tensor(array.shape, dtype, array.astype(dtype, copy=False), requires_grad=True)


def of_optimizer(name: str, dtype: Any, n: int) -> list[Subject]:
    """Calls that update n parameters."""
    optimizer, parameter = OPTIMIZERS[name](), Parameter(Draws(dtype).normal(n))
    gradients = optimizer.build_for([parameter]).like(1, "gradients")
    gradients.numpy()[...] = Draws(dtype).normal(*gradients.shape)
    calls = [call for phase in optimizer.plan().phases(gradients, 1) for call in phase[0]]
    return [Subject(f"{call.kernel.name}, {name}", replace(call, every=1)) for call in calls]


def _placed(found: Iterable[Subject]) -> Iterator[Subject]:
    """The same with copies of all operands, each call run once: a later one may read what an earlier one wrote.

    Each copy begins at a multiple of 64 bytes, at another place of a page than the one before: loads that follow stores
    to the same place of another page would wait for them.
    """
    made: dict[Tensor, Tensor] = {}

    def place(tensor: Tensor) -> Tensor:
        if tensor not in made:
            spare = 64 * (5 * len(made) % 64) // tensor.dtype.itemsize
            data = aligned(tensor.size + spare, tensor.dtype)[spare:].reshape(tensor.shape)
            data[...] = 0 if tensor.data is None else tensor.numpy()
            made[tensor] = Tensor(tensor.shape, tensor.dtype, data, name=tensor.name)
        return made[tensor]

    for one in found:
        call = replace(one.call, operands=tuple(None if t is None else place(t) for t in one.call.operands))
        run_call(call, 0)
        yield replace(one, call=call)


# ---- rows at the edges of a program --------------------------------------------------------------------------


def _ints(*values: Any) -> Tensor:
    array = np.array(values, np.int64).reshape(-1)
    return Tensor(array.shape, INT, array)


def _given(array: Array) -> Tensor:
    return Tensor(array.shape, array.dtype, array)


def _gather(kind: str, shuffled: bool = True) -> Callable[[Draws, int, int], Call]:
    def make(d: Draws, n: int, m: int) -> Call:
        source = _given(d.below(2, n, m).astype(kind))
        order = _ints(d.rng.permutation(n)) if shuffled else None
        return batch_io.gather_call(source, order, _ints(0), Tensor((n, m), d.dtype), d.dtype)

    return make


def _gather_sparse(d: Draws, n: int, m: int) -> Call:
    """An eighth of the numbers is not 0."""
    k = max(m // 8, 1)
    values, columns = _given(d.normal(n * k, 1)), _given(d.below(m, n * k, 1).astype(np.int32))
    order, x = _ints(d.rng.permutation(n)), Tensor((n, m), d.dtype)
    return batch_io.gather_sparse_call(values, columns, _ints(np.arange(n + 1) * k), order, _ints(0), x, d.dtype)


def _store(d: Draws, n: int, m: int) -> Call:
    return batch_io.store_call(_given(d.normal(n, m)), _ints(0), Tensor((n, m), d.dtype))


def _add_each(d: Draws, n: int, m: int) -> Call:
    return batch_io.add_each_call(_given(d.normal(n * m)), Tensor((2,), np.float64))


def _add_weighted(d: Draws, n: int, m: int) -> Call:
    return batch_io.add_each_call(_given(d.normal(n * m)), Tensor((2,), np.float64), _given(d.positive(n * m)))


def _count_bad(d: Draws, n: int, m: int) -> Call:
    return batch_io.count_bad_call(_given(d.normal(n, m)), np.zeros(1, np.int64))


FEEDS: dict[str, Callable[[Draws, int, int], Call]] = {
    **{f"gather {kind}": _gather(kind) for kind in SOURCES},
    "gather in order": _gather("float32", False),
    "gather sparse": _gather_sparse,
    "store": _store,
    "add each": _add_each,
    "add weighted": _add_weighted,
    "count bad": _count_bad,
}
