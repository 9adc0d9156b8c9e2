"""Fusion: ``dense -> activation -> dropout`` becomes one node, whose kernels make one pass over the product.

Dropout that a batch shares goes further: see ``packed.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from nbnet.core.graph import Node, Tensor
from nbnet.core.op import Op
from nbnet.ops.dense import DENSE, fused_dense
from nbnet.ops.dropout import DROPOUT
from nbnet.ops.dropout_shared import DROPOUT_SHARED
from nbnet.ops.elementwise import Elementwise, fusible
from nbnet.ops.packed import PACK, PackedDense, packed_dense

#: Masks of the rows and of the columns of a parameter; None: all are kept.
Masks = tuple[Tensor | None, Tensor | None]


def fuse(nodes: Sequence[Node], keep: AbstractSet[Tensor] = frozenset()) -> list[Node]:
    """Fuse chains of nodes; what comes out computes the same: bit for bit, but where a batch shares its dropout mask.
    There sums leave out the zeros, in another order.

    Parameters
    ----------
    nodes
        In forward order.
    keep
        Tensors that something outside reads: they stay.
    """
    readers: dict[Tensor, list[Node]] = {}
    for node in nodes:
        for x in node.inputs:
            readers.setdefault(x, []).append(node)

    def follower(node: Node) -> Node | None:
        """The only node that reads what this one computes, as its first input."""
        y = node.outputs[0]
        found = readers.get(y, [])
        return found[0] if len(found) == 1 and found[0].inputs[0] is y and y not in keep else None

    def packs(node: Node | None) -> bool:
        """Whether all that read this dropout can do with what it keeps."""
        if node is None or node.op is not DROPOUT_SHARED or node.attributes[0] != 0 or node.outputs[0].ndim != 2:
            return False
        y = node.outputs[0]
        return y not in keep and all(
            r.op is DENSE and r.inputs[0] is y and y not in r.inputs[1:] for r in readers.get(y, [])
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
        if after is not None and (packs(after) or (after.op is DROPOUT and not kept)):
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
    return [n for node in nodes if (n := replaced.get(id(node), node)) is not None]


def pack_gradients(nodes: Sequence[Node], parameters: Iterable[Tensor]) -> tuple[list[Node], dict[Tensor, Masks]]:
    """Leave the gradients of parameters packed that one packed layer reads, and nothing else.

    Returns
    -------
    The nodes, with such layers replaced, and for each of their parameters the masks of its rows and of its columns.
    """
    times = Counter(id(x) for node in nodes for x in node.inputs)
    trained = {id(p) for p in parameters}
    found: dict[Tensor, Masks] = {}
    made = []
    for node in nodes:
        own = [p for p in node.inputs[1:3] if id(p) in trained]
        if own and isinstance(node.op, PackedDense) and all(times[id(p)] == 1 for p in own):
            rows = node.inputs[node.op.inputs.index("kept")] if node.op.reads else None
            for p in own:
                found[p] = (rows if p.ndim == 2 else None), node.mask_tensor
            node = replace(node, op=node.op.leaving_packed(), work=node.work[:1])
        made.append(node)
    return made, found


def _activation(node: Node | None) -> Elementwise | None:
    """The activation that a node applies; None if it applies none."""
    if node is None:
        return None
    made = fusible.get(node.op.name)
    return made if made is not None and made.op is node.op else None


def _like(op: Op, chain: Sequence[Node], inputs: tuple[Tensor, ...]) -> Node:
    """A node that does what a chain of them does, with the mask of the last."""
    first, last = chain[0], chain[-1]
    specs = op.infer(*inputs)
    buffers = [Tensor(spec.shape, spec.dtype or first.dtype) for spec in specs[1:]]
    saved = buffers[: len(op.saves)]
    if op.mask is not None:
        saved[op.saves.index(op.mask)] = last.saved[0]
    work = tuple((b.shape, b.dtype) for b in buffers[len(op.saves) :])
    encoded = op.encode(*inputs) if op.encode else ()
    return Node(op, inputs, last.outputs, tuple(saved), work, encoded, last.key, last.name, first.dtype)
