"""Times of whole processes, up to the end of the first epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.peers import training
from benchmarks.peers.driver import importable, process
from benchmarks.peers.findings import Found
from benchmarks.peers.libraries import LIBRARIES, OURS
from benchmarks.peers.rounds import Session, attempt

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
    if not (late := session.due(cases)):
        return
    versions, missing = importable(late, session.pythons)
    session.without(missing)
    for case in cases:
        if names := session.due([case]):
            turns = _imports(session, names) if case == "import" else _epochs(session, names)
            session.play(case, turns, versions)


def _imports(session: Session, names: Sequence[str]) -> dict[str, Callable[[], Found]]:
    """A turn of each library; a process before it does not count."""

    def turn(name: str) -> Found:
        return _run(session, name, ["-c", f"import {LIBRARIES[name].imports}"], "warm")

    for name in names:
        attempt(partial(turn, name))
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
        if name == OURS:
            turns[EMPTY] = lambda setting=setting: turn(OURS, f"empty-{time.time_ns()}", setting)  # type: ignore[misc]
    return turns


def _settings(session: Session, name: str) -> list[str]:
    """Of a library, for digits."""
    code = (
        "from benchmarks.peers.libraries import LIBRARIES; from benchmarks.peers.exercise import Network; "
        f"print(*LIBRARIES[{name!r}].load().settings(Network((64, 128, 64, 10), 32, 0.0, 0.5)), sep='\\n')"
    )
    return process(session.pythons, name, "-c", code).splitlines()


def _fastest(session: Session, name: str, turn: Callable[[str], Found]) -> str:
    """The setting on record, or else the one whose process was fastest; there is one before that does not count."""
    known = training.settings(session, "first epoch").get(name)
    offered = [known] if known else _settings(session, name)
    attempt(partial(turn, offered[0]))
    if session.quick or len(offered) == 1:
        return offered[0]
    tried: dict[str, float | str] = {}
    for setting in offered:
        session.check_time()
        found = attempt(partial(turn, setting))
        tried[setting] = found["error"] if "error" in found else found["seconds"]
    worked = {setting: seconds for setting, seconds in tried.items() if isinstance(seconds, float)}
    fastest = min(worked, key=worked.__getitem__, default=offered[0])
    training.keep(session, "first epoch", name, {"setting": fastest, "tried": tried})
    return fastest


def _run(session: Session, name: str, arguments: Sequence[str], cache: str) -> Found:
    """Seconds of a process."""
    began = time.perf_counter()
    process(session.pythons, name, *arguments, NBNET_CACHE_DIR=str(session.folder / cache))
    return {"seconds": time.perf_counter() - began}
