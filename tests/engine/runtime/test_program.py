"""Lower, verify, link, run; and the listing."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.engine.graph.autodiff import differentiate
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tape import Tape, Trace
from nbnet.engine.graph.tensor import Call, Tensor
from nbnet.engine.kernels.executor import address
from nbnet.engine.kernels.layout import (
    ACCUMULATE,
    ATTRIBUTES,
    FIRST_ROW,
    KERNEL,
    MAX_ATTRIBUTES,
    MAX_OPERANDS,
    OPERANDS,
    SEED,
)
from nbnet.engine.runtime import program as program_module
from nbnet.engine.runtime.program import Linked, Program, lower, verify
from nbnet.train.graph_passes import Plan, fuse_layers
from tests.engine.toys import F32, F64, Array, affine_call, blank, compiled_only, fill, fill_call, forward, numbers


def serial(*calls: Call, keep: Sequence[Tensor] = (), dtype: Any = F32) -> Program:
    """A program of one phase and one slice."""
    return lower([[list(calls)]], [0], np.dtype(dtype), keep)


# ---- lower -------------------------------------------------------------------------------------------------------


def test_phases_and_slices_have_spans() -> None:
    a, b, c, d = (blank() for _ in range(4))
    out = numbers(0, 0, 0, 0)
    calls = [fill_call(a, 1), fill_call(b, 2), affine_call(a, c), affine_call(b, d), affine_call(c, out)]
    made = lower([[calls[:1], calls[1:2]], [calls[2:3], []], [[calls[4]], [calls[3]]]], [0, 5], F32)
    assert made.spans.tolist() == [[[0, 1], [1, 2]], [[2, 3], [3, 3]], [[3, 4], [4, 5]]]
    assert [made.calls.index(c) for c in (*calls[:3], calls[4], calls[3])] == [0, 1, 2, 3, 4]
    assert made.first_rows == (0, 5, 0, 0, 5)


def test_slices_have_memory_of_their_own() -> None:
    a, b = blank(100), blank(100)
    made = lower([[[fill_call(a)], [fill_call(b)]]], [0, 1], F32)
    assert sorted(made.places.values()) == [0, 448]
    assert made.nbytes == 896


def test_a_slice_cannot_use_the_tensor_of_another() -> None:
    a = blank(name="shared")
    with pytest.raises(ValueError, match="slice 1 and one before it both use shared"):
        lower([[[fill_call(a)], []], [[], [affine_call(a, blank())]]], [0, 1], F32)


def test_tensors_with_data_are_shared_and_stay_where_they_are() -> None:
    x = numbers(1, 2, 3, 4)
    y, z = numbers(0, 0, 0, 0), numbers(0, 0, 0, 0)
    made = lower([[[affine_call(x, y)], [affine_call(x, z)]]], [0, 1], F32)
    assert made.places == {}
    assert made.nbytes == 0
    linked = Linked(made)
    linked.run(1, 0)
    for t in (y, z):
        assert t.numpy().tolist() == [3, 5, 7, 9]
        assert linked.view(t) is t.data


def chain(n: int, reuse: bool) -> tuple[list[Call], list[Tensor]]:
    tensors = [blank(100) for _ in range(n + 1)]
    calls = [affine_call(a, b, reuse) for a, b in itertools.pairwise(tensors)]
    return [fill_call(tensors[0], 1), *calls], tensors


def test_a_chain_takes_turns_in_two_places() -> None:
    calls, _ = chain(10, reuse=False)
    assert serial(*calls).nbytes == 2 * 448


def test_reuse_takes_one_place() -> None:
    calls, tensors = chain(10, reuse=True)
    made = serial(*calls)
    assert made.nbytes == 448
    linked = Linked(made)
    linked.run(1, 0)
    assert set(linked.view(tensors[-1]).tolist()) == {2.0**11 - 1}


def test_reuse_waits_for_the_last_reader() -> None:
    x, y, z = blank(name="x"), blank(), blank()
    made = serial(fill_call(x), affine_call(x, y, reuse=True), affine_call(x, z, reuse=True))
    assert made.places[y] != made.places[x]
    assert made.places[z] == made.places[x]


def test_reuse_does_not_touch_what_is_kept() -> None:
    x, y = blank(), blank()
    calls = [fill_call(x), affine_call(x, y, reuse=True)]
    assert serial(*calls).places[y] == serial(*calls).places[x]
    kept = serial(*calls, keep=[x])
    assert kept.places[y] != kept.places[x]


def test_reuse_does_not_touch_what_has_data() -> None:
    x, y = numbers(1, 2, 3, 4), blank()
    linked = Linked(serial(affine_call(x, y, reuse=True)))
    linked.run(1, 0)
    assert x.numpy().tolist() == [1, 2, 3, 4]
    assert linked.view(y).tolist() == [3, 5, 7, 9]


@pytest.mark.parametrize(("old", "new"), [(blank(4), blank(100)), (blank(4, F64), blank(4, F32))])
def test_reuse_needs_room_and_the_same_dtype(old: Tensor, new: Tensor) -> None:
    made = serial(dataclasses.replace(fill_call(old), dtype=F32), affine_call(old, new, reuse=True))
    assert made.places[old] != made.places[new]


def test_an_accumulated_tensor_does_not_begin_in_the_memory_of_another() -> None:
    x, y = blank(), blank()
    calls = [fill_call(x), fill_call(y), affine_call(x, y, reuse=True, accumulate=1 << 1)]
    made = serial(*calls)
    assert made.places[x] != made.places[y]


def test_memory_is_given_away_once() -> None:
    x, a, b = blank(), blank(), blank()
    both = Call(forward, (x, a, b), (1, 2), 0, 0, (), "both", F32, ((1, 0), (2, 0)))
    made = serial(fill_call(x), both)
    assert made.places[a] == made.places[x]
    assert made.places[b] != made.places[x]


def test_what_is_kept_survives_the_program() -> None:
    calls, tensors = chain(10, reuse=True)
    linked = Linked(serial(*calls, keep=tensors))
    linked.run(1, 0)
    for k, t in enumerate(tensors):
        assert set(linked.view(t).tolist()) == {2.0 ** (k + 1) - 1}
    assert len(set(linked.program.places.values())) == len(tensors)


# ---- verify ------------------------------------------------------------------------------------------------------


def refused(why: str, *calls: Call, row: int = 0, dtype: Any = F32) -> None:
    with pytest.raises(ValueError, match=rf"row {row} \(.*\): .*{why}"):
        serial(*calls, dtype=dtype)


def test_read_before_write() -> None:
    refused("'?x'? is read before it is written", affine_call(blank(name="x"), blank()))
    # Adding reads.
    y = blank(name="y")
    refused("'?y'? is read before it is written", affine_call(numbers(1, 2, 3, 4), y, accumulate=1 << 1))


def test_read_of_what_another_slice_writes() -> None:
    a = blank(name="a")
    made = lower([[[fill_call(a)], []]], [0, 1], F32)
    reader = affine_call(a, numbers(0, 0, 0, 0))
    spans = np.array([[[0, 1], [1, 2]]])
    wrong = dataclasses.replace(made, calls=(*made.calls, reader), spans=spans, first_rows=(0, 1))
    with pytest.raises(ValueError, match=r"row 1 .* is read before it is written"):
        verify(wrong)


def test_overwritten() -> None:
    x, y, z = blank(name="x"), blank(name="y"), numbers(0, 0, 0, 0)
    made = serial(fill_call(x), fill_call(y), affine_call(x, z), affine_call(y, z))
    verify(made)
    for shift in (0, 8):  # the whole of x, or half of it
        wrong = dataclasses.replace(made, places={x: 0, y: shift}, nbytes=128)
        with pytest.raises(ValueError, match=r"row 2 .* or was overwritten"):
            verify(wrong)


@pytest.mark.parametrize("place", [-4, 64, 52])
def test_outside_the_arena(place: int) -> None:
    y = blank(name="y")
    made = serial(fill_call(y))
    with pytest.raises(ValueError, match=r"row 0 .*y'? lies outside the arena"):
        verify(dataclasses.replace(made, places={y: place}))


def test_dtype_of_another_program() -> None:
    refused("its dtype is float64, the program's float32", fill_call(blank(dtype=F64)))


def test_too_many_operands_or_attributes() -> None:
    x = numbers(1)
    full = Call(fill, (x,) * MAX_OPERANDS, (0,), 0, 0, (0,) * MAX_ATTRIBUTES, "full", F32)
    verify(serial(full))
    refused(f"more than {MAX_OPERANDS}", dataclasses.replace(full, operands=(x,) * (MAX_OPERANDS + 1)))
    refused(f"or {MAX_ATTRIBUTES} attributes", dataclasses.replace(full, attributes=(0,) * (MAX_ATTRIBUTES + 1)))


def test_read_only_memory() -> None:
    y = numbers(1, 2, 3, 4, name="y")
    y.numpy().setflags(write=False)
    refused("'?y'? is read-only", fill_call(y))
    serial(affine_call(y, blank()))  # may be read


@pytest.mark.parametrize("role", ["read", "written"])
@pytest.mark.parametrize(
    "data", [np.zeros(4, F64), np.zeros(3, F32), np.zeros(8, F32)[::2], np.zeros(4, np.int32)], ids=str
)
def test_memory_that_is_not_what_its_tensor_says(role: str, data: Array) -> None:
    wrong, right = Tensor((4,), F32, data, name="wrong"), numbers(1, 2, 3, 4)
    x, y = (wrong, right) if role == "read" else (right, wrong)
    refused("'?wrong'? has data whose dtype, shape or layout differs from its tensor's", affine_call(x, y))


def test_errors_name_the_row_the_kernel_and_the_node() -> None:
    x = blank()
    with pytest.raises(ValueError, match=r"row 1 \(forward of affine\)"):
        serial(fill_call(x), affine_call(blank(), x))


# ---- link and run ------------------------------------------------------------------------------------------------


def test_rows_say_what_calls_say() -> None:
    x, y = numbers(1, 2, 3, 4), blank()
    call = Call(forward, (x, None, y), (2,), 1 << 2, (1 << 64) - 1, (7, -3), "row", F32)
    made = lower([[[], [fill_call(y), call]]], [0, 9], F32)
    linked = Linked(made)
    row = linked.rows[1]
    assert row[KERNEL] == program_module.link_kernels([forward], F32)[0]
    assert row[SEED] == -1  # 64 bits, whatever their sign
    assert row[ACCUMULATE] == 4
    assert row[FIRST_ROW] == 9
    assert linked.mem + row[OPERANDS] == address(x.numpy())
    assert row[OPERANDS + 1 : OPERANDS + 3].tolist() == [1, 4]
    assert row[OPERANDS + 3 : OPERANDS + 6].tolist() == [0, 0, 0]
    assert row[OPERANDS + 6] == made.places[y]
    assert row[ATTRIBUTES : ATTRIBUTES + 3].tolist() == [7, -3, 0]


def test_arena_is_aligned() -> None:
    for n in (1, 100, 1000):
        linked = Linked(serial(fill_call(blank(n))))
        assert linked.mem % 64 == 0


def classifier() -> tuple[nb.Sequential, Array]:
    nb.set_random_seed(3)
    model = nb.Sequential([
        nb.Input((5,)), nb.layers.Dense(7, "relu"), nb.layers.Dropout(0.4, name="drop"), nb.layers.Dense(3, "tanh"),
    ])  # fmt: skip
    return model, np.random.default_rng(0).normal(size=(6, 5)).astype(F32)


def training(model: nb.Sequential, x: Array, fused: bool) -> tuple[Linked, Tensor, dict[Parameter, Tensor], Tensor]:
    """A program for output and gradients, as a model's builder makes one: its output, gradients and mask."""
    with Trace() as trace:
        y = model.forward(Tensor(x.shape, x.dtype, x), training=True)
    mask = next(node.saved[0] for node in trace.nodes if node.op.mask)
    nodes = fuse_layers(trace.nodes, Plan(keep={y}))[0] if fused else trace.nodes
    one = Tensor(y.shape, y.dtype, np.ones(y.shape, y.dtype))
    calls, gradients = differentiate(nodes, {y: one}, model.trainable_weights)
    found = {p: gradients[p] for p in model.trainable_weights}
    kept = [y, mask, *found.values()]
    return Linked(lower([[[*(n.call() for n in nodes), *calls]]], [0], F32, kept)), y, found, mask


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
def test_program_agrees_with_tape(fused: bool) -> None:
    model, x = classifier()
    linked, y, gradients, mask = training(model, x, fused)
    for step in (0, 5):
        linked.run(1, step)
        with Tape(step=step) as tape:
            z = model(x, training=True)
        np.testing.assert_array_equal(linked.view(mask), tape.masks["drop"])
        np.testing.assert_allclose(linked.view(y), z, rtol=1e-6, atol=1e-7)
        for p, g in zip(model.trainable_weights, tape.gradient(z, model.trainable_weights), strict=True):
            np.testing.assert_allclose(linked.view(gradients[p]), g, rtol=1e-5, atol=1e-6)


