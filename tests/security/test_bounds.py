"""No shape, attribute or index makes a kernel leave its operands: layers, models and files that are used on inputs of
another shape than their first, arrays that layers hold, and the check of programs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
from nbnet.engine.graph import autodiff, tape
from nbnet.engine.graph import tensor as tensors
from nbnet.engine.graph.extents import refusal
from nbnet.engine.graph.tensor import Call, Tensor
from nbnet.engine.kernels.abi import Memory
from nbnet.engine.kernels.layout import WIDTH
from nbnet.engine.runtime.program import Program, verify
from nbnet.ops.gather import put_columns, take_columns
from nbnet.ops.normalization import move_average
from nbnet.ops.reduction import l1_l2
from nbnet.ops.slicing import cut
from tests.layers.test_every_layer import CASES, Case
from tests.saving.malformed import Parts

Array = NDArray[Any]
each_layer = pytest.mark.parametrize("case", CASES, ids=[f"{case.name}-{k}" for k, case in enumerate(CASES)])


@pytest.fixture
def walled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eager calls are checked like the rows of programs before they run."""
    run = tensors.run_call

    def checked(call: Call, step: int) -> None:
        assert refusal(call) is None, (call.kernel.name, refusal(call))
        run(call, step)

    for module in (tensors, autodiff, tape):
        monkeypatch.setattr(module, "run_call", checked)


#: Words of the errors: each names what does not fit.
DOES_NOT_FIT = "expected|shape|spans|ax[ei]s|units|dims"


