"""Models as subclasses: layers in attributes, `call`, and steps of one's own."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet.layers import BatchNormalization, Dense, Dropout, Embedding
from nbnet.train.python_runner import pack_x_y_sample_weight, unpack_x_y_sample_weight
from tests.networks import LABELS, SCCE, X, equal

rng = np.random.default_rng(2)
TARGETS = rng.normal(size=(60, 1)).astype("float32")


class Net(nb.Model):
    """Layers as an attribute, in a list and in a dict; it forgets to hand `training` on."""

    def __init__(self, rate=0.5, **kwargs):
        super().__init__(**kwargs)
        self.first = Dense(8, "relu", name="first")
        self.middle = [Dropout(rate, seed=1, name="drop"), BatchNormalization(name="norm")]
        self.last = {"out": Dense(3, "softmax", name="out")}

    def call(self, inputs, training=None):
        x = self.first(inputs)
        for layer in self.middle:
            x = layer(x)
        return self.last["out"](x)


def twin():
    return nb.Sequential(
        [
            nb.Input((4,)),
            Dense(8, "relu", name="first"),
            Dropout(0.5, seed=1, name="drop"),
            BatchNormalization(name="norm"),
            Dense(3, "softmax", name="out"),
        ]
    )


# ---- call ----------------------------------------------------------------------------------------------------


def test_layers_are_found_in_attributes_lists_and_dicts():
    model = Net()
    assert [layer.name for layer in model.layers] == ["first", "drop", "norm", "out"]
    assert model.get_layer("norm") is model.middle[1]
    assert not model.built
    with pytest.raises(AttributeError, match="is not built"):
        _ = model.input_shape
    model(X)
    assert model.built
    assert len(model.weights) == 8
    assert len(model.trainable_weights) == 6
    model.trainable = False
    assert model.trainable_weights == []
    assert not model.last["out"].trainable


def test_a_subclass_is_its_stack_bit_for_bit():
    model, stack = Net(), twin()
    model(X)
    model.set_weights(stack.get_weights())
    logs = []
    for one in (model, stack):
        nb.set_random_seed(6)
        one.compile("adam", SCCE, metrics=["accuracy"])
        logs.append(one.fit(X, LABELS, 16, 3, validation_split=0.2, verbose=0).history)
    assert logs[0] == logs[1]
    assert equal(model.get_weights(), stack.get_weights())
    np.testing.assert_array_equal(model.predict(X), stack.predict(X))
    np.testing.assert_array_equal(model(X).numpy(), stack(X).numpy())
    np.testing.assert_array_equal(model(X, training=True).numpy() == 0, model(X, training=True).numpy() == 0)


@pytest.mark.parametrize("use", ["fit", "predict", "evaluate", "train_on_batch", "call"])
def test_the_first_use_builds(use):
    model = Net()
    model.compile("sgd", SCCE)
    if use == "call":
        model(X)
    elif use == "predict":
        assert model.predict(X).shape == (60, 3)
    elif use == "train_on_batch":
        model.train_on_batch(X, LABELS)
    else:
        getattr(model, use)(X, LABELS, verbose=0)
    assert model.built
    assert model.input_shape == (None, 4)
    assert model.output_shape == (None, 3)
    with pytest.raises(ValueError, match="x: expected 4 columns, got 3"):
        model.predict(X[:, :3])


def test_several_inputs_and_outputs():
    class Two(nb.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense, self.table = Dense(2, name="dense"), Embedding(5, 2, name="table")

        def call(self, inputs):
            a = self.dense(inputs["a"])
            return {"sum": a + nb.ops.sum(self.table(inputs["ids"]), axis=1), "plain": a}

    model = Two()
    data = {"a": X, "ids": rng.integers(0, 5, (60, 3))}
    model.compile("sgd", {"sum": "mse"}, metrics={"plain": ["mae"]})
    y = {"sum": X[:, :2], "plain": X[:, 2:]}
    logs = model.fit(data, y, epochs=2, verbose=0).history
    assert list(logs) == ["loss", "plain_mae"]
    made = model.predict(data)
    eager = model(data)
    assert list(made) == ["sum", "plain"]
    for name in made:
        np.testing.assert_allclose(made[name], eager[name].numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"x\['ids'\]: expected numbers from 0 to 4"):
        model.predict(data | {"ids": data["ids"] + 5})

    class Listed(nb.Model):
        def call(self, inputs):
            a, b = inputs
            return [a + b, a - b]

    first, second = Listed().predict([X, X])
    np.testing.assert_array_equal(first, 2 * X)
    assert not second.any()
    listed = Listed()
    listed.predict([X, X])
    assert listed.output_names == ["output_1", "output_2"]


def test_a_subclass_as_a_layer():
    x = nb.Input((4,))
    inner = Net(rate=0.0, name="net")
    model = nb.Model(x, Dense(2, name="head")(inner(x)))
    assert model.output_shape == (None, 2)
    assert model.layers[1] is inner
    assert len(model.weights) == 10
    np.testing.assert_allclose(model.predict(X), model(X).numpy(), rtol=1e-5, atol=1e-6)

    class Outer(nb.Model):
        def __init__(self):
            super().__init__()
            self.parts = (inner, nb.Sequential([Dense(2, name="inside")]))

        def call(self, x):
            for part in self.parts:
                x = part(x)
            return x

    outer = Outer()
    assert outer.predict(X).shape == (60, 2)
    assert len(outer.weights) == 10


def test_arguments_beside_the_inputs():
    class Scaled(nb.layers.Layer):
        def call(self, x, other, factor=1.0, training=False):
            return x * factor + other + (100.0 if training else 0.0)

    layer = Scaled()
    np.testing.assert_allclose(layer(X, X, factor=2.0).numpy(), 3 * X, rtol=1e-6)
    np.testing.assert_allclose(layer(X, other=X, training=True).numpy(), 2 * X + 100, rtol=1e-6)
    np.testing.assert_allclose(layer(X, X, 2.0, True).numpy(), 3 * X + 100, rtol=1e-6)
    a, b = nb.Input((4,)), nb.Input((4,))
    model = nb.Model([a, b], layer(a, other=b, factor=3.0))
    np.testing.assert_allclose(model.predict([X, X]), 4 * X, rtol=1e-6)


def test_what_call_returns_is_checked():
    class Wrong(nb.Model):
        def call(self, x):
            return 3.0

    with pytest.raises(TypeError, match="call must return tensors with a row for each sample"):
        Wrong().predict(X)


# ---- steps of one's own --------------------------------------------------------------------------------------


class Custom(nb.Model):
    """Keras's example of a step of one's own."""

    def train_step(self, data):
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with nb.Tape(step=self.optimizer.iterations) as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred, sample_weight=sample_weight)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=len(x))
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


def custom(cls=Custom, **compile_args):
    x = y = nb.Input((4,))
    for layer in (Dense(8, "relu"), Dropout(0.4, seed=1), Dense(3, "softmax")):
        y = layer(y)
    model = cls(x, y)
    model.set_weights([w * 0 + 0.1 * np.cos(np.arange(w.size)).reshape(w.shape) for w in model.get_weights()])
    model.compile(nb.optimizers.Adam(), SCCE, metrics=["accuracy"], **compile_args)
    return model


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2, 60)], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", ["custom", "eagerly"])
def test_a_step_of_ones_own_is_the_compiled_one(kind, weights):
    model = custom() if kind == "custom" else custom(nb.Model, run_eagerly=True)
    compiled, logs = custom(nb.Model), []
    for one in (model, compiled):
        nb.set_random_seed(8)
        logs.append(one.fit(X, LABELS, 16, 3, validation_data=(X, LABELS), sample_weight=weights, verbose=0).history)
    assert list(logs[0]) == list(logs[1]) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    for name, values in logs[1].items():
        np.testing.assert_allclose(logs[0][name], values, rtol=1e-4, atol=1e-6)
    for got, expected in zip(model.get_weights(), compiled.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    assert model.optimizer.iterations == compiled.optimizer.iterations == 12


def test_logs_reach_callbacks_and_history():
    seen = []

    class Watch(nb.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append((batch, sorted(logs)))

    model = custom()
    history = model.fit(X, LABELS, 30, 2, callbacks=[Watch()], verbose=0)
    assert seen == [(0, ["accuracy", "loss"]), (1, ["accuracy", "loss"])] * 2
    assert list(history.history) == ["loss", "accuracy"]
    assert model.metrics_names == ["loss", "compile_metrics"]
    model.reset_metrics()
    assert model.metrics[0].result() == 0


def test_a_step_without_a_compiled_loss():
    """A model that does all by itself: its own loss and metric, and no targets."""

    class Autoencoder(nb.Model):
        def __init__(self):
            super().__init__()
            self.coder, self.tracker = Dense(4, name="coder"), nb.metrics.Mean("reconstruction")

        def call(self, x):
            return self.coder(x)

        def train_step(self, data):
            with nb.Tape() as tape:
                loss = nb.ops.mean(nb.ops.square(self(data, training=True) - data))
            self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
            self.tracker.update_state(loss)
            return {"reconstruction": self.tracker.result(), "last": loss, "inner": {"one": 1}}

        @property
        def metrics(self):
            return [self.tracker]

    model = Autoencoder()
    model.compile(optimizer=nb.optimizers.Adam(0.05))
    logs = model.fit(X, epochs=30, verbose=0).history
    assert list(logs) == ["reconstruction", "last", "one"]
    assert logs["reconstruction"][-1] < 0.3 * logs["reconstruction"][0]
    with pytest.raises(ValueError, match="there is no loss: compile"):
        model.evaluate(X, verbose=0)


def test_targets_of_ones_own_keep_their_kind():
    kinds = []

    class Looks(nb.Model):
        def call(self, x):
            return x

        def train_step(self, data):
            x, y, w = data
            kinds.append((x.dtype, y["a"].dtype, y["b"].dtype, y["b"].shape, w.shape))
            return {"seen": len(x)}

    model = Looks()
    model.compile("sgd")
    model.fit(X, {"a": LABELS, "b": X[:, 0]}, 40, sample_weight=np.ones(60), shuffle=False, verbose=0)
    assert kinds == [(np.float32, np.int64, np.float32, (n,), (n,)) for n in (40, 20)]


def test_test_step_and_predict_step():
    class Mine(Custom):
        def test_step(self, data):
            x, y = data
            y_pred = self(x, training=False)
            self.compute_metrics(x, y, y_pred)
            return {"accuracy": self.metrics[1].result()["accuracy"], "rows": len(x)}

        def predict_step(self, data):
            return self(data) * 2.0

    model, plain = custom(Mine), custom(nb.Model)
    found = model.evaluate(X, LABELS, 25, 0, return_dict=True)
    exact = plain.evaluate(X, LABELS, verbose=0, return_dict=True)
    assert found == {"accuracy": pytest.approx(exact["accuracy"]), "rows": 10.0}
    np.testing.assert_allclose(model.predict(X, 25), 2 * plain.predict(X), rtol=1e-5)
    assert list(model.fit(X, LABELS, validation_data=(X, LABELS), verbose=0).history)[-2:] == [
        "val_accuracy",
        "val_rows",
    ]


def test_a_custom_step_of_several_outputs():
    x = nb.Input((4,))
    histories = []
    for cls in (Custom, nb.Model):
        nb.set_random_seed(1)
        model = cls(x, [Dense(1, name=f"a{cls.__name__}")(x), Dense(3, "softmax", name="b")(x)])
        model.compile("sgd", ["mse", SCCE], loss_weights=[0.5, 1.0], metrics=[["mae"], ["accuracy"]])
        histories.append(model.fit(X, [TARGETS, LABELS], shuffle=False, verbose=0).history)
    custom_logs, compiled_logs = histories
    assert custom_logs["b_accuracy"] == pytest.approx(compiled_logs["b_accuracy"])
    assert custom_logs["loss"] == pytest.approx(compiled_logs["loss"], rel=1e-5)
    assert custom_logs["aCustom_mae"] == pytest.approx(compiled_logs["aModel_mae"], rel=1e-5)


@pytest.mark.parametrize("data", [1.0, (1.0,), (1.0, 2.0), (1.0, 2.0, 3.0)])
def test_packing(data):
    x, y, w = unpack_x_y_sample_weight(data)
    assert (x, y, w) == ((*data, None, None) if isinstance(data, tuple) else (data, None, None))[:3]
    assert pack_x_y_sample_weight(x, y, w) == (1.0 if data == (1.0,) else data)
    with pytest.raises(ValueError, match="data: expected"):
        unpack_x_y_sample_weight((1, 2, 3, 4))


def test_steps_that_return_no_dict():
    class Wrong(Custom):
        def train_step(self, data):
            return 3.0

    with pytest.raises(TypeError, match="return a dict of numbers, got float"):
        custom(Wrong).fit(X, LABELS, verbose=0)


@pytest.mark.parametrize("stream", [False, True])
def test_a_step_that_stops_training(stream):
    class Once(Custom):
        def train_step(self, data):
            self.stop_training = True
            return super().train_step(data)

    model = custom(Once)
    model.jit_compile = False
    size = len(X) // 4
    batches = [(X[k * size : (k + 1) * size], LABELS[k * size : (k + 1) * size]) for k in range(4)]
    if stream:
        model.fit(iter(batches), verbose=0)
    else:
        model.fit(X, LABELS, size, verbose=0)
    assert model.optimizer.iterations == 1


def test_a_model_that_only_trains_others():
    """Keras's adversarial nets: no call, two optimizers."""

    class Pair(nb.Model):
        def __init__(self, judge, maker):
            super().__init__()
            self.judge, self.maker, self.tracker = judge, maker, nb.metrics.Mean("judge_loss")

        def compile(self, judge_optimizer, maker_optimizer, loss):
            super().compile()
            self.optimizers, self.loss_of = (judge_optimizer, maker_optimizer), loss

        @property
        def metrics(self):
            return [self.tracker]

        def train_step(self, data):
            noise = np.ones((len(data), 2), "float32")
            with nb.Tape() as tape:
                both = nb.ops.concatenate([self.maker(noise), data], axis=0)
                loss = self.loss_of(np.repeat([[1.0], [0.0]], len(data), axis=0), self.judge(both))
            weights = self.judge.trainable_weights
            self.optimizers[0].apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            with nb.Tape() as tape:
                fooled = self.loss_of(np.zeros((len(data), 1)), self.judge(self.maker(noise)))
            weights = self.maker.trainable_weights
            self.optimizers[1].apply(tape.gradient(fooled, weights), weights)
            self.tracker.update_state(loss)
            return {"judge_loss": self.tracker.result()}

    judge, maker = nb.Sequential([Dense(8, "relu"), Dense(1, "sigmoid")]), nb.Sequential([nb.Input((2,)), Dense(4)])
    model = Pair(judge, maker)
    model.compile(nb.optimizers.Adam(0.01), nb.optimizers.Adam(0.01), nb.losses.BinaryCrossentropy())
    before = maker.get_weights()
    logs = model.fit(X, epochs=10, batch_size=20, verbose=0).history
    assert logs["judge_loss"][-1] < logs["judge_loss"][0]
    assert not equal(before, maker.get_weights())
    assert len(model.weights) == 6


