"""Kernels of the device, run in Numba's simulator, which must be chosen before Numba is imported.

tests/test_cuda.py runs this folder in a process of its own.
"""

import os

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
collect_ignore_glob = [] if SIMULATED else ["test_*.py"]


def like_a_device():
    """Take from simulated arrays what those of a device do not have."""
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

    known = ("dtype", "ndim", "size", "strides", "flags", "itemsize", "squeeze")

    def attribute(self, name):
        if name in known:
            return getattr(self._ary, name)
        raise AttributeError(f"an array on a device has no {name!r}")

    FakeCUDAArray.__getattr__ = attribute
    FakeCUDAArray.shape = property(lambda self: self._ary.shape)
    for name in "add sub mul floordiv truediv mod pow eq ne lt le gt ge".split():
        setattr(FakeCUDAArray, f"__{name}__", None)


if SIMULATED:
    if hasattr(os, "sched_setaffinity"):
        # simulated threads take turns under one lock, faster on one core than on two
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    like_a_device()
