"""Every kernel of the device against its twin on the CPU, on the same numbers.

Blocks are made small, so that several of them and all their loops are at work on tiny shapes.
"""

from importlib import import_module
from itertools import pairwise

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")  # integers are to wrap
SR = 16000.0


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    sizes = {
        "stft": {"THREADS": 16},
        "synth": {"THREADS": 8, "LANES": 4},
        "transport": {"THREADS": 4, "SUMS": 5},
        "network": {
            "THREADS": 4,
            "TILE": 2,
            "EACH": 2,
            "SIDE": 4,
            "ROW": 5,
            "BINS": 4,
            "STRIDE": 5,
        },
    }
    for module, constants in sizes.items():
        for name, value in constants.items():
            monkeypatch.setattr(import_module(f"spectralot.cuda.{module}"), name, value)


def twins(module, name):
    return (getattr(import_module(f"spectralot.{at}.{module}"), name) for at in ("cpu", "cuda"))


def close(found, expected, tolerance=1e-6):
    found, expected = np.asarray(found, complex), np.asarray(expected, complex)
    assert found.shape == expected.shape
    assert np.linalg.norm(found - expected) <= tolerance * np.linalg.norm(expected)


def compare(module, name, inputs, outputs, scratch=((), ()), tolerance=1e-6):
    """Call both twins with inputs, each one's scratch, and outputs of their own."""
    results = []
    for kernel, extra in zip(twins(module, name), scratch, strict=True):
        own = [np.full_like(output, 7) if output.size else output.copy() for output in outputs]
        kernel(*inputs, *extra, *own)
        results.append(own)
    for found, expected in zip(results[1], results[0], strict=True):
        close(found, expected, tolerance)
    return results[1]


