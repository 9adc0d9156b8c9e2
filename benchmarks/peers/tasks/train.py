"""Training steps of four networks, dropout included."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from benchmarks.harness.workloads import WORKLOADS
from benchmarks.peers import training
from benchmarks.peers.driver import Peer, together
from benchmarks.peers.exercise import Network
from benchmarks.peers.findings import Found
from benchmarks.peers.libraries import OURS
from benchmarks.peers.limits import blas_limit
from benchmarks.peers.rounds import Session

TITLE = "Training"
NOTES = """\
Microseconds of a training step: forward, backward, Adam and the dropout between them, whole epochs with shuffling
divided by their steps. scikit-learn has no dropout and computes that much less; on tiny, two classes, it has one
logistic unit instead of a softmax. All others have been seen to learn the same: from the same weights on the same
batches, without dropout, they come to the same losses. mnist, batchwise: nbnet's masks are shared by the rows of a
batch and what they drop is not computed; the others, which cannot do that, train with a mask a row. BLAS alone: the
matrix products of a step, one after the other, on as many threads as are best, and nothing else; zeros are multiplied,
which nbnet leaves out where they are many: behind ReLU and dropout of a half, three of four numbers."""

#: Cases, and the workload and the network's changes of each.
BATCHWISE = "mnist, batchwise"
CASES = (*WORKLOADS, BATCHWISE)
#: Rows of a quick run.
FEW = 3
#: Libraries that learn something else, by workload.
EXEMPT = {"tiny": ("sklearn",)}
#: Libraries compared with nbnet's masks of a batch; the times of all libraries are under mnist.
PLAIN = ("torch", "jax")
#: The products of a step, by NumPy's BLAS and by PyTorch's.
NUMPYS, TORCHS = "NumPy's BLAS alone", "PyTorch's BLAS alone"
MULTIPLIED = "mnist"

VALUES = {"µs/step": training.step_time}


def measure(session: Session, cases: Sequence[str]) -> None:
    """Check that all learn the same, then time them, in the same processes for all cases."""
    late = {case: session.due([case], players(session, case)) for case in cases}
    late = {case: names for case, names in late.items() if names}
    if not late:
        return
    checked: dict[str, list[str]] = {}
    for case, names in late.items():
        load = workload(case)
        same = [name for name in names if name not in EXEMPT.get(load, ())]
        checked[load] = list(dict.fromkeys([*checked.get(load, []), *same]))
    failed = training.compare(session, checked)
    everyone = [name for name in session.present if any(name in names for names in late.values())]
    with together(everyone, session.pythons) as (peers, missing):
        session.without(missing)
        for case, names in late.items():
            rows = FEW * WORKLOADS[workload(case)].batch_size if session.quick else None
            made = training.exercise(workload(case), rows, batchwise=case == BATCHWISE)
            mine = {name: peers[name] for name in names if name in peers}
            others = products(session, made.network, mine) if case == MULTIPLIED else {}
            training.measure(session, case, made, mine, failed[workload(case)], others)


def workload(case: str) -> str:
    """That of a case."""
    return case.split(", ")[0]


def players(session: Session, case: str) -> list[str]:
    """Libraries that have turns in a case."""
    return [name for name in session.present if case != BATCHWISE or name in (OURS, *PLAIN)]


def products(session: Session, network: Network, peers: Mapping[str, Peer]) -> Mapping[str, Callable[[], Found]]:
    """Turns of the matrix products of a step."""
    seconds = 0.01 if session.quick else session.seconds / 2

    def numpys() -> Found:
        return {"seconds": blas_limit(network, seconds)}

    def torchs(peer: Peer) -> Found:
        ways = peer.ask("alone", what="products", arguments=[network.sizes, network.batch_size])
        return min((peer.ask("time", way=way, seconds=seconds) for way in ways), key=lambda found: found["seconds"])

    turns: dict[str, Callable[[], Found]] = {NUMPYS: numpys}
    if "torch" in peers:
        turns[TORCHS] = partial(torchs, peers["torch"])
    return turns
