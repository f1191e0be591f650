"""Layers as forward/backward pairs (equations: docs/derivations/network.md).

Names: R frames, K bins, C channels, P = R * K. Products are BLAS's; the rest is compiled. Gradients
of parameters are added to what is there, those of inputs are new arrays. On a device parameters
may have a leading axis of runs, each with as many of the rows.
"""

from __future__ import annotations

import math
import os
from collections.abc import ItemsView, Sequence
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
import scipy.linalg  # noqa: F401  (whose BLAS Numba calls; it must be there to be limited)
from numpy.typing import DTypeLike
from threadpoolctl import ThreadpoolController

from .. import backend
from ..hints import Array

PARTS = 64  # of a sum over rows: a fixed number, so results do not depend on threads
FEW_PARTS = 8  # where each has large scratch
PIECES = 4  # of a large product, for the same reason
ROWS = 512  # of a tall matrix in a piece, on a device


class Parameters:
    """A flat vector of parameters, and named arrays that are views of it.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        Names and shapes, in the order in which they lie in the vector.
    dtype : dtype
        float32 or float64.
    """

    def __init__(self, shapes: dict[str, tuple[int, ...]], dtype: DTypeLike = np.float32) -> None:
        self.shapes = dict(shapes)
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        self.flat = np.zeros(sum(sizes), dtype)
        ends = np.cumsum(sizes)
        self._starts = dict(zip(self.shapes, ends - sizes, strict=True))
        pieces = np.split(self.flat, ends[:-1])
        self._views = {
            name: piece.reshape(shape)
            for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)
        }

    def __getitem__(self, name: str) -> Array:
        return self._views[name]

    def before(self, name: str) -> Array:
        """All that lies before this one in the vector, a view."""
        return self.flat[: self._starts[name]]

    @property
    def runs(self) -> tuple[()]:
        """Shape of the leading axis: none."""
        return ()

    def items(self) -> ItemsView[str, Array]:
        """Pairs of name and array."""
        return self._views.items()

    def like(self) -> Parameters:
        """Zeros of the same names, shapes and dtype."""
        return Parameters(self.shapes, self.flat.dtype)


class DeviceParameters:
    """Parameters of G runs on a device: each name an array (G,...), all in one vector.

    Parameters
    ----------
    runs : sequence of Parameters
        In memory, all of the same shapes.
    joined : str, optional
        What lies before this name is one row for each run.
    """

    def __init__(self, runs: Sequence[Parameters], joined: str | None = None) -> None:
        self.runs, self._host = (len(runs),), runs[0]
        before = runs[0].before(joined) if joined else runs[0].flat[:0]
        self._shapes, at = {"": before.shape} if before.size else {}, 0
        for name, shape in runs[0].shapes.items():
            if at >= before.size:
                self._shapes[name] = shape
            at += int(np.prod(shape))
        flat = np.stack([run.flat for run in runs])
        blocks = np.split(flat, np.cumsum(self._sizes)[:-1], axis=1)
        self._view(backend.to_device(np.concatenate([block.ravel() for block in blocks])))

    @property
    def _sizes(self):
        """Of the blocks, for one run."""
        return [int(np.prod(shape)) for shape in self._shapes.values()]

    def _view(self, flat):
        """Named views of a vector."""
        (G,), self.flat, self._views, at = self.runs, flat, {}, 0
        for (name, shape), size in zip(self._shapes.items(), self._sizes, strict=True):
            self._views[name] = flat[at : at + G * size].reshape(G, *shape)
            at += G * size

    def __getitem__(self, name: str) -> Any:
        return self._views[name]

    def before(self, name: str) -> Any:
        """All that lies before this one, (G,n); the name that was joined, no other."""
        return self._views[""]

    def like(self) -> DeviceParameters:
        """Zeros of the same names and shapes."""
        other = object.__new__(DeviceParameters)
        other.runs, other._host, other._shapes = self.runs, self._host, self._shapes
        other._view(backend.zeros(self.flat.shape, self.flat.dtype, self.flat))
        return other

    def fetched(self) -> list[Parameters]:
        """Parameters of each run, in memory."""
        (G,), flat = self.runs, backend.to_host(self.flat)
        blocks = np.split(flat, G * np.cumsum(self._sizes)[:-1])
        rows = np.concatenate([block.reshape(G, -1) for block in blocks], axis=1)
        runs = [self._host.like() for _ in range(G)]
        for run, row in zip(runs, rows, strict=True):
            run.flat[:] = row
        return runs


