"""Resynthesis as a tool: other pitch, other time, other timbre, one take into another.

Each function takes HarmonicTracks and returns new ones, which `HarmonicTracks.resynthesize` renders
and `render` makes fit to be played. What an estimator measured besides f0, confidence, amplitudes
and phases does not hold for them and is left out.

Names: T frames, H harmonics.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from .checks import ParameterError, float_array, integer, number, one_of, same_shape
from .hints import Array, ArrayLike
from .plan import displacement_interpolation
from .tracks import HarmonicTracks

__all__ = [
    "harmonic_gains",
    "morph_tracks",
    "render",
    "scale_harmonics",
    "shift_pitch",
    "stretch_time",
]

SILENT = 1e-6  # of a frame's loudest harmonic: no gap in an envelope is deeper
PAUSE = 1e-8  # of the power of a take's loudest frame: no pause is softer when takes are morphed
FADE_S = 0.005
TAPER = 0.05  # of Nyquist: so far below it harmonics begin to fade

_GAIN = re.compile(
    r"(?:(?P<first>\d{1,6})(?P<range>-(?P<last>\d{0,6}))?|(?P<name>odd|even|all))"
    r":(?:(?P<db>[+-]?\d{1,3}(?:\.\d+)?)db|off)",
    re.IGNORECASE,
)


def shift_pitch(
    tracks: HarmonicTracks, semitones: float, *, envelope: Literal["keep", "move"] = "keep"
) -> HarmonicTracks:
    r"""Move f0, and choose what becomes of the timbre.

    Parameters
    ----------
    tracks : HarmonicTracks
        With amplitudes.
    semitones : float
        Twelve are an octave; from -48 to 48.
    envelope : {"keep", "move"}
        "keep": formants stay where they are. Harmonic k, at k r times the old f0, has the level
        that lies there on the straight lines that join the old harmonics, dB over Hz; that of
        harmonic 1 below it. Where the old harmonics end, so do the new ones, whose number changes.
        "move": harmonic k has the amplitude of harmonic k, so that formants move with f0.

    Returns
    -------
    HarmonicTracks
        With f0 times :math:`r = 2^{semitones / 12}`.

    Raises
    ------
    ParameterError
        If an argument breaks its rule, there are no amplitudes, or f0 would not be below half the
        sample rate.

    Notes
    -----
    Amplitudes of 0 count as 120 dB below the frame's loudest where an envelope is read. Phases
    advance with the frequencies: those of "keep" are read as the levels are, of "move" multiplied.

    Examples
    --------
    >>> from spectralot import HarmonicTracks, shift_pitch
    >>> tracks = HarmonicTracks(
    ...     [0.0], [100.0], [1.0], [[1.0, 0.1, 0.01, 0.001]], np.zeros((1, 4)), 8000, 8000
    ... )
    >>> shift_pitch(tracks, 12).amplitudes.round(6).tolist()
    [[0.1, 0.001]]
    >>> shift_pitch(tracks, 12, envelope="move")
    HarmonicTracks(T=1, H=4, 1.000 s at 8000 Hz, f0 200.000 to 200.000 Hz)
    """
    amplitudes = _need_amplitudes(tracks)
    ratio = 2 ** (number("semitones", semitones, minimum=-48, maximum=48) / 12)
    one_of("envelope", envelope, ("keep", "move"))
    f0_hz = ratio * tracks.f0_hz
    if envelope == "move":
        return _with(tracks, f0_hz=f0_hz, phases=_running(tracks.phases, ratio))
    a = amplitudes.astype(np.float64)
    H = a.shape[1]
    # a whole number of the old harmonics in spite of rounding, such as 4.9999999 for 5
    places = np.minimum(np.arange(1, max(1, int(H / ratio + 1e-9)) + 1) * ratio, H)
    loudest = a.max(axis=1, keepdims=True)
    floor = np.where(loudest > 0, np.maximum(SILENT * loudest, 1e-300), 1.0)
    levels = np.log(np.maximum(a, floor))
    levels = np.exp(_at(np.column_stack([levels[:, 0], levels]).T, places).T)
    levels[levels <= floor * (1 + 1e-9)] = 0.0
    phases = np.column_stack([np.zeros(len(a)), _running(tracks.phases)])
    return _with(tracks, f0_hz=f0_hz, amplitudes=levels, phases=_at(phases.T, places).T)


def stretch_time(tracks: HarmonicTracks, factor: float) -> HarmonicTracks:
    """Make a take longer or shorter, f0 and timbre left as they are.

    Parameters
    ----------
    tracks : HarmonicTracks
        With amplitudes.
    factor : float
        New duration over old, from 0.01 to 100.

    Returns
    -------
    HarmonicTracks
        Of `factor` times as many samples, to the nearest. A longer one has frames between the
        old ones, so that none lies further from the next than before.

    Raises
    ------
    ParameterError
        If an argument breaks its rule or there are no amplitudes.

    Notes
    -----
    All that changes in time does so more slowly or more quickly, vibrato and attacks included.
    Phases go on at the frequencies at which they did. Between the old frames f0 is linear and
    amplitudes go by raised cosines, which is what `HarmonicTracks.resynthesize` does.

    Examples
    --------
    >>> from spectralot import HarmonicTracks, stretch_time
    >>> tracks = HarmonicTracks(
    ...     [0.0, 0.5], [100.0, 110.0], [1.0, 1.0], [[0.5], [0.5]], [[0.0], [0.0]], 8000, 8000
    ... )
    >>> longer = stretch_time(tracks, 2)
    >>> longer.time_s.tolist(), longer.f0_hz.tolist(), longer.n_samples
    ([0.0, 0.5, 1.0], [100.0, 105.0, 110.0], 16000)
    """
    _need_amplitudes(tracks)
    factor = number("factor", factor, minimum=0.01, maximum=100)
    parts = int(np.ceil(factor))
    frames = np.arange((len(tracks.time_s) - 1) * parts + 1) / parts
    return _with(
        tracks, time_s=frames * (tracks.step_s * factor), f0_hz=_at(tracks.f0_hz, frames),
        confidence=_at(tracks.confidence, frames), voiced=_nearest(tracks.voiced, frames),
        amplitudes=_at(tracks.amplitudes, frames, smooth=True),
        phases=_at(_running(tracks.phases, factor), frames),
        n_samples=max(1, round(tracks.n_samples * factor)),
    )  # fmt: skip


def scale_harmonics(tracks: HarmonicTracks, gains: str | ArrayLike) -> HarmonicTracks:
    """Make harmonics louder or softer.

    Parameters
    ----------
    tracks : HarmonicTracks
        With amplitudes.
    gains : str or array_like, shape (H,)
        Text as `harmonic_gains` reads it, or linear factors of harmonics 1..H, not negative.

    Returns
    -------
    HarmonicTracks
        With other amplitudes.

    Raises
    ------
    ParameterError
        If `gains` breaks its rule or there are no amplitudes.

    Examples
    --------
    >>> from spectralot import HarmonicTracks, scale_harmonics
    >>> tracks = HarmonicTracks([0.0], [100.0], [1.0], [[1, 1, 1]], [[0, 0, 0]], 8000, 8000)
    >>> scale_harmonics(tracks, "1:-20dB even:off").amplitudes.tolist()
    [[0.1, 0.0, 1.0]]
    """
    amplitudes = _need_amplitudes(tracks)
    H = amplitudes.shape[1]
    if isinstance(gains, str):
        gains = harmonic_gains(gains, H)
    gains = float_array("gains", gains, 1)
    same_shape("gains", gains, (H,))
    if gains.min() < 0:
        raise ParameterError(f"gains must not be negative, got {gains.min():g}")
    return _with(tracks, amplitudes=amplitudes * gains)


def harmonic_gains(text: str, n_harmonics: int) -> Array:
    """Read gains from text such as "2:-6dB 3-8:-12dB 9-:off odd:+3dB".

    Parameters
    ----------
    text : str
        Terms WHICH:GAIN, parted by blanks or commas. WHICH: a harmonic such as 2, a range such as
        3-8, or 9- for all from the ninth on; odd, even or all. GAIN: a number of dB such as -6dB
        or +1.5dB, or off. Where terms overlap, their dB add up. Capitals make no difference.
    n_harmonics : int
        How many harmonics H there are. What is said of others is passed over.

    Returns
    -------
    ndarray, shape (H,), float64
        Linear factors; 1 where nothing is said.

    Raises
    ------
    ParameterError
        If a term is none; one line with the first that is not.

    Examples
    --------
    >>> from spectralot.resynth import harmonic_gains
    >>> harmonic_gains("2:-20dB, 3-:off", 4).tolist()
    [1.0, 0.1, 0.0, 0.0]
    """
    orders = np.arange(1, integer("n_harmonics", n_harmonics, 1) + 1)
    factors = np.ones(len(orders))
    terms = text.replace(",", " ").split()
    for term in terms or [text]:
        found = _GAIN.fullmatch(term)
        if not found:
            raise ParameterError(
                f"gains must be terms such as 2:-6dB, 3-8:-12dB, 9-:off or odd:+3dB, got {term!r}"
            )
        name = (found["name"] or "").lower()
        if name:
            chosen = {"all": orders > 0, "odd": orders % 2 == 1, "even": orders % 2 == 0}[name]
        else:
            first = last = int(found["first"])
            if found["range"]:
                last = int(found["last"] or max(first, len(orders)))
            if not 1 <= first <= last:
                raise ParameterError(f"harmonics must count upwards from 1, got {term!r}")
            chosen = (orders >= first) & (orders <= last)
        factors[chosen] *= 10 ** (float(found["db"]) / 20) if found["db"] else 0.0
    return factors


def morph_tracks(a: HarmonicTracks, b: HarmonicTracks, share: float) -> HarmonicTracks:
    r"""A take on its way from one to another, by transport of its harmonics.

    In each frame the amplitudes of both takes, as mass over the logarithm of frequency, move along
    the best transport plan: a formant that both have stays, one at 500 Hz becomes one at 1000 Hz
    by way of 707 Hz, and nothing fades in beside it.

    Parameters
    ----------
    a, b : HarmonicTracks
        With amplitudes.
    share : float
        0 is `a` itself, 1 is `b`.

    Returns
    -------
    HarmonicTracks
        As many harmonics as the take that has more, at the higher sample rate; n_samples and the
        step between frames go linearly from `a` to `b`.

    Raises
    ------
    ParameterError
        If an argument breaks its rule or there are no amplitudes.

    Notes
    -----
    Both takes are brought to one duration first, as `stretch_time` does; it does not look for
    attacks. f0 goes geometrically, so harmonic h becomes harmonic h at its own frequency, and mass
    over frequency and over the number of the harmonic have the same plan,
    `displacement_interpolation` over :math:`\log h`. Levels (power of a frame) go linearly in dB;
    silence counts as 80 dB below the take's loudest frame. Where a take is silent its f0 is
    interpolated between its sounding frames, and the timbre is the other's.

    Examples
    --------
    >>> from spectralot import HarmonicTracks, morph_tracks
    >>> low, high = (
    ...     HarmonicTracks([0.0], [f0], [1.0], [a], np.zeros((1, 4)), 8000, 8000)
    ...     for f0, a in ((100.0, [1, 0, 0, 0]), (400.0, [0, 0, 0, 0.01]))
    ... )
    >>> between = morph_tracks(low, high, 0.5)
    >>> float(between.f0_hz[0].round(6)), between.amplitudes[0].round(6).tolist()
    (200.0, [0.0, 0.1, 0.0, 0.0])
    """
    share = number("share", share, minimum=0, maximum=1)
    for take in (a, b):
        _need_amplitudes(take)
    if share in (0, 1):
        return (a, b)[int(share)]
    weights = np.array([1 - share, share])
    lengths_s = [take.n_samples / take.sample_rate for take in (a, b)]
    length_s = float(weights @ lengths_s)
    step_s = float(weights @ [take.step_s for take in (a, b)])
    time_s = step_s * np.arange(1 + int(length_s / step_s + 1e-9))
    rate = max(a.sample_rate, b.sample_rate)
    H = max(_need_amplitudes(take).shape[1] for take in (a, b))
    sides = [
        _resampled(take, time_s * (own_s / length_s) / take.step_s, length_s / own_s, H)
        for take, own_s in zip((a, b), lengths_s, strict=True)
    ]
    f0_hz, amplitudes, phases, confidence, voiced = zip(*sides, strict=True)
    between_hz = f0_hz[0] ** weights[0] * f0_hz[1] ** weights[1]
    ratios = [between_hz / own for own in f0_hz]
    moved = _moved(amplitudes[0], amplitudes[1], share)
    return _with(
        a, time_s=time_s, f0_hz=between_hz, amplitudes=moved,
        phases=_joined(phases, ratios, amplitudes, weights, moved),
        confidence=weights @ confidence, voiced=voiced[0] | voiced[1],
        sample_rate=rate, n_samples=max(1, round(length_s * rate)),
    )  # fmt: skip


def render(tracks: HarmonicTracks, sample_rate: int | None = None) -> tuple[Array, float]:
    """Render a take so that it can be played as it is.

    Parameters
    ----------
    tracks : HarmonicTracks
        With amplitudes.
    sample_rate : int, optional
        Samples per second of the result, in Hz; by default that of `tracks`.

    Returns
    -------
    audio : ndarray, shape (N,)
        The take as `HarmonicTracks.resynthesize` renders it, but for three things. Its first and
        last 5 ms fade in and out. Harmonics fade between 95 and 100 % of half the sample rate,
        where they would switch on and off. No sample is beyond full scale, which is 1.
    gain_db : float
        By how much all of it was made softer for that, in dB; 0 or below.

    Raises
    ------
    ParameterError
        If there are no amplitudes, or the sample rate is no whole number.

    Examples
    --------
    >>> from spectralot import HarmonicTracks
    >>> from spectralot.resynth import render
    >>> tracks = HarmonicTracks([0.0], [100.0], [1.0], [[2.0]], [[0.0]], 8000, 8000)
    >>> audio, gain_db = render(tracks, 16000)
    >>> audio.shape, float(abs(audio).max()), round(gain_db, 2)
    ((16000,), 1.0, -6.02)
    """
    amplitudes = _need_amplitudes(tracks)
    rate = integer("sample_rate", tracks.sample_rate if sample_rate is None else sample_rate, 1)
    n_samples = max(1, round(tracks.n_samples * rate / tracks.sample_rate))
    orders = np.arange(1, amplitudes.shape[1] + 1)
    room = (1 - np.outer(tracks.f0_hz, orders) / (0.5 * rate)) / TAPER
    audio = _with(
        tracks, amplitudes=amplitudes * np.clip(room, 0, 1), sample_rate=rate,
        n_samples=n_samples,
    ).resynthesize()  # fmt: skip
    n_fade = min(round(FADE_S * rate), n_samples // 2)
    if n_fade:
        ramp = np.sin(0.5 * np.pi * np.arange(n_fade) / n_fade).astype(audio.dtype) ** 2
        audio[:n_fade] *= ramp
        audio[-n_fade:] *= ramp[::-1]
    peak = float(np.abs(audio).max())
    if peak <= 1:
        return audio, 0.0
    return audio / peak, -20 * float(np.log10(peak))


def _need_amplitudes(tracks):
    if tracks.amplitudes is None:
        raise ParameterError("tracks must hold amplitudes and phases to be heard, got f0 alone")
    return tracks.amplitudes


def _with(tracks, **changed):
    """New tracks with these fields changed, and without what no longer holds."""
    same = (
        "time_s", "f0_hz", "confidence", "voiced", "amplitudes", "phases", "sample_rate",
        "n_samples", "settings",
    )  # fmt: skip
    fields = {name: getattr(tracks, name) for name in same} | changed
    fields["amplitudes"] = fields["amplitudes"].astype(tracks.amplitudes.dtype)
    fields["phases"] = _wrapped(fields["phases"]).astype(tracks.phases.dtype)
    # a guess at f0 where nothing sounds is no reason to refuse
    silent, highest = ~fields["amplitudes"].any(axis=1), 0.49 * fields["sample_rate"]
    fields["f0_hz"] = np.where(silent, np.minimum(fields["f0_hz"], highest), fields["f0_hz"])
    return HarmonicTracks(**fields)


def _at(values, places, *, smooth=False):
    """Values along the first axis, read between entries: linearly, or as Hann windows add up."""
    lower = np.minimum(places.astype(np.int64), len(values) - 1)
    upper = np.minimum(lower + 1, len(values) - 1)
    part = (places - lower).reshape(-1, *[1] * (values.ndim - 1))
    if smooth:
        part = np.sin(0.5 * np.pi * part) ** 2
    return (1 - part) * values[lower] + part * values[upper]


def _nearest(values, places):
    return values[np.minimum(np.rint(places).astype(np.int64), len(values) - 1)]


def _running(phases, factor=1.0):
    """Phases that go on from frame to frame the shortest way, `factor` times as far."""
    steps = factor * _wrapped(np.diff(phases.astype(np.float64), axis=0))
    return phases[0] + np.concatenate([0 * phases[:1], np.cumsum(steps, axis=0)])


def _wrapped(phases):
    return phases - 2 * np.pi * np.rint(phases / (2 * np.pi))


def _resampled(take, frames, factor, H):
    """f0, amplitudes, phases, confidence, voicing of a take at these frames, with H harmonics."""
    frames = np.minimum(frames, len(take.time_s) - 1)
    f0_hz, more = take.f0_hz.astype(np.float64), ((0, 0), (0, H - take.amplitudes.shape[1]))
    sounds = np.flatnonzero(take.amplitudes.any(axis=1))
    if len(sounds):
        f0_hz = np.exp(np.interp(np.arange(len(f0_hz)), sounds, np.log(f0_hz[sounds])))
    return (
        _at(f0_hz, frames),
        np.pad(_at(take.amplitudes, frames), more),
        np.pad(_at(_running(take.phases, factor), frames), more),
        _at(take.confidence, frames),
        _nearest(take.voiced, frames),
    )


def _moved(u, v, share):
    """Amplitudes on their way from u to v: the timbre by transport, the level in dB."""
    shapes = [x / np.maximum(x.sum(axis=1, keepdims=True), np.finfo(float).tiny) for x in (u, v)]
    positions = np.log(np.arange(1, u.shape[1] + 1))
    shape = displacement_interpolation(*shapes, share, positions=positions)
    power = [np.sum(x**2, axis=1) for x in (u, v)]
    power = [np.maximum(p, PAUSE * p.max()) for p in power]
    wanted = power[0] ** (1 - share) * power[1] ** share
    found = np.sum(shape**2, axis=1)
    return shape * np.sqrt(wanted / np.where(found > 0, found, 1.0))[:, None]


def _joined(phases, ratios, amplitudes, weights, moved):
    """Phases that advance as in both takes, by what of each harmonic comes from either.

    Where most of it came from elsewhere, what was measured here is noise, and it is f0 that counts.
    """
    loud = [w * a[1:] for w, a in zip(weights, amplitudes, strict=True)]
    all_of_it = np.maximum(loud[0] + loud[1], np.maximum(moved[1:], np.finfo(float).tiny))
    steps = 0.0
    for own, phi, ratio in zip(loud, phases, ratios, strict=True):
        steps = steps + own / all_of_it * ratio[1:, None] * np.diff(phi, axis=0)
    start = sum(w * phi[:1] for w, phi in zip(weights, phases, strict=True))
    return start + np.concatenate([0 * start, np.cumsum(steps, axis=0)])
