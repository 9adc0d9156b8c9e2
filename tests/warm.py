"""Compile the kernels of every op, while the first tests run: ``python -m tests.warm``.

Later processes find the kernels on disk, so a second processor does what the tests would wait for.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from nbnet.engine.graph.op import Op
from nbnet.engine.jit.linker import link
from nbnet.ops.dense import packed_dense
from nbnet.ops.elementwise import Elementwise, fusible
from nbnet.warmup import kernels, ops

#: Activations that ``tests/ops/test_batchwise_dropout.py`` trains with.
PACKED = ("relu", None, "tanh", "gelu", "leaky_relu")


def packed_ops() -> Iterator[Op]:
    """Those that training with shared masks is made of."""
    for name in PACKED:
        chosen: Elementwise | None = None if name is None else fusible[name]
        for reads, drops in ((False, True), (True, True), (True, False)):
            yield from (packed_dense(chosen, reads, drops, spreads) for spreads in (True, False))


def main() -> None:
    for kernel in kernels(chain(ops(), packed_ops())):
        for dtype in ("float64", "float32"):
            link([kernel], np.dtype(dtype))


if __name__ == "__main__":
    main()
