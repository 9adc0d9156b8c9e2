"""The table has what it promises, and nobody is timed who does not learn what the others learn."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from typing import Any

import pytest

from benchmarks import train
from benchmarks.harness import contest, learners
from benchmarks.harness.table import aligned, between_markers, spread
from benchmarks.harness.workloads import WORKLOADS
from benchmarks.numpy_mlp.blas_alone import products, step_flops
from nbnet.engine.jit import linker

needs_jit = pytest.mark.skipif(linker.DISABLE_JIT, reason="trains hundreds of steps, only to time them")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """The output of a quick run, and the report it writes."""
    path = tmp_path_factory.mktemp("bench") / "report.json"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        train.main(["--quick", "--workloads", "tiny", "--json", str(path)])
    return printed.getvalue(), json.loads(path.read_text())


@needs_jit
def test_what_is_printed(report: tuple[str, dict[str, Any]]) -> None:
    text, _ = report
    for name in ("python", "numpy", "numba", "llvmlite", "BLAS", "threads"):
        assert name in text
    for name in ("nbnet us/step", "NumPy / nbnet", "tuned / nbnet", "GFLOP/s", "slices", "first epoch", "denormal"):
        assert name in text
    assert "tiny: same losses, dropout off; float32" in text
    assert Counter(line.split()[0] for line in text.splitlines() if line)["tiny"] == 3  # a row in each table


@needs_jit
def test_what_is_written(report: tuple[str, dict[str, Any]]) -> None:
    _, written = report
    assert set(written["machine"]["versions"]) == {"python", "nbnet", "numpy", "numba", "llvmlite"}
    (result,) = written["results"]
    assert (result["workload"], result["rows"], result["steps"]) == ("tiny", 320, 20)
    assert result["slices"] == 1
    assert set(result["seconds"]) == set(result["losses"]) == {"nbnet", "NumPy", "tuned"}
    assert all(len(rounds) == 3 and min(rounds) > 0 for rounds in result["seconds"].values())
    assert "1" in result["blas"]
    assert all(len(rounds) == 3 and min(rounds) > 0 for rounds in result["blas"].values())
    for dtype, _, _, allowed in contest.COMPARED:
        assert max(result["difference"][dtype].values()) <= allowed
    assert all(0 < loss < 1 for loss in result["losses"].values())


@needs_jit
def test_learners_that_part_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners.OPPONENTS["NumPy"], "train_epoch", lambda *_: 0.5)
    with pytest.raises(RuntimeError, match="float32 without dropout differ"):
        contest.run(WORKLOADS["tiny"], 1, 0.01, rows=64)


@needs_jit
def test_a_round_starts_from_fresh_weights() -> None:
    load = WORKLOADS["tiny"]
    x, y = load.make()
    data = x[:90], y[:90]  # five batches and a short one
    for name in learners.NAMES:
        first, second = (learners.start(name, load, data)(2) for _ in range(2))
        assert first == second


def test_numbers_derived_from_rounds() -> None:
    result = contest.Result(
        workload="w",
        sizes=(2, 3),
        batch_size=4,
        rows=8,
        epochs=5,
        steps=2,
        slices=1,
        first_epoch=1.0,
        kernels_compiled=0,
        difference={},
        seconds={"nbnet": [1e-5, 2e-5], "NumPy": [1e-4, 4e-4]},
        losses={},
        blas={1: [1e-6]},
    )
    assert result.step_times("nbnet") == pytest.approx([1, 2])
    assert result.ratios("NumPy") == pytest.approx([10, 20])
    assert result.gflops() == pytest.approx([0.144, 0.072])  # 6 * 2 * 3 * 8 rows * 5 epochs
    assert result.blas_gflops(1) == pytest.approx([0.144])


def test_products_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    monkeypatch.setattr("numpy.dot", lambda a, b, out: shapes.append((a.shape, b.shape, out.shape)))
    products((2, 3, 5), 7)()
    first = [((7, 2), (2, 3), (7, 3)), ((2, 7), (7, 3), (2, 3))]
    assert shapes == [*first, ((7, 3), (3, 5), (7, 5)), ((3, 7), (7, 5), (3, 5)), ((7, 5), (5, 3), (7, 3))]
    without_input_gradient = sum(2 * a[0] * a[1] * b[1] for a, b, _ in shapes)
    assert step_flops((2, 3, 5), 7) == without_input_gradient + 2 * 7 * 2 * 3


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--seconds", "0"], ["--workloads", "none"]])
def test_arguments_that_make_no_sense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.main(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_spread_and_alignment() -> None:
    assert spread([1234.5, 1000.0, 2000.0]) == "1234 [1000 - 2000]"
    assert spread([1.0, 2.0, 3.0]) == "2.00 [1.00 - 3.00]"
    assert aligned([["name", "n"], ["a", "10"]]) == "name   n\na     10"


def test_a_block_between_markers_is_replaced() -> None:
    text = f"before\n{train.BEGIN}\nold\n{train.END}\nafter\n"
    found = between_markers(text, "new", train.BEGIN, train.END)
    assert found == f"before\n{train.BEGIN}\nnew\n{train.END}\nafter\n"
