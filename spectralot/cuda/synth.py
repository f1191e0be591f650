"""Additive synthesis on the device (equations: docs/derivations/synth.md).

Names and parameters are those of cpu/synth.py, but `phase` (B,N) holds fractions of a turn as
uint32: whatever multiple is taken of it wraps without rounding, so each sample's harmonics are
found directly, at any time. Between two frames f0 is a straight line, and its sum a parabola. Of a
partial with frequencies of its own, such a line's first step and growth are kept as uint64, and the
phase of a sample is a sum of whole multiples of both. Only places and phases of frames are float64.
`scratch` is of no use here.
"""

import math

import numpy as np
from numba import cuda, float32, int32, int64, uint32, uint64

from .arrays import launch, spread

THREADS = 128
LANES = 8  # threads that share the samples of one harmonic
PARTS = 64  # that a sound of partials is cut into; each finds its phases from the beginning
TURN, FINE = 2.0**32, 2.0**63  # what a turn is in uint32, and in uint64
RADIANS = np.float32(2 * math.pi / TURN)
PI, ZERO, HALF, ONE = np.float32(math.pi), np.float32(0), np.float32(0.5), np.float32(1)


@cuda.jit(device=True)
def _ramp(s, hop, shift, n_frames, start, stop):
    """Samples [first, last) of stretch s, 0 ... n_frames, in which f0 is one straight line.

    Stretch 0 lies before frame 0, stretch s between frames s - 1 and s, the last one behind.
    """
    first = start if s == 0 else int64(math.ceil((s - 1 - shift) * hop))
    last = stop if s == n_frames else int64(math.ceil((s - shift) * hop))
    return min(max(first, start), stop), min(max(last, start), stop)


@cuda.jit(device=True)
def _rise(s, first, count, hop, shift, n_frames):
    """Sum of the weights of the frame above over the first `count` samples of stretch s (eq. 2)."""
    if s == 0 or s == n_frames:
        return 0.0
    return count * (first / hop + shift - (s - 1)) + 0.5 * count * (count - 1) / hop


@cuda.jit(device=True)
def _frames(s, n_frames):
    """Frames below and above stretch s."""
    return max(s - 1, 0), min(s, n_frames - 1)


@cuda.jit(device=True)
def _turns(f0, s, first, count, hop, shift, sample_rate):
    """Turns of the fundamental in the first `count` samples of stretch s (eq. 4)."""
    below, above = _frames(s, f0.shape[0])
    rise = _rise(s, first, count, hop, shift, f0.shape[0])
    return (count * f0[below] + rise * (f0[above] - f0[below])) / sample_rate


@cuda.jit(device=True)
def _fraction(turns):
    """Fraction of a turn as 32 bits."""
    return uint32(int64((turns - math.floor(turns)) * TURN))


@cuda.jit
def _phase_of_frames(f0_hz, hop, shift, start, sample_rate, phase):
    """The phase before each stretch, where its first sample's will be."""
    b = cuda.grid(1)
    T, stop = f0_hz.shape[1], start + phase.shape[1]
    if b < phase.shape[0]:
        turns = 0.0
        for s in range(T + 1):
            first, last = _ramp(s, hop, shift, T, start, stop)
            if first < last:
                phase[b, first - start] = _fraction(turns)
                turns += _turns(f0_hz[b], s, first, last - first, hop, shift, sample_rate)
                turns -= math.floor(turns)


@cuda.jit
def _phase_of_samples(f0_hz, hop, shift, start, sample_rate, phase):
    T, stop = f0_hz.shape[1], start + phase.shape[1]
    b, s = cuda.blockIdx.x // (T + 1), cuda.blockIdx.x % (T + 1)
    first, last = _ramp(s, hop, shift, T, start, stop)
    if first >= last:
        return
    before = phase[b, first - start]
    cuda.syncthreads()
    for n in range(first + cuda.threadIdx.x, last, cuda.blockDim.x):
        turns = _turns(f0_hz[b], s, first, n - first + 1, hop, shift, sample_rate)
        phase[b, n - start] = before + _fraction(turns)


