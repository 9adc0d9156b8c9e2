"""Training in every library: the same network, the same weights, the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness.workloads import WORKLOADS, glorot_weights, layer_by_layer
from benchmarks.peers import rounds
from benchmarks.peers.driver import Peer, PeerError, together, versions
from benchmarks.peers.exercise import Exercise, Network
from benchmarks.peers.findings import Found
from benchmarks.peers.libraries import OURS
from benchmarks.peers.rounds import Session


class Compared(NamedTuple):
    """How losses are compared, dropout off."""

    dtype: str
    epochs: int
    #: Full batches of an epoch; there is half a one after them.
    steps: int
    #: Relative difference.
    allowed: float
    #: Of Adam.
    epsilon: float
    betas: tuple[float, float] = (0.875, 1 - 2**-10)


#: Where a unit's input is within rounding of 0, one library clips it and another does not, and from there they part:
#: hence few steps in float32. Epsilon has its place inside the bias correction in some and outside in others, which
#: shows with the smallest gradients of mnist unless it is tiny. Keras on TensorFlow and PyTorch rounds the betas to
#: float32, whatever the dtype: hence two that float32 holds.
COMPARED = (Compared("float64", 2, 10, 1e-5, 1e-20), Compared("float32", 1, 1, 1e-3, 1e-12))
#: Epochs of a training at most: later on, Adam's moments decay into denormal numbers, and who does not take them for
#: zero becomes slower. They are few enough for no library, and enough for what a call of ``fit`` costs to vanish.
MOST = 20


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
    return [array.astype(network.dtype) for array in layer_by_layer(*glorot_weights(network.sizes, 0))]


def start(session: Session, case: str, made: Exercise, peers: Mapping[str, Peer]) -> dict[str, Found]:
    """Give it to all of them; each takes its fastest setting, or the one that is on record.

    Returns
    -------
    dict
        The setting of each, or its error.
    """
    file = str(made.save(session.folder / f"{case}.npz"))
    known = settings(session, case)
    started: dict[str, Found] = {}
    for name, peer in peers.items():
        session.check_time()
        try:
            started[name] = peer.ask("start", exercise=file, trial=not session.quick, setting=known.get(name))
        except PeerError as error:
            started[name] = {"error": str(error)}
            continue
        if name not in known and not session.quick:
            keep(session, case, name, started[name])
    return started


def settings(session: Session, case: str) -> dict[str, str]:
    """Those that are on record, by library."""
    lines = [line for line in session.record.runs() if line["run"].keys() == {"case", "setting"}]
    return {line["run"]["setting"]: line["found"]["setting"] for line in lines if line["run"]["case"] == case}


def keep(session: Session, case: str, name: str, started: Found) -> None:
    """Put the setting of a library on record."""
    print(f"{case}: {name}, {describe(started)}", flush=True)
    session.record.add({"case": case, "setting": name}, found=started)


def describe(started: Found) -> str:
    """A setting, and how long an epoch took with each that was tried."""
    tried = [f"{name}: {s:.3g} s" if isinstance(s, float) else f"{name}: {s}" for name, s in started["tried"].items()]
    return str(started["setting"]) + (f" ({'; '.join(tried)})" if tried else "")


def compare(session: Session, wanted: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """Check that all libraries learn the same without dropout; return the faults of those that do not, by workload.

    Parameters
    ----------
    wanted
        Libraries to compare, nbnet included, by workload.
    """
    wrong: dict[str, dict[str, str]] = {case: {} for case in wanted}
    for how in COMPARED:
        found = {case: _compared(session, case, how) for case in wanted}
        late = {case: names for case, names in wanted.items() if not set(names) <= set(found[case])}
        if late:
            session.check_time()
            everyone = list(dict.fromkeys(name for names in late.values() for name in names))
            with together(everyone, session.pythons, how.dtype) as (peers, missing):
                session.without(missing)
                for case, names in late.items():
                    asked = {n: peers[n] for n in names if n in peers and (n == OURS or n not in found[case])}
                    made = _differences(session, case, asked, how)
                    session.record.add(_check(case, how), found=made, allowed=how.allowed)
                    print(f"{case}, {how.dtype}: losses differ by {made}", flush=True)
                    found[case] |= made
        for case, names in wanted.items():
            for name in session.present:
                if name in names and not (isinstance(apart := found[case][name], float) and apart <= how.allowed):
                    wrong[case][name] = f"losses in {how.dtype} without dropout differ from nbnet's: {apart}"
    return wrong


def _check(case: str, how: Compared) -> dict[str, str]:
    return {"case": case, "check": how.dtype}


def _compared(session: Session, case: str, how: Compared) -> dict[str, float | str]:
    """Return the differences on record, without failures if they are tried again."""
    lines = [line["found"] for line in session.record.runs() if line["run"] == _check(case, how)]
    found: dict[str, float | str] = {name: apart for line in lines for name, apart in line.items()}
    if not session.retry:
        return found
    return {name: apart for name, apart in found.items() if isinstance(apart, float) and apart <= how.allowed}


def _differences(session: Session, case: str, peers: Mapping[str, Peer], how: Compared) -> dict[str, float | str]:
    """The largest relative difference of an epoch's loss from nbnet's, of each library, or why there is none."""
    rows = int((how.steps + 0.5) * WORKLOADS[case].batch_size)
    plain = without_dropout(exercise(case, rows, shuffle=False, dtype=how.dtype, epsilon=how.epsilon, betas=how.betas))
    file = str(plain.save(session.folder / f"check-{case}.npz"))
    losses: dict[str, Any] = {}
    for name, peer in peers.items():
        try:
            peer.ask("start", exercise=file, trial=False)
            losses[name] = np.array(peer.ask("losses", epochs=how.epochs))
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
        The exercise to train.
    peers
        Processes of all libraries, by name.
    failed
        Libraries that are not timed, and the reasons.
    others
        Further turns of a round, by name.
    """
    names = session.due([case], list(peers))
    if not names:
        return
    started = start(session, case, made, {name: peers[name] for name in names if name not in failed})
    started |= {name: {"error": reason} for name, reason in failed.items() if name in names}
    epochs = {name: _epochs(session, peers[name]) for name in names if "error" not in started[name]}

    def turn(name: str) -> Found:
        if "error" in started[name]:
            return started[name]
        found: Found = peers[name].ask("train", epochs=epochs[name], seconds=session.seconds)
        return found | {"setting": started[name]["setting"], "epochs": epochs[name], "steps": made.steps}

    turns = {name: partial(turn, name) for name in names} | dict(others or {})
    session.play(case, turns, versions({name: peers[name] for name in names}))


def _epochs(session: Session, peer: Peer) -> int:
    """Of a training: as many as fill a turn. With fewer than :data:`MOST` it begins again."""
    found = rounds.attempt(partial(peer.ask, "train", epochs=1))
    return int(np.clip(session.seconds / found.get("seconds", session.seconds), 1, MOST))


def step_time(found: Found) -> float | None:
    """Microseconds of a step."""
    seconds = rounds.pace(found)
    return None if seconds is None else seconds * 1e6
