"""Additive synthesis: loops over arrays (equations: docs/derivations/synth.md).

f0_hz, frequencies_hz (B,T[,H]) float64; amplitudes (B,T,H); audio (B,N) of the block;
start_phase, end_phase (B,H) radians. `hop` is the frame spacing in samples and may be
fractional; `shift` is the frame position of sample 0. Sample n of a block that begins at sample
`start` stands at frame position (start + n) / hop + shift, held beyond the first and last frame.
"""

import math

from numba import prange

from . import njit

TWO_PI = 2.0 * math.pi
PI_2_HIGH = 1.5707963267341256  # pi/2 to 33 bits, so that quadrant * PI_2_HIGH is exact
PI_2_LOW = 6.077100506506192e-11
CHUNK = 256  # samples worked on at once: a dozen such rows stay in the first-level cache
ROWS = 13  # scratch rows of CHUNK numbers per part, see the unpacking in the kernels


@njit
def _sincos(theta):
    """Sine and cosine of 0 <= theta < 2 pi to rounding, without branches (synth.md, eq. 9)."""
    quadrant = math.floor(theta * (2.0 / math.pi) + 0.5)
    r = (theta - quadrant * PI_2_HIGH) - quadrant * PI_2_LOW
    z = r * r
    s = -1.0 / 1307674368000.0 + z * (1.0 / 355687428096000.0)
    s = 1.0 / 6227020800.0 + z * s
    s = -1.0 / 39916800.0 + z * s
    s = 1.0 / 362880.0 + z * s
    s = -1.0 / 5040.0 + z * s
    s = 1.0 / 120.0 + z * s
    s = r + r * z * (-1.0 / 6.0 + z * s)
    c = -1.0 / 87178291200.0 + z * (1.0 / 20922789888000.0)
    c = 1.0 / 479001600.0 + z * c
    c = -1.0 / 3628800.0 + z * c
    c = 1.0 / 40320.0 + z * c
    c = -1.0 / 720.0 + z * c
    c = 1.0 / 24.0 + z * c
    c = 1.0 - z * (0.5 - z * c)
    q = int(quadrant)
    swap = q & 1
    sine = c if swap == 1 else s
    cosine = s if swap == 1 else c
    sine = -sine if (q & 2) == 2 else sine
    cosine = -cosine if ((q + 1) & 2) == 2 else cosine
    return sine, cosine


@njit
def _position(n, hop, shift, n_frames):
    """Frame below, frame above and weight of the one above, for sample n (synth.md, eq. 2)."""
    position = min(max(n / hop + shift, 0.0), n_frames - 1.0)
    below = int(position)
    return below, min(below + 1, n_frames - 1), position - below


@njit
def _blend(weight, hann):
    """Share of the frame above: linear, or the rising half of a Hann window (eq. 3)."""
    _, cosine = _sincos(math.pi * weight)
    return 0.5 - 0.5 * cosine if hann else weight


@njit
def _segment(index, hop, shift, n_frames, start, stop):
    """Samples [first, last) of the block whose frame below is `index`."""
    first = 0 if index == 0 else math.ceil((index - shift) * hop)
    last = stop if index == n_frames - 1 else math.ceil((index + 1 - shift) * hop)
    return max(first, start), min(last, stop)


@njit
def _prepare(phase, weight, position, step, hann, waves):
    """Seeds of the recurrence (sine and cosine of harmonics 0 and 1) and the frame weights.

    `position` is the first sample's place between its two frames, `step` that of one sample.
    """
    L = weight.shape[0]
    sine0, sine1, cosine0, cosine1, twice = waves
    for i in range(L):
        s, c = _sincos(phase[i])
        sine1[i] = s
        cosine1[i] = c
    for i in range(L):
        sine0[i] = 0.0
        cosine0[i] = 1.0
        twice[i] = 2.0 * cosine1[i]
    for i in range(L):
        weight[i] = _blend(min(max(position + i * step, 0.0), 1.0), hann)


@njit
def _frequency(f0, n_orders, first, hop, shift, nyquist, frequency):
    """Highest f0 of a chunk's frames; f0 of its samples, if a harmonic might reach Nyquist."""
    n_frames, L = f0.shape[0], frequency.shape[0]
    low, _, _ = _position(first, hop, shift, n_frames)
    _, high, _ = _position(first + L - 1, hop, shift, n_frames)
    highest = 0.0
    for t in range(low, high + 1):
        highest = max(highest, f0[t])
    if n_orders * highest >= nyquist:
        for i in range(L):
            below, above, w = _position(first + i, hop, shift, n_frames)
            frequency[i] = f0[below] + w * (f0[above] - f0[below])
    return highest


