"""The budget of a model that is being loaded: what its file may make the process allocate and compute.

A configuration of a few bytes can ask for terabytes of constants, or for a model inside a model inside a model. While
:func:`loading_budget` is active, everything whose size a configuration determines is charged before it is made:
weights, of which there are no more than the file has; constants; objects, calls of layers and of ops.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.cpu import check_cancelled

#: Number of values of all constants that layers keep, and of one that a call needs only while it is tried; both
#: beside as many as the file has.
KEPT, TRIED = 1 << 20, 1 << 21
#: As many as a file has, for a configuration that comes without one.
WITHOUT_FILE = 1 << 24
#: Number of values of all constants together, which bounds the time that they take.
FILLED = 1 << 27
#: Number of objects, and of calls of layers and ops. A record of 500,000 values describes fewer.
STEPS = 100_000


def allowance(size: int) -> int:
    """Return the number of bytes that arrays of a compressed file of this size, and the weights that they become, may
    take; with all the rest, loading takes ten times the file and 64 MiB."""
    return 6 * size + (28 << 20)


class LoadingBudget:
    """The part of a file's allowance that is left.

    Parameters
    ----------
    shapes
        Shapes of the tensors of the file that may be weights, each of which can be taken once. By default there is no
        file: weights are new ones, and are not charged.
    size
        Bytes of the file, if its tensors are compressed or may have other dtypes than the weights.
    used
        Bytes of its :func:`allowance` that are used.
    """

    def __init__(self, shapes: Iterable[Sequence[int]] | None = None, size: int | None = None, used: int = 0) -> None:
        self.weights = None if shapes is None else Counter(tuple(shape) for shape in shapes)
        self.memory = None if size is None else allowance(size) - used
        values = WITHOUT_FILE
        if self.weights is not None:
            values = sum(prod(shape) * n for shape, n in self.weights.items())
        if size is not None:
            values = min(values, size // 4)
        self.kept, self.tried = KEPT + values, TRIED + values
        self.filled, self.steps = FILLED + values, STEPS


_budget: ContextVar[LoadingBudget | None] = ContextVar("budget", default=None)
#: The budget that is active in this thread, or None.
active = _budget.get


@contextmanager
def loading_budget(budget: LoadingBudget | None) -> Iterator[None]:
    """Inside, weights are taken from a budget and start as zeros, and what else a configuration asks for is charged to
    it; with None, nothing is charged."""
    before = _budget.set(budget)
    try:
        yield
    finally:
        _budget.reset(before)


def weight(shape: tuple[int, ...], dtype: Any, name: str) -> NDArray[Any] | None:
    """Return zeros for a weight inside :func:`loading_budget`, or raise ValueError if the file has no such weight left;
    otherwise None, and its initializer makes it."""
    budget = _budget.get()
    if budget is None or budget.weights is None:
        return None
    if not budget.weights[shape]:
        raise ValueError(f"{name}: asks for a weight of shape {shape}, and the file has none of that shape left")
    budget.weights[shape] -= 1
    if budget.memory is not None:
        budget.memory -= prod(shape) * np.dtype(dtype).itemsize
        if budget.memory < 0:
            raise ValueError(f"{name}: asks for more memory than a file of this size can need")
    return np.zeros(shape, dtype)


def reserve(values: int, name: str, kept: bool = False) -> None:
    """Charge a constant before it is made; raise ValueError if it has more values than the file can need.

    Parameters
    ----------
    values
        Number of values of the constant.
    name
        The layer or op that asks for it.
    kept
        If True, it is kept as long as the model.
    """
    budget = _budget.get()
    if budget is None or values <= 0:
        return
    if values > min(budget.kept if kept else budget.tried, budget.filled):
        raise ValueError(f"{name}: asks for {values} values, more than the file can need")
    budget.filled -= values
    if kept:
        budget.kept -= values


def count_steps(steps: int, name: str) -> None:
    """Charge objects that are made, or calls of layers or ops; raise ValueError if they are too many."""
    budget = _budget.get()
    if budget is None:
        return
    check_cancelled()
    if steps > budget.steps:
        raise ValueError(f"{name}: the configuration asks for more than {STEPS} objects and calls of layers")
    budget.steps -= steps


#: Allocations below this are not checked, which costs a system call.
LARGE = 1 << 30
#: Files with the limit and the use of the memory of a container, of both versions of control groups.
_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def available_memory() -> int | None:
    """Return the number of bytes that the process can still allocate, as far as the system says; else None.

    Examples
    --------
    >>> from nbnet.base.loading_budget import available_memory
    >>> (available_memory() or 1) > 0
    True
    """
    found = [int(limit) - int(used) for limit, used in map(_read, _GROUPS) if limit.isdigit() and used.isdigit()]
    lines = _text("/proc/meminfo").splitlines()
    found += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    if not found and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)


def check_memory(nbytes: int, what: str) -> None:
    """Raise MemoryError if an allocation is larger than the memory that is left.

    Parameters
    ----------
    nbytes
        Its size.
    what
        What needs it, for the message.

    Examples
    --------
    >>> from nbnet.base.loading_budget import check_memory
    >>> check_memory(1000, "a small array")
    >>> check_memory(1 << 80, "the output of 'dense'")
    Traceback (most recent call last):
    MemoryError: the output of 'dense' needs 1,125,899,906,842,624.0 GiB of memory...
    """
    if nbytes < LARGE:
        return
    left = available_memory()
    if nbytes > (1 << 62 if left is None else left):
        known = "" if left is None else f", {left / 2**30:,.1f} GiB are available"
        raise MemoryError(f"{what} needs {nbytes / 2**30:,.1f} GiB of memory{known}")


def _read(paths: tuple[str, str]) -> tuple[str, str]:
    limit, used = map(_text, paths)
    return limit.strip(), used.strip()


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
