"""Passes over the forward graph of a slice, between tracing and differentiation.

A pass takes nodes in forward order and a plan, and returns both: ``(nodes, plan) -> (nodes, plan)``. It replaces nodes,
and enters into the plan what the backward pass and the update have to know. Leaving zeros out of products is no pass:
products find them when they run (:mod:`nbnet.engine.gemm.sparse`).

Deferred gradients: the gradient of a large weight matrix takes longer to write to memory and to read again than its
update takes to compute. So it is computed last, when the layers below have what they need: for each block of rows,
``x' dz`` goes into a buffer that stays in the L2 cache, and from there into the parameters. Slices of a batch, each
of which would have a whole gradient of its own, share the rows of the matrix instead: each reads the whole batch, and
nothing is left to add up.

References
----------
B. Pudipeddi et al.: Training large neural networks with constant memory using a new execution algorithm.
arXiv:2002.05645 (2020). K. Lv et al.: Full parameter fine-tuning for large language models with limited resources.
arXiv:2306.09782 (2023), section 3.2: an update inside of the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import prod

import numpy as np

from nbnet.engine.graph.op import Op, Spec
from nbnet.engine.graph.tensor import Call, Node, Tensor
from nbnet.engine.kernels.executor import aligned
from nbnet.engine.kernels.layout import DEPTH_BYTES
from nbnet.ops.dense import DENSE, PACK, PackedDense, dense_weights_backward, fused_dense, packed_dense
from nbnet.ops.dropout import DROPOUT, DROPOUT_SHARED
from nbnet.ops.elementwise import Elementwise, fusible
from nbnet.optimizers.update import Masks


def slice_bounds(rows: int, slices: int) -> list[int]:
    """Bounds of slices of almost equal sizes."""
    return [rows * t // slices for t in range(slices + 1)]


#: Bytes of a block's gradient: the L2 cache holds it, its factors, and what the update reads.
BLOCK_BYTES = 1 << 17
#: The same where the update's operands are not fetched meanwhile: the more rows, the faster the product.
LARGE_BLOCK_BYTES = 1 << 20
#: Rows of a block, at least: with fewer, leaving zeros out gains little.
LEAST_ROWS = 32
#: Smaller parameters stay in the cache anyway.
LEAST_BYTES = 1 << 19

#: Calls that update rows of a parameter, from one to another, by a gradient of these rows.
UpdateRows = Callable[[Tensor, int, int, Tensor], list[Call]]
#: By weight, the two factors of its gradient: the input of the layer, and the gradient of the product.
Factors = Mapping[Tensor, tuple[Tensor, Tensor]]


def gradient_factors(nodes: Sequence[Node], deferred: Mapping[Tensor, Tensor | None]) -> Factors:
    """The factors of the gradients that differentiation left out, for a slice of the batch."""
    if not deferred:
        return {}
    inputs = {node.inputs[1]: node.inputs[0] for node in nodes if node.op.outer}
    return {w: (inputs[w], dz) for w, dz in deferred.items() if dz is not None}


class FusedUpdates:
    """The fused updates of a program.

    Parameters
    ----------
    factors
        Those of each slice.
    work
        The calls of each slice before the update.
    """

    def __init__(self, factors: Sequence[Factors], work: Sequence[Sequence[Call]]) -> None:
        self.factors = {w: [of_slice[w] for of_slice in factors] for w in factors[0]}
        #: By first slice's tensor, the one of the whole batch.
        self._wholes: dict[Tensor, Tensor] = {}
        if self.factors and len(factors) > 1:
            self._join([call for calls in work for call in calls])
        #: Number of elements of the weights, and bytes of memory outside of the arena.
        self.size = sum(w.size for w in self.factors)
        self.nbytes = sum(whole.nbytes for whole in self._wholes.values())

    def _join(self, calls: Sequence[Call]) -> None:
        """Let the slices' factors lie one after the other, outside of the arena."""
        overwritten = _overwritten(calls)
        needed = {x for slices in self.factors.values() for pair in slices for x in pair}
        for w, slices in self.factors.items():
            for tensors in zip(*slices, strict=True):
                if tensors[0] in self._wholes:
                    continue
                bounds = [0, *np.cumsum([x.shape[0] for x in tensors])]
                shape = (bounds[-1], *tensors[0].shape[1:])
                memory = aligned(prod(shape), w.dtype).reshape(shape)
                self._wholes[tensors[0]] = Tensor(shape, w.dtype, memory, name=tensors[0].name)
                for x, (low, high) in zip(tensors, pairwise(bounds), strict=True):
                    before = overwritten.get(x, x)
                    for y in (x,) if before in needed else (x, before):
                        y.data = memory[low:high].reshape(y.shape)

    def calls(self, t: int, slices: int, update: UpdateRows | None) -> list[Call]:
        """The calls of slice t for its share of the rows, after the backward pass of all slices; without ``update``,
        those that compute gradients."""
        found = []
        for w, ((x, dz), *_) in self.factors.items():
            x, dz = self._wholes.get(x, x), self._wholes.get(dz, dz)
            columns = dz.matrix[1]
            start, end = slice_bounds(w.shape[0], slices)[t : t + 2]
            nbytes = BLOCK_BYTES if x.matrix[0] * w.dtype.itemsize <= DEPTH_BYTES else LARGE_BLOCK_BYTES
            blocks = max(1, (end - start) // max(LEAST_ROWS, nbytes // (columns * w.dtype.itemsize)))
            for low, high in pairwise(start + at for at in slice_bounds(end - start, blocks)):
                gradient = Tensor((1, (high - low) * columns), w.dtype, name=f"gradients/{w.name}")
                updating = update(w, low, high, gradient) if update is not None else []
                ahead = [t for call in updating for t in call.operands if t is not None and t.data is not None]
                ahead = [t for t in ahead if t.size == gradient.size][:3]
                operands = x, dz, gradient, *ahead, *[None] * (3 - len(ahead))
                multiply_adds = x.matrix[0] * gradient.size
                about = 0, 0, (low, high - low), w.name, w.dtype
                found += [Call(dense_weights_backward, operands, (2,), *about, multiply_adds=multiply_adds), *updating]
        return found


def _overwritten(calls: Sequence[Call]) -> dict[Tensor, Tensor]:
    """By tensor, the one in whose place in the arena it may be written, as nothing reads that any more."""
    found: dict[Tensor, tuple[Tensor, Call]] = {}
    last: dict[Tensor, Call] = {}
    for call in calls:
        last |= {x: call for x in call.operands if x is not None}
        for a, b in call.reuse:
            new, old = call.operands[a], call.operands[b]
            if new is not None and old is not None and old.data is None and new.size == old.size:
                found[new] = old, call
    return {new: old for new, (old, call) in found.items() if last[old] is call}


@dataclass(frozen=True)
class Plan:
    """Facts that passes start from, and their decisions.

    Attributes
    ----------
    keep
        Tensors that something outside of the graph reads.
    packable
        Parameters whose gradients the optimizer also takes packed.
    deferrable
        Weights whose update may compute their gradients.
    packed
        Parameters whose gradients are packed, with the masks of their rows and columns.
    deferred
        Weights whose gradients are left to their update.
    """

    keep: AbstractSet[Tensor] = frozenset()
    packable: Collection[Tensor] = ()
    deferrable: Collection[Tensor] = ()
    packed: Mapping[Tensor, Masks] = field(default_factory=dict)
    deferred: tuple[Tensor, ...] = ()


Pass = Callable[[Sequence[Node], Plan], tuple[Sequence[Node], Plan]]


def fuse_layers(nodes: Sequence[Node], plan: Plan) -> tuple[Sequence[Node], Plan]:
    """Fuse ``dense -> activation -> dropout`` into one node, whose kernels make one pass over the product.

    It computes the same: bit for bit, except where a batch shares its dropout mask; there sums leave out the zeros, in
    another order (:mod:`nbnet.ops.dense`).
    """
    readers, keep = _readers(nodes), plan.keep

    def follower(node: Node) -> Node | None:
        """The only node that reads the output of a node, if it reads it as its first input."""
        y = node.outputs[0]
        found = readers.get(y, [])
        return found[0] if len(found) == 1 and found[0].inputs[0] is y and y not in keep else None

    def packs(node: Node | None) -> bool:
        """True if a node is dropout, and every reader can work with only the kept columns."""
        if (
            node is None
            or node.op is not DROPOUT_SHARED
            or node.injected
            or node.attributes[0] != 0
            or node.outputs[0].ndim != 2
        ):
            return False
        y = node.outputs[0]
        return y not in keep and all(
            r.op is DENSE and r.inputs[0] is y and all(y is not x for x in r.inputs[1:]) for r in readers.get(y, [])
        )

    replaced: dict[int, Node | None] = {}
    masks: dict[Tensor, Tensor] = {}
    for node in nodes:
        if id(node) in replaced:
            continue
        if packs(node):
            masks[node.outputs[0]] = node.saved[0]
            replaced[id(node)] = _like(PACK, [node], node.inputs)
        if node.op is not DENSE:
            continue
        chain, after = [node], follower(node)
        activation = _activation(after)
        if after is not None and activation is not None:
            chain.append(after)
            after = follower(after)
        parameters = chain[1].inputs[1:] if activation is not None else ()
        kept = [masks[node.inputs[0]]] if node.inputs[0] in masks else []
        # Fused kernels draw their masks; a mask that was injected is applied by the dropout itself.
        if after is not None and (packs(after) or (after.op is DROPOUT and not after.injected and not kept)):
            chain.append(after)
        last = chain[-1]
        drops = last.op in (DROPOUT, DROPOUT_SHARED)
        inputs = (*node.inputs, *parameters, *kept, *(last.inputs[1:] if drops else ()))
        if kept or last.op is DROPOUT_SHARED:
            op: Op = packed_dense(activation, bool(kept), drops)
            if drops:
                masks[last.outputs[0]] = last.saved[0]
        else:
            op = fused_dense(activation, drops)
        if op is not DENSE:
            replaced |= {id(n): None for n in chain}
            replaced[id(last)] = _like(op, chain, inputs)
    return [n for node in nodes if (n := replaced.get(id(node), node)) is not None], plan


def pack_gradients(nodes: Sequence[Node], plan: Plan) -> tuple[Sequence[Node], Plan]:
    """Leave the gradients packed of parameters that one packed dense layer reads, and nothing else."""
    readers, packable = _readers(nodes), {id(p) for p in plan.packable}
    packed: dict[Tensor, Masks] = {}
    rewritten = []
    for node in nodes:
        own = [p for p in node.inputs[1:3] if id(p) in packable]
        if own and isinstance(node.op, PackedDense) and all(len(readers[p]) == 1 for p in own):
            rows = node.inputs[node.op.inputs.index("kept")] if node.op.reads else None
            packed |= {p: (rows if p.ndim == 2 else None, node.mask_tensor) for p in own}
            node = replace(node, op=node.op.leaving_packed(), work=node.work[:1])
        rewritten.append(node)
    return rewritten, replace(plan, packed=packed)


def defer_gradients(nodes: Sequence[Node], plan: Plan) -> tuple[Sequence[Node], Plan]:
    """Leave the gradients of large weights that one product reads, and nothing else, to their update."""
    readers, deferrable = _readers(nodes), {id(p) for p in plan.deferrable}
    products = [node.inputs for node in nodes if node.op.outer and node.inputs[0].data is None]
    found = [w for _, w, *_ in products if id(w) in deferrable and len(readers[w]) == 1]
    deferred = tuple(w for w in found if w.nbytes >= LEAST_BYTES)
    return nodes, replace(plan, deferred=deferred)


#: The passes in the order they run.
PASSES: tuple[Pass, ...] = (fuse_layers, pack_gradients, defer_gradients)


def run_passes(nodes: Sequence[Node], plan: Plan) -> tuple[Sequence[Node], Plan]:
    """Run all passes, one after the other."""
    for rewrite in PASSES:
        nodes, plan = rewrite(nodes, plan)
    return nodes, plan


def _readers(nodes: Sequence[Node]) -> dict[Tensor, list[Node]]:
    """The nodes that read each tensor, once for each input."""
    readers: dict[Tensor, list[Node]] = {}
    for node in nodes:
        for x in node.inputs:
            readers.setdefault(x, []).append(node)
    return readers


def _activation(node: Node | None) -> Elementwise | None:
    """The activation that a node applies; None if it applies none."""
    activation = fusible.get(node.op.name) if node is not None else None
    return activation if activation is not None and node is not None and activation.op is node.op else None


def _like(op: Op, chain: Sequence[Node], inputs: tuple[Tensor, ...]) -> Node:
    """A node that computes what a chain of nodes does, with the mask of the last."""
    first, last = chain[0], chain[-1]
    specs = (Spec(inputs[0].shape),) if op.infer is None else op.infer(*inputs)
    buffers = [Tensor(spec.shape, spec.dtype or first.dtype) for spec in specs[1:]]
    saved = buffers[: len(op.saves)]
    if op.mask is not None:
        saved[op.saves.index(op.mask)] = last.saved[0]
    work = tuple((b.shape, b.dtype) for b in buffers[len(op.saves) :])
    encoded = op.encode(*inputs) if op.encode else ()
    return Node(op, inputs, last.outputs, tuple(saved), work, encoded, last.key, last.name, first.dtype)
