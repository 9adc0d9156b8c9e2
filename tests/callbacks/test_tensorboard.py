"""The files that TensorBoard reads from the folder of logs."""

from __future__ import annotations

import struct
import sys

import numpy as np
import pytest

import nbnet as nb
from tests.networks import X, network

EVENTS = pytest.importorskip("tensorboardX.proto.event_pb2", reason="needs tensorboardX")
LABELS = np.arange(60) % 3


def read(folder):
    """Tag -> list of (step, value) of all files in a folder; histograms have the number of their values."""
    found = {}
    for path in sorted(folder.glob("events*")):
        content, at = path.read_bytes(), 0
        # Each record: its length, a checksum, the event, a checksum.
        while at < len(content):
            (length,) = struct.unpack("<Q", content[at : at + 8])
            event = EVENTS.Event.FromString(content[at + 12 : at + 12 + length])
            at += 16 + length
            for value in event.summary.value:
                number = value.histo.num if value.HasField("histo") else value.simple_value
                found.setdefault(value.tag, []).append((event.step, number))
    return found


def train(folder, epochs=2, **arguments):
    model = network(metrics=["accuracy"])
    board = nb.callbacks.TensorBoard(folder, **arguments)
    history = model.fit(
        X, LABELS, batch_size=16, epochs=epochs, validation_split=0.2, verbose=0, callbacks=[board], shuffle=False
    )
    return model, history.history


def test_scalars_of_each_epoch(tmp_path):
    _, history = train(tmp_path)
    trained, held = read(tmp_path / "train"), read(tmp_path / "validation")
    assert set(trained) == {"epoch_loss", "epoch_accuracy", "epoch_learning_rate"}
    assert {"epoch_loss", "epoch_accuracy"} <= set(held)
    for name in ("loss", "accuracy"):
        for found, key in ((trained, name), (held, f"val_{name}")):
            steps, values = zip(*found[f"epoch_{name}"], strict=True)
            assert steps == (0, 1)
            np.testing.assert_allclose(values, history[key], rtol=1e-6)
    assert [step for step, _ in held["evaluation_loss_vs_iterations"]] == [3, 6]
    assert trained["epoch_learning_rate"][0][1] == pytest.approx(0.1)


@pytest.mark.parametrize(("update_freq", "steps"), [("batch", [1, 2, 3, 4, 5, 6]), (2, [2, 5]), ("epoch", [])])
def test_scalars_of_batches(update_freq, steps, tmp_path):
    train(tmp_path, update_freq=update_freq)
    assert [step for step, _ in read(tmp_path / "train").get("batch_loss", [])] == steps


def test_histograms_of_weights(tmp_path):
    model, _ = train(tmp_path, epochs=3, histogram_freq=2, write_steps_per_second=True)
    found = read(tmp_path / "train")
    for weight in model.weights:
        assert found[f"{weight.name}/histogram"] == [(0, weight.size), (2, weight.size)]
    assert all(rate > 0 for _, rate in found["epoch_steps_per_second"])


def test_only_batches_that_are_wanted_cost_a_call(tmp_path):
    assert not nb.callbacks.TensorBoard(tmp_path).wants_batches("train")
    assert nb.callbacks.TensorBoard(tmp_path, update_freq=5).wants_batches("train")
    assert not nb.callbacks.TensorBoard(tmp_path, update_freq=5).wants_batches("test")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"update_freq": "step"}, "update_freq: expected 'epoch', 'batch' or a number of batches, got 'step'"),
        ({"update_freq": 0}, "update_freq"),
        ({"histogram_freq": -1}, "histogram_freq: expected a number of epochs, or 0 for never; got -1"),
    ],
)
def test_bad_frequencies(arguments, text, tmp_path):
    with pytest.raises(ValueError, match=text):
        nb.callbacks.TensorBoard(tmp_path, **arguments)


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"pip install 'nbnet\[tensorboard\]'"):
        nb.callbacks.TensorBoard()
