"""Lines and bands as SVG that stretches with the screen, and the figure around them.

Places run from 0 to 1, to the right and upwards; colours stand in page.css.
"""

from html import escape

import numpy as np

WIDTH, HEIGHT = 20000, 4000  # units of an SVG: finer than a screen's pixels, zoomed in
COLUMNS = 2000  # instants drawn at most, a minimum and a maximum each
THIN = 'vector-effect="non-scaling-stroke"'


def figure(key, title, legend, words, picture, ticks, style=""):
    """A picture with its heading and the labels of its axis; HTML but for `words`, which say it."""
    labels = "".join(
        f'<span style="top:calc(var(--height) * {1 - place:.4f})">{minus(text)}</span>'
        for text, place in ticks
    )
    return f"""<figure id="{key}" aria-labelledby="{key}-title" style="{style}">
<figcaption><h2 id="{key}-title">{title}</h2>{legend}</figcaption>
<div class="row"><div class="labels" aria-hidden="true">{labels}</div>
<div class="across"><div class="plot" role="img" aria-label="{escape(words)}">{picture}</div>
<div class="times" aria-hidden="true"></div></div></div>
</figure>
"""


def minus(number):
    """A number's text with the sign that is as wide as a plus."""
    return number.replace("-", "\N{MINUS SIGN}")


def legend(**keys):
    """Words beside the colours that page.css gives to their classes."""
    return "".join(f'<span class="key {key}">{escape(text)}</span>' for key, text in keys.items())


def svg(drawn, ticks=(), height=HEIGHT):
    """What is drawn, over a line for each tick."""
    grid = "".join(f"M0 {round(height * (1 - place))}h{WIDTH}" for _, place in ticks)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="grid" d="{grid}" {THIN}/>{drawn}</svg>'
    )


def line(style, x, y):
    """A line of this class, broken where y is NaN; what stands alone is a dot."""
    return f'<path class="{style} line" d="{outline(*thin(x, y))}" {THIN}/>'


def dots(style, x, y):
    """A dot wherever y is a number."""
    px, py = _units(*thin(x, y), HEIGHT)
    points = zip(px.tolist(), py.tolist(), strict=True)
    drawn = "".join(f"M{across:.0f} {down:.0f}h0" for across, down in points if down == down)
    return f'<path class="{style} line" d="{drawn}" {THIN}/>'


def band(style, x, low, high):
    """What lies between two lines, broken where one is NaN."""
    if len(x) > 2 * COLUMNS:
        (_, low, _), (x, _, high) = columns(x, low), columns(x, high)
    known = np.flatnonzero(~np.isnan(low + high))
    drawn = ""
    for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        if len(run):
            back = run[::-1]
            drawn += outline(np.append(x[run], x[back]), np.append(high[run], low[back])) + "Z"
    return f'<path class="{style} band" d="{drawn}"/>'


def outline(x, y, height=HEIGHT):
    """The path through points, broken where y is NaN."""
    px, py = _units(x, y, height)
    same = (py[:-2] == py[1:-1]) & (py[1:-1] == py[2:])
    kept = ~np.concatenate([[False], same, [False]])[: len(py)]
    drawn, last = [], None
    for across, down in zip(px[kept].tolist(), py[kept].tolist(), strict=True):
        if down != down:
            last = None
        elif last is None:
            drawn.append(f"M{across:.0f} {down:.0f}h0")
            last = across, down
        else:
            drawn.append(f"l{across - last[0]:.0f} {down - last[1]:.0f}")
            last = across, down
    return "".join(drawn)


def thin(x, y):
    """The same line to the eye, of no more points than a screen shows."""
    if len(y) <= 2 * COLUMNS:
        return x, y
    middle, low, high = columns(x, y)
    return np.repeat(middle, 2), np.column_stack([low, high]).ravel()


def columns(x, y, n_columns=COLUMNS):
    """Place, minimum and maximum of columns of points; NaN where a column holds nothing else."""
    n_columns = min(n_columns, len(y))
    first = np.arange(n_columns) * len(y) // n_columns
    middle = np.add.reduceat(x, first) / np.diff(first, append=len(y))
    return middle, np.fmin.reduceat(y, first), np.fmax.reduceat(y, first)


def _units(x, y, height):
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return (WIDTH * x).round(), (height * (1 - y.clip(-1, 2))).round()
