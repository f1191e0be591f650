"""Fit one note by gradient descent: from no hint to f0(t) and every harmonic's amplitude(t).

Three descents with Adam on the exact gradients of synthesis, STFT and transport:

1. transport: many constant f0 over the whole range, on half a second of the note. A candidate
   has the timbre that the recording would have if the candidate were true (the energy around
   each multiple), so `SOT` only asks how far energy stands from its multiple, and its slope
   leads there from a semitone and more away.
2. choice: the distinct candidates and their octave relatives, now with free amplitudes, on `LIN`.
   A subharmonic always fits as well as the truth, so the best fit wins only if it is better by
   `OCTAVE_PRICE` for each octave that it lies lower.
3. track: f0 and amplitudes of every frame of the whole note, on `LIN` at several resolutions.

Names: B candidates, T frames, H harmonics.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import convolve1d
from scipy.signal import oaconvolve

from .. import checks
from ..adam import Adam
from ..audio import resample
from ..checks import ParameterError
from ..hints import ArrayLike
from ..losses import LIN, SOT
from ..stft import stft_magnitude_forward
from ..synth import harmonic_backward, harmonic_forward
from ..tracks import HarmonicTracks

__all__ = ["fit_note"]

RATE = 16000  # Hz: partials above half of it are not fitted
STEP_S = 0.01  # between frames of the result
EXCERPT = 8192  # samples of stages 1 and 2
SHORTEST = 1024  # samples
TRANSPORT_STEPS, CHOICE_STEPS, MOST_STEPS = 25, (20, 35), 300
PATIENCE = 12  # steps of the track without a gain before the step size is halved
MISFIT_FLOOR = 0.1  # below it, less misfit says more about noise than about pitch
# in octaves of misfit: 14 % less misfit pays for one octave down (benchmarks/octave_price.py)
OCTAVE_PRICE = 0.22
TIMBRE_HARMONICS, MOST_HARMONICS = 40, 80
CHOICE_FRAMES = 6
KEPT = 8  # candidates whose relatives are tried


def fit_note(
    audio: ArrayLike,
    sample_rate: float,
    *,
    fmin: float = 40.0,
    fmax: float | None = None,
    progress: bool = False,
) -> HarmonicTracks:
    """Find f0(t) and the harmonic amplitudes of one note by descending spectral losses.

    Parameters
    ----------
    audio : array_like, shape (N,)
        One note of a harmonic sound, at least 1024 samples long at the rate of the fit (64 ms at
        16 kHz); silence around it does no harm.
    sample_rate : float
        Samples per second. The fit runs at 16 kHz or the given rate if that is lower, so
        partials above 8 kHz stay in the residual.
    fmin : float
        Lowest f0 in Hz; one start a semitone from here on.
    fmax : float, optional
        Highest f0 in Hz; default 4200, or 0.45 times the rate of the fit if that is lower.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    HarmonicTracks
        Frames every 10 ms, centred: ``time_s``, ``f0_hz``, ``amplitudes``, ``phases``,
        ``confidence`` (share of the energy around the frame that the harmonics explain),
        ``loss_history`` of the three stages and ``residual_db``.

    Raises
    ------
    ParameterError
        If the audio is empty, silent, not finite or too short, or the range is not
        0 < fmin < fmax < half the rate of the fit.

    References
    ----------
    Torres, Peeters, Richard, ICASSP 2024, arXiv:2312.14507 (the transport loss); Kingma and Ba,
    ICLR 2015, arXiv:1412.6980 (Adam).

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import fit_note, harmonic_forward
    >>> amplitudes = np.tile([0.4, 0.3, 0.2], (50, 1))
    >>> audio, _ = harmonic_forward(
    ...     np.full(50, 196.0), amplitudes, n_samples=8000, sample_rate=16000
    ... )
    >>> tracks = fit_note(audio, 16000)
    >>> bool(abs(np.median(tracks.f0_hz) - 196.0) < 0.2)
    True
    """
    audio = checks.level_array("audio", audio, 1, dtype=np.float64)
    sample_rate = checks.number("sample_rate", sample_rate, above=0)
    rate = min(RATE, sample_rate)
    fmin = checks.number("fmin", fmin, above=0)
    fmax = min(4200.0, 0.45 * rate) if fmax is None else checks.number("fmax", fmax, above=0)
    if not fmin < fmax < 0.5 * rate:
        raise ParameterError(
            f"fmin and fmax must be 0 < fmin < fmax < {0.5 * rate:g} Hz, got {fmin:g}, {fmax:g}"
        )
    if not audio.any():
        raise ParameterError("audio must not be silent, got zeros only")
    level = np.abs(audio).max()
    x = resample(audio / level, sample_rate, rate).astype(np.float64)
    if len(x) < SHORTEST:
        raise ParameterError(
            f"audio must last at least {1000 * SHORTEST / rate:g} ms, "
            f"got {1000 * len(audio) / sample_rate:g} ms"
        )
    with _Progress(progress) as advance:
        excerpt = _loudest(x, EXCERPT)
        starts = np.geomspace(fmin, fmax, 2 + int(12 * np.log2(fmax / fmin)))
        candidates, transport_losses = _descend_transport(excerpt, rate, starts, advance)
        candidates = _with_relatives(excerpt, rate, candidates, fmin, fmax)
        f0_hz, choice_losses = _choose(excerpt, rate, candidates, advance)
        f0_hz, amplitudes, track_losses = _track(x, rate, f0_hz, advance)
    history = {"transport": transport_losses, "choice": choice_losses, "track": track_losses}
    return _result(audio, sample_rate, rate, f0_hz, amplitudes * level, history)


def _descend_transport(x, rate, f0_hz, advance):
    """Stage 1: let every start slide to where energy meets its multiples."""
    n_fft = 1 << int(np.log2(min(len(x), 4096)))
    loss = SOT(
        n_fft, hop_length=max(1, (len(x) - n_fft) // 2), window="hann", padding="none",
        frequency_axis="log", p=1, mass="balanced", sample_rate=rate,
    )  # fmt: skip
    energy = _BandEnergy(x, rate)
    target = loss.prepare(np.tile(x, (len(f0_hz), 1)).astype(np.float32))
    octaves, adam, history = np.log2(f0_hz), Adam(f0_hz.shape), []
    limits = np.log2(f0_hz[[0, -1]])
    for rate_now in _cosine(0.02, TRANSPORT_STEPS):
        f0_hz = 2**octaves
        amplitudes = energy.amplitudes(f0_hz, TIMBRE_HARMONICS)[:, None].astype(np.float32)
        audio, saved = harmonic_forward(
            f0_hz[:, None], amplitudes, n_samples=len(x), sample_rate=rate
        )
        values, d_audio = loss.per_item(target, audio)
        d_f0_hz = harmonic_backward(d_audio, saved)[0][:, 0]
        octaves = octaves - adam.step(d_f0_hz * f0_hz, rate_now)
        octaves = np.clip(octaves, *limits)
        history.append(values.min())
        advance()
    return 2**octaves, np.array(history)


class _BandEnergy:
    """Amplitude of the sine that holds the energy within half an f0 of each multiple."""

    def __init__(self, x, rate):
        window = np.hanning(len(x) + 2)[1:-1]
        n_fft = 4 * len(x)
        power = np.abs(np.fft.rfft(window * x, n_fft)) ** 2 * 4 / (n_fft * (window**2).sum())
        self.sums = np.concatenate([[0.0], np.cumsum(power)])
        self.bin_hz = rate / n_fft

    def amplitudes(self, f0_hz, n_harmonics):
        edges = np.outer(f0_hz, np.arange(n_harmonics + 1) + 0.5) / self.bin_hz + 0.5
        sums = np.interp(edges, np.arange(len(self.sums)), self.sums)
        return np.sqrt(np.maximum(np.diff(sums, axis=1), 0.0)) + 1e-9


def _with_relatives(x, rate, f0_hz, fmin, fmax):
    """The best distinct candidates, and their octaves and twelfths up and down."""
    amplitudes = _read_amplitudes(x, rate, f0_hz, TIMBRE_HARMONICS)
    misfit = _misfit(x, rate, f0_hz[:, None], amplitudes[:, None])
    explained = np.log2(np.maximum(1 - misfit, 1e-6)) + OCTAVE_PRICE * np.log2(f0_hz)
    best = f0_hz[_distinct(f0_hz, -explained, 25)[:KEPT]]
    family = np.concatenate([best * ratio for ratio in (1, 2, 3, 1 / 2, 1 / 3)])
    family = family[(family >= fmin * 0.97) & (family <= fmax * 1.03) & (family < 0.47 * rate)]
    return family[_distinct(family, np.arange(len(family)), 20)]


def _choose(x, rate, f0_hz, advance):
    """Stage 2: fit every candidate with free amplitudes; the cheapest wins."""
    misfit, fitted_hz, history = _fit_candidates(x, rate, f0_hz, advance)
    cost = np.log2(misfit + MISFIT_FLOOR) - OCTAVE_PRICE * np.log2(f0_hz)
    winner = int(np.argmin(np.where(_explains(misfit), cost, np.inf)))
    return fitted_hz[winner], history[:, winner]


def _explains(misfit):
    """Whether a candidate explains about as much as the best; else lying high is no virtue."""
    floored, explained = misfit + MISFIT_FLOOR, 1 - misfit
    return (floored <= 1.5 * floored.min()) & (explained >= 0.5 * explained.max())


def _fit_candidates(x, rate, f0_hz, advance):
    """Misfit (B,), f0 (B,) and losses by step (steps, B) of free fits from each f0."""
    B, T = len(f0_hz), CHOICE_FRAMES
    loss = LIN([n for n in (2048, 1024) if n <= len(x)], padding="none")
    target = loss.prepare(np.tile(x, (B, 1)).astype(np.float32))
    octaves = np.repeat(np.log2(f0_hz)[:, None], T, axis=1)
    centre, history = octaves.copy(), []
    for n_steps in CHOICE_STEPS:
        # a vertical loss silences partials that stand beside their peak: once f0 has settled,
        # start again from what the spectrum shows there
        read = _read_amplitudes(x, rate, 2 ** np.median(octaves, axis=1), MOST_HARMONICS)
        logs = np.repeat(np.log(np.maximum(read, 1e-6))[:, None], T, axis=1)
        adam_f0, adam_amplitudes = Adam(octaves.shape), Adam(logs.shape)
        for share in _cosine(1.0, n_steps):
            f0_now, amplitudes = 2**octaves, np.exp(logs)
            audio, saved = harmonic_forward(
                f0_now, amplitudes.astype(np.float32), n_samples=len(x), sample_rate=rate
            )
            values, d_audio = loss.per_item(target, audio)
            d_f0, d_amplitudes, _, _ = harmonic_backward(d_audio, saved)
            octaves = octaves - adam_f0.step(d_f0 * f0_now, 0.003 * share)
            octaves = np.clip(octaves, centre - 0.06, centre + 0.06)  # each in its own basin
            logs = logs - adam_amplitudes.step(d_amplitudes * amplitudes, 0.05 * share)
            history.append(values)
            advance()
    misfit = _misfit(x, rate, 2**octaves, np.exp(logs))
    return misfit, 2 ** np.median(octaves, axis=1), np.array(history)


def _track(x, rate, f0_hz, advance):
    """Stage 3: f0 and amplitudes of every frame of the note, until the loss stands still."""
    hop = rate * STEP_S
    T = 1 + int(len(x) / hop)
    H = max(1, min(MOST_HARMONICS, int(0.5 * rate / (1.03 * f0_hz))))
    # Hz per bin well below the spacing of the partials, or a window of at least four periods
    n_fft = max(512, 1 << int(np.ceil(np.log2(4 * rate / f0_hz))))
    loss = LIN([n for n in (2048, 1024, 512) if n >= n_fft / 2] or n_fft, padding="center")
    target = loss.prepare(x.astype(np.float32))
    logs = np.log(np.maximum(_read_frames(x, rate, f0_hz, T, H, n_fft), 1e-6))
    smooth = _Smoother(T, 2.5)
    # within a period or two nothing tells a change of amplitude from the wave itself
    smooth_amplitudes = _Smoother(T, 1 / (STEP_S * f0_hz))
    octaves, adam_f0 = np.zeros(T), Adam((T,), shared=True)
    adam_amplitudes, history = Adam((T, H)), []
    grid = dict(n_samples=len(x), sample_rate=rate, hop_length=hop)
    highest = min(0.2, np.log2(0.499 * rate / f0_hz))
    share, best, waited = 1.0, np.inf, 0
    while share > 0.04 and len(history) < MOST_STEPS:
        f0_now, amplitudes = f0_hz * 2 ** smooth(octaves), np.exp(smooth_amplitudes(logs))
        audio, saved = harmonic_forward(f0_now, amplitudes.astype(np.float32), **grid)
        value, d_audio = loss(target, audio)
        d_f0, d_amplitudes, _, _ = harmonic_backward(d_audio, saved)
        octaves = octaves - adam_f0.step(smooth.adjoint(d_f0 * f0_now), 0.004 * share)
        octaves = np.clip(octaves, -0.2, highest)
        d_logs = smooth_amplitudes.adjoint(d_amplitudes * amplitudes)
        logs = logs - adam_amplitudes.step(d_logs, 0.06 * share)
        history.append(value)
        advance()
        best, waited = (value, 0) if value < 0.997 * best else (best, waited + 1)
        if waited == PATIENCE:
            share, waited = 0.5 * share, 0
    f0_track = f0_hz * 2 ** smooth(octaves)
    return f0_track, np.exp(smooth_amplitudes(logs)), np.array(history)


class _Smoother:
    """Weighted mean over neighbouring frames; `adjoint` is its transpose."""

    def __init__(self, n_frames, sigma):
        reach = int(np.ceil(3 * sigma))
        self.kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        self.total = convolve1d(np.ones(n_frames), self.kernel, mode="constant")

    def __call__(self, x):
        return (convolve1d(x, self.kernel, axis=0, mode="constant").T / self.total).T

    def adjoint(self, d):
        return convolve1d((d.T / self.total).T, self.kernel, axis=0, mode="constant")


def _result(audio, sample_rate, rate, f0_hz, amplitudes, history):
    """Phases and confidence by projection on the fitted harmonics, at the recording's rate."""
    hop = sample_rate * STEP_S
    T, H = amplitudes.shape
    f0_hz = np.minimum(f0_hz, 0.499 * sample_rate)
    _, saved = harmonic_forward(
        f0_hz, np.zeros((T, 1)), n_samples=len(audio), sample_rate=sample_rate, hop_length=hop
    )
    phase, phases = saved.phase[0], np.zeros((T, H))
    for t in range(T):
        centre, half = round(t * hop), int(np.ceil(max(2 / f0_hz[t], STEP_S) * sample_rate))
        at = np.arange(max(0, centre - half), min(len(audio), centre + half + 1))
        window = 0.5 + 0.5 * np.cos(np.pi * (at - centre) / (half + 1))
        wave = np.exp(-1j * phase[at])
        waves = np.multiply.accumulate(np.broadcast_to(wave, (H, len(at))), axis=0)
        phases[t] = np.angle(1j * (waves @ (window * audio[at])))
    frames = dict(
        time_s=np.arange(T) * STEP_S, f0_hz=f0_hz, amplitudes=amplitudes, phases=phases,
        sample_rate=sample_rate, n_samples=len(audio), loss_history=history,
    )  # fmt: skip
    residual = HarmonicTracks(confidence=np.zeros(T), **frames).residual(audio)
    around = np.hanning(int(4 * hop) + 3)
    left, whole = (np.maximum(_local_energy(signal, around), 0) for signal in (residual, audio))
    at = np.minimum(np.round(np.arange(T) * hop).astype(int), len(audio) - 1)
    heard = whole[at] > 1e-6 * whole.max()
    confidence = np.where(heard, np.clip(1 - left[at] / np.maximum(whole[at], 1e-300), 0, 1), 0)
    power = np.mean(residual**2) / np.mean(audio**2)
    return HarmonicTracks(
        confidence=confidence, residual_db=10 * np.log10(max(power, 1e-30)), **frames
    )


