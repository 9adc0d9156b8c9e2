"""Programs: from calls to linked instruction rows, by ``lower``, ``verify``, ``link`` and ``run``; alone or in turn.

A program is a flat list of calls in phases; in each phase every slice of the batch has its own span of calls, and the
slices meet between phases. Lowering finds a place in the arena for every tensor without data, where buffers with
disjoint lifetimes share memory; verifying checks once what kernels cannot check; linking writes addresses into the
rows.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.base.loading_budget import LARGE, check_memory
from nbnet.engine.graph import extents
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Call, Tensor, encode, row_of
from nbnet.engine.jit.function import CHECKED
from nbnet.engine.jit.linker import link as link_kernels
from nbnet.engine.kernels.executor import RowRunner, SegmentRunner, address, aligned, round_up
from nbnet.engine.kernels.layout import KERNEL, MAX_ATTRIBUTES, MAX_OPERANDS, OPERANDS, RED_ZONE, WIDTH

if CHECKED:
    from nbnet.engine.kernels.checked import poison


class Buffer(NamedTuple):
    """``nbytes`` that must hold their content from instruction ``first`` to instruction ``last``, both included."""

    nbytes: int
    first: int
    last: int


class MemoryPlan(NamedTuple):
    """A byte offset for every buffer, and the size of the whole."""

    offsets: list[int]
    nbytes: int


def plan_memory(buffers: Sequence[Buffer]) -> MemoryPlan:
    """Place buffers so that any two alive at once do not overlap.

    The largest goes first; each takes the tightest gap left between those alive during its life. On the lifetimes of
    forward and backward passes that is 1 per cent above the lower bound (the largest sum alive at once) on average.
    """
    if CHECKED:
        buffers = [buffer._replace(first=0, last=0) for buffer in buffers]
    sizes = [round_up(max(buffer.nbytes, 1)) + RED_ZONE for buffer in buffers]
    offsets = [0] * len(buffers)
    placed: list[int] = []
    total = 0
    for i in sorted(range(len(buffers)), key=lambda i: (-buffers[i].nbytes, buffers[i].first)):
        rivals = sorted(
            (offsets[j], offsets[j] + sizes[j])
            for j in placed
            if buffers[j].first <= buffers[i].last and buffers[i].first <= buffers[j].last
        )
        best, tightest, end = None, None, 0
        for start, stop in rivals:
            gap = start - end
            if gap >= sizes[i] and (tightest is None or gap < tightest):
                best, tightest = end, gap
            end = max(end, stop)
        offsets[i] = end if best is None else best
        total = max(total, offsets[i] + sizes[i])
        placed.append(i)
    return MemoryPlan(offsets, total)


#: The calls of each slice.
Phase = Sequence[Sequence[Call]]


@dataclass(frozen=True, eq=False)
class Program:
    """Calls in order, the spans of them that phases and slices run, and the offsets of tensors without data."""

    dtype: np.dtype[Any]
    calls: tuple[Call, ...]
    spans: NDArray[np.int64]
    first_rows: tuple[int, ...]
    places: dict[Tensor, int]
    nbytes: int

    def __repr__(self) -> str:
        return f"<Program of {len(self.calls)} rows, {self.dtype}, arena {self.nbytes:,} bytes>"

    def __str__(self) -> str:
        return listing(self)


def lower(
    phases: Sequence[Phase], first_rows: Sequence[int], dtype: np.dtype[Any], keep: Iterable[Tensor] = ()
) -> Program:
    """Lower calls, ``phases[p][t]`` those of slice t in phase p, to a program.

    ``first_rows`` has the number in the batch of each slice's first row. The memory of the tensors ``keep``, outputs
    and recorded masks, is not reused.
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
    made = plan_memory([Buffer(t.nbytes, first[t], last[t]) for t in roots])
    offset = dict(zip(roots, made.offsets, strict=True))
    return {tensor: offset[owner[tensor]] for tensor in first}, made.nbytes


def verify(program: Program) -> None:
    """Check everything that kernels rely on; raises ValueError with the row at fault."""
    # By offset in the arena: the tensor that was written there last, and its end.
    for slice_ in range(program.spans.shape[1]):
        holder: dict[int, tuple[Tensor, int]] = {}
        for first, last in program.spans[:, slice_]:
            for i in range(first, last):
                _verify_call(program, i, holder)


