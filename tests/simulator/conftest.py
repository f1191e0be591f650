"""Kernels of the device, run in Numba's simulator, which must be chosen before Numba is imported.

tests/test_cuda.py runs this folder in a process of its own.
"""

import os

collect_ignore_glob = [] if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1" else ["test_*.py"]
