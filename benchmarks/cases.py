"""What is timed: one table of rows, each a dict of named callables that do the same work.

A callable builds nothing; inputs are made once, here. Plain NumPy and Python stand for what one
writes first; where a library has the operation, it stands in the row too.
"""

import importlib.util
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.fft
import scipy.signal
import scipy.stats
from numba import njit, prange
from rocket_fft import c2r, r2c

import spectralot as so

RATE = 16000
ROWS_AXIS = np.array([1])


@dataclass(frozen=True)
class Row:
    """One line of a table: times of `runs` relative to that of the first."""

    operation: str
    runs: dict  # name -> callable; the first is the baseline, "spectralot" is ours
    bar: float | None = None  # ours must not take more than this many times the baseline
    oscillators: int | None = None  # oscillator-samples, for a time in ns for each
    bar_ns: float | None = None


def random(*shape, low=0.0, high=1.0):
    rng = np.random.default_rng(len(shape))
    return rng.uniform(low, high, shape).astype(np.float32)


# --- STFT ----------------------------------------------------------------------------------------


def stft_rows(workers):
    x, frames = random(64, 4096, low=-1), random(1024, 2048, low=-1)

    def fft_alone():
        scipy.fft.irfft(scipy.fft.rfft(frames, workers=workers), workers=workers)

    def numpy_way():
        padded = np.pad(x, ((0, 0), (0, 2048)))
        starts = np.arange(0, 4096, 256)
        window = scipy.signal.get_window("hann", 2048).astype(np.float32)
        spectrum = scipy.fft.rfft(
            padded[:, starts[:, None] + np.arange(2048)] * window, norm="ortho", workers=workers
        )
        magnitude = np.abs(spectrum)
        d = scipy.fft.irfft(spectrum / np.maximum(magnitude, 1e-20), norm="ortho", workers=workers)
        d_x = np.zeros_like(padded)
        for t, start in enumerate(starts):
            d_x[:, start : start + 2048] += d[:, t] * window
        return d_x[:, :4096]

    def ours():
        magnitude, saved = so.stft_magnitude_forward(x, n_fft=2048, hop_length=256)
        return so.stft_magnitude_backward(magnitude, saved)

    name = f"scipy rfft+irfft, workers={workers}"
    return [
        Row(
            "STFT magnitude, forward + backward; (64,4096), n_fft 2048, hop 256",
            {name: fft_alone, "NumPy": numpy_way, "spectralot": ours},
            bar=2.0,
        )
    ]


# --- transport -----------------------------------------------------------------------------------


def spectra(n_rows):
    """Power spectra of flat-top frames of harmonic tones, as SOT compares them."""
    t = np.arange(4096) / RATE
    tones = [
        sum(np.sin(2 * np.pi * h * f * t) / h for h in range(1, 9)) for f in 100 + 800 * random(64)
    ]
    audio = np.asarray(tones, np.float32) + 1e-3 * random(64, 4096)
    power, _ = so.stft_magnitude_forward(
        audio, n_fft=2048, hop_length=256, window="flattop", power=2
    )
    return np.resize(power.reshape(-1, 1025), (n_rows, 1025))


def transport_rows(workers):
    frames, positions = random(1024, 2048), np.arange(1025) / 1024
    ones = np.ones(1024)
    noise = random(1024, 1025), random(1024, 1025, low=0.2)
    tones = spectra(1024), np.roll(spectra(1024), 5 * 16, axis=0)

    def rfft():
        scipy.fft.rfft(frames, workers=workers)

    def ours(weights, **options):
        def run():
            _, saved = so.wasserstein_1d_forward(*weights, u_positions=positions, **options)
            return so.wasserstein_1d_backward(ones, saved)

        return run

    def forward():
        return so.wasserstein_1d_forward(
            *noise, u_positions=positions, p=1, position_gradients=False
        )

    def scipy_way():
        for u, v in zip(*noise, strict=True):
            scipy.stats.wasserstein_distance(positions, positions, u, v)

    name = f"one scipy rfft of (1024,2048), workers={workers}"
    rows = [
        Row(
            f"transport, value + {which}; 1024 rows of 1025 bins, {kind}",
            {name: rfft, "spectralot": ours(weights, **options)},
            bar=2.0,
        )
        for kind, weights in (("random", noise), ("spectra", tones))
        for which, options in (
            ("all four gradients", {}),
            ("weight gradients", {"position_gradients": False}),
        )
    ]
    peers = {"scipy.stats.wasserstein_distance": scipy_way}
    if importlib.util.find_spec("ot"):
        import ot

        columns = [np.ascontiguousarray(w.T, np.float64) for w in noise]
        columns = [w / w.sum(0) for w in columns]
        line = np.repeat(positions[:, None], 1024, axis=1)
        peers["POT wasserstein_1d"] = lambda: ot.wasserstein_1d(line, line, *columns, p=1)
    peers["spectralot, gradients included"] = forward
    rows.append(Row("transport, value, p = 1; 1024 rows of 1025 bins", peers))
    return rows


