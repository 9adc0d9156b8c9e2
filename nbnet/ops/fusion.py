"""Fusion: ``dense -> activation -> dropout`` becomes one node, whose kernels make one pass over the product."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from nbnet.core.graph import Node, Tensor
from nbnet.ops.dense import DENSE, fused_dense
from nbnet.ops.dropout import DROPOUT
from nbnet.ops.elementwise import Elementwise, fusible


def fuse(nodes: Sequence[Node], keep: AbstractSet[Tensor] = frozenset()) -> list[Node]:
    """Fuse chains of nodes; what comes out computes the same, bit for bit.

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

    replaced: dict[int, Node | None] = {}
    for node in nodes:
        if node.op is not DENSE:
            continue
        chain, activation = [node], _activation(follower(node))
        if activation is not None:
            chain.append(_known(follower(chain[-1])))
        after = follower(chain[-1])
        if after is not None and after.op is DROPOUT:
            chain.append(after)
        if len(chain) > 1:
            replaced |= {id(n): None for n in chain}
            replaced[id(chain[-1])] = _merge(chain, activation)
    return [n for node in nodes if (n := replaced.get(id(node), node)) is not None]


def _known(node: Node | None) -> Node:
    assert node is not None
    return node


def _activation(node: Node | None) -> Elementwise | None:
    made = fusible.get(node.op.name) if node is not None else None
    return made if made is not None and node is not None and made.op is node.op else None


def _merge(chain: Sequence[Node], activation: Elementwise | None) -> Node:
    first, last = chain[0], chain[-1]
    drops = last.op is DROPOUT
    op = fused_dense(activation, drops)
    parameters = chain[1].inputs[1:] if activation is not None else ()
    inputs = (*first.inputs, *parameters, *(last.inputs[1:] if drops else ()))
    specs = op.infer(*inputs)
    saved = [Tensor(spec.shape, spec.dtype or first.dtype) for spec in specs[1 : 1 + len(op.saves)]]
    if drops:
        saved[-1] = last.saved[0]
    work = tuple((spec.shape, spec.dtype or first.dtype) for spec in specs[1 + len(op.saves) :])
    encoded = op.encode(*inputs) if op.encode else ()
    return Node(op, inputs, last.outputs, tuple(saved), work, encoded, last.key, last.name, first.dtype)
