"""SPEAR's par-text-partials-format: after the head, two lines for each partial.

The first: number, points, start and end in seconds; the second: time, frequency and amplitude of
each point. Names: T frames, H harmonics.
"""

import numpy as np

from ..checks import ParameterError
from ..files import writing
from ._points import Points, as_number, check_size, rising, short, step_of

_HEAD = ("par-text-partials-format", "point-type time frequency amplitude", "partials-count")
_MOST = 1000  # harmonics
_APART = 0.25  # of f0, from its nearest multiple: no harmonic any more
_LOWEST_HZ = 0.001
_ON_GRID = 0.05  # of a step: times of 6 decimals are rounded


def write(tracks, path, *, overwrite=False):
    """One partial for each harmonic and stretch of frames that sound, at whole multiples of f0."""
    if tracks.amplitudes is None:
        raise ParameterError("tracks must hold amplitudes for spear, got f0 alone")
    time_s, f0_hz, amplitudes = (
        np.asarray(a, np.float64) for a in (tracks.time_s, tracks.f0_hz, tracks.amplitudes)
    )
    partials = []
    for first, stop in _runs(amplitudes.any(axis=1)):
        for h in range(1, 1 + amplitudes.shape[1]):
            for start, end in _runs(h * f0_hz[first:stop] < 0.5 * tracks.sample_rate):
                at = slice(first + start, first + end)
                partials.append(np.stack([time_s[at], h * f0_hz[at], amplitudes[at, h - 1]], 1))
    with writing(path, overwrite=overwrite) as part, open(part, "w", newline="\n") as file:
        file.write("\n".join(_HEAD) + f" {len(partials)}\npartials-data\n")
        for i, points in enumerate(partials):
            file.write(f"{i} {len(points)} {points[0, 0]:.6f} {points[-1, 0]:.6f}\n")
            line = " ".join(["%.6f %.6f %.9f"] * len(points)) % tuple(points.ravel())
            file.write(line + "\n")


def _runs(flags):
    """First and last + 1 of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(int)))
    return edges.reshape(-1, 2)


def read(path):
    """Partials near whole multiples of the lowest; f0 is the lowest, phases are 0."""
    partials = _partials(path)
    times = np.unique(np.concatenate([points[:, 0] for _, points in partials]))
    step_s, _ = step_of(max((points for _, points in partials), key=len)[:, 0])
    finer_s, _ = step_of(times)
    if abs(finer_s - step_s) < 0.01 * step_s:  # all partials stand on one grid
        step_s = finer_s
    last = times[-1] / step_s
    check_size(1 + last, len(times))
    n_frames = 1 + int(last + _ON_GRID)
    tones = [_on_frames(points, step_s) for _, points in partials]
    f0_hz = np.full(n_frames, np.inf)
    for frame, hz, _ in tones:
        f0_hz[frame] = np.minimum(f0_hz[frame], hz)
    orders = []
    for (where, _), (frame, hz, _) in zip(partials, tones, strict=True):
        ratio = hz / f0_hz[frame]
        off = (np.abs(ratio - np.rint(ratio)) > _APART) | (ratio > _MOST)
        if off.any():
            i = int(off.argmax())
            raise ParameterError(
                f"{where}: a partial must be a harmonic of the lowest, {f0_hz[frame[i]]:g} Hz at "
                f"{step_s * frame[i]:.3f} s, got {hz[i]:g} Hz"
            )
        orders.append(np.rint(ratio).astype(int))
    n_harmonics = max(order.max(initial=1) for order in orders)
    amplitudes = np.zeros((n_frames, n_harmonics))
    for order, (frame, _, amplitude) in zip(orders, tones, strict=True):
        np.add.at(amplitudes, (frame, order - 1), amplitude)
    f0_hz[np.isinf(f0_hz)] = 0.0
    return Points(step_s * np.arange(n_frames), f0_hz, amplitudes=amplitudes)


def _partials(path):
    """Where each partial stands in the file, and its times, frequencies and amplitudes."""
    with open(path, encoding="ascii") as file:
        lines = file.read().splitlines()
    for n, (line, head) in enumerate(zip([*lines, "", "", ""], _HEAD, strict=False), 1):
        if not line.startswith(head):
            raise ParameterError(f"line {n} must begin with {head!r}, got {short(line)}")
    n_partials = as_number(lines[2].removeprefix(_HEAD[2]), _HEAD[2], "line 3")
    body = [(f"line {n}", line.split()) for n, line in enumerate(lines[4:], 5) if line.strip()]
    partials = []
    for (_, head), (where, words) in zip(
        body[::2], [*body[1::2], ("its last line", [])], strict=False
    ):
        n_points = as_number(head[1] if len(head) > 1 else "", "number of points", where)
        if len(words) != 3 * n_points or not words:
            raise ParameterError(f"{where} must hold {3 * n_points:g} numbers, got {len(words)}")
        points = _numbers(words, where).reshape(-1, 3)
        rising(points[:, 0], lambda i, where=where: where)
        if points[:, 1].min() < _LOWEST_HZ or points[:, 2].min() < 0:
            raise ParameterError(
                f"{where}: frequencies must be at least {_LOWEST_HZ} Hz, amplitudes at least 0"
            )
        partials.append((where, points))
    if len(partials) != n_partials or not partials:
        raise ParameterError(f"line 3: it must hold {n_partials:g} partials, got {len(partials)}")
    return partials


def _numbers(words, where):
    """Millions of them, so one by one only where one is wrong."""
    try:
        values = np.array(words, np.float64)
    except ValueError:
        values = np.array([np.nan])
    if not np.isfinite(values).all():
        values = np.array([as_number(word, "a point", where) for word in words])
    return values


def _on_frames(points, step_s):
    """Frames that a partial covers, and its frequency and amplitude there."""
    place = points[:, 0] / step_s
    place = np.where(np.abs(place - np.rint(place)) < _ON_GRID, np.rint(place), place)
    frame = np.arange(np.ceil(place[0]), np.floor(place[-1]) + 1).astype(int)
    return frame, *(np.interp(frame, place, points[:, column]) for column in (1, 2))