def others(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Shapes of inputs other than batches of samples of a shape."""
    yield 0, *shape
    yield 2, *shape[:-1], shape[-1] - 1
    yield 2, *shape[:-1], shape[-1] + 3
    yield 2, *shape[:-1], 0
    yield 2, *shape, 2
    yield 2, *shape[1:]
    yield 2, 2 * shape[0], *shape[1:]
    yield 2, shape[0] - 1, *shape[1:]
    yield 2, 0, *shape[1:]
    yield 3, *shape[1:], shape[0]
    yield 2, *(1 for _ in shape)
    yield 2, 1, 1, 1, 3
    yield (2,)
    yield ()


def forward_and_backward(layer: nb.layers.Layer, x: Array, training: bool) -> Tensor:
    inputs = nb.Parameter(x) if x.dtype.kind == "f" else x
    with nb.Tape() as recorded:
        y: Tensor = layer(inputs, training=training)
        sources = [*layer.trainable_weights, *([inputs] if isinstance(inputs, Tensor) else [])]
        if sources:
            recorded.gradient(y, sources)
    return y


@pytest.mark.usefixtures("walled")
@pytest.mark.parametrize("training", [False, True])
@each_layer
def test_a_layer_called_on_another_shape(case: Case, training: bool) -> None:
    """It gives what a layer made for that shape gives, or a ValueError that names what does not fit."""
    dtype = np.int64 if case.name == "Embedding" else np.float32
    for shape in others(case.shape):
        layer, x = case.make(), np.ones(shape, dtype)
        layer(case.inputs(2))
        fresh, found, wanted = case.make(), None, None
        with contextlib.suppress(ValueError):
            found = forward_and_backward(layer, x, training).shape
        with contextlib.suppress(ValueError):
            wanted = fresh(x).shape
        if found is None:
            with pytest.raises(ValueError, match=DOES_NOT_FIT):
                forward_and_backward(layer, x, training)
        else:
            assert found == wanted
            if case.name != "LayerNormalization" or len(shape) == len(case.shape) + 1:  # Its axes stay what they were.
                assert [w.shape for w in fresh.weights] == [w.shape for w in layer.weights]
        assert layer(case.inputs(2)).shape == (2, *case.output)


@pytest.mark.usefixtures("walled")
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("units", [3, 5, 4000])
def test_moving_averages_keep_their_size(scale: bool, center: bool, units: int) -> None:
    layer = nb.layers.BatchNormalization(scale=scale, center=center)
    layer(np.ones((2, 4)), training=True)
    before = layer.moving_mean.numpy().copy()
    with pytest.raises(ValueError, match=r"averages of shape \(4,\)|for each of"):
        layer(np.ones((2, units)), training=True)
    np.testing.assert_array_equal(layer.moving_mean.numpy(), before)


# ---- units by number -----------------------------------------------------------------------------------------


def taking(units: list[int]) -> nb.layers.Layer:
    return nb.layers.TakeUnits(units, name="taken")


@pytest.mark.parametrize(("built", "units"), [(4000, [3999, 0]), (3, [2]), (100, list(range(100))[::-1])])
@pytest.mark.parametrize("narrow", [2, 1, 0])
def test_take_units_of_a_narrower_input(built: int, units: list[int], narrow: int) -> None:
    layer = taking(units)
    layer(np.ones((2, built), np.float32))
    x = nb.Parameter(np.ones((2, narrow)))
    with nb.Tape(), pytest.raises(ValueError, match=f"units: taken takes unit {max(units)} of inputs of shape"):
        layer(x)
    with pytest.raises(ValueError, match="units: taken takes unit"):
        layer(np.ones((2, 5, narrow), np.float32))
    assert layer(np.ones((1, built), np.float32)).shape == (1, len(units))


@pytest.mark.parametrize("width", [1, 3, 400])
def test_put_units_of_another_width(width: int) -> None:
    layer = nb.layers.PutUnits([5, 0], 6, name="put")
    layer(np.ones((2, 2), np.float32))
    with nb.Tape(), pytest.raises(ValueError, match=r"put: expected inputs \(batch, ..., 2\), got shape"):
        layer(nb.Parameter(np.ones((2, width))))


@pytest.mark.parametrize("columns", [[4], [-1], [0, 2**40], [-(2**62), 1]])
def test_numbers_of_columns_are_checked(columns: list[int]) -> None:
    numbers = Tensor((len(columns),), np.int64, np.array(columns))
    wrong = next(k for k in columns if not 0 <= k < 4)
    with pytest.raises(ValueError, match=f"columns: {wrong} is out of range for 4 units, 0 to 3"):
        take_columns(nb.tensor(np.ones((3, 4))), numbers)
    with pytest.raises(ValueError, match=f"columns: {wrong} is out of range for 4 units, 0 to 3"):
        put_columns(nb.tensor(np.ones((3, len(columns)))), numbers, 4)


@pytest.mark.parametrize("wrong", [4, -1, 10**12, -(2**63)])
@pytest.mark.parametrize("op", ["take", "put"])
def test_kernels_compare_numbers_of_columns(op: str, wrong: int) -> None:
    """Numbers that change after the check give NaN and no gradient."""
    numbers = Tensor((2,), np.int64, np.array([3, 0]))
    x = nb.Parameter(np.ones((3, 4 if op == "take" else 2)))
    with nb.Tape() as recorded:
        y = take_columns(x, numbers) if op == "take" else put_columns(x, numbers, 4)
        numbers.numpy()[1] = wrong
        gradient = recorded.gradient(y, x)
        assert not gradient.numpy().any()
        tensors.run_call(recorded.nodes[0].call(), 0)
    assert np.isnan(y.numpy()).all()


def test_numbers_of_a_layer_cannot_be_changed() -> None:
    layer = nb.layers.TakeUnits([1, 0])
    layer.units[0] = 10**6
    np.testing.assert_array_equal(layer(np.array([[1.0, 2.0]])).numpy(), [[2.0, 1.0]])
    with pytest.raises(ValueError, match="read-only"):
        layer._columns.numpy()[0] = 10**6


# ---- models and files ----------------------------------------------------------------------------------------

#: A layer that is built for 400 units by its first call and gets 2 in its second.
SHARED: dict[str, Callable[[], nb.layers.Layer]] = {
    "take": lambda: nb.layers.TakeUnits([399, 0]),
    "dense": lambda: nb.layers.Dense(3),
    "masksembles": lambda: nb.layers.Masksembles(4, 2.0),
    "batch_normalization": lambda: nb.layers.BatchNormalization(scale=False, center=False),
    "layer_normalization": lambda: nb.layers.LayerNormalization(),
    "normalization": lambda: nb.layers.Normalization(mean=np.zeros(400).tolist(), variance=np.ones(400).tolist()),
    "prelu": lambda: nb.layers.PReLU(),
    "variational_dropout": lambda: nb.layers.VariationalDropout(),
    "dropout": lambda: nb.layers.Dropout(0.5, noise_shape=(None, 400)),
    "rescaling": lambda: nb.layers.Rescaling(np.full(400, 2.0).tolist()),
    "variational_dense": lambda: nb.layers.VariationalDense(3),
    "drop_connect": lambda: nb.layers.DropConnectDense(3, 0.5),
}
shared = pytest.mark.parametrize("name", SHARED)


@pytest.mark.usefixtures("walled")
@shared
@pytest.mark.parametrize("training", [False, True])
def test_a_layer_shared_by_inputs_of_two_widths(name: str, training: bool) -> None:
    layer = SHARED[name]()
    layer(np.ones((4, 400), np.float32), training=training)
    with pytest.raises(ValueError, match=DOES_NOT_FIT):
        layer(np.ones((4, 2), np.float32), training=training)


@shared
def test_a_functional_model_that_shares_it(name: str) -> None:
    layer = SHARED[name]()
    wide, narrow = nb.Input((400,)), nb.Input((2,))
    layer(wide)
    with pytest.raises(ValueError, match=DOES_NOT_FIT):
        layer(narrow)


@shared
def test_a_model_of_one_layer_on_another_width(name: str) -> None:
    model = nb.Sequential([SHARED[name]()])
    model(np.ones((4, 400), np.float32))
    model.compile("sgd", "mse")
    for call in (model, model.predict, lambda x: model.fit(x, np.ones((4, 2)), verbose=0)):
        with pytest.raises(ValueError, match=f"{DOES_NOT_FIT}|reads samples of shape|takes"):
            call(np.ones((4, 2), np.float32))


def saved(model: nb.Model, path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A file of the model whose configuration was changed, with checksums that fit."""
    model.save(path)
    parts = Parts.of(path.read_bytes())
    change(parts.record["model"]["config"])
    path.write_bytes(parts.joined())
    return path


def narrowed(config: Any, left: list[int]) -> Any:
    """Change sizes of 400 to 2, but for the first ``left``; returns the configuration."""
    if isinstance(config, dict):
        for key in config.keys() - {"noise_shape"}:
            config[key] = narrowed(config[key], left)
    elif isinstance(config, list) and len(config) < 400:
        return [narrowed(value, left) for value in config]
    elif config == 400:
        left[0] -= 1
        return 400 if left[0] >= 0 else 2
    return config


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: nb.layers.TakeUnits([399, 0]), id="take"),
        pytest.param(lambda: nb.layers.Dropout(0.5, noise_shape=(None, 400)), id="dropout"),
        pytest.param(lambda: nb.layers.Rescaling(np.full(400, 2.0).tolist()), id="rescaling"),
        pytest.param(lambda: nb.layers.PutUnits(list(range(400)), 401), id="put"),
        pytest.param(
            lambda: nb.layers.Normalization(mean=np.zeros(400).tolist(), variance=np.ones(400).tolist()), id="normalize"
        ),
    ],
)
@pytest.mark.parametrize("kind", ["sequential", "functional", "shared"])
@pytest.mark.parametrize("wide", [0, 1])
def test_a_small_file_of_a_layer_on_a_narrow_input(
    tmp_path: Path, make: Callable[[], nb.layers.Layer], kind: str, wide: int
) -> None:
    """Loading it, or its first use on the narrow input, is a ValueError."""
    first, second, layer = nb.Input((400,)), nb.Input((400,)), make()
    if kind == "sequential":
        model: nb.Model = nb.Sequential([nb.Input((400,)), layer])
    elif kind == "functional":
        model = nb.Model(first, layer(first))
    else:
        model = nb.Model([first, second], nb.layers.Concatenate()([layer(first), layer(second)]))
    sizes = wide if kind == "shared" else 0
    path = saved(model, tmp_path / "model.nbnet", lambda config: narrowed(config, [sizes]))
    narrow, whole = np.ones((4, 2), np.float32), np.ones((4, 400), np.float32)
    x = [whole if wide else narrow, narrow] if kind == "shared" else narrow
    with pytest.raises(ValueError, match=DOES_NOT_FIT):
        nb.saving.load_model(path)(x)


