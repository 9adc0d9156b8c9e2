"""Progress during training, and where it is shown."""

from __future__ import annotations

import io
import os
import re
import sys
import threading

import numpy as np
import pytest

from nbnet import config
from nbnet.callbacks import progress
from nbnet.callbacks.progress import Progress


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(progress, "_DELAY", 0.0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(verbose, stream, epochs=2, steps=3):
    with Progress(verbose, epochs, steps, stream) as p:
        for epoch in range(epochs or 1):
            p.begin_epoch(epoch)
            for step in range(1, steps + 1):
                p.update(step, {"loss": 1 / step})
            p.end_epoch({"loss": 0.25, "accuracy": 0.9375, "val_loss": 1e-5})
    return stream.getvalue()


TIME = r"\d+(\.\d)?[mu]?s - \d+(\.\d)?[mu]?s/step"
LOGS = "loss: 0.2500 - accuracy: 0.9375 - val_loss: 1.0000e-05"


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_bar(stream):
    # The final picture of a terminal: the part of each line after the last carriage return.
    lines = [line.split("\r")[-1] for line in run(1, stream()).split("\n")]
    assert lines[0] == "Epoch 1/2"
    assert re.fullmatch(rf"3/3 - {TIME} - {re.escape(LOGS)}", lines[1])
    assert lines[2] == "Epoch 2/2"
    assert re.fullmatch(rf"3/3 - {TIME} - {re.escape(LOGS)}", lines[3])
    assert lines[4:] == [""]


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_one_line_an_epoch(stream):
    lines = run(2, stream()).splitlines()
    assert len(lines) == 2
    for number, line in enumerate(lines, 1):
        assert re.fullmatch(rf"Epoch {number}/2 - {TIME} - {re.escape(LOGS)}", line)


@pytest.mark.parametrize("verbose", [0, False, np.int64(0)])
def test_silent(verbose):
    assert run(verbose, Terminal()) == ""


class Cell(io.StringIO):
    """The stdout of a notebook."""

    __module__ = "ipykernel.iostream"


def test_auto_is_a_bar_where_somebody_looks_and_lines_in_files():
    assert [Progress("auto", 1, 1, stream()).verbose for stream in (Terminal, Cell, io.StringIO)] == [1, 1, 2]
    assert Progress(True, 1, 1, io.StringIO()).verbose == 1
    config.disable_interactive_logging()
    try:
        assert [Progress("auto", 1, 1, stream()).verbose for stream in (Terminal, Cell, io.StringIO)] == [0, 0, 0]
        assert Progress(1, 1, 1, Terminal()).verbose == 1
    finally:
        config.enable_interactive_logging()


def test_auto_without_a_stream(monkeypatch):
    # A process without a console has no stdout at all.
    monkeypatch.setattr(sys, "stdout", None)
    for verbose in ("auto", 0, 1, 2):
        assert Progress(verbose).verbose == 0


def test_a_stream_of_few_characters_has_a_bar_of_these():
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    with Progress(1, 1, 3, stream) as p:
        p.begin_epoch(0)
        p.end_epoch({"größe": 0.5})
    stream.flush()
    assert re.search(rb"gr\\xf6\\xdfe: 0.5000 #+\n$", stream.buffer.getvalue())


def test_a_short_epoch_is_a_line(monkeypatch):
    monkeypatch.setattr(progress, "_DELAY", 60.0)
    text = run(1, Terminal())
    assert "\r" not in text
    assert text.count("\n") == 4
    assert text.startswith("Epoch 1/2\n3/3 - ")


@pytest.mark.parametrize("columns", [0, 20, 60, 80, 200])
def test_the_last_line_of_an_epoch_is_whole(columns, monkeypatch):
    """The bar takes the width that the numbers leave; a terminal of 0 columns is taken for one of 80."""
    monkeypatch.setattr(os, "get_terminal_size", lambda handle: os.terminal_size((columns, 24)))
    monkeypatch.setattr(Terminal, "fileno", lambda stream: 1)
    text = run(1, Terminal())
    running, last = text.split("\n")[1].split("\r")[1:-1], text.split("\n")[1].split("\r")[-1]
    assert re.match(rf"3/3 - {TIME} - {re.escape(LOGS)}", last)
    assert all(len(line) < (columns or 80) for line in running)
    assert last.endswith("#") == (columns == 200)
    assert len(last) == 199 if columns == 200 else True


def test_stdout_is_the_default(capsys):
    with Progress(2, 1, 1) as p:
        p.begin_epoch(0)
        p.end_epoch({})
    assert capsys.readouterr().out.startswith("Epoch 1/1 - ")


def test_evaluation_has_no_heading():
    assert run(1, io.StringIO(), epochs=None).startswith("\r0/3")
    assert re.fullmatch(rf"3/3 - {TIME} - {re.escape(LOGS)}\n", run(2, io.StringIO(), epochs=None))


@pytest.mark.parametrize("verbose", [3, -1, "yes", "1", None, 1.0, [1]])
def test_verbose_is_checked(verbose):
    with pytest.raises(ValueError, match=rf"^verbose: expected 'auto', 0, 1 or 2, got {re.escape(repr(verbose))}$"):
        Progress(verbose)


def interrupted(stream):
    with Progress(1, 2, 10, stream) as p:
        p.begin_epoch(0)
        p.update(4, {"loss": 0.5})
        raise KeyboardInterrupt


def test_an_interrupted_bar_ends_its_line():
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt):
        interrupted(stream)
    assert re.search(r"\r *4/10 .* - loss: 0\.5000 \S*\s*\n$", stream.getvalue())


def test_an_epoch_that_ends_early_and_the_next():
    stream = io.StringIO()
    with Progress(1, 2, 10, stream) as p:
        p.begin_epoch(0)
        p.update(4, {})
        p.begin_epoch(1)
        p.end_epoch({})
        p.close()
    assert stream.getvalue().count("\n") == 4


def test_no_thread_is_left_behind():
    """A process with threads cannot fork safely; tqdm's monitor would be one."""
    before = threading.active_count()
    with Progress(1, 1, 10, Terminal()) as p:
        p.begin_epoch(0)
        assert threading.active_count() == before


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0000"), (1e-3, "1.0000e-03"), (-1e-4, "-1.0000e-04"), (0.0011, "0.0011"), (12.34567, "12.3457")],
)
def test_numbers(value, text):
    assert progress._number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (2.5e-5, "25us"),
        (0.0123, "12ms"),
        (1.04, "1.0s"),
        (59.94, "59.9s"),
        (61, "1:01"),
        (3599.6, "1:00:00"),
        (7325, "2:02:05"),
    ],
)
def test_durations(seconds, text):
    assert progress._duration(seconds) == text
