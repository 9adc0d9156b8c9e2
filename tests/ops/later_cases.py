"""Cases of the ops in modules that are imported when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from nbnet.engine.graph.op import registry
from nbnet.ops import cumulative, linear_algebra, places, sorting, trigonometry
from tests.ops.case import Case, Draw, N, apart, normal

assert cumulative
assert linear_algebra
assert places
assert sorting
assert trigonometry  # importing them registers their ops

Array = NDArray[Any]


def with_zeros(*shape: int) -> Draw:
    """Numbers of which some are exactly zero."""
    return lambda rng: rng.normal(0, 1.5, shape) * (rng.random(shape) > 0.2)


def different(*shape: int) -> Draw:
    """Numbers at least 0.05 apart, so that small steps leave their order as it is."""
    return lambda rng: rng.permutation(np.prod(shape)).reshape(shape) * 0.05 - 1.0


def along(name: str, reference: Callable[..., Array], draw: Callable[..., Draw], **attributes: Any) -> list[Case]:
    """An op along each of the axes."""
    places = ((1, (N, 7)), (1, (N, 4, 3)), (0, (N, 2)))
    return [
        Case(
            registry[name if axis else f"{name}_batch"],
            (draw(*shape),),
            reference,
            (0,) if axis else (),
            lambda n, axis=axis: {"axis": axis, **attributes},
            f"axis {axis} of {len(shape)}",
        )
        for axis, shape in places
    ]


def first_sorted(x: Array, axis: int, count: int, descending: bool) -> Array:
    y = np.sort(-x if descending else x, axis).take(range(count), axis)
    return -y if descending else y


def chosen(name: str, shape: tuple[int, ...], indices: tuple[int, ...], axis: int) -> Case:
    def reference(x: Array, indices: Array, axis: int) -> Array:
        return np.take_along_axis(x, indices, axis)

    n = shape[axis]
    draws = normal(*shape), lambda rng: rng.integers(-n if axis else 0, n, indices)
    return Case(registry[name], draws, reference, (0, 1) if axis else (), lambda n: {"axis": axis}, f"axis {axis}")


def of_segments(x: Array, ids: Array, n: int, function: Any, empty: float) -> Array:
    return np.stack([function(x[ids == k], 0) if (ids == k).any() else np.full(x.shape[1:], empty) for k in range(n)])


def segments(name: str, function: Any, empty: float, draw: Callable[..., Draw]) -> list[Case]:
    return [
        Case(
            registry[name],
            (draw(*shape), lambda rng: np.array([0, 2, 0, 0, 1, 2])),
            lambda x, ids, n: of_segments(x, ids, n, function, empty),
            attributes=lambda n: {"n": 3},
            label=label,
        )
        for label, shape in {"vector": (N,), "rows": (N, 2, 3)}.items()
    ]


def searched(right: bool) -> Case:
    def reference(sequence: Array, x: Array, right: bool) -> Array:
        return np.searchsorted(sequence, x, "right" if right else "left")

    draws: tuple[Draw, ...] = (
        lambda rng: np.array([-2.0, -1.0, -1.0, 0.0, 3.0]),
        lambda rng: rng.integers(-3, 5, (N, 4)).astype(float),
    )
    return Case(registry["searchsorted"], draws, reference, (1,), lambda n: {"right": right}, f"right {right}")


def within_one(*shape: int) -> Draw:
    return lambda rng: rng.uniform(-0.9, 0.9, shape)


def above_one(*shape: int) -> Draw:
    return lambda rng: rng.uniform(1.2, 4.0, shape)


#: Op -> how to draw its input, the reference. These do not fuse with dense layers.
UNFUSED: dict[str, tuple[Callable[..., Draw], Callable[..., Array]]] = {
    "arccos": (within_one, np.arccos),
    "arccosh": (above_one, np.arccosh),
    "arcsin": (within_one, np.arcsin),
    "arcsinh": (normal, np.arcsinh),
    "arctan": (normal, np.arctan),
    "arctanh": (within_one, np.arctanh),
    "cbrt": (apart, np.cbrt),
    "cosh": (normal, np.cosh),
    "erfc": (normal, special.erfc),
    "erfinv": (within_one, special.erfinv),
    "i0": (normal, special.i0),
    "sinh": (normal, np.sinh),
    "tan": (within_one, np.tan),
    "trunc": (apart, np.trunc),
}
#: Op -> how to draw its operands, the reference.
PAIRS: dict[str, tuple[Callable[..., Draw], Callable[..., Draw], Callable[..., Array]]] = {
    "arctan2": (apart, apart, np.arctan2),
    "fmod": (lambda *s: lambda rng: rng.choice([-5.3, -1.4, 0.7, 3.9], s), above_one, np.fmod),
    "hypot": (apart, apart, np.hypot),
}


def of_pairs(name: str) -> list[Case]:
    a, b, reference = PAIRS[name]
    shapes = {"same": ((N, 4), (N, 4), (0, 1)), "row": ((N, 5), (5,), (0,)), "number": ((), (N, 4), (1,))}
    return [Case(registry[name], (a(*s), b(*t)), reference, rows, label=k) for k, (s, t, rows) in shapes.items()]


def invertible(*shape: int) -> Draw:
    return lambda rng: rng.normal(0, 1, shape) + 3 * np.eye(shape[-1])


def symmetric(*shape: int) -> Draw:
    def draw(rng: np.random.Generator) -> Array:
        x = rng.normal(0, 1, shape)
        return x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])

    return draw


def lower_factor(x: Array) -> Array:
    return np.linalg.cholesky((x + np.swapaxes(x, -1, -2)) / 2)


LATER_CASES: list[Case] = [
    Case(registry["inverse"], (invertible(N, 4, 4),), np.linalg.inv, (0,)),
    Case(registry["inverse"], (invertible(N, 2, 1, 1),), np.linalg.inv, (0,), label="numbers"),
    Case(registry["inverse_of_one"], (invertible(5, 5),), np.linalg.inv),
    Case(registry["cholesky"], (symmetric(N, 4, 4),), lower_factor, (0,)),
    Case(registry["cholesky_of_one"], (symmetric(3, 3),), lower_factor),
    *(Case(registry[name], (draw(N, 7),), reference, (0,)) for name, (draw, reference) in UNFUSED.items()),
    *(case for name in PAIRS for case in of_pairs(name)),
    *along("cumsum", np.cumsum, normal),
    *along("cumprod", np.cumprod, with_zeros),
    *along("sort", first_sorted, different, count=2, descending=True),
    Case(registry["sort"], (different(N, 33),), first_sorted, (0,),
         lambda n: {"axis": 1, "count": 33, "descending": False}, "all"),
    *along("argmax", lambda x, axis, **_: x.argmax(axis), normal, least=False, skip=False, keepdims=False),
    Case(registry["argmax"], (normal(N, 5),), lambda x, axis, **_: x.argmin(axis, keepdims=True), (0,),
         lambda n: {"axis": 1, "least": True, "skip": False, "keepdims": True}, "least"),
    chosen("take_along_axis", (N, 5), (N, 3), 1),
    chosen("take_along_axis", (N, 2, 5, 3), (N, 2, 4, 3), 2),
    chosen("take_along_axis_batch", (N, 3), (4, 3), 0),
    *segments("segment_sum", np.sum, 0.0, normal),
    *segments("segment_max", np.max, -np.inf, different),
    *segments("segment_prod", np.prod, 1.0, with_zeros),
    searched(False),
    searched(True),
]  # fmt: skip
