"""Time predictions by sampling: ``python -m benchmarks.mc_dropout``.

1,000 rows through 784-512-512-10 with dropout, 100 times: nbnet's ``predict_mc``, with masks of each row's own and with
masks that all rows share, against 100 passes of the same network in PyTorch, in train mode under
``torch.inference_mode``. They take turns. PyTorch is an extra, ``pip install 'nbnet[benchmark]'``; without it nbnet is
timed alone. Each table is measured in a process of its own; if that crashes, the signal, the tracebacks of all threads
and the place of the core file are shown.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nbnet as nb
from benchmarks.harness import machine
from benchmarks.harness.child import record_crashes, run_child
from benchmarks.harness.table import aligned, spread
from benchmarks.harness.turns import in_turn, ratios
from benchmarks.harness.workloads import glorot_weights, layer_by_layer

NOTES = """\
ms: of all passes, medians over the rounds [smallest - largest]. ratio: of PyTorch's time to it, round by round.
input dropout 0: the first product does not depend on masks, and nbnet computes it once."""

SIZES, HIDDEN = (784, 512, 512, 10), 0.5
Array = NDArray[np.float32]
#: Means and standard deviations over passes.
Moments = tuple[Array, Array]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mc_dropout", description="Time sampled predictions.")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is timed (7)")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="two rounds of few rows and passes: no measurement")
    parser.add_argument("--rate", type=float, help="measure one rate of the dropout on inputs, in this process")
    options = parser.parse_args(arguments)
    if min(options.rounds, options.rows, options.samples) < 1:
        parser.error("--rounds, --rows and --samples: expected numbers above 0")
    rounds, rows, samples = (2, 64, 5) if options.quick else (options.rounds, options.rows, options.samples)
    if options.rate is not None:
        record_crashes()
        print(table(options.rate, run(options.rate, rounds, rows, samples)))
        return
    print("\n".join(machine.lines(machine.describe())), flush=True)
    print(f"{rows} rows, {samples} passes, {'-'.join(map(str, SIZES))}, dropout {HIDDEN}", end="\n\n", flush=True)
    numbers = ["--rounds", str(rounds), "--rows", str(rows), "--samples", str(samples)]
    for rate in (0.0, 0.2):
        print(run_child("benchmarks.mc_dropout", [*numbers, "--rate", str(rate)]), flush=True)
    print(NOTES)


def run(rate: float, rounds: int, rows: int, samples: int) -> dict[str, list[float]]:
    """Milliseconds for all passes, for each round.

    Parameters
    ----------
    rate
        Of the dropout on inputs.

    Raises
    ------
    RuntimeError
        If nbnet and PyTorch do not find the same.
    """
    x = np.random.default_rng(0).random((rows, SIZES[0]), dtype=np.float32)
    model = build(rate)
    learners: dict[str, Callable[[], Moments]] = {
        masks: partial(sampled, model, x, samples, masks) for masks in ("per_sample", "shared")
    }
    if importlib.util.find_spec("torch") is not None:
        learners["PyTorch"] = passes(model, rate, x, samples)
    found = {name: learner() for name, learner in learners.items()}
    times = in_turn(learners, rounds)
    if "PyTorch" in found:
        check(found["per_sample"], found["PyTorch"], samples)
    return {name: [one * 1e3 for one in taken] for name, taken in times.items()}


def build(rate: float) -> nb.Sequential:
    """The network, with the same weights each time."""
    nb.set_random_seed(0)
    layers: list[nb.Layer] = [nb.layers.Dropout(rate)] if rate else []
    for units in SIZES[1:-1]:
        layers += [nb.layers.Dense(units, "relu"), nb.layers.Dropout(HIDDEN)]
    model = nb.Sequential([nb.Input((SIZES[0],)), *layers, nb.layers.Dense(SIZES[-1], "softmax")])
    model.set_weights(layer_by_layer(*glorot_weights(SIZES, 0)))
    return model


def sampled(model: nb.Sequential, x: Array, samples: int, masks: str) -> Moments:
    """nbnet's."""
    found = model.predict_mc(x, samples, masks)
    return found.mean, found.std


def passes(model: nb.Sequential, rate: float, x: Array, samples: int) -> Callable[[], Moments]:
    """PyTorch's, with the same weights."""
    import torch

    layers: list[Any] = [torch.nn.Dropout(rate)] if rate else []
    weights = model.get_weights()
    for k, (n, m) in enumerate(pairwise(SIZES)):
        linear = torch.nn.Linear(n, m)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weights[2 * k].T))
            linear.bias.copy_(torch.from_numpy(weights[2 * k + 1]))
        last = m == SIZES[-1]
        layers += [linear, torch.nn.Softmax(-1)] if last else [linear, torch.nn.ReLU(), torch.nn.Dropout(HIDDEN)]
    net, rows = torch.nn.Sequential(*layers).train(), torch.from_numpy(x)

    def run() -> Moments:
        with torch.inference_mode():
            outputs = torch.stack([net(rows) for _ in range(samples)])
            return outputs.mean(0).numpy(), outputs.std(0, correction=0).numpy()

    return run


def check(ours: Moments, theirs: Moments, samples: int) -> None:
    """RuntimeError if means over passes lie further apart than chance explains."""
    spread = np.sqrt((ours[1] ** 2 + theirs[1] ** 2) / samples)
    apart = np.abs(ours[0] - theirs[0]) / np.maximum(spread, 1e-12)
    if samples >= 50 and not (np.sqrt(np.mean(apart**2)) < 1.2 and apart.max() < 8):
        raise RuntimeError(f"means lie {apart.max():.1f} standard errors apart: the networks are not the same")


def table(rate: float, times: dict[str, list[float]]) -> str:
    """Times, and how many of each fit into PyTorch's."""
    rows = [[f"input dropout {rate:g}", "ms", "ratio"]]
    for name, found in times.items():
        rows.append([name, spread(found), spread(ratios(times["PyTorch"], found)) if "PyTorch" in times else "-"])
    return aligned(rows)


if __name__ == "__main__":
    main()
