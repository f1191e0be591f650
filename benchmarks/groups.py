"""The groups of benchmarks.material: each function draws one sound."""

import numpy as np

from .sounds import (
    FINE,
    STEP_S,
    VOWELS_HZ,
    Canvas,
    Sound,
    band_noise,
    body,
    coloured,
    contour,
    decibels,
    orders_below,
    resonances,
    schedule,
    smooth_step,
    swell,
    walk,
)  # fmt: skip


def pluck(rng, rate, share):
    """Plucked strings; in two of three files odd partials soon fall 15 to 35 dB below even ones."""
    canvas = Canvas(rng, rate, rng.uniform(3.5, 6), decaying=True)
    base = 60 * (400 / 60) ** share
    stiffness = rng.choice([0, 10 ** rng.uniform(-5, -4)])
    drop_db = rng.choice([0, rng.uniform(15, 35), rng.uniform(15, 35)])
    for start, end in schedule(rng, canvas.duration_s, 0.4, 1.8, gap_s=(0.02, 0.4)):
        f0 = base * 2 ** rng.uniform(-0.4, 0.4)
        orders = orders_below(f0, min(7000, 0.45 * rate), 60)
        t = np.maximum(canvas.time - start, 0)[:, None]
        decay_db = rng.uniform(8, 25) * t * (1 + orders * rng.uniform(0.02, 0.15))
        fall = 1 - np.exp(-t / rng.uniform(0.06, 0.3))
        decay_db = (
            decay_db
            + drop_db * fall * (orders % 2)
            + 2 * fall * canvas.wander(0.2, columns=len(orders))
        )
        strength = np.abs(np.sin(np.pi * orders * rng.uniform(0.11, 0.33))) / orders ** rng.uniform(
            0.6, 1.4
        )
        envelope = swell(canvas.time, start, end, 5e-3, rng.uniform(0.02, 0.06))
        amplitudes = rng.uniform(0.4, 1) * strength * decibels(-decay_db) * envelope[:, None]
        bend = 2 ** (rng.uniform(0, 8) / 1200 * np.exp(-np.maximum(canvas.fine - start, 0) / 0.15))
        canvas.note(f0 * bend, amplitudes, stiffness=stiffness)
        hit = slice(*(np.array([start, start + 0.008]) * rate).astype(int))
        n = len(canvas.noise[hit])
        canvas.noise[hit] += 0.03 * np.hanning(n) * rng.standard_normal(n)
    return canvas.sound(f"B {stiffness:.1e}, odd partials -{drop_db:.0f} dB")


def low(rng, rate, share):
    """Phrases between 30 and 150 Hz, rich in partials, with vibrato and glides."""
    canvas = Canvas(rng, rate, rng.uniform(4, 6))
    base = 33 * (130 / 33) ** share
    spans = schedule(rng, canvas.duration_s, 0.5, 1.6, gap_s=(0.0, 0.15))
    pitches = walk(rng, max(30, base / 1.4), min(150, base * 1.5), len(spans))
    glide = (0.03, 0.3)
    depth = rng.uniform(20, 80)
    f0 = contour(canvas, [s for s, _ in spans], pitches, glide_s=glide, depth_cents=depth)
    orders = orders_below(f0.min(), min(5000, 0.45 * rate))
    strength = orders ** -rng.uniform(0.4, 1.2) * body(rng, orders * np.median(f0))
    ripple = decibels(1.5 * canvas.wander(0.2, columns=len(orders)))
    envelope = sum(swell(canvas.time, *span, rng.uniform(0.02, 0.1), 0.05) for span in spans)
    envelope = envelope * decibels(3 * canvas.wander(0.8))
    canvas.note(f0, strength * ripple * envelope[:, None])
    return canvas.sound(f"vibrato {depth:.0f} cents")


def _whistle(rng, rate, low_hz, high_hz):
    canvas = Canvas(rng, rate, rng.uniform(3, 5))
    spans = schedule(rng, canvas.duration_s, 0.25, 1.0, gap_s=(0.0, 0.25))
    pitches = walk(rng, low_hz, high_hz, len(spans))
    depth = rng.uniform(0, 60)
    f0 = contour(
        canvas,
        [s for s, _ in spans],
        pitches,
        glide_s=(0.02, 0.2),
        depth_cents=depth,
        rate_hz=(4, 8),
    )
    orders = np.arange(1, rng.integers(2, 6))
    strength = decibels(
        -rng.uniform(8, 25) * (orders - 1) + 3 * rng.standard_normal(len(orders)) * (orders > 1)
    )
    envelope = sum(swell(canvas.time, *span, rng.uniform(0.01, 0.06), 0.03) for span in spans)
    ripple = decibels(1 * canvas.wander(0.15, columns=len(orders)))
    amplitudes = strength * ripple * envelope[:, None]
    canvas.note(f0, amplitudes)
    breath = rng.uniform(25, 45)
    loud = np.interp(np.arange(canvas.n) / rate, canvas.time, envelope)
    canvas.noise += 0.7 * decibels(-breath) * loud * band_noise(rng, canvas.n, rate, 800, 7000)
    return canvas.sound(f"{len(orders)} partials, breath -{breath:.0f} dB")


