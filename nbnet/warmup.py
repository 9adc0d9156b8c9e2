"""Compilation of kernels ahead of their first use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet import layers
from nbnet.config import standardize_dtype
from nbnet.engine.graph.op import Op, registry
from nbnet.engine.jit import linker
from nbnet.engine.runtime.batch_io import count_bad, take_line
from nbnet.engine.runtime.mc_stats import add_entropy, add_moments
from nbnet.models import Sequential
from nbnet.ops.dense import fused_dense
from nbnet.ops.elementwise import fusible
from nbnet.random import seed_scope

Array = NDArray[Any]

#: The usual parts of dense networks: activations of hidden layers; a last activation with loss, metric and targets;
#: optimizers.
ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu", "elu", "silu")
ENDS = (
    ("softmax", "sparse_categorical_crossentropy", "accuracy", np.zeros(8, np.int64)),
    ("softmax", "categorical_crossentropy", "accuracy", np.repeat([[1.0, 0.0, 0.0]], 8, axis=0)),
    ("sigmoid", "binary_crossentropy", "accuracy", np.zeros(8, np.int64)),
    ("linear", "mse", "mae", np.zeros(8)),
)
OPTIMIZERS = ("adam", "sgd", "rmsprop", "adamw")
#: Further ops of estimators, of sample weights, and of the tape.
OPS = ("add", "dropout", "l1_l2", "mean", "multiply", "relu", "reshape", "softmax")
ROWS = (add_entropy, add_moments, count_bad, take_line)


def warmup(dtypes: str | Sequence[str] = "float32", everything: bool = False) -> int:
    """Compile the kernels that networks need, so that the first training starts at once.

    The machine code stays in the cache folder: once for each user, or in a container's image, is enough.

    Parameters
    ----------
    dtypes : {"float32", "float64"} or sequence of them
        Dtypes of the networks.
    everything : bool
        If True, compile the kernels of all ops, which takes minutes; by default those of dense networks with dropout
        and common activations, losses and optimizers.

    Returns
    -------
    int
        Number of kernels compiled, without those that were in the cache folder already.

    Raises
    ------
    ValueError
        For any other dtype.

    Examples
    --------
    >>> import nbnet as nb
    >>> compiled = nb.warmup()  # or: python -m nbnet warmup
    >>> nb.warmup()
    0
    """
    before = linker.compiled_count
    for dtype in map(standardize_dtype, [dtypes] if isinstance(dtypes, str) else dtypes):
        # Most of them in one go, on all processors; then what else the networks need.
        linker.link(dict.fromkeys([*kernels(ops() if everything else _common()), *ROWS]), dtype)
        with seed_scope(0):
            for model, targets in _networks(dtype):
                _train(model, targets)
    return linker.compiled_count - before


def _networks(dtype: np.dtype[Any]) -> Iterator[tuple[Sequential, Array]]:
    """Small compiled networks and their targets: every activation with and without dropout, every end, every
    optimizer."""
    for k, (activation, rate) in enumerate(product(ACTIVATIONS, (0.0, 0.5))):
        last, loss, metric, targets = ENDS[k % len(ENDS)]
        hidden: list[layers.Layer] = []
        for _ in range(2):
            hidden.append(layers.Dense(4, activation, dtype=dtype))
            if rate:
                hidden.append(layers.Dropout(rate, dtype=dtype))
        units = 3 if last == "softmax" else 1
        model = Sequential([layers.Input((3,), dtype=dtype), *hidden, layers.Dense(units, last, dtype=dtype)])
        model.compile(OPTIMIZERS[k % len(OPTIMIZERS)], loss, metrics=[metric])
        yield model, targets


def _train(model: Sequential, targets: Array) -> None:
    """Train and evaluate for some epochs on inputs of either precision, and on bytes."""
    for kind in (np.float64, np.float32, np.uint8):
        x = np.zeros((len(targets), 3), kind)
        model.fit(x, targets, batch_size=4, epochs=5, validation_data=(x, targets), verbose=0)
        model.predict(x, verbose=0)


def _common() -> Iterator[Op]:
    """The ops of hidden layers, and further common ones."""
    yield from (registry[name] for name in OPS)
    for name, drops in product(ACTIVATIONS, (True, False)):
        yield fused_dense(fusible[name], drops)


def ops() -> Iterator[Op]:
    """All ops: registered and fused."""
    yield from registry.values()
    for activation in fusible.values():
        yield from (fused_dense(activation, drops) for drops in (True, False))


def kernels(of: Iterable[Op]) -> Iterator[linker.Kernel]:
    """The forward and backward kernels of ops."""
    for op in of:
        yield from (kernel for kernel in (op.forward, op.backward) if kernel is not None)