_lock = Lock()


def _after_fork():
    """Whoever held the lock has no thread in the new process, and would never let it go."""
    global _lock
    _lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@lru_cache
def _blas():
    return ThreadpoolController()


@contextmanager
def one_blas_thread():
    """BLAS does not call up threads of its own.

    The limit is the process's, so one Python thread after the other: of two, the first to leave
    would take it from the second, and the second leave it behind.
    """
    with _lock, _blas().limit(limits=1, user_api="blas"):
        yield


def _kernels(x):
    return backend.kernels("network", x)


def _new(x, *shape, dtype=None):
    """A new array like x, but for shape and dtype."""
    return backend.empty(shape or x.shape, x.dtype if dtype is None else dtype, x)


def product(x, matrix):
    """x @ matrix for x (R,I)."""
    y = _new(x, len(x), matrix.shape[-1])
    _kernels(x).product(x, matrix, y, PIECES)
    return y


def product_transposed(x, matrix):
    """x @ matrix.T for x (R,J)."""
    if not backend.on_device(x):
        return product(x, matrix.T)
    y = _new(x, len(x), matrix.shape[-2])
    _kernels(x).product_transposed(x, matrix, y)
    return y


def outer_product(x, y, runs=()):
    """x.T @ y for x (R,I) and y (R,J)."""
    sums = _new(x, PIECES, *runs, x.shape[1], y.shape[1])
    _kernels(x).outer_product(x, y, sums)
    return _summed(sums)


def _summed(sums):
    """Sum over the first axis."""
    if not backend.on_device(sums):
        return sums.sum(axis=0)
    total = backend.zeros(sums.shape[1:], sums.dtype, sums)
    _kernels(sums).add_up(sums.reshape(len(sums), -1), total.reshape(-1))
    return total


def _add_up(sums, total):
    """Add the sum over the first axis."""
    if backend.on_device(sums):
        _kernels(sums).add_up(sums.reshape(len(sums), -1), total.reshape(-1))
    else:
        total += sums.sum(axis=0).astype(total.dtype, copy=False)


