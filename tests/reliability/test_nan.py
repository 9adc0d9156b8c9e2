"""A loss, a weight or a metric that is not finite is reported: where it began, once, and what ``on_nan`` does then."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
from nbnet import layers
from nbnet.estimators import MLPClassifier, MLPRegressor, NetRegressor
from nbnet.train import finite_watch
from nbnet.train.finite_watch import FiniteWatch

Array = NDArray[Any]
SGD = nb.optimizers.SGD
rng = np.random.default_rng(0)
X = rng.normal(size=(256, 4)).astype(np.float32)
Y = X.sum(1, keepdims=True)
STEPS = 8  # of an epoch, in batches of 32


def late() -> SGD:
    """An optimizer that diverges in the eleventh epoch."""
    return SGD(nb.optimizers.schedules.PiecewiseConstantDecay([83], [1e-3, 0.9]))


def network(optimizer: Any = None, activation: str = "relu", loss: Any = "mse", **arguments: Any) -> nb.Sequential:
    nb.set_random_seed(1)
    slices = arguments.pop("slices", None)
    parts = [layers.Dense(16, activation, name="hidden", **arguments), layers.Dropout(0.3, name="drop")]
    model = nb.Sequential([nb.Input((4,)), *parts, layers.Dense(1, name="output")])
    model.compile(SGD(0.9) if optimizer is None else optimizer, loss, slices=slices)
    return model


def found(model: nb.Sequential, x: Any = X, y: Any = Y, **arguments: Any) -> tuple[list[str], nb.callbacks.History]:
    """The warnings of a fit, and its history."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(x, y, verbose=0, **arguments)
    assert all(one.category is RuntimeWarning for one in caught)
    assert all(Path(one.filename) == Path(__file__) for one in caught)
    return [str(one.message) for one in caught], history


def first_bad_step(model: nb.Sequential, epochs: int = 1, **arguments: Any) -> int:
    """The number of the first step whose loss, or weights after it, are not finite: batch by batch."""
    steps: list[int] = []

    def look(batch: int, logs: Any) -> None:
        weights = all(np.isfinite(weight).all() for weight in model.get_weights())
        if not (weights and np.isfinite(logs["loss"])):
            steps.append(model.optimizer.iterations - 1)

    callbacks = [*arguments.pop("callbacks", []), nb.callbacks.LambdaCallback(on_train_batch_end=look)]
    model.fit(X, Y, epochs=epochs, verbose=0, on_nan="ignore", callbacks=callbacks, **arguments)
    return steps[0]


def place(step: int) -> str:
    return f"step {step} (batch {step % STEPS} of epoch {step // STEPS}; all count from 0)"


# ---- the warning names epoch, step and layer ----


def test_a_loss_that_overflows() -> None:
    (text,), history = found(network(SGD(1e10)))
    assert "epoch 0: loss is nan" in text
    assert place(1) in text
    assert "in the loss" in text
    assert "from layer 'output'" in text
    assert np.isnan(history.history["loss"][0])


