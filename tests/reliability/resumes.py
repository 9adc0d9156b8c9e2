"""Trainings that are interrupted and run again, each compared bit for bit with the same training in one piece.

``python -m tests.reliability.resumes 300 0`` tries 300, drawn with seed 0: of all optimizers, several networks, feeds
and callbacks with a state.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

import nbnet as nb
from nbnet import callbacks as calls
from nbnet.layers import BatchNormalization, Dense, Dropout, GaussianNoise, LayerNormalization
from nbnet.optimizers import schedules

ROWS, WIDTH, SIZE, EPOCHS = 60, 6, 16, 6
rng = np.random.default_rng(5)
X = rng.normal(size=(ROWS, WIDTH)).astype("float32")
X[X < -1] = 0
Y = (X @ rng.normal(size=(WIDTH, 2)) + rng.normal(size=(ROWS, 2))).astype("float32")
XV, YV = X[::2] + 0.1, Y[::2]

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "Adadelta": {"learning_rate": 0.5}, "Adagrad": {"learning_rate": 0.05}, "Adam": {"amsgrad": True},
    "AdamW": {"clipnorm": 0.5}, "Adamax": {"global_clipnorm": 0.5}, "Ftrl": {"learning_rate": 0.05},
    "Lion": {"weight_decay": 0.1}, "Nadam": {}, "RMSprop": {"momentum": 0.5, "centered": True},
    "SGD": {"momentum": 0.9, "nesterov": True, "clipvalue": 0.1},
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "averages": {"use_ema": True, "ema_momentum": 0.8},
    "overwrite": {"use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 3},
    "accumulation": {"gradient_accumulation_steps": 3},
    "schedule": {"learning_rate": schedules.CosineDecay(0.02, 20, warmup_target=0.05, warmup_steps=3)},
}


class Killed(Exception):
    """Stands for the end of a process."""


class Kill(calls.Callback):
    """Ends training after a batch of an epoch, or after the epoch; in epoch -1 never."""

    def __init__(self, epoch: int, batch: int | None) -> None:
        super().__init__()
        self.epoch, self.batch, self.now = epoch, batch, -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.now = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.now, batch) == (self.epoch, self.batch):
            raise Killed

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.batch is None and epoch == self.epoch:
            raise Killed


class Countdown(calls.Callback):
    """A user's callback with a state: halves the learning rate whenever the loss has got worse three times."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.worse = np.array([np.inf]), 0

    def get_state(self) -> dict[str, Any]:
        return {"last": self.last, "worse": self.worse}

    def set_state(self, state: Any) -> None:
        self.last, self.worse = state["last"], state["worse"]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        loss = logs["loss"]
        self.worse += loss > self.last[0]
        self.last = np.array([loss])
        if self.worse >= 3 and self.model.optimizer.schedule is None:
            self.worse = 0
            self.model.optimizer.learning_rate = self.model.optimizer.learning_rate / 2


class Sequence(nb.utils.PyDataset):
    """The rows in batches, by number."""

    def __len__(self) -> int:
        return -(-ROWS // SIZE)

    def __getitem__(self, index: int) -> Any:
        rows = slice(SIZE * index, SIZE * index + SIZE)
        return X[rows], Y[rows]


class Passes:
    """The rows in batches, again in each epoch."""

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, ROWS, SIZE):
            yield X[start : start + SIZE], Y[start : start + SIZE]


def dense() -> nb.Model:
    layers = [Dense(8, "tanh"), BatchNormalization(), Dropout(0.4), Dense(8, "relu"), Dropout(0.2), Dense(2)]
    return nb.Sequential([nb.Input((WIDTH,)), *layers])


def double() -> nb.Model:
    with_noise = [Dense(5, "relu", dtype="float64"), GaussianNoise(0.1, dtype="float64"), Dense(2, dtype="float64")]
    return nb.Sequential([nb.Input((WIDTH,)), *with_noise])


def branches() -> nb.Model:
    x = nb.Input((WIDTH,))
    shared = Dense(6, "relu")
    left, right = Dropout(0.3)(shared(x)), LayerNormalization()(shared(x))
    return nb.Model(x, Dense(2)(nb.layers.concatenate([left, right])))


NETWORKS: dict[str, Callable[[], nb.Model]] = {"dense": dense, "double": double, "branches": branches}


def feed(name: str, folder: Path) -> dict[str, Any]:
    """Return the arguments of fit that give it the data."""
    if name in ("arrays", "unshuffled", "split", "steps"):
        more: dict[str, Any] = {
            "arrays": {}, "unshuffled": {"shuffle": False}, "split": {"validation_split": 0.2},
            "steps": {"steps_per_epoch": 2},
        }[name]  # fmt: skip
        return {"x": X, "y": Y, "batch_size": SIZE, **more}
    if name == "csr":
        return {"x": csr_array(X), "y": Y, "batch_size": SIZE}
    if name == "memmap":
        path = folder / "x.npy"
        if not path.exists():
            np.save(path, X)
        return {"x": np.load(path, mmap_mode="r"), "y": Y, "batch_size": SIZE}
    if name == "generator":
        return {"x": cycle(list(Passes())), "steps_per_epoch": 4}
    return {"x": {"dataset": Sequence, "iterable": Passes}[name]()}


FEEDS = ["arrays", "unshuffled", "split", "steps", "csr", "memmap", "generator", "dataset", "iterable"]


