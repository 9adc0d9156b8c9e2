"""Instructions for Monte Carlo statistics: mean, spread and entropy of samples, and copies of samples.

The number of a sample is that of the step minus the content of a cell, ``first``. Sums are float64 whatever the model's
dtype: the spread of samples may be small beside their mean.

References
----------
B. P. Welford: Note on a method for calculating corrected sums of squares and products. Technometrics 4 (1962).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.engine.graph.tensor import Call, Tensor
from nbnet.engine.jit.linker import precise
from nbnet.engine.kernels.abi import attribute, doublevec, first_row, intvec, kernel, mat, vec


@precise
def plogp(p: Any) -> Any:
    """p ln p, which tends to 0 with p."""
    return p * np.log(p) if p > 0 else 0.0 * p


@kernel(extents="y[n] first:i8[1] cursor:i8[1] mean:f8[all] squares:f8[all]; _")
def add_moments(mem: Any, ins: Any, step: Any) -> None:
    """Bring means and sums of squared deviations up to date with one more sample."""
    y, first, cursor = vec(mem, ins, 0), intvec(mem, ins, 1), intvec(mem, ins, 2)
    mean, squares = doublevec(mem, ins, 3), doublevec(mem, ins, 4)
    start, share = (cursor[0] + first_row(ins)) * attribute(ins, 0), np.float64(1.0) / np.float64(step - first[0] + 1)
    for i in range(y.size):
        d = np.float64(y[i]) - mean[start + i]
        mean[start + i] += d * share
        squares[start + i] += d * (d - d * share)


@kernel(extents="y[r,c] cursor:i8[1] sums:f8[all]; _")
def add_entropy(mem: Any, ins: Any, step: Any) -> None:
    """Add the entropy of each row of probabilities."""
    y, cursor, sums = mat(mem, ins, 0), intvec(mem, ins, 1), doublevec(mem, ins, 2)
    start = (cursor[0] + first_row(ins)) * attribute(ins, 0)
    for i in range(y.shape[0]):
        total = np.float64(0.0)
        for j in range(y.shape[1]):
            total += plogp(np.float64(y[i, j]))
        sums[start + i] -= total


@kernel(extents="y[n] cursor:i8[1] sums:f8[all]; _")
def add_binary_entropy(mem: Any, ins: Any, step: Any) -> None:
    """Add the entropy of each element, the probability of one of two classes."""
    y, cursor, sums = vec(mem, ins, 0), intvec(mem, ins, 1), doublevec(mem, ins, 2)
    start = (cursor[0] + first_row(ins)) * attribute(ins, 0)
    for i in range(y.size):
        p = np.float64(y[i])
        sums[start + i] -= plogp(p) + plogp(np.float64(1.0) - p)


@kernel(extents="y[n] first:i8[1] samples[samples,all]; _")
def keep_sample(mem: Any, ins: Any, step: Any) -> None:
    """Write the batch's outputs to its columns of the sample's row."""
    y, first, samples = vec(mem, ins, 0), intvec(mem, ins, 1), mat(mem, ins, 2)
    sample, start = step - first[0], first_row(ins) * attribute(ins, 0)
    for i in range(y.size):
        samples[sample, start + i] = y[i]


def _per_row(y: Tensor) -> int:
    return y.size // y.shape[0]


def moments_call(y: Tensor, first: Tensor, cursor: Tensor, mean: Tensor, squares: Tensor) -> Call:
    """Update means and squares, of all rows, where the batch's are: from row ``cursor`` on."""
    return Call(add_moments, (y, first, cursor, mean, squares), (3, 4), 3 << 3, 0, (_per_row(y),), "moments", y.dtype)


def entropy_call(y: Tensor, cursor: Tensor, sums: Tensor, binary: bool) -> Call:
    """Add entropies of the last axis, or of each element, to the sums of all rows from row ``cursor`` on."""
    add = add_binary_entropy if binary else add_entropy
    per_row = _per_row(y) if binary else y.matrix[0] // y.shape[0]
    return Call(add, (y, cursor, sums), (2,), 1 << 2, 0, (per_row,), "entropy", y.dtype)


def sample_call(y: Tensor, first: Tensor, samples: Tensor) -> Call:
    """Keep the batch's outputs: ``samples`` has a row for each sample."""
    return Call(keep_sample, (y, first, samples), (2,), 1 << 2, 0, (_per_row(y),), "sample", y.dtype)
