"""The scripts that reproduce papers, on a data set of toy size."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import nbnet as nb
from benchmarks.harness.record import Record
from benchmarks.harness.table import markdown
from benchmarks.papers import batchwise, data_size, dropconnect, networks, rate_sweep, report, srivastava_mnist, tables
from benchmarks.papers.images import Images, load
from benchmarks.papers.training import Recipe, train
from nbnet.engine.jit import linker

compiled = pytest.mark.skipif(linker.DISABLE_JIT, reason="trains too much for plain Python")
ROOT = Path(__file__).resolve().parents[2]
PARTS = {"train": slice(0, 120), "t10k": slice(120, 160)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits of 8 by 8 pixels in the middle of MNIST's 28 by 28."""
    place = tmp_path_factory.mktemp("mnist")
    pixels, labels = load_digits(return_X_y=True)
    images = np.zeros((len(pixels), 28, 28), np.uint8)
    images[:, 10:18, 10:18] = 15 * pixels.reshape(-1, 8, 8)
    for name, rows in PARTS.items():
        x, y = images[rows], labels[rows].astype(np.uint8)
        (place / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">HBB3I", 0, 8, 3, *x.shape) + x.tobytes())
        (place / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, len(y)) + y.tobytes())
    return place


@pytest.fixture
def digits(folder: Path) -> Images:
    return load(str(folder))


def small() -> nb.Sequential:
    return networks.dense_network((32, 32), 0.2, 0.5, (2.0, 1.5, 1.0))


def test_a_record_keeps_what_was_found(tmp_path: Path) -> None:
    record = Record(tmp_path / "deep" / "found.jsonl")
    run = {"row": "a/b", "seed": 0}
    assert record.runs() == []
    assert not record.has(run)
    record.add(run, wrong=[3, 2])
    record.add({"row": "a/b", "seed": 1}, wrong=[1])
    again = Record(record.path)
    assert again.has(run)
    assert again.runs()[0] == {"run": run, "wrong": [3, 2]}
    assert not again.has({"row": "a/b"})


def test_half_a_line_does_no_harm(tmp_path: Path) -> None:
    record = Record(tmp_path / "found.jsonl")
    record.add({"seed": 0}, wrong=[1])
    with record.path.open("a") as file:
        file.write('{"run": {"se')
    assert len(record.runs()) == 1
    record.add({"seed": 1}, wrong=[2])
    assert [found["run"]["seed"] for found in record.runs()] == [0, 1]


def test_a_run_is_done_once(tmp_path: Path) -> None:
    first, second = (Record(tmp_path / "found.jsonl") for _ in range(2))
    run, other = {"row": "a/b", "seed": 0}, {"row": "a/b", "seed": 1}
    with first.claim(run) as mine:
        assert mine
        with second.claim(run) as theirs, second.claim(other) as free:
            assert (theirs, free) == (False, True)
    # Given up unfinished: somebody else may do it.
    with second.claim(run) as theirs:
        assert theirs
        second.add(run, wrong=[1])
    with first.claim(run) as mine:
        assert not mine


