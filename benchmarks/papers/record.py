"""Where the findings of the papers are; :mod:`benchmarks.record` says how they are kept."""

from __future__ import annotations

from pathlib import Path

from benchmarks.record import Record, slug

__all__ = ["RESULTS", "Record", "slug"]

#: Where the findings are that the tables are made from.
RESULTS = Path(__file__).parent / "results"
