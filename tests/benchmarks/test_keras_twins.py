"""The comparison with Keras runs the examples, judges what it should, and says so if Keras is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import nbnet as nb
from benchmarks import keras_twins
from benchmarks.keras_twins import Comparison
from nbnet.engine.jit import linker

ROOT = Path(__file__).resolve().parents[2]


def comparison(script: str, dtype: str, difference: float) -> Comparison:
    losses = np.array([2.0, 1.0])
    return Comparison(script, dtype, 1000, "Adam", losses * (1 + difference), losses)


@pytest.fixture
def as_before() -> Iterator[None]:
    """Examples set the global seed; the tests after these draw from a fresh one."""
    yield
    nb.set_random_seed(0)


@pytest.mark.skipif(linker.DISABLE_JIT, reason="trains dozens of steps")
@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize("script", ["binary_classification", "multi_input", "custom_loop"])
def test_nbnet_agrees_with_itself(script: str) -> None:
    found = keras_twins.compare(script, nb, "float64", 10)
    assert found.difference == 0
    assert found.ours.shape == (10,)
    assert found.ours[-1] < found.ours[0]
    assert nb.floatx() == "float32"


@pytest.mark.usefixtures("as_before")
def test_dropout_is_left_out_for_the_time_being() -> None:
    before = nb.layers.Dropout.call
    with keras_twins._without_dropout(nb):
        x = np.ones((4, 8), np.float32)
        np.testing.assert_array_equal(nb.layers.Dropout(0.5)(x, training=True).numpy(), x)
    assert nb.layers.Dropout.call is before


def test_what_is_judged() -> None:
    steady, other = keras_twins.STEADY[0], "convnet_fashion_mnist"
    cases = [(steady, "float32", 5e-5), (steady, "float32", 2e-4), (other, "float32", 2e-4), (other, "float64", 2e-4)]
    found = [comparison(*case) for case in [*cases, (other, "float64", np.nan)]]
    assert [one.agrees for one in found] == [True, False, True, False, False]
    assert [line.rstrip().endswith("!") for line in keras_twins.table(found).splitlines()[1:]] == [
        not one.agrees for one in found
    ]
    assert set(keras_twins.STEADY) < set(keras_twins.SCRIPTS)


def test_arguments_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, word in ((["transformer"], "SCRIPT"), (["--steps", "0"], "--steps")):
        with pytest.raises(SystemExit) as raised:
            keras_twins.main(arguments)
        assert raised.value.code == 2
        assert word in capsys.readouterr().err


def test_without_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("JAX_ENABLE_X64", "1")
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(SystemExit, match=re.escape("pip install 'nbnet[keras]'")):
        keras_twins.main([])


@pytest.mark.slow
def test_against_keras() -> None:
    if any(find_spec(name) is None for name in ("keras", "jax")):
        pytest.skip("Keras or JAX is missing (the extra 'keras')")
    command = [sys.executable, "-m", "benchmarks.keras_twins", *keras_twins.STEADY]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ}, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"float(?:32|64)", done.stdout)) == 2 * len(keras_twins.STEADY)
