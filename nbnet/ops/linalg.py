"""Linear algebra: functions of :mod:`nbnet.ops`, under the name of Keras's module."""

from nbnet.ops.names_of_keras import from_ops

_NAMES = """
    cholesky cholesky_inverse det eigh inv lstsq lu_factor matrix_power matrix_rank norm pinv qr solve
    solve_triangular svd
"""

__getattr__ = from_ops(__name__, _NAMES.split())


def __dir__() -> list[str]:
    return _NAMES.split()
