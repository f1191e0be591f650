"""The estimator's parts by plain loops and sums in float64: one frame, one candidate at a time."""

import itertools
import math

import numpy as np

PRIMES = [1, *(n for n in range(2, 80) if all(n % d for d in range(2, n)))]


def erb_number(hz):
    return 21.4 * math.log10(1 + hz / 229.0)


def erb_hz(number):
    return 229.0 * (10 ** (number / 21.4) - 1)


def hann(length):
    """Hann window of `length` samples, none of which is 0."""
    return np.array(
        [0.5 - 0.5 * math.cos(2 * math.pi * (i + 1) / (length + 1)) for i in range(length)]
    )


def frame(x, start, window):
    """Windowed samples from `start` on; zeros beyond the sound."""
    values = [x[n] if 0 <= n < len(x) else 0.0 for n in range(start, start + len(window))]
    return np.array(values, np.float64) * window


def magnitudes(row, n_fft, n_bins):
    """Magnitudes of the first bins, by the definition of the transform."""
    angle = 2 * math.pi / n_fft * np.outer(np.arange(n_bins), np.arange(len(row)))
    return np.hypot(np.cos(angle) @ row, np.sin(angle) @ row)


def lobe(q):
    """What a harmonic kernel is worth at q times f0, before decay and norm."""
    total = 0.0
    for prime in PRIMES:
        off = abs(q - prime)
        if off < 0.25:
            total += math.cos(2 * math.pi * q)
        elif off < 0.75:
            total += 0.5 * math.cos(2 * math.pi * q)
    return total


def harmonic_kernel(axis_hz, f0_hz, decay):
    """Kernel of one candidate on the axis: norm 1 of what is above 0."""
    kernel = [lobe(hz / f0_hz) * hz**-decay for hz in axis_hz]
    norm = math.sqrt(sum(max(k, 0.0) ** 2 for k in kernel))
    return [k / norm for k in kernel]


def specific_loudness(magnitude, bin_hz, axis_hz, noise):
    """Roots of magnitudes read on the axis, less noise, and they themselves, each with norm 1."""
    values = []
    for hz, level in zip(axis_hz, noise, strict=True):
        below = min(int(hz / bin_hz), len(magnitude) - 2)
        share = hz / bin_hz - below
        m = (1 - share) * magnitude[below] + share * magnitude[below + 1]
        values.append(m**3 / (m**2 + level**2 + 1e-30))
    root, plain = math.sqrt(sum(values)), math.sqrt(sum(v**2 for v in values))
    if root <= 1e-6:
        return [0.0 for _ in values]
    return [0.6 * math.sqrt(v) / root + 0.4 * v / plain for v in values]


def correlation(magnitude, n_fft, lag, window):
    """Normalised autocorrelation at a lag of any fraction, as a sum of the bins' cosines."""

    def at(power, lag):
        total = power[0]
        for k in range(1, len(power)):
            twice = 1 if 2 * k == n_fft else 2
            total += twice * power[k] * math.cos(2 * math.pi * k * lag / n_fft)
        return total

    power = np.square(magnitude)
    if at(power, 0.0) <= 0.0:
        return 0.0
    own = [float(np.dot(window[: len(window) - n], window[n:])) for n in range(len(window))]
    envelope = np.interp(lag, np.arange(len(own)), own) / own[0]
    return at(power, lag) / at(power, 0.0) / max(envelope, 0.05)


def less_ridge(correlations):
    """What each correlation has above the lowest one of shorter lags; lags fall with the index."""
    out, lowest = np.zeros(len(correlations)), 1.0
    for c in reversed(range(len(correlations))):
        lowest = min(lowest, correlations[c])
        out[c] = max(min(correlations[c], 1.0) - max(lowest, 0.0), 0.0)
    return out


