"""The layout of an instruction row: ``int64[WIDTH]``.

====================== =======================================================================================
``KERNEL``             address of the kernel
``SEED``               the node's 64-bit key for random numbers
``ACCUMULATE``         bit k set: operand k is added to; clear: it is overwritten, whatever it holds
``FIRST_ROW``          number in the batch of the first row of this slice
``EVERY``              the row runs in the last of every so many steps; the kernel is told the number of its turn
``OPERANDS + 3 k``     operand k: byte offset from ``mem``, rows, columns; rows = 0: the operand is absent
``ATTRIBUTES + i``     integer attributes of the op
====================== =======================================================================================
"""

KERNEL, SEED, ACCUMULATE, FIRST_ROW, EVERY, OPERANDS = 0, 1, 2, 3, 4, 5
MAX_OPERANDS, MAX_ATTRIBUTES = 14, 17
ATTRIBUTES = OPERANDS + 3 * MAX_OPERANDS
WIDTH = ATTRIBUTES + MAX_ATTRIBUTES
#: Elements of a kernel's scratch.
SCRATCH = 512
