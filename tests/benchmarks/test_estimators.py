"""The comparison to scikit-learn has what it promises, and judges as it says."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import estimators
from benchmarks.harness import estimator_trials
from benchmarks.harness.estimator_trials import DROPOUT, FITS, HELD_OUT, OURS, THEIRS, THEIRS_ALONE, Data, Fit, Timed
from nbnet.engine.jit import linker

needs_jit = pytest.mark.skipif(linker.DISABLE_JIT, reason="trains many steps, only to time them")
SMALL = Fit("digits", (5,), 20, 2)


@pytest.fixture(scope="module")
def data() -> Data:
    return estimators.few(estimator_trials.digits(None), True)


@needs_jit
def test_what_is_printed_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NBNET_DATA", raising=False)
    report, readme = tmp_path / "report.json", tmp_path / "README.md"
    readme.write_text(f"before\n{estimators.BEGIN}\nold\n{estimators.END}\nafter\n")
    arguments = ["--quick", "--parts", "fits", "accuracy", "--sets", "digits", "mnist"]
    estimators.main([*arguments, "--json", str(report), "--readme", str(readme)])
    text, found, page = capsys.readouterr().out, json.loads(report.read_text()), readme.read_text()
    assert "mnist is left out" in text
    assert "scikit-learn 1." in text
    assert {"scikit-learn", "nbnet", "numba"} <= set(found["machine"]["versions"])
    assert len(found["fits"]) == sum(fit.data == "digits" for fit in FITS)
    for timed in found["fits"]:
        assert set(timed["seconds"]) == {OURS, THEIRS, THEIRS_ALONE}
        assert all(len(rounds) == 1 and rounds[0] > 0 for rounds in timed["seconds"].values())
    ((_, scores),) = found["accuracy"]
    assert {name: len(values) for name, values in scores.items()} == {OURS: 2, THEIRS: 2}
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "digits, 128-64, auto, 2 epochs" in page
    assert "old" not in page


@needs_jit
def test_everyone_trains_for_all_epochs_from_equal_weights(data: Data) -> None:
    timed = estimator_trials.time_fits(SMALL, data, 2)
    assert all(len(rounds) == 2 for rounds in timed.seconds.values())
    assert timed.losses[THEIRS] == pytest.approx(timed.losses[OURS], rel=1e-4)


@needs_jit
def test_nobody_is_timed_who_learns_something_else(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimator_trials, "LOSSES_APART", 0.0)
    with pytest.raises(RuntimeError, match="not learned the same"):
        estimator_trials.time_fits(SMALL, data, 1)
    monkeypatch.setattr(Fit, "settings", lambda fit, seed: {"tol": 10.0, "n_iter_no_change": 1, "max_iter": 20})
    with pytest.raises(RuntimeError, match="expected 2 epochs"):
        estimator_trials.accuracies(SMALL, data, [0])


@needs_jit
def test_dropout_takes_part(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(estimator_trials.RATES, "digits", (0.1, [0.2]))
    found = estimator_trials.accuracies(SMALL._replace(hidden=(40,), epochs=10), data, [0, 1])
    assert list(found) == [OURS, THEIRS, DROPOUT]
    assert found[OURS] == pytest.approx(found[THEIRS], abs=0.02)
    assert found[DROPOUT] != found[OURS]
    assert "nbnet, dropout 0.1, [0.2]" in estimators.accuracy_table([(SMALL, found)])


def test_tables_of_ratios() -> None:
    timed = Timed(SMALL, 9, {OURS: [1.0, 2.0, 1.0], THEIRS: [20.0, 30.0, 9.0], THEIRS_ALONE: [9.0, 20.0, 9.5]}, {})
    assert timed.ratios(THEIRS) == [20.0, 15.0, 9.0]
    assert timed.factor == 9.5
    assert "15.0 [9.0 - 20.0]" in estimators.fit_table([timed]).splitlines()[1]
    seconds = {"scikit-learn's MLP": [1.0, 2.0], "import nbnet.estimators": [1.1, 2.4], "import nbnet": [0.1, 0.2]}
    lines = estimators.import_table(seconds).splitlines()
    assert lines[2].endswith("1.15 [1.10 - 1.20]")


@pytest.mark.parametrize(("shift", "expected"), [(0.0, "equal"), (0.01, "equal"), (0.05, "better"), (-0.05, "worse")])
def test_verdicts(shift: float, expected: str) -> None:
    theirs = [0.90, 0.92, 0.94]
    assert estimators.standard_error(theirs) == pytest.approx(0.02 / 3**0.5)
    assert estimators.verdict([value + shift for value in theirs], theirs) == expected


def test_equal_without_spread() -> None:
    assert estimators.verdict([0.5, 0.5], [0.5, 0.5]) == "equal"


def test_what_is_held_out_was_not_seen() -> None:
    for fit in HELD_OUT:
        if fit.data != "mnist":
            found = estimator_trials.DATA[fit.data](None)
            assert found.x.dtype == np.float32
            assert 0 < found.held < len(found.y) / 4
    assert len(estimator_trials.tabular(None).y) == 20_000
    assert estimator_trials.tabular(None).x.shape[1] == 54


def test_images_are_taken_from_the_folder(shared_data: Path) -> None:
    found = estimator_trials.images(shared_data / "mnist")
    assert found.x.shape == (70_000, 784)
    assert (found.x.dtype, float(found.x.max()), found.held) == (np.float32, 1.0, 10_000)


def test_imports_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(script: str, folder: str, cache: Path) -> float:
        ran.append(script)
        return time.perf_counter()

    monkeypatch.setattr(estimator_trials, "run", run)
    seconds = estimator_trials.time_imports(2)
    scripts = list(estimator_trials.IMPORTS.values())
    assert ran == [*scripts, *scripts[::-1], *scripts]
    assert [len(times) for times in seconds.values()] == [2] * len(scripts)


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--seeds", "1"], ["--sets", "none"], ["--parts", "none"]])
def test_arguments_that_make_no_sense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        estimators.main(arguments)
    assert arguments[0] in capsys.readouterr().err