def test_a_process_that_dies_leaves_no_claim(tmp_path: Path) -> None:
    path = tmp_path / "found.jsonl"
    code = "import os; r = Record(Path(argv[1])); c = r.claim({'seed': 0}); print(c.__enter__()); os._exit(1)"
    code = f"from pathlib import Path; from sys import argv; from benchmarks.harness.record import Record; {code}"
    done = subprocess.run([sys.executable, "-u", "-c", code, str(path)], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["True"]
    with Record(path).claim({"seed": 0}) as mine:
        assert mine


def test_tables() -> None:
    assert markdown(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
    found = [{"run": {"seed": seed}, "wrong": [9, wrong], "tested": 200} for seed, wrong in ((1, 4), (0, 2))]
    assert [tables.error(one) for one in found] == [2.0, 1.0]
    assert tables.errors(found) == "1.50 ± 0.50"
    assert tables.errors([]) == "-"
    groups = tables.grouped(found, lambda one: one["tested"])
    assert [one["run"]["seed"] for one in groups[200]] == [0, 1]


def test_the_readme_is_what_the_results_say() -> None:
    assert report.README.read_text() == report.readme(), "run python -m benchmarks.papers"


@compiled
def test_the_readme(folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "rate_sweep.jsonl"
    sweep = ["--data", str(folder), "--results", str(results), "--epochs", "1", "--seeds", "1", "--keeps", "0.5"]
    rate_sweep.main(sweep)
    output = tmp_path / "README.md"
    report.main(["--results", str(tmp_path), "--output", str(output)])
    text = output.read_text()
    assert text.startswith(report.HEAD)
    assert text.count("\n## ") == 1
    assert rate_sweep.table(Record(results)) in text
    assert "`rate_sweep`: 2 runs on " in text


def test_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib, the extra plot")
    found: dict[str, Any] = {"wrong": [3], "tested": 40}
    sweep, sizes = Record(tmp_path / "rate_sweep.jsonl"), Record(tmp_path / "data_size.jsonl")
    for seed in (0, 1):
        sweep.add({"row": "fixed width", "keep": 0.5, "seed": seed}, **found)
        sizes.add({"row": "none", "images": 500, "seed": seed}, **found)
    axes = data_size.plot(sizes).axes[0]
    assert axes.lines[0].get_ydata().tolist() == [7.5]
    assert axes.get_yscale() == "log"
    report.main(["--results", str(tmp_path), "--output", str(tmp_path / "x.md"), "--plot", str(tmp_path / "drawn")])
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == {"rate_sweep.png", "data_size.png"}


@pytest.mark.parametrize("name", report.SCRIPTS)
def test_every_script_says_what_it_is(name: str, tmp_path: Path) -> None:
    script = import_module(f"benchmarks.papers.{name}")
    assert script.TITLE
    assert report.prose(script)
    assert isinstance(script.table(Record(tmp_path / "none.jsonl")), str)


def test_images(digits: Images) -> None:
    assert digits.x.shape == (120, 784)
    assert digits.x.dtype == np.float32
    assert 0 <= digits.x.min() < digits.x.max() <= 1
    held = digits.held_out()
    assert (len(held.x), len(held.y_test)) == (60, 60)
    np.testing.assert_array_equal(np.concatenate([held.x, held.x_test]), digits.x)
    few = digits.sample(10, 3)
    assert few.x.shape == (10, 784)
    assert few.x_test is digits.x_test
    np.testing.assert_array_equal(few.x, digits.sample(10, 3).x)
    assert not np.array_equal(few.x, digits.sample(10, 4).x)


def test_norms_are_bounded_layer_by_layer() -> None:
    def bounds(model: nb.Sequential) -> list[float | None]:
        constraints = [layer.kernel_constraint for layer in model.layers if isinstance(layer, nb.layers.Dense)]
        return [constraint and constraint.max_value for constraint in constraints]

    assert bounds(small()) == [2.0, 1.5, 1.0]
    assert bounds(networks.dense_network((4, 4))) == [None] * 3


@compiled
def test_what_a_training_finds(digits: Images) -> None:
    recipe = Recipe(20, 0.01, batch_size=16)
    found = train(small, recipe, digits, seed=0)
    assert found["tested"] == 40
    assert len(found["wrong"]) == 20
    assert all(isinstance(wrong, int) for wrong in found["wrong"])
    assert found["wrong"][-1] < 25  # of 36, if guessed
    assert found == json.loads(json.dumps(found))


def test_recipes() -> None:
    rate = Recipe(4, 0.1).schedule(1280)
    assert [round(rate(step), 6) for step in (0, 20, 40)] == [0.1, 0.05, 0]


@compiled
@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_epoch_end"])
def test_a_training_that_was_killed_goes_on(
    digits: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    recipe = Recipe(5, 0.01, batch_size=16)
    whole = train(small, recipe, digits, 1)
    before = getattr(nb.callbacks.BackupAndRestore, hook)

    def kill(self: nb.callbacks.Callback, epoch: int, logs: object = None) -> None:
        if epoch == 2:
            raise KeyboardInterrupt
        before(self, epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(nb.callbacks.BackupAndRestore, hook, kill)
        with pytest.raises(KeyboardInterrupt):
            train(small, recipe, digits, 1, tmp_path)
    assert (tmp_path / "latest.nbnet").exists()
    again = train(small, recipe, digits, 1, tmp_path)
    assert again["wrong"] == whole["wrong"]
    # Killed after its end, before it was put on record.
    assert train(small, recipe, digits, 1, tmp_path) == again


@compiled
def test_drop_connect(folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "found.jsonl"
    dropconnect.main(["--data", str(folder), "--results", str(results), "--epochs", "1", "--seeds", "1"])
    lines = dropconnect.table(Record(results)).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| none", "| dropout", "| DropConnect"]


@compiled
def test_data_size(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = tmp_path / "found.jsonl"
    monkeypatch.setattr(data_size, "EPOCH", 250)
    monkeypatch.setattr(data_size, "HIDDEN", (64, 64))
    options = ["--data", str(folder), "--results", str(results), "--epochs", "1", "--seeds", "4"]
    data_size.main([*options, "--sizes", "100", "10000"])
    head, *lines = data_size.table(Record(results)).splitlines()
    assert head.startswith("| images |")
    assert [line.split(" | ")[0] for line in lines[1:]] == ["| 100", "| 10,000"]
    # So many networks are made of each, and an image is seen so often.
    assert [line.split(" | ")[-3:-1] for line in lines[1:]] == [["4", "2"], ["3", "1"]]


@compiled
def test_rate_sweep(folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "found.jsonl"
    options = ["--data", str(folder), "--results", str(results), "--epochs", "1", "--seeds", "1"]
    rate_sweep.main([*options, "--keeps", "0.4", "1"])
    lines = rate_sweep.table(Record(results)).splitlines()[2:]
    assert len(lines) == len(rate_sweep.KEEPS)
    cells = lines[2].split(" | ")
    assert [cells[k] for k in (0, 1, 3, 4, 6)] == ["| 0.4", "512", "1", "320", "1 |"]
    assert lines[0].split(" | ")[2:4] == ["-", "0"]


@compiled
def test_batchwise(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = tmp_path / "found.jsonl"
    monkeypatch.setattr(batchwise, "HIDDEN", (64, 64, 64))
    options = ["--data", str(folder), "--results", str(results), "--epochs", "1", "--seeds", "1"]
    batchwise.main([*options, "--ratio", "0.5"])
    lines = batchwise.table(Record(results)).splitlines()[2:]
    shown = [line.split(" | ")[:3] for line in lines]
    assert [cells for cells in shown if cells[0] == "| mnist"] == [
        ["| mnist", "no dropout", "1"],
        ["| mnist", "a mask an image", "1"],
        ["| mnist", "one mask a batch", "1"],
        ["| mnist", "one mask a batch", "2"],
    ]
    assert len(lines) == 8
    with pytest.raises(SystemExit):
        batchwise.main(["--ratio", "0"])


@compiled
def test_srivastava(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "found.jsonl"
    options = ["--data", str(folder), "--results", str(results), "--epochs", "1", "--seeds", "2"]
    srivastava_mnist.main([*options, "--rows", "none"])
    record = Record(results)
    assert [found["run"]["seed"] for found in record.runs()] == [0, 1]
    srivastava_mnist.main(options)
    srivastava_mnist.main(options)
    rows = list(srivastava_mnist.WANTED)[1:]
    done = [(found["run"]["seed"], found["run"]["row"]) for found in record.runs()]
    assert done[2:] == [(seed, row) for seed in (0, 1) for row in rows]
    lines = srivastava_mnist.table(record).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| none", *(f"| {row}" for row in rows)]
    assert not list(results.with_suffix(".state").iterdir())
    with pytest.raises(SystemExit):
        srivastava_mnist.main(["--held-out"])
