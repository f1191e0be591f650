"""Public functions on arrays of a simulated device, against the same on the CPU."""

from importlib import import_module

import numpy as np
import pytest
from numba import cuda

import spectralot as s
from spectralot.checks import ParameterError

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")  # integers are to wrap


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    sizes = {
        "stft": {"THREADS": 16}, "synth": {"THREADS": 8, "LANES": 4}, "arrays": {"THREADS": 16},
        "transport": {"THREADS": 4, "SUMS": 5},
    }  # fmt: skip
    for module, constants in sizes.items():
        for name, value in constants.items():
            monkeypatch.setattr(import_module(f"spectralot.cuda.{module}"), name, value)


def there(*arrays):
    return [cuda.to_device(array) for array in arrays]


def close(found, expected, tolerance=1e-6):
    assert hasattr(found, "copy_to_host")
    found = found.copy_to_host()
    assert found.shape == np.shape(expected)
    assert np.linalg.norm(found - expected) <= tolerance * np.linalg.norm(expected)


def f32(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(150,), (2, 150)])
@pytest.mark.parametrize(("padding", "power"), [("end", 1), ("center", 2)])
def test_stft(shape, padding, power, rng):
    x, options = f32(rng, *shape), dict(n_fft=64, hop_length=16, padding=padding, power=power)
    magnitude, saved = s.stft_magnitude_forward(x, **options)
    found, saved_there = s.stft_magnitude_forward(*there(x), **options)
    close(found, magnitude)
    d = f32(rng, *magnitude.shape)
    close(s.stft_magnitude_backward(*there(d), saved_there), s.stft_magnitude_backward(d, saved))


@pytest.mark.parametrize("batch", [(), (2,)])
@pytest.mark.parametrize("phased", [False, True])
@pytest.mark.parametrize("kind", ["harmonic", "sinusoidal"])
def test_synthesis(kind, batch, phased, rng):
    f0_hz, amplitudes = rng.uniform(200, 3000, (*batch, 3)), f32(rng, *batch, 3, 4)
    if kind == "sinusoidal":
        f0_hz = rng.uniform(200, 9000, amplitudes.shape)
    options = dict(n_samples=60, sample_rate=16000, hop_length=20.0, block=(7, 50))
    phase = {"start_phase": rng.uniform(0, 6, (*batch, 4))} if phased else {}
    phase_there = {name: cuda.to_device(array) for name, array in phase.items()}
    forward, backward = (getattr(s, f"{kind}_{way}") for way in ("forward", "backward"))
    audio, saved = forward(f0_hz, amplitudes, **options, **phase)
    found, saved_there = forward(*there(f0_hz, amplitudes), **options, **phase_there)
    close(found, audio)
    close(saved_there.end_phase, saved.end_phase, 1e-8)
    d = f32(rng, *audio.shape)
    expected = backward(d, saved)
    for ours, theirs in zip(backward(*there(d), saved_there), expected, strict=True):
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            close(ours, theirs)


@pytest.mark.parametrize(("p", "mass", "moves"), [(1, "balanced", False), (2, "cutoff", True)])
def test_transport(p, mass, moves, rng):
    u, v = (rng.uniform(0, 1, (3, 9)).astype(np.float32) for _ in range(2))
    options = dict(
        u_positions=np.sort(rng.uniform(0, 1, 9)), p=p, mass=mass, position_gradients=moves
    )
    value, saved = s.wasserstein_1d_forward(u, v, **options)
    found, saved_there = s.wasserstein_1d_forward(*there(u, v), **options)
    close(found, value)
    d = rng.standard_normal(3)
    expected = s.wasserstein_1d_backward(d, saved)
    for ours, theirs in zip(
        s.wasserstein_1d_backward(*there(d), saved_there), expected, strict=True
    ):
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            close(ours, theirs)


LOSSES = {
    "LIN": s.LIN((64, 128)),
    "MSS": s.MSS(64),
    "SOT": s.SOT(64, hop_length=32),
    "balanced": s.SOT(64, hop_length=32, p=1, mass="balanced", padding="none"),
    "sum": s.WeightedSum({"sot": (1.0, s.SOT(64, hop_length=32)), "lin": (0.05, s.LIN(64))}),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, rng):
    loss, target, estimate = LOSSES[name], f32(rng, 2, 150), f32(rng, 2, 150)
    estimate[1] = 0.0
    for call in (loss, loss.per_item):
        value, d_estimate = call(target, estimate)
        found, d_found = call(*there(target, estimate))
        found = found.copy_to_host() if call is not loss else found
        assert found == pytest.approx(value, rel=1e-5)
        close(d_found, d_estimate, 1e-5)
    prepared = loss.prepare(*there(target))
    close(loss(prepared, *there(estimate))[1], d_estimate / 2, 1e-5)


def test_what_stays_in_memory_is_said_in_one_line(rng):
    x, w = f32(rng, 200), np.ones((2, 5), np.float32)
    for wrong, message in (
        (lambda: s.LIN(64)(x, *there(x)), "estimate must be in memory, as the target is"),
        (lambda: s.LIN(64, weighting="A")(*there(x, x)), "estimate must be in memory for LIN"),
        (lambda: s.SOT(64, noise_floor=4)(*there(x, x)), "target must be in memory unless"),
        (lambda: s.stft_magnitude_forward(*there(x), n_fft=60, hop_length=9), "n_fft must be a p"),
        (lambda: s.harmonic_forward(np.ones(3), *there(f32(rng, 3, 2)), n_samples=9,
                                    sample_rate=9), "amplitudes must be in memory, as f0_hz is"),
        (lambda: s.wasserstein_1d_forward(*there(w, w), u_positions=np.arange(5), p=1,
                                          mass="partial", share=0.5), "mass must be 'balanced' or"),
        (lambda: s.wasserstein_1d_forward(*there(w, w), u_positions=np.arange(5)[::-1]),
         "positions must ascend"),
        (lambda: s.stft_magnitude_forward(*there(np.ones(99, int)), n_fft=64, hop_length=9),
         "x must be float32 or float64 on a device, got int64"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=message) as caught:
            wrong()
        assert "\n" not in str(caught.value)


def test_arrays_of_a_workspace_are_used_again():
    arrays = import_module("spectralot.cuda.arrays")
    workspace, seen = arrays.Workspace(), []
    for dtype in (np.float32, np.float32, np.float64):
        with workspace:
            seen.append([arrays.empty((2, 3), np.float32), arrays.empty(4, dtype)])
    assert seen[0][0] is seen[1][0] is seen[2][0] and seen[0][1] is seen[1][1]
    assert seen[2][1].dtype == np.float64
    assert arrays.empty(4, np.float32) is not seen[0][1]
