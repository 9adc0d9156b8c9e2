"""Parameters in one block of memory."""

from __future__ import annotations

import numpy as np
import pytest

from nbnet.engine.graph.parameter import FlatParams, Parameter, layout_version
from nbnet.engine.graph.tensor import Tensor
from nbnet.engine.kernels.executor import address
from nbnet.engine.runtime.program import Linked, lower
from tests.engine.toys import F32, F64, affine_call, blank


def parameters(dtype: str = "float32") -> list[Parameter]:
    shapes = [(3, 5), (5,), (), (16, 2)]
    rng = np.random.default_rng(0)
    return [Parameter(rng.normal(size=s), dtype=dtype, name=f"p{k}") for k, s in enumerate(shapes)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters_move_and_keep_their_values(dtype: str) -> None:
    made = parameters(dtype)
    before = [p.numpy().copy() for p in made]
    block = FlatParams(made)
    assert block.dtype == dtype
    assert block.flat.shape == (1, block.size)
    assert address(block.flat.numpy()) % 64 == 0
    for p, start, value in zip(made, block.starts, before, strict=True):
        np.testing.assert_array_equal(p.numpy(), value)
        assert p.numpy().shape == p.shape
        assert address(p.memory()) % 64 == 0
        assert address(p.memory()) == address(block.flat.numpy()) + start * block.dtype.itemsize
        assert np.shares_memory(p.memory(), block.flat.numpy())
    # The padding between parameters is 0.
    assert np.count_nonzero(block.flat.numpy()) == sum(p.size for p in made)


def test_a_block_is_the_parameters() -> None:
    made = parameters()
    block = FlatParams(made)
    block.flat.numpy()[:] = 3
    assert all((p.numpy() == 3).all() for p in made)
    made[1].assign(np.arange(5))
    start = block.starts[1]
    assert block.flat.numpy()[0, start : start + 5].tolist() == [0, 1, 2, 3, 4]


def test_holds() -> None:
    made = parameters()
    block = FlatParams(made)
    assert block.holds(made)
    assert block.holds(tuple(made))
    assert not block.holds(made[:-1])
    assert not block.holds(made[::-1])
    other = FlatParams(made[:2])
    assert other.holds(made[:2])
    assert not block.holds(made)  # two of them have moved


def test_moves_are_counted() -> None:
    before = layout_version()
    made = parameters()
    block = FlatParams(made)
    block.gradients(2)
    assert block.holds(block.parameters)
    assert layout_version() == before  # no program knows them yet
    Linked(lower([[[affine_call(made[1], blank(5))]]], [0], F32))
    FlatParams(made)
    assert layout_version() == before + 1


def test_gradients_of_slices() -> None:
    block = FlatParams(parameters())
    two = block.gradients(2)
    assert two.shape == (2, block.size)
    assert two.dtype == F32
    assert not two.numpy().any()
    assert np.shares_memory(block.gradients(2).numpy(), two.numpy())
    three = block.gradients(3)
    assert three.shape == (3, block.size)
    # Batches that are cut into fewer slices have no room of their own.
    one = block.gradients(1)
    assert one.shape == (1, block.size)
    assert np.shares_memory(one.numpy(), three.numpy())


def test_parts() -> None:
    made = parameters()
    block = FlatParams(made)
    whole = block.gradients(2)
    whole.numpy()[:] = np.arange(whole.size).reshape(whole.shape)
    for row in range(2):
        for k, p in enumerate(made):
            part = block.part(whole, row, k)
            assert isinstance(part, Tensor)
            assert part.shape == p.shape
            assert part.name == f"gradients/p{k}"
            assert part.numpy().flags.c_contiguous
            first = row * block.size + block.starts[k]
            np.testing.assert_array_equal(part.numpy().ravel(), np.arange(first, first + p.size))
            assert address(part.numpy()) % 64 == 0


def test_slots_are_zeros_apart() -> None:
    block = FlatParams(parameters("float64"))
    a, b = block.like(1, "momentum"), block.like(1, "velocity")
    assert a.dtype == F64
    assert not np.shares_memory(a.numpy(), b.numpy())
    assert (a.name, b.name) == ("momentum", "velocity")


def test_one_dtype() -> None:
    with pytest.raises(TypeError, match=r"one dtype, got \['float32', 'float64'\]"):
        FlatParams([*parameters(), *parameters("float64")])


def test_no_parameters() -> None:
    block = FlatParams([])
    assert block.size == 0
    assert block.holds([])
    assert block.gradients(2).shape == (2, 0)
