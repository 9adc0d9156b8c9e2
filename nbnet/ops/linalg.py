"""Linear algebra: functions of :mod:`nbnet.ops`, under the name of Keras's module."""

from nbnet.base.unsupported_keras import keras_hint

_NAMES = """
    cholesky cholesky_inverse det eigh inv lstsq lu_factor matrix_power matrix_rank norm pinv qr solve
    solve_triangular svd
"""

__getattr__ = keras_hint("nbnet.ops", elsewhere=dict.fromkeys(_NAMES.split(), "nbnet.ops"))


def __dir__() -> list[str]:
    return _NAMES.split()
