"""``README.md``: the tables of all scripts, from what is on record."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from types import ModuleType

from benchmarks.harness.record import Record
from benchmarks.papers.script import RESULTS

README = Path(__file__).parent / "README.md"
SCRIPTS = ("srivastava_mnist", "dropconnect", "data_size", "rate_sweep", "batchwise", "gal_uci", "selu")
HEAD = """\
# Published results, run again

Written by `python -m benchmarks.papers` from the files in `results/`, where every run stands that was finished, with
its seed, its epochs and its error after each of them. A script (`python -m benchmarks.papers.NAME`, `--help` for
options) does the runs that are missing. It can be stopped at any time, and several may share the work.

Errors are those after the last epoch, means over seeds ± their standard errors. Minutes are processor time of a
training on one thread, tests included; on a machine that has other things to do they are more than on a quiet one.
"""


def readme(results: Path = RESULTS) -> str:
    """The text, from a folder of findings."""
    sections = [section(name, Record(results / f"{name}.jsonl")) for name in SCRIPTS]
    return "\n".join([HEAD, *filter(None, sections)])


def section(name: str, record: Record) -> str:
    """Return the description of a script and its table; empty if nothing is on record."""
    runs = record.runs()
    if not runs:
        return ""
    script = import_module(f"benchmarks.papers.{name}")
    processors = sorted({run["processor"] for run in runs if "processor" in run})
    made = f"`{name}`: {len(runs)} run{'s' * (len(runs) > 1)}" + (f" on {', '.join(processors)}" if processors else "")
    return f"## {script.TITLE}\n\n{prose(script)}\n\n{script.table(record)}\n\n{made}.\n"


def prose(script: ModuleType) -> str:
    """The docstring: it says what is smaller than in the paper."""
    return cleandoc(script.__doc__ or "")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.papers", description="Write the tables of all scripts.")
    parser.add_argument("--results", metavar="FOLDER", type=Path, default=RESULTS)
    parser.add_argument("--output", metavar="FILE", type=Path, default=README)
    parser.add_argument("--plot", metavar="FOLDER", type=Path, help="draw what can be drawn (the extra plot)")
    options = parser.parse_args(arguments)
    options.output.write_text(readme(options.results))
    if options.plot is not None:
        draw(options.results, options.plot)


def draw(results: Path, folder: Path) -> None:
    """A picture, NAME.png, of each script that has one and has found something."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SCRIPTS:
        script, record = import_module(f"benchmarks.papers.{name}"), Record(results / f"{name}.jsonl")
        if record.runs() and hasattr(script, "plot"):
            script.plot(record).savefig(folder / f"{name}.png")
