"""Benchmarks: nbnet beside others, its parts beside what limits them; and published results, run again."""
