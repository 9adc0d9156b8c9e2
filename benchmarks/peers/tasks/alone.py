"""Dropout alone, Adam alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from benchmarks.harness.workloads import WORKLOADS
from benchmarks.peers.driver import Peer, PeerError, together, versions
from benchmarks.peers.findings import Found
from benchmarks.peers.libraries import OURS
from benchmarks.peers.rounds import Session

TITLE = "Dropout alone, Adam alone"
NOTES = """\
Microseconds of dropout, forward and backward, on an array of this shape, rate 0.5; and of an update of the parameters
of a network by Adam, gradients given. nbnet's tape and apply are called from Python, with checks and copies; program is
what training runs. The other ratios are to it. Keras computes these with its backend."""


def _shapes(name: str) -> list[tuple[int, ...]]:
    return [shape for n, m in pairwise(WORKLOADS[name].sizes) for shape in ((n, m), (m,))]


#: The function of a library's module that makes it ready, and its arguments.
MADE: dict[str, tuple[str, list[Any]]] = {
    "dropout, 32 x 128": ("dropout", [(32, 128), 0.5]),
    "dropout, 128 x 1024": ("dropout", [(128, 1024), 0.5]),
    "dropout, 1024 x 4096": ("dropout", [(1024, 4096), 0.5]),
    "Adam, tiny": ("adam", [_shapes("tiny")]),
    "Adam, digits": ("adam", [_shapes("digits")]),
    "Adam, mnist": ("adam", [_shapes("mnist")]),
}
CASES = tuple(MADE)
VALUES = {"µs": lambda found: found["seconds"] * 1e6 if "seconds" in found else None}
#: Those that have such functions.
OFFERED = (OURS, "torch", "jax")


def measure(session: Session, cases: Sequence[str]) -> None:
    """Time each way of each library."""
    names = session.due(cases, [name for name in session.present if name in OFFERED])
    if not names:
        return
    seconds = 0.02 if session.quick else session.seconds / 5
    with together(names, session.pythons) as (peers, missing):
        session.without(missing)
        made_with = versions(peers)
        for case in cases:
            turns: dict[str, Callable[[], Found]] = {}
            for name, peer in peers.items():
                turns |= _turns(name, peer, case, seconds)
            session.play(case, turns, made_with)


def _turns(name: str, peer: Peer, case: str, seconds: float) -> dict[str, Callable[[], Found]]:
    """One for each way of a library."""
    what, arguments = MADE[case]
    try:
        ways = peer.ask("alone", what=what, arguments=arguments)
    except PeerError as error:
        return {name: partial(dict, error=str(error))}
    return {_label(name, way): partial(peer.ask, "time", way=way, seconds=seconds) for way in ways}


def _label(name: str, way: str) -> str:
    return name if (name, way) == (OURS, "program") else f"{name}, {way}"