def test_fused_program_is_the_plain_one_bit_for_bit() -> None:
    model, x = classifier()
    results = []
    for fused in (False, True):
        linked, y, gradients, mask = training(model, x, fused)
        linked.run(1, 2)
        results.append([linked.view(t).copy() for t in (y, mask, *gradients.values())])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_nothing_around_the_arena_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    bands = []

    def banded(count: int, dtype: Any) -> Array:
        raw = np.full(count + 2 * 4096 + 64, 0xA5, np.uint8)
        start = 4096 + -(raw.ctypes.data + 4096) % 64
        bands.extend([raw[:start], raw[start + count :]])
        return raw[start : start + count]

    monkeypatch.setattr(program_module, "aligned", banded)
    model, x = classifier()
    linked, *_ = training(model, x, fused=True)
    linked.run(3, 0)
    assert len(bands) == 2
    assert all((band == 0xA5).all() for band in bands)
    assert not (linked.arena == 0xA5).all()


@compiled_only
def test_what_the_arena_held_before_does_not_matter() -> None:
    model, x = classifier()
    linked, y, gradients, _ = training(model, x, fused=True)
    linked.run(1, 0)
    before = [linked.view(t).copy() for t in (y, *gradients.values())]
    linked.arena[:] = 0xFF  # NaN
    linked.run(1, 0)
    for a, t in zip(before, (y, *gradients.values()), strict=True):
        np.testing.assert_array_equal(a, linked.view(t))


