"""MNIST: weights dropped, units dropped, nothing dropped.

L. Wan, M. Zeiler, S. Zhang, Y. LeCun, R. Fergus: Regularization of neural networks using DropConnect. ICML 2013.

Two hidden layers of 800 rectified units, half of the units or of the weights into them dropped. As there, DropConnect
is tested by matching the moments of a normal distribution. Smaller than there: a few dozen epochs and one network (the
paper trains for hundreds, on shifted and cropped images, and lets five vote); 32 images of a batch of 128 share a mask
of the weights, where the paper draws one for each image.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import nbnet as nb
from benchmarks.harness.record import Record
from benchmarks.papers import rows
from benchmarks.papers.networks import CLASSES, PIXELS, dense_network
from benchmarks.papers.rows import Row
from benchmarks.papers.training import Recipe

HIDDEN = (800, 800)
RATE, SHARING = 0.5, 32


def drop_connect_network() -> nb.Sequential:
    """Dense layers of rectified units whose weights are dropped, and a softmax."""
    layers = [
        nb.layers.DropConnectDense(units, RATE, "relu", group_size=SHARING, kernel_initializer="he_normal")
        for units in HIDDEN
    ]
    return nb.Sequential([nb.Input((PIXELS,)), *layers, nb.layers.Dense(CLASSES, "softmax")])


RECIPE = Recipe(60, 0.001)
ROWS = {
    "none": Row("2 x 800", partial(dense_network, HIDDEN), RECIPE, "1.62"),
    "dropout": Row("2 x 800", partial(dense_network, HIDDEN, 0.0, RATE), RECIPE, "1.28"),
    "DropConnect": Row("2 x 800", drop_connect_network, RECIPE, "1.20"),
}
NAME, TITLE, SEEDS = "dropconnect", "DropConnect, dropout and neither on MNIST", 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Do the runs that are missing; see ``--help``."""
    rows.run(NAME, __doc__, ROWS, SEEDS, arguments)


def table(record: Record) -> str:
    """Test errors beside the paper's."""
    return rows.table(record, ROWS)


if __name__ == "__main__":
    main()
