"""The eager tape: gradients, masks, and who records what."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tape import Tape, Trace, effect, paused
from nbnet.engine.graph.tensor import Tensor, apply, recorder, scope, tensor, tensors
from nbnet.engine.jit.linker import kernel
from nbnet.engine.kernels.abi import vec
from tests.engine.toys import AFFINE, F32, F64, FLAT, Array


def network(rate: float = 0.5, seed: int = 0) -> nb.Sequential:
    nb.set_random_seed(seed)
    return nb.Sequential([
        nb.Input((6,)),
        nb.layers.Dense(20, "relu", name="hidden"),
        nb.layers.Dropout(rate, name="drop"),
        nb.layers.Dense(20, "relu", name="hidden2"),
        nb.layers.Dropout(rate, name="drop2"),
        nb.layers.Dense(1, name="out"),
    ])  # fmt: skip


def batch(n: int = 8) -> Array:
    return np.random.default_rng(1).normal(size=(n, 6)).astype(F32)


# ---- gradients ---------------------------------------------------------------------------------------------------


def test_gradients_come_in_the_structure_of_the_sources() -> None:
    a, b, c = (Parameter([v]) for v in (2.0, 3.0, 5.0))
    with Tape() as tape:
        y = a * b + c
    assert tape.gradient(y, a).numpy().tolist() == [3]
    listed = tape.gradient(y, [a, b])
    assert isinstance(listed, list)
    assert [g.item() for g in listed] == [3, 2]
    nested = tape.gradient(y, {"x": a, "rest": (b, [c])})
    assert nested["x"].item() == 3
    assert isinstance(nested["rest"], tuple)
    assert (nested["rest"][0].item(), nested["rest"][1][0].item()) == (2, 1)
    assert tape.gradient(y, []) == []
    with pytest.raises(TypeError, match="sources: expected tensors, got float"):
        tape.gradient(y, [1.0])


def test_none_where_there_is_no_path() -> None:
    a, b = Parameter([1.0]), Parameter([1.0])
    with Tape() as tape:
        y = a * 2.0
        apply(AFFINE, b)
    assert tape.gradient(y, {"a": a, "b": b})["b"] is None
    assert tape.gradient(y, Parameter([1.0])) is None


def test_a_tape_can_be_asked_again() -> None:
    a = Parameter([3.0])
    with Tape() as tape:
        h = a * a
        y = h * a
    for _ in range(2):
        assert tape.gradient(y, a).item() == 27
        assert tape.gradient(h, a).item() == 6
        assert tape.gradient(y, h).item() == 3
        assert tape.gradient(y, y).item() == 1


def test_gradient_of_a_tensor_is_that_of_its_sum() -> None:
    a = Parameter([[1.0, 2.0], [3.0, 4.0]])
    with Tape() as tape:
        y = a * a
    np.testing.assert_array_equal(tape.gradient(y, a), 2 * a.numpy())


def test_the_loss_may_be_computed_after_the_tape() -> None:
    model, x, t = network(), batch(), np.ones((8, 1), F32)
    loss = nb.losses.as_loss("mean_squared_error")
    with Tape(step=0) as tape:
        y = model(x, training=True)
    late = tape.gradient(loss(t, y), model.trainable_weights)
    with Tape(step=0) as tape:
        inside = loss(t, model(x, training=True))
    for a, b in zip(late, tape.gradient(inside, model.trainable_weights), strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.abs(a.numpy()).max() > 0


def test_gradient_with_respect_to_an_input() -> None:
    x = tensor(np.ones((2, 3), F32))
    with Tape() as tape:
        y = nb.ops.sum(x * x)
    np.testing.assert_array_equal(tape.gradient(y, x), 2 * np.ones((2, 3)))


def test_a_target_without_a_value() -> None:
    with Trace():
        y = apply(AFFINE, Parameter([1.0]))
    with pytest.raises(ValueError, match="target: expected a tensor with a value"):
        Tape().gradient(y, Parameter([1.0]))


def test_no_gradient_through_an_op_that_has_none() -> None:
    a = Parameter([1.0])
    with Tape() as tape:
        y = apply(FLAT, a)
    assert not y.requires_grad
    with pytest.raises(TypeError, match="'flat' has no gradient"):
        tape.gradient(y, a)


def test_errors_pass_through_a_tape() -> None:
    tape = Tape(masks={"nobody": [True]})
    with pytest.raises(ZeroDivisionError), tape:
        raise ZeroDivisionError
    assert recorder() is None


# ---- y.backward() ------------------------------------------------------------------------------------------------


def test_backward_adds_up() -> None:
    a, b = Parameter([2.0, 3.0]), Parameter([1.0, 1.0])
    frozen = Parameter([5.0, 5.0], trainable=False)
    y = a * a * b * frozen
    y.backward()
    np.testing.assert_array_equal(a.grad, [20, 30])
    (a * 2.0).backward()
    np.testing.assert_array_equal(a.grad, [22, 32])
    np.testing.assert_array_equal(b.grad, [20, 45])
    assert frozen.grad is None
    y.backward()
    np.testing.assert_array_equal(a.grad, [42, 62])
    np.testing.assert_array_equal(b.grad, [40, 90])
    a.grad = None
    y.backward()
    np.testing.assert_array_equal(a.grad, [20, 30])


def test_gradients_of_two_leaves_are_two_arrays() -> None:
    a, b = Parameter([1.0]), Parameter([1.0])
    (a + b).backward()
    (a * 1.0).backward()
    assert (a.grad.item(), b.grad.item()) == (2, 1)


def test_backward_from_a_given_gradient() -> None:
    a = Parameter([2.0, 3.0])
    given = np.array([1.0, 10.0])
    (a * a).backward(given)
    np.testing.assert_array_equal(a.grad, [4, 60])
    assert given.tolist() == [1, 10]
    with pytest.raises(ValueError, match=r"gradient: expected shape \(2,\), got \(3,\)"):
        (a * a).backward([1, 2, 3])


def test_backward_on_a_tape() -> None:
    a = Parameter([2.0])
    with Tape() as tape:
        y = a * a
        y.backward()
    assert a.grad.item() == 4
    assert len(tape.nodes) == 1  # backward is not recorded
    assert tape.gradient(y, a).item() == 4


@pytest.mark.parametrize("make", [lambda: tensor([1.0]), lambda: tensor([1.0]) * 2.0])
def test_backward_of_a_constant(make: Any) -> None:
    with pytest.raises(ValueError, match="does not depend on any tensor that requires a gradient"):
        make().backward()


def test_a_large_graph_is_differentiated_without_recursion() -> None:
    a = Parameter([1.0], dtype=F64)
    y = a * 1.0
    for _ in range(2000):
        y = y + a
    y.backward()
    assert a.grad.item() == 2001


# ---- masks -------------------------------------------------------------------------------------------------------


def test_masks_are_recorded_by_layer() -> None:
    model, x = network(0.3), batch(200)
    with Tape() as tape:
        model(x, training=True)
    assert list(tape.masks) == ["drop", "drop2"]
    for mask in tape.masks.values():
        assert mask.dtype == bool
        assert mask.shape == (200, 20)
        assert abs(mask.mean() - 0.7) < 5 * np.sqrt(0.21 / mask.size)
    assert not np.array_equal(*tape.masks.values())
    node = next(n for n in tape.nodes if n.name == "drop")
    assert node.scale == pytest.approx(1 / 0.7)
    np.testing.assert_array_equal(node.mask, tape.masks["drop"])
    assert next(n for n in tape.nodes if n.op.name == "dense").mask is None


def test_no_dropout_no_masks() -> None:
    with Tape() as tape:
        network()(batch(), training=False)
    assert tape.masks == {}


def test_masks_work_forward_and_backward() -> None:
    x = Parameter(np.arange(1.0, 1001.0))
    with Tape() as tape:
        y = nb.ops.dropout(x, 0.25)
    mask = tape.masks["dropout"]
    np.testing.assert_allclose(y, x.numpy() * mask / 0.75, rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(y, x), mask / 0.75, rtol=1e-6)


def test_replay() -> None:
    model, x = network(), batch()
    with Tape() as first:
        y = model(x, training=True)
    with Tape(masks=first.masks) as second:
        z = model(x, training=True)
    with Tape() as third:
        other = model(x, training=True)
    np.testing.assert_array_equal(y, z)
    assert not np.array_equal(y, other)
    for name, mask in first.masks.items():
        np.testing.assert_array_equal(second.masks[name], mask)
    assert not np.array_equal(third.masks["drop"], first.masks["drop"])
    gradients = [t.gradient(v, model.trainable_weights) for t, v in ((first, y), (second, z))]
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_injection() -> None:
    model, x = network(), batch()
    mask = np.zeros((8, 20), bool)
    mask[:, 3] = True
    with Tape(masks={"drop": mask}) as tape:
        y = model(x, training=True)
    np.testing.assert_array_equal(tape.masks["drop"], mask)
    assert "drop2" in tape.masks  # drawn
    gradient = tape.gradient(y, model.get_layer("hidden").kernel).numpy()
    assert not gradient[:, np.arange(20) != 3].any()


@pytest.mark.parametrize("form", [lambda m: m, lambda m: m.astype(np.uint8), lambda m: m.tolist()])
def test_forms_of_masks(form: Any) -> None:
    mask = np.eye(4, dtype=bool)
    with Tape(masks={"dropout": form(mask)}):
        y = nb.ops.dropout(np.ones((4, 4), F32), 0.5)
    np.testing.assert_array_equal(y, 2 * np.eye(4))


def test_masks_for_nobody() -> None:
    model, x = network(), batch()
    mask = np.ones((8, 20), bool)
    with pytest.raises(ValueError, match=r"\['typo'\] name no dropout.*\['drop', 'drop2'\]"), Tape({"typo": mask}):
        model(x, training=True)
    # The name of a layer that ran, but drops nothing.
    with pytest.raises(ValueError, match=r"\['hidden'\] name no dropout"), Tape({"hidden": mask}):
        model(x, training=True)
    # Dropout that did not run.
    with pytest.raises(ValueError, match=r"\['drop'\] name no dropout"), Tape({"drop": mask}):
        model(x, training=False)
    assert recorder() is None


@pytest.mark.parametrize("mask", [np.ones((8, 19), bool), np.ones(20, bool), np.ones((8, 20)), np.full((8, 20), "yes")])
def test_masks_that_do_not_fit(mask: Array) -> None:
    with pytest.raises(ValueError, match=r"masks\['drop'\]: expected bool of shape \(8, 20\)"), Tape({"drop": mask}):
        network()(batch(), training=True)
    assert recorder() is None


def test_a_step_pins_the_masks() -> None:
    model, x = network(), batch()
    masks = []
    for step in (3, 3, 4, None, None):
        with Tape(step=step) as tape:
            model(x, training=True)
        masks.append(tape.masks["drop"])
    np.testing.assert_array_equal(masks[0], masks[1])
    for i, j in ((0, 2), (0, 3), (3, 4)):
        assert not np.array_equal(masks[i], masks[j])


@pytest.mark.parametrize("step", [-1, 1.0, "1"])
def test_steps_are_counted_from_0(step: Any) -> None:
    with pytest.raises(ValueError, match="step: expected an integer from 0"):
        Tape(step=step)


def test_masks_are_repeatable() -> None:
    def draw(seed: int) -> list[Array]:
        model = network(seed=seed)
        found = []
        for _ in range(2):
            with Tape() as tape:
                model(batch(), training=True)
            found += list(tape.masks.values())
        return found

    first, again, other = draw(0), draw(0), draw(1)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_mask_is_that_of_each_row() -> None:
    model, x = network(), batch(16)
    with Tape(step=0) as whole:
        model(x, training=True)
    with Tape(step=0) as part:
        model(x[:5], training=True)
    np.testing.assert_array_equal(part.masks["drop"], whole.masks["drop"][:5])


def test_a_layer_called_twice_draws_anew() -> None:
    layer, x = nb.layers.Dropout(0.5, name="drop", seed=7), np.ones((4, 50), F32)
    masks = []
    for _ in range(2):
        with Tape(step=0) as tape:
            layer(layer(x, training=True), training=True)
            layer(x, training=True)
        masks.append(tape.masks)
    assert list(masks[0]) == ["drop", "drop:1", "drop:2"]
    values = list(masks[0].values())
    assert not any(np.array_equal(values[i], values[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    for name, mask in masks[0].items():  # and the same in the next pass
        np.testing.assert_array_equal(mask, masks[1][name])


def test_draws_without_a_tape_differ() -> None:
    layer, x = nb.layers.Dropout(0.5, seed=7), np.ones((4, 50), F32)
    assert not np.array_equal(layer(x, training=True), layer(x, training=True))


def test_masks_of_names_with_occurrences_are_replayed() -> None:
    layer, x = nb.layers.Dropout(0.5, name="drop"), np.ones((4, 50), F32)
    with Tape() as tape:
        y = layer(layer(x, training=True), training=True)
    with Tape(masks=tape.masks):
        z = layer(layer(x, training=True), training=True)
    np.testing.assert_array_equal(y, z)


# ---- recorders ---------------------------------------------------------------------------------------------------


def test_names_are_unique() -> None:
    a = Parameter([1.0])
    with Tape() as tape:
        for _ in range(3):
            apply(AFFINE, a)
        with scope("outer"), scope("inner"):
            apply(AFFINE, a)
            apply(AFFINE, a)
    assert [n.name for n in tape.nodes] == ["affine", "affine:1", "affine:2", "outer/inner", "outer/inner:1"]
    with Tape() as again:
        apply(AFFINE, a)
    assert again.nodes[0].name == "affine"
    assert repr(again.nodes[0]) == "<Node affine = affine((1,))>"


def test_scopes_end_with_errors() -> None:
    with pytest.raises(ZeroDivisionError), scope("a"):
        raise ZeroDivisionError
    with Tape() as tape:
        apply(AFFINE, Parameter([1.0]))
    assert tape.nodes[0].name == "affine"


def test_nested_tapes() -> None:
    a = Parameter([3.0])
    with Tape() as outer:
        h = a * a
        with Tape() as inner:
            y = h * a
        z = y * 2.0
    assert [n.op.name for n in outer.nodes] == ["multiply", "multiply"]
    assert [n.op.name for n in inner.nodes] == ["multiply"]
    assert inner.gradient(y, a).item() == 27
    assert outer.gradient(y, a).item() == 27
    assert outer.gradient(z, a).item() == 54


def test_tapes_are_those_of_a_thread() -> None:
    seen: list[Any] = []

    def other() -> None:
        seen.append(recorder())
        apply(AFFINE, Parameter([1.0]))

    with Tape() as tape:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == [None]
    assert tape.nodes == []


def test_trace_defers() -> None:
    x = np.ones((4, 6), F32)
    with Trace() as trace:
        y = network()(x, training=True)
    assert y.data is None
    assert y.shape == (4, 1)
    assert [n.name for n in trace.nodes] == ["hidden", "hidden:1", "drop", "hidden2", "hidden2:1", "drop2", "out"]
    with pytest.raises(ValueError, match="has no value"):
        y.numpy()


def test_a_pause() -> None:
    a = Parameter([1.0])
    with Trace() as trace:
        before = apply(AFFINE, a)
        with paused():
            assert recorder() is None
            now = apply(AFFINE, a)
        after = apply(AFFINE, a)
    assert now.numpy().tolist() == [3]
    assert before.data is None
    assert after.data is None
    assert len(trace.nodes) == 2
    with pytest.raises(ZeroDivisionError), Tape() as tape, paused():
        raise ZeroDivisionError
    assert tape is not None
    assert recorder() is None


@kernel
def count(mem: Any, ins: Any, step: Any) -> None:
    vec(mem, ins, 0)[0] += 1.0


def test_effects_run_at_once_or_wait() -> None:
    cell = Parameter([0.0], trainable=False)
    effect(count, cell)
    with Tape() as tape:
        effect(count, cell)
    with Trace() as trace:
        effect(count, cell)
    assert cell.item() == 2
    assert len(tape.effects) == len(trace.effects) == 1
    assert trace.effects[0].operands == (cell,)


# ---- values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, F32), (1.5, F32), ([1, 2], F32), ([True, False], F32), (np.arange(3), F32), (np.zeros(2), F64),
        (np.float64(1), F64), (np.zeros(2, np.float16), F32), (np.zeros(2, F32), F32),
    ],
)  # fmt: skip
def test_dtype_of_a_tensor(value: Any, dtype: Any) -> None:
    t = tensor(value)
    assert t.dtype == dtype
    np.testing.assert_array_equal(t, value)


def test_a_tensor_is_a_copy() -> None:
    value = np.zeros(3, F32)
    t = tensor(value)
    value[:] = 1
    assert not t.numpy().any()
    assert tensor(t) is t
    assert tensor(np.asfortranarray(np.arange(6.0).reshape(2, 3))).numpy().flags.c_contiguous


@pytest.mark.parametrize("value", ["a", [None], [1j], np.array(["2020"], "M8[Y]")])
def test_a_tensor_holds_real_numbers(value: Any) -> None:
    with pytest.raises(TypeError, match="a tensor holds real numbers"):
        tensor(value)


def test_numbers_take_the_dtype_beside_them() -> None:
    assert [t.dtype for t in tensors(1.0, Parameter([1.0], dtype=F64))] == [F64, F64]
    assert [t.dtype for t in tensors([1.0], np.zeros(2))] == [F64, F64]
    assert [t.dtype for t in tensors(1, 2.0)] == [F32, F32]


def test_dtypes_are_not_mixed() -> None:
    with pytest.raises(TypeError, match="add: expected inputs of one float dtype, got a float32, b float64"):
        Parameter([1.0]) + Parameter([1.0], dtype=F64)
    with pytest.raises(TypeError, match="affine: expected numbers as x, got uint8"):
        apply(AFFINE, Tensor((2,), np.uint8, np.zeros(2, np.uint8)))


def test_inputs_that_are_not_differentiated_leave_no_graph() -> None:
    y = tensor([1.0]) * 2.0
    assert y.node is None
    assert not y.requires_grad
    z = Parameter([1.0]) * 2.0
    assert z.node is not None
    assert z.requires_grad