# ---- the listing -------------------------------------------------------------------------------------------------


def test_listing() -> None:
    x, y, z = numbers(1, 2, 3, 4, name="x"), Tensor((2, 2), F32), blank(name="z")
    scalar = Tensor((), F32, np.ones((), F32), name="one")
    calls = [fill_call(y), affine_call(x, z), affine_call(scalar, z, accumulate=1 << 1)]
    made = serial(*calls, keep=[y, z])
    text = str(made).splitlines()
    assert text[0] == "program: 3 rows, float32, arena 128 bytes (* lies outside it)"
    assert len(text) == 4
    assert text[1].split() == ["0", "fill", "fill", "->", f"t0[2x2]@{made.places[y]}"]
    assert text[2].split() == ["1", "affine", "forward", "x[4]*", "->", f"z[4]@{made.places[z]}"]
    assert text[3].split() == ["2", "affine", "forward", "one[1]*", "->", f"z[4]@{made.places[z]}", "+="]


def test_listing_names_phases_and_slices() -> None:
    a, b = blank(), blank()
    made = lower([[[fill_call(a)], [fill_call(b)]], [[], [affine_call(b, numbers(0, 0, 0, 0))]]], [0, 1], F32)
    heads = [line for line in str(made).splitlines() if line.startswith("phase")]
    assert heads == ["phase 0, slice 0:", "phase 0, slice 1:", "phase 1, slice 0:", "phase 1, slice 1:"]


def test_listing_of_a_network_names_its_kernels() -> None:
    model, x = classifier()
    text = str(training(model, x, fused=True)[0].program)
    for name in ("dense_relu_dropout_forward", "dense_tanh_backward", "drop", "[6x7]", "kernel[5x7]*"):
        assert name in text


def test_absent_operands_are_dashes() -> None:
    y = blank(name="y")
    made = serial(Call(forward, (numbers(1, 2, 3, 4), None, y), (2,), 0, 0, (), "call", F32))
    assert "t0[4]*, - -> y[4]@0" in str(made)