def viterbi(rewards, move, jump):
    """Best path and its score, over all pairs of candidates in every step."""
    rewards = np.asarray(rewards, np.float64)
    T, C = rewards.shape
    score, came = [list(rewards[0])], []
    for t in range(1, T):
        row, origins = [], []
        for c in range(C):
            reached = [score[-1][d] - min(move * abs(c - d), jump) for d in range(C)]
            best = max(range(C), key=lambda d: reached[d])
            row.append(reached[best] + rewards[t, c])
            origins.append(best)
        score.append(row)
        came.append(origins)
    path = [max(range(C), key=lambda c: score[-1][c])]
    for origins in reversed(came):
        path.append(origins[path[-1]])
    return path[::-1], max(score[-1])


def path_score(rewards, path, move, jump):
    total = float(rewards[0][path[0]])
    for t in range(1, len(path)):
        total += float(rewards[t][path[t]]) - min(move * abs(path[t] - path[t - 1]), jump)
    return total


def cycles_at(f0_hz, hop, rate, places):
    """Cycles since frame 0 at samples `places`: f0 linear between frames, in small steps."""
    fine = np.arange(0, (len(f0_hz) - 1) * hop + 1e-9, hop / 512)
    f0 = np.interp(fine / hop, np.arange(len(f0_hz)), f0_hz)
    steps = 0.5 * (f0[1:] + f0[:-1]) * (hop / 512) / rate
    return np.interp(places, fine, np.concatenate([[0.0], np.cumsum(steps)]))


def projection(y, centre, periods, per_period, k):
    """Amplitude and phase of partial k (halves lie between) at a whole sample of warped sound."""
    length = periods * per_period
    total, weights = 0.0, 0.0
    for i in range(length):
        w = 0.5 - 0.5 * math.cos(2 * math.pi * i / length)
        angle = 2 * math.pi * k * (i - length // 2) / per_period
        total += w * float(y[centre - length // 2 + i]) * complex(math.cos(angle), -math.sin(angle))
        weights += w
    return 2 * abs(total) / weights, math.atan2(total.imag, total.real)


def offset_hz(y, centre, periods, per_period, k, f0_hz):
    """How far partial k lies above k f0: its phase differentiated under the window."""
    length, z, d = periods * per_period, 0.0, 0.0
    for i in range(length):
        angle = 2 * math.pi * k * i / per_period
        turned = float(y[centre - length // 2 + i]) * complex(math.cos(angle), -math.sin(angle))
        z += turned * (0.5 - 0.5 * math.cos(2 * math.pi * i / length))
        d += turned * (math.pi / length) * math.sin(2 * math.pi * i / length)
    # z turns with the offset; its window's slope d = -2 pi i offset z
    return float((1j * d / z).real) / (2 * math.pi) * per_period * f0_hz


def posterior(logits, change):
    """Probability of "voiced" in each frame, as a sum over all 2^T courses."""
    T = len(logits)
    total, voiced = 0.0, np.zeros(T)
    for course in itertools.product((0, 1), repeat=T):
        weight = 1.0
        for t, state in enumerate(course):
            if t:
                weight *= change if state != course[t - 1] else 1 - change
            weight *= math.exp(logits[t]) if state else 1.0
        total += weight
        voiced += weight * np.array(course)
    return voiced / total


def running_phase(f0_hz, hop, rate):
    """Phase at each frame: the sum of 2 pi f0 / rate over all samples up to it, itself included."""
    phases = []
    for t in range(len(f0_hz)):
        whole = math.floor(t * hop)
        total = 0.0
        for n in range(whole + 1):
            place = min(n / hop, len(f0_hz) - 1)
            below = min(int(place), len(f0_hz) - 2) if len(f0_hz) > 1 else 0
            after = f0_hz[below + 1] if len(f0_hz) > 1 else f0_hz[0]
            total += f0_hz[below] + (place - below) * (after - f0_hz[below])
        phases.append(2 * math.pi * (total + f0_hz[t] * (t * hop - whole)) / rate)
    return np.array(phases)