def high(rng, rate, share):
    """Flutes and whistles between 1 and 2 kHz, of few partials."""
    return _whistle(rng, rate, 1000, 2000)


def top(rng, rate, share):
    """Whistles between 2 and 4 kHz: above the range of most trackers."""
    return _whistle(rng, rate, 2000, 4000)


def _syllables(canvas, rng, base_hz, sung):
    """Contour, envelope and moving formants of a voice; consonants go into canvas.noise."""
    if sung:
        spans = schedule(rng, canvas.duration_s, 0.3, 1.2, gap_s=(0.0, 0.2))
        pitches = walk(rng, base_hz / 1.4, base_hz * 1.5, len(spans), leaps=(1, 2, 2, 3, 4, 5, 7))
        starts = [s for s, _ in spans]
        f0 = contour(canvas, starts, pitches, glide_s=(0.04, 0.15), depth_cents=rng.uniform(20, 80))
    else:
        spans = schedule(rng, canvas.duration_s, 0.12, 0.45, gap_s=(0.03, 0.3))
        accents = 250 * canvas.wander(0.22, canvas.fine) - 120 * (canvas.fine % 2.0)
        f0 = base_hz * 2 ** (np.clip(accents, -800, 900) / 1200)
    f0 = np.clip(f0, 80, 400)
    envelope = np.zeros(len(canvas.time))
    for start, end in spans:
        edges = rng.uniform(0.015, 0.04), rng.uniform(0.03, 0.07)
        envelope += rng.uniform(0.3, 1) * swell(canvas.time, start, end, *edges)
        if rng.random() < 0.6:  # an s, sh, f or the burst of a t or k before the vowel
            length, level_db = rng.choice([0.015, 0.06, 0.1]), rng.uniform(-30, -12)
            first = int(max(start - length - 0.01, 0) * canvas.rate)
            n = int(length * canvas.rate)
            low_hz = rng.choice([1500, 2500, 4000])
            burst = band_noise(rng, n, canvas.rate, low_hz, 2.2 * low_hz) * np.hanning(n)
            canvas.noise[first : first + n] += decibels(level_db) * burst
    size = rng.uniform(0.92, 1.2)
    knots = np.arange(len(spans))
    chosen = VOWELS_HZ[rng.integers(0, len(VOWELS_HZ), len(spans))] * size
    place = np.zeros(len(canvas.time))
    for start, _ in spans[1:]:
        place += smooth_step((canvas.time - start) / 0.12 + 0.7)
    formants = np.stack([np.interp(place, knots, column) for column in chosen.T])
    return f0, envelope, formants


def _voice(rng, rate, base_hz, sung, duration_s, *, half_db=None, jitter=0.0):
    canvas = Canvas(rng, rate, duration_s)
    f0, envelope, formants = _syllables(canvas, rng, base_hz, sung)
    if jitter:
        f0 = f0 * (1 + jitter * canvas.wander(0.02, canvas.fine))
        envelope = envelope * decibels(0.4 * canvas.wander(0.02))
    orders = orders_below(f0.min(), min(8000, 0.46 * rate), 90)
    widths = np.array([60, 90, 130, 200]) * rng.uniform(0.8, 1.5)
    tilt = rng.uniform(0.9, 1.5)

    def spectrum(ratios):
        return ratios**-tilt * resonances(f0[::FINE, None] * ratios, formants[..., None], widths)

    amplitudes = envelope[:, None] * spectrum(orders)
    scale = np.sqrt(0.5 * np.square(amplitudes).sum(axis=1)).max()
    halves = None
    if half_db is not None:
        halves = decibels(-half_db) * envelope[:, None] * spectrum(orders - 0.5) / scale
    canvas.note(f0, amplitudes / scale, subharmonics=halves)
    loud = np.interp(np.arange(canvas.n) / rate, canvas.time, envelope)
    canvas.noise += (
        decibels(-rng.uniform(25, 40)) * loud * band_noise(rng, canvas.n, rate, 1500, 6000)
    )
    return canvas