# --- synthesis -----------------------------------------------------------------------------------


def synth_rows(_):
    amplitudes = random(64, 16, 20)
    orders = np.arange(1, 21)

    def ours(f0_hz):
        def run():
            audio, saved = so.harmonic_forward(f0_hz, amplitudes, n_samples=4096, sample_rate=RATE)
            return so.harmonic_backward(audio, saved)

        return run

    def numpy_way(f0_hz):
        """The forward pass alone, one sine for each oscillator and sample."""
        centres = (np.arange(16) + 0.5) * 256 - 0.5
        n = np.arange(4096)

        def run():
            for f, a in zip(f0_hz, amplitudes, strict=True):
                phase = np.cumsum(np.interp(n, centres, f)) * (2 * np.pi / RATE)
                frequency = np.interp(n, centres, f)[:, None] * orders
                envelope = np.stack([np.interp(n, n[::256], a_h) for a_h in a.T], axis=1)
                (envelope * (frequency < RATE / 2) * np.sin(phase[:, None] * orders)).sum(axis=1)

        return run

    ranges = {"f0 100..390 Hz": (100, 390), "f0 40..1950 Hz": (40, 1950)}
    return [
        Row(
            f"harmonics, forward + backward; (64,4096), 20 harmonics, {label}",
            {"NumPy, forward alone": numpy_way(f0), "spectralot": ours(f0)},
            oscillators=64 * 4096 * 20,
            bar_ns=3.0,
        )
        for label, f0 in (
            (label, random(64, 16, low=low, high=high)) for label, (low, high) in ranges.items()
        )
    ]


# --- losses --------------------------------------------------------------------------------------


def loss_rows(_):
    target, estimate = random(64, 4096, low=-1), random(64, 4096, low=-1)[::-1].copy()
    rows = []
    for name in so.PRESETS:
        loss = so.preset(name, sample_rate=RATE)
        prepared = loss.prepare(target)
        rows.append(
            Row(
                f"{name}, value + gradient; (64,4096)",
                {"spectralot": lambda loss=loss, prepared=prepared: loss(prepared, estimate)},
            )
        )
    return rows


def variant_rows(_):
    """Every member of the family against the plain SOT, on tones, whose spectra are uneven."""
    t = np.arange(4096) / RATE
    f0_hz = 100 + 800 * random(128)
    tones = sum(np.sin(2 * np.pi * h * f0_hz[:, None] * t) / h for h in range(1, 9))
    tones = (0.2 * tones + 1e-3 * random(128, 4096, low=-1)).astype(np.float32)
    target, estimate = tones[:64], np.ascontiguousarray(tones[64:])
    cents = dict(frequency_axis="cents", p=1, mass="balanced")
    mel = so.Mel(128, 2048, hop_length=256, window="flattop", power=2)
    family = {
        "SOT balanced": so.SOT(2048, mass="balanced"),
        **{
            f"SOT {axis}": so.SOT(2048, **{**cents, "frequency_axis": axis})
            for axis in ("hz", "mel", "erb", "cents")
        },
        "SOT magnitudes": so.SOT(2048, power=1),
        "SOT, p = 3": so.SOT(2048, p=3),
        "SOT partial 0.8": so.SOT(2048, **{**cents, "mass": "partial"}, share=0.8),
        "SOT unbalanced 600": so.SOT(2048, **{**cents, "mass": "unbalanced"}, reach=600),
        "SOT, noise floor": so.SOT(2048, noise_floor=4),
        "SOT, level kept": so.SOT(2048, level_weight=0.1),
        "SOT, A-weighted": so.SOT(2048, weighting="A"),
        "SOT chroma": so.SOT(2048, **{**cents, "frequency_axis": "chroma"}),
        "SOT along time": so.SOT(2048, along="time", p=1, mass="balanced"),
        "SOT mel bands": so.SOT(mel, **cents),
        "SOT constant-Q": so.SOT(so.ConstantQ(power=2), **cents),
        "SOT pitch salience": so.SOT(so.PitchSalience(padding="end"), **cents),
        "SOT 2048 + 512": so.SOT((2048, 512)),
        "preset SOT-2048": so.preset("SOT-2048"),
        "preset SOT-Pitch": so.preset("SOT-Pitch"),
        "LIN": so.LIN(2048, hop_length=256),
        "LIN, A-weighted": so.LIN(2048, hop_length=256, weighting="A"),
        "LOG": so.LOG(2048, hop_length=256),
        "SpectralConvergence": so.SpectralConvergence(2048, hop_length=256),
        "LogCosh": so.LogCosh(2048, hop_length=256),
        "SmoothMSS": so.SmoothMSS(),
        "MSS": so.MSS(),
    }

    def run(loss):
        prepared = loss.prepare(target)
        return lambda: loss(prepared, estimate)

    plain = run(so.SOT(2048))
    return [
        Row(
            f"{name}; (64,4096)",
            {"SOT 2048": plain, "spectralot": run(loss)},
            bar=1.5 if name.startswith("SOT") and "+" not in name else None,
        )
        for name, loss in family.items()
    ]


