"""``model.program``: the program that training, evaluation, prediction and sampling write, for its listing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers
from nbnet.train import step_builder

rng = np.random.default_rng(0)
X, LABELS = rng.random((24, 6), np.float32), rng.integers(0, 3, 24)


def network(**settings: Any) -> nb.Sequential:
    parts = [layers.Dense(5, "relu", name="hidden"), layers.Dropout(0.5, name="drop"), layers.Dense(3, "softmax")]
    model = nb.Sequential([nb.Input((6,)), *parts])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **settings)
    return model


@pytest.mark.parametrize("slices", [1, 2])
def test_it_is_the_program_that_runs(slices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network(slices=slices)
    shown = {kind: str(model.program(kind, rows=12)) for kind in ("train", "evaluate", "predict", "sample")}
    written: list[str] = []
    lower = step_builder.lower

    def spy(*args: Any) -> Any:
        program = lower(*args)
        written.append(str(program))
        return program

    monkeypatch.setattr(step_builder, "lower", spy)
    model.fit(X, LABELS, 12, verbose=0)
    model.evaluate(X, LABELS, 12, verbose=0)
    model.predict(X, 12)
    model.predict_mc(X, 2, batch_size=12)
    assert written == list(shown.values())
    assert "adam" in shown["train"]
    assert ["drop" in listing for listing in shown.values()] == [True, False, False, True]
    assert all(("slice 1" in listing) == (slices == 2) for listing in shown.values())


def test_it_is_printed_and_returned(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    program = network().program(print_fn=said.append)
    assert said == [str(program)]
    assert capsys.readouterr().out == ""
    assert network().program("predict", 4, print_fn=None).nbytes > 0
    assert capsys.readouterr().out == ""
    again = network().program()
    assert capsys.readouterr().out == f"{again}\n"
    assert repr(program) == f"<Program of {len(program.calls)} rows, float32, arena {program.nbytes:,} bytes>"
    assert str(program).startswith(f"program: {len(program.calls)} rows, float32, arena {program.nbytes:,} bytes")
    assert "x0[32x6]" in str(program)


def test_inputs_have_a_dtype_in_memory() -> None:
    model = network()
    assert "gather_float32" in str(model.program("predict", 4))
    for dtype in ("uint8", np.float64, np.dtype("int16")):
        assert f"gather_{np.dtype(dtype).name}" in str(model.program("predict", 4, dtype))
    ids = nb.Sequential([nb.Input((2,)), layers.Embedding(4, 3), layers.Flatten(), layers.Dense(1)])
    assert "gather_ids" in str(ids.program("predict", 4, "uint8"))
    with pytest.raises(ValueError, match="x_dtype"):
        model.program("predict", 4, "complex64")


def test_nothing_changes() -> None:
    model = network()
    before, seed = model.get_weights(), nb.random.next_draw()
    for kind in ("train", "evaluate", "predict", "sample"):
        model.program(kind, 8)
    assert nb.random.next_draw() == seed + 1
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


class Own(nb.Model):
    def train_step(self, data: Any) -> dict[str, Any]:
        return {}


def test_where_there_is_no_program() -> None:
    model = network()
    for rows in (0, 1.5, True):
        with pytest.raises(ValueError, match="rows"):
            model.program("train", rows)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kind: expected one of 'train'"):
        model.program("fit", 8)
    with pytest.raises(ValueError, match="not built"):
        nb.Sequential([layers.Dense(3)]).program("predict", 8)
    x = nb.Input((3,))
    plain = nb.Model(x, layers.Dense(1)(x))
    with pytest.raises(ValueError, match="not compiled: call compile"):
        plain.program("train", 8)
    with pytest.raises(ValueError, match="Dropout"):
        plain.program("sample", 8)
    plain.compile("adam")
    with pytest.raises(ValueError, match="not compiled with a loss"):
        plain.program("evaluate", 8)
    own = Own(x := nb.Input((3,)), layers.Dense(1)(x))
    own.compile("adam", "mse")
    with pytest.raises(ValueError, match="train_step in Python"):
        own.program("train", 8)
    assert "store" in str(own.program("predict", 8))
    open_length = nb.Model(x := nb.Input((None, 3)), layers.GlobalMaxPooling1D()(x))
    with pytest.raises(ValueError, match="fixed shapes"):
        open_length.program("predict", 8)
