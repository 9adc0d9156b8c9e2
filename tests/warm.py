"""Compile the kernels of every op, while the first tests run: ``python -m tests.warm``.

Kernels are found on disk by whoever needs them next, so a second processor does what the tests would wait for.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import nbnet  # noqa: F401  (registers the ops)
from nbnet.core.jit import Kernel, link
from nbnet.core.op import Op, registry
from nbnet.ops.dense import fused_dense
from nbnet.ops.elementwise import Elementwise, fusible
from nbnet.ops.packed import packed_dense

#: Activations that ``tests/ops/test_packed.py`` trains with.
PACKED = ("relu", None, "tanh", "gelu", "leaky_relu")


def ops() -> Iterator[Op]:
    """Those that are registered, and the fused ones."""
    yield from registry.values()
    for activation in fusible.values():
        yield from (fused_dense(activation, dropout) for dropout in (True, False))
    for name in PACKED:
        chosen: Elementwise | None = None if name is None else fusible[name]
        for reads, drops in ((False, True), (True, True), (True, False)):
            yield from (packed_dense(chosen, reads, drops, spreads) for spreads in (True, False))


def kernels() -> Iterator[Kernel]:
    """Forward and backward kernels."""
    for op in ops():
        yield from (kernel for kernel in (op.forward, op.backward) if kernel is not None)


def main() -> None:
    for kernel in kernels():
        for dtype in ("float64", "float32"):
            link([kernel], np.dtype(dtype))


if __name__ == "__main__":
    main()
