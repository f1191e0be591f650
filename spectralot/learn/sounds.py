"""Sounds to learn from: synthetic ones of known f0, or slices of recordings of unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..audio import read_blocks, resample
from ..checks import ParameterError
from ..hints import Array, PathLike
from ..synth import harmonic_forward

__all__ = ["Sounds", "paper_sounds", "recorded_sounds", "varied_sounds"]

SPLIT = (0.7, 0.2)  # training and validation; the rest is for tests
PEAK = 0.9


@dataclass(frozen=True)
class Sounds:
    """Sounds of one length.

    Attributes
    ----------
    audio : ndarray, shape (B, N), float32
        Samples.
    f0_hz : ndarray, shape (B, T), or None
        Their f0, which is used to judge and never to learn; 0: not judged.
    clean : ndarray, shape (B, N), or None
        The same sounds without noise, if there is some; to judge, too.
    recording : ndarray, shape (B,), int, or None
        Number of the recording that each was cut from.
    """

    audio: Array
    f0_hz: Array | None = None
    clean: Array | None = None
    recording: NDArray[np.integer] | None = None

    def __len__(self) -> int:
        return len(self.audio)

    def __getitem__(self, index: slice | NDArray[Any]) -> Sounds:
        arrays = (self.audio, self.f0_hz, self.clean, self.recording)
        return Sounds(*(a if a is None else a[index] for a in arrays))  # type: ignore[arg-type]

    def split(self, seed: int = 0) -> tuple[Sounds, ...]:
        """Training, validation and test part: 70, 20 and 10 %, disjoint, chosen at random.

        Slices of one recording are much alike. Of ten recordings or more none is in two parts,
        which then have about these sizes.

        Parameters
        ----------
        seed : int
            Of the order.

        Returns
        -------
        tuple of Sounds
            Three parts.
        """
        ends = np.cumsum([round(share * len(self)) for share in SPLIT])
        if self.recording is not None and len(np.unique(self.recording)) >= 10:
            _, of, sizes = np.unique(self.recording, return_inverse=True, return_counts=True)
            order = np.random.default_rng([seed, 11]).permutation(len(sizes))
            middles = np.cumsum(sizes[order]) - sizes[order] / 2
            part = np.empty(len(sizes), int)
            part[order] = np.searchsorted(ends, middles)
            parts = [np.flatnonzero(part[of] == i) for i in range(3)]
            if all(map(len, parts)):
                return tuple(self[part] for part in parts)
        order = np.random.default_rng([seed, 11]).permutation(len(self))
        return tuple(self[np.sort(part)] for part in np.split(order, ends))


def paper_sounds(
    n_sounds: int = 4000, seed: int = 0, *, snr_db: float | None = None, n_frames: int = 16
) -> Sounds:
    """The paper's synthetic sounds: 4096 samples at 16 kHz, up to eight harmonics of constant f0.

    f0 is uniform in 40..1950 Hz; the first 1..8 harmonics sound, amplitudes uniform in 0.4..1;
    phases start at 0, peaks are 0.9.

    Parameters
    ----------
    n_sounds : int
        How many.
    seed : int
        Of the random numbers.
    snr_db : float, optional
        Add white noise, at this level below each sound.
    n_frames : int
        Columns of `f0_hz`.

    Returns
    -------
    Sounds
        With their f0.

    Raises
    ------
    ParameterError
        If an argument breaks its rule.

    References
    ----------
    Torres, Peeters, Richard, ICASSP 2024, arXiv:2312.14507, section 4.

    Examples
    --------
    >>> from spectralot.learn import paper_sounds
    >>> sounds = paper_sounds(10, snr_db=20)
    >>> sounds.audio.shape, sounds.f0_hz.shape, [len(part) for part in sounds.split()]
    ((10, 4096), (10, 16), [7, 2, 1])
    """
    n_sounds = checks.integer("n_sounds", n_sounds, 1)
    rng = np.random.default_rng([seed, 7])
    f0_hz = rng.uniform(40, 1950, (n_sounds, 1))
    sounding = np.arange(8) < rng.integers(1, 9, (n_sounds, 1))
    amplitudes = rng.uniform(0.4, 1, (n_sounds, 8)) * sounding
    audio, _ = harmonic_forward(f0_hz, amplitudes[:, None], n_samples=4096, sample_rate=16000)
    audio *= PEAK / np.abs(audio).max(axis=1, keepdims=True)
    clean, f0_hz = audio.astype(np.float32), np.repeat(f0_hz, n_frames, axis=1)
    if snr_db is None:
        return Sounds(clean, f0_hz)
    noisy = audio + _noise(rng, audio, snr_db)
    return Sounds(noisy.astype(np.float32), f0_hz, clean)


def _noise(rng, audio, snr_db):
    """White noise at a level below each sound."""
    rms = np.sqrt(np.mean(audio**2, axis=1, keepdims=True))
    return rng.standard_normal(audio.shape) * rms * 10 ** (-np.asarray(snr_db) / 20)


def varied_sounds(
    n_sounds: int = 8000,
    seed: int = 0,
    *,
    n_samples: int = 4096,
    sample_rate: float = 16000,
    n_frames: int = 16,
) -> Sounds:
    """Synthetic sounds as various as recordings are.

    f0 is uniform in pitch from 40 to 2000 Hz, one half of the sounds with vibrato or a glide;
    1 to 30 harmonics whose spectra fall by 0 to 15 dB an octave and may have formants, missing
    fundamentals or weak even harmonics; levels swell or decay; phases are random; noise, white to
    brown, lies 5 to 60 dB below.

    Parameters
    ----------
    n_sounds : int
        How many.
    seed : int
        Of the random numbers.
    n_samples : int
        Length N of each.
    sample_rate : float
        In Hz.
    n_frames : int
        Frames T, the first centred on sample 0, in equal steps.

    Returns
    -------
    Sounds
        With their f0.

    Raises
    ------
    ParameterError
        If an argument breaks its rule.

    Examples
    --------
    >>> from spectralot.learn import varied_sounds
    >>> varied_sounds(10).audio.shape
    (10, 4096)
    """
    n_sounds = checks.integer("n_sounds", n_sounds, 1)
    rng = np.random.default_rng([seed, 8])
    duration, hop = n_samples / sample_rate, n_samples / n_frames
    time = np.linspace(0, duration, 65)
    draw = partial(_draw, rng, n_sounds)

    pitch = 12 * np.log2(40 / 440) + draw(0, 12 * np.log2(50))
    moving = draw(0, 1) < 0.5
    vibrato = draw(0, 0.6) * np.sin(2 * np.pi * (draw(3, 8) * time + draw(0, 1)))
    glide = draw(-1.5, 1.5) * (time / duration - 0.5)
    curve = 440 * 2 ** ((pitch + moving * (vibrato + glide)) / 12)

    H = 30
    orders = np.arange(1, H + 1)
    level_db = -draw(0, 15) * np.log2(orders)
    formant_hz, width = np.exp(draw(np.log(200), np.log(5000), 3)), draw(0.2, 0.8, 3)
    away = np.log2(orders * 440 * 2 ** (pitch / 12))[..., None] - np.log2(formant_hz)[:, None]
    gains_db = draw(0, 25, 3)[:, None] * np.exp(-0.5 * (away / width[:, None]) ** 2)
    level_db = level_db + draw(0, 1) * gains_db.max(axis=-1) + rng.normal(0, 3, (n_sounds, H))
    level_db -= draw(10, 50) * ((draw(0, 1) < 0.1) & (orders == 1))  # weak fundamentals
    level_db -= draw(10, 40) * ((draw(0, 1) < 0.15) & (orders % 2 == 0))  # clarinets
    amplitudes = 10 ** (level_db / 20) * (orders <= rng.integers(1, H + 1, (n_sounds, 1)))
    swell = np.exp(-draw(-3, 8) * (time / duration))[:, :, None]
    damping = np.exp(-draw(0, 1)[:, :, None] * orders * (time / duration)[:, None] * 0.3)
    audio, _ = harmonic_forward(
        curve, amplitudes[:, None] * swell * damping, n_samples=n_samples,
        sample_rate=sample_rate, hop_length=n_samples / 64,
        start_phase=draw(0, 2 * np.pi, H),
    )  # fmt: skip
    audio += _coloured(rng, audio, draw(5, 60), draw(0, 2))
    audio *= PEAK / np.abs(audio).max(axis=1, keepdims=True)
    at = np.arange(n_frames) * hop / sample_rate
    f0_hz = np.array([np.interp(at, time, row) for row in curve])
    return Sounds(audio.astype(np.float32), f0_hz)


def _draw(rng, n_sounds, low, high, *shape):
    """Uniform numbers, one or an array of them for each sound."""
    return rng.uniform(low, high, (n_sounds, *(shape or (1,))))


def _coloured(rng, audio, snr_db, slope):
    """Noise whose power falls with frequency to the power `slope`, at a level below each sound."""
    spectrum = np.fft.rfft(rng.standard_normal(audio.shape), axis=1)
    spectrum *= np.maximum(np.arange(spectrum.shape[1]), 8.0) ** (-slope / 2)
    noise = np.fft.irfft(spectrum, audio.shape[1], axis=1)
    rms = [np.sqrt(np.mean(x**2, axis=1, keepdims=True)) for x in (audio, noise)]
    return noise * (rms[0] / rms[1]) * 10 ** (-snr_db / 20)


def recorded_sounds(
    files: Sequence[PathLike],
    *,
    n_samples: int = 4096,
    sample_rate: float = 16000,
    silence_db: float = -40.0,
) -> Sounds:
    """Slices of recordings, without those that are silent.

    Parameters
    ----------
    files : sequence of str or path-like
        Recordings in any format and at any rate that libsndfile reads.
    n_samples : int
        Length N of a slice; one follows the other.
    sample_rate : float
        To which recordings are resampled, in Hz.
    silence_db : float
        Slices this far below the loudest of their file are left out.

    Returns
    -------
    Sounds
        Of unknown f0, peaks of 0.9.

    Raises
    ------
    ParameterError
        If a file cannot be read, or if there is no sound in any.

    Examples
    --------
    >>> from spectralot.learn import recorded_sounds
    >>> recorded_sounds(["examples/notes/clarinet_F4.wav"]).audio.shape
    (5, 4096)
    """
    slices = []
    for file in files:
        blocks = read_blocks(file)
        audio = resample(np.concatenate(list(blocks)), blocks.sample_rate, sample_rate)
        cut = audio[: len(audio) // n_samples * n_samples].reshape(-1, n_samples)
        power = np.mean(cut.astype(np.float64) ** 2, axis=1)
        loud = power > max(power.max(initial=0.0) * 10 ** (silence_db / 10), 1e-10)
        slices.append(cut[loud] * (PEAK / np.abs(cut[loud]).max(axis=1, keepdims=True, initial=0)))
    if not sum(map(len, slices)):
        raise ParameterError(
            f"files must hold {n_samples} samples at {sample_rate:g} Hz that are not silent, "
            f"got none in {len(slices)} file(s)"
        )
    recording = np.repeat(np.arange(len(slices)), [len(cut) for cut in slices])
    return Sounds(np.concatenate(slices).astype(np.float32), recording=recording)