def f32(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


# stft

FRAMES = [(64, 24, 0, 60, 1), (64, 40, -32, 90, 2), (256, 100, 0, 190, 1)]


def framed(rng, n_fft, hop, offset, N):
    T = -(-N // hop) if offset == 0 else 1 + N // hop
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    K = n_fft // 2 + 1
    cpu = np.empty((8, 4, n_fft), np.float32), np.empty((8, 4, K), np.complex64)
    return f32(rng, 2, N), window, (2, T, K), cpu, np.empty((2, T, n_fft), np.float32)


@pytest.mark.parametrize(("n_fft", "hop", "offset", "N", "power"), FRAMES)
def test_stft(n_fft, hop, offset, N, power, rng):
    x, window, shape, (rows, bins), frames = framed(rng, n_fft, hop, offset, N)
    outputs = np.empty(shape, np.complex64), np.empty(shape, np.float32)
    spectrum, magnitude = compare(
        "stft", "stft_forward", (x, window, hop, offset, 0.5, power), outputs,
        ((rows,), (frames,)),
    )  # fmt: skip
    magnitude[0, 0, :3] = spectrum[0, 0, :3] = 0.0  # no slope there
    compare(
        "stft", "stft_backward",
        (f32(rng, *shape), spectrum, magnitude, window, hop, offset, 0.5, power), [x],
        ((N, rows, bins), (N, frames, bins)),
    )  # fmt: skip


@pytest.mark.parametrize(("linear", "log"), [(1.0, 0.0), (0.7, 0.3)])
@pytest.mark.parametrize(("n_fft", "hop", "offset", "N", "power"), FRAMES)
def test_vertical_loss(n_fft, hop, offset, N, power, linear, log, rng):
    x, window, shape, (rows, bins), frames = framed(rng, n_fft, hop, offset, N)
    target = rng.uniform(0, 4, shape).astype(np.float32)
    numbers = [np.float32(number) for number in (linear, log, 0.5, 0.01)]
    lines = np.empty((8, 3, shape[2]), np.float32)
    outputs = np.empty(shape[:2]), np.empty_like(x)  # the second is added to
    compare(
        "stft", "vertical_loss", (x, target, window, hop, offset, 0.5, *numbers), outputs,
        ((N, rows, bins, lines), (N, frames, bins, lines)),
    )  # fmt: skip


# synth

GRIDS = [  # B, T, H, N; hop, frequency shift, amplitude shift, start, hann; start phases
    (2, 3, 5, 60, (20.0, -0.5, 0.0, 0, True), False),
    (1, 3, 20, 60, (15.5, 0.0, 0.0, 7, False), True),
    (2, 1, 3, 20, (20.0, -0.5, 0.0, 0, True), True),
    (1, 6, 18, 90, (11.3, 0.25, -0.5, 30, True), True),
]


@pytest.mark.parametrize(("B", "T", "H", "N", "grid", "phased"), GRIDS)
def test_harmonics(B, T, H, N, grid, phased, rng):
    hop, shift, _, start, _ = grid
    f0_hz = rng.uniform(100, 2500, (B, T))  # some harmonics are beyond Nyquist
    amplitudes, start_phase = f32(rng, B, T, H), phased * rng.uniform(-9, 20, (B, H))
    cpu, cuda = twins("synth", "harmonic_phase")
    phase, turns = np.empty((B, N)), np.empty((B, N), np.uint32)
    cpu(f0_hz, hop, shift, start, SR, phase)
    cuda(f0_hz, hop, shift, start, SR, turns)
    assert np.abs((turns / 2.0**32 - phase / (2 * np.pi) + 0.5) % 1 - 0.5).max() < 1e-9

    def both(name, inputs, outputs):
        """Each twin has its own phase."""
        results = []
        for kernel, own in zip(twins("synth", name), (phase, turns), strict=True):
            results.append([np.full_like(output, 7) for output in outputs])
            scratch = np.empty((2, 13, 256))
            kernel(*inputs, start_phase, own, grid, SR / 2, scratch, *results[-1])
        for found, expected in zip(results[1], results[0], strict=True):
            close(found, expected)
        return results[1]

    audio = np.empty((B, N), np.float32)
    both("harmonic_forward", (f0_hz, amplitudes), [audio])
    d_segment = np.empty((B, T, 2 + phased, H), np.float32)
    d_phase, d_segment = both(
        "harmonic_backward", (f32(rng, B, N), f0_hz, amplitudes), [audio, d_segment]
    )
    outputs = np.empty((B, T)), np.empty((B, T, H), np.float32), np.empty((B, H * phased))
    compare("synth", "harmonic_gather", (d_phase, d_segment, hop, shift, start, SR), outputs)


BEYOND = [  # frames end early, begin late, stand closer than samples, are moved by more than one
    (1, 3, 4, 50, (9.7, 0.0, 0.0, 0, False), True),
    (1, 3, 4, 50, (9.7, -4.0, -4.0, 11, True), False),
    (1, 40, 2, 27, (0.7, 0.1, 0.0, 3, False), True),
    (1, 5, 3, 70, (12.0, 1.6, -0.9, 5, True), True),
]


@pytest.mark.parametrize(("B", "T", "H", "N", "grid", "phased"), GRIDS + BEYOND)
def test_sinusoids(B, T, H, N, grid, phased, rng):
    frequencies = rng.uniform(0, 12000, (B, T, H))  # some cross Nyquist
    frequencies[..., 0] = 0.0
    frequencies[..., 1] = 440.0
    frequencies[:, T // 2, -1] = SR / 2
    amplitudes, start_phase = f32(rng, B, T, H), phased * rng.uniform(-9, 20, (B, H))
    inputs = frequencies, amplitudes, start_phase, grid, SR
    audio = np.empty((B, N), np.float32)
    end_phase, _ = compare("synth", "sinusoidal_forward", inputs, [np.empty((B, H)), audio])
    assert np.all((end_phase >= 0) & (end_phase < 2 * np.pi))
    inputs = f32(rng, B, N), frequencies, amplitudes, end_phase, grid, SR
    outputs = np.empty((B, T, H)), np.empty((B, T, H), np.float32), np.empty((B, H))
    compare("synth", "sinusoidal_backward", inputs, outputs, ((np.empty((B, 2, H)),), (None,)))


# transport


def positions(rng, n, rows=1):
    x = np.sort(rng.uniform(0, 1, (rows, n)), axis=1)
    return np.concatenate([x, x[:, -1:]], axis=1)  # the last stands twice


def transport(rng, u, v, x, y, p, cutoff, moves):
    (R, n), m = u.shape, v.shape[1]
    rows = R if moves else 0
    outputs = [np.empty(R)] + [np.empty(s) for s in ((R, n), (R, m), (rows, n), (rows, m))]
    size, wide = n + m + 4, max(n, m) + 1
    scratch = [
        (np.empty((P, s)), np.empty((P, s), np.uint32), np.empty((P, 4, wide)))
        for P, s in ((1, 4 * size), (R, size))
    ]
    inputs = u, v, x, y, p, cutoff, 0.0
    compare("transport", "wasserstein_1d_forward", inputs, outputs, scratch, 1e-12)


@pytest.mark.parametrize("cutoff", [False, True])
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
def test_transport(p, cutoff, rng):
    u, v = rng.uniform(0, 1, (3, 13)), rng.uniform(0, 1, (3, 11))
    transport(rng, u, v, positions(rng, 13), positions(rng, 11, 3), p, cutoff, True)


@pytest.mark.parametrize("level", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("cutoff", [False, True])
@pytest.mark.parametrize("p", [1.0, 2.0])
def test_transport_with_ties_and_rows_without_mass(p, cutoff, level, rng):
    u, v = (rng.integers(0, 3, (5, 13)).astype(float) for _ in range(2))
    u[0], u[1] = v[0], 0.0
    u[2, -5:] = v[2, -5:] = v[3, :4] = 0.0
    v[4] = 0.0
    x = positions(rng, 13)
    transport(rng, u, level * v, x, x, p, cutoff, level == 1.0)
    if p == 1.0:
        outputs = [np.empty(5), np.empty((5, 13)), np.empty((5, 13))]
        scratch = [(np.empty((P, s)), np.empty((P, 2, 13))) for P, s in ((1, 200), (5, 50))]
        inputs = u, level * v, np.diff(x[0, :-1]), cutoff, 0.0
        compare("transport", "wasserstein_1_on_one_grid", inputs, outputs, scratch, 1e-12)


def test_levels_never_fall_and_rise_by_weights_only(rng):
    from spectralot.cuda.transport import wasserstein_1d_forward

    u, v = rng.uniform(0, 1, (2, 40, 17))
    u[rng.uniform(size=u.shape) < 0.4] = 0.0
    u[np.arange(17) >= rng.integers(1, 17, (40, 1))] = 0.0
    u[:, 0] += 0.1
    levels, met, x = np.empty((40, 38)), np.empty((40, 38), np.uint32), positions(rng, 17)
    outputs = [np.empty(40)] + [np.empty(s) for s in (u.shape, v.shape, (0, 17), (0, 17))]
    work = np.empty((40, 4, 18))
    wasserstein_1d_forward(u, v, x, x, 2.0, False, 0.0, levels, met, work, *outputs)
    steps = np.diff(levels[:, :18])
    assert np.all(steps >= 0.0) and np.all(steps[u == 0.0] == 0.0)
    close(levels[:, 1:18], np.cumsum(u, axis=1) / u.sum(1, keepdims=True), 1e-14)


@pytest.mark.parametrize("cutoff", [False, True])
@pytest.mark.parametrize("p", [1.0, 2.0])
def test_transport_of_rows_that_end_and_begin_in_silence(p, cutoff, rng):
    u, v = rng.uniform(0, 1, (4, 13)), rng.uniform(0, 1, (4, 13))
    u[:, -4:] = v[:, -3:] = u[1, 5:8] = v[2, :3] = 0.0
    x = positions(rng, 13)
    transport(rng, u, v, x, x, p, cutoff, False)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_a_weight_that_is_none_makes_the_value_nan(bad):
    u, x = np.ones((2, 3)), np.array([[0.0, 1.0, 2.0, 2.0]])
    u[1, 1] = bad
    for kernel, P, size in zip(
        twins("transport", "wasserstein_1d_forward"), (1, 2), (40, 10), strict=True
    ):
        value, out, none = np.empty(2), np.empty((2, 3)), np.empty((0, 3))
        levels, met, work = np.empty((P, size)), np.empty((P, size), np.uint32), np.empty((P, 4, 4))
        kernel(
            u, np.ones((2, 3)), x, x, 2.0, False, 0.0, levels, met, work, value, out, out.copy(),
            none, none,
        )  # fmt: skip
        assert value[0] == 0.0 and np.isnan(value[1])


@pytest.mark.parametrize("stretches", [1, 2, 5])
def test_transport_backward(stretches, rng):
    inputs = rng.standard_normal(5), rng.standard_normal((5, 4))
    compare(
        "transport", "wasserstein_1d_backward", inputs, [np.empty((stretches, 4))], tolerance=1e-14
    )


# network


def test_layers(rng):
    R, K, taps, slope = 3, 9, 5, np.float32(0.3)
    y, bias = f32(rng, 6, 4), f32(rng, 4)
    results = []
    for kernel in twins("network", "leaky_forward"):
        results.append(y.copy())
        kernel(results[-1], bias, slope, 4)
    close(*results)
    d_y, results = f32(rng, 6, 4), []
    for kernel in twins("network", "leaky_backward"):
        results.append((d_y.copy(), np.empty((4, 4), np.float32)))
        kernel(y, slope, *results[-1])
    close(results[1][0], results[0][0])
    close(results[1][1], results[0][1])
    x, matrix = f32(rng, 21, 19), f32(rng, 19, 6)
    results = []
    for kernel in twins("network", "product"):
        results.append(np.empty((21, 6), np.float32))
        kernel(x, matrix, results[-1], 2)
    close(*results)
    compare("network", "outer_product", (x, f32(rng, 21, 6)), [np.empty((2, 19, 6), np.float32)])
    x = np.abs(f32(rng, R, K))
    x[1] = 0.0
    for power in (0.5, 0.7):
        compare("network", "normalize", (x, power), [x])
    compare("network", "standardize", (x, 1e-5), [x])
    for widths in ([3], [3, 4, 2]):
        pairs = pairwise(widths)
        n = (taps + 1) * widths[0] + sum((C + 1) * D for C, D in pairs)
        weights, widths = f32(rng, n), np.array(widths)
        shapes = (R, sum(widths[:-1]), K), (R, widths[-1], K)
        outputs = [np.empty(shape, np.float32) for shape in shapes]
        inputs = x, weights, widths, taps, slope
        z, last = compare("network", "bins_forward", inputs, outputs)
        rows, totals = np.empty((2, 2, 4, K), np.float32), np.empty((2, n, K), np.float32)
        inputs = *inputs, z, last, f32(rng, *shapes[1]), rows, totals
        compare("network", "bins_backward", inputs, [np.empty((2, n), np.float32)])


def test_heads(rng):
    R, K = 3, 9
    logits, one = 3 * f32(rng, R, K), np.empty((R, K), np.float32)
    p, position = compare(
        "network", "expected_position_forward", (logits, np.float32(0.3)), [one, np.empty(R)]
    )
    inputs = p, position, np.float32(0.3), rng.standard_normal(R)
    compare("network", "expected_position_backward", inputs, [one])
    inputs = logits, np.array([1.5, -2.0, 7.3]), np.array([0.0, 3.2, -1.0])
    compare("network", "read", inputs, [np.empty((R, 3), np.float32)] * 2)
    compare("network", "amplitude", (logits,), [one, one])
