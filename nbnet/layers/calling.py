"""What a call of a layer needs to know: whether it is one of training, how it draws, what part of a batch it sees."""

from __future__ import annotations

import functools
import inspect
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Cut:
    """Which part of a batch a call sees, out of how many even parts of how many rows together; and in how many groups
    of rows the layers called want to see it, each with masks of its own."""

    part: int = 0
    parts: int = 1
    rows: int = 0
    groups: int = 1

    def group(self, groups: int) -> int | None:
        """Which of so many groups of rows this part belongs to; None if it is not of one group alone."""
        self.groups = math.lcm(self.groups, groups)
        return None if self.parts % groups else self.part * groups // self.parts


class _Calls(threading.local):
    """Whether the layer call this thread is in was made for training, None outside; how stochastic layers draw that are
    at work whatever the mode: one mask for each row (``"per_sample"``) or for all of them (``"shared"``); and how the
    batch is cut."""

    def __init__(self) -> None:
        self.training: bool | None = None
        self.sampling: str | None = None
        self.cut = Cut()


#: State of the thread.
calls = _Calls()


@contextmanager
def training_mode(training: bool) -> Iterator[None]:
    """Layers called inside are called for training, or not, unless they are told otherwise."""
    before, calls.training = calls.training, training
    try:
        yield
    finally:
        calls.training = before


@contextmanager
def sampling_mode(masks: str = "per_sample") -> Iterator[None]:
    """Stochastic layers called inside draw as they do in training, whatever mode they are told; others obey it.

    Parameters
    ----------
    masks
        ``"per_sample"``, or ``"shared"``: layers that can let all rows of the batch share a mask.
    """
    before, calls.sampling = calls.sampling, masks
    try:
        yield
    finally:
        calls.sampling = before


@contextmanager
def cutting(part: int, parts: int, rows: int) -> Iterator[Cut]:
    """Layers called inside see this part of a batch."""
    before, calls.cut = calls.cut, Cut(part, parts, rows)
    try:
        yield calls.cut
    finally:
        calls.cut = before


def mask_rows() -> int | None:
    """Size of a mask's batch axis: 1 if all rows are to share it, else None, which stands for that of the batch."""
    return 1 if calls.sampling == "shared" else None


@functools.cache
def training_argument(call: Any) -> tuple[int | None, bool]:
    """Where ``training`` stands among the arguments of a method behind self, None if it takes none, and its default."""
    parameters = inspect.signature(call).parameters
    if "training" not in parameters:
        return None, False
    default = parameters["training"].default
    return list(parameters).index("training") - 1, default if isinstance(default, bool) else False


def noting(build: Any) -> Any:
    """A ``build`` after which its layer is built, whoever calls it: a layer may build those inside it."""

    @functools.wraps(build)
    def noted(self: Any, *args: Any, **kwargs: Any) -> None:
        build(self, *args, **kwargs)
        # That of a base class, called by a subclass's own, is not the end of it.
        if type(self).build is noted:
            self.built = True

    return noted