# ---- arrays that users hold ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kernel", "bias"])
@pytest.mark.parametrize("size", [1, 2])
def test_a_weight_replaced_by_a_smaller_array(name: str, size: int) -> None:
    layer = nb.layers.Dense(3)
    layer(np.ones((2, 4)))
    getattr(layer, name).data = np.ones(size, np.float32)
    with pytest.raises(ValueError, match=f"the data of dense.*/{name} are float32 of shape"):
        layer(np.ones((2, 4)))


def test_a_weight_replaced_by_one_of_another_shape() -> None:
    layer = nb.layers.Masksembles(4, 2.0)
    layer(np.ones((2, 16)))
    layer.masks = nb.Parameter(np.ones((4, 2), np.float32))
    with pytest.raises(ValueError, match="deal_masks: expected"):
        layer(np.ones((2, 16)))
    normalization = nb.layers.BatchNormalization(scale=False, center=False)
    normalization(np.ones((2, 4)), training=True)
    normalization.moving_mean = nb.Parameter(np.ones(9, np.float32))
    with pytest.raises(ValueError, match="averages of shape"):
        normalization(np.ones((2, 4)), training=True)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda x, empty: l1_l2(x, empty, 1.0), id="l1"),
        pytest.param(lambda x, empty: l1_l2(x, 1.0, empty), id="l2"),
        pytest.param(lambda x, empty: nb.ops.batch_norm(x, epsilon=empty), id="batch_norm"),
        pytest.param(
            lambda x, empty: nb.ops.batch_normalization(x, np.ones(4), np.ones(4), -1, epsilon=empty), id="fixed"
        ),
        pytest.param(lambda x, empty: nb.ops.layer_norm(x, np.ones(4), np.ones(4), empty), id="layer_norm"),
        pytest.param(lambda x, empty: nb.ops.dropout(x, empty), id="dropout"),
        pytest.param(lambda x, empty: nb.ops.gaussian_noise(x, empty), id="gaussian_noise"),
        pytest.param(lambda x, empty: nb.ops.concrete_dropout(x, empty), id="concrete_dropout"),
        pytest.param(lambda x, empty: nb.ops.elu(x, empty), id="elu"),
        pytest.param(lambda x, empty: nb.ops.leaky_relu(x, empty), id="leaky_relu"),
        pytest.param(lambda x, empty: move_average(nb.Parameter(np.ones(3, np.float32)), x, 0.5), id="move_average"),
        pytest.param(lambda x, empty: cut(x, 1, 3, 2), id="cut"),
        pytest.param(lambda x, empty: cut(x, 1, -1, 1), id="cut_before"),
        pytest.param(lambda x, empty: nb.ops.softmax(nb.ops.reshape(x, (2, 4))[:, :0]), id="softmax"),
        pytest.param(lambda x, empty: nb.ops.log_softmax(x[:, :0]), id="log_softmax"),
        pytest.param(lambda x, empty: nb.ops.max(x[:, :0], axis=1), id="max"),
        pytest.param(lambda x, empty: nb.ops.max_pool(nb.ops.zeros((1, 2, 2, 2, 2, 2)), (2, 2, 2, 2)), id="max_pool"),
        pytest.param(lambda x, empty: nb.losses.categorical_crossentropy(x[:, :0], x[:, :0]), id="crossentropy"),
        pytest.param(lambda x, empty: nb.losses.mean_squared_error(x[:, :0], x[:, :0]), id="mse"),
    ],
)
@pytest.mark.usefixtures("walled")
def test_operands_that_are_empty_or_too_small(call: Callable[[Tensor, Tensor], Any]) -> None:
    with pytest.raises(ValueError, match=f"{DOES_NOT_FIT}|is no part of"):
        call(nb.tensor(np.ones((2, 4), np.float32)), Tensor((0,), np.float32, np.empty(0, np.float32)))


