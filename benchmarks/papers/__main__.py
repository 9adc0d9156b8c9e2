"""``python -m benchmarks.papers`` writes the tables."""

from benchmarks.papers.report import main

main()