def stateful(name: str, folder: Path, watch: str) -> calls.Callback:
    """Return a callback that remembers something."""
    made: dict[str, Callable[[], calls.Callback]] = {
        "stop": lambda: calls.EarlyStopping(watch, patience=2),
        "best": lambda: calls.EarlyStopping(watch, min_delta=0.01, patience=2, restore_best_weights=True),
        "plateau": lambda: calls.ReduceLROnPlateau(watch, factor=0.5, patience=1, cooldown=1, min_delta=0.02),
        "scheduler": lambda: calls.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        "checkpoint": lambda: calls.ModelCheckpoint(folder / "{epoch}.nbnet", watch, save_best_only=True),
        "often": lambda: calls.ModelCheckpoint(folder / "{epoch}-{batch}.nbnet", save_freq=3),
        "countdown": Countdown,
    }
    return made[name]()


STATEFUL = ["stop", "best", "plateau", "scheduler", "checkpoint", "often", "countdown"]


class Case:
    """One training, drawn at random.

    Parameters
    ----------
    draw
        Source of random choices.
    optimizer, variant
        Names of an optimizer and its options; None to draw them.
    """

    def __init__(self, draw: np.random.Generator, optimizer: str | None = None, variant: str | None = None) -> None:
        self.optimizer = optimizer or str(draw.choice(list(OPTIMIZERS)))
        self.variant = variant or str(draw.choice(list(VARIANTS)))
        self.network, self.feed = str(draw.choice(list(NETWORKS))), str(draw.choice(FEEDS))
        allowed = [n for n in STATEFUL if self.variant != "schedule" or n not in ("plateau", "scheduler")]
        self.names = [str(name) for name in draw.permutation(allowed)[: draw.integers(1, 4)]]
        self.swap = self.variant in ("averages", "overwrite") and bool(draw.integers(2))
        self.place = int(draw.integers(len(self.names) + 2))
        self.save_freq: Any = "epoch" if draw.integers(2) else int(draw.integers(1, 6))
        self.kill = int(draw.integers(4)), None if draw.integers(3) == 0 else int(draw.integers(3))
        self.watch = "val_loss" if draw.integers(2) else "loss"

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in vars(self).items())

    def model(self, seed: int) -> nb.Model:
        nb.set_random_seed(seed)
        made = NETWORKS[self.network]()
        options = OPTIMIZERS[self.optimizer] | VARIANTS[self.variant]
        made.compile(getattr(nb.optimizers, self.optimizer)(**options), "mse", metrics=["mae"])
        return made

    def callbacks(self, folder: Path, backup: Path, kill: Kill) -> list[calls.Callback]:
        chosen = [stateful(name, folder, self.watch) for name in self.names]
        if self.swap:
            chosen.insert(0, calls.SwapEMAWeights(swap_on_epoch=True))
        chosen.insert(min(self.place, len(chosen)), calls.BackupAndRestore(backup, self.save_freq))
        return [*chosen, kill]

    def fit(self, model: nb.Model, folder: Path, seed: int, callbacks: list[calls.Callback]) -> nb.History:
        nb.set_random_seed(seed)
        given = feed(self.feed, folder)
        if "validation_split" not in given:
            given["validation_data"] = XV, YV
        return model.fit(**given, epochs=EPOCHS, verbose=0, callbacks=callbacks)

    def run(self, folder: Path) -> bool:
        """Train in one piece, and interrupted; return True if it was, and raise AssertionError if they differ."""
        whole, files = self.model(1), folder / "whole"
        never = self.callbacks(files, folder / "a", Kill(-1, self.kill[1]))
        expected = self.fit(whole, folder, 2, never)
        killed, parts = True, folder / "parts"
        try:
            self.fit(self.model(1), folder, 2, self.callbacks(parts, folder / "b", Kill(*self.kill)))
            killed = False
        except Killed:
            saved = (folder / "b" / "latest.nbnet").exists()
        # A file has everything but the seeds of a training that did not get to its first file.
        other = 77 if killed and saved else 1
        again = self.model(other)
        callbacks = self.callbacks(parts, folder / "b", Kill(-1, self.kill[1]))
        history = self.fit(again, folder, other + 1, callbacks)
        for a, b in zip(whole.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        states = whole.optimizer.get_state(), again.optimizer.get_state()
        assert states[0].keys() == states[1].keys()
        for name in states[0]:
            np.testing.assert_array_equal(states[0][name], states[1][name], name)
        assert history.epoch == expected.epoch[len(expected.epoch) - len(history.epoch) :]
        for name, values in history.history.items():
            assert values == expected.history[name][len(expected.epoch) - len(history.epoch) :], name
        for mine, other_one in zip(never, callbacks, strict=True):
            for key, value in mine.get_state().items():
                np.testing.assert_array_equal(value, other_one.get_state()[key], f"{mine}: {key}")
        names = [sorted(path.name for path in place.glob("*")) for place in (files, parts)]
        assert names[0] == names[1]
        for name in names[0]:
            assert same_model(nb.load_model(files / name), nb.load_model(parts / name)), name
        return killed


def same_model(first: nb.Model, second: nb.Model) -> bool:
    """Return True if two models have the same weights, bit for bit."""
    return all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("seed", type=int)
    arguments = parser.parse_args()
    draw, resumed, tried, failed = np.random.default_rng(arguments.seed), 0, 0, 0
    optimizers, variants = cycle(OPTIMIZERS), cycle(VARIANTS)
    while resumed < arguments.count:
        case = Case(draw, next(optimizers), next(variants) if tried % 10 else None)
        tried += 1
        with tempfile.TemporaryDirectory() as folder:
            try:
                resumed += case.run(Path(folder))
            except Exception as error:
                failed += 1
                resumed += 1
                print(f"{tried}: {case}\n    {type(error).__name__}: {str(error).strip()[:600]}", flush=True)
    print(f"{resumed} resumed trainings, {failed} of them differ")


if __name__ == "__main__":
    main()
