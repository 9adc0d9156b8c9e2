"""A process that trains once: ``python -m benchmarks.peers.once LIBRARY EXERCISE EPOCHS SETTING``.

It prints a line of JSON: the megabytes it had at most when the library and the data were there, and in the end.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.peers.exercise import load
from benchmarks.peers.libraries import LIBRARIES
from benchmarks.peers.timing import peak_memory
from benchmarks.peers.worker import answers


def main(name: str, exercise: str, epochs: str, setting: str = "") -> None:
    """Train; of settings, the one named, or the first."""
    out = answers()
    module, made = LIBRARIES[name].load(), load(Path(exercise))
    before = peak_memory()
    offered = module.settings(made.network)
    learner = module.start(made, **offered[setting or next(iter(offered))])
    losses = learner.train(int(epochs))
    print(json.dumps({"before": before, "peak": peak_memory(), "loss": losses[-1]}), file=out, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
