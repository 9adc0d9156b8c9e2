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


SQUARES = rng.normal(size=(2, 3, 3)) + 3 * np.eye(3)
HOLES = np.where((X > 1) | (X < -2), np.nan, X)
IMAGES = rng.normal(size=(2, 4, 6, 4))
SHARES = rng.dirichlet([2.0, 2.0, 2.0], 4)


def unfolded(x: Array) -> Array:
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2, 3), (2, 3))
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(2, 24, -1)


def adapted(x: Array, reduce: Callable[..., Array]) -> Array:
    rows = np.stack([reduce(x[:, a:b], 1) for a, b in ((0, 2), (1, 3), (2, 4))], 1)
    return np.stack([reduce(rows[:, :, a:b], 2) for a, b in ((0, 3), (3, 6))], 2)


def doubled(x: Array) -> Array:
    for _ in range(7):
        x = 2 * x if x.max() < 50 else x
    return x


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
    "trapezoid at points": (
        lambda y: ops.trapezoid(y, [0.0, 2.0, 3.0, 7.0], axis=0),
        (X,),
        lambda y: np.trapezoid(y, [0.0, 2.0, 3.0, 7.0], axis=0),
    ),
    "trapezoid at points for each": (ops.trapezoid, (X, Y), np.trapezoid),
    # sorting
    "sort": (lambda x: ops.sort(x, 0), (X,), lambda x: np.sort(x, 0)),
    "sort all": (lambda x: ops.sort(x, None), (X,), lambda x: np.sort(x, None)),
    "top_k": (lambda x: ops.top_k(x, 2)[0], (CUBE,), lambda x: -np.sort(-x, -1)[..., :2]),
    "median": (lambda x: ops.median(x, (0, 2)), (CUBE,), lambda x: np.median(x, (0, 2))),
    "quantile": (
        lambda x: ops.quantile(x, [0.2, 0.9], 1, keepdims=True),
        (CUBE,),
        lambda x: np.quantile(x, [0.2, 0.9], 1, keepdims=True),
    ),
    "percentile": (lambda x: ops.percentile(x, 30.0, 0), (X,), lambda x: np.percentile(x, 30.0, 0)),
    # places
    "take_along_axis": (
        lambda x: ops.take_along_axis(x, [[0, -1]], 1),
        (X,),
        lambda x: np.take_along_axis(x, np.array([[0, -1]]), 1),
    ),
    "scatter": (
        lambda v: ops.scatter([[0, 1], [2, 0], [0, 1], [1, 1]], v, (3, 2, 3)),
        (X,),
        lambda v: np.array([[0 * v[0], v[0] + v[2]], [0 * v[0], v[3]], [v[1], 0 * v[0]]]),
    ),
    "scatter_update": (
        lambda x, v: ops.scatter_update(x, [[1, 0], [3, 2], [1, 0]], v),
        (X, Y[0]),
        lambda x, v: updated(x, v[[2, 1]], [1, 3], [0, 2]),
    ),
    "scatter_update by addition": (
        lambda x, v: ops.scatter_update(x, [[1], [1]], v, "add"),
        (X, Y[:2]),
        lambda x, v: updated(x, x[1] + v.sum(0), 1),
    ),
    "scatter_update by the maximum": (
        lambda x, v: ops.scatter_update(x, [[1], [2]], v, "max"),
        (X, Y[:2]),
        lambda x, v: updated(x, np.maximum(x[1:3], v), np.s_[1:3]),
    ),
    "scatter_update by multiplication": (
        lambda x, v: ops.scatter_update(x, [[1], [1]], v, "mul"),
        (X, Y[:2]),
        lambda x, v: updated(x, x[1] * v.prod(0), 1),
    ),
    "segment_sum": (
        lambda x: ops.segment_sum(x, IDS, 3),
        (X,),
        lambda x: np.stack([x[0] + x[2], 0 * x[0], x[1] + x[3]]),
    ),
    "segment_min": (
        lambda x: ops.segment_min(x, IDS // 2),
        (X,),
        lambda x: np.stack([np.minimum(x[0], x[2]), np.minimum(x[1], x[3])]),
    ),
    # trigonometry
    "deg2rad": (ops.deg2rad, (X,), np.deg2rad),
    "rad2deg": (ops.rad2deg, (X,), np.rad2deg),
    "sinc": (ops.sinc, (X,), np.sinc),
    "fmax": (ops.fmax, (X, Y), np.fmax),
    "fmin": (ops.fmin, (X, Y), np.fmin),
    "logaddexp2": (ops.logaddexp2, (X, Y), np.logaddexp2),
    # products
    "einsum of pairs": (lambda a, b: ops.einsum("bij,bjk->bik", a, b), (CUBE, PAIRS), np.matmul),
    "einsum of a diagonal": (lambda a: ops.einsum("ii->i", a), (X[:3],), np.diagonal),
    "einsum with an ellipsis": (
        lambda a, b: ops.einsum("...ij,kj->...ik", a, b),
        (CUBE, Y[:, :1] + np.ones(4)),
        lambda a, b: np.einsum("...ij,kj->...ik", a, b),
    ),
    "einsum of three": (
        lambda a, b, c: ops.einsum("ab,cb,dc->ad", a, b, c),
        (X, Y, Y @ Y.T),
        lambda a, b, c: np.einsum("ab,cb,dc->ad", a, b, c),
    ),
    "einsum without an arrow": (
        lambda a, b: ops.einsum("ba,b", a, b),
        (X, X[:, 0]),
        lambda a, b: np.einsum("ba,b", a, b),
    ),
    "einsum of outer products": (
        lambda a, b: ops.einsum("bi,bj->bij", a, b),
        (X, Y),
        lambda a, b: np.einsum("bi,bj->bij", a, b),
    ),
    "tensordot": (
        lambda a, b: ops.tensordot(a, b, ([2, 1], [0, 1])),
        (CUBE, np.moveaxis(CUBE, 0, -1).transpose(1, 0, 2)),
        lambda a, b: np.tensordot(a, b, ([2, 1], [0, 1])),
    ),
    "inner": (ops.inner, (X, Y), np.inner),
    "vdot": (ops.vdot, (X, Y), np.vdot),
    "kron": (ops.kron, (X, CUBE[0]), np.kron),
    "cross": (ops.cross, (X, Y), np.cross),
    "cross along the first axis": (
        lambda a, b: ops.cross(a, b, axis=0),
        (X[:3], Y[:3]),
        lambda a, b: np.cross(a, b, axis=0),
    ),
    "correlate": (ops.correlate, (X[:, 0], Y[0]), np.correlate),
    "correlate the same": (
        lambda a, b: ops.correlate(a, b, "same"),
        (Y[0], X[:, 0]),
        lambda a, b: np.correlate(a, b, "same"),
    ),
    "correlate fully": (
        lambda a, b: ops.correlate(a, b, "full"),
        (X[:, 0], Y[0]),
        lambda a, b: np.correlate(a, b, "full"),
    ),
    "corrcoef": (ops.corrcoef, (CUBE[0],), np.corrcoef),
    "cdist": (ops.cdist, (X, Y), lambda a, b: np.sqrt(((a[:, None] - b) ** 2).sum(-1))),
    # diagonals
    "diag": (lambda x: ops.diag(x, -1), (X[0],), lambda x: np.diag(x, -1)),
    "diag of a matrix": (lambda x: ops.diag(x, 1), (X,), lambda x: np.diag(x, 1)),
    "diagflat": (ops.diagflat, (X,), np.diagflat),
    "diagonal": (lambda x: ops.diagonal(x, -1, 2, 0), (CUBE,), lambda x: np.diagonal(x, -1, 2, 0)),
    "trace": (lambda x: ops.trace(x, 1, 1, 2), (CUBE,), lambda x: np.trace(x, 1, 1, 2)),
    "tril": (lambda x: ops.tril(x, 1), (CUBE,), lambda x: np.tril(x, 1)),
    "triu": (lambda x: ops.triu(x, 1), (CUBE,), lambda x: np.triu(x, 1)),
    "vander": (lambda x: ops.vander(x, 3), (X[:, 0],), lambda x: np.vander(x, 3)),
    # grids
    "meshgrid": (lambda a, b: ops.stack(ops.meshgrid(a, b)), (X[0], X[:, 1]), lambda a, b: np.stack(np.meshgrid(a, b))),
    "meshgrid by rows": (
        lambda a, b: ops.meshgrid(a, b, indexing="ij")[0],
        (X[0], X[:, 1]),
        lambda a, b: np.meshgrid(a, b, indexing="ij")[0],
    ),
    # arrangement
    "append": (ops.append, (X, Y[0]), np.append),
    "append rows": (lambda x, y: ops.append(x, y, 0), (X, Y), lambda x, y: np.append(x, y, 0)),
    "array_split": (lambda x: ops.array_split(x, 3, -1)[0], (CUBE,), lambda x: np.array_split(x, 3, -1)[0]),
    "hsplit": (lambda x: ops.hsplit(x, 3)[1], (X,), lambda x: np.hsplit(x, 3)[1]),
    "vsplit": (lambda x: ops.vsplit(x, 2)[1], (X,), lambda x: np.vsplit(x, 2)[1]),
    "dsplit": (lambda x: ops.dsplit(x, [1])[1], (CUBE,), lambda x: np.dsplit(x, [1])[1]),
    "column_stack": (lambda x, y: ops.column_stack([x[:, 0], y]), (X, Y), lambda x, y: np.column_stack([x[:, 0], y])),
    "dstack": (lambda x, y: ops.dstack([x, y]), (X, Y), lambda x, y: np.dstack([x, y])),
    "fliplr": (ops.fliplr, (X,), np.fliplr),
    "flipud": (ops.flipud, (X,), np.flipud),
    "rot90": (ops.rot90, (X,), np.rot90),
    "rot90 backwards": (lambda x: ops.rot90(x, 3, (1, 2)), (CUBE,), lambda x: np.rot90(x, 3, (1, 2))),
    "rot90 twice": (lambda x: ops.rot90(x, 2, (2, 0)), (CUBE,), lambda x: np.rot90(x, 2, (2, 0))),
    "select": (
        lambda x, y: ops.select([X > 1, X > 0], [x, y], 7.0),
        (X, Y),
        lambda x, y: np.select([X > 1, X > 0], [x, y], 7.0),
    ),
    "space_to_depth": (
        lambda x: ops.space_to_depth(x, 2),
        (IMAGES,),
        lambda x: x.reshape(2, 2, 2, 3, 2, 4).transpose(0, 1, 3, 2, 4, 5).reshape(2, 2, 3, 16),
    ),
    "there and back": (lambda x: ops.depth_to_space(ops.space_to_depth(x, 2), 2), (IMAGES,), lambda x: x),
    "there and back, channels first": (
        lambda x: ops.depth_to_space(ops.space_to_depth(x, 2, "channels_first"), 2, "channels_first"),
        (IMAGES,),
        lambda x: x,
    ),
    "unfold": (lambda x: ops.unfold(x, (2, 3), padding=(1, 0)), (IMAGES,), lambda x: unfolded(x)),
    "fold": (
        lambda x: ops.fold(x, (2, 2), 2, padding=1, stride=2),
        (CUBE.reshape(1, 4, 6)[:, :, :4],),
        lambda x: np.array([[[[x[0, 3, 0], x[0, 2, 1]], [x[0, 1, 2], x[0, 0, 3]]]]]),
    ),
    "extract_sequences": (lambda x: ops.extract_sequences(x, 2, 2), (CUBE,), lambda x: x.reshape(2, 3, 2, 2)),
    "rearrange": (
        lambda x: ops.rearrange(x, "b h (w p) -> (p b) w h", p=2),
        (CUBE,),
        lambda x: x.reshape(2, 3, 2, 2).transpose(3, 0, 2, 1).reshape(4, 2, 3),
    ),
    "copy": (ops.copy, (X,), np.copy),
    "adaptive_average_pool": (lambda x: ops.adaptive_average_pool(x, (3, 2)), (IMAGES,), lambda x: adapted(x, np.mean)),
    "adaptive_max_pool": (lambda x: ops.adaptive_max_pool(x, (3, 2)), (IMAGES,), lambda x: adapted(x, np.max)),
    # nan_statistics
    **{
        name: (getattr(ops, name), (np.where(X > 2, np.nan, X),), getattr(np, name))
        for name in ("nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd", "nancumsum", "nancumprod")
    },
    # control_flow
    "cond": (lambda x: ops.cond(True, lambda: x * 2.0, lambda: x), (X,), lambda x: 2 * x),
    "cond that is computed": (
        lambda x: ops.cond(ops.greater(ops.sum(x), 100.0), lambda: x * 2.0, lambda: x),
        (X,),
        lambda x: x,
    ),
    "switch": (lambda x: ops.switch(5, [lambda x: x, lambda x: x * 3.0], x), (X,), lambda x: 3 * x),
    "switch that is computed": (
        lambda x: ops.switch(ops.max(x * 0.0 + 1.0), [lambda x: x, lambda x: x * 2.0, lambda x: x * 3.0], x),
        (X,),
        lambda x: 2 * x,
    ),
    "while_loop": (
        lambda x: ops.while_loop(lambda n, y: n < 3, lambda n, y: (n + 1, y * x), (0, x))[1],
        (X,),
        lambda x: x**4,
    ),
    "while_loop that is computed": (
        lambda x: ops.while_loop(lambda y: ops.less(ops.max(y), 50.0), lambda y: y * 2.0, x, maximum_iterations=7),
        (X,),
        lambda x: doubled(x),
    ),
    "fori_loop": (lambda x: ops.fori_loop(1, 4, lambda i, y: y * float(i), x), (X,), lambda x: 6 * x),
    "map": (lambda x: ops.map(lambda row: row * ops.sum(row), x), (X,), lambda x: x * x.sum(1, keepdims=True)),
    "scan": (
        lambda x: ops.scan(lambda c, row: (c + row, c * row), ops.zeros(3, "float64"), x)[1],
        (X,),
        lambda x: (x.cumsum(0) - x) * x,
    ),
    "scan backwards": (
        lambda x: ops.scan(lambda c, row: (c + row, None), X[0] * 0, x, reverse=True)[0],
        (X,),
        lambda x: x.sum(0),
    ),
    "associative_scan": (
        lambda x: ops.associative_scan(lambda a, b: a * b, x, axis=1),
        (CUBE,),
        lambda x: x.cumprod(1),
    ),
    "associative_scan backwards": (
        lambda x: ops.associative_scan(lambda a, b: a + b, x, reverse=True),
        (X,),
        lambda x: x[::-1].cumsum(0)[::-1],
    ),
    # integers
    "bincount with weights": (lambda w: ops.bincount(IDS, w, 4), (X[:, 0],), lambda w: np.bincount(IDS, w, 4)),
    # nn_functions
    "binary_crossentropy": (
        lambda p: ops.binary_crossentropy(X > 0, p),
        (SHARES,),
        lambda p: -np.log(np.where(X > 0, p, 1 - p)),
    ),
    "binary_crossentropy of logits": (
        lambda x: ops.binary_crossentropy(SHARES, x, True),
        (X,),
        lambda x: np.logaddexp(0, x) - SHARES * x,
    ),
    "categorical_crossentropy": (
        lambda y: ops.categorical_crossentropy(SHARES, y),
        (Y,),
        lambda y: -(SHARES * np.log(y / y.sum(1, keepdims=True))).sum(1),
    ),
    "categorical_crossentropy of the first axis": (
        lambda y: ops.categorical_crossentropy(SHARES, y, True, 0),
        (Y,),
        lambda y: -(SHARES * (y - np.log(np.exp(y).sum(0)))).sum(0),
    ),
    "sparse_categorical_crossentropy": (
        lambda y: ops.sparse_categorical_crossentropy(IDS, y),
        (Y,),
        lambda y: -np.log((y / y.sum(1, keepdims=True))[range(4), IDS]),
    ),
    "layer_normalization": (
        lambda x, g, b: ops.layer_normalization(x, g, b, (0, 2), 0.1),
        (CUBE, CUBE[:, 0], CUBE[:, 1]),
        lambda x, g, b: (
            (x - x.mean((0, 2), keepdims=True)) / np.sqrt(x.var((0, 2), keepdims=True) + 0.1) * g[:, None] + b[:, None]
        ),
    ),
    "rms_normalization": (
        lambda x, g: ops.rms_normalization(x, g),
        (X, Y[0]),
        lambda x, g: x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-7) * g,
    ),
    "psnr": (
        lambda x, y: ops.psnr(x, y, 2.0),
        (X, Y),
        lambda x, y: 20 * np.log10(2) - 10 * np.log10(((x - y) ** 2).mean()),
    ),
    # linalg
    "matrix_power": (lambda x: ops.matrix_power(x, 5), (SQUARES,), lambda x: np.linalg.matrix_power(x, 5)),
    "negative matrix_power": (lambda x: ops.matrix_power(x, -2), (SQUARES,), lambda x: np.linalg.matrix_power(x, -2)),
    "softmax of two axes": (
        lambda x: ops.softmax(x, (2, 0)),
        (CUBE,),
        lambda x: np.exp(x) / np.exp(x).sum((0, 2), keepdims=True),
    ),
    "log_softmax of all": (lambda x: ops.log_softmax(x, None), (CUBE,), lambda x: x - np.log(np.exp(x).sum())),
    "inv": (ops.inv, (SQUARES,), np.linalg.inv),
    "det": (ops.det, (SQUARES,), np.linalg.det),
    "slogdet": (lambda x: ops.slogdet(x)[1], (SQUARES,), lambda x: np.linalg.slogdet(x)[1]),
    "logdet": (ops.logdet, (SQUARES[0],), lambda x: np.linalg.slogdet(x)[1]),
    "solve": (ops.solve, (SQUARES, CUBE), np.linalg.solve),
    "solve for a vector": (ops.solve, (SQUARES[0], X[:3, 0]), np.linalg.solve),
    "solve_triangular": (
        lambda a, b: ops.solve_triangular(a, b, lower=True),
        (SQUARES, CUBE),
        lambda a, b: np.linalg.solve(np.tril(a), b),
    ),
    "cholesky_inverse": (
        ops.cholesky_inverse,
        (SQUARES,),
        lambda x: np.linalg.inv(np.tril(x) @ np.tril(x).swapaxes(1, 2)),
    ),
    "cholesky above": (
        lambda x: ops.cholesky(ops.matmul(x, ops.swapaxes(x, 1, 2)), upper=True),
        (SQUARES,),
        lambda x: np.linalg.cholesky(x @ x.swapaxes(1, 2)).swapaxes(1, 2),
    ),
    **{
        f"norm of order {order}": (
            lambda x, order=order: ops.norm(x, order, 1),
            (X,),
            lambda x, order=order: np.linalg.norm(x, order, 1),
        )
        for order in (3, 0.5, -np.inf)
    },
    **{
        f"matrix norm {order}": (
            lambda x, order=order: ops.norm(x, order, (1, 2), keepdims=True),
            (CUBE,),
            lambda x, order=order: np.linalg.norm(x, order, (1, 2), keepdims=True),
        )
        for order in (1, -1, np.inf, -np.inf, "fro")
    },
    "matrix norm of exchanged axes": (
        lambda x: ops.norm(x, 1, (2, 0)),
        (CUBE,),
        lambda x: np.linalg.norm(x, 1, (2, 0)),
    ),
    "normalize by cubes": (lambda x: ops.normalize(x, 0, 3), (X,), lambda x: x / np.linalg.norm(x, 3, 0)),
    # options
    "linspace": (lambda a, b: ops.linspace(a, b, 5, axis=-1), (X[0], Y[0]), lambda a, b: np.linspace(a, b, 5, axis=-1)),
    "linspace without the end": (
        lambda a, b: ops.linspace(a, b, 4, False),
        (X, Y),
        lambda a, b: np.linspace(a, b, 4, False),
    ),
    "logspace": (lambda a, b: ops.logspace(a, b, 3), (X[0], Y[0]), lambda a, b: np.logspace(a, b, 3)),
    "max from a bound": (lambda x: ops.max(x, 1, initial=1.0), (X,), lambda x: x.max(1, initial=1.0)),
    "min up to a bound": (lambda x: ops.min(x, 1, initial=-1.0), (X,), lambda x: x.min(1, initial=-1.0)),
    "ptp": (lambda x: ops.ptp(x, (0, 2)), (CUBE,), lambda x: np.ptp(x, (0, 2))),
    "moveaxis of two": (lambda x: ops.moveaxis(x, (0, 1), (-1, 0)), (CUBE,), lambda x: np.moveaxis(x, (0, 1), (-1, 0))),
    "roll two axes": (lambda x: ops.roll(x, (1, -2), (0, 2)), (CUBE,), lambda x: np.roll(x, (1, -2), (0, 2))),
    **{
        f"pad {mode}": (
            lambda x, mode=mode: ops.pad(x, [(1, 0), (2, 1)], mode),
            (X,),
            lambda x, mode=mode: np.pad(x, [(1, 0), (2, 1)], mode),
        )
        for mode in ("reflect", "symmetric", "edge", "wrap")
    },
    "batch_normalization": (
        lambda x, m, v: ops.batch_normalization(x, m, v, -1, scale=Y[0]),
        (X, X[0], Y[0]),
        lambda x, m, v: (x - m) / np.sqrt(v + 1e-3) * Y[0],
    ),
    "array": (ops.array, (X,), np.array),
    # softmax
    "softmax of the first axis": (lambda x: ops.softmax(x, 0), (CUBE,), lambda x: np.exp(x) / np.exp(x).sum(0)),
    "log_softmax of the middle": (
        lambda x: ops.log_softmax(x, 1),
        (CUBE,),
        lambda x: x - np.log(np.exp(x).sum(1, keepdims=True)),
    ),
    "glu of the first axis": (lambda x: ops.glu(x, 0), (X,), lambda x: x[:2] / (1 + np.exp(-x[2:]))),
    # slices
    "slice": (lambda x: ops.slice(x, [0, 1, 1], (2, -1, 2)), (CUBE,), lambda x: x[:, 1:, 1:3]),
    "slice_update": (
        lambda x, v: ops.slice_update(x, [1, 0], v),
        (X, Y[:2, 1:]),
        lambda x, v: updated(x, v, np.s_[1:3], np.s_[:2]),
    ),
}

