"""How the time of a step grows with the batch and with the width."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.record import Record
from benchmarks.numpy_mlp.blas_alone import step_flops
from benchmarks.peers import findings, pictures, rounds, training
from benchmarks.peers.driver import Peer, together
from benchmarks.peers.exercise import Exercise, Network
from benchmarks.peers.findings import Found
from benchmarks.peers.limits import blas_limit, memory_limit
from benchmarks.peers.rounds import Session

TITLE = "Batch sizes and widths"
NOTES = """\
Microseconds of a training step, dropout 0.5. batch: 256-256-256-10, so many rows. width: that of the input and of both
hidden layers, 128 rows. BLAS alone: the step's matrix products in np.dot, zeros and all. memory alone: reading and
writing weights, gradients and moments as often as a step usually does, at the speed of a copy; less time takes who
keeps gradients in registers, or more of all that in a near cache."""

BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
WIDTHS = (16, 64, 256, 1024, 4096)
BATCH, WIDTH = "batch {}", "width {}"
CASES = (*map(BATCH.format, BATCHES), *map(WIDTH.format, WIDTHS))
VALUES = {"µs/step": training.step_time}
#: Limits that are measured beside the libraries.
LIMITS = {"BLAS alone": blas_limit, "memory alone": memory_limit}
#: Operations of an epoch, the least and the most steps of it.
FLOPS, LEAST, MOST = 2e10, 4, 256
FEW = 2


def network(case: str) -> Network:
    """That of a case."""
    kind, _, number = case.partition(" ")
    width, batch = (256, int(number)) if kind == "batch" else (int(number), 128)
    return Network((width, width, width, 10), batch, 0.0, 0.5)


def steps(net: Network) -> int:
    """Of an epoch."""
    return int(np.clip(FLOPS / step_flops(net.sizes, net.batch_size), LEAST, MOST))


def exercise(net: Network, steps: int) -> Exercise:
    """Noise, and classes that have nothing to do with it."""
    rng = np.random.default_rng(0)
    rows = max(steps * net.batch_size, 10)
    x = rng.standard_normal((rows, net.sizes[0]), dtype=np.float32)
    return Exercise(net, x, rng.permutation(np.arange(rows) % 10), training.weights(net))


def measure(session: Session, cases: Sequence[str]) -> None:
    """Time training, and the limits in the same rounds."""
    if not (late := session.due(cases)):
        return
    with together(late, session.pythons) as (peers, missing):
        session.without(missing)
        for case in cases:
            net = network(case)
            made = exercise(net, FEW if session.quick else steps(net))
            training.measure(session, case, made, peers, {}, _limits(session, net))
            # Free the memory of the networks that were trained.
            _forget(session, peers)


def _limits(session: Session, net: Network) -> dict[str, Any]:
    """A turn for each limit."""
    seconds = 0.01 if session.quick else session.seconds / 5

    def turn(limit: Any) -> Found:
        return {"seconds": limit(net, seconds)}

    return {name: partial(turn, limit) for name, limit in LIMITS.items()}


def _forget(session: Session, peers: dict[str, Peer]) -> None:
    smallest = str(exercise(network(CASES[0]), FEW).save(session.folder / "smallest.npz"))
    for peer in peers.values():
        rounds.attempt(partial(peer.ask, "start", exercise=smallest, trial=False))


def draw(record: Record, folder: Path) -> None:
    """``batch.svg`` and ``width.svg``: a line for each library."""
    for kind, label in (("batch", "rows in a batch"), ("width", "width")):
        lines: dict[str, dict[float, float]] = {}
        for case in findings.cases(record):
            for name, found in findings.values(record, case, training.step_time).items():
                if case.startswith(kind) and (times := findings.known(found)):
                    lines.setdefault(name, {})[float(case.split()[1])] = float(np.median(times))
        if lines:
            pictures.save(pictures.growth(lines, label, list(LIMITS)), folder / f"{kind}.svg")
