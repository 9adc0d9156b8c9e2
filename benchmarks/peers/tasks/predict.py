"""Predictions: one row at a time, and many."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers import training
from benchmarks.peers.driver import Peer, PeerError, together, versions
from benchmarks.peers.findings import Found
from benchmarks.peers.libraries import OURS
from benchmarks.peers.rounds import Session
from benchmarks.peers.threads import choices, named

TITLE = "Prediction"
NOTES = """\
Microseconds of a call that is given an array of rows and returns an array of probabilities; other rows each time. All
predict the same from the same weights, to 1e-4. nbnet: model.predictor(rows), which the ratios are to, and
model.predict. PyTorch: the module in inference mode; traced: the same as TorchScript, frozen. Keras: its predict, its
predict_on_batch, and a call of the model."""
#: Workload and rows of each case.
SHAPES = {
    f"{name}, {rows} row{'s' * (rows > 1)}": (name, rows) for name in ("digits", "mnist") for rows in (1, 32, 1000)
}
CASES = tuple(SHAPES)
ALLOWED = 1e-4
ONE = "digits, 1 row"
INFERENCE = tuple(f"torch, {named(threads)}" for threads in choices())
VALUES = {"µs/call": lambda found: found["seconds"] * 1e6 if "seconds" in found else None}


def measure(session: Session, cases: Sequence[str]) -> None:
    """Time all cases of a workload in the same processes."""
    for name in dict.fromkeys(SHAPES[case][0] for case in cases):
        mine = [case for case in cases if SHAPES[case][0] == name]
        if late := session.due(mine):
            with together(late, session.pythons) as (peers, missing):
                _measure(session.without(missing), name, mine, peers)


def _measure(session: Session, name: str, cases: Sequence[str], peers: dict[str, Peer]) -> None:
    ways = _ways(session, name, peers)
    seconds = 0.02 if session.quick else session.seconds / 5
    made_with = versions(peers)
    for case in cases:
        rows = SHAPES[case][1]

        def turn(way: Way | str, rows: int = rows) -> Found:
            if isinstance(way, str):
                return {"error": way}
            found: Found = way.peer.ask("predict", way=way.name, rows=rows, seconds=seconds)
            return found

        session.play(case, {name: partial(turn, way) for name, way in ways.items()}, made_with)


class Way(NamedTuple):
    """To predict in a library."""

    peer: Peer
    name: str


def _ways(session: Session, workload: str, peers: dict[str, Peer]) -> dict[str, Way | str]:
    """Of each library that has the weights and predicts what nbnet predicts; else why not."""
    file = str(training.exercise(workload, 2000).save(session.folder / f"predict-{workload}.npz"))
    ways: dict[str, Way | str] = {}
    right: Any = None
    for name, peer in peers.items():
        try:
            peer.ask("start", exercise=file, trial=False)
            outputs = peer.ask("probabilities", rows=5)
        except PeerError as error:
            ways[name] = str(error)
            continue
        right = outputs["predictor"] if name == OURS else right
        for way, found in outputs.items():
            apart = float(np.max(np.abs(np.subtract(found, right))))
            wrong = f"differs from nbnet's by {apart}"
            ways[_label(name, way, len(outputs))] = Way(peer, way) if apart <= ALLOWED else wrong
    return ways


def _label(name: str, way: str, count: int) -> str:
    """The others are compared with nbnet's predictor."""
    return name if count == 1 or (name, way) == (OURS, "predictor") else f"{name}, {way}"