@njit
def _mask(h, frequency, nyquist, mask):
    """1 where harmonic h stands below Nyquist, else 0."""
    for i in range(mask.shape[0]):
        mask[i] = 1.0 if h * frequency[i] < nyquist else 0.0


@njit
def _advance(wave0, wave1, twice):
    """Overwrite sine or cosine of harmonic h - 1 by that of h + 1, given that of h (eq. 8)."""
    for i in range(twice.shape[0]):
        wave0[i] = twice[i] * wave1[i] - wave0[i]


@njit
def _projections(wave, x, y):
    """Sums of wave * x and of wave * y, four running sums each: a fixed order that vectorises."""
    x0, x1, x2, x3 = 0.0, 0.0, 0.0, 0.0
    y0, y1, y2, y3 = 0.0, 0.0, 0.0, 0.0
    whole = wave.shape[0] // 4 * 4
    for i in range(0, whole, 4):
        x0 += wave[i] * x[i]
        x1 += wave[i + 1] * x[i + 1]
        x2 += wave[i + 2] * x[i + 2]
        x3 += wave[i + 3] * x[i + 3]
        y0 += wave[i] * y[i]
        y1 += wave[i + 1] * y[i + 1]
        y2 += wave[i + 2] * y[i + 2]
        y3 += wave[i + 3] * y[i + 3]
    for i in range(whole, wave.shape[0]):
        x0 += wave[i] * x[i]
        y0 += wave[i] * y[i]
    return (x0 + x1) + (x2 + x3), (y0 + y1) + (y2 + y3)


@njit
def _add_wave(low, rise, weight, p, sine, q, cosine, out):
    """out += (low + weight * rise) * (p sine + q cosine)."""
    if q == 0.0:
        low *= p
        rise *= p
        for i in range(out.shape[0]):
            out[i] += (low + weight[i] * rise) * sine[i]
    else:
        for i in range(out.shape[0]):
            out[i] += (low + weight[i] * rise) * (p * sine[i] + q * cosine[i])


@njit
def _any(x):
    """Whether any number is not 0."""
    found = False
    for k in range(x.shape[0]):
        found |= x[k] != 0.0
    return found


@njit(parallel=True, cache=True, nogil=True)
def harmonic_phase(f0_hz, hop, shift, start, sample_rate, phase):
    """Running sum of the angular frequency, wrapped to [0, 2 pi) (eq. 4)."""
    B, N = phase.shape
    T = f0_hz.shape[1]
    step = TWO_PI / sample_rate
    for b in prange(B):
        theta = 0.0
        for n in range(N):
            below, above, w = _position(start + n, hop, shift, T)
            theta += step * (f0_hz[b, below] + w * (f0_hz[b, above] - f0_hz[b, below]))
            if theta >= TWO_PI:
                theta -= TWO_PI
            phase[b, n] = theta


