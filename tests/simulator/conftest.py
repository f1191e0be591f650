"""Kernels of the device, run in Numba's simulator, which must be chosen before Numba is imported.

tests/test_cuda.py runs this folder in a process of its own.
"""

import os

if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1" and hasattr(os, "sched_setaffinity"):
    # simulated threads take turns under one lock, several times faster on one core than on two
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

collect_ignore_glob = [] if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1" else ["test_*.py"]
