"""``fit(record_masks=k)`` and ``model.masks(step)``: the masks that compiled training used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.engine.graph.op import BYTE
from nbnet.engine.graph.tensor import Call, Tensor, run_call
from nbnet.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten
from nbnet.masks import RecordedMasks
from nbnet.train import step_builder
from nbnet.train.mask_recording import packed_size, record_call, unpack
from tests.slicing import always_cut

rng = np.random.default_rng(3)
X, Y = rng.normal(size=(70, 6)), rng.normal(size=70)


def network(*dropouts: Any, dtype: str = "float32", **options: Any) -> nb.Sequential:
    """6 -> 33 -> 20 -> 1, with as many of the dropout layers as are given, one before each Dense."""
    nb.set_random_seed(4)
    denses = [Dense(33, "relu", dtype=dtype), Dense(20, "gelu", dtype=dtype), Dense(1, dtype=dtype)]
    layers = [layer for pair in zip(dropouts, denses, strict=False) for layer in pair] + denses[len(dropouts) :]
    model = nb.Sequential([nb.Input((6,)), *layers])
    model.compile(nb.optimizers.SGD(0.05), "mse", **options)
    return model


def three(dtype: str = "float32") -> tuple[Dropout, Dropout, Dropout]:
    return (
        Dropout(0.2, seed=1, name="a", dtype=dtype),
        Dropout(0.5, seed=2, name="b", dtype=dtype),
        Dropout(0.5, (1, 20), seed=3, name="c", dtype=dtype),
    )


def cut_into(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    always_cut(monkeypatch)
    monkeypatch.setattr(step_builder, "processors", lambda: count)


def assert_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].dtype == second[name].dtype == bool
        np.testing.assert_array_equal(first[name], second[name], strict=True)


# ---- bits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 8, 9, 63, 64, 65, 511, 512, 513, 520, 1024, 1500])
def test_bits_come_back(size: int) -> None:
    mask = (rng.random((1, size)) < 0.5).astype(np.uint8)
    ring = np.full((3, packed_size(size)), 0xAA, np.uint8)
    before = ring.copy()
    run_call(record_call(Tensor(mask.shape, BYTE, mask), ring, "float32"), step=4)
    np.testing.assert_array_equal(unpack(ring[1], size), mask[0] == 1)
    np.testing.assert_array_equal(ring[[0, 2]], before[[0, 2]])


def test_a_recorded_mask_is_read_and_a_line_written() -> None:
    mask, ring = Tensor((4, 4), BYTE), np.zeros((2, 2), np.uint8)
    call: Call = record_call(mask, ring, "float64")
    assert next(iter(call.reads())) is mask
    assert [t.data is ring for t in call.writes()] == [True]


# ---- recorded ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slices", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_recorded_and_recomputed_agree(slices: int, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_into(slices, monkeypatch)
    model = network(*three(dtype), dtype=dtype)
    history = model.fit(X, Y, batch_size=16, epochs=3, verbose=0, record_masks=7)
    assert history.masks.steps == list(range(8, 15))
    for step, masks in history.masks:
        n = 6 if step % 5 == 4 else 16
        assert {name: mask.shape for name, mask in masks.items()} == {"a": (n, 6), "b": (n, 33), "c": (1, 20)}
        assert_same(masks, model.masks(step, n=n))
        assert_same(masks, model.masks(step, X[:n]))
        with nb.Tape(step=step) as tape:
            model(X[:n].astype(dtype), training=True)
        assert_same(masks, tape.masks)


def test_they_are_what_the_step_used() -> None:
    """With batches of one row and SGD, the weights that a dropped input has are where they were, the others not."""
    model = network(Dropout(0.5, name="a"))
    kernel = model.layers[1].kernel
    for row in range(12):
        before = kernel.numpy().copy()
        history = model.fit(X[row : row + 1], Y[row : row + 1], batch_size=1, verbose=0, record_masks=1)
        ((step, masks),) = history.masks
        assert step == row
        moved = np.any(kernel.numpy() != before, axis=1)
        np.testing.assert_array_equal(moved, masks["a"][0])


def test_training_is_the_same_with_and_without() -> None:
    found = []
    for record in (0, 5):
        model = network(*three())
        assert len(model.fit(X, Y, epochs=2, verbose=0, record_masks=record).masks) == record
        found.append(model.get_weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_programs_that_recorded_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    programs: list[Any] = []
    lower = step_builder.lower
    monkeypatch.setattr(step_builder, "lower", lambda *args: programs.append(lower(*args)) or programs[-1])
    model = network(*three())
    for record, written in ((0, 1), (2, 2), (0, 2), (2, 3)):
        before = len(programs)
        model.fit(X, Y, len(X), verbose=0, record_masks=record)
        assert len(programs) == written
        assert all(("record" in str(program)) == (record > 0) for program in programs[before:])
    assert model._train_state.recording is None


def test_more_steps_than_there_are() -> None:
    history = network(*three()).fit(X, Y, batch_size=35, verbose=0, record_masks=100)
    assert history.masks.steps == [0, 1]
    assert repr(history.masks) == "<RecordedMasks of 2 steps, 0 to 1>"


def test_a_sequence_of_bits() -> None:
    recorded = network(*three()).fit(X, Y, batch_size=10, verbose=0, record_masks=4).masks
    assert isinstance(recorded, RecordedMasks)
    assert recorded.nbytes == 4 * (-(-60 // 8) + -(-330 // 8) + -(-20 // 8))
    assert [step for step, _ in recorded[1:3]] == [4, 5] == recorded[1:3].steps
    assert recorded[-1].step == 6
    assert_same(recorded[0].masks, recorded[0].masks)
    with pytest.raises(IndexError):
        recorded[4]
    assert repr(RecordedMasks()) == "<RecordedMasks of 0 steps>"


def test_streams_and_epochs_that_go_on() -> None:
    model = network(*three())
    batches = [(X[:10], Y[:10]), (X[10:30], Y[10:30]), (X[:10], Y[:10])]
    history = model.fit(iter(batches), verbose=0, record_masks=3)
    assert [(step, len(masks["a"])) for step, masks in history.masks] == [(0, 10), (1, 20), (2, 10)]
    again = model.fit(X, Y, batch_size=35, verbose=0, record_masks=9).masks
    assert again.steps == [3, 4]
    assert_same(again[0].masks, model.masks(3, n=35))


def test_a_layer_that_is_called_twice() -> None:
    nb.set_random_seed(0)
    x, drop = nb.Input((5,)), Dropout(0.5, name="drop")
    model = nb.Model(x, Dense(1)(drop(Dense(5)(drop(x)))))
    model.compile("adam", "mse")
    history = model.fit(X[:, :5], Y, batch_size=64, verbose=0, record_masks=1)
    ((step, masks),) = history.masks
    assert set(masks) == {"drop", "drop:1"}
    assert not np.array_equal(masks["drop"], masks["drop:1"])
    assert_same(masks, model.masks(step, n=6))
    with nb.Tape(step=step) as tape:
        y = model(X[:6, :5], training=True)
    assert_same(masks, tape.masks)
    with nb.Tape(masks=masks):
        np.testing.assert_array_equal(model(X[:6, :5], training=True), y)


def test_models_inside_models() -> None:
    nb.set_random_seed(0)
    inner = nb.Sequential([nb.Input((6,)), Dense(5), Dropout(0.5, name="inside")])
    model = nb.Sequential([nb.Input((6,)), Dropout(0.5, name="outside"), inner, Dense(1)])
    model.compile("adam", "mse")
    ((step, masks),) = model.fit(X, Y, batch_size=70, verbose=0, record_masks=1).masks
    assert set(masks) == {"outside", "inside"}
    assert_same(masks, model.masks(step, n=70))


def test_images() -> None:
    nb.set_random_seed(0)
    layers = [nb.Input((5, 5, 2)), Conv2D(3, 2), BatchNormalization(), Dropout(0.3, (None, 1, 1, 3), name="maps")]
    model = nb.Sequential([*layers, Flatten(), Dropout(0.5, name="flat"), Dense(1)])
    model.compile("sgd", "mse")
    averages = [w.numpy().copy() for w in model.layers[1].weights]
    history = model.fit(rng.normal(size=(9, 5, 5, 2)), np.ones(9), batch_size=9, verbose=0, record_masks=1)
    assert history.masks[0].masks["maps"].shape == (9, 1, 1, 3)
    moved = [w.numpy().copy() for w in model.layers[1].weights]
    assert not all(map(np.array_equal, averages, moved))
    assert_same(history.masks[0].masks, model.masks(0, n=9))
    assert all(map(np.array_equal, moved, [w.numpy() for w in model.layers[1].weights]))


def test_masks_follow_the_rate_of_now() -> None:
    model = network(Dropout(0.2, name="a"))
    few = model.masks(0, n=50)["a"]
    model.layers[0].rate = 0.9
    many = model.masks(0, n=50)["a"]
    assert few.mean() > 0.7 > 0.2 > many.mean()
    assert np.all(few[many])
    model.layers[0].rate = 1.0
    assert not model.masks(0, n=50)["a"].any()


def test_rates_of_a_schedule() -> None:
    schedule = nb.dropout_schedules.Late(0.5, start=3)
    model = network(Dropout(schedule, seed=1, name="a"))
    history = model.fit(X, Y, batch_size=14, verbose=0, record_masks=5)
    for step, masks in history.masks:
        assert masks["a"].all() == (step < 3)
        assert_same(masks, model.masks(step, n=14))


@pytest.mark.parametrize("slices", [1, 2])
def test_weights_that_are_dropped(slices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_into(slices, monkeypatch)
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((6,)), nb.layers.DropConnectDense(5, 0.5, name="weights"), Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(X, Y, batch_size=35, verbose=0, record_masks=2)
    for step, masks in history.masks:
        assert masks["weights"].shape == (1, 7, 5)
        assert_same(masks, model.masks(step, n=35))


def test_masks_that_depend_on_data_are_recorded_only() -> None:
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((6,)), nb.layers.StandoutDense(5, "relu", name="adaptive"), Dense(1)])
    model.compile(nb.optimizers.SGD(0.0), "mse")
    ((step, masks),) = model.fit(X[:20], Y[:20], batch_size=20, shuffle=False, verbose=0, record_masks=1).masks
    with nb.Tape(step=step) as tape:
        model(X[:20], training=True)
    assert_same(masks, tape.masks)
    with pytest.raises(ValueError, match=r"^step: the masks of adaptive depend on what the model computes"):
        model.masks(0, n=20)


# ---- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1, 1.5, True, "2"])
def test_record_masks_is_a_number(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^record_masks: expected an integer from 0"):
        network().fit(X, Y, verbose=0, record_masks=value)


def test_training_in_python_has_a_tape() -> None:
    with pytest.raises(ValueError, match=r"^record_masks: .* only compiled training records them"):
        network(*three(), run_eagerly=True).fit(X, Y, verbose=0, record_masks=1)


@pytest.mark.parametrize("step", [-1, 0.5, None])
def test_step_is_a_number(step: Any) -> None:
    with pytest.raises(ValueError, match=r"^step: expected an integer from 0"):
        network(*three()).masks(step, n=2)


def test_x_or_n() -> None:
    model = network(*three())
    for given in ({}, {"x": X, "n": 70}):
        with pytest.raises(TypeError, match=r"^n: expected x, the batch, or n"):
            model.masks(0, **given)
    with pytest.raises(ValueError, match=r"^n: expected an integer from 1"):
        model.masks(0, n=0)
    with pytest.raises(ValueError, match=r"^n: .*pass x"):
        nb.Sequential([nb.Input((None, 3)), Dropout(0.5)]).masks(0, n=2)
    assert network().masks(0, n=2) == {}
