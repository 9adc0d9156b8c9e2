"""Mutated files: none is loaded silently, none does harm; and the trials notice what they look for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from tests.security.mutation import trial
from tests.security.mutation.container import Parts, sealed
from tests.security.mutation.mutations import Mutant, mutant
from tests.security.mutation.samples import Sample

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
ROOT = Path(__file__).resolve().parents[2]


def mutated(count: int, seed: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.security.mutation", "--count", str(count), "--seed", str(seed)]
    environment = os.environ | {"NBNET_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=3000, check=False)


@pytest.mark.parametrize(("count", "seed"), [(60, 5), pytest.param(1500, 6, marks=pytest.mark.slow)])
def test_mutants_are_refused_or_harmless(count: int, seed: int) -> None:
    done = mutated(count, seed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{count} mutants, 0 findings" in done.stdout


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / "w.weights.nbnet"
    nb.Sequential([nb.Input((2,)), nb.layers.Dense(3)]).save_weights(path)
    return path.read_bytes()


def test_a_file_is_put_together_as_it_was_written(weights: bytes) -> None:
    parts = Parts.of(weights)
    again = Parts.of(parts.joined())
    assert (again.header, again.record, again.data) == (parts.header, parts.record, parts.data)
    assert sealed(weights) == weights
    changed = weights[:-1] + bytes([weights[-1] ^ 1])
    assert sealed(changed) != changed
    assert sealed(b"") == b""


def test_a_number_always_gives_the_same_mutant(weights: bytes) -> None:
    samples = [Sample("some", kind, weights) for kind in ("model", "weights", "state", "masks")]
    made = [mutant(samples, 3, number)[1] for number in range(50)]
    assert made == [mutant(samples, 3, number)[1] for number in range(50)]
    assert len({changed.content for changed in made}) > 40


def harmless(folder: Path) -> None:
    pass


def refuses(folder: Path) -> None:
    raise ValueError("damaged")


def fails(folder: Path) -> None:
    raise KeyError("weights")


def says_nothing(folder: Path) -> None:
    raise ValueError


def reads_elsewhere(folder: Path) -> None:
    Path(__file__).read_bytes()


def imports(folder: Path) -> None:
    import this  # noqa: F401


def executes(folder: Path) -> None:
    exec("1")


def allocates(folder: Path) -> None:
    np.ones(trial.MEMORY // 4)


def computes(folder: Path) -> None:
    # The clock of the forked process starts at 0.
    while time.process_time() < 0.6:
        pass


def aborts(folder: Path) -> None:
    os.abort()


def hangs(folder: Path) -> None:
    time.sleep(1000)


@pytest.mark.parametrize(
    ("load", "intact", "verdict"),
    [
        (harmless, False, "silent"), (harmless, True, "loaded"), (refuses, False, "refused"),
        (fails, True, "exception"), (says_nothing, True, "exception"), (reads_elsewhere, True, "event"),
        (imports, True, "event"), (executes, True, "event"), (allocates, True, "memory"),
        (computes, True, "slow"), (aborts, True, "crash"), (hangs, True, "crash"),
    ],
)  # fmt: skip
def test_trials_notice(
    monkeypatch: pytest.MonkeyPatch, load: Callable[[Path], Any], intact: bool, verdict: str
) -> None:
    """Masks, which nothing uses after they are loaded, with a loader that misbehaves."""
    sample = Sample("masks", "masks", b"before")
    monkeypatch.setattr(Sample, "load", lambda self, folder, model: load(folder))
    monkeypatch.setattr(trial, "mutant", lambda *_: (sample, Mutant(b"after", "changed", intact)))
    monkeypatch.setattr(trial, "SECONDS", 0.2 if load is computes else 60.0)
    monkeypatch.setattr(trial, "PATIENCE", 3.0 if load is hangs else 120.0)
    report = trial.run([sample], 0, [7])
    assert list(report.verdicts) == [verdict], report.findings
    assert [finding.number for finding in report.findings] == ([] if verdict in ("loaded", "refused") else [7])


@pytest.mark.slow
def test_the_fuzzer_runs(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="the fuzzer needs atheris, which has no wheels for every Python")
    command = [sys.executable, "-m", "tests.security.fuzz", "--seconds", "3", "--artifacts", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "failed: none" in done.stdout
