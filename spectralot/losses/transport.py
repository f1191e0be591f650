"""Spectral optimal transport between recordings."""

from dataclasses import replace

import numpy as np

from .. import checks
from ..stft import stft_magnitude_backward, stft_magnitude_forward
from ..transport import MASSES, wasserstein_1d_forward
from .base import SpectralLoss

__all__ = ["SOT"]


class SOT(SpectralLoss):
    r"""Spectral optimal transport: how far energy must move along the frequency axis.

    .. math:: L = \frac{1}{BT} \sum_{b,t} W_p^p\big(|X|^{power}, |Y|^{power}\big)

    Parameters
    ----------
    n_fft : int
        Frame length.
    hop_length : int
        Step between frames.
    window : str, tuple or array_like
        As in `spectralot.stft_magnitude_forward`; "flattop" keeps a partial's energy the same
        wherever it falls between two bins.
    padding : {"end", "center", "none"}
        As in `spectralot.frame_count`. The end's cut frames smear energy over all bins: choose
        "none" where every frame should count for what it holds.
    power : {1, 2}
        Transport magnitudes or powers.
    frequency_axis : {"linear", "log"}
        "linear": bin k at ``k / (K - 1)``. "log": on the pitch scale, 0 at 32.7 Hz and 1 at
        ``32.7 * 2**(284 / 36)`` Hz (the range of the paper's constant-Q features); 0 Hz stands
        where MIDI pitch 0 does.
    p : float
        Exponent of the distance, at least 1.
    mass : {"cutoff", "balanced"}
        As in `spectralot.wasserstein_1d_forward`.
    mass_floor : float
        Frames of the target with no more mass than this count nothing.
    sample_rate : float
        In Hz; only the logarithmic axis depends on it.

    References
    ----------
    Torres, Peeters, Richard, ICASSP 2024, arXiv:2312.14507, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import SOT
    >>> t = np.arange(4096) / 16000
    >>> value, d_estimate = SOT(2048)(np.sin(2764.6 * t), np.sin(3000 * t))
    >>> value > 0, d_estimate.shape
    (True, (4096,))
    """

    def __init__(
        self,
        n_fft,
        *,
        hop_length=256,
        window="flattop",
        padding="end",
        power=2,
        frequency_axis="linear",
        p=2,
        mass="cutoff",
        mass_floor=1e-7,
        sample_rate=16000,
    ):
        n_fft = checks.integer("n_fft", n_fft, 2)
        checks.one_of("power", power, (1, 2))
        checks.one_of("frequency_axis", frequency_axis, ("linear", "log"))
        super().__init__(
            [dict(n_fft=n_fft, hop_length=hop_length, window=window, padding=padding, power=power)]
        )
        self._positions = _frequency_positions(n_fft, frequency_axis, sample_rate)
        self._transport = dict(
            p=checks.number("p", p, minimum=1),
            mass=checks.one_of("mass", mass, MASSES),
            mass_floor=checks.number("mass_floor", mass_floor, minimum=0),
        )

    def _compare(self, spectrum, estimate, stft, d_estimate):
        magnitude, saved = stft_magnitude_forward(estimate, **stft)
        values, transport = wasserstein_1d_forward(
            spectrum, magnitude, u_positions=self._positions, position_gradients=False,
            **self._transport,
        )  # fmt: skip
        saved = replace(saved, scale=saved.scale / values.size)  # for the mean's gradient
        d_estimate += stft_magnitude_backward(transport.unit("v"), saved)
        return values


def _frequency_positions(n_fft, frequency_axis, sample_rate):
    """Where each bin stands on the axis of the transport (normalised units)."""
    n_bins = n_fft // 2 + 1
    if frequency_axis == "linear":
        return np.arange(n_bins) / (n_bins - 1)
    frequencies = np.arange(n_bins) * checks.number("sample_rate", sample_rate, above=0) / n_fft
    frequencies[0] = 440 * 2 ** (-69 / 12)  # 0 Hz at MIDI pitch 0, as in the reference
    low, high = 32.7, 32.7 * 2 ** (284 / 36)
    return np.log2(frequencies / low) / np.log2(high / low)