# ---- programs ------------------------------------------------------------------------------------------------


def program_of(case: Case) -> Program:
    """The program of a training step of a model with the layer."""
    kind = "int64" if case.name == "Embedding" else "float32"
    model = nb.Sequential([nb.Input(case.shape, dtype=kind), case.make(), nb.layers.Flatten(), nb.layers.Dense(2)])
    model.compile(nb.optimizers.Adam(use_ema=True, clipnorm=1.0), "mse", metrics=["mae"])
    found: Program = model.program("train", rows=4)
    return found


def changed(rng: np.random.Generator, call: Call) -> Call:
    """The call with another attribute, or a smaller or larger operand."""
    if call.attributes and rng.random() < 0.5:
        k = int(rng.integers(len(call.attributes)))
        value = call.attributes[k]
        new = int(rng.choice([0, 1, 7, -1, value - 1, value + 1, 2 * value, 2**40]))
        return replace(call, attributes=(*call.attributes[:k], new, *call.attributes[k + 1 :]))
    k = int(rng.choice([k for k, t in enumerate(call.operands) if t is not None]))
    t = call.operands[k]
    assert t is not None
    shape = [t.shape[1:], (*t.shape, 3), (1,), (t.size + 1,), t.shape[::-1], (0,)][int(rng.integers(6))]
    return replace(call, operands=(*call.operands[:k], Tensor(shape, t.dtype), *call.operands[k + 1 :]))


