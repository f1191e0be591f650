"""Praat's PitchTier as text, from the manual's page on its text files.

Numbers count that stand free or after an equals sign, and text in quotes; names are for people.
"""

import numpy as np

from ..checks import ParameterError
from ..files import writing
from ._points import Points, as_number, rising


def write(tracks, path, *, overwrite=False):
    """A point for each voiced frame, in the long form."""
    duration_s = tracks.n_samples / tracks.sample_rate
    points = np.column_stack([tracks.time_s, tracks.f0_hz])[tracks.voiced].astype(np.float64)
    lines = ['File type = "ooTextFile"', 'Object class = "PitchTier"', "", "xmin = 0 "]
    lines += [f"xmax = {max(duration_s, tracks.time_s[-1]):.9g} ", f"points: size = {len(points)} "]
    for i, (time_s, f0_hz) in enumerate(points, 1):
        lines += [f"points [{i}]:", f"    number = {time_s:.9g} ", f"    value = {f0_hz:.9g} "]
    with writing(path, overwrite=overwrite) as part:
        part.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")


def read(path):
    """Long, short or spreadsheet form."""
    with open(path, encoding="utf-8-sig") as file:
        lines = file.read().splitlines()
    texts = [line.split('"')[1] for line in lines if line.count('"') >= 2]
    if texts[:2] != ["ooTextFile", "PitchTier"]:
        raise ParameterError('line 1: a PitchTier must begin with "ooTextFile" and "PitchTier"')
    places, numbers = [], []
    for n, line in enumerate(lines, 1):
        name, equals, value = line.partition("=")
        if '"' in line or line.startswith("!") or (not equals and line.rstrip().endswith(":")):
            continue
        for word in (value if equals else line).split():
            what = name.strip() if equals else "what stands here"
            places.append(f"line {n}")
            numbers.append(as_number(word, what, places[-1]))
    if len(numbers) < 3:
        raise ParameterError("it must say xmin, xmax and the number of points")
    (_, duration_s, size), times, f0_hz = numbers[:3], numbers[3::2], numbers[4::2]
    if not len(times) == len(f0_hz) == size:
        raise ParameterError(
            f"{places[2]}: it must hold {size:g} points, got {(len(numbers) - 3) / 2:g}"
        )
    times = rising(times, lambda i: places[3 + 2 * i])
    return Points(times, np.array(f0_hz), duration_s=duration_s, sparse=True)
