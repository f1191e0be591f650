"""Morphing between two recordings: their components move, they do not cross-fade.

Derivation: docs/derivations/plans.md, equations 15 to 19.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import fft

from . import checks
from .checks import ParameterError
from .cpu.morphing import add_components
from .hints import Array, ArrayLike
from .plan import _between_0_and_1, transport_plan

__all__ = ["morph"]

ATTACK = 0.01  # what was this much weaker a frame before begins anew, with phases of its own


def morph(
    a: ArrayLike,
    b: ArrayLike,
    t: ArrayLike,
    *,
    n_fft: int = 2048,
    hop_length: int | None = None,
    power: Literal[1, 2] = 2,
    oversampling: int = 8,
) -> Array:
    r"""Sound on its way from one recording to another, by transport along frequency.

    Each frame of either sound is parted into components: the bins whose energy belongs to the
    same frequency. A transport plan tells which component becomes which, and each pair stands at
    :math:`(1-t)\,f_a + t\,f_b`. Components move as a whole, side lobes and phase relations
    included, and their phases go on from frame to frame at the frequency at which they now are.

    Parameters
    ----------
    a, b : array_like, shape (N,)
        Sounds, mono, at the same sample rate. The shorter one is followed by silence.
    t : float or array_like, shape (P,)
        0 is `a` and 1 is `b`. An array is a glide: its values stand at equal steps from the
        first sample to the last, linear between; so one value a sample or a frame will do, and
        [0, 1] goes from `a` to `b`.
    n_fft : int
        Frame length in samples, at least 4; long enough to part the partials.
    hop_length : int, optional
        Step between frames, at most a quarter of a frame; default that quarter.
    power : {1, 2}
        Whether the plan weighs components by their magnitudes or by their energy.
    oversampling : int
        Components are moved in steps of ``sample_rate / n_fft / oversampling`` Hz; their phases
        advance at the exact frequency all the same.

    Returns
    -------
    ndarray, shape (N,)
        As long as the longer sound; float32 if both are, else float64. With t = 0 it is `a` and
        with t = 1 `b`, to about 1e-7 of full scale.

    Raises
    ------
    ParameterError
        If a sound is empty or not finite, t lies outside 0 to 1, or a size is out of range.

    Notes
    -----
    Attacks are blurred over a frame for t between 0 and 1, as in every phase vocoder. Where one
    sound is silent there is no plan, and the other fades.

    References
    ----------
    Henderson, Solomon, Audio Transport: a generalized portamento via optimal transport, DAFx
    2019, arXiv:1906.06763.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot.morphing import morph
    >>> time = np.arange(8000) / 16000
    >>> low, high = np.sin(2 * np.pi * 300 * time), np.sin(2 * np.pi * 500 * time)
    >>> between = morph(low, high, 0.5)
    >>> int(np.argmax(np.abs(np.fft.rfft(between)))) * 2, "Hz"
    (400, 'Hz')
    """
    a, b = (checks.level_array(name, x, 1) for name, x in (("a", a), ("b", b)))
    times = _between_0_and_1("t", checks.float_array("t", t, (0, 1), dtype=np.float64))
    n_fft = checks.integer("n_fft", n_fft, 4)
    hop = checks.integer("hop_length", n_fft // 4 if hop_length is None else hop_length, 1)
    if hop > n_fft // 4:
        raise ParameterError(f"hop_length must be at most n_fft / 4 = {n_fft // 4}, got {hop}")
    checks.one_of("power", power, (1, 2))
    checks.integer("oversampling", oversampling, 1)

    n_samples = max(len(a), len(b))
    scale = max(np.abs(a).max(), np.abs(b).max())
    dtype = np.result_type(a, b)
    if scale == 0:
        return np.zeros(n_samples, dtype)
    n_frames = 1 + -(-n_samples // hop)  # frame f is centred on sample f * hop
    frames = _Frames(n_fft, oversampling, power)
    padded = [frames.padded(x / np.float64(scale), n_frames, hop) for x in (a, b)]
    centres = np.linspace(0, n_samples - 1, times.size)
    times = np.interp(np.arange(n_frames) * hop, centres, np.atleast_1d(times))

    sound, weight = np.zeros(len(padded[0])), np.zeros(len(padded[0]))
    before = [np.zeros(frames.size // 2 + 1, complex)] * 2
    previous = before[0]
    for f in range(n_frames):
        span = slice(f * hop, f * hop + n_fft)
        now = [frames.components(x[span]) for x in padded]
        on_the_way = 0.5 * (times[max(f - 1, 0)] + times[f])
        spectrum = _moved(now, before, previous, times[f], on_the_way, hop, frames.size)
        sound[span] += frames.window * frames.signal(spectrum)
        weight[span] += frames.window**2
        before, previous = [side.spectrum for side in now], spectrum
    inside = slice(n_fft // 2, n_fft // 2 + n_samples)
    return (sound[inside] / weight[inside] * scale).astype(dtype)


@dataclass(frozen=True)
class _Components:
    """One frame: its spectrum, and its components as runs of bins (eqs. 15, 16)."""

    spectrum: np.ndarray  # (K,) phases refer to the middle of the frame
    first: np.ndarray  # (C,) first bin of each component
    count: np.ndarray  # (C,) how many bins it has
    peak: np.ndarray  # (C,) its highest bin
    bins: np.ndarray  # (C,) its frequency in bins, at most half a bin from the peak
    mass: np.ndarray  # (C,)

    @property
    def at_peaks(self):
        return self.spectrum[self.peak]


class _Frames:
    """Frames to components and spectra to frames, for one size of the FFT."""

    def __init__(self, n_fft, oversampling, power):
        self.n_fft, self.power = n_fft, power
        self.size = fft.next_fast_len(n_fft * oversampling, real=True)
        self.size += self.size % 2
        angle = 2 * np.pi * np.arange(n_fft) / n_fft
        self.window = 0.5 - 0.5 * np.cos(angle)
        self.slope = np.pi / n_fft * np.sin(angle)  # of the window, a sample

    def padded(self, x, n_frames, hop):
        """The sound with zeros before and after, so that frame f begins at f * hop."""
        padded = np.zeros((n_frames - 1) * hop + self.n_fft)
        padded[self.n_fft // 2 : self.n_fft // 2 + len(x)] = x
        return padded

    def transform(self, frame):
        """Spectrum with phases as of the frame's middle: all but constant along a partial."""
        line = np.zeros(self.size)
        half = self.n_fft // 2
        line[: self.n_fft - half], line[self.size - half :] = frame[half:], frame[:half]
        return fft.rfft(line)

    def signal(self, spectrum):
        line, half = fft.irfft(spectrum, self.size), self.n_fft // 2
        return np.concatenate([line[self.size - half :], line[: self.n_fft - half]])

    def components(self, frame):
        """Parts where energy turns from going down to going up in frequency (eqs. 15, 16)."""
        spectrum = self.transform(frame * self.window)
        energy = spectrum.real**2 + spectrum.imag**2
        shift = -np.imag(self.transform(frame * self.slope) * spectrum.conj())
        shift *= self.size / (2 * np.pi)
        np.divide(shift, energy, out=shift, where=energy > 0)
        first = np.r_[0, 1 + np.flatnonzero((shift[:-1] < 0) & (shift[1:] >= 0))]
        away = shift[_peaks(energy, first)] / (self.size / self.n_fft)
        # a peak whose energy is of a bin elsewhere is a side lobe: it stays with that neighbour
        first = first[np.r_[True, (away[1:] > -1) & (away[:-1] < 1)]]
        peak = _peaks(energy, first)
        bins = peak + np.clip(shift[peak], -0.499, 0.499)
        mass = np.add.reduceat(energy if self.power == 2 else np.sqrt(energy), first)
        count = np.diff(first, append=len(energy))
        return _Components(spectrum, first, count, peak, bins, mass)


