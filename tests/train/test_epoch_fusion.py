"""Several epochs in one compiled call: the same numbers as epoch by epoch."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet.layers import BatchNormalization, Dense, Dropout
from nbnet.train import epoch_fusion, fit, step_builder
from tests.networks import equal
from tests.slicing import always_cut

rng = np.random.default_rng(3)
X = rng.normal(size=(90, 5)).astype("float32")
LABELS = rng.integers(0, 3, 90)
HELD = X[:40] * 0.5, LABELS[:40]


class Halving(nb.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.1 / (1 + int(step) // 50)


OPTIMIZERS = {
    "adam": lambda: "adam",
    "decay": lambda: nb.optimizers.SGD(nb.optimizers.schedules.ExponentialDecay(0.1, 20, 0.9), momentum=0.9),
    "python schedule": lambda: nb.optimizers.SGD(Halving()),
    "averages": lambda: nb.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=7),
    "accumulated": lambda: nb.optimizers.SGD(0.1, gradient_accumulation_steps=4),
}


def network(optimizer="adam", metrics=("accuracy",)):
    nb.set_random_seed(4)
    layers = [Dense(8, "relu"), BatchNormalization(), Dropout(0.4, name="drop"), Dense(3, "softmax")]
    model = nb.Sequential([nb.Input((5,)), *layers])
    model.compile(OPTIMIZERS[optimizer](), "sparse_categorical_crossentropy", metrics=list(metrics))
    return model


@pytest.fixture
def counted(monkeypatch):
    """How many epochs each burst had; a call has room for five."""
    found, real = [], epoch_fusion._run

    def run(train, evaluate, orders, epochs, *rest):
        found.append(len(epochs))
        return real(train, evaluate, orders, epochs, *rest)

    monkeypatch.setattr(epoch_fusion, "_run", run)
    monkeypatch.setattr(epoch_fusion, "MOST", 5)
    monkeypatch.setattr(epoch_fusion, "CALL_SECONDS", 1e9)
    return found


def alone(monkeypatch, optimizer="adam", metrics=("accuracy",), **arguments):
    """A model that is trained epoch by epoch."""
    model = network(optimizer, metrics)
    with monkeypatch.context() as patch:
        patch.setattr(fit.MultiEpochRunner, "of", lambda *_: None)
        model.fit(X, LABELS, verbose=0, **arguments)
    return model


def assert_same(model, other):
    assert model.history.history == other.history.history
    assert model.history.epoch == other.history.epoch
    assert equal(model.get_weights(), other.get_weights())
    assert model.optimizer.iterations == other.optimizer.iterations
    assert model._train_state.position == other._train_state.position
    for name, state in model.optimizer.state.items():
        np.testing.assert_array_equal(state, other.optimizer.state[name])


@pytest.mark.parametrize(
    ("arguments", "sizes"),
    [
        ({"epochs": 12}, [5, 5]),
        ({"epochs": 12, "batch_size": 90}, [5, 5]),
        ({"epochs": 12, "batch_size": 30, "shuffle": False}, [5, 5]),
        ({"epochs": 9, "validation_split": 0.3}, [5, 3]),
        ({"epochs": 9, "validation_data": HELD, "validation_batch_size": 7}, [5, 3]),
        ({"epochs": 9, "validation_data": HELD, "validation_freq": 2}, [5]),
        ({"epochs": 14, "validation_data": HELD, "validation_freq": [1, 4, 13]}, [5, 5, 3]),
        ({"epochs": 9, "class_weight": {0: 2.0}, "sample_weight": np.linspace(0, 1, 90)}, [5, 3]),
        ({"epochs": 9, "initial_epoch": 2}, [5]),
        # Too few to be worth it.
        ({"epochs": 3}, []),
        # Python has to see each epoch.
        ({"epochs": 9, "steps_per_epoch": 3}, []),
        ({"epochs": 9, "callbacks": [nb.callbacks.TerminateOnNaN()]}, []),
    ],
)
def test_the_same_as_epoch_by_epoch(arguments, sizes, counted, monkeypatch):
    model = network()
    model.fit(X, LABELS, verbose=0, **arguments)
    assert counted == sizes
    assert_same(model, alone(monkeypatch, **arguments))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("slices", [1, 2])
def test_optimizers_and_slices(optimizer, slices, counted, monkeypatch):
    always_cut(monkeypatch, 20)
    monkeypatch.setattr(step_builder, "processors", lambda: slices)
    # The last batch, of ten rows, has one slice.
    arguments = {"epochs": 11, "batch_size": 40, "validation_split": 0.1}
    model = network(optimizer)
    model.fit(X, LABELS, verbose=0, **arguments)
    assert counted == [5, 5]
    assert_same(model, alone(monkeypatch, optimizer, **arguments))


def test_a_schedule_in_python_sees_steps_in_time(counted, monkeypatch):
    """Its table ends before the burst would."""
    monkeypatch.setattr("nbnet.optimizers.schedules.TABLE", 13)
    model = network("python schedule")
    model.fit(X, LABELS, epochs=12, batch_size=30, verbose=0)
    assert counted == [4, 4, 3]
    assert_same(model, alone(monkeypatch, "python schedule", epochs=12, batch_size=30))


def test_metrics_of_the_whole_epoch_need_every_epoch(counted):
    model = network(metrics=[nb.metrics.MeanIoU(3, sparse_y_pred=False)])
    assert len(model.fit(X, LABELS, epochs=6, verbose=0).epoch) == 6
    assert counted == []


def test_masks_are_recorded(counted, monkeypatch):
    model = network()
    masks = model.fit(X, LABELS, epochs=8, record_masks=4, verbose=0).masks
    expected = alone(monkeypatch, epochs=8, record_masks=4).history.masks
    assert counted == [5]
    for (step, found), (other, wanted) in zip(masks, expected, strict=True):
        assert step == other
        np.testing.assert_array_equal(found["drop"], wanted["drop"])


class Heard(nb.callbacks.Callback):
    def __init__(self, spare):
        super().__init__()
        self.spare, self.calls = spare, []

    def spare_epochs(self):
        return self.spare

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(("begin", epoch))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(("end", epoch, logs["loss"]))


@pytest.mark.parametrize(("spare", "sizes"), [(0, []), (1, []), (2, [3, 3, 3]), (3, [4, 4]), (100, [5, 4])])
def test_callbacks_say_how_long_they_can_wait(spare, sizes, counted):
    model, heard = network(), Heard(spare)
    losses = model.fit(X, LABELS, epochs=10, callbacks=[heard], verbose=0).history["loss"]
    assert counted == sizes
    assert heard.calls == [call for k in range(10) for call in (("begin", k), ("end", k, losses[k]))]


@pytest.mark.parametrize("patience", [0, 1, 4, 6])
def test_early_stopping_is_in_time(patience, counted, monkeypatch):
    def stop():
        return nb.callbacks.EarlyStopping("val_loss", patience=patience, min_delta=0.02)

    model, first, second = network(), stop(), stop()
    arguments = {"epochs": 60, "batch_size": 10, "validation_data": HELD}
    model.fit(X, LABELS, verbose=0, callbacks=[first], **arguments)
    other = alone(monkeypatch, callbacks=[second], **arguments)
    assert_same(model, other)
    assert (first.stopped_epoch, first.best_epoch) == (second.stopped_epoch, second.best_epoch)
    assert bool(counted) == (patience > 3)


@pytest.mark.parametrize(
    ("callback", "sizes"),
    [
        (nb.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None), []),
        (nb.callbacks.LambdaCallback(on_test_begin=lambda logs: None), []),
        (nb.callbacks.LambdaCallback(on_train_end=lambda logs: None), [5, 4]),
        (nb.callbacks.Callback(), [5, 4]),
        (nb.callbacks.ReduceLROnPlateau("loss"), []),
    ],
)
def test_who_sees_every_epoch(callback, sizes, counted):
    network().fit(X, LABELS, epochs=10, callbacks=[callback], verbose=0)
    assert counted == sizes


def test_a_stop_of_ones_own_sees_every_epoch(counted):
    class Mine(nb.callbacks.EarlyStopping):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 4

    assert len(network().fit(X, LABELS, epochs=20, callbacks=[Mine(patience=50)], verbose=0).epoch) == 5
    assert counted == []


def test_training_goes_on_behind_a_burst(counted, monkeypatch):
    other, model = alone(monkeypatch, epochs=16), network()
    model.fit(X, LABELS, epochs=7, verbose=0)
    model.fit(X, LABELS, epochs=16, initial_epoch=7, verbose=0)
    assert counted == [5, 5, 4]  # how long an epoch takes is known by then
    assert equal(model.get_weights(), other.get_weights())


def test_other_data_and_settings_later(counted, monkeypatch):
    """A burst runs the programs as they are now."""
    found = []
    for together in (True, False):
        model = network()
        with monkeypatch.context() as patch:
            if not together:
                patch.setattr(fit.MultiEpochRunner, "of", lambda *_: None)
            model.fit(X, LABELS, epochs=8, verbose=0)
            model.get_layer("drop").rate = 0.1
            model.optimizer.learning_rate = 0.5
            model.fit(X[:33], LABELS[:33], epochs=8, batch_size=11, verbose=0)
            model.layers[0].trainable = False
            model.compile("sgd", "sparse_categorical_crossentropy")
            model.fit(X, LABELS, epochs=8, verbose=0)
        found.append(model.get_weights())
    assert len(counted) == 3
    assert equal(*found)