#: No gradient flows.
LATER_STEPS: dict[str, Line] = {
    "argsort": (lambda x: ops.argsort(x, 0), (X,), lambda x: np.argsort(x, 0)),
    "argmax": (lambda x: ops.argmax(x, keepdims=True), (X,), lambda x: np.argmax(x, keepdims=True)),
    "top_k": (lambda x: ops.top_k(x, 2)[1], (CUBE,), lambda x: np.argsort(-x, -1)[..., :2]),
    "searchsorted": (
        lambda x: ops.searchsorted([-1.0, 0.0, 1.0], x),
        (X,),
        lambda x: np.searchsorted([-1.0, 0.0, 1.0], x),
    ),
    "digitize": (lambda x: ops.digitize(x, [-1.0, 0.0, 1.0]), (X,), lambda x: np.digitize(x, [-1.0, 0.0, 1.0])),
    "isposinf": (ops.isposinf, (np.where(X > 0, np.inf, -np.inf),), np.isposinf),
    "isneginf": (ops.isneginf, (np.where(X > 0, np.inf, -np.inf),), np.isneginf),
    "signbit": (ops.signbit, (np.array([0.0, -0.0, 1.0, -1.0]),), np.signbit),
    "isreal": (ops.isreal, (X,), np.isreal),
    "isin": (lambda x: ops.isin(x, X[:2]), (X,), lambda x: np.isin(x, X[:2])),
    "isin inverted": (lambda x: ops.isin(x, X[:2], invert=True), (X,), lambda x: np.isin(x, X[:2], invert=True)),
    "allclose": (lambda x: ops.allclose(x, X + 1e-9), (X,), lambda x: np.allclose(x, X + 1e-9)),
    "allclose with NaN": (lambda x: ops.allclose(x, x, equal_nan=True), (X * np.nan,), lambda x: np.bool_(True)),
    "round": (lambda x: ops.round(x, 1), (X,), lambda x: np.round(x, 1)),
    "round before the point": (lambda x: ops.round(x, -1), (X * 9,), lambda x: np.round(x, -1)),
    "nanargmax": (lambda x: ops.nanargmax(x, 1), (HOLES,), lambda x: np.nanargmax(x, 1)),
    "nanargmin": (lambda x: ops.nanargmin(x, 0, keepdims=True), (HOLES,), lambda x: np.nanargmin(x, 0, keepdims=True)),
    "nanargmax of nothing": (lambda x: ops.nanargmax(x, 0), (X * np.nan,), lambda x: np.full(3, -1)),
    "empty_like": (ops.empty_like, (X,), np.zeros_like),
    "trunc": (ops.trunc, (X,), np.trunc),
    "in_top_k": (lambda x: ops.in_top_k(IDS, x, 2), (X,), lambda x: (np.argsort(-x)[:, :2] == IDS[:, None]).any(1)),
}
