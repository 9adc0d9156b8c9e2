"""Kernels compiled before they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet import layers
from nbnet.config import standardize_dtype
from nbnet.core import jit
from nbnet.core.feed import count_bad, take_line
from nbnet.core.moments import add_entropy, add_moments
from nbnet.core.op import Op, registry
from nbnet.models import Sequential
from nbnet.ops.dense import fused_dense
from nbnet.ops.elementwise import fusible
from nbnet.random import seed_scope

Array = NDArray[Any]

#: What dense networks mostly consist of: activations of hidden layers; the last activation, a loss and a metric for it,
#: and targets; optimizers.
ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu", "elu", "silu")
ENDS = (
    ("softmax", "sparse_categorical_crossentropy", "accuracy", np.zeros(8, np.int64)),
    ("softmax", "categorical_crossentropy", "accuracy", np.repeat([[1.0, 0.0, 0.0]], 8, axis=0)),
    ("sigmoid", "binary_crossentropy", "accuracy", np.zeros(8, np.int64)),
    ("linear", "mse", "mae", np.zeros(8)),
)
OPTIMIZERS = ("adam", "sgd", "rmsprop", "adamw")
#: What else there is in estimators, with weights of samples, on the tape.
OPS = ("add", "dropout", "l1_l2", "mean", "multiply", "relu", "reshape", "softmax")
ROWS = (add_entropy, add_moments, count_bad, take_line)


def warmup(dtypes: str | Sequence[str] = "float32", everything: bool = False) -> int:
    """Compile what networks need, so that the first training starts at once.

    Machine code is kept in the cache folder: once for a user, or in an image of a container, is enough.

    Parameters
    ----------
    dtypes : {"float32", "float64"} or sequence of them
    everything
        Whether to compile all kernels there are, which takes minutes. By default those of dense networks with dropout
        and common activations, losses and optimizers.

    Returns
    -------
    int
        Number of kernels compiled; those that the cache folder had already are not counted.

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
    before = jit.compiled_count
    for dtype in map(standardize_dtype, [dtypes] if isinstance(dtypes, str) else dtypes):
        # Most of them at once, for all processors; then whatever else the networks need.
        jit.link(dict.fromkeys([*kernels(ops() if everything else _common()), *ROWS]), dtype)
        with seed_scope(0):
            for model, targets in _networks(dtype):
                _train(model, targets)
    return jit.compiled_count - before


def _networks(dtype: np.dtype[Any]) -> Iterator[tuple[Sequential, Array]]:
    """Small networks, compiled, and targets of theirs: each activation without dropout and with it, each end, each
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
    """Some epochs, with evaluation, on what users have: numbers in either precision, and bytes."""
    for kind in (np.float64, np.float32, np.uint8):
        x = np.zeros((len(targets), 3), kind)
        model.fit(x, targets, batch_size=4, epochs=5, validation_data=(x, targets), verbose=0)
        model.predict(x)


def _common() -> Iterator[Op]:
    """Hidden layers, and what else there often is."""
    yield from (registry[name] for name in OPS)
    for name, drops in product(ACTIVATIONS, (True, False)):
        yield fused_dense(fusible[name], drops)


def ops() -> Iterator[Op]:
    """Those that are registered, and the fused ones."""
    yield from registry.values()
    for activation in fusible.values():
        yield from (fused_dense(activation, drops) for drops in (True, False))


def kernels(of: Iterable[Op]) -> Iterator[jit.Kernel]:
    """Forward and backward kernels."""
    for op in of:
        yield from (kernel for kernel in (op.forward, op.backward) if kernel is not None)