@cuda.jit(device=True)
def _position(n, hop, shift, n_frames):
    """Frame below, frame above and weight of the one above, for sample n (eq. 2)."""
    position = min(max(n / hop + shift, 0.0), n_frames - 1.0)
    below = int32(position)
    return below, min(below + 1, n_frames - 1), float32(position - below)


@cuda.jit(device=True)
def _blend(weight, hann):
    """Share of the frame above: linear, or the rising half of a Hann window (eq. 3)."""
    return HALF - HALF * math.cos(PI * weight) if hann else weight


@cuda.jit(device=True)
def _offset(start_phase, b, k):
    """Start phase of a harmonic as a fraction of a turn."""
    x = start_phase[b, k]
    return _fraction(x / (2.0 * math.pi)) if x != 0.0 else uint32(0)


@cuda.jit(device=True)
def _angle(phase, k, offset):
    """Harmonic k + 1 of the phase in radians, -pi to pi."""
    return float32(int32(uint32(phase * uint32(k + 1) + offset))) * RADIANS


@cuda.jit(device=True)
def _gains(f0, amplitudes, t, u, k, nyquist):
    """Amplitudes of harmonic k + 1 in two frames, 0 where it would reach Nyquist."""
    order = float32(k + 1)
    low = float32(amplitudes[t, k]) if order * float32(f0[t]) < nyquist else ZERO
    high = float32(amplitudes[u, k]) if order * float32(f0[u]) < nyquist else ZERO
    return low, high


@cuda.jit(device=True)
def _at(n, f0, grid):
    """Frames and weight of the amplitudes of sample n, and its f0."""
    hop, f_shift, a_shift, start, hann = grid
    T = f0.shape[0]
    below, above, w = _position(start + n, hop, f_shift, T)
    f = float32(f0[below]) + w * float32(f0[above] - f0[below])
    t, u, v = _position(start + n, hop, a_shift, T)
    return t, u, _blend(v, hann), f


@cuda.jit(device=True)
def _sample(b, n, f0_hz, amplitudes, start_phase, phase, grid, nyquist, slope):
    """One sample (eq. 1), or its slope over the fundamental's phase (eq. 6)."""
    t, u, v, f = _at(n, f0_hz[b], grid)
    total = ZERO
    for k in range(amplitudes.shape[2]):
        low, high = _gains(f0_hz[b], amplitudes[b], t, u, k, nyquist)
        order = float32(k + 1)
        if (low != ZERO or high != ZERO) and order * f < nyquist:
            angle = _angle(phase[b, n], k, _offset(start_phase, b, k))
            wave = order * math.cos(angle) if slope else math.sin(angle)
            total += (low + v * (high - low)) * wave
    return total


@cuda.jit
def _forward(f0_hz, amplitudes, start_phase, phase, grid, nyquist, audio):
    i = cuda.grid(1)
    B, N = audio.shape
    if i < B * N:
        b, n = i // N, i % N
        audio[b, n] = _sample(
            b, n, f0_hz, amplitudes, start_phase, phase, grid, nyquist, False
        )  # fmt: skip


@cuda.jit
def _slopes(d_audio, f0_hz, amplitudes, start_phase, phase, grid, nyquist, d_phase):
    """Gradient with respect to the fundamental's phase (eq. 6)."""
    i = cuda.grid(1)
    B, N = d_phase.shape
    if i < B * N:
        b, n = i // N, i % N
        d_phase[b, n] = d_audio[b, n] * _sample(
            b, n, f0_hz, amplitudes, start_phase, phase, grid, nyquist, True
        )  # fmt: skip


@cuda.jit(device=True)
def _lanes_sum(sums, row, value):
    """Sum over the lanes of a harmonic, in their order; for lane 0."""
    sums[row, cuda.threadIdx.x] = value
    cuda.syncthreads()
    total, first = ZERO, cuda.threadIdx.x // LANES * LANES
    for lane in range(LANES):
        total += sums[row, first + lane]
    return total


