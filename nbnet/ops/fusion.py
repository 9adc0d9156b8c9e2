"""Fusion: ``dense -> activation -> dropout`` becomes one node, whose kernels make one pass over the product.

Dropout that a batch shares goes further: see ``packed.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from nbnet.core.graph import Node, Tensor
from nbnet.core.op import Op
from nbnet.ops.dense import DENSE, fused_dense
from nbnet.ops.dropout import DROPOUT, DROPOUT_SHARED
from nbnet.ops.elementwise import Elementwise, fusible
from nbnet.ops.packed import PACK, packed_dense


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
        chain, activation = [node], _activation(follower(node))
        if activation is not None:
            chain.append(_known(follower(chain[-1])))
        after = follower(chain[-1])
        if after is not None and (after.op is DROPOUT or packs(after)):
            chain.append(after)
        drops = len(chain) > 1 and chain[-1].op in (DROPOUT, DROPOUT_SHARED)
        small = chain[-1].op is DROPOUT_SHARED or node.inputs[0] in masks
        if small and chain[-1].op is DROPOUT:
            drops = False
            chain.pop()
        parameters = chain[1].inputs[1:] if activation is not None else ()
        kept = [masks[node.inputs[0]]] if node.inputs[0] in masks else []
        inputs = (*node.inputs, *parameters, *kept, *(chain[-1].inputs[1:] if drops else ()))
        if small:
            replaced |= {id(n): None for n in chain}
            replaced[id(chain[-1])] = _like(packed_dense(activation, bool(kept), drops), chain, inputs)
            if drops:
                masks[chain[-1].outputs[0]] = chain[-1].saved[0]
        elif len(chain) > 1:
            replaced |= {id(n): None for n in chain}
            replaced[id(chain[-1])] = _like(fused_dense(activation, drops), chain, inputs)
    return [n for node in nodes if (n := replaced.get(id(node), node)) is not None]


def _known(node: Node | None) -> Node:
    assert node is not None
    return node


def _activation(node: Node | None) -> Elementwise | None:
    made = fusible.get(node.op.name) if node is not None else None
    return made if made is not None and node is not None and made.op is node.op else None


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
