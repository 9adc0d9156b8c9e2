"""Shared code of the scripts: options, the files of their findings, and doing the runs that are missing."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from benchmarks.harness.record import Record, slug

Run = Mapping[str, Any]
#: Where the findings are that the tables are made from.
RESULTS = Path(__file__).parent / "results"


def parser(name: str, doc: str | None, seeds: int) -> argparse.ArgumentParser:
    """Options of every script.

    Parameters
    ----------
    name
        Of the script.
    doc
        Its docstring.
    seeds
        How many there are by default.
    """
    found = argparse.ArgumentParser(
        prog=f"python -m benchmarks.papers.{name}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--data", metavar="FOLDER", help="where the images are (default: see nbnet.datasets)")
    found.add_argument("--results", metavar="FILE", type=Path, default=RESULTS / f"{name}.jsonl")
    found.add_argument("--state", metavar="FOLDER", type=Path, help="for runs in progress (beside the results)")
    found.add_argument("--seeds", type=int, default=seeds, help=f"networks of each kind ({seeds})")
    return found


def work(options: argparse.Namespace, runs: Iterable[Run], perform: Callable[[Run, Path], dict[str, Any]]) -> None:
    """Do the runs that nobody has done and nobody is at, and put on record what they find.

    Parameters
    ----------
    options
        Of :func:`parser`.
    perform
        Does a run; its state while it is in progress may be kept in the folder.
    """
    record = Record(options.results)
    state = options.state or options.results.with_suffix(".state")
    for run in runs:
        with record.claim(run) as mine:
            if not mine:
                continue
            place = state / slug(run)
            found = perform(run, place)
            record.add(run, **found, processor=machine.describe()["processor"])
            shutil.rmtree(place, ignore_errors=True)
            print(slug(run), {key: value for key, value in found.items() if not isinstance(value, list)}, flush=True)
