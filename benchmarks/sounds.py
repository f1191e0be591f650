"""Sounds of exactly known pitch: what benchmarks.material puts together into sets.

A sound is a sum of partials. f0 is linear between knots 1 ms apart and amplitudes between knots
5 ms apart, so the truth of a set, one row in 5 ms, is exact; phase is a running sum at the audio
rate. Nothing in a sound is aligned with the frames of a tracker: notes begin at any time.
"""

from dataclasses import dataclass

import numpy as np
from scipy import signal
from scipy.interpolate import CubicSpline

STEP_S = 5e-3  # of the truth and of amplitudes
FINE = 5  # knots of f0 in a step
QUIET_DB = -45.0  # re the loudest moment: no pitch below; a decaying note is damped there
FLOOR_DB = -70.0  # of the noise under every sound, re the loudest moment

VOWELS_HZ = np.array(
    [
        [730, 1090, 2440, 3400], [270, 2290, 3010, 3700], [300, 870, 2240, 3300],
        [530, 1840, 2480, 3500], [570, 840, 2410, 3300], [660, 1720, 2410, 3600],
        [490, 1350, 1690, 3300], [640, 1190, 2390, 3400],
    ]
)  # fmt: skip


@dataclass
class Sound:
    """Samples and truth: `time_s`, `f0_hz` (T,), 0 = no pitch; `amplitudes` (T, H) or None."""

    audio: np.ndarray
    rate: int
    time_s: np.ndarray
    f0_hz: np.ndarray
    amplitudes: np.ndarray | None
    about: str


class Canvas:
    """Notes that follow each other, drawn by one generator."""

    def __init__(self, rng, rate, duration_s, *, decaying=False):
        self.rng, self.rate, self.decaying = rng, rate, decaying
        self.n = round(duration_s * rate)
        steps = int(self.n / rate / STEP_S) + 1
        self.time = STEP_S * np.arange(steps)
        self.fine = STEP_S / FINE * np.arange(FINE * (steps - 1) + 1)
        self.notes = []
        self.noise = np.zeros(self.n)

    @property
    def duration_s(self):
        return self.n / self.rate

    def wander(self, spacing_s, times=None, columns=None):
        """Smooth random curves of unit spread with a knot every `spacing_s`."""
        times = self.time if times is None else times
        knots = np.arange(-1, self.duration_s / spacing_s + 3) * spacing_s
        shape = (len(knots),) if columns is None else (len(knots), columns)
        return CubicSpline(knots, self.rng.standard_normal(shape))(times)

    def note(self, f0_hz, amplitudes, *, stiffness=0.0, subharmonics=None):
        """Add partials: f0 at the fine knots, amplitudes (T, H), those of (k - 1/2) f0 (T, K)."""
        orders = np.arange(1, amplitudes.shape[1] + 1)
        ratios = orders * np.sqrt((1 + stiffness * orders**2) / (1 + stiffness))
        self.notes.append([f0_hz, amplitudes * self._below_nyquist(f0_hz, ratios), ratios])
        if subharmonics is not None:
            ratios = np.arange(subharmonics.shape[1]) + 0.5
            self.notes[-1] += [subharmonics * self._below_nyquist(f0_hz, ratios), ratios]

    def _below_nyquist(self, f0_hz, ratios):
        room = 0.5 - f0_hz[::FINE, None] * ratios / self.rate
        return np.clip(room / 0.05, 0, 1)

    def sound(self, about, *, peak_db=None, floor_db=FLOOR_DB):
        """Play everything."""
        levels = [np.sqrt(0.5 * np.square(note[1]).sum(axis=1)) for note in self.notes]
        loudest = max(level.max() for level in levels)
        quiet = loudest * 10 ** (QUIET_DB / 20)
        columns = max(note[1].shape[1] for note in self.notes)
        truth = np.zeros((len(self.time), columns))
        f0_hz = np.zeros(len(self.time))
        audio = np.zeros(self.n)
        for note, level in zip(self.notes, levels, strict=True):
            gate = damping(level, quiet) if self.decaying else np.ones(len(level))
            for amplitudes, ratios in zip(note[1::2], note[2::2], strict=True):
                audio += self._partials(note[0], amplitudes * gate[:, None], ratios)
            truth[:, : note[1].shape[1]] += note[1] * gate[:, None]
            voiced = level * gate > quiet
            f0_hz[voiced] = note[0][::FINE][voiced]
        audio += self.noise
        audio += loudest * 10 ** (floor_db / 20) * self.rng.standard_normal(self.n)
        peak_db = self.rng.uniform(-20, -1) if peak_db is None else peak_db
        gain = 10 ** (peak_db / 20) / np.abs(audio).max()
        return Sound(gain * audio, self.rate, self.time, f0_hz, gain * truth, about)

    def _partials(self, f0_hz, amplitudes, ratios):
        """The partials of one note, computed only where it sounds."""
        heard = np.flatnonzero(amplitudes.any(axis=1))
        out = np.zeros(self.n)
        if len(heard) == 0:
            return out
        start = int(max(heard[0] - 1, 0) * STEP_S * self.rate)
        stop = min(int((heard[-1] + 1) * STEP_S * self.rate) + 1, self.n)
        t = np.arange(start, stop) / self.rate
        phase = 2 * np.pi / self.rate * np.cumsum(np.interp(t, self.fine, f0_hz))
        for ratio, amplitude in zip(ratios, amplitudes.T, strict=True):
            offset = self.rng.uniform(0, 2 * np.pi)
            if amplitude.any():
                part = np.interp(t, self.time, amplitude)
                out[start:stop] += part * np.sin(ratio * phase + offset)
        return out


