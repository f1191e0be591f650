"""Kernels for the CPU, compiled once and kept in files in which no fault is fatal."""

import hashlib
import inspect
import pickle
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numba
from numba.core.caching import FunctionCache
from numba.core.serialize import dumps

from ..checks import ParameterError
from ..files import writing
from ._launch import ParallelKernel


def njit(function=None, *, cache=False, **options):
    """As `numba.njit`, but what is cached lies in a file of its own for each signature."""
    if function is None:
        return lambda function: njit(function, cache=cache, **options)
    kernel = numba.njit(**options)(function)
    if cache and hasattr(kernel, "enable_caching"):  # else NUMBA_DISABLE_JIT is set
        try:
            kernel._cache = _Cache(function)
        except RuntimeError:  # no folder can be written: compiled by each process anew
            pass
    if options.get("parallel") and hasattr(kernel, "py_func"):
        return ParallelKernel(kernel, njit(cache=cache, **options | {"parallel": False}))
    return kernel


@lru_cache
def _source(path):
    """What machine code depends on beyond its key. Before 0.68 Numba looked at dates only."""
    packages = [f"{name} {version(name)}" for name in ("numba", "rocket-fft")]
    return hashlib.sha256(Path(path).read_bytes()).hexdigest(), *packages


class _Cache(FunctionCache):
    """One file for each signature, under a checksum: processes at once cannot mix them up.

    In Numba's own, an index that two processes write at once can give one signature the other's
    code, and a file that is damaged or cannot be written ends the call.
    """

    def _place(self, sig, codegen):
        """The file, and what its checksum begins with."""
        key = repr((self._index_key(sig, codegen), _source(inspect.getfile(self._py_func))))
        name = hashlib.sha256(key.encode()).hexdigest()[:16]
        return Path(self._cache_path, f"{self._impl.filename_base}.{name}.nbc"), key.encode()

    def load_overload(self, sig, target_context):
        target_context.refresh()
        try:
            file, key = self._place(sig, target_context.codegen())
            kept = file.read_bytes()
            if hashlib.sha256(key + kept[32:]).digest() == kept[:32]:
                return self._impl.rebuild(target_context, pickle.loads(kept[32:]))
        except Exception:  # nothing there, or nothing that can be used: compiled and written anew
            pass
        return None

    def save_overload(self, sig, data):
        if not self._impl.check_cachable(data):
            return
        (file, key), code = self._place(sig, data.codegen), dumps(self._impl.reduce(data))
        try:
            self._impl.locator.ensure_cache_path()
            with writing(file, overwrite=True) as part:
                part.write_bytes(hashlib.sha256(key + code).digest() + code)
        except (OSError, ParameterError):  # the disk is full: this process has the code, no other
            pass

    def flush(self):
        """Remove what is kept of this kernel."""
        for file in Path(self._cache_path).glob(f"{self._impl.filename_base}.*.nbc"):
            file.unlink(missing_ok=True)
