"""Checks around each row, with ``NBNET_CHECK=1``: what compiled code reports, and what a kernel did to memory.

The executor's memory lies between red zones, filled with a pattern that is NaN as float32 and as float64. Before a
row runs, the operands that it overwrites are filled with the same pattern; afterwards no result may hold it, and the
bytes around all operands, and those of operands that are only read, must be what they were.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.engine.jit.function import KernelError
from nbnet.engine.kernels.layout import ACCUMULATE, CALL, EVERY, EXTENTS, OPERANDS, RED_ZONE

#: The pattern, 32 bits wide.
PATTERN = 0xFFFDA5A5
#: Bytes up to which an operand that is only read is compared with what it was.
COMPARED_BYTES = 1 << 20

#: By itemsize: the pattern without its sign, and what it becomes in a conversion from the other float dtype.
_FOUND = {
    1: (np.uint32, 0xFFFFFFFF, (PATTERN,)),
    4: (np.uint32, 0x7FFFFFFF, (PATTERN & 0x7FFFFFFF, 0x7FED2D2F)),
    8: (np.uint64, 0x7FFFFFFFFFFFFFFF, (0x7FFDA5A5FFFDA5A5, 0x7FFFB4B4A0000000)),
}

# By kind of fault; see layout.py.
_MESSAGES = (
    "index {value} is out of bounds for {limit} elements",
    "a slice begins or ends at {value}, out of bounds for {limit} elements",
    "the kernel uses operand {value}, out of bounds for the {limit} of a row",
    "the kernel uses attribute {value}, out of bounds for the {limit} of a row",
    "the kernel sees {value} bytes, out of bounds for the {limit} that it has",
    "a product of matrices needs {limit} rows or columns here, got {value}",
    "the kernel uses {value} elements, out of bounds for {limit}",
    "a mask keeps {value} elements, out of bounds for {limit}",
)


class Operand(NamedTuple):
    """An operand of a call, for messages."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.name!r} {self.dtype} {self.shape}" if self.name else f"{self.dtype} {self.shape}"


class Description(NamedTuple):
    """Names and operands of a row, without its memory."""

    name: str
    kernel: str
    operands: tuple[Operand | None, ...]
    written: tuple[int, ...]
    partial: tuple[int, ...]


class Span(NamedTuple):
    """Addresses from ``start`` up to, not including, ``stop``."""

    start: int
    stop: int

    def overlaps(self, other: Span) -> bool:
        return self.start < other.stop and other.start < self.stop


_numbers: dict[Description, int] = {}
_descriptions: list[Description] = []
#: Start and end, red zones included, of the executor's memory.
_blocks: dict[int, int] = {}
_thread = threading.local()


def describe(row: NDArray[np.int64], call: Any) -> None:
    """Enter in a row what the checks need to know about its call."""
    operands = tuple(None if t is None else Operand(t.name, t.shape, t.dtype.name) for t in call.operands)
    description = Description(call.name, call.kernel.name, operands, call.written, _partial(call))
    number = _numbers.setdefault(description, len(_descriptions))
    if number == len(_descriptions):
        _descriptions.append(description)
    row[CALL] = number
    for k, tensor in enumerate(call.operands):
        row[EXTENTS + k] = 0 if tensor is None else tensor.nbytes


def _partial(call: Any) -> tuple[int, ...]:
    """The operands of a call of which its kernel may leave a part unwritten: scratch, and what the op says."""
    found = {k for k, tensor in enumerate(call.operands) if tensor is not None and tensor.name == "scratch"}
    if call.op is not None:
        names = call.op.operands if call.kernel is call.op.forward else call.op.gradient
        found |= {k for k, name in enumerate(names) if name in call.op.partial or name in call.op.work}
    return tuple(sorted(found))


