"""MNIST without convolution: no dropout, dropout, dropout with max-norm.

N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov: Dropout: a simple way to prevent neural
networks from overfitting. JMLR 15 (2014), table 2.

All 60,000 images are learnt from. The error is that after the last epoch: the test images choose nothing. What could be
chosen (learning rate, max-norm) was chosen by the last 10,000 training images, after a few short runs on the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from benchmarks.papers import rows
from benchmarks.papers.networks import dense_network
from benchmarks.papers.record import Record
from benchmarks.papers.rows import Row
from benchmarks.papers.training import Recipe

WIDE, RATES = (1024, 1024, 1024), (0.2, 0.5)
#: The paper's 3 to 4 are norms before weights are multiplied by the probability to keep; ours are norms after it.
NORMS = (2.4, 1.5, 1.5, 1.5)
ROWS = {
    "none": Row("2 x 800", partial(dense_network, (800, 800)), Recipe(20, 0.001), "1.60 (logistic units)"),
    "dropout": Row("3 x 1024", partial(dense_network, WIDE, *RATES), Recipe(50, 0.001), "1.25"),
    "dropout+max-norm": Row(
        "3 x 1024, norms up to 2.4 and 1.5", partial(dense_network, WIDE, *RATES, NORMS), Recipe(50, 0.001), "1.06"
    ),
    "dropout+max-norm, tight": Row(
        "3 x 1024, norms up to 1", partial(dense_network, WIDE, *RATES, (1.0,) * 4), Recipe(50, 0.002), "1.06"
    ),
}
NAME, TITLE, SEEDS = "srivastava_mnist", "Dropout and max-norm on MNIST", 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Do the runs that are missing; see ``--help``."""
    rows.run(NAME, __doc__, ROWS, SEEDS, arguments)


def table(record: Record) -> str:
    """Test errors beside the paper's."""
    return rows.table(record, ROWS)


if __name__ == "__main__":
    main()
