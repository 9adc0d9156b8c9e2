"""After a warm-up ordinary trainings compile nothing; a terminal shows what is compiled."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import __main__ as command
from nbnet.engine.jit import linker

compiled = pytest.mark.skipif(linker.DISABLE_JIT, reason="nothing is compiled")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@compiled
def test_after_a_warm_up_nothing_is_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["warmup"])
    assert "kernels compiled in" in capsys.readouterr().out
    before = linker.compiled_count
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 5)), rng.integers(4, size=50)
    layers = [nb.layers.Dense(9, "relu"), nb.layers.Dropout(0.2), nb.layers.Dense(7, "relu"), nb.layers.Dropout(0.2)]
    model = nb.Sequential([nb.Input((5,)), *layers, nb.layers.Dense(4, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=8, epochs=10, validation_split=0.2, verbose=0)
    model.evaluate(x, y, verbose=0)
    model.predict(x)
    model.predict_mc(x, 2)
    model.predictor()(x[:1].astype(np.float32))
    assert linker.compiled_count == before
    assert nb.warmup() == 0


def test_dtypes_are_checked() -> None:
    with pytest.raises(ValueError, match="float16"):
        nb.warmup(["float16"])
    with pytest.raises(SystemExit):
        command.main(["warmup", "--dtypes", "int8"])


def test_a_terminal_shows_what_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    functions: list[Any] = [linker.Function(lambda x: x, name) for name in ("one", "two")]
    assert list(linker._with_progress(functions, 2)) == functions
    assert type(linker._with_progress(functions, 2)).__name__ == "Bar"
    assert linker._with_progress(functions[:1], 1) == functions[:1]
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert linker._with_progress(functions, 2) is functions