def voice(rng, rate, share):
    """Speech-like and sung vowels with consonants and pauses between."""
    sung = bool(rng.random() < 0.4)
    base = 100 * (280 / 100) ** share
    return _voice(rng, rate, base, sung, rng.uniform(4, 6)).sound("sung" if sung else "spoken")


def subharm(rng, rate, share):
    """Voices with partials halfway between, 30 to 45 dB down, with jitter and shimmer."""
    half_db, base = rng.uniform(30, 45), 110 * (330 / 110) ** share
    jitter = rng.uniform(5e-4, 3e-3)
    canvas = _voice(
        rng, rate, base, share > 0.4, rng.uniform(3.5, 5.5), half_db=half_db, jitter=jitter
    )
    return canvas.sound(f"f0/2 at -{half_db:.0f} dB, jitter {100 * jitter:.2f} %")


MISSING = {
    "partials 3 to 8": lambda h: (h >= 3) & (h <= 8),
    "partials 2 to 10": lambda h: (h >= 2) & (h <= 10),
    "even strong": lambda h: np.where(h % 2, 0.1, 1.0),
    "odd only": lambda h: np.where(h % 2, 1.0, 3e-3),
    "partials 4 to 12": lambda h: (h >= 4) & (h <= 12),
    "weak fundamental": lambda h: np.where(h == 1, 0.01, 1.0),
}


def missing(rng, rate, share):
    """Missing fundamental, even-strong and odd-only spectra."""
    canvas = Canvas(rng, rate, rng.uniform(3, 5))
    base = 90 * (450 / 90) ** rng.random()
    spans = schedule(rng, canvas.duration_s, 0.3, 1.0)
    pitches = walk(rng, base / 1.4, base * 1.4, len(spans))
    starts = [s for s, _ in spans]
    f0 = contour(canvas, starts, pitches, glide_s=(0.02, 0.1), depth_cents=rng.uniform(0, 50))
    orders = orders_below(f0.min(), min(9000, 0.45 * rate), 40)
    about, shape = list(MISSING.items())[int(share * len(MISSING)) % len(MISSING)]
    strength = shape(orders) * orders ** -rng.uniform(0.3, 1.0)
    ripple = decibels(1.5 * canvas.wander(0.15, columns=len(orders)))
    envelope = sum(swell(canvas.time, *span, 0.03, 0.06) for span in spans)
    canvas.note(f0, strength * ripple * envelope[:, None])
    return canvas.sound(about)


def wind(rng, rate, share):
    """Breathy tones: partials 15 to 25 dB over a band of noise, soft attacks."""
    canvas = Canvas(rng, rate, rng.uniform(3.5, 5.5))
    base = 150 * (900 / 150) ** share
    spans = schedule(rng, canvas.duration_s, 0.4, 1.4, gap_s=(0.05, 0.3))
    pitches = walk(rng, base / 1.3, base * 1.4, len(spans))
    starts = [s for s, _ in spans]
    f0 = contour(canvas, starts, pitches, glide_s=(0.02, 0.08), depth_cents=rng.uniform(0, 40))
    orders = orders_below(f0.min(), min(8000, 0.45 * rate), 30)
    strength = decibels(-rng.uniform(3, 9) * (orders - 1)) * body(rng, orders * base)
    strength = strength / np.sqrt(0.5 * np.square(strength).sum())
    ripple = decibels(2 * canvas.wander(0.1, columns=len(orders)))
    envelope = sum(swell(canvas.time, *span, rng.uniform(0.05, 0.15), 0.08) for span in spans)
    canvas.note(f0, strength * ripple * envelope[:, None])
    breath_db = rng.uniform(15, 25)
    breath = np.interp(np.arange(canvas.n) / rate + 0.02, canvas.time, np.sqrt(envelope))
    noise = band_noise(rng, canvas.n, rate, 0.8 * base, min(6 * base + 1500, 8000))
    canvas.noise += decibels(-breath_db) * breath * noise
    return canvas.sound(f"breath -{breath_db:.0f} dB")


