"""One recording on its way through the estimator, chunk by chunk.

The sound is worked through on a grid of frames that does not depend on how it arrives: whole, in
blocks or as a file, the numbers are the same to the bit. A chunk is decided when the frames of
`AHEAD_S` after it are known.

Names: N samples, T frames, C candidates, K partials.
"""

import numpy as np

from ..checks import ParameterError
from ..cpu import candidates as cpu
from ..cpu import warp
from . import _octaves as octaves
from ._candidates import FLOOR_SPAN, FLOOR_STEP_S, STEP_CENTS
from ._partials import read_partials
from ._refine import LEAP_CENTS, LONGEST_WINDOW_S, refine

CHUNK_S, AHEAD_S, MARGIN_S = 4.0, 6.0, 0.5
BATCH = 64  # frames whose salience is found at once
MOVE_PER_CENT, LEAP = 0.0012, 2.0  # costs of the track, in seconds of full salience times 100
RATIOS = (0.5, 1.0, 2.0, 3.0)  # of the octave report
LATE_S = 0.032  # after its time is a frame measured that is not centred
MOST_HARMONICS = 40
LEVEL_S = 0.02


class _Growing:
    """The newest stretch of a sequence too long to hold."""

    def __init__(self, first=0):
        self.first, self.data = first, np.zeros(0, np.float32)

    @property
    def end(self):
        return self.first + len(self.data)

    def append(self, data):
        self.data = np.concatenate([self.data, data])

    def between(self, start, stop):
        """Those of the samples from `start` to `stop` that there are, and where they begin."""
        start = max(start, self.first)
        return self.data[start - self.first : max(stop - self.first, 0)], start

    def forget(self, before):
        drop = min(max(0, int(before) - self.first), len(self.data))
        if drop > len(self.data) // 2:  # seldom, so that copying does not add up
            self.first, self.data = self.first + drop, self.data[drop:].copy()


