"""Papers run again: Gal and Ghahramani's protocol and its scores, and the moments of self-normalizing networks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logsumexp

from benchmarks.harness.record import Record
from benchmarks.papers import gal_uci, selu
from benchmarks.papers.gal_uci import Regressor
from benchmarks.papers.images import Images
from nbnet.engine.jit import linker

Array = NDArray[Any]
rng = np.random.default_rng(0)
X = np.concatenate([rng.normal(3.0, 5.0, (120, 3)), np.ones((120, 1))], axis=1)
Y = 20.0 + 7.0 * X[:, 0] + rng.normal(size=120)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A set of two splits."""
    test = np.zeros((2, len(X)), bool)
    test[0, :12] = test[1, 12:24] = True
    np.savez(tmp_path / "yacht.npz", X=X, y=Y, test_mask=test)
    return tmp_path


# ---- Gal and Ghahramani --------------------------------------------------------------------------------------------


def test_scores_are_those_of_the_protocol() -> None:
    """In the unit of the target, from the same samples, written out."""
    tau, learn, held = 0.1, slice(100), slice(100, None)
    network = Regressor(X[learn], Y[learn], 0.1, tau, epochs=3, seed=1)
    found = network.scores(X[held], Y[held], samples=200, seed=7)
    mean, std = X[learn].mean(0), np.where(X[learn].std(0) > 0, X[learn].std(0), 1.0)
    inputs = (X[held] - mean) / std
    drawn = network.model.predict_mc(inputs, 200, return_samples=True, seed=7).samples[..., 0].astype(float)
    drawn = drawn * Y[learn].std() + Y[learn].mean()
    density = logsumexp(-tau / 2 * (Y[held] - drawn) ** 2, axis=0) - math.log(200)
    wanted = (density - 0.5 * math.log(2 * math.pi) + 0.5 * math.log(tau)).mean()
    assert found.log_likelihood == pytest.approx(wanted, rel=1e-4)
    assert found.rmse == pytest.approx(np.sqrt(np.mean((drawn.mean(0) - Y[held]) ** 2)), rel=1e-4)
    plain = network.model.predict(inputs)[:, 0] * Y[learn].std() + Y[learn].mean()
    assert found.rmse_scaled == pytest.approx(np.sqrt(np.mean((plain - Y[held]) ** 2)), rel=1e-4)
    assert found.rmse != found.rmse_scaled


def test_network_is_that_of_the_protocol() -> None:
    network = Regressor(X, Y, 0.05, 0.5, epochs=1, seed=1)
    kinds = [type(layer).__name__ for layer in network.model.layers]
    assert kinds == ["Dropout", "Dense", "Dropout", "Dense"]
    assert [layer.rate for layer in network.model.layers[::2]] == [0.05, 0.05]
    for layer in network.model.layers[1::2]:
        assert layer.kernel_regularizer.l2 == pytest.approx(1e-4 * 0.95 / (2 * 120 * 0.5))
        assert layer.bias_regularizer is None
    np.testing.assert_array_equal(network.x_mean, X.mean(0))
    assert network.x_std[-1] == 1.0


def test_cut_keeps_a_fifth_back() -> None:
    x, y, x_held, y_held = gal_uci.cut(X, Y, 3)
    assert (len(x), len(x_held)) == (96, 24)
    np.testing.assert_array_equal(np.sort(np.concatenate([y, y_held])), np.sort(Y))
    assert all(y_held[k] == Y[np.flatnonzero((row == X).all(1))[0]] for k, row in enumerate(x_held))


def test_the_best_of_the_rows_held_back_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Known:
        def __init__(self, x: Array, y: Array, rate: float, tau: float, epochs: int, seed: int) -> None:
            self.value = -((rate - 0.05) ** 2) - (tau - 2.0) ** 2

        def scores(self, x: Array, y: Array, samples: int, seed: int) -> gal_uci.Scores:
            return gal_uci.Scores(0.0, self.value, 0.0)

    monkeypatch.setattr(gal_uci, "Regressor", Known)
    assert gal_uci.choose(X, Y, (1.0, 2.0, 3.0), 1, 1, 0) == (0.05, 2.0)


