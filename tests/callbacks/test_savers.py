"""ModelCheckpoint, BackupAndRestore and SwapEMAWeights."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.callbacks import BackupAndRestore, Callback, ModelCheckpoint, SwapEMAWeights

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3)).astype("float32")
Y = X @ np.array([[1.0], [-2.0], [0.5]], "float32")


def model(optimizer: Any = "sgd") -> nb.Sequential:
    nb.set_random_seed(1)
    made = nb.Sequential([nb.Input((3,)), nb.layers.Dense(1)])
    made.compile(optimizer, "mse")
    return made


def fit(made: nb.Model, *callbacks: Callback, epochs: int = 3, **more: Any) -> nb.History:
    return made.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, callbacks=list(callbacks), **more)


class Weights(Callback):
    """Notes the kernel at every hook."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, Any]] = []

    def _note(self, hook: str) -> None:
        self.seen.append((hook, self.model.get_weights()[0].copy()))

    def on_test_begin(self, logs: Any = None) -> None:
        self._note("test")

    def on_test_end(self, logs: Any = None) -> None:
        self._note("tested")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._note("epoch")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._note("ended")


class Logs(Callback):
    """Puts numbers into the logs, before the callbacks after it."""

    def __init__(self, **values: list[float]) -> None:
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs.update({name: values[epoch] for name, values in self.values.items()})


# ---- ModelCheckpoint ----


def test_names_of_files(tmp_path: Path) -> None:
    keep = ModelCheckpoint(tmp_path / "deep" / "m-{epoch:02d}-{val_loss:.2f}.nbnet")
    fit(model(), Logs(val_loss=[0.5, 0.25, 0.125]), keep)
    assert sorted(os.listdir(tmp_path / "deep")) == ["m-01-0.50.nbnet", "m-02-0.25.nbnet", "m-03-0.12.nbnet"]
    assert nb.load_model(tmp_path / "deep" / "m-02-0.25.nbnet")._train_state.position.epoch == 2


@pytest.mark.parametrize(
    ("monitor", "mode", "threshold", "saved"),
    [
        ("val_loss", "auto", None, [0, 2, 4]),
        ("val_loss", "min", None, [0, 2, 4]),
        ("val_loss", "max", None, [0, 1]),
        ("val_loss", "auto", 2.5, [4]),
        ("val_accuracy", "auto", None, [0, 1]),
        ("val_accuracy", "max", 10.0, []),
    ],
)
def test_only_the_best(monitor: str, mode: str, threshold: float | None, saved: list[int], tmp_path: Path) -> None:
    values = [3.0, 4.0, 2.75, 3.5, 1.0]
    keep = ModelCheckpoint(
        tmp_path / "{epoch}.nbnet", monitor, save_best_only=True, mode=mode, initial_value_threshold=threshold
    )
    fit(model(), Logs(**{monitor: values}), keep, epochs=5)
    assert sorted(os.listdir(tmp_path)) == [f"{epoch + 1}.nbnet" for epoch in saved]


def test_the_best_of_what_is_not_there(tmp_path: Path) -> None:
    keep = ModelCheckpoint(tmp_path / "m.nbnet", "val_nothing", save_best_only=True, mode="min")
    with pytest.warns(UserWarning, match="val_nothing"):
        fit(model(), keep, epochs=1)
    guesses = ModelCheckpoint(tmp_path / "n.nbnet", "val_nothing", save_best_only=True)
    for callback in (guesses, nb.callbacks.EarlyStopping("val_nothing")):
        with pytest.raises(ValueError, match=r"monitor: expected an entry of the logs, .* got 'val_nothing'"):
            fit(model(), callback, epochs=1)
    assert [file.name for file in tmp_path.iterdir()] == ["m.nbnet"]
    keep = ModelCheckpoint(tmp_path / "m.nbnet", "val_loss", save_best_only=True)
    fit(model(), Logs(val_loss=[math.nan, 2.0]), keep, epochs=2)
    assert nb.load_model(tmp_path / "m.nbnet")._train_state.position.epoch == 2


@pytest.mark.parametrize("name", ["m.weights.nbnet", "m.safetensors"])
def test_weights_only(name: str, tmp_path: Path) -> None:
    made = model()
    fit(made, ModelCheckpoint(tmp_path / name, save_weights_only=True))
    again = model()
    again.load_weights(tmp_path / name)
    np.testing.assert_array_equal(again.get_weights()[0], made.get_weights()[0])


