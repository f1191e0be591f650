"""Octaves settled over whole notes, where frames alone cannot tell.

Two rules, on the levels of those partials of the lower candidate that the higher one lacks
(docs/derivations/estimator.md, part 5):

- A note through which these never stand out of the noise belongs to the higher candidate.
- A note that leaps by an octave or a twelfth while it decays, without any of them breaking off, has
  not leapt: its odd partials have become weak, as those of plucked strings do.

Names: T frames, K partials.
"""

import numpy as np

from ._refine import measure, notes

NEVER_DB, CLEAR_DB = 4.0, 10.0  # over the noise: not there, and there
BROKEN_DB = 13.0  # partials that fall by more break off
REAPPEAR_DB = 6.0  # the same for a leap downwards
PRESENT_DB = (
    12.0  # over the noise, in the mean over a note: voices have rough halves 3 to 10 dB over it
)
HALVES_DB = -20.0  # odd partials of half of f0 against its even ones: it is f0
RISE_DB = 1.0  # a note that begins is louder than what was before
LEAST_S = 0.08  # a note, long enough to tell
NEAR_S, SEEN_S = 0.05, 0.5  # averages beside a leap; the note before it
TOLERANCE_CENTS = 60.0
RATIOS = (2, 3, 4)


def settle(x, begin, hop, rate, f0_hz, first, step_s, fmin, fmax):
    """Return f0 (T,) with octaves settled from frame `first` on; earlier frames are as they are."""
    f0_hz = _never_there(x, begin, hop, rate, f0_hz.copy(), first, step_s, fmin, fmax)
    starts, ends = notes(f0_hz)
    n = 1
    while n < len(starts):
        before, after = (starts[n - 1], ends[n - 1]), (starts[n], ends[n])
        n += 1
        if after[0] < first:
            continue
        ratio = f0_hz[after[0]] / f0_hz[before[1]]
        upwards = ratio > 1
        nearest = round(max(ratio, 1 / ratio))
        off = abs(1200 * np.log2(max(ratio, 1 / ratio) / nearest))
        if nearest not in RATIOS or off > TOLERANCE_CENTS or (not upwards and before[0] < first):
            continue
        changed = after if upwards else before
        if _same_note(x, begin, hop, rate, f0_hz, before, after, nearest, step_s):
            f0_hz[changed[0] : changed[1] + 1] /= nearest
            starts, ends = notes(f0_hz)
            n = max(1, int(np.searchsorted(starts, before[0])))
    return f0_hz


def _never_there(x, begin, hop, rate, f0_hz, first, step_s, fmin, fmax):
    """Raise notes whose own partials never stand out of the noise."""
    starts, ends = notes(f0_hz)
    if ends[-1] < first:
        return f0_hz
    levels = None
    for a, b in zip(starts, ends, strict=True):
        if a < first or (b - a) * step_s < LEAST_S:
            continue
        if levels is None:
            levels = measure(x, begin, hop, rate, f0_hz)
        # beside a note at half of f0 there is a leap, and leaps have a rule of their own
        beside = f0_hz[[max(a - 1, 0), min(b + 1, len(f0_hz) - 1)]]
        leaps = np.abs(1200 * np.log2(f0_hz[[a, b]] / (2 * beside))) < TOLERANCE_CENTS
        if not leaps.any() and _halves_there(x, begin, hop, rate, f0_hz, a, b, levels, fmin):
            f0_hz[a : b + 1] /= 2
            continue
        for ratio in RATIOS[:2]:
            own, shared, noise = _sums(levels, a, b, ratio)
            if ratio * f0_hz[a : b + 1].max() > fmax:
                continue
            if np.percentile(own / noise, 90) < _power(NEVER_DB):
                if np.median(shared / noise) > _power(CLEAR_DB):
                    f0_hz[a : b + 1] *= ratio
                    break
    return f0_hz


def _halves_there(x, begin, hop, rate, f0_hz, a, b, levels, fmin):
    """Whether the odd partials of half of f0 are there too, and not much weaker."""
    if f0_hz[a : b + 1].min() < 2 * fmin:
        return False
    between = (levels[1][a : b + 1] ** 2).sum(axis=1)
    all_of_it = (levels[0][a : b + 1] ** 2).sum(axis=1)
    if np.median(between / (all_of_it + 1e-20)) < _power(HALVES_DB):
        return False
    half = measure(x, begin - a * hop, hop, rate, 0.5 * f0_hz[a : b + 1])
    own, shared, noise = _sums(half, 0, b - a, 2)
    there = own.mean() / noise.mean() > _power(PRESENT_DB)
    return bool(there and np.median(own / shared) > _power(HALVES_DB))


def _same_note(x, begin, hop, rate, f0_hz, before, after, ratio, step_s):
    """Whether the partials that only the lower candidate has go on through the leap."""
    upwards = f0_hz[after[0]] > f0_hz[before[1]]
    seen = max(8, round(SEEN_S / step_s))
    low, high = max(before[0], before[1] - seen), min(after[1], after[0] + seen)
    leap = before[1] - low  # last frame before it
    part = f0_hz[low : high + 1].copy()
    part[leap + 1 if upwards else 0 : None if upwards else leap + 1] /= ratio
    lower = slice(0, leap + 1) if upwards else slice(leap + 1, len(part))
    if (lower.stop - lower.start) * step_s < LEAST_S:
        return False
    own, shared, noise = _sums(
        measure(x, begin - low * hop, hop, rate, part), 0, len(part) - 1, ratio
    )
    gap = max(2, int(np.ceil(2 / min(part[leap], part[leap + 1]) / step_s)))  # of the windows
    near = max(1, round(NEAR_S / step_s))
    left = slice(max(0, leap - gap - near), max(0, leap - gap) + 1)
    right = slice(min(len(part) - 1, leap + 1 + gap), leap + 2 + gap + near)
    fall = own[left].mean() / own[right].mean()
    fell = fall < _power(BROKEN_DB) if upwards else 1 / fall < _power(REAPPEAR_DB)
    rise = (own + shared)[right].mean() / (own + shared)[left].mean()
    clear = np.percentile(own[lower] / noise[lower], 75) > _power(CLEAR_DB)
    return bool(fell and rise < _power(RISE_DB) and clear)


def _sums(levels, a, b, ratio):
    """Power of partials not shared with ratio times f0, of those shared, of noise at the former."""
    amplitudes, between = levels[0][a : b + 1] ** 2, levels[1][a : b + 1] ** 2
    own = np.arange(1, amplitudes.shape[1] + 1) % ratio != 0
    noise = 0.5 * (between[:, :-1] + between[:, 1:]) * (amplitudes > 0)
    tiny = 1e-20
    return (
        amplitudes[:, own].sum(axis=1) + tiny,
        amplitudes[:, ~own].sum(axis=1) + tiny,
        noise[:, own].sum(axis=1) + tiny,
    )


def _power(level_db):
    return 10 ** (level_db / 10)
