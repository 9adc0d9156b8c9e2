"""A search over 24 settings of a classifier of digits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from benchmarks.peers import training
from benchmarks.peers.driver import PeerError, together, versions
from benchmarks.peers.findings import Found
from benchmarks.peers.rounds import Session
from benchmarks.search import SETTINGS

TITLE = "Search"
NOTES = """\
Seconds of a search over 24 settings (two shapes, two batch sizes, three penalties, two learning rates), cross-validated
in five folds, 20 epochs a fit: 120 trainings on digits without dropout. nbnet: MultiFitSearchCV. scikit-learn, skorch:
GridSearchCV with a process a processor. The others bring no search: a loop over settings and folds in one process, on
the setting of the library that is fastest at this network. best accuracy: the mean over folds of the best setting."""
CASES = ("digits",)
VALUES = {"s": lambda found: found.get("seconds"), "best accuracy": lambda found: found.get("score")}
FOLDS, EPOCHS = 5, 20
#: Seconds that a search may take.
PATIENCE = 1200.0


def measure(session: Session, cases: Sequence[str]) -> None:
    """A search a turn."""
    grid = {name: list(values)[: 1 if session.quick else None] for name, values in SETTINGS.items()}
    folds, epochs = (2, 2) if session.quick else (FOLDS, EPOCHS)
    for case in cases:
        if not (late := session.due([case])):
            continue
        with together(late, session.pythons) as (peers, missing):
            session.without(missing)
            made = training.exercise(case, 200 if session.quick else None)
            started = training.start(session, case, training.without_dropout(made), peers)

            def turn(name: str, started: dict[str, Found] = started) -> Found:
                if "error" in started[name]:
                    raise PeerError(started[name]["error"])
                found: Found = peers[name].ask("search", patience=PATIENCE, grid=grid, folds=folds, epochs=epochs)
                return found | {"setting": started[name]["setting"]}

            session.play(case, {name: partial(turn, name) for name in peers}, versions(peers))