class Stream:
    """One recording on its way through: salience, track, octaves, refinement, partials."""

    def __init__(self, estimator, factor, candidates, sample_rate):
        self.estimator, self.sample_rate = estimator, sample_rate
        self.factor, self.candidates = factor, candidates
        if estimator.hop_length is None:
            self.hop = estimator.step_ms * sample_rate / 1000
        else:
            self.hop = estimator.hop_length
        if self.hop < 1:
            raise ParameterError(f"a step must be at least one sample, got {self.hop:g}")
        self.step_s, self.rate = self.hop / sample_rate, self.candidates.rate
        self.late = 0.0 if estimator.center else LATE_S * sample_rate
        n = estimator.n_harmonics
        self.n_harmonics = MOST_HARMONICS if n == "auto" else n
        if not estimator.center:
            self.n_harmonics = 0
        # zeros stand before the sound, so that filters need no edges
        self.lead = 12 * self.factor if self.factor > 1 else 0
        self.taps = _low_pass(self.lead, self.factor)
        self.audio, self.x = _Growing(-self.lead), _Growing()
        self.audio.append(np.zeros(self.lead, np.float32))
        self.n_samples, self.n_frames, self.closed = 0, None, False
        self.chunk, self.ahead = (
            BATCH * max(1, round(seconds / self.step_s / BATCH)) for seconds in (CHUNK_S, AHEAD_S)
        )
        self.margin = max(2, round(MARGIN_S / self.step_s))
        self.reach_s = 4 / estimator.fmin + LONGEST_WINDOW_S  # beyond frames
        C = len(self.candidates.f0_hz)
        self.floor_rows = np.zeros((0, len(self.candidates.floor.picked)), np.float32)
        self.best, self.scratch = np.zeros(C), np.empty((2, C))
        self.salience = np.zeros((0, C), np.float32)  # of frames from `decided` on
        self.pointers = np.zeros((0, C), np.int16)
        self.n_found = self.n_tracked = self.decided = 0
        self.raw, self.f0_hz, self.parts = np.zeros(0), np.zeros(0), []

    def push(self, block):
        """Take the next samples, float32, and work as far as they reach."""
        self.audio.append(block)
        self.n_samples += len(block)
        self._decimate()
        self._advance()

    def finish(self):
        """Work through what is left; nothing follows."""
        if self.n_samples == 0:
            raise ParameterError("audio must not be empty, got 0 samples")
        self.closed = True
        usable = self.n_samples - 2 * self.late
        self.n_frames = 1 + max(0, int(np.floor(usable / self.hop + 1e-9)))
        self.audio.append(np.zeros(self.lead + self.factor, np.float32))
        self._decimate()
        self._advance()

    def _decimate(self):
        last = (self.audio.end - self.lead - 1) // self.factor  # whose taps are all there
        if self.closed:
            last = min(last, (self.n_samples - 1) // self.factor)
        n, at = last + 1 - self.x.end, self.x.end * self.factor - self.lead - self.audio.first
        if n <= 0:
            return
        y = np.empty(n, np.float32)
        cpu.decimate(self.audio.data[at:], self.taps, self.factor, y)
        self.x.append(y)

    def _centres(self, first, last):
        """Frames' centres in samples of the decimated sound."""
        t = np.arange(first, last)
        return np.round((t * self.hop + self.late) / self.factor).astype(np.int64)

    def _advance(self):
        while self._find_salience():
            self._track()
        self._track()

    def _known(self, centre_of, margin, most):
        """How many frames' windows have all samples; all of them once the sound has ended."""
        if self.closed:
            return most
        return max(0, int((self.x.end - margin - self.late / self.factor - 1) / centre_of))

    def _find_salience(self):
        """Salience of the next batch of frames, once noise is known beyond it."""
        floor, margin = self.candidates.floor, self.candidates.margin
        floor_hop = FLOOR_STEP_S * self.rate
        n_rows = 1 + int(self.x.end / floor_hop) if self.closed else 0
        known = self._known(floor_hop, len(floor.window), n_rows)
        if known > len(self.floor_rows):
            at = np.round(np.arange(len(self.floor_rows), known) * floor_hop).astype(np.int64)
            rows = floor.rows(self.x.data, at - self.x.first)
            self.floor_rows = np.concatenate([self.floor_rows, rows])
        known = self._known(self.hop / self.factor, margin, self.n_frames)
        last = min(self.n_found + BATCH, known)
        if last == self.n_found or (last < self.n_found + BATCH and not self.closed):
            return False
        times = (np.arange(self.n_found, last) * self.hop + self.late) / self.sample_rate
        rows = np.round(times / FLOOR_STEP_S).astype(int)
        half = FLOOR_SPAN // 2
        if rows[-1] + half >= len(self.floor_rows) and not self.closed:
            return False
        low = max(0, min(rows[0], len(self.floor_rows) - 1) - half)
        near = self.floor_rows[low : rows[-1] + half + 1]
        slow = floor.on_axis(floor.over_time(near))
        floors = slow[np.minimum(rows - low, len(slow) - 1)]
        found = self.candidates.salience(
            self.x.data, self.x.first, self._centres(self.n_found, last), floors
        )
        self.salience = np.concatenate([self.salience, found])
        self.n_found = last
        return True

    def _track(self):
        """Extend the best paths; decide chunks whose frames ahead are known."""
        while True:
            target = self.decided + self.chunk + self.ahead
            if self.closed and self.n_found == self.n_frames:
                target = min(target, self.n_frames)
            stop = min(self.n_found, target)
            if stop > self.n_tracked:
                rewards = self.salience[self.n_tracked - self.decided : stop - self.decided]
                pointers = np.empty(rewards.shape, np.int16)
                scale = 100 * self.step_s
                cpu.viterbi(
                    rewards * np.float32(scale), MOVE_PER_CENT * STEP_CENTS, LEAP, pointers,
                    self.best, self.scratch,
                )  # fmt: skip
                self.pointers = np.concatenate([self.pointers, pointers])
                self.n_tracked = stop
            if stop < target or self.decided >= target:
                return
            ended = self.closed and self.n_tracked == self.n_frames
            last = min(self.decided + self.chunk, self.n_tracked)
            if ended and self.n_tracked - last < self.chunk // 2:
                last = self.n_tracked
            self._decide(last)

    def _path(self):
        """Track (frames from `decided` on) in Hz, between candidates by a parabola."""
        if self.estimator.viterbi:
            path = np.empty(len(self.pointers), np.int64)
            cpu.trace(self.pointers, int(self.best.argmax()), path)
        else:
            path = self.salience[: len(self.pointers)].argmax(axis=1)
        t, C = np.arange(len(path)), self.salience.shape[1]
        inner = np.clip(path, 1, C - 2)
        a, b, c = (self.salience[t, inner + i].astype(np.float64) for i in (-1, 0, 1))
        bend = a - 2 * b + c
        off = np.where((bend < 0) & (inner == path), 0.5 * (a - c) / np.minimum(bend, -1e-30), 0)
        f0_hz = self.candidates.f0_hz
        return f0_hz[path] * 2 ** (np.clip(off, -0.5, 0.5) * STEP_CENTS / 1200)

    def _decide(self, last):
        """Settle octaves, refine and measure the frames from `decided` to `last`."""
        first, raw = self.decided, self._path()
        ahead = min(len(raw), last - first + self.margin)
        raw = raw[:ahead]
        back = min(self.margin, first)
        f0_hz = np.concatenate([self.f0_hz[-back:] if back else self.f0_hz[:0], raw])
        if first:  # a note that goes on keeps the octave it was given
            leaps = np.abs(np.diff(np.log2(np.concatenate([self.raw[-1:], raw])))) * 1200
            goes_on = int(np.argmax(leaps > LEAP_CENTS)) if leaps.max() > LEAP_CENTS else ahead
            f0_hz[back : back + goes_on] *= self.f0_hz[-1] / self.raw[-1]
        at = self._around(self.x, self.factor, first - back, first + ahead)
        if self.estimator.viterbi:
            limits = self.candidates.f0_hz[[0, -1]]
            f0_hz = octaves.settle(*at, f0_hz, back, self.step_s, *limits)
        n = last - first
        self.raw, self.f0_hz = raw[n - 1 : n], f0_hz[: back + n][-self.margin :]
        found = refine(*at, f0_hz, self.step_s)
        own = slice(back, back + n)
        power = _power(self.x, self._centres(first, last), self.rate)
        centres = self._centres(first, last) * self.factor
        part = dict(
            f0_hz=found.f0_hz[own], std_cents=found.std_cents[own],
            power=power, power_of_all=_power(self.audio, centres, self.sample_rate),
            **_levels(found, own), **self._saliences(found.f0_hz[own], n),
        )  # fmt: skip
        for name in part.keys() - {"f0_hz"}:  # an hour holds 360,000 frames
            part[name] = part[name].astype(np.float32)
        if self.n_harmonics:
            at = self._around(self.audio, 1, first - back, first + ahead)
            part |= read_partials(*at, found, own, self.n_harmonics)
        self.parts.append(part)
        self.salience, self.pointers = self.salience[n:].copy(), self.pointers[n:].copy()
        self.decided = last
        kept = (last - self.margin) * self.hop + self.late - self.reach_s * self.sample_rate
        self.audio.forget(kept)
        self.x.forget(kept / self.factor)

    def _around(self, sound, factor, first, last):
        """Samples round frames `first` to `last` - 1, their begin counted from frame `first`.

        Cut where frames lie and not where blocks did, so that numbers are the same to the bit.
        """
        rate, hop = self.sample_rate / factor, self.hop / factor
        reach = int(self.reach_s * rate)
        start = max(0, int((first * self.hop + self.late) / factor) - reach)
        stop = int((last * self.hop + self.late) / factor) + reach
        part, start = sound.between(start, stop)
        return part, start - (first * self.hop + self.late) / factor, hop, rate

    def _saliences(self, f0_hz, n):
        """Salience at f0 and at its relatives, the highest within a candidate's step."""
        place = np.log2(f0_hz / self.candidates.f0_hz[0]) * 1200 / STEP_CENTS
        rows, report = self.salience[:n], np.zeros((n, len(RATIOS)), np.float32)
        t, C = np.arange(n), rows.shape[1]
        for r, ratio in enumerate(RATIOS):
            at = np.round(place + 1200 / STEP_CENTS * np.log2(ratio)).astype(int)
            near = [rows[t, np.clip(at + i, 0, C - 1)] for i in (-1, 0, 1)]
            report[:, r] = np.where((at < 0) | (at >= C), 0, np.max(near, axis=0))
        return dict(saliences=report)


def _low_pass(half, factor):
    """Taps of a sinc under a Kaiser window, for decimation; scipy.signal's would cost 50 MB."""
    taps = np.sinc(0.92 / factor * np.arange(-half, half + 1)) * np.kaiser(2 * half + 1, 6.0)
    return (taps / taps.sum()).astype(np.float32)


def _power(sound, centres, rate):
    """Mean square of a sound round each centre."""
    window, power = np.hanning(2 * int(0.5 * LEVEL_S * rate) + 3), np.empty(len(centres))
    warp.levels(sound.data, centres - sound.first, window, power)
    return power


def _levels(found, own):
    """Power of partials and of what lies between them, and inharmonicity, per frame."""
    amplitudes, between = found.amplitudes[own] ** 2, found.between[own] ** 2
    noise = 0.5 * (between[:, :-1] + between[:, 1:]) * (amplitudes > 0)
    weight, k2, k4, part, part_k2 = found.inharmonicity_sums[own].T
    spread = weight * k4 - k2**2
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(spread > 1e-9 * weight * k4, (weight * part_k2 - k2 * part) / spread, 0)
        # deviations of weight A^2 k^2 / N^2 have the variance 1 / (6 periods^2 weight)
        periods = found.window_s[own] * found.f0_hz[own]
        error = np.sqrt(weight / spread / 6) / periods
    return dict(
        partial_power=amplitudes.sum(axis=1), noise_power=noise.sum(axis=1),
        stretch=slope, stretch_std=np.where(spread > 0, error, np.inf),
        window_s=found.window_s[own],
    )  # fmt: skip