def _loudest(x, length):
    """The stretch of `length` samples from the loudest moment on, as far as the note goes."""
    if len(x) <= length:
        return x
    loudest = int(_local_energy(x, np.hanning(1600)).argmax())
    first = min(max(0, loudest - 400), len(x) - length)
    return x[first : first + length]


def _local_energy(x, window):
    return oaconvolve(np.pad(x**2, len(window)), window, mode="same")[len(window) : -len(window)]


def _read_amplitudes(x, rate, f0_hz, n_harmonics):
    """Amplitudes (B, H) at the multiples of constant f0, off one long spectrum."""
    window = np.hanning(len(x) + 2)[1:-1]
    n_fft = 8 * len(x)
    spectrum = np.abs(np.fft.rfft(window * x, n_fft)) * 2 / window.sum()
    bins = np.outer(f0_hz, np.arange(1, n_harmonics + 1)) * n_fft / rate
    below = bins < n_fft / 2
    return np.where(below, spectrum[np.where(below, np.round(bins), 0).astype(int)], 0.0)


def _read_frames(x, rate, f0_hz, n_frames, n_harmonics, n_fft):
    """Amplitudes (T, H) at the multiples of one f0, off the STFT."""
    magnitude, saved = stft_magnitude_forward(
        x, n_fft=n_fft, hop_length=round(rate * STEP_S), padding="center", normalized=False
    )
    bins = np.round(f0_hz * np.arange(1, n_harmonics + 1) * n_fft / rate).astype(int)
    frames = np.minimum(np.arange(n_frames), len(magnitude) - 1)
    return magnitude[np.ix_(frames, np.minimum(bins, n_fft // 2))] * 2 / saved.window.sum()


def _misfit(x, rate, f0_hz, amplitudes):
    """Share (B,) of the recording's magnitudes that the harmonics leave unexplained or add."""
    audio, _ = harmonic_forward(f0_hz, amplitudes, n_samples=len(x), sample_rate=rate)
    n_fft = 1 << int(np.log2(min(len(x), 2048)))
    loss = LIN(n_fft, padding="none")
    values, _ = loss.per_item(np.tile(x, (len(f0_hz), 1)), audio)
    silence, _ = loss(x, np.zeros_like(x))
    return values / silence


def _distinct(f0_hz, score, cents):
    """Indices by ascending score, without those within `cents` of a better one."""
    kept = []
    for i in np.argsort(score, kind="stable"):
        if all(abs(1200 * np.log2(f0_hz[i] / f0_hz[j])) > cents for j in kept):
            kept.append(i)
    return np.array(kept)


def _cosine(start, n_steps):
    """Step sizes that fall from `start` to a twentieth of it."""
    return start * (0.525 + 0.475 * np.cos(np.pi * np.arange(n_steps) / n_steps))


class _Progress:
    """Context that counts the steps of all stages, on stderr if asked to."""

    def __init__(self, shown):
        self.bar = None
        if shown:
            from rich.console import Console
            from rich.progress import Progress

            self.bar = Progress(console=Console(stderr=True), transient=True)

    def __enter__(self):
        if self.bar is None:
            return lambda: None
        self.bar.start()
        task = self.bar.add_task("fitting", total=TRANSPORT_STEPS + sum(CHOICE_STEPS) + MOST_STEPS)
        return lambda: self.bar.advance(task)

    def __exit__(self, *error):
        if self.bar is not None:
            self.bar.stop()
