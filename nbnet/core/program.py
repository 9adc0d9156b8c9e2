"""From calls to rows: ``lower``, ``verify``, ``link``, ``run``.

A program is a flat list of calls in phases; in each phase every slice of the batch has its own span of calls, and the
slices meet between phases. Lowering finds a place in the arena for every tensor without data; verifying checks once
what kernels cannot; linking writes addresses into the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.core import executor
from nbnet.core.arena import Buffer, address, aligned, plan, round_up
from nbnet.core.graph import Call, Tensor
from nbnet.core.jit import link as link_kernels
from nbnet.core.layout import (
    ACCUMULATE,
    ATTRIBUTES,
    EVERY,
    FIRST_ROW,
    KERNEL,
    MAX_ATTRIBUTES,
    MAX_OPERANDS,
    OPERANDS,
    SEED,
    WIDTH,
)
from nbnet.core.parameter import Parameter

Rows = NDArray[np.int64]


def encode(row: Rows, call: Call, place: Callable[[Tensor], int], first_row: int) -> None:
    """Fill a row; ``place`` gives an operand's byte offset from the arena's start."""
    row[SEED] = call.key - (1 << 64) if call.key >= 1 << 63 else call.key
    row[ACCUMULATE] = call.accumulate
    row[FIRST_ROW] = first_row
    row[EVERY] = call.every
    for k, tensor in enumerate(call.operands):
        if tensor is not None:
            o = OPERANDS + 3 * k
            row[o] = place(tensor)
            row[o + 1], row[o + 2] = tensor.matrix
    row[ATTRIBUTES : ATTRIBUTES + len(call.attributes)] = call.attributes


@dataclass(frozen=True, eq=False)
class Program:
    """Calls in order, the spans of them that phases and slices run, and places for the tensors they make."""

    dtype: np.dtype[Any]
    calls: tuple[Call, ...]
    spans: NDArray[np.int64]
    first_rows: tuple[int, ...]
    places: dict[Tensor, int]
    nbytes: int

    def __str__(self) -> str:
        return listing(self)


def lower(
    phases: Sequence[Sequence[Sequence[Call]]],
    first_rows: Sequence[int],
    dtype: np.dtype[Any],
    keep: Iterable[Tensor] = (),
) -> Program:
    """Lower calls, given per phase and slice, to a program.

    Parameters
    ----------
    phases
        ``phases[p][t]``: the calls of slice t in phase p.
    first_rows
        Number in the batch of each slice's first row.
    keep
        Tensors whose memory nobody may take over: outputs, recorded masks.
    """
    slices = len(first_rows)
    kept = set(keep)
    calls: list[Call] = []
    rows_of: list[int] = []
    spans = np.zeros((len(phases), slices, 2), np.int64)
    for p, phase in enumerate(phases):
        for t, part in enumerate(phase):
            spans[p, t] = len(calls), len(calls) + len(part)
            calls.extend(part)
            rows_of.extend(first_rows[t] + call.first_row for call in part)
    places: dict[Tensor, int] = {}
    top = 0
    for t in range(slices):
        found, size = _place([call for phase in phases for call in phase[t]], kept)
        if shared := places.keys() & found.keys():
            names = sorted(tensor.name or repr(tensor.shape) for tensor in shared)
            raise ValueError(
                f"slice {t} and one before it both use {', '.join(names)}: only tensors with data are shared"
            )
        places |= {tensor: top + offset for tensor, offset in found.items()}
        top += round_up(size)
    program = Program(dtype, tuple(calls), spans, tuple(rows_of), places, top)
    verify(program)
    return program


def _place(calls: Sequence[Call], kept: set[Tensor]) -> tuple[dict[Tensor, int], int]:
    """Offsets for the tensors without data that one slice's calls touch."""
    first: dict[Tensor, int] = {}
    last: dict[Tensor, int] = {}
    for i, call in enumerate(calls):
        for tensor in call.operands:
            if tensor is not None and tensor.data is None:
                first.setdefault(tensor, i)
                last[tensor] = len(calls) if tensor in kept else i
    # Tensors that share memory are one buffer, owned by the first of them.
    owner = {tensor: tensor for tensor in first}
    for i, call in enumerate(calls):
        taken: set[Tensor] = set()
        for a, b in call.reuse:
            new, old = call.operands[a], call.operands[b]
            if new is None or old is None or new not in first or old not in first or call.accumulate >> a & 1:
                continue
            root = owner[old]
            if (
                first[new] == i
                and last[root] == i
                and new.nbytes <= root.nbytes
                and new is not old
                and new.dtype == old.dtype
                and root not in taken
            ):
                taken.add(root)
                owner[new] = root
                last[root] = last[new]
    roots = [tensor for tensor in first if owner[tensor] is tensor]
    made = plan([Buffer(t.nbytes, first[t], last[t]) for t in roots])
    offset = dict(zip(roots, made.offsets, strict=True))
    return {tensor: offset[owner[tensor]] for tensor in first}, made.nbytes


