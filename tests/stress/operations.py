"""What the public names compute, as one table: arrays in, values and gradients out."""

from dataclasses import dataclass, field, fields

import numpy as np

import spectralot as so

RATE = 16000


@dataclass
class Operation:
    """One public operation on small ordinary inputs.

    Attributes
    ----------
    name : str
        Of what is public, and its options where they matter.
    arrays : dict of str to ndarray
        Inputs by the name of the argument, float64.
    call : callable
        Takes the arrays by name, and options; returns all it computes.
    options : dict of str to float
        Numbers that may be given besides.
    scaled : tuple of str
        Arrays that have a level; the others are frequencies, places, shares.
    double : tuple of str
        Arrays that are float64 whatever is given.
    """

    name: str
    arrays: dict
    call: callable
    options: dict = field(default_factory=dict)
    scaled: tuple = ()
    double: tuple = ()


def numbers(found):
    """All arrays of numbers in what an operation returned."""
    if found is None or isinstance(found, (str, bool)):
        return []
    if isinstance(found, so.HarmonicTracks) or hasattr(found, "__dataclass_fields__"):
        found = [getattr(found, f.name) for f in fields(found)]
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, (tuple, list)):
        return [array for part in found for array in numbers(part)]
    array = np.asarray(found)
    return [array] if array.dtype.kind == "f" else []


def _tone(n_samples, f0_hz, level=0.3):
    time = np.arange(n_samples) / RATE
    return level * sum(np.sin(2 * np.pi * h * f0_hz * time + h) / h for h in range(1, 6))


def _pairs(forward, backward):
    """Values of a forward pass, and gradients of their sum by the backward pass."""

    def call(**arguments):
        value, saved = forward(**arguments)
        found = backward(np.ones_like(value), saved)
        return value, *(found if isinstance(found, tuple) else (found,))

    return call


def _of_transform(transform):
    return _pairs(transform.forward, transform.backward)


def _of_loss(loss):
    def call(target, estimate):
        return *loss(target, estimate), *loss.per_item(target, estimate)

    return call


def _tracks(**arrays):
    rest = dict(sample_rate=RATE, n_samples=3200)
    return so.HarmonicTracks(**arrays, **rest)


