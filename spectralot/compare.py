"""Two recordings side by side: distances, each in a unit that says something.

Names: N samples, T frames, K bins.
"""

from __future__ import annotations

import numpy as np

from .audio import read_audio, resample
from .axes import axis_positions
from .checks import ParameterError, float_array, number
from .hints import Array, ArrayLike, PathLike
from .losses import MSS, SOT
from .metrics import level_difference_db, log_spectral_distance
from .stft import stft_magnitude_forward
from .transport import wasserstein_1d_forward

__all__ = ["METRICS", "N_FFT", "compare", "mean_power", "read_pair"]

N_FFT, HOP = 2048, 512

# key: what it is called, in which unit
METRICS = {
    "sot_cents": ("SOT over pitch", "cents by which energy has to move, on average"),
    "sot": ("SOT over frequency", "squared shares of half the sample rate"),
    "mss": ("MSS", "linear and log magnitudes, summed over six FFT sizes"),
    "lsd_db": ("LSD", "dB, root mean square over bins"),
    "level_difference_db": ("level difference", "dB, B relative to A"),
}


def compare(a: ArrayLike, b: ArrayLike, sample_rate: float) -> dict[str, float | None]:
    """Distances between two sounds of one sample rate.

    Parameters
    ----------
    a, b : array_like, shapes (N,) and (M,)
        The sounds, at least 2048 samples each. If their lengths differ, the longer one's end is
        left out.
    sample_rate : float
        Samples per second of both.

    Returns
    -------
    dict of str to float
        ``sot_cents``: by how many cents energy has to move, on average over all energy: p = 1,
        each frame's spectra normalised, frames weighted by the geometric mean of both sounds'
        energies. ``sot``: `SOT` at 2048, balanced, p = 2, in squared shares of half the sample
        rate. Both are None if a sound is silent. ``mss``: `MSS`. ``lsd_db``: log-spectral
        distance in dB. ``level_difference_db``: RMS level of `b` relative to `a`, in dB.
        ``duration_a_s``, ``duration_b_s``: lengths in seconds; ``duration_s``: what was compared.
        All of SOT and MSS are over whole frames, and all but the level are symmetric.

    Raises
    ------
    ParameterError
        If an argument breaks its rule, or a sound is shorter than one frame.

    Notes
    -----
    Spectra normalised frame by frame do not hear level: the two SOT say where energy is,
    ``level_difference_db`` how much there is. Frames in which a sound is silent count nothing in
    ``sot_cents``.

    References
    ----------
    Torres, Peeters, Richard, ICASSP 2024, arXiv:2312.14507 (SOT). Engel et al., DDSP, ICLR 2020,
    arXiv:2001.04643 (MSS).

    Examples
    --------
    >>> from spectralot.compare import compare
    >>> t = np.arange(8000) / 16000
    >>> found = compare(np.sin(2 * np.pi * 1000 * t), 0.1 * np.sin(2 * np.pi * 1100 * t), 16000)
    >>> round(found["sot_cents"]), round(found["level_difference_db"])
    (165, -20)
    """
    a, b = float_array("a", a, 1), float_array("b", b, 1)
    sample_rate = number("sample_rate", sample_rate, above=0)
    n = min(len(a), len(b))
    if n < N_FFT:
        raise ParameterError(
            f"a and b must have at least {N_FFT} samples, {1000 * N_FFT / sample_rate:.0f} ms, "
            f"got {len(a)} and {len(b)}"
        )
    x, y = (s[:n].astype(np.result_type(a, b), copy=False) for s in (a, b))
    heard = x.any() and y.any()  # silence has no energy that could move
    transport = SOT(N_FFT, padding="none", mass="balanced")
    return {
        "sot_cents": _moved_cents(x, y, sample_rate) if heard else None,
        "sot": transport(x, y)[0] if heard else None,
        "mss": MSS(padding="none")(x, y)[0],
        "lsd_db": float(log_spectral_distance(x, y, padding="none")),
        "level_difference_db": float(level_difference_db(x, y)),
        "duration_a_s": len(a) / sample_rate,
        "duration_b_s": len(b) / sample_rate,
        "duration_s": n / sample_rate,
    }


def _moved_cents(x, y, sample_rate):
    """Mean distance by which energy has to move along pitch; 0 Hz has none and is left out."""
    stft = dict(n_fft=N_FFT, hop_length=HOP, padding="none", power=2)
    u, v = (stft_magnitude_forward(s, **stft)[0][:, 1:] for s in (x, y))
    cents = axis_positions(np.arange(1, N_FFT // 2 + 1) * sample_rate / N_FFT, "cents")
    distance, _ = wasserstein_1d_forward(u, v, u_positions=cents, p=1, position_gradients=False)
    energy = np.sqrt(u.sum(axis=1, dtype=np.float64)) * np.sqrt(v.sum(axis=1, dtype=np.float64))
    total = energy.sum()
    return float(energy @ distance / total) if total > 0 else 0.0


def mean_power(audio: ArrayLike, sample_rate: float) -> tuple[Array, Array]:
    """Power spectrum of a whole sound, for a picture.

    Parameters
    ----------
    audio : array_like, shape (N,)
        The sound, at least 2048 samples.
    sample_rate : float
        Samples per second.

    Returns
    -------
    frequencies_hz : ndarray, shape (K,)
        Bins in Hz, without 0 Hz.
    power : ndarray, shape (K,)
        Mean over frames of 2048 to 8192 samples, as long as the sound allows; Hann window.

    Raises
    ------
    ParameterError
        If an argument breaks its rule, or the sound is shorter than one frame.

    Examples
    --------
    >>> from spectralot.compare import mean_power
    >>> frequencies_hz, power = mean_power(np.sin(2 * np.pi * np.arange(8192) / 16), 16000)
    >>> float(frequencies_hz[power.argmax()])
    1000.0
    """
    audio = float_array("audio", audio, 1)
    sample_rate = number("sample_rate", sample_rate, above=0)
    if len(audio) < N_FFT:
        raise ParameterError(f"audio must have at least {N_FFT} samples, got {len(audio)}")
    n_fft = min(4 * N_FFT, 1 << (len(audio).bit_length() - 1))
    stft: dict = dict(n_fft=n_fft, hop_length=n_fft // 4, padding="none", power=2)
    power = stft_magnitude_forward(audio, **stft)[0].mean(axis=0, dtype=np.float64)
    return np.arange(1, len(power)) * sample_rate / n_fft, power[1:]


def read_pair(path_a: PathLike, path_b: PathLike) -> tuple[Array, Array, int, tuple[int, int]]:
    """Read two files to be compared, at one sample rate.

    Parameters
    ----------
    path_a, path_b : str or path-like
        Any files that `spectralot.read_audio` reads.

    Returns
    -------
    a, b : ndarray, shapes (N,) and (M,)
        The sounds, both at the lower of the two rates.
    sample_rate : int
        That rate in Hz.
    rates : tuple of int
        The rates of the two files.

    Raises
    ------
    ParameterError
        If a file cannot be read; the one-line message names it.

    Examples
    --------
    >>> from spectralot.compare import read_pair
    >>> folder = "examples/notes"
    >>> a, b, sample_rate, rates = read_pair(f"{folder}/cello_D2.wav", f"{folder}/clarinet_F4.wav")
    >>> sample_rate, rates
    (44100, (44100, 44100))
    """
    (a, rate_a), (b, rate_b) = read_audio(path_a), read_audio(path_b)
    rate = min(rate_a, rate_b)
    return resample(a, rate_a, rate), resample(b, rate_b, rate), rate, (rate_a, rate_b)
