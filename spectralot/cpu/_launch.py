"""The one place where parallel kernels are launched, as Numba's threading layer can bear it.

Each layer has something that ends the process or never ends. workqueue: two Python threads launch
kernels at once. GNU's OpenMP: a process is forked from one that has launched any; where SIGTERM is
ignored, it returns there without having done anything. TBB: a process is forked while another
thread is within a kernel. So under workqueue kernels wait for each other, and the forked process
runs them compiled without threads: the same bits, slower.
"""

import os
import sys
import threading
import types
from functools import cached_property

import numba

_in_turn = threading.RLock()
_free = False  # whether nothing need be looked at: the layer is known, and can bear anything
_alone = False  # whether this process was forked from one whose threads it would wait for
_beside = False  # whether the forking thread was not the only one


class ParallelKernel:
    """A compiled kernel, with all its attributes, that is launched with care."""

    def __init__(self, kernel, serial):
        self.kernel, self._serial = kernel, serial

    def __call__(self, *args):
        if _free:
            return self.kernel(*args)
        return self._with_care(args)

    def __getattr__(self, name):
        return getattr(self.kernel, name)

    def _with_care(self, args):
        global _free
        if _alone:
            return self.serial(*args)
        numba.get_num_threads()  # else Numba may not have chosen a layer yet
        if numba.threading_layer() == "workqueue":
            with _in_turn:
                return self.kernel(*args)
        _free = True
        return self.kernel(*args)

    @cached_property
    def serial(self):
        """The same kernel without threads; its name in the cache is its own."""
        f = self.kernel.py_func
        twin = types.FunctionType(f.__code__, f.__globals__, f.__name__, f.__defaults__)
        twin.__qualname__, twin.__module__ = f"{f.__qualname__}_serial", f.__module__
        return self._serial(twin)


def _before_fork():
    global _beside
    _in_turn.acquire()  # nobody is within a kernel of workqueue's
    _beside = len(sys._current_frames()) > 1


def _after_fork():
    global _free, _alone
    _in_turn.release()
    try:
        layer = numba.threading_layer()
    except ValueError:  # none was chosen: this process may choose one
        return
    if (layer == "omp" and sys.platform.startswith("linux")) or (layer == "tbb" and _beside):
        _free, _alone = False, True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_in_turn.release, after_in_child=_after_fork
    )
