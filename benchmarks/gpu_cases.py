"""What benchmarks.gpu looks at: operations, whose calls work in memory and on a device alike.

Bytes are what kernels read and write in the device's memory, each array once for each kernel that
touches it; operations are those on floats. Both by formula: an estimate of what must be done.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch
from zlib import crc32

import numpy as np

import spectralot as so
from spectralot import backend
from spectralot.adam import Adam
from spectralot.learn import (
    DenseEncoder,
    HarmonicModel,
    PaperEncoder,
    SharedEncoder,
    Sounds,
    side_by_side,
    trainer,
)
from spectralot.learn._network import Parameters
from spectralot.learn.experiments import experiment
from spectralot.learn.objective import RATIOS

RATE = 16000
SINE = 20  # operations of an oscillator in a sample: phase, sine, amplitude
LEVEL = 30  # and of one level of a row of transport, place among the others included
SHARED = dict(temperature=0.3, channels=16, layers=3, out_channels=2)  # the table's
DATA = Path(__file__).parents[1] / "tests/data"
STEPS = 3


@dataclass(frozen=True)
class Sizes:
    """How large all is."""

    batch: int = 64
    n_samples: int = 4096
    n_frames: int = 16
    n_harmonics: int = 20
    stft: tuple = (
        *({"n_fft": 2**bits, "hop_length": 2**bits // 4} for bits in range(6, 13)),
        *({"n_fft": n, "hop_length": 256, "window": "flattop", "power": 2} for n in (2048, 512)),
        {"n_fft": 1024, "hop_length": 160, "padding": "center"},
        {"n_fft": 2048, "hop_length": 441, "padding": "none", "normalized": False},
    )
    rows: int = 1024
    bins: int = 1025
    exponents: tuple = (1, 1.5, 2)
    losses: dict = field(
        default_factory=lambda: {
            "LOG, floor 0.01": so.LOG(floor=0.01),
            "MSS, floor 0.01": so.MSS(floor=0.01),
            "SOT, p = 1, balanced": so.SOT(2048, p=1, mass="balanced", padding="none"),
            **{name: so.preset(name) for name in so.PRESETS if name != "SOT-Pitch"},
        }
    )
    encoders: dict = field(
        default_factory=lambda: {
            **{
                f"shared, {kind}": partial(SharedEncoder, amplitudes=kind, **SHARED)
                for kind in ("level", "read", "linear")
            },
            "dense": DenseEncoder,
            "paper": partial(PaperEncoder, dropout=0.0),
        }
    )
    runs: tuple = (1, 3)
    training: dict = field(default_factory=dict)
    objectives: tuple = ("SOT-2048", "SOT-NoCut", "SOT-2048-SS")
    n_sounds: int = 256
    hour: int = 3600 * RATE
    golden: bool = True
    copied: int = 2**30  # bytes
    products: int = 512  # times 64 in each thread
    repeats: int = 20
    step_sounds: int = 2800
    steps: int = 50
    side_by_side: tuple = (1, 8, 35)


@dataclass(frozen=True)
class Case:
    """An operation: `make` draws the arguments of `call`, which gives arrays by name.

    Names of gradients begin with d_. `known` replaces what float64 gives by what is known better.
    """

    name: str
    make: Callable
    call: Callable
    n_bytes: float = 0.0
    n_flops: float = 0.0
    bars: tuple = (1e-5, 1e-4)  # of values and of gradients
    known: Callable = dict

    def arguments(self, seed):
        """Drawn from random numbers of its own."""
        return self.make(np.random.default_rng([seed, crc32(self.name.encode())]))

    def ready(self, arguments, where):
        """The call, its arguments on the device ("cuda") or in memory ("float32", "float64")."""
        return partial(self.call, **{k: _placed(v, where, arguments) for k, v in arguments.items()})


def _placed(value, where, arguments):
    if isinstance(value, list):
        if where == "cuda":
            return arguments["encoder"].to_device(value)
        return [_cast(run, where) for run in value]
    if not isinstance(value, np.ndarray):
        return value
    if where == "cuda":
        return backend.to_device(value)
    return value.astype(where) if value.dtype == np.float32 else value


def _cast(parameters, dtype):
    """Parameters in this dtype."""
    other = Parameters(parameters.shapes, dtype)
    other.flat[:] = parameters.flat
    return other


def fetched(outputs):
    """Arrays in memory by name; several of one name one after the other, parameters by theirs."""
    found = {}
    for name, value in outputs.items():
        parts = value if isinstance(value, list) else [value]
        if hasattr(parts[0], "fetched"):
            parts = parts[0].fetched()
        if isinstance(parts[0], Parameters):
            for key in parts[0].shapes:
                found[f"{name} {key}"] = np.stack([part[key] for part in parts])
        else:
            found[name] = np.concatenate([np.atleast_1d(backend.to_host(part)) for part in parts])
    return found


def _given(**outputs):
    return {name: value for name, value in outputs.items() if value is not None}


def f32(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


# spectra


def _stft(x, d_magnitude, **options):
    magnitude, saved = so.stft_magnitude_forward(x, **options)
    return {"magnitude": magnitude, "d_x": so.stft_magnitude_backward(d_magnitude, saved)}


def _spectrum_cost(n_frames, n_samples, n_fft):
    """Bytes and operations on the way there, and on the way back."""
    K = n_fft // 2 + 1
    transform = n_frames * 2.5 * n_fft * np.log2(n_fft)
    there = 4 * n_samples + 12 * n_frames * K, transform + 8 * n_frames * K
    back = 16 * n_frames * K + 8 * n_frames * n_fft + 4 * n_samples, transform + 8 * n_frames * K
    return np.array(there), np.array(back)


def stft_cases(sizes):
    B, N = sizes.batch, sizes.n_samples
    for options in sizes.stft:
        n_fft, hop, padding = (options.get(k) for k in ("n_fft", "hop_length", "padding"))
        T = so.frame_count(N, n_fft=n_fft, hop_length=hop, padding=padding or "end")
        shape = B, T, n_fft // 2 + 1

        def make(rng, shape=shape):
            return {"x": f32(rng, B, N), "d_magnitude": f32(rng, *shape)}

        more = "".join(f", {v}" for k, v in options.items() if k in ("window", "padding"))
        yield Case(
            f"STFT {n_fft}, hop {hop}{more}", make, partial(_stft, **options),
            *sum(_spectrum_cost(B * T, B * N, n_fft)),
        )  # fmt: skip


# losses


def _loss(target, estimate, *, loss):
    values, d_estimate = loss.per_item(target, estimate)
    return {"values": values, "d_estimate": d_estimate}


def _loss_cost(loss, B, N):
    if isinstance(loss, so.WeightedSum):
        return sum(_loss_cost(term, B, N) for term in loss._losses.values())
    total = np.zeros(2)
    for r in loss._resolutions:
        n_fft, hop, padding = (
            (r["n_fft"], r["hop_length"], r["padding"]) if isinstance(r, dict)
            else (r.n_fft, r.hop_length, r.padding)
        )  # fmt: skip
        T = B * so.frame_count(N, n_fft=n_fft, hop_length=hop, padding=padding)
        there, back = _spectrum_cost(T, B * N, n_fft)
        total += there
        if isinstance(loss, so.SOT):
            one_grid = loss._transport["p"] == 1
            total += there + back + _transport_cost(T, n_fft // 2 + 1, one_grid, 0)
        else:  # spectra of the estimate stay in shared memory
            total += back - (12 * T * (n_fft // 2 + 1), 0) + (4 * B * N, there[1])
    return total


def loss_cases(sizes):
    B, N = sizes.batch, sizes.n_samples

    def make(rng):
        """Each sound brighter or darker than its target, and in all bins louder, or softer.

        Where a bin is as loud as the target's, slopes jump.
        """
        target, tilt = f32(rng, B, N), rng.choice([-0.4, 0.4], (B, 1))
        estimate = rng.choice([0.5, 2.5], (B, 1)) * (target + tilt * np.roll(target, 1, axis=1))
        estimate = (estimate + 0.003 * f32(rng, B, N)).astype(np.float32)
        target[0] = 0.0
        estimate[-1] = 0.0
        return {"target": target, "estimate": estimate}

    for name, loss in sizes.losses.items():
        # near its floor of 1e-5 the slope of the logarithm magnifies rounding a thousand times
        bars = (1e-5, 3e-2) if name == "MSS" else (1e-5, 1e-4)
        yield Case(name, make, partial(_loss, loss=loss), *_loss_cost(loss, B, N), bars)


# transport


def _transport(u_weights, v_weights, d_value, **options):
    value, saved = so.wasserstein_1d_forward(u_weights, v_weights, **options)
    d_u, d_v, d_x, d_y = so.wasserstein_1d_backward(d_value, saved)
    return _given(
        value=value, d_u_weights=d_u, d_v_weights=d_v, d_u_positions=d_x, d_v_positions=d_y
    )


def _transport_cost(R, n, one_grid, moves):
    """Weights, levels, their places among the others, sums of slopes, gradients; both sides."""
    scratch = 16 + (0 if one_grid else 8 + 16 + 16 * moves)
    return np.array([2 * R * n * (4 + scratch + 4 * (1 + moves)), 2 * R * n * LEVEL])


def _weights(rng, R, n):
    """Rows of random numbers, of whole ones, whose levels meet, and without any."""
    u, v = (rng.uniform(0, 1, (R, n)).astype(np.float32) for _ in range(2))
    u[1::8], v[1::8] = rng.integers(0, 3, u[1::8].shape), rng.integers(0, 3, v[1::8].shape)
    v[2::8] *= rng.uniform(0.3, 3, (len(v[2::8]), 1))
    u[3::8] = v[3::8]
    u[0], v[-1] = 0.0, 0.0
    return {"u_weights": u, "v_weights": v, "d_value": rng.standard_normal(R)}


def transport_cases(sizes):
    R, n = sizes.rows, sizes.bins
    even, uneven = np.linspace(0, 1, n), np.sort(np.random.default_rng(0).uniform(0, 1, n))
    for p in sizes.exponents:
        for mass in ("balanced", "cutoff"):
            for moves in (False, True):
                places = {"u_positions": even, "v_positions": uneven if moves else even}
                call = partial(_transport, p=p, mass=mass, position_gradients=moves, **places)
                cost = _transport_cost(R, n, p == 1 and not moves, moves)
                cost[0] += 8 * R * n * (1 + moves)  # the way back
                name = f"transport, p = {p:g}, {mass}{', places too' if moves else ''}"
                yield Case(name, partial(_weights, R=R, n=n), call, *cost)


# synthesis


def _synthesis(frequencies, amplitudes, d_audio, start_phase=None, *, kind, **options):
    forward, backward = (getattr(so, f"{kind}_{way}") for way in ("forward", "backward"))
    audio, saved = forward(
        frequencies, amplitudes, start_phase=start_phase, sample_rate=RATE, **options
    )
    d_f, d_amplitudes, d_start, *_ = backward(d_audio, saved)
    return _given(
        audio=audio, end_phase=saved.end_phase, d_frequencies=d_f, d_amplitudes=d_amplitudes,
        d_start_phase=d_start,
    )  # fmt: skip


def _of_an_hour(frequencies, amplitudes, **options):
    audio, saved = so.harmonic_forward(frequencies, amplitudes, sample_rate=RATE, **options)
    return {"audio": audio, "end_phase": saved.end_phase}


def synthesis_cases(sizes):
    B, N, T, H = sizes.batch, sizes.n_samples, sizes.n_frames, sizes.n_harmonics
    hop = N / T

    def make(rng, kind, low, high, phased, block):
        """Across Nyquist frequencies are whole numbers: in float32 too they cross it at once."""
        shape = (B, T, H) if kind == "sinusoidal" else (B, T)
        f = rng.uniform(low, high, shape)
        return _given(
            frequencies=np.round(f) if high > RATE / 2 / H else f, amplitudes=f32(rng, B, T, H),
            d_audio=f32(rng, B, block[1] - block[0] if block else N),
            start_phase=rng.uniform(-9, 20, (B, H)) if phased else None,
        )  # fmt: skip

    low, top = 0.25 * RATE / 2 / H, 0.98 * RATE / 2 / H
    crossing = min(6.25 * RATE / 2 / H, 0.9 * RATE / 2)
    part = N // 5, N - N // 7
    every = {
        "harmonics": ("harmonic", low, top, False, {}),
        "harmonics across Nyquist, a block, phases": (
            "harmonic", low, crossing, True, {"hop_length": hop, "block": part}
        ),
        "harmonics, linear, odd steps": (
            "harmonic", low, top, True,
            {"hop_length": 0.62 * hop, "interpolation": "linear", "first_frame": 1,
             "block": (N // 9, N)},
        ),
        "partials": ("sinusoidal", low, top * H, False, {}),
        "partials across Nyquist, a block, phases": (
            "sinusoidal", low, 1.5 * RATE / 2, True, {"hop_length": hop, "block": part}
        ),
    }  # fmt: skip
    for name, (kind, low, high, phased, options) in every.items():
        block = options.get("block")
        count = B * (block[1] - block[0] if block else N)
        n_bytes = (32 if kind == "harmonic" else 12) * count + B * T * H * (
            28 if kind == "harmonic" else 36
        )
        yield Case(
            name, partial(make, kind=kind, low=low, high=high, phased=phased, block=block),
            partial(_synthesis, kind=kind, n_samples=N, **options),
            n_bytes, count * H * SINE * 3,
        )  # fmt: skip
    long = sizes.hour // 256

    def make_hour(rng):
        return {"frequencies": rng.uniform(100, 2000, long), "amplitudes": f32(rng, long, 2)}

    yield Case(
        "harmonics of an hour", make_hour,
        partial(_of_an_hour, n_samples=sizes.hour, hop_length=256.0),
        12 * sizes.hour, 2 * SINE * sizes.hour,
    )  # fmt: skip


# encoders


def _encode(encoder, features, parameters, d_f0_hz, d_amplitudes):
    """Runs side by side on a device; in memory one after the other."""
    together = [parameters] if backend.on_device(features) else parameters
    rows, found = len(features) // len(together), []
    for g, run in enumerate(together):
        part, gradient = slice(g * rows, (g + 1) * rows), run.like()
        *outputs, saved = encoder.forward(run, features[part])
        encoder.backward(run, gradient, d_f0_hz[part], d_amplitudes[part], saved)
        found.append((*outputs, gradient))
    f0_hz, amplitudes, gradients = map(list, zip(*found, strict=True))
    return {"f0_hz": f0_hz, "amplitudes": amplitudes, "d": gradients}


def _encoder_cost(encoder, R):
    """A product on the way there is two on the way back; outputs come and go thrice."""
    K, products, outputs = encoder.n_bins, 0, 0
    for name, shape in encoder.shapes.items():
        each = K if name.startswith(("conv", "residual", "bin")) else 1
        if name == "pitch.kernel":
            products += shape[0] * (shape[1] - K + 1) * K
            outputs += K
        elif name.endswith("weight") and len(shape) > 1:
            products += each * int(np.prod(shape))
            outputs += each * shape[-1]
    return 4 * R * (K + 6 * outputs), 6 * R * products


def encoder_cases(sizes):
    rows = sizes.batch * sizes.n_frames
    for name, kind in sizes.encoders.items():
        encoder = kind()
        for G in sizes.runs:

            def make(rng, encoder=encoder, R=G * rows, G=G):
                runs = [encoder.init(g) for g in range(G)]
                for run in runs:
                    run.flat += np.float32(0.02) * f32(rng, run.flat.size)
                features = np.abs(f32(rng, R, encoder.n_bins))
                features[1] = 0.0
                return {
                    "encoder": encoder, "features": features, "parameters": runs,
                    "d_f0_hz": rng.standard_normal(R),
                    "d_amplitudes": f32(rng, R, encoder.n_harmonics),
                }  # fmt: skip

            # a unit whose input is 0 but for rounding may take the other slope of its bend
            yield Case(
                f"{name}, {G} run(s)", make, _encode, *_encoder_cost(encoder, G * rows),
                bars=(1e-5, 1e-3),
            )  # fmt: skip


# a step of training


class _SideBySide:
    """The first steps on the device, begun anew at each call."""

    def __init__(self, configs, sounds, targets):
        self.runs = runs = side_by_side.SideBySide(configs, sounds, sounds[:1])
        if targets is not None:
            runs.targets.copy_to_device(np.stack([targets] * len(configs)))
        begin = (runs.parameters.flat, runs.mean.flat, runs.square.flat, runs.totals, runs.number)
        self.begin = [(array, backend.to_host(array)) for array in begin]

    def __call__(self):
        for array, before in self.begin:
            array.copy_to_device(before)
        self.runs.step, self.runs.n_total = 0, 0
        self.runs.advance(1)
        loss, d = backend.to_host(self.runs.totals), self.runs.gradient.fetched()
        self.runs.advance(STEPS - 1)
        parameters = [run.flat for run in self.runs.parameters.fetched()]
        return {"loss": loss, "parameters": parameters, "d": d}

    def by_kernel(self):
        """The same, launched kernel by kernel."""
        with patch.object(self.runs, "_replay", self.runs._replay._run):
            return self()


def _alone(config, sounds, targets, dtype):
    """A run as `train` has it, in this dtype."""
    run = trainer._Run(config, sounds, sounds[:1], None)
    run.parameters = run.model.parameters = _cast(run.parameters, dtype)
    run.gradient = run.parameters.like()
    run.adam = Adam(run.parameters.flat.shape, beta2=0.999, eps=1e-8)
    run.features, run.audio = run.features.astype(dtype), run.audio.astype(dtype)
    run.targets, run._aim = targets, lambda: None
    return run


@dataclass(frozen=True)
class Training(Case):
    """Steps of several runs; what is told is the first loss and gradient, and where they arrive."""

    call: Callable = None

    def ready(self, arguments, where):
        if where == "cuda":
            return _SideBySide(**arguments)
        return partial(self._in_memory, where=where, **arguments)

    def _in_memory(self, configs, sounds, targets, where):
        runs, loss, d = [_alone(c, sounds, targets, where) for c in configs], [], []
        for run in runs:
            run.advance()
            loss.append(run.total)
            d.append(_cast(run.gradient, where))
            for _ in range(STEPS - 1):
                run.advance()
        return {"loss": loss, "parameters": [run.parameters.flat for run in runs], "d": d}


@dataclass(frozen=True)
class Moves(Case):
    """Where f0 is moved to by a small whole ratio."""

    call: Callable = None

    def ready(self, arguments, where):
        configs, sounds = arguments["configs"], arguments["sounds"]
        if where == "cuda":
            return partial(self._aimed, side_by_side.SideBySide(configs, sounds, sounds[:1]))
        return partial(self._moved, [_alone(c, sounds, None, where) for c in configs])

    def _aimed(self, runs):
        with patch.object(side_by_side, "QUORUM", 0.0):
            runs._aim(True)
        return {"targets": np.nan_to_num(backend.to_host(runs.targets))}

    def _moved(self, runs):
        with patch.object(trainer, "QUORUM", 0.0):
            return {"targets": np.nan_to_num(np.stack([run._moved() for run in runs]))}


def training_config(name, sizes, **options):
    """A run of the table with the shared encoder."""
    options = {"batch_size": sizes.batch, "moves": 0, "warmup": 0} | options | sizes.training
    return replace(experiment(name)[0], **options)


def _training(rng, names, sizes, kind):
    """The first f0 is the same for all: sounds at its ratios, to some of which it is drawn."""
    configs = [
        training_config(name, sizes, steps=STEPS, seed=g) for g, name in enumerate(names)
    ]  # fmt: skip
    model = HarmonicModel(configs[0].encoder, configs[0].frames)
    (first,), _ = model.encode(np.ones((1, model.encoder.n_bins), np.float32))
    f0_hz = first * rng.choice(RATIOS[1:-1], sizes.n_sounds)
    f0_hz *= rng.uniform(0.995, 1.005, sizes.n_sounds)
    amplitudes = rng.uniform(0.2, 1, (sizes.n_sounds, 1, 6)) / np.arange(1, 7)
    audio, _ = so.harmonic_forward(
        f0_hz[:, None], amplitudes, n_samples=sizes.n_samples, sample_rate=RATE
    )
    audio = (0.3 * audio + 0.01 * rng.standard_normal(audio.shape)).astype(np.float32)
    n_frames = sizes.n_samples // model.frames.transform.hop_length
    f0_hz, targets = np.repeat(f0_hz[:, None], n_frames, axis=1), None
    if kind == "drawn":
        targets = np.where(rng.random((sizes.n_sounds, 1)) < 0.5, f0_hz, np.nan)
    return {"configs": configs, "sounds": Sounds(audio, f0_hz), "targets": targets}


def training_cases(sizes):
    for names in (sizes.objectives[:1], sizes.objectives):
        for kind in ("free", "drawn"):
            title = f"training, {', '.join(names)}{', drawn to targets' * (kind == 'drawn')}"
            make = partial(_training, names=names, sizes=sizes, kind=kind)
            yield Training(title, make, bars=(1e-4, 1e-3))
    make = partial(_training, names=sizes.objectives[:1], sizes=sizes, kind="free")
    yield Moves("training, where f0 is moved to", make)


# the stored step of the reference

LAYERS = {
    "norm": "layernorm", "conv": "conv1.0", "residual": "prefilt_list.0.0", "bin.0": "conv2.0",
    "bin.1": "conv3.0", "bin.2": "conv4.0", "bin.3": "conv4.3", "pitch": "linear.frequency.0",
    "amplitude": "linear.weights.0",
}  # fmt: skip


def _stored(kind):
    """Parameters of the reference, or their gradients, in our layout."""
    found = Parameters(PaperEncoder().shapes, np.float64)
    with np.load(DATA / "training_step.npz") as stored:
        for name, view in found.items():
            layer, what = name.rsplit(".", 1)
            array = stored[f"{kind}/{LAYERS[layer]}.{'weight' if what == 'kernel' else what}"]
            if view.ndim > 1 and layer != "pitch":  # outputs first, taps last
                array = array.reshape(*array.shape[:2], -1).transpose(2, 1, 0)
            view[...] = array.reshape(view.shape)
    return found


def _step(encoder, features, audio, parameters):
    """Forward and backward through encoder, synthesizer and loss."""
    parameters = parameters[0] if isinstance(parameters, list) else parameters
    (B, N), gradient = audio.shape, parameters.like()
    f0_hz, amplitudes, saved = encoder.forward(parameters, features)
    T, H = len(features) // B, amplitudes.shape[1]
    rendered, synthesis = so.harmonic_forward(
        f0_hz.reshape(B, T), amplitudes.reshape(B, T, H), n_samples=N, sample_rate=RATE
    )
    values, d_rendered = so.preset("SOT-2048")._per_item(audio, rendered)
    d_f0_hz, d_amplitudes, *_ = so.harmonic_backward(d_rendered, synthesis)
    d_f0_hz, d_amplitudes = d_f0_hz.reshape(B * T), d_amplitudes.reshape(B * T, H)
    encoder.backward(parameters, gradient, d_f0_hz, d_amplitudes, saved)
    return {
        "f0_hz": f0_hz, "amplitudes": amplitudes, "values": values, "d": [gradient],
        "slopes": (d_f0_hz, d_amplitudes),
    }  # fmt: skip


def _whole_step(**arguments):
    found = _step(**arguments)
    del found["slopes"]
    return found


def _reference(rng, dtype=np.float32):
    with np.load(DATA / "training_step.npz") as step, np.load(DATA / "signals.npz") as signals:
        features, audio = step["cqt"].reshape(-1, 285), signals["x"]
    return {
        "encoder": PaperEncoder(), "features": features.astype(dtype),
        "audio": audio.astype(dtype), "parameters": [_cast(_stored("param"), dtype)],
    }  # fmt: skip


def _reference_network(rng):
    """The encoder alone, with the slopes that the exact step gives it."""
    d_f0_hz, d_amplitudes = _step(**_reference(rng, np.float64))["slopes"]
    arguments = _reference(rng)
    del arguments["audio"]
    return arguments | {"d_f0_hz": d_f0_hz, "d_amplitudes": d_amplitudes.astype(np.float32)}


def _known(exact):
    """As the reference has it."""
    with np.load(DATA / "synth.npz") as synth:
        f0_hz, amplitudes = synth["step_f0_hz"].ravel(), synth["step_amplitudes"].reshape(64, 20)
    return exact | {"f0_hz": f0_hz, "amplitudes": amplitudes} | fetched({"d": [_stored("grad")]})


def golden_cases(sizes):
    if sizes.golden and (DATA / "training_step.npz").exists():
        # float32 moves f0 by 1e-5 Hz, which the loss magnifies: tests/test_layers.py
        yield Case("the reference's step", _reference, _whole_step, bars=(2e-5, 1e-2), known=_known)
        yield Case("the reference's encoder", _reference_network, _encode, known=_known)


REAL = Sizes()
SMALL = dict(n_bins=9, n_harmonics=2, fmin=100.0, bins_per_octave=4, temperature=0.3)
TINY = Sizes(
    batch=2, n_samples=128, n_frames=2, n_harmonics=3, stft=({"n_fft": 64, "hop_length": 32},),
    rows=5, bins=6, exponents=(1, 2), losses={"LIN": so.LIN(64), "SOT": so.SOT(64, hop_length=64)},
    encoders={
        "shared": partial(
            SharedEncoder, amplitudes="read", channels=3, layers=2, out_channels=2, hidden=3,
            **SMALL,
        ),
        "paper": partial(PaperEncoder, channels=3, widths=(3, 2), dropout=0.0, **SMALL),
    },
    runs=(2,), objectives=("SOT-2048", "SOT-NoCut"), n_sounds=4, hour=700, golden=False,
    copied=2**10, products=2, repeats=2, step_sounds=4, steps=2, side_by_side=(1, 2),
    training={
        "batch_size": 1,
        "encoder": {"kind": "shared", "n_harmonics": 2, "channels": 2, "layers": 1,
                    "out_channels": 1, "hidden": 3, "temperature": 0.3, "amplitudes": "level",
                    "start": 0.39},
        "frames": {"hop_length": 64, "fmin": 1000.0, "n_bins": 12, "bins_per_octave": 6},
    },
)  # fmt: skip
GROUPS = (
    stft_cases, loss_cases, transport_cases, synthesis_cases, encoder_cases, training_cases,
    golden_cases,
)  # fmt: skip


def cases(sizes):
    """All of them by name."""
    return {case.name: case for group in GROUPS for case in group(sizes)}
