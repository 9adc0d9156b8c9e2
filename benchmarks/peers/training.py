"""Training in every library: the same network, the same weights, the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.peers import rounds
from benchmarks.peers.driver import Peer, PeerError, together, versions
from benchmarks.peers.exercise import Exercise, Network
from benchmarks.peers.libraries import OURS
from benchmarks.peers.rounds import Found, Session
from benchmarks.workloads import WORKLOADS, glorot_weights

#: How losses are compared, dropout off: dtype, epochs, full batches of an epoch, relative difference allowed, Adam's
#: epsilon. Where a unit's input is within rounding of 0, one library clips it and another does not, and from there they
#: part: hence few steps in float32. Epsilon has its place inside the bias correction in some and outside in others,
#: which shows with the smallest gradients of mnist unless it is tiny.
COMPARED = (("float64", 2, 10, 1e-5, 1e-20), ("float32", 1, 1, 1e-3, 1e-12))


def exercise(name: str, rows: int | None = None, **changes: Any) -> Exercise:
    """A workload.

    Parameters
    ----------
    rows
        So many only; there is one of each class among them, which scikit-learn insists on.
    changes
        Of the network.
    """
    load = WORKLOADS[name]
    x, y = load.make()
    if rows is not None:
        chosen = np.unique(y, return_index=True)[1]
        rest = np.setdiff1d(np.arange(len(y)), chosen)
        chosen = np.concatenate([chosen, rest])[:rows]
        x, y = x[chosen], y[chosen]
    network = Network(load.sizes, load.batch_size, load.input_dropout, load.hidden_dropout)
    network = replace(network, **changes)
    return Exercise(network, x.astype(network.dtype), y, weights(network))


def without_dropout(made: Exercise) -> Exercise:
    """The same, with rates of 0."""
    return replace(made, network=made.network.without_dropout())


def weights(network: Network) -> list[Any]:
    """Initial ones, the same each time."""
    pairs = zip(*glorot_weights(network.sizes, 0), strict=True)
    return [array.astype(network.dtype) for pair in pairs for array in pair]


def start(session: Session, case: str, made: Exercise, peers: Mapping[str, Peer]) -> dict[str, Found]:
    """Give it to all of them; each takes its fastest setting, or the one that is on record.

    Returns
    -------
    dict
        The setting of each, or its error.
    """
    file = str(made.save(session.folder / f"{case}.npz"))
    known = [found["found"] for found in session.findings(case)]
    started: dict[str, Found] = {}
    for name, peer in peers.items():
        before = [found[name]["setting"] for found in known if "setting" in found.get(name, {})]
        try:
            if session.quick:
                started[name] = peer.ask("start", exercise=file, trial=False)
            else:
                started[name] = peer.ask("start", exercise=file, setting=before[-1] if before else None)
        except PeerError as error:
            started[name] = {"error": str(error)}
        else:
            print(f"{case}: {name}, {describe(started[name])}", flush=True)
    return started


def describe(started: Found) -> str:
    """A setting, and how long an epoch took with each that was tried."""
    tried = [f"{name}: {s:.3g} s" if isinstance(s, float) else f"{name}: {s}" for name, s in started["tried"].items()]
    return str(started["setting"]) + (f" ({'; '.join(tried)})" if tried else "")


def compare(session: Session, case: str, exempt: Sequence[str] = (), **changes: Any) -> dict[str, str]:
    """Whether all learn the same without dropout: what is wrong with those that do not.

    Parameters
    ----------
    case
        A workload.
    exempt
        Libraries that are known to learn something else.
    changes
        Of the network.
    """
    wrong: dict[str, str] = {}
    for dtype, epochs, steps, allowed, epsilon in COMPARED:
        run = {"case": case, "check": dtype}
        names = [name for name in session.present if name not in exempt]
        lines = [line["found"] for line in session.record.runs() if line["run"] == run]
        found = {name: difference for line in lines for name, difference in line.items()}
        if not set(names) <= set(found):
            found = _differences(session, case, names, epochs, steps, {"dtype": dtype, "epsilon": epsilon, **changes})
            session.record.add(run, found=found, allowed=allowed)
            print(f"{case}, {dtype}: losses differ by {found}", flush=True)
        for name in names:
            if name in session.present and not (isinstance(found[name], float) and found[name] <= allowed):
                wrong[name] = f"losses in {dtype} without dropout differ from nbnet's: {found[name]}"
    return wrong


def _differences(
    session: Session, case: str, names: Sequence[str], epochs: int, steps: int, changes: Mapping[str, Any]
) -> dict[str, float | str]:
    """The largest relative difference of an epoch's loss from nbnet's, of each library, or why there is none."""
    size = WORKLOADS[case].batch_size
    plain = without_dropout(exercise(case, steps * size + size // 2, shuffle=False, **changes))
    file = str(plain.save(session.folder / f"check-{case}.npz"))
    losses: dict[str, Any] = {}
    with together(names, session.pythons, changes["dtype"]) as (peers, missing):
        session.without(missing)
        for name, peer in peers.items():
            try:
                peer.ask("start", exercise=file, trial=False)
                losses[name] = np.array(peer.ask("losses", epochs=epochs))
            except PeerError as error:
                losses[name] = str(error)
    mine = losses[OURS]
    return {
        name: theirs if isinstance(theirs, str) else float(np.max(np.abs(theirs / mine - 1)))
        for name, theirs in losses.items()
    }


def measure(
    session: Session,
    case: str,
    made: Exercise,
    peers: Mapping[str, Peer],
    failed: Mapping[str, str],
    others: Mapping[str, Callable[[], Found]] | None = None,
) -> None:
    """Time training.

    Parameters
    ----------
    made
        What is trained.
    peers
        All libraries.
    failed
        Those that are not to be timed, and why not.
    others
        More turns of a round.
    """
    if not session.pending(case, [*peers, *(others or {})]):
        return
    started = start(session, case, made, {name: peer for name, peer in peers.items() if name not in failed})
    started |= {name: {"error": reason} for name, reason in failed.items() if name in peers}
    epochs = _epochs(session, case, {n: p for n, p in peers.items() if "error" not in started[n]})
    short = 0.0 if session.quick else min(0.3, session.seconds)

    def turn(name: str) -> Found:
        if "error" in started[name]:
            return started[name]
        found: Found = peers[name].ask("train", epochs=epochs, seconds=short)
        return found | {"setting": started[name]["setting"], "epochs": epochs, "steps": made.steps}

    turns = {name: partial(turn, name) for name in peers} | dict(others or {})
    session.play(case, turns, versions(peers))


def _epochs(session: Session, case: str, peers: Mapping[str, Peer]) -> int:
    """Of a turn: what is on record, or as many as the slowest library needs to fill it."""
    for line in session.findings(case):
        for name, found in line["found"].items():
            if name in peers and "epochs" in found:
                return int(found["epochs"])
    pilots = [rounds.attempt(partial(peer.ask, "train", epochs=1)) for peer in peers.values()]
    slowest = max([found["seconds"] for found in pilots if "seconds" in found], default=session.seconds)
    return max(1, round(session.seconds / slowest))


def step_time(found: Found) -> float | None:
    """Microseconds of a step."""
    return found["seconds"] / (found["epochs"] * found["steps"]) * 1e6 if "seconds" in found else None
