"""Benchmarks of nbnet against other ways to train the same network."""
