"""Data intake: whatever the user hands over becomes an array that kernels can read, or an error that names it.

Kernels never check and never raise, so everything is checked here, once: dtype, shape, finite values, range of labels.
Arrays are read where they lie. A copy is made only of what a kernel cannot read: Fortran order, strides, float16, the
columns of a data frame. Sparse matrices stay sparse (``sparse.py``), of large mapped files one block of rows is in
memory (``mapped.py``), and what comes in batches is asked for one after the other (``streams.py``).
"""

from nbnet.data.arrays import as_dense_targets, as_features, as_input, as_labels, as_weights, check_probabilities
from nbnet.data.checks import READABLE
from nbnet.data.mapped import Blocks
from nbnet.data.number import as_number
from nbnet.data.passes import as_steps, check_frequency, part_of_pass, validates, warn_ended, warn_short
from nbnet.data.py_dataset import PyDataset
from nbnet.data.rows import train_validation_split
from nbnet.data.sparse import SparseRows
from nbnet.data.streams import Stream, as_stream, is_stream

__all__ = [
    "READABLE",
    "Blocks",
    "PyDataset",
    "SparseRows",
    "Stream",
    "as_dense_targets",
    "as_features",
    "as_input",
    "as_labels",
    "as_number",
    "as_steps",
    "as_stream",
    "as_weights",
    "check_frequency",
    "check_probabilities",
    "is_stream",
    "part_of_pass",
    "train_validation_split",
    "validates",
    "warn_ended",
    "warn_short",
]