def watch(raw: NDArray[np.uint8], start: int, nbytes: int) -> None:
    """Fill the memory around ``raw[start : start + nbytes]`` with the pattern, and know it from now on."""
    end = start + -(-nbytes // 4) * 4
    raw[start - RED_ZONE : start].view(np.uint32)[:] = PATTERN
    raw[end : end + RED_ZONE - 4].view(np.uint32)[:] = PATTERN
    begin = raw.ctypes.data + start
    _blocks[begin - RED_ZONE] = begin + nbytes + RED_ZONE - 4
    weakref.finalize(raw, _blocks.pop, begin - RED_ZONE, None).atexit = False


def poison(memory: NDArray[Any]) -> None:
    """Fill memory of whole 4 bytes with the pattern."""
    memory.view(np.uint32)[:] = PATTERN


def _keep_fault(kind: int, place: int, value: int, limit: int) -> None:
    if getattr(_thread, "fault", None) is None:
        _thread.fault = kind, place, value, limit


_fault = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(_keep_fault)


def symbols() -> dict[str, int]:
    """The function by which compiled code reports a fault."""
    return {"nbnet_fault": ctypes.cast(_fault, ctypes.c_void_p).value or 0}


def run_checked(mem: int, row: NDArray[np.int64], step: int, run: Callable[[], None], where: str) -> None:
    """Call ``run``, which runs a row whose operands' offsets count from ``mem``.

    Raises
    ------
    KernelError
        If the kernel leaves its operands, writes to one that it only reads, reads memory before it is written, or
        leaves a part of its results unwritten. Memory outside of its results is restored.
    """
    if (step + 1) % int(row[EVERY]):
        return
    call = _descriptions[int(row[CALL])]

    def error(why: str, k: int | None = None) -> KernelError:
        operand = "" if k is None else f"operand {k} ({call.operands[k]}): "
        return KernelError(f"{call.name!r}, kernel {call.kernel}{where}, step {step}: {operand}{why}")

    spans: dict[int, Span] = {}
    for k, operand in enumerate(call.operands):
        if operand is not None and row[EXTENTS + k]:
            start = mem + int(row[OPERANDS + 3 * k])
            spans[k] = Span(start, start + int(row[EXTENTS + k]))
    added = {k for k in call.written if int(row[ACCUMULATE]) >> k & 1}
    results = [k for k in call.written if k in spans]
    reads = [span for k, span in spans.items() if k not in call.written or k in added]
    whole = [
        k for k in results
        if k not in call.partial and not (k in added and _holds_pattern(spans[k], call.operands[k]))
    ]  # fmt: skip
    for k in results:
        if k not in added and not any(spans[k].overlaps(other) for other in reads):
            _fill(spans[k])
    kept = _saved(spans, [spans[k] for k in results])
    _thread.fault = None
    run()
    fault, _thread.fault = _thread.fault, None
    changed = [(span, before) for span, before in kept if ctypes.string_at(span.start, len(before)) != before]
    for span, before in changed:
        ctypes.memmove(span.start, before, len(before))
    if fault is not None:
        kind, place, value, limit = fault
        inside = (k for k, span in spans.items() if span.start <= place < span.stop)
        raise error(_MESSAGES[kind].format(value=value, limit=limit), next(inside, None))
    for span, _ in changed:
        for k, own in spans.items():
            if own.overlaps(span) and k not in results:
                raise error("the kernel writes to an operand that it only reads", k)
        near = min(spans, key=lambda k: min(abs(spans[k].start - span.stop), abs(spans[k].stop - span.start)))
        raise error(f"the kernel writes {'before' if span.stop <= spans[near].start else 'behind'} it", near)
    for k in whole:
        if _holds_pattern(spans[k], call.operands[k]):
            raise error("the kernel reads memory before it is written, or leaves a part of this result unwritten", k)


def _array(span: Span, dtype: Any) -> NDArray[Any]:
    """The memory of a span as numbers; a rest that is no whole number is left out."""
    count = (span.stop - span.start) // np.dtype(dtype).itemsize
    memory: Any = (ctypes.c_char * (span.stop - span.start)).from_address(span.start)
    numbers: NDArray[Any] = np.frombuffer(memory, dtype, count)
    return numbers


def _fill(span: Span) -> None:
    _array(span, np.uint32)[:] = PATTERN


def _holds_pattern(span: Span, operand: Operand | None) -> bool:
    assert operand is not None
    kind, mask, patterns = _FOUND[np.dtype(operand.dtype).itemsize]
    words = _array(span, kind) & kind(mask)
    return any(bool((words == kind(pattern)).any()) for pattern in patterns)


def _saved(spans: dict[int, Span], results: list[Span]) -> list[tuple[Span, bytes]]:
    """The bytes that a row must leave as they are: around its operands, as far as it is the executor's memory, and in
    operands that it only reads."""
    blocks = _blocks.copy()  # One that ends meanwhile leaves the original.
    found: set[Span] = set()
    for span in spans.values():
        if span not in results and span.stop - span.start <= COMPARED_BYTES:
            found.add(span)
        for start, stop in blocks.items():
            if start <= span.start and span.stop <= stop:
                found.add(Span(max(start, span.start - RED_ZONE), span.start))
                found.add(Span(span.stop, min(stop, span.stop + RED_ZONE)))
                break
    rest = [part for span in sorted(found) for part in _without(span, results)]
    return [(span, ctypes.string_at(span.start, span.stop - span.start)) for span in rest]


def _without(span: Span, others: list[Span]) -> list[Span]:
    """The parts of a span that no other one covers."""
    parts = [span]
    for other in others:
        parts = [
            Span(start, stop)
            for part in parts
            for start, stop in ((part.start, min(part.stop, other.start)), (max(part.start, other.stop), part.stop))
            if start < stop
        ]
    return parts
