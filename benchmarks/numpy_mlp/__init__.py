"""Networks written by hand in NumPy, and the matrix products alone."""
