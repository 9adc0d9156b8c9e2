"""Operands for each kernel that ``benchmarks.kernels`` times."""
