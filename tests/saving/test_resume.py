"""Training that is interrupted ends with the same weights, bit for bit, as training that is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.callbacks import BackupAndRestore, Callback, ModelCheckpoint
from nbnet.layers import BatchNormalization, Dense, Dropout
from nbnet.optimizers import schedules

rng = np.random.default_rng(5)
X, Y = rng.normal(size=(70, 6)).astype("float32"), rng.normal(size=(70, 2)).astype("float32")
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "Adadelta": {"learning_rate": 0.5},
    "Adafactor": {"learning_rate": 0.1, "use_ema": True},
    "Adagrad": {},
    "Adam": {"amsgrad": True},
    "AdamW": {"clipnorm": 0.5},
    "Adamax": {"global_clipnorm": 0.5},
    "Ftrl": {},
    "Lion": {"weight_decay": 0.1},
    "Nadam": {},
    "RMSprop": {"momentum": 0.5, "centered": True},
    "SGD": {"momentum": 0.9, "nesterov": True, "clipvalue": 0.1},
}


class Killed(Exception):
    """Stands for the end of a process."""


class Kill(Callback):
    """Ends training after so many epochs, or batches of an epoch."""

    def __init__(self, epoch: int, batch: int | None = None) -> None:
        super().__init__()
        self.epoch, self.batch = epoch, batch

    def wants_batches(self, kind: str) -> bool:
        return self.batch is not None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.now = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.now, batch) == (self.epoch, self.batch):
            raise Killed

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.batch is None and epoch == self.epoch:
            raise Killed


def network(optimizer: Any = "adam", seed: int = 1, **compiled: Any) -> nb.Sequential:
    nb.set_random_seed(seed)
    layers = [Dense(8, "tanh"), BatchNormalization(), Dropout(0.4), Dense(8, "relu"), Dropout(0.2), Dense(2)]
    model = nb.Sequential([nb.Input((6,)), *layers])
    model.compile(optimizer, "mse", **compiled)
    return model


def fit(model: nb.Model, epochs: int, seed: int = 2, **more: Any) -> nb.History:
    nb.set_random_seed(seed)
    return model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, **more)


def same(first: nb.Model, second: nb.Model) -> bool:
    assert first.optimizer is not None
    assert second.optimizer is not None
    states = first.optimizer.get_state(), second.optimizer.get_state()
    return all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True)) and all(
        np.array_equal(states[0][name], states[1][name]) for name in states[0] | states[1]
    )


def make(name: str, **more: Any) -> Any:
    return getattr(nb.optimizers, name)(**OPTIMIZERS[name] | more)


def test_every_optimizer_is_here() -> None:
    assert set(OPTIMIZERS) == {
        name
        for name in nb.optimizers.__all__
        if isinstance(thing := getattr(nb.optimizers, name), type) and thing is not nb.optimizers.Optimizer
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_load_and_go_on(name: str, tmp_path: Path) -> None:
    whole, first = network(make(name)), network(make(name))
    fit(whole, 4)
    fit(first, 2)
    assert not same(whole, first)
    first.save(tmp_path / "m.nbnet")
    nb.set_random_seed(99)
    again = nb.load_model(tmp_path / "m.nbnet")
    assert same(first, again)
    fit(again, 4, initial_epoch=2)
    assert same(whole, again)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: nb.optimizers.Adam(schedules.CosineDecay(0.01, 12, warmup_target=0.05, warmup_steps=3)),
        lambda: nb.optimizers.Nadam(gradient_accumulation_steps=3),
        lambda: nb.optimizers.SGD(schedules.PiecewiseConstantDecay([3, 7], [0.1, 0.05, 0.01]), momentum=0.5),
    ],
    ids=["cosine", "accumulation", "piecewise"],
)
def test_schedules_and_accumulation_go_on(optimizer: Any, tmp_path: Path) -> None:
    whole, first = network(optimizer()), network(optimizer())
    fit(whole, 4)
    fit(first, 1)
    first.save(tmp_path / "m.nbnet")
    again = nb.load_model(tmp_path / "m.nbnet")
    fit(again, 4, initial_epoch=1)
    assert same(whole, again)


def test_weights_that_do_not_decay(tmp_path: Path) -> None:
    def model() -> nb.Sequential:
        made = network(nb.optimizers.AdamW(0.01, weight_decay=0.5))
        assert made.optimizer is not None
        made.optimizer.exclude_from_weight_decay(var_names=["bias", "gamma"])
        return made

    whole, first = model(), model()
    fit(whole, 3)
    fit(first, 1)
    first.save(tmp_path / "m.nbnet")
    again = nb.load_model(tmp_path / "m.nbnet")
    fit(again, 3, initial_epoch=1)
    assert same(whole, again)


def test_float64(tmp_path: Path) -> None:
    def model() -> nb.Sequential:
        nb.set_random_seed(3)
        made = nb.Sequential([nb.Input((6,)), Dense(4, dtype="float64"), Dropout(0.5, dtype="float64"),
                              Dense(2, dtype="float64")])  # fmt: skip
        made.compile("adam", "mse")
        return made

    whole, first = model(), model()
    fit(whole, 3)
    fit(first, 1)
    first.save(tmp_path / "m.nbnet")
    again = nb.load_model(tmp_path / "m.nbnet")
    assert again.dtype == np.float64
    fit(again, 3, initial_epoch=1)
    assert same(whole, again)


def test_a_training_goes_on_in_the_same_process() -> None:
    whole, parts = network(), network()
    fit(whole, 5)
    for first, last in ((0, 2), (2, 3), (3, 5)):
        fit(parts, last, initial_epoch=first)
    assert same(whole, parts)


def test_a_new_training_has_new_orders() -> None:
    model = network()
    fit(model, 2)
    key = model._train_state.position.key
    fit(model, 2, seed=3)
    assert model._train_state.position.key != key
    fit(model, 9, initial_epoch=7)  # not where the last one ended
    assert (model._train_state.position.epoch, model._train_state.position.batch) == (9, 0)


def test_checkpoints_of_averages_go_on(tmp_path: Path) -> None:
    """At the end of fit weights become their averages; a file that was written before then has both."""
    whole, first = (network(nb.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)) for _ in range(2))
    fit(whole, 4)
    fit(first, 2, callbacks=[ModelCheckpoint(tmp_path / "{epoch}.nbnet")])
    again = nb.load_model(tmp_path / "2.nbnet")
    fit(again, 4, initial_epoch=2)
    assert same(whole, again)


@pytest.mark.parametrize("name", ["Adam", "Nadam", "SGD"])
@pytest.mark.parametrize(("save_freq", "kill"), [("epoch", (1, None)), (2, (2, 3)), (1, (0, 0)), (3, (1, 4))])
def test_a_killed_training_runs_again(name: str, save_freq: Any, kill: Any, tmp_path: Path) -> None:
    whole = network(make(name))
    fit(whole, 4)
    killed = network(make(name))
    with pytest.raises(Killed):
        fit(killed, 4, callbacks=[BackupAndRestore(tmp_path / "b", save_freq), Kill(*kill)])
    assert (tmp_path / "b" / "latest.nbnet").exists()
    again = network(make(name))
    history = fit(again, 4, callbacks=[BackupAndRestore(tmp_path / "b", save_freq)])
    assert same(whole, again)
    assert history.epoch[-1] == 3
    assert not (tmp_path / "b" / "latest.nbnet").exists()


def test_a_killed_training_needs_no_seed(tmp_path: Path) -> None:
    """Weights, orders and masks come from the file, whatever the second process started with."""
    whole = network()
    fit(whole, 3)
    with pytest.raises(Killed):
        fit(network(), 3, callbacks=[BackupAndRestore(tmp_path), Kill(0)])
    again = network(seed=77)
    fit(again, 3, seed=78, callbacks=[BackupAndRestore(tmp_path)])
    assert same(whole, again)
    after = nb.random.next_key()
    fit(network(), 3)
    assert nb.random.next_key() == after


def test_programs_written_before_are_not_used(tmp_path: Path) -> None:
    """Keys of masks stand in programs."""
    whole = network()
    fit(whole, 3)
    with pytest.raises(Killed):
        fit(network(), 3, callbacks=[BackupAndRestore(tmp_path), Kill(0)])
    again = network(seed=5)
    fit(again, 1, seed=6)
    fit(again, 3, seed=7, callbacks=[BackupAndRestore(tmp_path)])
    assert same(whole, again)


def test_a_backup_of_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fit(network(), 3, callbacks=[BackupAndRestore(tmp_path), Kill(0)])
    other = nb.Sequential([nb.Input((6,)), Dense(2)])
    other.compile("adam", "mse")
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"latest\.nbnet: "):
        fit(other, 3, callbacks=[BackupAndRestore(tmp_path)])
    assert all(np.array_equal(a, b) for a, b in zip(before, other.get_weights(), strict=True))
    momentum = network(nb.optimizers.SGD(momentum=0.5))
    with pytest.raises(ValueError, match=r"latest\.nbnet: .*slots"):
        fit(momentum, 3, callbacks=[BackupAndRestore(tmp_path)])


def test_a_loop_of_ones_own_goes_on(tmp_path: Path) -> None:
    class Mine(nb.Model):
        def train_step(self, data: Any) -> Any:
            x, y = data
            with nb.Tape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            assert self.optimizer is not None
            self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
            return {"loss": loss}

    def model() -> nb.Model:
        nb.set_random_seed(4)
        x = nb.Input((6,))
        made = Mine(x, Dense(2)(Dropout(0.5)(Dense(8, "relu")(x))))
        made.compile("adam", "mse")
        return made

    whole, killed = model(), model()
    fit(whole, 3)
    with pytest.raises(Killed):
        fit(killed, 3, callbacks=[BackupAndRestore(tmp_path, 2), Kill(1, 2)])
    again = model()
    fit(again, 3, callbacks=[BackupAndRestore(tmp_path, 2)])
    assert same(whole, again)


class Sequence(nb.utils.PyDataset):
    """The rows in batches."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Any:
        rows = slice(16 * index, 16 * index + 16)
        return X[rows], Y[rows]