def _pieces(x, d_weight):
    """Of a sum over rows on a device: tall matrices in more, for all of it to be at work."""
    rows = len(x) // math.prod(d_weight.shape[:-2])
    return min(max(PIECES, rows // ROWS), PARTS)


def _add_columns(rows, total):
    """Add the sums of columns; rows may be used up."""
    if backend.on_device(rows):
        _leaky_backward(rows, rows, 1.0, total)  # no bend
    else:
        total += rows.sum(axis=0)


def times(a, b):
    """a * b for a (R,C) and b (R,C) or (R,1), or the other way round."""
    product = _new(a, len(a), max(a.shape[1], b.shape[1]))
    _kernels(a).times(a, b, product)
    return product


def uniform(rng, array, gain):
    """Fill with uniform numbers of the variance gain**2 / inputs."""
    inputs = np.prod(array.shape[:-1])
    array[...] = rng.uniform(-1, 1, array.shape) * (gain * np.sqrt(3 / inputs))


def normalize(x, power):
    """Rows of magnitudes to a power, over their root mean square (eq. 1); silence stays 0."""
    y = _new(x)
    _kernels(x).normalize(x, power, y)
    return y


def standardize(x, eps):
    """Rows less their mean, over their standard deviation (eq. 2)."""
    y = _new(x)
    _kernels(x).standardize(x, eps, y)
    return y


def affine_forward(x, weight, bias):
    """x * weight + bias for x (R,K), weight and bias (K,)."""
    y = _new(x)
    _kernels(x).affine(x, weight, bias, y)
    return y


def affine_backward(d_y, x, d_weight, d_bias):
    """Add the gradients of weight and bias; d_y is used up."""
    _add_columns(times(d_y, x), d_weight)
    _add_columns(d_y, d_bias)


def dropout(x, share, rng):
    """Factors for x: 0 for a share of it, by chance, 1 / (1 - share) for the rest."""
    kept = _new(x)
    _kernels(x).dropout(rng, share, kept)
    return kept


def exchanged(x):
    """(R,I,J) as (R,J,I)."""
    R, rows, columns = x.shape
    return _turned(x.reshape(R, 1, rows, columns)).reshape(R, columns, rows)


def _turned(x):
    """(...,n,I,J) as (...,n,J,I), the n in reverse order."""
    *first, rows, columns = x.shape
    y = _new(x, *first, columns, rows)
    _kernels(x).turn(x, y)
    return y


def dense_forward(x, weight, bias, slope=1.0):
    """leaky(x @ weight + bias) for x (P,C) and weight (C,D); slope 1 is no bend (eq. 3)."""
    y = product(x, weight) if backend.on_device(x) else x @ weight
    _kernels(x).leaky_forward(y, bias, y.dtype.type(slope), PARTS)
    return y


def dense_backward(d_y, x, y, weight, d_weight, d_bias, slope=1.0, wanted=True):
    """Gradient of x, if it is wanted (eq. 4); d_y is used up."""
    _leaky_backward(d_y, y, slope, d_bias)
    if not backend.on_device(x):
        d_weight += x.T @ d_y
        return d_y @ weight.T if wanted else None
    sums = _new(x, _pieces(x, d_weight), *d_weight.shape)
    _kernels(x).outer_product(x, d_y, sums)
    _add_up(sums, d_weight)
    return product_transposed(d_y, weight) if wanted else None


def _leaky_backward(d_y, y, slope, d_bias):
    dtype = np.float32 if backend.on_device(y) else np.float64
    sums = _new(y, PARTS, *d_bias.shape, dtype=dtype)
    _kernels(y).leaky_backward(y, y.dtype.type(slope), d_y, sums)
    _add_up(sums, d_bias)


def conv_forward(x, weight, bias, slope=1.0):
    """Leaky ReLU of a convolution over bins, zero beyond both ends (eq. 5).

    x (R,K,C), weight (taps,C,D) with an odd number of taps, y (R,K,D). A window of all taps on
    channels-last data is one contiguous row, and windows `taps` bins apart do not overlap: the
    convolution is one matrix product for each offset, without copying windows together.
    """
    y = _convolution(x, weight)
    rows = y.reshape(-1, y.shape[2])
    _kernels(x).leaky_forward(rows, bias, y.dtype.type(slope), PARTS)
    return y


def _convolution(x, weight):
    (R, K, C), (taps, _, D) = x.shape, weight.shape[-3:]
    if backend.on_device(x):
        y = _new(x, R, K, D)
        _kernels(x).convolution(x, weight, y)
        return y
    wide = np.empty((R, K + taps - 1, D), x.dtype)
    for windows, rows in _windows(_padded(x, taps), wide.reshape(-1, D), taps):
        np.matmul(windows, weight.reshape(taps * C, D), out=rows)
    return np.ascontiguousarray(wide[:, :K])


def conv_backward(d_y, x, y, weight, d_weight, d_bias, slope=1.0):
    """Gradient of x (eq. 6); d_y is used up."""
    D = y.shape[2]
    _leaky_backward(d_y.reshape(-1, D), y.reshape(-1, D), slope, d_bias)
    _add_convolved(x, d_y, d_weight)
    return _convolution(d_y, _turned(weight))


def _add_convolved(x, d_y, d_weight):
    """Add the gradient of the weight."""
    (R, K, C), (taps, _, D) = x.shape, d_weight.shape[-3:]
    if backend.on_device(x):
        sums = _new(x, PARTS, *d_weight.shape)
        _kernels(x).convolution_backward(x, d_y, sums)
        _add_up(sums, d_weight)
        return
    wide = np.zeros((R, K + taps - 1, D), x.dtype)
    wide[:, :K] = d_y
    sums = np.zeros((taps * C, D), x.dtype)
    for windows, rows in _windows(_padded(x, taps), wide.reshape(-1, D), taps):
        sums += windows.T @ rows
    d_weight += sums.reshape(d_weight.shape)


def bins_forward(x, weights, widths, taps, slope):
    """A convolution over bins and dense layers for each bin (eqs. 3, 5), x (R,K), one channel in.

    weights: those of all layers, each with its bias behind it. Gives the outputs, bins last, of all
    layers but one and of the last, (R,sum(widths[:-1]),K) and (R,widths[-1],K).
    """
    z, last = (_new(x, len(x), n, x.shape[1]) for n in (sum(widths[:-1]), widths[-1]))
    widths = backend.constant(np.array(widths), x)
    _kernels(x).bins_forward(x, weights, widths, taps, x.dtype.type(slope), z, last)
    return z, last


def bins_backward(d_last, x, z, last, weights, d_weights, widths, taps, slope):
    """Gradient of the weights and biases, given that of the last layer's output."""
    K, slope, here = x.shape[1], x.dtype.type(slope), not backend.on_device(x)
    parts = FEW_PARTS if here else PARTS
    sums, totals = _new(x, parts, *weights.shape), None
    rows = np.empty((parts, 2, max(widths), K if here else 0), x.dtype)
    if here:
        totals = np.empty((parts, *weights.shape, K), x.dtype)
    widths = backend.constant(np.array(widths), x)
    _kernels(x).bins_backward(x, weights, widths, taps, slope, z, last, d_last, rows, totals, sums)
    _add_up(sums, d_weights)


def _padded(x, taps):
    """Bins of all frames in one row, `taps // 2` zeros around each frame, and a window more."""
    R, K, C = x.shape
    half, width = taps // 2, K + taps - 1
    flat = np.zeros((R * width + taps, C), x.dtype)
    flat[: R * width].reshape(R, width, C)[:, half : half + K] = x
    return flat


def _windows(padded, rows, taps):
    """Pairs of windows (n,taps*C) and the rows they belong to, for each offset."""
    C = padded.shape[1]
    for offset in range(min(taps, len(rows))):
        out = rows[offset::taps]
        windows = padded[offset : offset + len(out) * taps].reshape(len(out), taps * C)
        yield windows, out


def toeplitz(kernel, n_outputs):
    """Matrix (D*I,J) with the entry kernel[d, i - j + J - 1] in row d * I + i (eq. 7).

    kernel (D,I+J-1): one for each of D channels of I inputs, to J = n_outputs.
    """
    if backend.on_device(kernel):
        D, inputs = kernel.shape[-2], kernel.shape[-1] - n_outputs + 1
        matrix = _new(kernel, *kernel.shape[:-2], D * inputs, n_outputs)
        _kernels(kernel).toeplitz(kernel, matrix)
        return matrix
    return kernel.ravel()[_places(*kernel.shape, n_outputs)]


def toeplitz_backward(d_matrix, d_kernel):
    """Add the sums along the diagonals to the gradient of the kernel (eq. 7)."""
    if backend.on_device(d_matrix):
        _kernels(d_matrix).toeplitz_backward(d_matrix, d_kernel)
        return
    places = _places(*d_kernel.shape, d_matrix.shape[1]).ravel()
    sums = np.bincount(places, d_matrix.ravel(), minlength=d_kernel.size)
    d_kernel += sums.reshape(d_kernel.shape).astype(d_kernel.dtype)


@lru_cache(maxsize=4)
def _places(D, taps, J):
    """Where each entry of the matrix stands in the kernel (D,taps)."""
    inputs = taps - J + 1
    d, i, j = np.arange(D)[:, None, None], np.arange(inputs)[:, None], np.arange(J)
    return (d * taps + i - j + J - 1).reshape(D * inputs, J)
