"""Encoders on a simulated device, two runs side by side, against each of them alone on the CPU."""

from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest

from spectralot import backend
from spectralot.learn import DenseEncoder, PaperEncoder, SharedEncoder
from spectralot.learn import _network as nn

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")  # integers are to wrap
G, R, K, H = 2, 2, 9, 2  # runs, frames of each, bins, harmonics
SMALL = dict(n_bins=K, n_harmonics=H, fmin=100.0, bins_per_octave=4, temperature=0.3)
SHARED = dict(channels=3, layers=2, out_channels=2, hidden=3, **SMALL)
PAPER = dict(channels=3, widths=(3, 2), **SMALL)
ENCODERS = {
    "shared, level": lambda: SharedEncoder(amplitudes="level", **SHARED),
    "shared, read": lambda: SharedEncoder(amplitudes="read", **SHARED),
    "shared, linear": lambda: SharedEncoder(amplitudes="linear", **SHARED),
    "dense": lambda: DenseEncoder(widths=(5, 3), **SMALL),
    "paper": lambda: PaperEncoder(**PAPER),
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    sizes = {
        "cuda.arrays": {"THREADS": 16},
        "cuda.network": {
            "THREADS": 4,
            "TILE": 2,
            "EACH": 2,
            "SIDE": 4,
            "ROW": 5,
            "BINS": 4,
            "STRIDE": 5,
        },
        "learn._heads": {"BELOW": 2, "ABOVE": 1},
        "learn._network": {"PARTS": 3, "PIECES": 1, "ROWS": 6},
        "learn.encoder": {"TAPS": 5},
    }
    for module, constants in sizes.items():
        for name, value in constants.items():
            monkeypatch.setattr(import_module(f"spectralot.{module}"), name, value)


def f32(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def close(found, expected, tolerance):
    assert found.shape == expected.shape
    assert np.linalg.norm(found - expected) <= tolerance * np.linalg.norm(expected)


def compare(encoder, rng, steerings=(1.0,), seed=None, drawn=(None, None)):
    """Runs on the device and alone; drawn[g] stands for the random numbers of run g's dropout."""
    runs = [encoder.init(g) for g in range(G)]
    for run in runs:
        run.flat += np.float32(0.2) * f32(rng, run.flat.size)
    x = np.abs(f32(rng, G * R, K))
    x[1] = 0.0
    d_f0_hz, d_amplitudes = rng.standard_normal(G * R), f32(rng, G * R, H)
    parameters, gradient = encoder.to_device(runs), encoder.to_device(runs)  # it is added to
    *found, saved = encoder.forward(parameters, backend.to_device(x), seed)
    for steering in steerings:
        slopes = backend.to_device(d_f0_hz), backend.to_device(d_amplitudes)
        encoder.backward(parameters, gradient, *slopes, saved, steering=steering)
    for g, (run, fetched) in enumerate(zip(runs, gradient.fetched(), strict=True)):
        part, alone = slice(g * R, (g + 1) * R), run.like()
        random = drawn[g] and SimpleNamespace(random=drawn[g])
        *expected, saved = encoder.forward(run, x[part], random)
        for one, other in zip(found, expected, strict=True):
            close(backend.to_host(one)[part], other, 1e-6)
        for steering in steerings:
            slopes = d_f0_hz[part].copy(), d_amplitudes[part].copy()
            encoder.backward(run, alone, *slopes, saved, steering=steering)
        for name, array in fetched.items():
            close(array - run[name], alone[name], 1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_runs_side_by_side_are_those_alone_on_the_cpu(name, rng):
    steerings = (1.0, 0.0) if name in ("shared, read", "shared, level") else (1.0,)
    compare(ENCODERS[name](), rng, steerings)


def test_what_is_left_out_stays_out_on_the_way_back(rng):
    kept = np.split(dropout(5, (G * R * K, 3), 0.4).copy_to_host(), G)
    drawn = [lambda shape, dtype, run=run: run.reshape(shape) for run in kept]
    seed = backend.to_device(np.array([5]))
    compare(PaperEncoder(dropout=0.4, **PAPER), rng, seed=seed, drawn=drawn)


def test_parameters_come_back_as_they_went(rng):
    encoder = PaperEncoder(**PAPER)
    runs = [encoder.init(g) for g in range(G)]
    for run, fetched in zip(runs, encoder.to_device(runs).fetched(), strict=True):
        assert np.array_equal(run.flat, fetched.flat)


# dropout


def dropout(seed, shape, share):
    return nn.dropout(backend.zeros(shape, np.float32, backend.to_device(np.zeros(1))), share, seed)


def test_dropout_leaves_out_a_share_and_scales_the_rest():
    kept = dropout(1, (300, 3), 0.25).copy_to_host()
    assert np.mean(kept == 0.0) == pytest.approx(0.25, abs=0.03)
    assert np.array_equal(np.unique(kept), np.float32([0.0, 1 / 0.75]))


def test_dropout_is_that_of_the_seed_alone():
    def masks(seed):
        return np.split(dropout(seed, (40, 3), 0.5).copy_to_host(), 2)  # one for each run

    one, other = masks(1)
    assert np.array_equal([one, other], masks(backend.to_device(np.array([1]))))
    for different in (other, *masks(2)):
        assert 0.25 < np.mean(one != different) < 0.75


def test_dropout_draws_the_numbers_of_splitmix64():
    # the first of the seed 0, as published with the generator
    published = 0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC
    for share in (0.1, 0.5, 0.9):
        kept = dropout(0, (2, 2), share).copy_to_host().ravel()
        assert (kept > 0).tolist() == [number / 2**64 >= share for number in published]
