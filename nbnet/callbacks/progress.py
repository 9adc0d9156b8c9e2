"""Progress as Keras shows it: a bar for each epoch (drawn by tqdm), a line for each, or nothing.

A line begins with the numbers, and the bar takes what is left of its width. While an epoch runs, a line that is too
long is cut at the end; the last line of an epoch is always whole.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np

from nbnet import config
from nbnet.base.console import bar_class, columns, encodable, is_notebook, is_terminal, show, writable

_BAR = "{n_fmt}/{total_fmt}{desc} {bar}"
#: Seconds before the first drawing: short epochs are a line each, without bars that saved notebooks would keep.
_DELAY = 0.1
#: The narrowest bar that is drawn beside the numbers of an epoch that is done.
_NARROWEST = 5


class Progress:
    """Shows the progress of epochs.

    Parameters
    ----------
    verbose : {"auto", 0, 1, 2}
        0 is silent, 1 draws a bar for each epoch, 2 prints a line for each; ``"auto"`` is 1 on a terminal and in a
        notebook, and 2 in files and pipes; after :func:`nbnet.config.disable_interactive_logging` it is 0. True and
        False stand for 1 and 0.
    epochs : int or None
        Number of epochs; None leaves out the heading ``Epoch 1/10``, as evaluation does.
    steps : int or None
        Number of steps of an epoch; None if it is unknown before the first epoch ends.
    stream : file, optional
        Output, ``sys.stdout`` by default.

    Raises
    ------
    ValueError
        If ``verbose`` is something else.

    Examples
    --------
    >>> import sys
    >>> from nbnet.callbacks.progress import Progress
    >>> with Progress(verbose=2, epochs=3, steps=100, stream=sys.stdout) as progress:
    ...     progress.begin_epoch(0)
    ...     progress.update(50, {"loss": 0.75})
    ...     progress.end_epoch({"loss": 0.5, "val_loss": 0.625})
    Epoch 1/3 - ... - .../step - loss: 0.5000 - val_loss: 0.6250
    """

    def __init__(
        self, verbose: int | str = "auto", epochs: int | None = 1, steps: int | None = 1, stream: TextIO | None = None
    ) -> None:
        self.stream: TextIO | None = sys.stdout if stream is None else stream
        self.verbose = level_of(verbose, self.stream)
        self.epochs, self.steps = epochs, steps
        self._heading = ""
        self._began = 0.0
        self._bar: Any = None
        if self.verbose == 1:
            self._make_bar = bar_class()

    def begin_epoch(self, epoch: int) -> None:
        """Start an epoch, whose number counts from 0."""
        self.close()
        self._began = time.perf_counter()
        self._heading = "" if self.epochs is None else f"Epoch {epoch + 1}/{self.epochs}"
        if self.verbose == 1:
            if self._heading:
                self._print(self._heading)
            self._bar = self._make_bar(
                total=self.steps, bar_format=_BAR, miniters=1, file=self.stream, ncols=self._width(), delay=_DELAY
            )

    def update(self, steps_done: int, logs: Mapping[str, float]) -> None:
        """Show the number of steps of the epoch so far, and its logs; draws at most ten times a second."""
        if self._bar is not None:
            self._bar.set_description_str(encodable(f" - {self._text(logs, steps_done)}", self.stream), False)
            self._bar.update(steps_done - self._bar.n)

    def end_epoch(self, logs: Mapping[str, float]) -> None:
        """Finish an epoch, and show its logs, those of validation included."""
        if self._bar is not None:
            if self.steps is None:
                self.steps = self._bar.n
            text = f"{self.steps}/{self.steps} - {self._text(logs, self.steps)}"
            left = self._width() - len(text) - 1
            characters = self._bar.ascii
            self._bar.leave = False  # The line is printed once more, with its last numbers.
            self.close()
            whole = self._make_bar.format_meter(self.steps, self.steps, 0, left, ascii=characters, bar_format="{bar}")
            self._print(f"{text} {whole}" if left >= _NARROWEST else text)
        elif self.verbose == 2:
            heading = self._heading or f"{self.steps or '?'}/{self.steps or '?'}"
            self._print(f"{heading} - {self._text(logs, self.steps)}")

    def close(self) -> None:
        """Close the bar as it is, also in an epoch that was interrupted."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _print(self, line: str) -> None:
        show(line, self.stream)

    def _width(self) -> int:
        """Return the width of a line: one character less than that of the terminal, which some would wrap."""
        return columns(self.stream) - 1

    def _text(self, logs: Mapping[str, float], steps: int | None) -> str:
        elapsed = time.perf_counter() - self._began
        each = f" - {_duration(elapsed / steps)}/step" if steps else ""
        return " - ".join([_duration(elapsed) + each, *(f"{name}: {_number(value)}" for name, value in logs.items())])


def level_of(verbose: Any, stream: Any = None) -> int:
    """Return the 0, 1 or 2 that ``verbose`` means for a stream, by default the standard output."""
    stream = sys.stdout if stream is None else stream
    if type(verbose) is int and verbose == 0:
        return 0
    if isinstance(verbose, str) and verbose == "auto":
        if not (config.is_interactive_logging_enabled() and writable(stream)):
            return 0
        return 1 if is_terminal(stream) or is_notebook(stream) else 2
    if not isinstance(verbose, (int, np.integer)) or verbose not in (0, 1, 2):
        raise ValueError(f"verbose: expected 'auto', 0, 1 or 2, got {verbose!r}")
    return int(verbose) if verbose and writable(stream) else 0


def _number(value: Any) -> str:
    """Four decimals as in Keras, small numbers with an exponent, all numbers of an array."""
    if np.ndim(value):
        return f"[{', '.join(_number(v) for v in value)}]"
    return f"{value:.4e}" if 0 < abs(value) <= 1e-3 else f"{value:.4f}"


def _duration(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f}us"
    if seconds < 1:
        return f"{seconds * 1e3:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
