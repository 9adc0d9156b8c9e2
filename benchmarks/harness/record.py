"""Findings on disk: one line of JSON for each run, so that a stopped script goes on with the runs that are missing."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def slug(run: Mapping[str, Any]) -> str:
    """A file's name for a run."""
    return "-".join(f"{key}={value}" for key, value in run.items()).replace("/", "_").replace(" ", "_")


class Record:
    """The runs of one script, by what was run.

    Several processes may share a file: a run is claimed by the first that asks for it.

    Parameters
    ----------
    path
        Of the file; made when the first run is added.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def runs(self) -> list[dict[str, Any]]:
        """All findings: what was run, under ``"run"``, and what was found."""
        if not self.path.exists():
            return []
        # A line without an end is one that is being written, or that a process died over.
        return [json.loads(line) for line in self.path.read_text().split("\n")[:-1]]

    def has(self, run: Mapping[str, Any]) -> bool:
        """Return True if this run is finished."""
        return any(found["run"] == run for found in self.runs())

    def add(self, run: Mapping[str, Any], **found: Any) -> None:
        """Append the findings of a run."""
        line = json.dumps({"run": dict(run), **found}) + "\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    @contextlib.contextmanager
    def claim(self, run: Mapping[str, Any]) -> Iterator[bool]:
        """Yield True if this process should do a run: it is not finished, and no other process is doing it."""
        place = self.path.with_suffix(".claims")
        place.mkdir(parents=True, exist_ok=True)
        with (place / slug(run)).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield not self.has(run)