@pytest.mark.skipif(linker.DISABLE_JIT, reason="trains dozens of networks")
def test_stopped_script_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--data", str(folder), "--results", str(folder / "found.jsonl"), "--sets", "yacht"]
    options += ["--epochs", "2", "--samples", "10"]
    gal_uci.main([*options, "--splits", "1"])
    first = (folder / "found.jsonl").read_text()
    gal_uci.main([*options, "--splits", "2"])
    record = Record(folder / "found.jsonl")
    assert (folder / "found.jsonl").read_text().startswith(first)
    assert [found["run"]["split"] for found in record.runs()] == [0, 1]
    assert gal_uci.table(record) in capsys.readouterr().out


def test_table_says_what_was_reached(tmp_path: Path) -> None:
    record = Record(tmp_path / "found.jsonl")
    for split, (rmse, density) in enumerate([(1.0, -1.8), (1.2, -1.9)]):
        run = {"set": "yacht", "split": split, "epochs": 400, "samples": 100}
        record.add(run, rmse=rmse, log_likelihood=density, rmse_scaled=1.5, seconds=30.0)
    lines = gal_uci.table(record).splitlines()
    assert lines[0].startswith("400 epochs, 100 samples, 13 networks a split: 1 minutes")
    head, row = (line.strip("| ").split(" | ") for line in (lines[3], lines[5]))
    assert head[:5] == ["splits", "RMSE", "paper", "2018", "reached"]
    assert row[:6] == ["yacht", "2", "1.10 ± 0.10", "1.11 ± 0.09", "0.67 ± 0.05", "yes"]
    assert row[6:] == ["-1.85 ± 0.05", "-1.55 ± 0.03", "-1.25 ± 0.01", "no", "1.50 ± 0.00"]


# ---- self-normalizing networks -------------------------------------------------------------------------------------


def pixels(rows: int) -> tuple[Array, Array]:
    labels = rng.integers(0, 10, rows).astype("uint8")
    return (rng.random((rows, 20)) * (labels[:, None] + 1)).astype("float32"), labels


@pytest.mark.skipif(linker.DISABLE_JIT, reason="trains deep networks")
def test_selu_keeps_its_moments(tmp_path: Path) -> None:
    data = Images(*pixels(300), *pixels(200))
    record = Record(tmp_path / "found.jsonl")
    for kind in selu.KINDS:
        found = selu.run(kind, 0, 1, data, depth=16)
        assert [len(found["start"]), len(found["trained"])] == [16, 16]
        record.add({"network": kind, "seed": 0, "epochs": 1, "depth": 16}, **found)
    kept, grown = (np.array(found["start"]) for found in record.runs())
    assert (np.abs(kept[:, 0]) < 0.1).all()
    assert (np.abs(kept[:, 1] - 1) < 0.2).all()
    assert (grown[:, 0] > 0.3).all()
    lines = selu.table(record).splitlines()
    assert [line.split(" | ")[0] for line in lines[4:]] == ["| selu"] * 2 + ["| relu"] * 2
    assert lines[4].endswith(f"{kept[15, 0]:.2f}; {kept[15, 1]:.2f} |")


def test_selu_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    record = Record(tmp_path / "found.jsonl")
    record.add({"network": "selu", "seed": 0}, start=[[0.0, 1.0], [0.1, 1.1]], trained=[[0.2, 1.5], [0.3, 2.0]])
    figure = selu.plot(record)
    assert [len(axis.lines) for axis in figure.axes] == [2, 2]
    np.testing.assert_array_equal(figure.axes[1].lines[1].get_ydata(), [1.5, 2.0])
