"""Printing works on any standard output: with few characters, closed, or None."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers
from nbnet.base.console import encodable, is_terminal, show, writable
from nbnet.callbacks.progress import Progress

X, Y = np.zeros((8, 3), np.float32), np.zeros((8, 1), np.float32)


class Terminal(io.TextIOWrapper):
    """A terminal of some encoding."""

    def isatty(self) -> bool:
        return True


def output(encoding: str, kind: type[io.TextIOWrapper] = io.TextIOWrapper) -> io.TextIOWrapper:
    return kind(io.BytesIO(), encoding, "strict", write_through=True)


def text_of(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode(stream.encoding)


def nested(name: str = "inner") -> nb.Model:
    x = nb.Input((3,), name="x")
    inner = nb.Sequential([nb.Input((3,)), layers.Dense(2, name="größe")], name=name)
    model = nb.Model(x, layers.Dense(1, name="последний")(inner(x)), name="層")
    model.compile("sgd", "mse")
    return model


ENCODINGS = ["ascii", "cp1252", "latin-1", "cp437", "utf-8", "utf-16", "shift_jis"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_everything_is_printed_in_any_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = output(encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    model = nested()
    model.summary(expand_nested=True, show_trainable=True)
    model.program("train", 4)
    model.fit(X, Y, verbose=2)
    model.evaluate(X, Y, verbose=2)
    model.predict(X, verbose=2)
    nb.fit_many([model], X, Y, verbose=2)
    text = text_of(stream)
    assert "Total params: 11" in text
    assert "Epoch 1/1" in text
    for name in ("größe", "последний"):
        escaped = name.encode(encoding, "backslashreplace").decode(encoding)
        assert escaped in text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_lines_of_tables_become_plain(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = output(encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    x = nb.Input((3,), name="x")
    inner = nb.Sequential([nb.Input((3,)), layers.Dense(2, name="dense")], name="inner")
    nb.Model(x, inner(x), name="outer").summary(expand_nested=True)
    lines = text_of(stream).splitlines()
    assert set(lines[1]) == {"-"}
    assert any(line.startswith("   + dense (Dense)") for line in lines)
    widths = {len(line) for line in lines if set(line) == {"-"}}
    assert len(widths) == 1


def test_the_table_is_as_it_was_where_it_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    nested().summary()
    found: list[str] = []
    nested().summary(print_fn=found.append)
    assert "─" in found[0]
    assert capsys.readouterr().out == found[0] + "\n"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("verbose", [1, 2, "auto"])
def test_progress_of_metrics_with_any_name(encoding: str, verbose: Any) -> None:
    stream = output(encoding, Terminal)
    with Progress(verbose, 2, 10, stream) as bar:
        for epoch in range(2):
            bar.begin_epoch(epoch)
            bar.update(5, {"loss": 0.5, "верность": 0.25, "幅": 1.0})
            bar.end_epoch({"loss": 0.5, "верность": 0.25})
    assert "0.2500" in text_of(stream)


@pytest.mark.parametrize("stream", ["none", "closed"])
@pytest.mark.parametrize("verbose", [0, 1, 2, "auto"])
def test_no_output_at_all(stream: str, verbose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process without a console, or after ``sys.stdout.close()``."""
    closed = output("utf-8", Terminal)
    closed.close()
    monkeypatch.setattr(sys, "stdout", None if stream == "none" else closed)
    model = nested()
    model.summary()
    model.program("train", 4)
    stop = nb.callbacks.EarlyStopping("loss", patience=0, verbose=1, min_delta=10.0)
    slow = nb.callbacks.ReduceLROnPlateau("loss", patience=1, verbose=1, min_delta=10.0)
    rate = nb.callbacks.LearningRateScheduler(lambda epoch, rate: rate, verbose=1)
    history = model.fit(X, Y, epochs=4, verbose=verbose, callbacks=[stop, slow, rate])
    model.evaluate(X, Y, verbose=verbose)
    nb.fit_many([model], X, Y, verbose=verbose)
    assert len(history.epoch) == 2
    assert model.predict(X).shape == (8, 1)


def test_an_output_that_is_closed_while_a_model_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = output("utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    close = nb.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epoch == 1 and stream.close())
    assert len(nested().fit(X, Y, epochs=4, verbose=2, callbacks=[close]).epoch) == 4


def test_streams_without_an_encoding() -> None:
    stream = io.StringIO()
    show("größe ─ 層", stream)
    assert stream.getvalue() == "größe ─ 層\n"
    assert encodable("─", object()) == "─"
    assert not writable(None)
    assert not is_terminal(stream)


def test_names_of_files_that_are_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path may hold bytes that are not UTF-8: surrogates, which no output can encode."""
    stream = output("utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    show("saved to \udcff.nbnet")
    assert text_of(stream).splitlines() == ["saved to \\udcff.nbnet"]


@pytest.mark.skipif(sys.platform == "win32", reason="PYTHONIOENCODING is for pipes here; Windows has its own consoles")
@pytest.mark.parametrize("encoding", ["ascii:strict", "cp1252:strict"])
def test_a_process_with_such_an_output(encoding: str) -> None:
    code = """
        import nbnet as nb
        nb.Sequential([nb.Input((3,)), nb.layers.Dense(2, name="größe")]).summary()
        raise SystemExit(7)
    """
    env = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=env, capture_output=True, timeout=300)
    assert done.returncode == 7, done.stderr
    assert b"Total params: 8" in done.stdout