def test_every_so_many_batches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Five batches an epoch: those of two epochs are counted on."""
    fit(model(), ModelCheckpoint(tmp_path / "{epoch}-{batch}.nbnet", verbose=1, save_freq=3), epochs=2)
    assert sorted(os.listdir(tmp_path)) == ["1-3.nbnet", "2-1.nbnet", "2-4.nbnet"]
    assert capsys.readouterr().out.startswith("Epoch 1: saved to ")
    found = nb.load_model(tmp_path / "2-4.nbnet")
    assert (found._train_state.position.epoch, found._train_state.position.batch) == (1, 4)


def test_arguments_of_checkpoints(tmp_path: Path) -> None:
    for path, more in (
        ("m.tf", {}),
        ("m.keras", {"save_weights_only": 1}),
        ("m.safetensors", {}),
        ("m.h5", {"save_weights_only": 1}),
    ):
        with pytest.raises(ValueError, match="filepath: expected a name that ends in"):
            ModelCheckpoint(tmp_path / path, **more)  # type: ignore[arg-type]
    for frequency in (0, -1, 1.5, True, "batch"):
        with pytest.raises(ValueError, match="save_freq"):
            ModelCheckpoint(tmp_path / "m.nbnet", save_freq=frequency)
    with pytest.warns(UserWarning, match="mode: expected .* got 'best'; 'auto' is taken"):
        assert ModelCheckpoint(tmp_path / "m.nbnet", mode="best").mode == "auto"
    with pytest.raises(ValueError, match="backup_dir"):
        BackupAndRestore(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"filepath: .*'accuracy'"):
        fit(model(), ModelCheckpoint(tmp_path / "{accuracy}.nbnet"))


# ---- BackupAndRestore (see tests/saving/test_resume.py) ----


def test_a_backup_is_deleted_or_kept(tmp_path: Path) -> None:
    fit(model(), BackupAndRestore(tmp_path))
    assert not list(tmp_path.iterdir())
    fit(model(), BackupAndRestore(tmp_path, delete_checkpoint=False))
    assert os.listdir(tmp_path) == ["latest.nbnet"]
    made = model()
    before = made.get_weights()
    history = fit(made, BackupAndRestore(tmp_path))
    assert history.epoch == []
    assert not np.array_equal(before[0], made.get_weights()[0])
    with pytest.raises(ValueError, match="backup_dir"):
        BackupAndRestore("")


# ---- SwapEMAWeights ----


def ema() -> nb.Sequential:
    return model(nb.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))


def test_averages_are_looked_at() -> None:
    made, weights = ema(), Weights()
    fit(made, SwapEMAWeights(), weights, validation_data=(X, Y))
    plain, seen = ema(), Weights()
    fit(plain, seen, validation_data=(X, Y))
    for (hook, mine), (_, other) in zip(weights.seen, seen.seen, strict=True):
        assert np.array_equal(mine, other) == (hook != "test"), hook
    np.testing.assert_array_equal(made.get_weights()[0], plain.get_weights()[0])


def test_averages_are_there_when_an_epoch_ends(tmp_path: Path) -> None:
    made, weights = ema(), Weights()
    fit(made, SwapEMAWeights(swap_on_epoch=True), weights, ModelCheckpoint(tmp_path / "{epoch}.nbnet"))
    plain, seen = ema(), Weights()
    fit(plain, seen)
    ended = [value for hook, value in weights.seen if hook == "ended"]
    for (hook, mine), (_, other) in zip(weights.seen, seen.seen, strict=True):
        assert np.array_equal(mine, other) == (hook == "epoch"), hook
    np.testing.assert_array_equal(made.get_weights()[0], ended[-1])
    np.testing.assert_array_equal(made.get_weights()[0], plain.get_weights()[0])
    np.testing.assert_array_equal(nb.load_model(tmp_path / "2.nbnet").get_weights()[0], ended[1])


def test_averages_that_are_not_kept() -> None:
    with pytest.raises(ValueError, match="use_ema=True"):
        fit(model(), SwapEMAWeights())


@pytest.mark.parametrize(("name", "weights_only"), [("m{epoch}.keras", False), ("m{epoch}.weights.h5", True)])
def test_checkpoints_in_keras_formats(name: str, weights_only: bool, tmp_path: Path) -> None:
    model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)])
    model.compile("sgd", "mse")
    keep = nb.callbacks.ModelCheckpoint(tmp_path / name, monitor="loss", save_weights_only=weights_only)
    model.fit([[1.0, 2.0]], [1.0], epochs=2, callbacks=[keep], verbose=0)
    expected = model.get_weights()
    if weights_only:
        model.load_weights(tmp_path / name.format(epoch=1))
        assert (model.get_weights()[0] != expected[0]).any()
        model.load_weights(tmp_path / name.format(epoch=2))
    else:
        model = nb.load_model(tmp_path / name.format(epoch=2))
        assert model.optimizer is not None
        assert model.optimizer.iterations == 2
    assert (model.get_weights()[0] == expected[0]).all()
