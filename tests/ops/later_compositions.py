"""Functions in modules that are imported when first asked for: the call, its arguments, and NumPy's answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet import ops

Array = NDArray[Any]
Line = tuple[Callable[..., Any], tuple[Array, ...], Callable[..., Any]]
rng = np.random.default_rng(7)
X = rng.normal(size=(4, 3)) * 2
Y = rng.normal(size=(4, 3)) + 3
CUBE = rng.normal(size=(2, 3, 4))
PAIRS, ROWS = rng.normal(size=(2, 4, 5)), rng.normal(size=(3, 4, 5))
IDS = np.array([0, 2, 0, 2])


def updated(x: Array, new: Array, *places: Any) -> Array:
    y = x.copy()
    y[places] = new
    return y


#: Gradients are checked for every array.
LATER_SMOOTH: dict[str, Line] = {
    # matmul
    "matmul of pairs": (ops.matmul, (CUBE, PAIRS), np.matmul),
    "matmul of vectors": (ops.matmul, (X[0], Y[0]), np.matmul),
    "matmul with a vector": (ops.matmul, (CUBE, X[:, 0]), np.matmul),
    "matmul of a vector": (ops.matmul, (X[:, 0], ROWS), np.matmul),
    "matmul broadcast": (ops.matmul, (CUBE[:, None], ROWS), np.matmul),
    "dot of cubes": (ops.dot, (CUBE, ROWS), np.dot),
    # cumulative
    "cumsum": (ops.cumsum, (X,), np.cumsum),
    "cumsum of an axis": (lambda x: ops.cumsum(x, 1), (CUBE,), lambda x: x.cumsum(1)),
    "cumprod": (lambda x: ops.cumprod(x, 0), (X,), lambda x: x.cumprod(0)),
    "prod": (ops.prod, (X,), np.prod),
    "prod of axes": (lambda x: ops.prod(x, (0, -1), keepdims=True), (CUBE,), lambda x: x.prod((0, 2), keepdims=True)),
    "diff": (lambda x: ops.diff(x, 2, 1), (CUBE,), lambda x: np.diff(x, 2, 1)),
    "trapezoid": (ops.trapezoid, (X,), np.trapezoid),
    "trapezoid at points": (lambda y: ops.trapezoid(y, [0.0, 2.0, 3.0, 7.0], axis=0), (X,),
                            lambda y: np.trapezoid(y, [0.0, 2.0, 3.0, 7.0], axis=0)),
    "trapezoid at points for each": (ops.trapezoid, (X, Y), np.trapezoid),
    # sorting
    "sort": (lambda x: ops.sort(x, 0), (X,), lambda x: np.sort(x, 0)),
    "sort all": (lambda x: ops.sort(x, None), (X,), lambda x: np.sort(x, None)),
    "top_k": (lambda x: ops.top_k(x, 2)[0], (CUBE,), lambda x: -np.sort(-x, -1)[..., :2]),
    "median": (lambda x: ops.median(x, (0, 2)), (CUBE,), lambda x: np.median(x, (0, 2))),
    "quantile": (lambda x: ops.quantile(x, [0.2, 0.9], 1, keepdims=True), (CUBE,),
                 lambda x: np.quantile(x, [0.2, 0.9], 1, keepdims=True)),
    "percentile": (lambda x: ops.percentile(x, 30.0, 0), (X,), lambda x: np.percentile(x, 30.0, 0)),
    # places
    "take_along_axis": (lambda x: ops.take_along_axis(x, [[0, -1]], 1), (X,),
                        lambda x: np.take_along_axis(x, np.array([[0, -1]]), 1)),
    "scatter": (lambda v: ops.scatter([[0, 1], [2, 0], [0, 1], [1, 1]], v, (3, 2, 3)), (X,),
                lambda v: np.array([[0 * v[0], v[0] + v[2]], [0 * v[0], v[3]], [v[1], 0 * v[0]]])),
    "scatter_update": (lambda x, v: ops.scatter_update(x, [[1, 0], [3, 2], [1, 0]], v), (X, Y[0]),
                       lambda x, v: updated(x, v[[2, 1]], [1, 3], [0, 2])),
    "scatter_update by addition": (lambda x, v: ops.scatter_update(x, [[1], [1]], v, "add"), (X, Y[:2]),
                                   lambda x, v: updated(x, x[1] + v.sum(0), 1)),
    "scatter_update by the maximum": (lambda x, v: ops.scatter_update(x, [[1], [2]], v, "max"), (X, Y[:2]),
                                      lambda x, v: updated(x, np.maximum(x[1:3], v), np.s_[1:3])),
    "scatter_update by multiplication": (lambda x, v: ops.scatter_update(x, [[1], [1]], v, "mul"), (X, Y[:2]),
                                         lambda x, v: updated(x, x[1] * v.prod(0), 1)),
    "segment_sum": (lambda x: ops.segment_sum(x, IDS, 3), (X,),
                    lambda x: np.stack([x[0] + x[2], 0 * x[0], x[1] + x[3]])),
    "segment_min": (lambda x: ops.segment_min(x, IDS // 2), (X,),
                    lambda x: np.stack([np.minimum(x[0], x[2]), np.minimum(x[1], x[3])])),
    "slice": (lambda x: ops.slice(x, [0, 1, 1], (2, -1, 2)), (CUBE,), lambda x: x[:, 1:, 1:3]),
    "slice_update": (lambda x, v: ops.slice_update(x, [1, 0], v), (X, Y[:2, 1:]), lambda x, v: updated(
        x, v, np.s_[1:3], np.s_[:2])),
}  # fmt: skip

#: No gradient flows.
LATER_STEPS: dict[str, Line] = {
    "argsort": (lambda x: ops.argsort(x, 0), (X,), lambda x: np.argsort(x, 0)),
    "argmax": (lambda x: ops.argmax(x, keepdims=True), (X,), lambda x: np.argmax(x, keepdims=True)),
    "top_k": (lambda x: ops.top_k(x, 2)[1], (CUBE,), lambda x: np.argsort(-x, -1)[..., :2]),
    "searchsorted": (lambda x: ops.searchsorted([-1.0, 0.0, 1.0], x), (X,),
                     lambda x: np.searchsorted([-1.0, 0.0, 1.0], x)),
    "digitize": (lambda x: ops.digitize(x, [-1.0, 0.0, 1.0]), (X,), lambda x: np.digitize(x, [-1.0, 0.0, 1.0])),
    "in_top_k": (lambda x: ops.in_top_k(IDS, x, 2), (X,), lambda x: (np.argsort(-x)[:, :2] == IDS[:, None]).any(1)),
}  # fmt: skip
