"""Time of spectralot's operations beside that of the libraries one would take otherwise."""

import os


def one_thread():
    """Call it before NumPy and Numba are imported, and only where a program begins.

    Numba launched with another number of threads writes past the scratch of its kernels.
    """
    for library in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
