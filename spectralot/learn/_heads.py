"""Amplitude heads: from what an encoder has seen to amplitudes.

Names: R frames, K bins, D channels, H harmonics. ``forward(parameters, z, x, bins)`` takes channels
z (R,K*D), the frames' magnitudes x (R,K) and f0 as a bin (R,). ``backward`` gives the gradients of
z and, if it is `wanted`, of the bin; None is 0. Equations: docs/derivations/network.md.
"""

import numpy as np

from .. import backend
from . import _network as nn

SLOPE = 0.3  # of the leaky ReLU, as in the paper
BELOW, ABOVE = 108, 12  # bins below the first and above the last harmonic that are looked at
SPREAD = 1.5  # sum of the squared bins of a steady sine of amplitude 1, on Hann windows


def _activation(u):
    """2 sigmoid(u)**ln 10 + 1e-7, and its derivative (eq. 11)."""
    a, slopes = (backend.empty(u.shape, u.dtype, u) for _ in range(2))
    backend.kernels("network", u).amplitude(u, slopes, a)
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

    def backward(self, parameters, gradient, d_a, saved, wanted):
        z, u, slopes = saved
        d_z = nn.dense_backward(
            nn.times(d_a, slopes), z, u, parameters["amplitude.weight"],
            gradient["amplitude.weight"], gradient["amplitude.bias"],
        )  # fmt: skip
        return d_z, None


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
        offsets = backend.constant(self._around, x)
        seen, d_around = (
            backend.empty((len(x), len(offsets) + more), x.dtype, x) for more in (1, 0)
        )
        normal = nn.normalize(x, self.power)
        backend.kernels("network", x).see_forward(normal, bins, offsets, seen, d_around)
        measured, slope = self._measured(x, bins)
        hidden = nn.dense_forward(
            seen, parameters["amplitude.0.weight"], parameters["amplitude.0.bias"], SLOPE
        )
        u = nn.dense_forward(
            hidden, parameters["amplitude.1.weight"], parameters["amplitude.1.bias"]
        )
        factors, slopes = _activation(u)
        return nn.times(measured, factors), (
            seen,
            d_around,
            measured,
            slope,
            hidden,
            u,
            factors,
            slopes,
        )

    def _measured(self, x, bins):
        """What the factors multiply (eqs. 12, 13), and its slope over the bin."""
        if self._reads:
            return read(x, bins, self._harmonics)
        level = backend.empty((len(x), 1), x.dtype, x)
        backend.kernels("network", x).level(x, SPREAD, level)
        return level, backend.constant(np.zeros((len(x), 1), x.dtype), x)

    def backward(self, parameters, gradient, d_a, saved, wanted):
        seen, d_around, measured, slope, hidden, u, factors, slopes = saved
        d_hidden = nn.dense_backward(
            nn.times(nn.times(d_a, measured), slopes), hidden, u, parameters["amplitude.1.weight"],
            gradient["amplitude.1.weight"], gradient["amplitude.1.bias"],
        )  # fmt: skip
        d_seen = nn.dense_backward(
            d_hidden, seen, hidden, parameters["amplitude.0.weight"],
            gradient["amplitude.0.weight"], gradient["amplitude.0.bias"], SLOPE, wanted=wanted,
        )  # fmt: skip
        if not wanted:
            return None, None
        d_bins = backend.empty(len(d_a), np.float64, d_a)
        backend.kernels("network", d_a).see_backward(
            d_seen, d_around, d_a, factors, slope, self.n_bins, d_bins
        )
        return None, d_bins


def harmonic_bins(bins_per_octave, n_harmonics):
    """Bins from the first harmonic to each."""
    return bins_per_octave * np.log2(np.arange(1.0, n_harmonics + 1))


def read(x, bins, offsets):
    """Rows of x at bins + offsets, between bins, and the slopes there (eq. 10)."""
    values, slopes = (backend.empty((len(x), len(offsets)), x.dtype, x) for _ in range(2))
    backend.kernels("network", x).read(x, bins, backend.constant(offsets, x), values, slopes)
    return values, slopes
