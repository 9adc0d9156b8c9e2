"""Training steps of four networks, dropout included."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.peers import training
from benchmarks.peers.driver import together
from benchmarks.peers.rounds import Session
from benchmarks.workloads import WORKLOADS

TITLE = "Training"
NOTES = """\
Microseconds of a training step: forward, backward, Adam and the dropout between them, whole epochs with shuffling
divided by their steps. scikit-learn has no dropout and computes that much less; on tiny, two classes, it has one
logistic unit instead of a softmax. All others have been seen to learn the same: from the same weights on the same
batches, without dropout, they come to the same losses. mnist, batchwise: nbnet's masks are shared by the rows of a
batch and what they drop is not computed; the others, which cannot do that, train with a mask a row."""

#: Cases, and the workload and the network's changes of each.
BATCHWISE = "mnist, batchwise"
CASES = (*WORKLOADS, BATCHWISE)
#: Rows of a quick run.
FEW = 3
#: Who learns something else, by workload.
EXEMPT = {"tiny": ("sklearn",)}
VALUES = {"µs/step": training.step_time}


def measure(session: Session, cases: Sequence[str]) -> None:
    """Check that all learn the same, then time them."""
    for case in cases:
        if not session.pending(case):
            continue
        name = "mnist" if case == BATCHWISE else case
        failed = training.compare(session, name, EXEMPT.get(name, ()))
        rows = FEW * WORKLOADS[name].batch_size if session.quick else None
        made = training.exercise(name, rows, batchwise=case == BATCHWISE)
        with together(session.present, session.pythons) as (peers, missing):
            training.measure(session.without(missing), case, made, peers, failed)