def _peaks(energy, first):
    """The highest bin of each run of bins."""
    owner = np.repeat(np.arange(len(first)), np.diff(first, append=len(energy)))
    highest = np.flatnonzero(energy == np.maximum.reduceat(energy, first)[owner])
    peak = np.empty(len(first), np.int64)
    peak[owner[highest]] = highest
    return peak


def _moved(now, before, previous, t, on_the_way, hop, size):
    """Spectrum of one frame at time t, `on_the_way` since the frame before (eqs. 17 to 19)."""
    spectrum = np.zeros(len(now[0].spectrum), complex)
    levels = np.array([1.0 - t, t])
    chosen, shares = _pairs(*now)
    sides = [s for s in range(2) if len(chosen[s])]
    if not sides:
        return spectrum
    if len(sides) == 1:  # without a pair they stay where they are
        place = path = np.ones(2)
    else:
        place, path = levels, np.array([1.0 - on_the_way, on_the_way])
    bins = sum(place[s] * now[s].bins[chosen[s]] for s in sides)
    begin = sum(levels[s] * now[s].at_peaks[chosen[s]] for s in sides)
    advance = sum(path[s] * _advance(now[s], before[s], hop, size)[chosen[s]] for s in sides)
    last = previous[np.rint(bins).astype(np.int64)]
    goes_on = np.abs(last) > ATTACK * np.abs(begin)
    phase = np.where(goes_on, np.angle(last) + advance, np.angle(begin))
    for s in sides:
        side, index = now[s], chosen[s]
        shift = np.rint(bins - side.bins[index]).astype(np.int64)
        factor = levels[s] * shares[s] * np.exp(1j * (phase - np.angle(side.at_peaks[index])))
        add_components(side.spectrum, side.first[index], side.count[index], shift, factor, spectrum)
    return spectrum


def _pairs(a, b):
    """Which components become which: their indices on either side, and the share of each.

    If a side is silent: the other's components, all of each, and none of this side.
    """
    if not (a.mass.any() and b.mass.any()):
        chosen = [np.flatnonzero(side.mass) for side in (a, b)]
        return chosen, [np.ones(len(index)) for index in chosen]
    plan = transport_plan(a.mass, b.mass, u_positions=a.bins, v_positions=b.bins)
    chosen = plan.source, plan.target
    return chosen, [plan.mass / np.bincount(index, plan.mass)[index] for index in chosen]


def _advance(now, before, hop, size):
    """Phase that each component gained since the frame before, whole turns included (eq. 18)."""
    expected = 2 * np.pi / size * hop * now.bins
    turned = now.at_peaks * before[now.peak].conj()
    rest = np.angle(turned) - expected
    return expected + np.where(turned == 0, 0.0, rest - 2 * np.pi * np.rint(rest / (2 * np.pi)))
