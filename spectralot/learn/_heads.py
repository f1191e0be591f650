"""Amplitude heads: from what an encoder has seen to amplitudes.

Names: R frames, K bins, D channels, H harmonics. ``forward(parameters, z, x, bins)`` takes channels
z (R,K*D), the frames' magnitudes x (R,K) and f0 as a bin (R,). ``backward`` gives the gradients of
z (None: 0) and of the bin. Equations: docs/derivations/network.md.
"""

import numpy as np

from ..cpu import network as cpu
from . import _network as nn

SLOPE = 0.3  # of the leaky ReLU, as in the paper
BELOW, ABOVE = 108, 12  # bins below the first and above the last harmonic that are looked at
SPREAD = 1.5  # sum of the squared bins of a steady sine of amplitude 1, on Hann windows


def _activation(u):
    """2 sigmoid(u)**ln 10 + 1e-7, and its derivative (eq. 11)."""
    a, slopes = np.empty_like(u), np.empty_like(u)
    cpu.amplitude(u, slopes, a)
    return a, slopes


class LinearHead:
    """A linear map of all channels of all bins, as in the paper."""

    def __init__(self, n_inputs, n_harmonics):
        self.shapes = {
            "amplitude.weight": (n_inputs, n_harmonics),
            "amplitude.bias": (n_harmonics,),
        }

    def start(self, parameters, rng):
        nn.uniform(rng, parameters["amplitude.weight"], 1 / np.sqrt(3))

    def forward(self, parameters, z, x, bins):
        u = nn.dense_forward(z, parameters["amplitude.weight"], parameters["amplitude.bias"])
        a, slopes = _activation(u)
        return a, (z, u, slopes)

    def backward(self, parameters, gradient, d_a, saved):
        z, u, slopes = saved
        d_z = nn.dense_backward(
            d_a * slopes, z, u, parameters["amplitude.weight"],
            gradient["amplitude.weight"], gradient["amplitude.bias"],
        )  # fmt: skip
        return d_z, 0.0


class FactorHead:
    """Something measured times factors of an MLP, which sees the spectrum as it lies around f0.

    It sees f0 too: what leaks from one harmonic to the next depends on it. Measured are the
    magnitudes at the harmonics of f0 (`read`), or the level of the frame.
    """

    def __init__(self, n_bins, n_harmonics, bins_per_octave, hidden, power, read, start, tilt):
        self.n_bins, self.power, self._reads = n_bins, power, read
        first = (start / 2) ** (1 / np.log(10))  # the sigmoid of eq. 11
        self._biases = np.log(first / (1 - first)) - tilt * np.arange(n_harmonics)
        self._harmonics = harmonic_bins(bins_per_octave, n_harmonics)
        self._around = np.arange(-BELOW, np.ceil(self._harmonics[-1]) + ABOVE + 1)
        self.shapes = {
            "amplitude.0.weight": (len(self._around) + 1, hidden),
            "amplitude.0.bias": (hidden,),
            "amplitude.1.weight": (hidden, n_harmonics),
            "amplitude.1.bias": (n_harmonics,),
        }

    def start(self, parameters, rng):
        nn.uniform(rng, parameters["amplitude.0.weight"], 1.0)
        nn.uniform(rng, parameters["amplitude.1.weight"], 0.1)
        parameters["amplitude.1.bias"][...] = self._biases

    def forward(self, parameters, z, x, bins):
        R = len(x)
        around, d_around = read(nn.normalize(x, self.power), bins, self._around)
        seen = np.empty((R, around.shape[1] + 1), x.dtype)
        seen[:, :-1] = around
        seen[:, -1] = bins / self.n_bins - 0.5
        measured, slope = self._measured(x, bins)
        hidden = nn.dense_forward(
            seen, parameters["amplitude.0.weight"], parameters["amplitude.0.bias"], SLOPE
        )
        u = nn.dense_forward(
            hidden, parameters["amplitude.1.weight"], parameters["amplitude.1.bias"]
        )
        factors, slopes = _activation(u)
        return measured * factors, (seen, d_around, measured, slope, hidden, u, factors, slopes)

    def _measured(self, x, bins):
        """What the factors multiply (eqs. 12, 13), and its slope over the bin."""
        if self._reads:
            return read(x, bins, self._harmonics)
        level = np.sqrt(np.square(x).sum(axis=1, keepdims=True) / SPREAD)
        return level, np.zeros_like(level)

    def backward(self, parameters, gradient, d_a, saved):
        seen, d_around, measured, slope, hidden, u, factors, slopes = saved
        d_hidden = nn.dense_backward(
            d_a * measured * slopes, hidden, u, parameters["amplitude.1.weight"],
            gradient["amplitude.1.weight"], gradient["amplitude.1.bias"],
        )  # fmt: skip
        d_seen = nn.dense_backward(
            d_hidden, seen, hidden, parameters["amplitude.0.weight"],
            gradient["amplitude.0.weight"], gradient["amplitude.0.bias"], SLOPE,
        )  # fmt: skip
        d_bins = np.einsum("rm,rm->r", d_seen[:, :-1], d_around, dtype=np.float64)
        d_bins += (d_a * factors * slope).sum(axis=1, dtype=np.float64)
        return None, d_bins + d_seen[:, -1] / self.n_bins


def harmonic_bins(bins_per_octave, n_harmonics):
    """Bins from the first harmonic to each."""
    return bins_per_octave * np.log2(np.arange(1.0, n_harmonics + 1))


def read(x, bins, offsets):
    """Rows of x at bins + offsets, between bins, and the slopes there (eq. 10)."""
    values, slopes = (np.empty((len(x), len(offsets)), x.dtype) for _ in range(2))
    cpu.read(x, bins, offsets, values, slopes)
    return values, slopes
