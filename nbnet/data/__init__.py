"""Data intake: arrays, frames, sparse matrices and streams of batches become data that kernels can read.

Kernels never raise, so everything is checked here, once: dtype, shape, finite values, range of labels; an error names
the argument. Labels, weights and indices are copied, and the copies are checked. Arrays are read in place, where their
memory is kept (``base/array_memory.py``); a copy is made only of what a kernel cannot read: Fortran order, strides,
float16, the columns of a data frame. Sparse matrices stay sparse (``sparse.py``); large memory-mapped
files are read one block of rows at a time (``mapped.py``); streams are asked for one batch after another
(``streams.py``).
"""

from nbnet.base.array_memory import settled, settled_parts
from nbnet.data.arrays import (
    READABLE,
    as_dense_targets,
    as_input,
    as_labels,
    as_weights,
    check_finite,
    check_probabilities,
    copied,
    numbers,
    train_validation_split,
)
from nbnet.data.mapped import Blocks, MappedRows
from nbnet.data.sparse import SparseRows, as_features
from nbnet.data.streams import (
    PyDataset,
    Stream,
    as_steps,
    as_stream,
    check_frequency,
    is_stream,
    part_of_pass,
    validates,
    warn_ended,
    warn_short,
)

__all__ = [
    "READABLE", "Blocks", "MappedRows", "PyDataset", "SparseRows", "Stream", "as_dense_targets", "as_features",
    "as_input", "as_labels", "as_steps", "as_stream", "as_weights", "check_finite", "check_frequency",
    "check_probabilities", "copied", "is_stream", "numbers", "part_of_pass", "settled", "settled_parts",
    "train_validation_split", "validates", "warn_ended", "warn_short",
]  # fmt: skip
