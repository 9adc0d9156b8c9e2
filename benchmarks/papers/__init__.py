"""Published results, run again: a script each, ``python -m benchmarks.papers.NAME``.

A script goes on where it was stopped: what it has found stands in the file that ``--results`` names, by default
``results/NAME.jsonl`` in this folder. ``python -m benchmarks.papers`` writes the tables of ``README.md`` from these
files.
"""