@njit(parallel=True, cache=True, nogil=True)
def harmonic_forward(f0_hz, amplitudes, start_phase, phase, grid, nyquist, scratch, audio):
    """Sum of harmonics (eq. 1). grid = (hop, frequency shift, amplitude shift, start, hann)."""
    B, N = audio.shape
    T, H = amplitudes.shape[1:]
    hop, f_shift, a_shift, start, hann = grid
    parts = scratch.shape[0]
    for part in prange(parts):
        for job in range(part * B * T // parts, (part + 1) * B * T // parts):
            b, t = job // T, job % T
            u = min(t + 1, T - 1)
            phased = _any(start_phase[b])  # else the cosines are not needed
            first, stop = _segment(t, hop, a_shift, T, start, start + N)
            while first < stop:
                L = min(CHUNK, stop - first)
                at = first - start  # index within the block
                rows = scratch[part]  # one contiguous slice a row: others would not vectorise
                sine0, sine, cosine0, cosine = rows[0, :L], rows[1, :L], rows[2, :L], rows[3, :L]
                twice, weight, total, mask = rows[4, :L], rows[5, :L], rows[6, :L], rows[7, :L]
                wave, frequency = rows[8, :L], rows[9, :L]
                waves = (sine0, sine, cosine0, cosine, twice)
                position = first / hop + a_shift - t
                _prepare(phase[b, at : at + L], weight, position, 1.0 / hop, hann, waves)
                highest = _frequency(f0_hz[b], H, first, hop, f_shift, nyquist, frequency)
                total[:] = 0.0
                for k in range(H):
                    h = k + 1
                    if h * min(f0_hz[b, t], f0_hz[b, u]) >= nyquist:
                        break  # this and all higher ones are silent
                    low = amplitudes[b, t, k] if h * f0_hz[b, t] < nyquist else 0.0
                    high = amplitudes[b, u, k] if h * f0_hz[b, u] < nyquist else 0.0
                    if low != 0.0 or high != 0.0:
                        p, q = math.cos(start_phase[b, k]), math.sin(start_phase[b, k])
                        if h * highest >= nyquist:
                            _mask(h, frequency, nyquist, mask)
                            wave[:] = 0.0
                            _add_wave(low, high - low, weight, p, sine, q, cosine, wave)
                            for i in range(L):
                                total[i] += mask[i] * wave[i]
                        else:
                            _add_wave(low, high - low, weight, p, sine, q, cosine, total)
                    _advance(sine0, sine, twice)
                    sine0, sine = sine, sine0
                    if phased:
                        _advance(cosine0, cosine, twice)
                        cosine0, cosine = cosine, cosine0
                for i in range(L):
                    audio[b, at + i] = total[i]
                first += L


@njit(parallel=True, cache=True, nogil=True)
def harmonic_backward(
    d_audio, f0_hz, amplitudes, start_phase, phase, grid, nyquist, scratch, d_phase, d_segment
):
    """Gradients of eq. 1 (eqs. 5-7), still per sample and per segment.

    d_phase (B,N) with respect to the fundamental's phase; d_segment (B,T,2 or 3,H) with respect
    to the amplitude below, above, and, if asked for, the start phase, by one segment's samples.
    """
    B, N = d_phase.shape
    T, H = amplitudes.shape[1:]
    hop, f_shift, a_shift, start, hann = grid
    parts = scratch.shape[0]
    for part in prange(parts):
        for job in range(part * B * T // parts, (part + 1) * B * T // parts):
            b, t = job // T, job % T
            u = min(t + 1, T - 1)
            first, stop = _segment(t, hop, a_shift, T, start, start + N)
            d_segment[b, t] = 0.0
            phased = d_segment.shape[2] == 3  # else no start phases were given, and all are 0
            while first < stop:
                L = min(CHUNK, stop - first)
                at = first - start  # index within the block
                rows = scratch[part]
                sine0, sine, cosine0, cosine = rows[0, :L], rows[1, :L], rows[2, :L], rows[3, :L]
                twice, weight, mask, wave = rows[4, :L], rows[5, :L], rows[6, :L], rows[7, :L]
                waves = (sine0, sine, cosine0, cosine, twice)
                position = first / hop + a_shift - t
                _prepare(phase[b, at : at + L], weight, position, 1.0 / hop, hann, waves)
                slope, g = d_phase[b, at : at + L], d_audio[b, at : at + L]
                falling, rising, total = rows[8, :L], rows[9, :L], rows[10, :L]
                frequency, masked = rows[11, :L], rows[12, :L]
                highest = _frequency(f0_hz[b], H, first, hop, f_shift, nyquist, frequency)
                for i in range(L):
                    rising[i] = g[i] * weight[i]
                    falling[i] = g[i] - rising[i]
                total[:] = 0.0
                for k in range(H):
                    h = k + 1
                    if h * min(f0_hz[b, t], f0_hz[b, u]) >= nyquist:
                        break  # this and all higher ones are silent
                    low_on, high_on = h * f0_hz[b, t] < nyquist, h * f0_hz[b, u] < nyquist
                    if low_on or high_on:
                        low = amplitudes[b, t, k] if low_on else 0.0
                        high = amplitudes[b, u, k] if high_on else 0.0
                        p, q = math.cos(start_phase[b, k]), math.sin(start_phase[b, k])
                        s, c = sine, cosine
                        if h * highest >= nyquist:
                            _mask(h, frequency, nyquist, mask)
                            s, c = masked, wave
                            for i in range(L):
                                s[i] = mask[i] * sine[i]
                                c[i] = mask[i] * cosine[i]
                        s_falling, s_rising = _projections(s, falling, rising)
                        c_falling, c_rising = 0.0, 0.0
                        if phased:
                            c_falling, c_rising = _projections(c, falling, rising)
                        if low_on:
                            d_segment[b, t, 0, k] += p * s_falling + q * c_falling
                        if high_on:
                            d_segment[b, t, 1, k] += p * s_rising + q * c_rising
                        if d_segment.shape[2] == 3:
                            d_segment[b, t, 2, k] += low * (p * c_falling - q * s_falling)
                            d_segment[b, t, 2, k] += high * (p * c_rising - q * s_rising)
                        _add_wave(h * low, h * (high - low), weight, p, c, -q, s, total)
                    _advance(sine0, sine, twice)
                    _advance(cosine0, cosine, twice)
                    sine0, sine, cosine0, cosine = sine, sine0, cosine, cosine0
                for i in range(L):
                    slope[i] = g[i] * total[i]
                first += L


@njit(parallel=True, cache=True, nogil=True)
def harmonic_gather(d_phase, d_segment, hop, shift, start, sample_rate, d_f0, d_amp, d_start):
    """Per-sample and per-segment gradients to those of the frames (eqs. 5-7)."""
    B, N = d_phase.shape
    T, H = d_amp.shape[1:]
    step = TWO_PI / sample_rate
    for b in prange(B):
        for t in range(T):
            d_f0[b, t] = 0.0
        tail = 0.0
        for n in range(N - 1, -1, -1):
            tail += d_phase[b, n]
            below, above, w = _position(start + n, hop, shift, T)
            d_f0[b, below] += step * tail * (1.0 - w)
            d_f0[b, above] += step * tail * w
        for k in range(H):
            for t in range(T):
                total = d_segment[b, t, 0, k]
                if t > 0:
                    total += d_segment[b, t - 1, 1, k]
                if t == T - 1:
                    total += d_segment[b, t, 1, k]
                d_amp[b, t, k] = total
        for k in range(d_start.shape[1]):
            d_start[b, k] = 0.0
            for t in range(T):
                d_start[b, k] += d_segment[b, t, 2, k]


@njit(cache=True, nogil=True)
def harmonic_end(phase, start_phase, end_phase):
    """Phases of the harmonics after the last sample, 0 to 2 pi: the start of the next block."""
    B, H = end_phase.shape
    for b in range(B):
        for k in range(H):
            end_phase[b, k] = (start_phase[b, k] + (k + 1) * phase[b, -1]) % TWO_PI


@njit(parallel=True, cache=True, nogil=True)
def sinusoidal_forward(frequencies, amplitudes, start_phase, grid, sample_rate, end_phase, audio):
    """Sum of partials with frequencies of their own (eq. 10)."""
    B, N = audio.shape
    T, H = amplitudes.shape[1:]
    hop, f_shift, a_shift, start, hann = grid
    step, nyquist = TWO_PI / sample_rate, 0.5 * sample_rate
    for b in prange(B):
        f, a, theta = frequencies[b], amplitudes[b], end_phase[b]
        for k in range(H):
            theta[k] = start_phase[b, k] - TWO_PI * math.floor(start_phase[b, k] / TWO_PI)
        for n in range(N):
            t, u, w = _position(start + n, hop, f_shift, T)
            t_a, u_a, v = _position(start + n, hop, a_shift, T)
            v = _blend(v, hann)
            total = 0.0
            for k in range(H):
                f_n = f[t, k] + w * (f[u, k] - f[t, k])
                theta[k] += step * f_n
                theta[k] -= TWO_PI * math.floor(theta[k] / TWO_PI)
                low = a[t_a, k] if f[t_a, k] < nyquist else 0.0
                high = a[u_a, k] if f[u_a, k] < nyquist else 0.0
                sine, _ = _sincos(theta[k])
                total += (low + v * (high - low)) * sine if f_n < nyquist else 0.0
            audio[b, n] = total


@njit(parallel=True, cache=True, nogil=True)
def sinusoidal_backward(
    d_audio, frequencies, amplitudes, end_phase, grid, sample_rate, scratch, d_f, d_a, d_start
):
    """Gradients of eq. 10, walking the phases backwards; scratch (B,2,H)."""
    B, N = d_audio.shape
    T, H = amplitudes.shape[1:]
    hop, f_shift, a_shift, start, hann = grid
    step, nyquist = TWO_PI / sample_rate, 0.5 * sample_rate
    for b in prange(B):
        f, a, theta, tail = frequencies[b], amplitudes[b], scratch[b, 0], scratch[b, 1]
        for k in range(H):
            theta[k] = end_phase[b, k]
            tail[k] = 0.0
        for t in range(T):
            for k in range(H):
                d_f[b, t, k] = 0.0
                d_a[b, t, k] = 0.0
        for n in range(N - 1, -1, -1):
            t, u, w = _position(start + n, hop, f_shift, T)
            t_a, u_a, v = _position(start + n, hop, a_shift, T)
            v = _blend(v, hann)
            g = d_audio[b, n]
            for k in range(H):
                f_n = f[t, k] + w * (f[u, k] - f[t, k])
                low_on = 1.0 if f[t_a, k] < nyquist else 0.0
                high_on = 1.0 if f[u_a, k] < nyquist else 0.0
                low = low_on * a[t_a, k]
                rise = high_on * a[u_a, k] - low
                sine, cosine = _sincos(theta[k])
                g_n = g if f_n < nyquist else 0.0
                tail[k] += g_n * (low + v * rise) * cosine
                d_f[b, t, k] += step * tail[k] * (1.0 - w)
                d_f[b, u, k] += step * tail[k] * w
                d_a[b, t_a, k] += g_n * sine * (1.0 - v) * low_on
                d_a[b, u_a, k] += g_n * sine * v * high_on
                theta[k] -= step * f_n
                theta[k] -= TWO_PI * math.floor(theta[k] / TWO_PI)
        for k in range(H):
            d_start[b, k] = tail[k]
