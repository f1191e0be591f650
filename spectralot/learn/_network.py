"""Layers as forward/backward pairs (equations: docs/derivations/network.md).

Names: R frames, K bins, C channels, P = R * K. Products are BLAS's; the rest is compiled. Gradients
of parameters are added to what is there, those of inputs are new arrays.
"""

from contextlib import contextmanager
from functools import lru_cache
from threading import Lock

import numpy as np
import scipy.linalg  # noqa: F401  (whose BLAS Numba calls; it must be there to be limited)
from threadpoolctl import ThreadpoolController

from ..cpu import network as cpu

PARTS = 64  # of a sum over rows: a fixed number, so results do not depend on threads
FEW_PARTS = 8  # where each has large scratch
PIECES = 4  # of a large product, for the same reason


class Parameters:
    """A flat vector of parameters, and named arrays that are views of it.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        Names and shapes, in the order in which they lie in the vector.
    dtype : dtype
        float32 or float64.
    """

    def __init__(self, shapes, dtype=np.float32):
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

    def __getitem__(self, name):
        return self._views[name]

    def before(self, name):
        """All that lies before this one in the vector, a view."""
        return self.flat[: self._starts[name]]

    def items(self):
        """Pairs of name and array."""
        return self._views.items()

    def like(self):
        """Zeros of the same names, shapes and dtype."""
        return Parameters(self.shapes, self.flat.dtype)


_lock = Lock()


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


def product(x, matrix):
    """x @ matrix for x (R,I)."""
    y = np.empty((len(x), matrix.shape[1]), x.dtype)
    cpu.product(x, matrix, y, PIECES)
    return y


def outer_product(x, y):
    """x.T @ y for x (R,I) and y (R,J)."""
    sums = np.empty((PIECES, x.shape[1], y.shape[1]), x.dtype)
    cpu.outer_product(x, y, sums)
    return sums.sum(axis=0)


def uniform(rng, array, gain):
    """Fill with uniform numbers of the variance gain**2 / inputs."""
    inputs = np.prod(array.shape[:-1])
    array[...] = rng.uniform(-1, 1, array.shape) * (gain * np.sqrt(3 / inputs))


def normalize(x, power):
    """Rows of magnitudes to a power, over their root mean square (eq. 1); silence stays 0."""
    y = np.empty_like(x)
    cpu.normalize(x, power, y)
    return y


def standardize(x, eps):
    """Rows less their mean, over their standard deviation (eq. 2)."""
    y = np.empty_like(x)
    cpu.standardize(x, eps, y)
    return y


def dense_forward(x, weight, bias, slope=1.0):
    """leaky(x @ weight + bias) for x (P,C) and weight (C,D); slope 1 is no bend (eq. 3)."""
    y = x @ weight
    cpu.leaky_forward(y, bias, y.dtype.type(slope), PARTS)
    return y


def dense_backward(d_y, x, y, weight, d_weight, d_bias, slope=1.0, wanted=True):
    """Gradient of x, if it is wanted (eq. 4); d_y is used up."""
    _leaky_backward(d_y, y, slope, d_bias)
    d_weight += x.T @ d_y
    return d_y @ weight.T if wanted else None


def _leaky_backward(d_y, y, slope, d_bias):
    sums = np.empty((PARTS, d_y.shape[1]))
    cpu.leaky_backward(y, y.dtype.type(slope), d_y, sums)
    d_bias += sums.sum(axis=0).astype(d_bias.dtype)


def conv_forward(x, weight, bias, slope=1.0):
    """Leaky ReLU of a convolution over bins, zero beyond both ends (eq. 5).

    x (R,K,C), weight (taps,C,D) with an odd number of taps, y (R,K,D). A window of all taps on
    channels-last data is one contiguous row, and windows `taps` bins apart do not overlap: the
    convolution is one matrix product for each offset, without copying windows together.
    """
    R, K, C = x.shape
    taps, _, D = weight.shape
    wide = np.empty((R, K + taps - 1, D), x.dtype)
    for windows, rows in _windows(_padded(x, taps), wide.reshape(-1, D), taps):
        np.matmul(windows, weight.reshape(taps * C, D), out=rows)
    y = np.ascontiguousarray(wide[:, :K])
    cpu.leaky_forward(y.reshape(-1, D), bias, y.dtype.type(slope), PARTS)
    return y


def conv_backward(d_y, x, y, weight, d_weight, d_bias, slope=1.0):
    """Gradient of x (eq. 6); d_y is used up."""
    R, K, C = x.shape
    taps, _, D = weight.shape
    d_y = np.ascontiguousarray(d_y)  # so that what follows is a view
    _leaky_backward(d_y.reshape(-1, D), y.reshape(-1, D), slope, d_bias)
    wide = np.zeros((R, K + taps - 1, D), x.dtype)
    wide[:, :K] = d_y
    sums = np.zeros((taps * C, D), x.dtype)
    for windows, rows in _windows(_padded(x, taps), wide.reshape(-1, D), taps):
        sums += windows.T @ rows
    d_weight += sums.reshape(weight.shape)
    turned = np.ascontiguousarray(weight[::-1].transpose(0, 2, 1))
    return conv_forward(d_y, turned, np.zeros(C, x.dtype))


def bins_forward(x, weights, widths, taps, slope):
    """A convolution over bins and dense layers for each bin (eqs. 3, 5), x (R,K), one channel in.

    weights: those of all layers, each with its bias behind it. Gives the outputs, bins last, of all
    layers but one and of the last, (R,sum(widths[:-1]),K) and (R,widths[-1],K).
    """
    z, last = (np.empty((len(x), n, x.shape[1]), x.dtype) for n in (sum(widths[:-1]), widths[-1]))
    cpu.bins_forward(x, weights, np.array(widths), taps, x.dtype.type(slope), z, last)
    return z, last


def bins_backward(d_last, x, z, last, weights, d_weights, widths, taps, slope):
    """Gradient of the weights and biases, given that of the last layer's output."""
    K, n, slope = x.shape[1], len(weights), x.dtype.type(slope)
    rows, totals, sums = (
        np.empty((FEW_PARTS, *shape), x.dtype) for shape in ((2, max(widths), K), (n, K), (n,))
    )
    widths = np.array(widths)
    cpu.bins_backward(x, weights, widths, taps, slope, z, last, d_last, rows, totals, sums)
    d_weights += sums.sum(axis=0)


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
    return kernel.ravel()[_places(*kernel.shape, n_outputs)]


def toeplitz_backward(d_matrix, d_kernel):
    """Add the sums along the diagonals to the gradient of the kernel (eq. 7)."""
    places = _places(*d_kernel.shape, d_matrix.shape[1]).ravel()
    sums = np.bincount(places, d_matrix.ravel(), minlength=d_kernel.size)
    d_kernel += sums.reshape(d_kernel.shape).astype(d_kernel.dtype)


@lru_cache(maxsize=4)
def _places(D, taps, J):
    """Where each entry of the matrix stands in the kernel (D,taps)."""
    inputs = taps - J + 1
    d, i, j = np.arange(D)[:, None, None], np.arange(inputs)[:, None], np.arange(J)
    return (d * taps + i - j + J - 1).reshape(D * inputs, J)
