"""Arrays on the device, made anew or used again, and the arithmetic that NumPy does on the CPU.

One thread a number. `Workspace` keeps the arrays of a step for the next; `Replay` records what a
step launches and launches it again as one graph.
"""

from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

import numpy as np
from numba import config, cuda, float64

from ..checks import ParameterError

THREADS = 128
_workspace = ContextVar("workspace", default=None)
_stream = ContextVar("stream", default=0)


def launch(blocks, threads, shared=0):
    """How to launch a kernel: blocks, threads, the stream of this context, bytes to share."""
    return blocks, threads, _stream.get(), shared


def spread(size, threads):
    """How to launch one thread for each of so many numbers."""
    return launch(-(-size // threads), threads)


# arrays


class Workspace:
    """Inside, new arrays are those which were made in the same order the time before.

    What was made inside is overwritten when it is entered again.
    """

    def __init__(self):
        self._arrays, self._turn = [], 0

    def __enter__(self):
        self._turn, self._token = 0, _workspace.set(self)
        return self

    def __exit__(self, *error):
        _workspace.reset(self._token)

    def next(self, shape, dtype):
        """The next array, made if it is not there, or is another."""
        at, self._turn = self._turn, self._turn + 1
        if at == len(self._arrays):
            self._arrays.append(None)
        array = self._arrays[at]
        if array is None or (array.shape, array.dtype) != (shape, dtype):
            array = self._arrays[at] = cuda.device_array(shape, dtype)
        return array


def empty(shape, dtype):
    """A new array, or one of the workspace's."""
    shape = tuple(int(n) for n in (shape if isinstance(shape, (tuple, list)) else (shape,)))
    here = _workspace.get()
    return cuda.device_array(shape, dtype) if here is None else here.next(shape, np.dtype(dtype))


def constant(array):
    """A copy of an array in memory, taken to the device once."""
    array = np.ascontiguousarray(array)
    return _constant(array.tobytes(), array.dtype, array.shape)


@lru_cache(maxsize=256)
def _constant(numbers, dtype, shape):
    return cuda.to_device(np.ndarray(shape, dtype, numbers))


def given(name, array, dtype):
    """An array of a caller's: contiguous, real, not empty, and in this dtype."""
    array = array if hasattr(array, "__cuda_ndarray__") else cuda.as_cuda_array(array)
    if array.dtype not in (np.float32, np.float64):
        raise ParameterError(f"{name} must be float32 or float64 on a device, got {array.dtype}")
    if not array.is_c_contiguous():
        raise ParameterError(f"{name} must be contiguous on a device, got strides {array.strides}")
    if array.dtype == dtype:
        return array
    converted = empty(array.shape, dtype)
    _cast[spread(array.size, THREADS)](array.reshape(array.size), converted.reshape(array.size))
    return converted


# arithmetic


@cuda.jit
def _cast(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = x[i]


@cuda.jit
def _fill(x, value):
    i = cuda.grid(1)
    if i < x.size:
        x[i] = value


@cuda.jit
def _add(total, more, factor):
    i = cuda.grid(1)
    if i < total.size:
        total[i] += factor * more[i]


@cuda.jit
def _copy(x, factor, y):
    i = cuda.grid(1)
    if i < y.size:
        y[i] = factor * x[i]


@cuda.jit
def _scale(x, factor):
    i = cuda.grid(1)
    if i < x.size:
        x[i] *= factor


@cuda.jit
def _add_means(rows, add, total):
    i = cuda.grid(1)
    if i < total.size:
        mean, T = 0.0, rows.shape[1]
        for t in range(T):
            mean += float64(rows[i, t])
        mean /= T
        total[i] = total[i] + mean if add else mean


def fill(x, value):
    """x = value."""
    _fill[spread(x.size, THREADS)](x.reshape(x.size), x.dtype.type(value))


def add(total, more, factor):
    """total += factor * more."""
    size = total.size
    factor = total.dtype.type(factor)
    _add[spread(size, THREADS)](total.reshape(size), more.reshape(size), factor)


def copy(x, y, factor=1):
    """y = factor * x."""
    _copy[spread(y.size, THREADS)](x.reshape(x.size), y.dtype.type(factor), y.reshape(y.size))


def scale(x, factor):
    """x *= factor."""
    _scale[spread(x.size, THREADS)](x.reshape(x.size), x.dtype.type(factor))


def add_means(total, rows):
    """Total, of None or an array (...), plus the means along the last axis of rows (...,T)."""
    shape, T = rows.shape[:-1], rows.shape[-1]
    new = total is None
    total = empty(shape or (1,), np.float64) if new else total
    flat = total.reshape(total.size)
    _add_means[spread(total.size, THREADS)](rows.reshape(total.size, T), not new, flat)
    return total


# steps


class Replay:
    """A step that always launches the same: done once, then recorded, then launched as one graph.

    What it allocates, with `empty`, is kept. In the simulator every step is launched kernel by
    kernel.

    Parameters
    ----------
    step : callable
        Without arguments.
    """

    def __init__(self, step):
        self._step, self._workspace = step, Workspace()
        self._stream = 0 if config.ENABLE_CUDASIM else cuda.stream()
        self._graph, self._done = None, 0

    def __call__(self):
        if self._graph is not None:
            _answer("cuGraphLaunch", self._graph, self._stream.handle)
            return
        if self._done == 1 and not config.ENABLE_CUDASIM:
            self._graph = self._recorded()
            self()
            return
        self._run()
        self._done += 1

    def _run(self):
        with self._workspace, on_stream(self._stream):
            self._step()

    def _recorded(self):
        """The step as a graph; nothing is done meanwhile."""
        from cuda.bindings import driver

        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
        cuda.synchronize()
        with cuda.defer_cleanup():  # memory given back meanwhile would end the recording
            _answer("cuStreamBeginCapture", self._stream.handle, mode)
            try:
                self._run()
            finally:
                graph = _answer("cuStreamEndCapture", self._stream.handle)
        return _answer("cuGraphInstantiate", graph, 0)


def _answer(function, *arguments):
    """What the driver's function gives, or an error."""
    from cuda.bindings import driver

    error, *given = getattr(driver, function)(*arguments)
    if error != driver.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"{function}: {error.name}")
    return given[0] if given else None


@contextmanager
def on_stream(stream):
    """Inside, kernels are launched on this stream."""
    token = _stream.set(stream)
    try:
        yield
    finally:
        _stream.reset(token)
