"""Time nbnet against NumPy: ``python -m benchmarks.train``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.harness import machine
from benchmarks.harness.contest import COMPARED, Result, run
from benchmarks.harness.learners import NAMES, OPPONENTS
from benchmarks.harness.table import aligned, between_markers, spread
from benchmarks.harness.workloads import WORKLOADS

NOTES = """\
us/step, ratios, GFLOP/s: medians over the rounds [smallest - largest]; a ratio is taken within a round.
Learners take turns. Each round starts all of them from the same fresh weights and times the same early epochs: later
on, Adam's moments decay into denormal numbers, which slow NumPy down and which nbnet flushes to zero.
nbnet is timed through model.fit, shuffling included. NumPy: written as one writes it. tuned: with buffers, one flat
vector of parameters, Adam in blocks. Both leave the number of threads to BLAS.
first epoch: nbnet's, with all that had to be compiled or loaded for it; us/step has nothing of that.
GFLOP/s count 6 * inputs * outputs * rows a step for nbnet and BLAS alike, though the input's gradient is not computed,
nor, by nbnet, products with what ReLU or dropout has set to zero in large layers.
BLAS alone: the matrix products of a step in np.dot and nothing else; where they are small, the calls count."""

#: Markers around the table in a README.
BEGIN, END = "<!-- benchmark:begin -->", "<!-- benchmark:end -->"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train", description="Time nbnet against NumPy.")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=7, help="how often each learner is timed (7)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a round, at least one epoch (1)")
    parser.add_argument("--quick", action="store_true", help="three short rounds on a few rows: no measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there, too")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="write the table of steps between its markers")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or not options.seconds > 0:
        parser.error("--rounds and --seconds: expected numbers above 0")

    described = machine.describe()
    print("\n".join(machine.lines(described)), end="\n\n", flush=True)
    results = []
    for name in options.workloads:
        load = WORKLOADS[name]
        if options.quick:
            results.append(run(load, 3, 0.02, rows=20 * load.batch_size))
        else:
            results.append(run(load, options.rounds, options.seconds))
        print(same(results[-1]), flush=True)
    for table in (step_table(results), speed_table(results), loss_table(results)):
        print("\n" + table)
    print("\n" + NOTES)
    if options.json:
        found = {"machine": described, "results": [asdict(r) for r in results]}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if options.readme:
        block = "\n".join(
            [*machine.lines(described), "", *(f"{r.workload}: {network(r)}" for r in results), "", step_table(results)]
        )
        text = between_markers(options.readme.read_text(), f"```text\n{block}\n```", BEGIN, END)
        options.readme.write_text(text)


def network(result: Result) -> str:
    """Widths, and the batch."""
    return f"{'-'.join(map(str, result.sizes))}, batches of {result.batch_size}"


def same(result: Result) -> str:
    """The line that says the learners learn the same."""
    parts = []
    for dtype, epochs, steps, allowed in COMPARED:
        found = ", ".join(f"{name} {value:.0e}" for name, value in result.difference[dtype].items())
        parts.append(f"{dtype} ({epochs * (steps + 1)} steps, {allowed:.0e} allowed): {found}")
    return f"{result.workload}: same losses, dropout off; {'; '.join(parts)}"


def step_table(results: Sequence[Result]) -> str:
    """Time of a step, and the opponents' over nbnet's."""
    heads = ["workload", "rounds x epochs", "nbnet us/step", *(f"{name} us/step" for name in OPPONENTS)]
    rows = [[*heads, *(f"{name} / nbnet" for name in OPPONENTS)]]
    for r in results:
        times = [spread(r.step_times(name)) for name in NAMES]
        ratios = [spread(r.ratios(name)) for name in OPPONENTS]
        rows.append([r.workload, f"{len(r.seconds['nbnet'])} x {r.epochs}", *times, *ratios])
    return aligned(rows)


def speed_table(results: Sequence[Result]) -> str:
    """How much of the machine nbnet uses."""
    threads = sorted({t for r in results for t in r.blas})
    heads = ["workload", "network", "batch", "slices", "first epoch", "compiled", "nbnet GFLOP/s"]
    rows = [[*heads, *(f"BLAS alone, {t} thread{'s' * (t > 1)}" for t in threads)]]
    for r in results:
        widths, first = "-".join(map(str, r.sizes)), f"{r.first_epoch * 1e3:.0f} ms"
        made = [str(r.batch_size), str(r.slices), first, f"{r.kernels_compiled} kernels"]
        rows.append([r.workload, widths, *made, spread(r.gflops()), *(spread(r.blas_gflops(t)) for t in threads)])
    return aligned(rows)


def loss_table(results: Sequence[Result]) -> str:
    """Where a round ends; the learners draw masks and orders of their own."""
    rows = [["workload", *(f"{name} loss after a round" for name in NAMES)]]
    rows += [[r.workload, *(f"{r.losses[name]:.4f}" for name in NAMES)] for r in results]
    return aligned(rows)


if __name__ == "__main__":
    main()