@pytest.mark.parametrize(("save_freq", "kill"), [("epoch", (1, None)), (2, (2, 3))])
def test_batches_as_they_come_go_on(save_freq: Any, kill: Any, tmp_path: Path) -> None:
    def stream(model: nb.Model, *callbacks: Callback) -> None:
        nb.set_random_seed(2)
        model.fit(Sequence(), epochs=4, verbose=0, callbacks=list(callbacks))

    whole = network()
    stream(whole)
    with pytest.raises(Killed):
        stream(network(), BackupAndRestore(tmp_path, save_freq), Kill(*kill))
    again = network()
    stream(again, BackupAndRestore(tmp_path, save_freq))
    assert same(whole, again)


def test_the_record_says_where_training_stands(tmp_path: Path) -> None:
    from safetensors import safe_open

    model = network(nb.optimizers.SGD(0.1, momentum=0.9))
    fit(model, 2)
    model.save(tmp_path / "m.nbnet")
    with safe_open(tmp_path / "m.nbnet", "np") as file:
        record = json.loads(file.metadata()["nbnet"])
    state = record["training"]
    assert (state["epoch"], state["batch"], state["iterations"]) == (2, 0, 10)
    assert state["slots"] == ["momentum"]
    assert list(state["random"]) == ["dropout", "dropout_1"]
    assert state["key"] == model._train_state.position.key
