"""Constraints agree with Keras's formulas, at once and as rows of a program."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
from nbnet import constraints
from nbnet.constraints import Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from nbnet.engine.graph.tensor import encode
from nbnet.engine.jit import linker
from nbnet.engine.kernels.abi import Memory
from nbnet.engine.kernels.layout import WIDTH
from nbnet.engine.runtime.program import Linked, lower

Array = NDArray[Any]


def bounded(w: Array, low: float, high: float, rate: float, axis: Any) -> Array:
    norms = np.sqrt((w**2).sum(tuple(np.atleast_1d(axis)), keepdims=True))
    wanted = rate * np.clip(norms, low, high) + (1 - rate) * norms
    return np.asarray(w * (wanted / (1e-7 + norms)))


SHAPES: dict[str, tuple[int, ...]] = {"matrix": (7, 19), "filters": (3, 2, 4, 5), "bias": (33,), "large": (300, 70)}
TABLE: list[tuple[Constraint, str, Callable[[Array], Array]]] = [
    (MaxNorm(), "matrix", lambda w: bounded(w, 0, 2, 1, 0)),
    (MaxNorm(1.5, axis=1), "matrix", lambda w: bounded(w, 0, 1.5, 1, 1)),
    (MaxNorm(1.5, axis=-1), "matrix", lambda w: bounded(w, 0, 1.5, 1, 1)),
    (MaxNorm(1.5, axis=[0, 1]), "matrix", lambda w: bounded(w, 0, 1.5, 1, [0, 1])),
    (MaxNorm(1.5, axis=[0, 1, 2]), "filters", lambda w: bounded(w, 0, 1.5, 1, [0, 1, 2])),
    (MaxNorm(1.5, axis=(1, 2)), "filters", lambda w: bounded(w, 0, 1.5, 1, [1, 2])),
    (MaxNorm(0), "bias", lambda w: bounded(w, 0, 0, 1, 0)),
    (MaxNorm(12.0), "large", lambda w: bounded(w, 0, 12, 1, 0)),
    (MinMaxNorm(), "matrix", lambda w: bounded(w, 0, 1, 1, 0)),
    (MinMaxNorm(2.0, 3.0, 0.3), "matrix", lambda w: bounded(w, 2, 3, 0.3, 0)),
    (MinMaxNorm(4.0, 5.0, axis=[2, 3]), "filters", lambda w: bounded(w, 4, 5, 1, [2, 3])),
    (UnitNorm(), "matrix", lambda w: bounded(w, 1, 1, 1, 0)),
    (UnitNorm(), "bias", lambda w: bounded(w, 1, 1, 1, 0)),
    (UnitNorm(axis=1), "large", lambda w: bounded(w, 1, 1, 1, 1)),
    (NonNeg(), "filters", lambda w: np.maximum(w, 0)),
]
every = pytest.mark.parametrize(("constraint", "shape", "formula"), TABLE, ids=[f"{c!r}-{s}" for c, s, _ in TABLE])
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


def draw(shape: str, dtype: Any = np.float64) -> Array:
    rng = np.random.default_rng(0)
    sizes = SHAPES[shape]
    return np.asarray(rng.normal(size=sizes) * rng.uniform(0, 2, sizes[-1])).astype(dtype)


@pytest.mark.parametrize("dtype", [F32, F64])
@every
def test_follows_the_formula(constraint: Constraint, shape: str, formula: Callable[[Array], Array], dtype: Any) -> None:
    w = draw(shape, dtype)
    before = w.copy()
    found = constraint(w)
    np.testing.assert_array_equal(w, before)
    assert found.dtype == dtype
    tolerance = 3e-6 if dtype == F32 else 1e-13
    np.testing.assert_allclose(found, formula(w.astype(F64)), tolerance, tolerance)


@every
def test_rows_of_a_program_agree(constraint: Constraint, shape: str, formula: Callable[[Array], Array]) -> None:
    w = nb.Parameter(draw(shape))
    other = nb.Parameter(draw("matrix"))
    # Two calls, whose scratch memory the planner may let them share.
    linked = Linked(lower([[[constraint.call(w), UnitNorm().call(other)]]], [0], F64))
    linked.run(1, 0)
    np.testing.assert_allclose(w.numpy(), formula(draw(shape)), 1e-13, 1e-13)
    np.testing.assert_allclose(other.numpy(), bounded(draw("matrix"), 1, 1, 1, 0), 1e-13)


@every
def test_compiled_agrees_with_python(constraint: Constraint, shape: str, formula: Callable[[Array], Array]) -> None:
    w = nb.Parameter(draw(shape)[:40])
    wanted = constraint(w)
    call = constraint.call(w)
    for operand in call.operands:
        if operand is not None and operand.data is None:
            operand.data = np.full(operand.shape, np.nan)
    row = np.zeros(WIDTH, np.int64)
    encode(row, call)
    call.kernel(Memory(0, F64), row, 0)
    np.testing.assert_allclose(w.numpy(), wanted, 1e-13, 1e-15)


def test_vectors_of_zeros_stay() -> None:
    for constraint in (MaxNorm(1.0), MinMaxNorm(1.0, 2.0), UnitNorm()):
        np.testing.assert_array_equal(constraint(np.zeros((3, 2))), np.zeros((3, 2)))


def test_other_numbers_compile_nothing() -> None:
    MaxNorm(1.0)(np.ones((2, 3)))
    compiled = linker.compiled_count
    MinMaxNorm(0.5, 3.0, 0.1, axis=1)(np.ones((4, 5)))
    UnitNorm(axis=[0, 1])(np.ones((4, 5, 6)))
    assert linker.compiled_count == compiled


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("max_norm", MaxNorm()),
        ("MaxNorm", MaxNorm()),
        ("min_max_norm", MinMaxNorm()),
        ("MinMaxNorm", MinMaxNorm()),
        ("non_neg", NonNeg()),
        ("NonNeg", NonNeg()),
        ("unit_norm", UnitNorm()),
        ("UnitNorm", UnitNorm()),
        (NonNeg, NonNeg()),
        (MaxNorm(3), MaxNorm(3)),
        (None, None),
    ],
)
def test_names(name: Any, wanted: Constraint | None) -> None:
    assert constraints.get(name) == wanted


def test_keras_aliases() -> None:
    assert constraints.max_norm(3.0) == MaxNorm(3.0)
    assert (constraints.min_max_norm, constraints.non_neg, constraints.unit_norm) == (MinMaxNorm, NonNeg, UnitNorm)


@every
def test_config_goes_round(constraint: Constraint, shape: str, formula: Any) -> None:
    config = json.loads(json.dumps(constraints.serialize(constraint)))
    assert constraints.get(config).get_config() == json.loads(json.dumps(constraint.get_config()))  # type: ignore[union-attr]
    assert constraints.deserialize(config).get_config() == json.loads(json.dumps(constraint.get_config()))  # type: ignore[union-attr]


def test_classes_of_ones_own() -> None:
    class Mine(NonNeg):
        pass

    config = constraints.serialize(Mine())
    assert isinstance(constraints.deserialize(config, {"Mine": Mine}), Mine)
    assert constraints.serialize(None) is None
    assert constraints.deserialize(None) is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MaxNorm(-1.0), ValueError, "max_value: expected a finite number from 0"),
        (lambda: MinMaxNorm(2.0, 1.0), ValueError, "min_value: expected a number up to max_value"),
        (lambda: MinMaxNorm(rate=1.5), ValueError, "rate"),
        (lambda: MaxNorm(axis=0.5), TypeError, "float"),
        (lambda: MaxNorm(axis=2)(np.ones((3, 2))), ValueError, "axis 2 is out of range"),
        (lambda: MaxNorm(axis=[0, 2])(np.ones((3, 2, 2))), ValueError, "neighbouring"),
        (lambda: MaxNorm(axis=[0, 0])(np.ones((3, 2, 2))), ValueError, "neighbouring"),
        (lambda: constraints.get("max", "kernel_constraint"), ValueError, "kernel_constraint: 'max' is not known"),
        (lambda: constraints.get(3), TypeError, "constraint"),
    ],
)
def test_arguments_are_checked(make: Callable[[], Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make()