def verify(program: Program) -> None:
    """Check what kernels rely on. Raises ValueError with the row at fault."""
    # Where something lies in the arena: the tensor that was written there last, and its end.
    for slice_ in range(program.spans.shape[1]):
        holder: dict[int, tuple[Tensor, int]] = {}
        for first, last in program.spans[:, slice_]:
            for i in range(first, last):
                _verify_call(program, i, holder)


def _verify_call(program: Program, i: int, holder: dict[int, tuple[Tensor, int]]) -> None:
    call = program.calls[i]

    def refuse(why: str) -> ValueError:
        return ValueError(f"row {i} ({call.kernel.name} of {call.name}): {why}")

    if len(call.operands) > MAX_OPERANDS or len(call.attributes) > MAX_ATTRIBUTES:
        raise refuse(f"more than {MAX_OPERANDS} operands or {MAX_ATTRIBUTES} attributes")
    if call.dtype != program.dtype:
        raise refuse(f"its dtype is {call.dtype}, the program's {program.dtype}")
    for tensor in call.operands:
        if tensor is not None and tensor.data is not None:
            data = tensor.data
            if data.dtype != tensor.dtype or data.shape != tensor.shape or not data.flags.c_contiguous:
                raise refuse(f"operand {tensor.name or tensor.shape!r} does not lie in memory as its tensor says")
    for tensor in call.reads():
        if tensor.data is None and holder.get(program.places[tensor], (None, 0))[0] is not tensor:
            raise refuse(f"operand {tensor.name or tensor.shape!r} is read before it is written, or was overwritten")
    for tensor in call.writes():
        if tensor.data is not None:
            if not tensor.data.flags.writeable:
                raise refuse(f"operand {tensor.name or tensor.shape!r} is read-only")
            continue
        start = program.places[tensor]
        end = start + tensor.nbytes
        if start < 0 or end > program.nbytes:
            raise refuse(f"operand {tensor.name or tensor.shape!r} lies outside the arena")
        for other in [o for o, (_, stop) in holder.items() if o < end and start < stop]:
            del holder[other]
        holder[start] = tensor, end


class Linked:
    """A program with addresses: rows that the executor can run, over an arena of their own.

    Parameters
    ----------
    program
        What to run.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        # Before their addresses are read: who moves them afterwards sees it.
        for call in program.calls:
            for tensor in call.operands:
                if isinstance(tensor, Parameter):
                    tensor.linked = True
        self.arena = aligned(max(program.nbytes, 64), np.uint8)
        self.mem = address(self.arena)
        self.rows = np.zeros((len(program.calls), WIDTH), np.int64)
        for row, call, first_row in zip(self.rows, program.calls, program.first_rows, strict=True):
            encode(row, call, self._place, first_row)
        self.rows[:, KERNEL] = link_kernels([call.kernel for call in program.calls], program.dtype)
        #: ``run(steps, step)``: run so many steps, the first of which has number ``step``.
        self.run = executor.Runner(self.mem, program.dtype, self.rows, program.spans)

    def _place(self, tensor: Tensor) -> int:
        return self.program.places[tensor] if tensor.data is None else address(tensor.data) - self.mem

    def view(self, tensor: Tensor) -> NDArray[Any]:
        """The memory of a tensor of this program."""
        if tensor.data is not None:
            return tensor.data
        start = self.program.places[tensor]
        memory: NDArray[Any] = self.arena[start : start + tensor.nbytes].view(tensor.dtype)
        return memory.reshape(tensor.shape)


def row_of(call: Call) -> Rows:
    """The linked row of a call whose operands all have data, which have to be kept alive."""
    row = np.zeros(WIDTH, np.int64)
    encode(row, call, lambda tensor: address(tensor.numpy()), 0)
    row[KERNEL] = link_kernels([call.kernel], call.dtype)[0]
    return row


def run_call(call: Call, step: int) -> None:
    """Run one call whose operands all have data: the eager way."""
    executor.run_row(call.dtype, row_of(call), step)


def listing(program: Program) -> str:
    """One line a row: what is called, what it reads, what it writes and where that lies."""
    names: dict[Tensor, str] = {}

    def show(tensor: Tensor | None) -> str:
        if tensor is None:
            return "-"
        if tensor not in names:
            names[tensor] = tensor.name or f"t{len(names)}"
        shape = "x".join(str(n) for n in tensor.shape) or "1"
        place = "*" if tensor.data is not None else f"@{program.places[tensor]}"
        return f"{names[tensor]}[{shape}]{place}"

    lines = [f"program: {len(program.calls)} rows, {program.dtype}, arena {program.nbytes:,} bytes (* lies outside it)"]
    for p, phase in enumerate(program.spans):
        for t, (first, last) in enumerate(phase):
            if len(program.spans) > 1 or len(phase) > 1:
                lines.append(f"phase {p}, slice {t}:")
            for i in range(first, last):
                call = program.calls[i]
                reads = [show(x) for k, x in enumerate(call.operands) if k not in call.written]
                writes = [show(call.operands[k]) + (" +=" if call.accumulate >> k & 1 else "") for k in call.written]
                lines.append(
                    f"{i:4d}  {call.name:<20} {call.kernel.name:<34} {', '.join(reads)} -> {', '.join(writes)}"
                )
    return "\n".join(lines)
