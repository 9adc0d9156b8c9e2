"""Numbers that Python and the hand-written LLVM code share: the layout of an instruction row, ``int64[WIDTH]``, and the
sizes of blocks in products of matrices.

====================== =======================================================================================
``KERNEL``             address of the kernel
``SEED``               the node's 64-bit key for random numbers
``ACCUMULATE``         bit k set: operand k is added to; clear: it is overwritten, whatever it holds
``FIRST_ROW``          number in the batch of the first row of this slice
``EVERY``              the row runs in the last of every so many steps; the kernel is told the number of its turn
``OPERANDS + 3 k``     operand k: byte offset from ``mem``, rows, columns; rows = 0: the operand is absent
``ATTRIBUTES + i``     integer attributes of the op
``CALL``               with ``NBNET_CHECK=1`` only: number of the call's description
``EXTENTS + k``        with ``NBNET_CHECK=1`` only: bytes of operand k
====================== =======================================================================================
"""

from __future__ import annotations

from nbnet.engine.jit.function import CHECKED

KERNEL, SEED, ACCUMULATE, FIRST_ROW, EVERY, OPERANDS = 0, 1, 2, 3, 4, 5
MAX_OPERANDS, MAX_ATTRIBUTES = 14, 17
ATTRIBUTES = OPERANDS + 3 * MAX_OPERANDS
CALL = ATTRIBUTES + MAX_ATTRIBUTES
EXTENTS = CALL + 1
WIDTH = EXTENTS + MAX_OPERANDS if CHECKED else CALL
#: Bytes between buffers, and around memory of the executor, that nothing may touch.
RED_ZONE = 256 if CHECKED else 0
#: Elements of a kernel's scratch.
SCRATCH = 512

#: Rows of b in a strip, times the size of an element: with rows of two vectors it fits the first cache.
DEPTH_BYTES = 1024
#: Memory for the rows of a that are packed at a time.
PANEL_BYTES = 131072
#: Steps along the inner length that a tile takes at a time if a is packed.
STEPS = 4
#: Vectors in a row of a strip of a product that skips zeros. So many sums hide the latency of additions, and registers
#: hold them.
ACROSS = 8
#: Rows of b in such a strip, times the size of an element: with rows of eight vectors it fits the first cache.
SHALLOW_BYTES = DEPTH_BYTES // 4
#: Rows of a that are listed at a time, times the size of an element.
LISTED_BYTES = 512