# --- which FFT -----------------------------------------------------------------------------------


@njit(parallel=True, nogil=True)
def _rocket(frames, spectra):
    """Groups of 16 frames, as the kernels call it."""
    for group in prange(frames.shape[0] // 16):
        rows = slice(16 * group, 16 * group + 16)
        r2c(frames[rows], spectra[rows], ROWS_AXIS, True, 1.0, 1)
        c2r(spectra[rows], frames[rows], ROWS_AXIS, False, 1.0 / frames.shape[1], 1)


def fft_rows(workers):
    frames = random(1024, 2048, low=-1)
    rocket_frames, spectra = frames.copy(), np.empty((1024, 1025), np.complex64)

    def scipy_way():
        scipy.fft.irfft(scipy.fft.rfft(frames, workers=workers), workers=workers)

    runs = {"scipy.fft": scipy_way}
    if importlib.util.find_spec("ducc0"):
        import ducc0

        def ducc0_way():
            spectrum = ducc0.fft.r2c(frames, axes=(1,), nthreads=workers)
            ducc0.fft.c2r(spectrum, axes=(1,), lastsize=2048, inorm=2, nthreads=workers)

        runs["ducc0"] = ducc0_way
    runs["rocket-fft in a kernel"] = lambda: _rocket(rocket_frames, spectra)
    return [Row("rfft + irfft of (1024,2048) float32", runs)]


# --- training ------------------------------------------------------------------------------------


def training_rows(workers):
    """One training step, 64 sounds of 16 frames, whole and in parts."""
    from spectralot.learn import TrainConfig, paper_sounds
    from spectralot.learn.trainer import _Run

    sounds = paper_sounds(640)
    rows = []
    for name in ("SOT-2048", "guided"):
        config = TrainConfig(objective=name, batch_size=64, steps=10**6, warmup=0)
        run = _Run(config, sounds, sounds[:1], None)
        run.step = 600_000  # all parts of "guided" are at work
        chosen = slice(0, 64)
        features = run.features[chosen].reshape(-1, 285)
        encoder, parameters, audio = run.model.encoder, run.parameters, run.audio[chosen]
        f0_hz, amplitudes, saved = encoder.forward(parameters, features)
        shaped = f0_hz.reshape(64, 16), amplitudes.reshape(64, 16, -1)
        runs = {
            "spectralot": run.advance,
            "encoder, forward": partial(encoder.forward, parameters, features),
            "encoder, backward": partial(
                encoder.backward, parameters, run.gradient, f0_hz, amplitudes, saved
            ),
            "synthesizer and losses": partial(
                run.objective, run.step, config.steps, audio, *shaped
            ),
            "Adam": partial(run.adam.step, run.gradient.flat, 0.0),
        }
        rows.append(
            Row(f"training step, {name}, 64 sounds, {parameters.flat.size} parameters", runs)
        )
    return rows


TABLES = {
    "Operations": lambda workers: [
        row for rows in (stft_rows, transport_rows, synth_rows) for row in rows(workers)
    ],
    "Losses with a prepared target": loss_rows,
    "The family of losses against plain SOT": variant_rows,
    "Which FFT": fft_rows,
    "Training": training_rows,
}
NOTES = {
    "Training": "Constant-Q features are computed before; the target's spectra in every step.",
    "Operations": "Ratios are to the first entry of a row; a bar is what must hold for spectralot.",
    "Losses with a prepared target": "",
    "The family of losses against plain SOT": (
        "Value and gradient with a prepared target, the plain SOT by turns with each."
    ),
    "Which FFT": (
        "rocket-fft was chosen: it is called inside a kernel, on frames that are in the cache, "
        "and is under a BSD licence. ducc0 holds the same FFT code, but its PyPI package is "
        "under the GPL and it cannot be called from a kernel."
    ),
}
