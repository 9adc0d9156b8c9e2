"""Programs of a model, kept for its thread, and running them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from nbnet import random
from nbnet.core import parameter, processors
from nbnet.models.batch import Batch
from nbnet.models.feeds import Source
from nbnet.models.intake import Rows
from nbnet.models.programs import Builder

if TYPE_CHECKING:
    from nbnet.models.learner import Learner
    from nbnet.optimizers import Optimizer

Array = NDArray[Any]

#: A nopython call ends after about this long, so that Ctrl-C and the progress bar answer.
CALL_SECONDS = 0.08
#: Programs kept for one model and thread; the least recently used goes first.
KEPT_PROGRAMS = 32
#: Steps outside training begin at one of so many numbers, beyond those of training and of tapes.
FIRST_STEP, STEPS = 1 << 61, 1 << 60
#: ``report(steps, sums)``, called after each nopython call.
Report = Callable[[int, Array], None]


def sources_of(rows: Rows) -> dict[str, Source]:
    """What programs read from, by name."""
    whole = {f"x{k}" for k, ids in enumerate(rows.ids) if ids}
    return {name: Source.of(array, name in whole) for name, array in rows.named().items()}


def program(model: Learner, key: tuple[Any, ...], build: Callable[[Builder], Batch]) -> Batch:
    """The program under a key: kept for this thread, or written now."""
    local = model._local
    kept: OrderedDict[tuple[Any, ...], Batch] | None = getattr(local, "programs", None)
    if kept is None:
        kept = local.programs = OrderedDict()
    key = *key, processors.limit()
    batch, moves = kept.get(key), parameter.moves()
    if batch is None or batch.moves != moves:
        batch = kept[key] = build(Builder(model))
        # Counted before: if another thread moved parameters meanwhile, the program is written anew next time.
        batch.moves = moves
        if len(kept) > KEPT_PROGRAMS:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return batch


def forget(model: Learner, part: object) -> None:
    """Drop the programs of this thread that have something in their key."""
    kept = getattr(model._local, "programs", {})
    for key in [key for key in kept if any(entry is part for entry in key)]:
        del kept[key]


def batches(n: int, size: int, single: bool = False) -> list[tuple[int, int, int]]:
    """(first row, rows of a batch, number of batches): the full ones, then the short one; or each of them alone."""
    if single:
        return [(start, min(size, n - start), 1) for start in range(0, n, size)]
    full = n // size
    parts = [(0, size, full), (full * size, n - full * size, 1)]
    return [(start, rows, steps) for start, rows, steps in parts if rows and steps]


def new_steps() -> int:
    """The number of a step from which nobody else takes any: a pure function of the seed and of how often numbers were
    drawn since it was set."""
    return FIRST_STEP + random.derive(random.next_draw()) % STEPS


def run(batch: Batch, steps: int, optimizer: Optimizer | None, report: Report | None, first: int = 0) -> None:
    """Run so many steps of a program, in calls of bounded length, from the optimizer's step on, or ``first``; a
    prediction that draws random numbers has steps of its own."""
    if optimizer is not None:
        first = optimizer.iterations
    elif first == 0 and batch.draws:
        first = new_steps()
    done = 0
    while done < steps:
        n = steps - done
        if batch.seconds * n > CALL_SECONDS or batch.seconds == 0:
            n = max(1, min(n, int(CALL_SECONDS / batch.seconds) if batch.seconds else 1))
        if optimizer is not None:
            n = optimizer.look_ahead(first + done, n)
        began = time.perf_counter()
        batch.linked.run(n, first + done)
        batch.seconds = (time.perf_counter() - began) / n
        done += n
        if optimizer is not None:
            optimizer.iterations += n
        if report is not None:
            report(n, batch.sums)