#: Each case: a network, arguments of fit, the epochs, and words of the message.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a late epoch": ({"optimizer": late()}, {"epochs": 12}, "the output of layer 'output'"),
    "no shuffle": ({}, {"shuffle": False}, "in the loss"),
    "epochs together": ({"optimizer": late()}, {"epochs": 40}, "the output of layer 'output'"),
    "slices": ({"slices": 2}, {}, "in the loss"),
    "a short batch": ({}, {"batch_size": 48}, "in the loss"),
    "Adam": ({"optimizer": nb.optimizers.Adam(1e18)}, {}, "layer"),
    "momentum": ({"optimizer": SGD(0.4, momentum=0.9)}, {"epochs": 3}, "layer"),
    "a forward product": ({"optimizer": SGD(1e20), "activation": "linear"}, {}, "the output of layer 'output'"),
    "a penalty": ({"kernel_regularizer": nb.regularizers.L2(1e38)}, {}, "the penalty on 'hidden/kernel'"),
    "an activation": ({"activation": "exponential", "optimizer": SGD(50.0)}, {}, "layer 'hidden' + 'drop'"),
    "a schedule": (
        {"optimizer": SGD(nb.optimizers.schedules.PiecewiseConstantDecay([11], [1e-3, 1e20]))},
        {"epochs": 3},
        "layer",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_epoch_step_and_layer(name: str) -> None:
    """The step is the one that a callback after each batch sees; with that, no epochs run together."""
    built, arguments, words = CASES[name]
    size = arguments.get("batch_size", 32)
    step = first_bad_step(network(**copy.deepcopy(built)), **arguments)
    texts, history = found(network(**copy.deepcopy(built)), **arguments)
    assert len(texts) == 1
    steps = -(-256 // size)
    assert f"step {step} (batch {step % steps} of epoch {step // steps};" in texts[0]
    assert texts[0].startswith(f"epoch {step // steps}: loss is ")
    assert words in texts[0]
    assert not np.isfinite(history.history["loss"][step // steps])


def test_the_update_and_the_gradient_are_named() -> None:
    """Rows of the update, and of the backward pass, where everything before them is finite."""
    x = np.full((32, 4), 1e30, np.float32)
    model = network(SGD(1e-3), loss="mae", kernel_initializer=nb.initializers.Constant(1e-30))
    model.layers[0].kernel.assign(np.full((4, 16), 1e-30))
    model.get_layer("output").kernel.assign(np.full((16, 1), 3e38 / 1e30))
    (text,), _ = found(model, x, np.zeros((32, 1), np.float32))
    assert "gradient" in text or "update" in text
    assert "'hidden/kernel' of layer 'hidden'" in text


def test_a_weight_whose_loss_is_still_finite() -> None:
    """The last step of a training leaves weights that are not finite; the loss does not show it."""
    model = network(SGD(3e38))
    (text,), history = found(model, batch_size=256)
    assert text.startswith("epoch 0: weights are not finite")
    assert "in the update of 'hidden/" in text or "in the update of 'output/" in text
    assert np.isfinite(history.history["loss"]).all()


def test_a_weight_that_no_loss_ever_shows() -> None:
    """relu(nan) may be 0 in comparisons, and a unit without effect hides its weights: here a factor of 0."""
    inputs = nb.Input((4,))
    hidden = layers.Dense(4, name="used")(inputs)
    model = nb.Model(inputs, layers.Dense(1, name="output")(hidden))
    model.compile(SGD(1e-3), "mse")
    bad = nb.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: epoch == 2 and model.get_layer("used").bias.assign([0, 0, 0, np.inf])
    )
    texts, _ = found(model, callbacks=[bad], epochs=4)
    assert len(texts) == 1
    assert texts[0].startswith("epoch 2: loss is ")


def test_a_metric_alone() -> None:
    model = network(SGD(1e-3))
    model.compile(SGD(1e-3), "mae", metrics=["mse"])
    y = np.full((256, 1), 1e25, np.float32)
    texts, history = found(model, y=y, epochs=3)
    assert len(texts) == 1
    assert "mean_squared_error is inf" in texts[0] or "mse is inf" in texts[0]
    assert "in a metric (mean_squared_error" in texts[0]
    assert np.isfinite(history.history["loss"]).all()
    assert len(found(model, y=y, on_nan="raise")[0]) == 1  # A metric alone stops nothing.


def test_a_validation_alone() -> None:
    x = np.full((4, 4), 1e30, np.float32)
    texts, history = found(network(SGD(1e-3)), epochs=3, validation_data=(x, np.zeros((4, 1))))
    assert texts == ["validation of epoch 0: val_loss is inf, while the training is finite"]
    assert len(history.history["val_loss"]) == 3


def test_several_outputs_and_inputs() -> None:
    a, b = nb.Input((4,), name="a"), nb.Input((4,), name="b")
    both = layers.Dense(3, name="trunk")(layers.Concatenate(name="both")([a, b]))
    outputs = [layers.Dense(1, name="calm")(both), layers.Dense(1, activation="exponential", name="wild")(both)]
    model = nb.Model([a, b], outputs)
    model.compile(SGD(1e-3), ["mse", "mse"])
    (text,), _ = found(model, [X, X * 100], [Y, Y])
    assert "the output of layer 'wild'" in text


def test_recorded_masks_are_those_of_the_training() -> None:
    """Steps that are run again leave the masks of the last steps as they were."""
    (_,), history = found(network(), epochs=2, record_masks=5)
    silent = network().fit(X, Y, epochs=2, verbose=0, record_masks=5, on_nan="ignore")
    assert history.masks.steps == silent.masks.steps
    for (_, masks), (_, wanted) in zip(history.masks, silent.masks, strict=True):
        np.testing.assert_array_equal(masks["drop"], wanted["drop"])


# ---- nothing else changes ----


@pytest.mark.parametrize("epochs", [1, 2, 9])
@pytest.mark.parametrize("built", [{}, {"slices": 2}, {"optimizer": nb.optimizers.Nadam(1e17)}], ids=str)
def test_warn_changes_no_bit(built: dict[str, Any], epochs: int) -> None:
    states = []
    for on_nan in ("ignore", "warn"):
        model = network(**copy.deepcopy(built))
        texts, history = found(model, epochs=epochs, on_nan=on_nan)
        assert len(texts) == (on_nan == "warn")
        position = model._train_state.position
        state = [*model.get_weights(), *model.optimizer.get_state().values(), np.array(history.history["loss"])]
        states.append((state, position.epoch, position.batch, position.key))
    assert states[0][1:] == states[1][1:]
    for a, b in zip(states[0][0], states[1][0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_finite_training_says_nothing() -> None:
    for on_nan in ("warn", "raise"):
        texts, history = found(network(SGD(1e-3)), epochs=5, on_nan=on_nan, validation_split=0.2)
        assert texts == []
        assert np.isfinite(history.history["loss"]).all()


def test_copies_are_taken_and_used_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the state is copied, the step is the same: at every chance, or never after the beginning."""
    texts = []
    for share in (0, 10**9):
        monkeypatch.setattr(finite_watch, "SHARE", share)
        for arguments in ({}, {"callbacks": [nb.callbacks.Callback()]}, {"steps_per_epoch": 4}):
            texts.append(found(network(late()), epochs=24, **arguments)[0])
    assert len(texts[0]) == 1
    assert texts[0] == texts[1] == texts[3] == texts[4]
    assert texts[2] == texts[5]


def test_a_large_state_and_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a copy would cost more than a share of the training, weights that are not finite are named instead."""
    monkeypatch.setattr(finite_watch, "SMALL", 0)
    (text,), _ = found(network(SGD(1e10)))
    assert "Weights that are not finite now: 'hidden/kernel'" in text
    assert "not known" in text


# ---- raise ----


@pytest.mark.parametrize("arguments", [{}, {"epochs": 9}, {"shuffle": False, "epochs": 2}], ids=str)
@pytest.mark.parametrize("slices", [None, 2])
def test_raise_leaves_the_state_before_the_step(arguments: dict[str, Any], slices: int | None) -> None:
    step = first_bad_step(network(slices=slices), **arguments)
    model = network(slices=slices)
    with pytest.raises(FloatingPointError) as caught:
        model.fit(X, Y, verbose=0, on_nan="raise", **arguments)
    assert place(step) in str(caught.value)
    assert model.optimizer.iterations == step

    class Stop(nb.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = self.model.optimizer.iterations == step

    wanted = network(slices=slices)
    wanted.fit(X, Y, verbose=0, callbacks=[Stop()], **arguments)
    for a, b in zip(model.get_weights(), wanted.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.isfinite(a).all()


def test_raise_comes_before_the_callbacks_of_the_epoch(tmp_path: Path) -> None:
    """No checkpoint of an epoch that is not finite is written."""
    checkpoint = nb.callbacks.ModelCheckpoint(tmp_path / "model.nbnet", save_freq="epoch")
    with pytest.raises(FloatingPointError):
        network().fit(X, Y, verbose=0, on_nan="raise", callbacks=[checkpoint])
    assert not list(tmp_path.iterdir())


def test_training_goes_on_after_raise() -> None:
    model = network()
    start = model.get_weights()
    with pytest.raises(FloatingPointError):
        model.fit(X, Y, epochs=12, verbose=0, on_nan="raise")
    model.set_weights(start)
    model.optimizer.learning_rate = 1e-3
    history = model.fit(X, Y, epochs=2, verbose=0, on_nan="raise")
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize("given", ["stop", None, True, 3, ["warn"]])
def test_on_nan_is_checked(given: Any) -> None:
    model = network()
    with pytest.raises(ValueError, match="on_nan: expected 'warn', 'raise' or 'ignore', got"):
        model.fit(X, Y, verbose=0, on_nan=given)
    assert model.optimizer.iterations == 0


# ---- streams, steps in Python, callbacks ----


def batches(epochs: int = 9) -> Iterator[tuple[Array, Array]]:
    for _ in range(epochs):
        for start in range(0, 256, 32):
            yield X[start : start + 32], Y[start : start + 32]


def test_a_stream_names_the_batch() -> None:
    model = network()
    (text,), _ = found(model, batches(), None, epochs=3, steps_per_epoch=STEPS)
    assert f"The first loss that is not finite was that of {place(5)}" in text
    assert "Weights that are not finite now: 'hidden/kernel'" in text
    assert "batches of a stream cannot be read again" in text


def test_a_stream_that_raises_leaves_finite_weights() -> None:
    model = network(late())
    with pytest.raises(FloatingPointError, match="cannot be read again"):
        model.fit(batches(20), None, epochs=12, steps_per_epoch=STEPS, verbose=0, on_nan="raise")
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    position = model._train_state.position
    assert position.epoch * STEPS + position.batch == model.optimizer.iterations


class OwnStep(nb.Sequential):
    """A step in Python whose loss is not finite from the third on."""

    count = 0

    def train_step(self, data: Any) -> dict[str, Any]:
        self.count += 1
        return {"loss": 1.0 if self.count < 3 else float("inf")}


@pytest.mark.parametrize("on_nan", finite_watch.CHOICES)
def test_steps_in_python(on_nan: str) -> None:
    model = OwnStep([nb.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    if on_nan == "raise":
        with pytest.raises(FloatingPointError, match="batch 2 of epoch 0"):
            model.fit(X, Y, verbose=0, on_nan="raise")
        return
    texts, history = found(model, on_nan=on_nan, epochs=2)
    assert len(history.epoch) == 2
    assert len(texts) == (on_nan == "warn")
    if texts:
        assert "batch 2 of epoch 0" in texts[0]
        assert "steps in Python are not run again" in texts[0]


def test_terminate_on_nan_prints_it_all(capsys: pytest.CaptureFixture[str]) -> None:
    texts, history = found(network(), epochs=5, callbacks=[nb.callbacks.TerminateOnNaN()])
    assert texts == []
    assert len(history.epoch) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("training stops")
    assert place(5) in second


def test_terminate_on_nan_and_raise() -> None:
    model = network()
    with pytest.raises(FloatingPointError, match=r"step 5 \(batch 5 of epoch 0"):
        model.fit(X, Y, epochs=5, verbose=0, on_nan="raise", callbacks=[nb.callbacks.TerminateOnNaN()])
    assert model.optimizer.iterations == 5


@pytest.mark.parametrize("steps", [None, 4])
def test_rows_of_mapped_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int | None) -> None:
    """Arrays in large mapped files are read again, block by block."""
    monkeypatch.setattr("nbnet.base.array_memory.LARGE", 0)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    step = first_bad_step(network(late()), 40, steps_per_epoch=steps)
    (text,), _ = found(network(late()), mapped, epochs=40, steps_per_epoch=steps)
    assert f"step {step} (" in text


def test_a_layer_within_a_layer() -> None:
    class Block(layers.Layer):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.dense = layers.Dense(3, activation="exponential", name="inside")

        def call(self, x: Any) -> Any:
            return self.dense(x)

    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((4,)), Block(name="block"), layers.Dense(1, name="output")])
    model.compile(SGD(1e-3), "mse")
    (text,), _ = found(model, X * 1000)
    assert "step 0 (" in text
    assert "block/inside" in text


def test_weights_that_do_not_train() -> None:
    """Averages of batch normalization, too, are as before once steps were run again."""
    states = []
    for on_nan in ("ignore", "warn"):
        nb.set_random_seed(0)
        parts = [layers.Dense(8, name="hidden"), layers.BatchNormalization(), layers.Dense(1)]
        model = nb.Sequential([nb.Input((4,)), *parts])
        model.compile(SGD(1e6), "mse")
        texts, _ = found(model, on_nan=on_nan, epochs=3)
        assert len(texts) == (on_nan == "warn")
        states.append(model.get_weights())
    for a, b in zip(*states, strict=True):
        np.testing.assert_array_equal(a, b)


class Growing(layers.Layer):
    """Assigns to one weight; another is not finite from the beginning, which is nobody's fault."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(name="scale", initializer="ones", trainable=False)
        bound = self.add_weight(shape=(2,), name="bound", trainable=False)
        bound.assign([-np.inf, np.inf])

    def call(self, x: Any) -> Any:
        self.scale.assign(self.scale * 1e3)
        return x


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize("kind", ["arrays", "stream", "eager"])
def test_weights_that_a_layer_assigns_to(built: bool, kind: str) -> None:
    parts = [*([nb.Input((4,))] if built else []), layers.Dense(4), Growing(name="growing"), layers.Dense(1)]
    model = nb.Sequential(parts)
    model.compile(SGD(1e-3), "mse", run_eagerly=kind == "eager")
    data = (batches(), None) if kind == "stream" else (X, Y)
    assert found(model, *data, steps_per_epoch=STEPS)[0] == []
    (text,), _ = found(model, *data, epochs=3, steps_per_epoch=STEPS)
    assert text.partition(":")[2].startswith(" weights are not finite")
    assert "layer 'growing'" in text if kind == "arrays" else "'growing/scale'" in text


def test_a_callback_that_changes_the_learning_rate() -> None:
    """Rates of steps, and of dropout, that callbacks have set are those of the steps that are run again."""

    def callbacks(model: nb.Sequential) -> list[Any]:
        def begin(epoch: int, logs: Any) -> None:
            model.optimizer.learning_rate = (1e-3, 1e-2, 3e-2, 1e12)[epoch]
            model.get_layer("drop").rate = 0.1 * epoch

        return [nb.callbacks.LambdaCallback(on_epoch_begin=begin)]

    for share in (0, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(finite_watch, "SHARE", share)
            model = network()
            step = first_bad_step(model, 4, callbacks=callbacks(model))
            model = network()
            (text,), _ = found(model, epochs=4, callbacks=callbacks(model))
            assert place(step) in text
            assert step // STEPS == 3


def test_a_callback_that_changes_weights_makes_no_wrong_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that give other losses when they are run again name no step."""
    monkeypatch.setattr(finite_watch, "SHARE", 10**9)

    def begin(epoch: int, logs: Any) -> None:
        if epoch == 2:
            model.get_layer("output").kernel.assign(np.full((16, 1), np.inf))

    model = network(SGD(1e-3))
    (text,), _ = found(model, epochs=4, callbacks=[nb.callbacks.LambdaCallback(on_epoch_begin=begin)])
    assert text.startswith("epoch 2: loss is ")
    assert "step" not in text.replace("The step and the layer where it began are not known", "").replace(
        "these steps", ""
    )


def test_a_callback_that_changes_the_learning_rate_each_batch() -> None:
    """Such steps are not run again."""

    def begin(batch: int, logs: Any) -> None:
        model.optimizer.learning_rate = 1e-4 * (batch + 1) if batch < 200 else 1.0

    x, y = np.tile(X, (8, 1)), np.tile(Y, (8, 1))
    model = network(SGD(1e-3))
    callbacks = [nb.callbacks.LambdaCallback(on_train_batch_begin=begin)]
    (text,), _ = found(model, x, y, batch_size=8, callbacks=callbacks)
    assert "Weights that are not finite now: 'hidden/kernel'" in text
    assert "a callback changes the learning rate" in text


def test_a_filter_that_makes_errors_of_warnings() -> None:
    model = network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="loss is nan"):
            model.fit(X, Y, verbose=0)
    assert model.optimizer.iterations == STEPS


# ---- labels and inputs that arrays have got since they were checked ----


@pytest.mark.parametrize("on_nan", finite_watch.CHOICES)
def test_labels_that_are_changed_meanwhile(on_nan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels are copied when they come in; here the copy is changed, as an error in the engine would."""
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((4,)), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    made: list[FiniteWatch] = []
    begin = FiniteWatch.begin_epoch

    def spy(self: FiniteWatch, epoch: int) -> None:
        begin(self, epoch)
        if epoch == 1:
            self.loop.source.rows.y[0][77] = 10**7  # type: ignore[attr-defined]
        made.append(self)

    monkeypatch.setattr(FiniteWatch, "begin_epoch", spy)
    labels = rng.integers(0, 3, 256)
    callbacks = [nb.callbacks.Callback()]
    with pytest.raises(ValueError, match=r"y: row 77: expected a number from 0 to 2, got 10000000"):
        model.fit(X, labels, epochs=3, verbose=0, on_nan=on_nan, callbacks=callbacks)
    assert len(made) == 2


def test_inputs_that_are_changed_meanwhile() -> None:
    """The row of x is named."""
    x = X.copy()

    def begin(epoch: int, logs: Any) -> None:
        if epoch == 1:
            x[123, 2] = np.nan

    texts, _ = found(network(SGD(1e-3)), x, epochs=3, callbacks=[nb.callbacks.LambdaCallback(on_epoch_begin=begin)])
    assert len(texts) == 1
    assert "in row 123 of x" in texts[0]


# ---- estimators, and many models ----


def test_inputs_that_are_changed_after_they_were_read() -> None:
    """The first steps were finite then, and would not be when they are run again."""
    x = X.copy()

    def spoil(batch: int, logs: Any) -> None:
        if batch == 5:
            x[:] = np.nan

    callbacks = [nb.callbacks.LambdaCallback(on_train_batch_end=spoil)]
    (text,), _ = found(network(SGD(1e-3)), x, shuffle=False, callbacks=callbacks)
    assert "step 0" not in text
    assert "epoch 0" in text


def test_estimators_warn(recwarn: pytest.WarningsRecorder) -> None:
    warnings.simplefilter("always")
    labels = (Y[:, 0] > 0).astype(int)
    for estimator, y in ((MLPClassifier, labels), (MLPRegressor, Y[:, 0])):
        with pytest.raises(ValueError, match="non-finite parameter weights"):
            estimator(solver="sgd", learning_rate_init=1e30, max_iter=20, random_state=0).fit(X, y)
        texts = [str(one.message) for one in recwarn if one.category is RuntimeWarning]
        assert len(texts) == 1, texts
        assert "step 1 (batch 1 of epoch 0" in texts[0]
        recwarn.clear()


def test_estimators_of_networks_hand_on_nan_on() -> None:
    net = NetRegressor(network, optimizer=SGD(1e10), loss="mse", epochs=2, fit__on_nan="raise")
    with pytest.raises(FloatingPointError, match="layer 'output'"):
        net.fit(X, Y[:, 0])


def test_many_models() -> None:
    models = [network(SGD(1e-3)), network(SGD(1e10))]
    with pytest.warns(RuntimeWarning, match=r"step 1 \(batch 1 of epoch 0"):
        nb.fit_many(models, X, Y, epochs=3, verbose=0)
    assert all(np.isfinite(weight).all() for weight in models[0].get_weights())
    with pytest.raises(FloatingPointError, match="layer 'output'"):
        nb.fit_many([network(SGD(1e-3)), network(SGD(1e10))], X, Y, epochs=3, verbose=0, on_nan="raise")


def test_single_batches_say_nothing() -> None:
    """``train_on_batch`` and ``evaluate`` return the number."""
    model = network(SGD(1e10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses = [model.train_on_batch(X, Y) for _ in range(4)]
        assert not np.isfinite(losses[-1])
        assert not np.isfinite(model.evaluate(X, Y, verbose=0))