@cuda.jit
def _projections(d_audio, f0_hz, amplitudes, start_phase, phase, grid, nyquist, d_segment):
    """Gradients of the amplitudes below and above, and of the start phase, by one segment."""
    sums = cuda.shared.array((4, THREADS), float32)
    T, H = amplitudes.shape[1:]
    N = d_audio.shape[1]
    hop, _, a_shift, start, hann = grid
    b, t = cuda.blockIdx.x // T, cuda.blockIdx.x % T
    u, phased = min(t + 1, T - 1), d_segment.shape[2] == 3
    first = start if t == 0 else max(start, int64(math.ceil((t - a_shift) * hop)))
    last = start + N
    if t < T - 1:
        last = min(last, int64(math.ceil((t + 1 - a_shift) * hop)))
    lane, group = cuda.threadIdx.x % LANES, cuda.threadIdx.x // LANES
    for begin in range(0, H, THREADS // LANES):
        k = min(begin + group, H - 1)  # all must meet at the barriers
        offset = _offset(start_phase, b, k)
        sine_low, sine_high, cosine_low, cosine_high = ZERO, ZERO, ZERO, ZERO
        for n in range(first + lane - start, last - start, LANES):
            _, _, _, f = _at(n, f0_hz[b], grid)
            if float32(k + 1) * f < nyquist:
                position = min(max((start + n) / hop + a_shift - t, 0.0), 1.0)
                v = _blend(float32(position), hann)
                angle, g = _angle(phase[b, n], k, offset), float32(d_audio[b, n])
                sine = g * math.sin(angle)
                sine_low += (ONE - v) * sine
                sine_high += v * sine
                if phased:
                    cosine = g * math.cos(angle)
                    cosine_low += (ONE - v) * cosine
                    cosine_high += v * cosine
        cuda.syncthreads()
        sine_low, sine_high = _lanes_sum(sums, 0, sine_low), _lanes_sum(sums, 1, sine_high)
        cosine_low, cosine_high = _lanes_sum(sums, 2, cosine_low), _lanes_sum(sums, 3, cosine_high)
        if lane == 0 and begin + group < H:
            order = float32(k + 1)
            d_segment[b, t, 0, k] = sine_low if order * float32(f0_hz[b, t]) < nyquist else ZERO
            d_segment[b, t, 1, k] = sine_high if order * float32(f0_hz[b, u]) < nyquist else ZERO
            if phased:
                low, high = _gains(f0_hz[b], amplitudes[b], t, u, k, nyquist)
                d_segment[b, t, 2, k] = low * cosine_low + high * cosine_high
        cuda.syncthreads()


@cuda.jit(device=True)
def _tree(sums):
    """Sum of each row over the block, left in its first number for thread 0."""
    i, apart = cuda.threadIdx.x, THREADS // 2
    while apart > 0:
        cuda.syncthreads()
        if i < apart:
            for row in range(sums.shape[0]):
                sums[row, i] += sums[row, i + apart]
        apart //= 2


@cuda.jit
def _gather_f0(d_phase, hop, shift, start, sample_rate, d_f0):
    """Gradient of f0: each sample moves the phase of all that follow (eq. 5).

    Seen from what follows: sample n of a stretch hears n - first + 1 samples of it and all of
    those before, with the weights of their frames.
    """
    sums = cuda.shared.array((3, THREADS), float32)
    b, i = cuda.blockIdx.x, cuda.threadIdx.x
    T, stop = d_f0.shape[1], start + d_phase.shape[1]
    step, tail = 2.0 * math.pi / sample_rate, 0.0
    if i == 0:
        for t in range(T):
            d_f0[b, t] = 0.0
    for s in range(T, -1, -1):
        first, last = _ramp(s, hop, shift, T, start, stop)
        plain, counted, rising = ZERO, ZERO, ZERO
        for n in range(first + i, last, THREADS):
            g, count = float32(d_phase[b, n - start]), n - first + 1
            plain += g
            counted += g * float32(count)
            rising += g * float32(_rise(s, first, count, hop, shift, T))
        sums[0, i], sums[1, i], sums[2, i] = plain, counted, rising
        _tree(sums)
        if i == 0:
            rise = sums[2, 0] + tail * _rise(s, first, last - first, hop, shift, T)
            total = sums[1, 0] + tail * (last - first)
            below, above = _frames(s, T)
            d_f0[b, above] += step * rise
            d_f0[b, below] += step * (total - rise)
            tail += sums[0, 0]
        cuda.syncthreads()


@cuda.jit
def _gather_amplitudes(d_segment, d_amp):
    """A frame's amplitude sounds in the segments on both sides of it (eq. 7)."""
    i = cuda.grid(1)
    B, T, H = d_amp.shape
    if i < B * T * H:
        b, t, k = i // (T * H), i // H % T, i % H
        total = d_segment[b, t, 0, k]
        if t > 0:
            total += d_segment[b, t - 1, 1, k]
        if t == T - 1:
            total += d_segment[b, t, 1, k]
        d_amp[b, t, k] = total


@cuda.jit
def _gather_start(d_segment, d_start):
    i = cuda.grid(1)
    B, H = d_start.shape
    if i < B * H:
        total = 0.0
        for t in range(d_segment.shape[1]):
            total += d_segment[i // H, t, 2, i % H]
        d_start[i // H, i % H] = total


@cuda.jit(device=True)
def _fine(turns):
    """Fraction of a turn as 63 bits and what overflows; small ones keep all their digits."""
    return uint64(int64((turns - math.floor(turns + 0.5)) * FINE))


@cuda.jit(device=True)
def _line(f, s, n, hop, shift, sample_rate):
    """A partial's frequency in sample n of stretch s and its change from sample to sample.

    In Hz and, as uint64, in turns for each sample.
    """
    below, above = _frames(s, f.shape[0])
    change = f[above] - f[below]
    first = f[below] + (n / hop + shift - below) * change
    change /= hop
    return float32(first), float32(change), _fine(first / sample_rate), _fine(change / sample_rate)


@cuda.jit(device=True)
def _along(step, change, count):
    """Turns in the first `count` samples of a line."""
    return uint64(count) * step + uint64((count * (count - 1)) >> 1) * change


@cuda.jit(device=True)
def _fine_angle(phase):
    return float32(int32(uint32(phase >> uint64(31)))) * RADIANS


@cuda.jit(device=True)
def _place(n, r, hop, shift, n_frames):
    """Frames below and above stretch r, and how far sample n stands from the one below."""
    below, above = _frames(r, n_frames)
    return below, above, float32(n / hop + shift - below)


@cuda.jit(device=True)
def _share(place, i, pace, hann):
    """Share of the frame above, i samples on."""
    return _blend(min(max(place + i * pace, ZERO), ONE), hann)


@cuda.jit
def _sinusoidal_forward(
    frequencies, amplitudes, start_phase, grid, sample_rate, end_phase, audio
):  # fmt: skip
    """A part of the samples, piece by piece: on each, all frequencies and shares are lines.

    A thread walks along the frequency of a partial, then they share out the samples.
    """
    turns = cuda.shared.array((3, THREADS), uint64)  # so far; in the first sample; their change
    lines = cuda.shared.array((4, THREADS), float32)  # Hz; their change; amplitudes on both sides
    (B, N), (T, H) = audio.shape, amplitudes.shape[1:]
    hop, f_shift, a_shift, start, hann = grid
    parts, i = cuda.gridDim.x // B, cuda.threadIdx.x
    b, part = cuda.blockIdx.x // parts, cuda.blockIdx.x % parts
    first, stop = start + part * N // parts, start + (part + 1) * N // parts
    pace, nyquist = float32(1.0 / hop), 0.5 * sample_rate
    for begin in range(0, H, THREADS):
        k = min(begin + i, H - 1)  # all must meet at the barriers
        phase = _fine(start_phase[b, k] / (2.0 * math.pi))
        n, s, r = start, 0, 0
        while n < stop:
            _, f_last = _ramp(s, hop, f_shift, T, start, stop)
            _, a_last = _ramp(r, hop, a_shift, T, start, stop)
            last = min(f_last, a_last)
            if n < first:
                last = min(last, first)
            hz, change, step, growth = _line(frequencies[b, :, k], s, n, hop, f_shift, sample_rate)
            if first <= n < last:
                below, above, place = _place(n, r, hop, a_shift, T)
                cuda.syncthreads()
                turns[0, i], turns[1, i], turns[2, i] = phase, step, growth
                lines[0, i], lines[1, i], lines[2, i], lines[3, i] = hz, change, ZERO, ZERO
                if frequencies[b, below, k] < nyquist:
                    lines[2, i] = amplitudes[b, below, k]
                if frequencies[b, above, k] < nyquist:
                    lines[3, i] = amplitudes[b, above, k]
                cuda.syncthreads()
                for m in range(n + i, last, THREADS):
                    before, total = float32(m - n), ZERO
                    v = _share(place, before, pace, hann)
                    for j in range(min(THREADS, H - begin)):
                        low, high = lines[2, j], lines[3, j]
                        sounds = lines[0, j] + before * lines[1, j] < float32(nyquist)
                        if sounds and (low != ZERO or high != ZERO):
                            theta = turns[0, j] + _along(turns[1, j], turns[2, j], m - n + 1)
                            total += (low + v * (high - low)) * math.sin(_fine_angle(theta))
                    audio[b, m - start] = total if begin == 0 else audio[b, m - start] + total
            phase += _along(step, growth, last - n)
            s += f_last == last
            r += a_last == last
            n = last
        if part == parts - 1 and begin + i < H:
            # 52 bits: with more, the last fraction would be rounded to a whole turn
            end_phase[b, k] = (phase << uint64(1) >> uint64(12)) * (2.0 * math.pi / 2.0**52)


@cuda.jit
def _sinusoidal_backward(
    d_audio, frequencies, amplitudes, end_phase, grid, sample_rate, d_f, d_a, d_start
):
    """Gradients of a partial, piece by piece from the end; as in _gather_f0 for each partial."""
    sums = cuda.shared.array((5, THREADS), float32)
    T, H = amplitudes.shape[1:]
    hop, f_shift, a_shift, start, hann = grid
    b, k, i = cuda.blockIdx.x // H, cuda.blockIdx.x % H, cuda.threadIdx.x
    f, stop, tail = frequencies[b, :, k], start + d_audio.shape[1], 0.0
    pace, nyquist, radians = float32(1.0 / hop), 0.5 * sample_rate, 2.0 * math.pi / sample_rate
    if i == 0:
        for t in range(T):
            d_f[b, t, k], d_a[b, t, k] = 0.0, ZERO
    phase = _fine(end_phase[b, k] / (2.0 * math.pi))
    last, s, r = stop, T, T
    while last > start:
        f_first, _ = _ramp(s, hop, f_shift, T, start, stop)
        a_first, _ = _ramp(r, hop, a_shift, T, start, stop)
        first = max(f_first, a_first)
        if first < last:
            hz, change, step, growth = _line(f, s, first, hop, f_shift, sample_rate)
            phase -= _along(step, growth, last - first)
            t, u, place = _place(first, r, hop, a_shift, T)
            low = amplitudes[b, t, k] if f[t] < nyquist else ZERO
            high = amplitudes[b, u, k] if f[u] < nyquist else ZERO
            plain, counted, growing, falling, rising = ZERO, ZERO, ZERO, ZERO, ZERO
            for m in range(first + i, last, THREADS):
                before = float32(m - first)
                if hz + before * change < float32(nyquist):
                    v = _share(place, before, pace, hann)
                    angle = _fine_angle(phase + _along(step, growth, m - first + 1))
                    sine = d_audio[b, m - start] * math.sin(angle)
                    slope = d_audio[b, m - start] * (low + v * (high - low)) * math.cos(angle)
                    plain += slope
                    counted += slope * (before + ONE)
                    growing += slope * (before + ONE) * before * HALF
                    falling += sine * (ONE - v)
                    rising += sine * v
            sums[0, i], sums[1, i], sums[2, i] = plain, counted, growing
            sums[3, i], sums[4, i] = falling, rising
            _tree(sums)
            if i == 0:
                count, (below, above) = last - first, _frames(s, T)
                total = sums[1, 0] + tail * count
                rise = sums[2, 0] + tail * (0.5 * count * (count - 1))
                rise = total * (first / hop + f_shift - below) + rise / hop
                d_f[b, above, k] += radians * rise
                d_f[b, below, k] += radians * (total - rise)
                tail += sums[0, 0]
                d_a[b, t, k] += sums[3, 0] if f[t] < nyquist else ZERO
                d_a[b, u, k] += sums[4, 0] if f[u] < nyquist else ZERO
            cuda.syncthreads()
        s -= f_first == first
        r -= a_first == first
        last = first
    if i == 0:
        d_start[b, k] = tail


@cuda.jit
def _end(phase, start_phase, end_phase):
    i = cuda.grid(1)
    B, H = end_phase.shape
    if i < B * H:
        b, k = i // H, i % H
        turns = uint32(phase[b, phase.shape[1] - 1] * uint32(k + 1)) / TURN
        turns += start_phase[b, k] / (2.0 * math.pi)
        turns -= math.floor(turns)
        end_phase[b, k] = 2.0 * math.pi * turns


def harmonic_phase(f0_hz, hop, shift, start, sample_rate, phase):
    """Running sum of the frequency in turns, as 32 bits of its fraction (eq. 4)."""
    B, T = f0_hz.shape
    _phase_of_frames[spread(B, THREADS)](f0_hz, hop, shift, start, sample_rate, phase)
    _phase_of_samples[launch(B * (T + 1), THREADS)](f0_hz, hop, shift, start, sample_rate, phase)


def harmonic_forward(f0_hz, amplitudes, start_phase, phase, grid, nyquist, scratch, audio):
    """Sum of harmonics (eq. 1). grid = (hop, frequency shift, amplitude shift, start, hann)."""
    _forward[spread(audio.size, THREADS)](
        f0_hz, amplitudes, start_phase, phase, grid, np.float32(nyquist), audio
    )


def harmonic_backward(
    d_audio, f0_hz, amplitudes, start_phase, phase, grid, nyquist, scratch, d_phase, d_segment
):
    """Gradients of eq. 1 (eqs. 5-7), still per sample and per segment."""
    B, T, _ = amplitudes.shape
    inputs = d_audio, f0_hz, amplitudes, start_phase, phase, grid, np.float32(nyquist)
    _slopes[spread(d_phase.size, THREADS)](*inputs, d_phase)
    _projections[launch(B * T, THREADS)](*inputs, d_segment)


def harmonic_gather(d_phase, d_segment, hop, shift, start, sample_rate, d_f0, d_amp, d_start):
    """Per-sample and per-segment gradients to those of the frames (eqs. 5-7)."""
    _gather_f0[launch(len(d_f0), THREADS)](d_phase, hop, shift, start, sample_rate, d_f0)
    _gather_amplitudes[spread(d_amp.size, THREADS)](d_segment, d_amp)
    if d_start.size:
        _gather_start[spread(d_start.size, THREADS)](d_segment, d_start)


def harmonic_end(phase, start_phase, end_phase):
    """Phases of the harmonics after the last sample, 0 to 2 pi: the start of the next block."""
    _end[spread(end_phase.size, THREADS)](phase, start_phase, end_phase)


def sinusoidal_forward(frequencies, amplitudes, start_phase, grid, sample_rate, end_phase, audio):
    """Sum of partials with frequencies of their own (eq. 10)."""
    B, N = audio.shape
    parts = min(PARTS, -(-N // THREADS))
    _sinusoidal_forward[launch(B * parts, THREADS)](
        frequencies, amplitudes, start_phase, grid, sample_rate, end_phase, audio
    )


def sinusoidal_backward(
    d_audio, frequencies, amplitudes, end_phase, grid, sample_rate, scratch, d_f, d_a, d_start
):
    """Gradients of eq. 10."""
    _sinusoidal_backward[launch(d_start.size, THREADS)](
        d_audio, frequencies, amplitudes, end_phase, grid, sample_rate, d_f, d_a, d_start
    )