def legato(rng, rate, share):
    """Bowed phrases: leaps, octaves among them, without silence; swelling and fading."""
    canvas = Canvas(rng, rate, rng.uniform(4, 6))
    base = 65 * (700 / 65) ** share
    starts = np.cumsum(rng.uniform(0.12, 0.7, 30))
    starts = np.concatenate([[0], starts[starts < canvas.duration_s - 0.2]])
    leaps = (1, 2, 3, 4, 5, 7, 12, 12)
    pitches = walk(rng, base / 1.6, base * 2.6, len(starts), leaps=leaps)
    depth = rng.uniform(0, 45)
    f0 = contour(canvas, starts, pitches, glide_s=(0.008, 0.05), depth_cents=depth)
    orders = orders_below(f0.min(), min(9000, 0.45 * rate), 90)
    sound_body = body(rng, f0[::FINE, None] * orders)
    ripple = decibels(1.5 * canvas.wander(0.12, columns=len(orders)))
    amplitudes = orders ** -rng.uniform(0.7, 1.2) * sound_body * ripple
    amplitudes /= np.sqrt(0.5 * np.square(amplitudes).sum(axis=1, keepdims=True))
    dynamics = decibels(7 * canvas.wander(1.5))
    edges = swell(canvas.time, rng.uniform(0.05, 0.2), canvas.duration_s - 0.1, 0.08, 0.1)
    canvas.note(f0, amplitudes * (dynamics * edges)[:, None])
    bow = np.interp(np.arange(canvas.n) / rate, canvas.time, edges * dynamics)
    canvas.noise += (
        decibels(-rng.uniform(35, 50)) * bow * band_noise(rng, canvas.n, rate, 300, 8000)
    )
    return canvas.sound(f"{len(starts)} notes")


def _claps(rng, rate, n):
    """Applause: many short bursts at any time."""
    hits = np.zeros(n)
    count = int(n / rate * rng.uniform(30, 150))
    hits[rng.integers(0, n, count)] = rng.exponential(1, count)
    ring = np.exp(-np.arange(int(0.02 * rate)) / (0.004 * rate))
    claps = np.convolve(hits, ring * rng.standard_normal(len(ring)))[:n]
    return claps + 0.02 * np.std(claps) * rng.standard_normal(n)


def _clicks(rng, rate, n):
    clicks = 1e-4 * rng.standard_normal(n)
    clicks[rng.integers(0, n, 25)] += rng.uniform(-1, 1, 25)
    return clicks


def _step(rng, rate, n):
    return np.where(np.arange(n) > n * rng.uniform(0.3, 0.7), 0.5, -0.1)


def _bursts(rng, rate, n):
    """Noise that comes and goes in short strokes, as of a brush or the sea."""
    slow = coloured(rng, n, rate, 3)
    return band_noise(rng, n, rate, 400, 5000) * np.exp(1.5 * slow)


NOTHING = {
    "digital silence": lambda rng, rate, n: np.zeros(n),
    "white noise": lambda rng, rate, n: rng.standard_normal(n),
    "pink noise": lambda rng, rate, n: coloured(rng, n, rate, 1),
    "brown noise": lambda rng, rate, n: coloured(rng, n, rate, 2),
    "clicks": _clicks,
    "step": _step,
    "applause": _claps,
    "bursts": _bursts,
    "last bit": lambda rng, rate, n: rng.integers(-1, 2, n) / 32768,
    "band of noise": lambda rng, rate, n: band_noise(rng, n, rate, 700, 2500),
}


def nothing(rng, rate, share):
    """Sounds without pitch."""
    about, make = list(NOTHING.items())[round(share * len(NOTHING)) % len(NOTHING)]
    n = int(rng.uniform(3, 5) * rate)
    audio = make(rng, rate, n)
    if about not in ("digital silence", "last bit"):
        audio = audio * decibels(rng.uniform(-20, -3)) / np.abs(audio).max()
    time = np.arange(int(n / rate / STEP_S) + 1) * STEP_S
    return Sound(audio, rate, time, np.zeros(len(time)), None, about)


GROUPS = {
    "pluck": (pluck, 12), "low": (low, 10), "high": (high, 6), "top": (top, 6),
    "subharm": (subharm, 8), "missing": (missing, 12), "voice": (voice, 10), "wind": (wind, 8),
    "legato": (legato, 10), "nothing": (nothing, len(NOTHING)),
}  # fmt: skip


def babble(rng, rate, n):
    """Several people talking, root mean square 1."""
    talk = np.zeros(n)
    for _ in range(6):
        base = rng.uniform(100, 260)
        talk += _voice(rng, rate, base, False, n / rate + 0.01).sound("", peak_db=0).audio[:n]
    return talk / np.sqrt(np.mean(talk**2))