def test_losses_that_layers_add():
    class Coder(nb.Model):
        def __init__(self):
            super().__init__()
            self.coder, self.decoder = Dense(2, name="coder"), Dense(4, name="decoder")

        def call(self, x):
            code = self.coder(x)
            self.add_loss(nb.ops.mean(nb.ops.square(code)))
            return self.decoder(code)

    logs, weights = [], None
    for arguments in ({"loss": "mse"}, {"loss": "mse", "run_eagerly": True}):
        model = Coder()
        model(X)
        weights = model.get_weights() if weights is None else weights
        model.set_weights(weights)
        model.compile(nb.optimizers.SGD(0.1), **arguments)
        logs.append(model.fit(X, X, 20, 2, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(logs[0], logs[1], rtol=1e-5)
    alone = Coder()
    alone.compile(nb.optimizers.SGD(0.1))
    losses = alone.fit(X, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_attributes_that_refer_to_each_other():
    layer, model = Dense(2, name="d"), Net()
    layer.owner = model
    model.extra = layer
    assert [part.name for part in model.layers][-1] == "d"
    model(X)
    assert len(model.weights) == 8


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], LABELS * 1.0], ids=["flat", "column", "floats"])
def test_targets_become_what_losses_of_ones_own_read(labels):
    scce, mse = nb.losses.SparseCategoricalCrossentropy(), nb.losses.MeanSquaredError()

    class Two(Net):
        def train_step(self, data):
            x, y = data
            y_pred = self(x)
            total, accuracy = nb.ops.sum(y_pred, axis=1, keepdims=True), nb.metrics.SparseCategoricalAccuracy()
            return {"scce": scce(y, y_pred), "mse": mse(y, total), "accuracy": accuracy(y, y_pred)}

    model = Two()
    model.compile()
    logs = model.fit(X, labels, 60, shuffle=False, verbose=0).history
    p = model.predict(X)
    assert logs["scce"][0] == pytest.approx(-np.log(p[np.arange(60), LABELS]).mean(), rel=1e-4)
    assert logs["mse"][0] == pytest.approx(((1 - LABELS) ** 2).mean(), rel=1e-5)
    assert logs["accuracy"][0] == pytest.approx((p.argmax(1) == LABELS).mean())


