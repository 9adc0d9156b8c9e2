"""What comes before the first epoch is over: whole processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.peers import training
from benchmarks.peers.driver import PeerError, importable, process
from benchmarks.peers.libraries import LIBRARIES, OURS
from benchmarks.peers.rounds import Found, Session, attempt

TITLE = "Start"
NOTES = """\
Seconds of a whole process, from its start to its end. import: it imports the library and nothing else. first epoch: it
imports the library, reads digits from a file, builds the network and trains for one epoch, with the setting that is
fastest at this. empty cache: nbnet compiles every kernel, as it does once on a machine; otherwise they lie on disk.
Python's own .pyc files exist throughout."""
EMPTY = "nbnet, empty cache"
CASES = ("import", "first epoch")
VALUES = {"s": lambda found: found.get("seconds")}


def measure(session: Session, cases: Sequence[str]) -> None:
    """Time processes, one at a time."""
    versions, missing = importable(session.present, session.pythons)
    names = session.without(missing).present
    for case in cases:
        wanted = [*names, EMPTY] if case == "first epoch" else names
        if session.pending(case, wanted):
            turns = _imports(session, names) if case == "import" else _epochs(session, names)
            session.play(case, turns, versions)


def _imports(session: Session, names: Sequence[str]) -> dict[str, Callable[[], Found]]:
    """A turn of each library; a process before it does not count."""

    def turn(name: str) -> Found:
        return _run(session, name, ["-c", f"import {LIBRARIES[name].imports}"], "warm")

    for name in names:
        turn(name)
    return {name: partial(turn, name) for name in names}


def _epochs(session: Session, names: Sequence[str]) -> dict[str, Callable[[], Found]]:
    """A turn of each library, and one of nbnet without a cache."""
    file = str(training.exercise("digits").save(session.folder / "digits.npz"))

    def turn(name: str, cache: str, setting: str) -> Found:
        found = _run(session, name, ["-m", "benchmarks.peers.once", name, file, "1", setting], cache)
        return found | {"setting": setting}

    turns: dict[str, Callable[[], Found]] = {}
    for name in names:
        setting = _fastest(session, name, partial(turn, name, "warm"))
        turns[name] = partial(turn, name, "warm", setting)
    if OURS in names:
        setting = _settings(session, OURS)[0]
        turns[EMPTY] = lambda: turn(OURS, f"empty-{time.time_ns()}", setting)
    return turns


def _settings(session: Session, name: str) -> list[str]:
    """Of a library, for digits."""
    code = (
        "from benchmarks.peers.libraries import LIBRARIES; from benchmarks.peers.exercise import Network; "
        f"print(*LIBRARIES[{name!r}].load().settings(Network((64, 128, 64, 10), 32, 0.0, 0.5)), sep='\\n')"
    )
    return process(session.pythons, name, "-c", code).splitlines()


def _fastest(session: Session, name: str, turn: Callable[[str], Found]) -> str:
    """The setting whose process was fastest; there is a process before each that does not count."""
    offered = _settings(session, name)
    if session.quick or len(offered) == 1:
        attempt(partial(turn, offered[0]))
        return offered[0]
    seconds: dict[str, float] = {}
    for setting in offered:
        try:
            turn(setting)
            seconds[setting] = turn(setting)["seconds"]
        except PeerError as error:
            print(f"{setting}: {error}", flush=True)
    return min(seconds, key=seconds.__getitem__) if seconds else offered[0]


def _run(session: Session, name: str, arguments: Sequence[str], cache: str) -> Found:
    """Seconds of a process."""
    began = time.perf_counter()
    process(session.pythons, name, *arguments, NBNET_CACHE_DIR=str(session.folder / cache))
    return {"seconds": time.perf_counter() - began}