def _verify_call(program: Program, i: int, holder: dict[int, tuple[Tensor, int]]) -> None:
    call, places = program.calls[i], program.places

    def refuse(why: str, tensor: Tensor | None = None) -> ValueError:
        operand = "" if tensor is None else f"operand {tensor.name or tensor.shape!r} "
        return ValueError(f"row {i} ({call.kernel.name} of {call.name}): {operand}{why}")

    if len(call.operands) > MAX_OPERANDS or len(call.attributes) > MAX_ATTRIBUTES:
        raise refuse(f"more than {MAX_OPERANDS} operands or {MAX_ATTRIBUTES} attributes")
    if call.dtype != program.dtype and call.dtype.kind not in "ib":
        raise refuse(f"its dtype is {call.dtype}, the program's {program.dtype}")
    shapes = [None if t is None else (t.matrix, t.dtype.char) for t in call.operands]
    if (call.kernel, call.op, call.attributes, *shapes) not in extents.accepted and (why := extents.refusal(call)):
        raise refuse(why)
    for k, tensor in enumerate(call.operands):
        if tensor is None:
            continue
        data = tensor.data
        if data is not None and (
            data.dtype != tensor.dtype or data.shape != tensor.shape or not data.flags.c_contiguous
        ):
            raise refuse("has data whose dtype, shape or layout differs from its tensor's", tensor)
        reads = k not in call.written or call.accumulate >> k & 1
        if reads and data is None and holder.get(places[tensor], (None, 0))[0] is not tensor:
            raise refuse("is read before it is written, or was overwritten", tensor)
    for k in call.written:
        tensor = call.operands[k]
        if tensor is None:
            continue
        if tensor.data is not None:
            if not tensor.data.flags.writeable:
                raise refuse("is read-only", tensor)
            continue
        start = places[tensor]
        end = start + tensor.nbytes
        if start < 0 or end > program.nbytes:
            raise refuse("lies outside the arena", tensor)
        for other in [o for o, (_, stop) in holder.items() if o < end and start < stop]:
            del holder[other]
        holder[start] = tensor, end


class Linked:
    """A program with addresses: rows that the executor can run, over an arena of their own."""

    def __init__(self, program: Program) -> None:
        self.program = program
        # Before addresses are read: code that moves a parameter later sees the flag.
        for call in program.calls:
            for tensor in call.operands:
                if isinstance(tensor, Parameter):
                    tensor.linked = True
        # NumPy resizes no array that is referred to weakly.
        data = [tensor.data for call in program.calls for tensor in call.operands if tensor is not None]
        self.pins = [weakref.ref(array) for array in data if array is not None and array.base is None]
        if program.nbytes >= LARGE:
            check_memory(program.nbytes, _largest(program))
        self.arena = aligned(max(program.nbytes, 64), np.uint8)
        if CHECKED:
            poison(self.arena)
        self.mem = address(self.arena)
        self.rows = np.zeros((len(program.calls), WIDTH), np.int64)
        for row, call, first_row in zip(self.rows, program.calls, program.first_rows, strict=True):
            encode(row, call, first_row, self.mem, program.places)
        for dtype in {call.dtype for call in program.calls}:
            of_dtype = [k for k, call in enumerate(program.calls) if call.dtype == dtype]
            self.rows[of_dtype, KERNEL] = link_kernels([program.calls[k].kernel for k in of_dtype], dtype)
        #: ``run(steps, step)``: run ``steps`` steps, the first of which has number ``step``.
        self.run = RowRunner(self.mem, program.dtype, self.rows, program.spans)

    def view(self, tensor: Tensor) -> NDArray[Any]:
        """The memory of a tensor of this program."""
        if tensor.data is not None:
            return tensor.data
        start = self.program.places[tensor]
        memory: NDArray[Any] = self.arena[start : start + tensor.nbytes].view(tensor.dtype)
        return memory.reshape(tensor.shape)


def _largest(program: Program) -> str:
    """The layer of the largest buffer of a program, for messages."""
    sized = [(tensor.nbytes, call.name, tensor.shape) for call in program.calls for tensor in call.writes()]
    _, name, shape = max(sized, default=(0, "", ()))
    return f"{name or 'the model'}, with an array of shape {shape},"


class ProgramSequence:
    """Linked programs of one dtype, with arrays bound to them, and calls beside them, as one table of rows.

    Each list of calls, whose operands all have data, is a program of its own, of one slice. ``run(segments)`` takes an
    int64 (n, 3): the index of a program, the number of steps, and the number of the first step. Indices count the
    programs, then the lists of calls.
    """

    def __init__(self, programs: Sequence[Linked], calls: Sequence[Sequence[Call]]) -> None:
        # Rows hold addresses of what the calls point to.
        self._held = list(programs), [list(part) for part in calls]
        mem, slices = programs[0].mem, max(linked.run.slices for linked in programs)
        rows, spans, top = [], [], 0
        for linked in programs:
            rows.append(_moved(linked.rows, linked.mem - mem))
            spans.append(_spans(linked.run.spans + top, slices))
            top += len(linked.rows)
        for part in calls:
            rows += [_moved(row_of(call)[None], -mem) for call in part]
            spans.append(_spans(np.array([[[top, top + len(part)]]]), slices))
            top += len(part)
        self.run = SegmentRunner(mem, programs[0].program.dtype, np.concatenate(rows), spans)


def _moved(rows: NDArray[Any], by: int) -> NDArray[Any]:
    """Rows whose operands' offsets are larger by ``by`` bytes."""
    rows = rows.copy()
    rows[:, OPERANDS : OPERANDS + 3 * MAX_OPERANDS : 3] += by
    return rows


def _spans(spans: NDArray[Any], slices: int) -> NDArray[Any]:
    """Spans for more slices, the additional ones empty."""
    found = np.zeros((len(spans), slices, 2), np.int64)
    found[:, : spans.shape[1]] = spans
    return found


def listing(program: Program) -> str:
    """One line for each row: the node and kernel, operands it reads, operands it writes, and where they lie."""
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