# ---- weights that a call assigns -----------------------------------------------------------------------------


class Counted(nb.layers.Layer):
    """Multiplies by the number of its calls, and keeps the sum of its inputs."""

    def __init__(self):
        super().__init__()
        self.calls = self.add_weight((), "zeros", trainable=False, name="calls")
        self.total = self.add_weight((4,), "zeros", trainable=False, name="total")

    def call(self, x):
        self.calls.assign_add(1)
        self.total.assign(self.total + nb.ops.sum(x, axis=0))
        self.total.assign_sub(nb.ops.ones(4))
        return x * self.calls


def counting(eager):
    x = nb.Input((4,))
    model = nb.Model(x, Dense(1, kernel_initializer="ones")(nb.layers.Dropout(0.5, seed=3)(Counted()(x))))
    model.compile(nb.optimizers.SGD(1e-3), "mse", run_eagerly=eager)
    return model


def test_a_call_assigns_weights_in_every_step():
    """The compiled step as the one in Python: what is read after an assignment is the new value, gradients see the
    value that the call read, and a model that is defined, or whose shapes are inferred, assigns nothing."""
    found = []
    for eager in (False, True):
        model = counting(eager)
        counted, seen = model.layers[1], []
        assert counted.calls.numpy() == 0
        history = model.fit(X[:32], X[:32, :1], batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]
        seen += [*history, counted.calls.numpy(), *counted.total.numpy(), *model.get_weights()[0].ravel()]
        seen += [model.evaluate(X[:32], X[:32, :1], batch_size=8, verbose=0), counted.calls.numpy()]
        seen += [*model.predict(X[:32], batch_size=8, verbose=0).ravel(), counted.calls.numpy()]
        found.append(seen)
    np.testing.assert_allclose(*found, rtol=1e-5)
    assert found[0][2] == 8
    assert float(counted.calls.assign(3.0)) == 3.0
    assert float(counted.calls.assign_sub(1.0)) == 2.0
    with pytest.raises(ValueError, match=r"do not broadcast"):
        nb.Model(nb.Input((3,)), Counted()(nb.Input((3,))))
