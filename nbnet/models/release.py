"""Weights of dense layers that are updated as soon as their gradient is known, a few rows at a time.

A gradient of a large weight matrix takes longer to write to memory and to read again than its update takes to compute.
So it is found last, after the layers below have what they need: for each block of rows, ``x' dz`` goes into a buffer
that stays in the second cache, and from there into the parameters. Slices of a batch, each of which would have a whole
gradient of its own, share the rows of the matrix out instead: each sees the whole batch, and nothing is left to add up.

References
----------
B. Pudipeddi et al.: Training large neural networks with constant memory using a new execution algorithm.
arXiv:2002.05645 (2020). K. Lv et al.: Full parameter fine-tuning for large language models with limited resources.
arXiv:2306.09782 (2023), section 3.2: an update inside of the backward pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import prod

import numpy as np

from nbnet.core.arena import aligned
from nbnet.core.graph import Call, Node, Tensor
from nbnet.core.parameter import Parameter
from nbnet.core.tiles import DEPTH_BYTES
from nbnet.models.feeds import cut
from nbnet.ops.dense import dense_weights_backward

#: Bytes of a block's gradient: the second cache holds it, its factors, and what the update will read.
BLOCK_BYTES = 1 << 17
#: The same where that is not fetched meanwhile: the more rows the faster the product.
LARGE_BLOCK_BYTES = 1 << 20
#: Rows that a block has at least: with fewer, leaving zeros out gains little.
LEAST_ROWS = 32
#: Smaller parameters stay in the cache anyway.
LEAST_BYTES = 1 << 19

#: Calls that update rows of a parameter, from one to another, by a gradient of these rows.
Updating = Callable[[Tensor, int, int, Tensor], list[Call]]


class Release:
    """The weights of a program that are updated so, as far as they are known.

    Parameters
    ----------
    parameters
        Those that may be.
    """

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self._allowed = {id(p) for p in parameters if p.nbytes >= LEAST_BYTES}
        #: By parameter: the layer's input, and what it is multiplied by, for each part of the batch.
        self.factors: dict[Tensor, list[tuple[Tensor, Tensor]]] = {}
        self._wholes: dict[Tensor, Tensor] = {}

    @property
    def size(self) -> int:
        """Elements of the parameters."""
        return sum(w.size for w in self.factors)

    @property
    def nbytes(self) -> int:
        """Memory outside of the arena."""
        return sum(whole.nbytes for whole in set(self._wholes.values()))

    def choose(self, nodes: Sequence[Node]) -> dict[Tensor, Tensor | None]:
        """The parameters whose gradients these nodes, a part of the batch, leave to this: those that one product reads
        and nothing else. What the first part has that others have not, penalties, comes first."""
        times = Counter(id(x) for node in nodes for x in node.inputs)
        made = [node.inputs for node in nodes if node.op.outer and node.inputs[0].data is None]
        found = {w: None for _, w, *_ in made if id(w) in self._allowed and times[id(w)] == 1}
        return {w: None for w in self.factors or found if w in found}

    def add(self, nodes: Sequence[Node], outer: dict[Tensor, Tensor | None]) -> None:
        """Take what a part of the batch multiplies."""
        inputs = {node.inputs[1]: node.inputs[0] for node in nodes if node.op.outer}
        for w, dz in outer.items():
            assert dz is not None
            self.factors.setdefault(w, []).append((inputs[w], dz))

    def join(self, calls: Iterable[Call]) -> None:
        """Let the parts of the batch, if there are several, lie one after the other, outside of the arena."""
        overwritten = _overwritten(calls)
        needed = {x for parts in self.factors.values() for pair in parts for x in pair}
        for w, parts in self.factors.items():
            for tensors in zip(*parts, strict=True):
                if len(tensors) == 1 or tensors[0] in self._wholes:
                    continue
                bounds = [0, *np.cumsum([x.shape[0] for x in tensors])]
                shape = (bounds[-1], *tensors[0].shape[1:])
                memory = aligned(prod(shape), w.dtype).reshape(shape)
                self._wholes[tensors[0]] = Tensor(shape, w.dtype, memory, name=tensors[0].name)
                for x, (low, high) in zip(tensors, pairwise(bounds), strict=True):
                    before = overwritten.get(x, x)
                    for y in (x,) if before in needed else (x, before):
                        y.data = memory[low:high].reshape(y.shape)

    def calls(self, t: int, slices: int, update: Updating | None) -> list[Call]:
        """What slice t does for its share of the rows, after all slices have come to the end of the backward pass."""
        made = []
        for w, ((x, dz), *_) in self.factors.items():
            x, dz = self._wholes.get(x, x), self._wholes.get(dz, dz)
            columns = dz.matrix[1]
            start, end = cut(w.shape[0], slices)[t : t + 2]
            nbytes = BLOCK_BYTES if x.matrix[0] * w.dtype.itemsize <= DEPTH_BYTES else LARGE_BLOCK_BYTES
            blocks = max(1, (end - start) // max(LEAST_ROWS, nbytes // (columns * w.dtype.itemsize)))
            for low, high in pairwise(start + at for at in cut(end - start, blocks)):
                gradient = Tensor((1, (high - low) * columns), w.dtype, name=f"gradients/{w.name}")
                updating = update(w, low, high, gradient) if update is not None else []
                ahead = [t for call in updating for t in call.operands if t is not None and t.data is not None]
                ahead = [t for t in ahead if t.size == gradient.size][:3]
                operands = x, dz, gradient, *ahead, *[None] * (3 - len(ahead))
                multiply_adds = x.matrix[0] * gradient.size
                about = 0, 0, (low, high - low), w.name, w.dtype
                made += [Call(dense_weights_backward, operands, (2,), *about, multiply_adds=multiply_adds), *updating]
        return made


def _overwritten(calls: Iterable[Call]) -> dict[Tensor, Tensor]:
    """By tensor, the one in whose place in the arena it may be written, as nobody reads that any more."""
    found: dict[Tensor, tuple[Tensor, Call]] = {}
    last: dict[Tensor, Call] = {}
    for call in calls:
        last |= {x: call for x in call.operands if x is not None}
        for a, b in call.reuse:
            new, old = call.operands[a], call.operands[b]
            if new is not None and old is not None and old.data is None and new.size == old.size:
                found[new] = old, call
    return {new: old for new, (old, call) in found.items() if last[old] is call}