def damping(level, quiet):
    """1 up to where a note, after its loudest moment, first falls below `quiet`, then 0."""
    loudest = int(level.argmax())
    below = np.flatnonzero(level[loudest:] < quiet)
    gate = np.ones(len(level))
    if len(below):
        gate[loudest + below[0] :] = 0
    return gate


def smooth_step(x):
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def swell(t, start_s, end_s, attack_s, release_s):
    """0 outside, 1 inside, raised cosines at both ends."""
    return smooth_step((t - start_s) / attack_s) * smooth_step((end_s - t) / release_s)


def decibels(x_db):
    return 10.0 ** (np.asarray(x_db) / 20)


def orders_below(f0_hz, limit_hz, most=110):
    return np.arange(1, int(np.clip(limit_hz / np.min(f0_hz), 1, most)) + 1)


def schedule(rng, duration_s, shortest_s, longest_s, gap_s=(0.05, 0.35)):
    """Starts and ends of notes with silences between."""
    spans, now = [], rng.uniform(0.03, 0.25)
    while now + shortest_s < duration_s:
        end = min(now + rng.uniform(shortest_s, longest_s), duration_s - rng.uniform(0, 0.1))
        spans.append((now, end))
        now = end + rng.uniform(*gap_s)
    return spans


def walk(rng, low_hz, high_hz, count, leaps=(1, 2, 2, 3, 4, 5, 7, 12)):
    """Pitches of a melody inside a range."""
    low, high = 12 * np.log2([low_hz, high_hz])
    pitch = rng.uniform(low, high)
    pitches = []
    for _ in range(count):
        pitches.append(pitch)
        leap = rng.choice(leaps) * rng.choice([-1, 1])
        pitch = pitch + leap if low <= pitch + leap <= high else pitch - leap
        pitch = float(np.clip(pitch, low, high))
    return 2 ** (np.array(pitches) / 12)


def contour(
    canvas, starts_s, pitches_hz, *, glide_s, rate_hz=(4, 7), depth_cents=0.0, drift_cents=4
):
    """f0 at the fine knots: pitches joined by glides, with vibrato and a slow drift."""
    t, rng = canvas.fine, canvas.rng
    cents = 1200 * np.log2(np.asarray(pitches_hz))
    curve = np.full(len(t), cents[0])
    for start, step in zip(starts_s[1:], np.diff(cents), strict=True):
        curve += step * smooth_step((t - start) / rng.uniform(*glide_s) + 0.5)
    speed = rng.uniform(*rate_hz) * (1 + 0.05 * canvas.wander(0.4, t))
    phase = 2 * np.pi * np.cumsum(speed) * STEP_S / FINE + rng.uniform(0, 2 * np.pi)
    depth = depth_cents * np.clip(0.75 + 0.3 * canvas.wander(0.7, t), 0, 1.3)
    curve += depth * np.sin(phase) + drift_cents * canvas.wander(0.25, t)
    return 2 ** (curve / 1200)


def resonances(frequency_hz, centres_hz, widths_hz):
    """Gain of second-order resonances in series; arrays are broadcast."""
    gain = 1.0
    for centre, width in zip(centres_hz, widths_hz, strict=True):
        gain = (
            gain
            * centre**2
            / np.sqrt((centre**2 - frequency_hz**2) ** 2 + (width * frequency_hz) ** 2)
        )
    return gain


def body(rng, frequency_hz):
    """Gain of a random box of wood: bumps of some decibels over log frequency."""
    octaves = np.arange(3, 16, 0.4)
    bumps = CubicSpline(octaves, 5 * rng.standard_normal(len(octaves)))
    return decibels(bumps(np.clip(np.log2(np.maximum(frequency_hz, 10)), 3.4, 15)))


def coloured(rng, n, rate, exponent):
    """Noise of power f ** -exponent above 20 Hz, root mean square 1."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum *= np.maximum(np.fft.rfftfreq(n, 1 / rate), 20.0) ** (-exponent / 2)
    noise = np.fft.irfft(spectrum, n)
    return noise / np.sqrt(np.mean(noise**2))


def band_noise(rng, n, rate, low_hz, high_hz):
    high_hz = min(high_hz, 0.45 * rate)
    sos = signal.butter(2, [low_hz, high_hz], "bandpass", fs=rate, output="sos")
    noise = signal.sosfilt(sos, rng.standard_normal(n))
    return noise / np.sqrt(np.mean(noise**2))