def operations(presets=so.PRESETS):
    """The table, with these presets.

    Returns
    -------
    list of Operation
    """
    rng = np.random.default_rng(5)
    table = []

    def add(name, arrays, call, scaled=(), options=None, double=()):
        arrays = {key: np.asarray(value, np.float64) for key, value in arrays.items()}
        table.append(Operation(name, arrays, call, options or {}, tuple(scaled), tuple(double)))

    f0_hz, amplitudes = rng.uniform(100, 900, (2, 6)), rng.uniform(0.1, 1, (2, 6, 4))
    grid = dict(n_samples=600, sample_rate=RATE)
    add(
        "harmonic_forward",
        dict(f0_hz=f0_hz, amplitudes=amplitudes, start_phase=rng.uniform(-3, 3, (2, 4))),
        _pairs(lambda **a: so.harmonic_forward(**(grid | a)), so.harmonic_backward),
        ["amplitudes"], dict(sample_rate=RATE, hop_length=100.0), ["f0_hz", "start_phase"],
    )  # fmt: skip
    add(
        "harmonic_forward, inharmonicity",
        dict(f0_hz=f0_hz, amplitudes=amplitudes, inharmonicity=[1e-4, 1e-3]),
        _pairs(lambda **a: so.harmonic_forward(**(grid | a)), so.harmonic_backward),
        ["amplitudes"], double=["f0_hz", "inharmonicity"],
    )  # fmt: skip
    add(
        "sinusoidal_forward",
        dict(frequencies_hz=rng.uniform(100, 7000, (6, 4)), amplitudes=amplitudes[0]),
        _pairs(lambda **a: so.sinusoidal_forward(**(grid | a)), so.sinusoidal_backward),
        ["amplitudes"], dict(sample_rate=RATE), ["frequencies_hz"],
    )  # fmt: skip

    sounds = np.stack([_tone(1500, 220), _tone(1500, 313.7)])
    sounds += 1e-3 * rng.standard_normal(sounds.shape)
    for power in (1, 2):
        add(
            f"stft_magnitude_forward, power {power}", dict(x=sounds, window=np.hanning(512)),
            _pairs(
                lambda power=power, **a: so.stft_magnitude_forward(
                    n_fft=512, hop_length=128, power=power, **a
                ),
                so.stft_magnitude_backward,
            ),
            ["x"],
        )  # fmt: skip
        transforms = {
            "STFT": so.STFT(512, power=power),
            "Mel": so.Mel(20, 512, power=power),
            "ConstantQ": so.ConstantQ(fmin=110, n_bins=60, bins_per_octave=12, power=power),
        }
        for name, transform in transforms.items():
            add(f"{name}, power {power}", dict(x=sounds), _of_transform(transform), ["x"])
    add("PitchSalience", dict(x=sounds), _of_transform(so.PitchSalience(512)), ["x"])

    hz = np.concatenate([[0.0], np.geomspace(20, 8000, 30)])
    for axis in ("hz", "linear", "log", "cents", "mel", "erb"):
        options = dict(reference_hz=100.0) if axis in ("linear", "cents") else {}
        for function in (so.axis_positions, so.axis_derivative):
            add(
                f"{function.__name__}, {axis}", dict(frequencies_hz=hz),
                lambda function=function, axis=axis, **a: function(axis=axis, **a),
                ["frequencies_hz"], options, ["frequencies_hz"],
            )  # fmt: skip
    add("a_weighting_db", dict(frequencies_hz=hz), so.a_weighting_db, ["frequencies_hz"],
        double=["frequencies_hz"])  # fmt: skip
    add("chroma_positions", dict(frequencies_hz=hz), so.chroma_positions, ["frequencies_hz"],
        dict(reference_hz=100.0), ["frequencies_hz"])  # fmt: skip

    u, v = rng.uniform(0, 1, (3, 40)) ** 3, rng.uniform(0, 1, (3, 40)) ** 3
    u[0, ::3], v[1, :20] = 0, 0
    places = np.sort(rng.uniform(0, 1, 40))
    add("noise_floor_forward", dict(weights=u),
        _pairs(lambda factor=2.0, **a: so.noise_floor_forward(factor=factor, **a),
               so.noise_floor_backward),
        ["weights"], dict(factor=2.0))  # fmt: skip
    masses = {
        "balanced, p 2": dict(p=2), "balanced, p 1": dict(p=1), "balanced, p 1.5": dict(p=1.5),
        "cutoff, p 2": dict(p=2, mass="cutoff"), "cutoff, p 1": dict(p=1, mass="cutoff"),
        "partial": dict(p=1, mass="partial", share=0.7),
        "unbalanced": dict(p=1, mass="unbalanced", reach=0.2),
    }  # fmt: skip
    weights = dict(u_weights=u, v_weights=v, u_positions=places, v_positions=places[::-1] ** 2)
    for name, settings in masses.items():
        add(
            f"wasserstein_1d_forward, {name}", weights,
            _pairs(
                lambda settings=settings, **a: so.wasserstein_1d_forward(**(settings | a)),
                so.wasserstein_1d_backward,
            ),
            ["u_weights", "v_weights"], {**settings, "mass_floor": 1e-9} | {"mass": None},
            ["u_positions", "v_positions"],
        )  # fmt: skip
    for p in (1, 2):
        add(
            f"circular_wasserstein_1d_forward, p {p}", weights,
            _pairs(
                lambda p=p, **a: so.circular_wasserstein_1d_forward(p=p, **a),
                so.circular_wasserstein_1d_backward,
            ),
            ["u_weights", "v_weights"], dict(p=p, period=1.0, mass_floor=1e-9),
            ["u_positions", "v_positions"],
        )  # fmt: skip
    levels = np.linspace(0, 1, 9)
    add("quantile_function", dict(weights=u, levels=levels, positions=places),
        so.quantile_function, ["weights"], double=["levels", "positions"])  # fmt: skip

    def plan(**arrays):
        found = so.transport_plan(**arrays)
        return found.mass, found.cost(2), found.positions_at(0.3), found.toarray()

    add("transport_plan", {key: value[0] if value.ndim == 2 else value
                           for key, value in weights.items()},
        plan, ["u_weights", "v_weights"], double=["u_positions", "v_positions"])  # fmt: skip
    add("displacement_interpolation",
        dict(u_weights=u, v_weights=v, t=np.array([0.2, 0.5, 0.9]), positions=places),
        so.displacement_interpolation, ["u_weights", "v_weights"],
        double=["t", "positions"])  # fmt: skip
    add("wasserstein_barycenter",
        dict(weights=u, shares=[1.0, 2.0, 0.5], positions=places, grid=np.linspace(0, 1, 30)),
        so.wasserstein_barycenter, ["weights", "shares"], double=["positions", "grid"])  # fmt: skip
    add("morph", dict(a=sounds[0], b=sounds[1][:1200], t=[0.0, 1.0]),
        lambda **a: so.morph(n_fft=256, oversampling=4, **a), ["a", "b"], double=["t"])  # fmt: skip

    losses = {
        "LIN": so.LIN((512, 128)), "LOG": so.LOG((512, 128)), "MSS": so.MSS((512, 128)),
        "MSS, A": so.MSS((512, 128), weighting="A"),
        "SmoothMSS": so.SmoothMSS((509, 127)), "LogCosh": so.LogCosh(512),
        "SpectralConvergence": so.SpectralConvergence(512),
        "SOT": so.SOT(512), "SOT, magnitudes, p 1, cents, balanced": so.SOT(
            512, power=1, p=1, frequency_axis="cents", mass="balanced"),
        "SOT, unbalanced": so.SOT(512, p=1, mass="unbalanced", reach=0.1),
        "SOT, partial": so.SOT(512, p=1, mass="partial", share=0.8),
        "SOT, noise floor, level, A": so.SOT(
            512, noise_floor=2, level_weight=0.1, weighting="A", mass="balanced"),
        "SOT, chroma": so.SOT(512, frequency_axis="chroma", mass="balanced", p=1),
        "SOT, time": so.SOT(512, along="time", mass="balanced"),
        "SOT, Mel": so.SOT(so.Mel(20, 512, power=2)),
        "SOT, ConstantQ": so.SOT(so.ConstantQ(fmin=110, n_bins=60, bins_per_octave=12)),
        "SOT, PitchSalience": so.SOT(so.PitchSalience(512), p=1, mass="balanced",
                                     frequency_axis="cents"),
    }  # fmt: skip
    for name, loss in losses.items():
        add(name, dict(target=sounds, estimate=sounds[::-1]), _of_loss(loss),
            ["target", "estimate"])  # fmt: skip
    both = so.WeightedSum({"sot": (1.0, so.SOT(512)), "lin": (0.05, so.LIN(256))})
    add("WeightedSum", dict(target=sounds, estimate=sounds[::-1]), _of_loss(both),
        ["target", "estimate"])  # fmt: skip
    long = np.stack([_tone(4096, 220), _tone(4096, 313.7)])
    long += 1e-3 * rng.standard_normal(long.shape)
    for name in presets:
        add(f"preset {name}", dict(target=long, estimate=long[::-1]),
            _of_loss(so.preset(name)), ["target", "estimate"])  # fmt: skip
    lines = dict(
        target_hz=[[220.0, 440, 660, 0], [100, 200, 300, 400]],
        target_powers=[[1.0, 0.5, 0.2, 0], [1, 2, 3, 4]],
        estimate_hz=[[230.0, 460, 700], [110, 220, 330]], estimate_powers=[[1.0, 0.5, 0.3]] * 2,
    )  # fmt: skip
    for mass, rest in (("balanced", {}), ("partial", dict(share=0.7)),
                       ("unbalanced", dict(reach=100.0))):  # fmt: skip
        add(f"LineSOT, {mass}", lines, so.LineSOT(mass=mass, **rest),
            ["target_powers", "estimate_powers"])  # fmt: skip
    add("LineSOT.harmonic",
        dict(target_hz=lines["target_hz"], target_powers=lines["target_powers"],
             f0_hz=[225.0, 105.0], powers=[[1.0, 0.5, 0.3]] * 2),
        so.LineSOT(p=2).harmonic, ["target_powers", "powers"],
        dict(inharmonicity=1e-3))  # fmt: skip

    add("log_spectral_distance", dict(target=sounds, estimate=sounds[::-1]),
        lambda **a: so.log_spectral_distance(n_fft=512, **a), ["target", "estimate"],
        dict(floor_db=-60.0))  # fmt: skip
    add("level_difference_db", dict(target=sounds, estimate=0.5 * sounds),
        so.level_difference_db, ["target", "estimate"], dict(floor_db=-60.0))  # fmt: skip
    time_s, curve = 0.01 * np.arange(20), 220 * 2 ** (rng.uniform(-1, 1, 20) / 3)
    voices = dict(ref_time_s=time_s, ref_f0_hz=curve, est_time_s=time_s,
                  est_f0_hz=curve[::-1] * 1.01)  # fmt: skip
    add("pitch_scores", voices, so.pitch_scores)
    add("melody_scores", voices, so.melody_scores)

    given = dict(time_s=0.02 * np.arange(10), f0_hz=curve[:10], confidence=np.full(10, 0.9),
                 amplitudes=rng.uniform(0.1, 1, (10, 4)),
                 phases=rng.uniform(-3, 3, (10, 4)))  # fmt: skip

    def heard(**arrays):
        tracks = _tracks(**arrays)
        audio = tracks.resynthesize()
        return audio, tracks.residual(0.5 * audio)

    add("HarmonicTracks.resynthesize", given, heard, ["amplitudes"])
    changes = {
        "shift_pitch": lambda tracks, semitones=3.0: so.shift_pitch(tracks, semitones),
        "stretch_time": lambda tracks, factor=1.5: so.stretch_time(tracks, factor),
        "scale_harmonics": lambda tracks: so.scale_harmonics(tracks, [1.0, 0.5, 0, 2]),
        "morph_tracks": lambda tracks, share=0.4: so.morph_tracks(
            tracks, _tracks(**given | {"amplitudes": given["amplitudes"][::-1]}), share),
    }  # fmt: skip
    wanted = {"shift_pitch": dict(semitones=3.0), "stretch_time": dict(factor=1.5),
              "morph_tracks": dict(share=0.4)}  # fmt: skip
    for name, change in changes.items():

        def changed(change=change, **arrays):
            options = {key: arrays.pop(key) for key in [*arrays] if key not in given}
            return change(_tracks(**arrays), **options)

        add(name, given, changed, ["amplitudes"], wanted.get(name, {}))

    def refit(audio, **options):
        return so.HarmonicEstimator(n_harmonics=8, **options).estimate(audio, RATE)

    add("HarmonicEstimator", dict(audio=_tone(8000, 220)), refit, ["audio"],
        dict(step_ms=10.0, fmin=50.0, fmax=2000.0, voicing_threshold=0.5,
             silence_db=-60.0))  # fmt: skip
    add("fit_harmonics", dict(frame=_tone(1024, 220) + 0.01 * rng.standard_normal(1024)),
        lambda **a: so.fit_harmonics(**(dict(sample_rate=RATE) | a)), ["frame"],
        dict(sample_rate=RATE, f0_hz=221.0, fmin=50.0, fmax=2000.0), ["frame"])  # fmt: skip
    add("fit_note", dict(audio=_tone(2000, 220)),
        lambda **a: so.fit_note(**(dict(sample_rate=RATE) | a)), ["audio"],
        dict(sample_rate=RATE, fmin=100.0, fmax=500.0), ["audio"])  # fmt: skip
    return table