def run_twin(rng: np.random.Generator, call: Call) -> None:
    """Run a call as plain Python, where an index out of bounds raises IndexError."""
    made: dict[int, Tensor] = {}
    for t in call.operands:
        if t is not None and id(t) not in made:
            values = rng.uniform(0.1, 0.9, t.shape) if t.dtype.kind == "f" else np.full(t.shape, t.dtype.kind == "u")
            made[id(t)] = Tensor(t.shape, t.dtype, np.array(values, t.dtype, order="C").reshape(t.shape))
    row = np.zeros(WIDTH, np.int64)
    tensors.encode(row, replace(call, operands=tuple(None if t is None else made[id(t)] for t in call.operands)))
    with np.errstate(all="ignore"):
        call.kernel(Memory(0, call.dtype), row, 0)


#: Kernels that read arrays of the user by numbers that are known only when they run: see the checks of data.
BY_CURSOR = ("gather", "store", "add_moments", "keep_sample")


@pytest.mark.filterwarnings("ignore:.*drops the mask of time steps")
@each_layer
def test_changed_rows_of_programs_are_refused_or_harmless(case: Case) -> None:
    rng, program, refused = np.random.default_rng(5), program_of(case), 0
    for i, call in enumerate(program.calls):
        assert refusal(call) is None
        if call.kernel.name.startswith(BY_CURSOR):
            continue
        for _ in range(4):
            trial = changed(rng, call)
            if refusal(trial) is None:
                run_twin(rng, trial)
                continue
            refused += 1
            with pytest.raises(ValueError, match=rf"row {i} \({call.kernel.name} of"):
                verify(replace(program, calls=(*program.calls[:i], trial, *program.calls[i + 1 :])))
    assert refused > len(program.calls)


def test_numbers_beyond_63_bits_are_refused() -> None:
    """As int64 they would be negative: indices from the end."""
    big = np.array([2**64 - 1], np.uint64)
    with pytest.raises(IndexError, match="18446744073709551615 is out of range for 4 rows"):
        nb.ops.take(np.arange(4.0), big)
    with pytest.raises(ValueError, match="at most 63 bits"):
        nb.ops.convert_to_tensor(big, "int64")
    with pytest.raises(ValueError, match="pool_size: expected an integer above 0"):
        nb.layers.MaxPooling2D((2**63, 2))
    with pytest.raises(ValueError, match="repeats: expected integers from 0"):
        nb.ops.tile([1.0], (-1, 1))
