"""Layers and encoders against loops, finite differences and the stored step of the reference."""

import subprocess
import sys
from itertools import pairwise

import gradcheck
import naive_network as naive
import numpy as np
import pytest

from spectralot import ParameterError, harmonic_backward, harmonic_forward, preset
from spectralot.adam import Adam
from spectralot.cpu import network as cpu
from spectralot.learn import DenseEncoder, Frames, PaperEncoder, SharedEncoder
from spectralot.learn import _heads as heads
from spectralot.learn import _network as nn

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = dict(n_bins=60, n_harmonics=5)
ENCODERS = {
    "shared, read": lambda: SharedEncoder(channels=3, hidden=7, **SMALL),
    "shared, level": lambda: SharedEncoder(
        channels=3, hidden=7, amplitudes="level", tilt=0.2, **SMALL
    ),
    "shared, linear": lambda: SharedEncoder(channels=3, layers=3, amplitudes="linear", **SMALL),
    "dense": lambda: DenseEncoder(widths=(9, 6), **SMALL),
    "paper": lambda: PaperEncoder(channels=4, widths=(5, 4, 3), **SMALL),
    "paper, dropout": lambda: PaperEncoder(channels=4, widths=(5, 4, 3), **SMALL),
}
# rows P, inputs C, outputs D
DENSE = [(5, 3, 4), (1, 3, 2), (1, 1, 1), (200, 4, 3), (7, 2, 1)]
# frames R, bins K, taps, widths of the layers
BINS = [
    (3, 12, 5, (2, 4, 3)),
    (1, 7, 3, (1,)),
    (2, 3, 15, (3, 1)),
    (1, 1, 5, (2, 2)),
    (70, 4, 1, (2, 3)),
]
# frames R, bins K, channels C and D, taps
CONV = [(3, 12, 2, 4, 5), (1, 7, 1, 1, 3), (2, 3, 1, 3, 15), (1, 1, 2, 1, 5), (70, 4, 3, 2, 1)]


def random_rng(name):
    """Dropout's random numbers, the same at each call."""
    return np.random.default_rng(3) if name == "paper, dropout" else None


def random_parameters(encoder, rng, dtype=np.float64):
    """Fresh ones, but no bias is 0."""
    parameters = encoder.init(0, dtype)
    parameters.flat += (0.05 * rng.standard_normal(parameters.flat.shape)).astype(dtype)
    return parameters


def run(encoder, parameters, features, d_f0_hz, d_amplitudes, random=None):
    f0_hz, amplitudes, saved = encoder.forward(parameters, features, random)
    gradient = parameters.like()
    encoder.backward(parameters, gradient, d_f0_hz, d_amplitudes, saved)
    return f0_hz, amplitudes, gradient


# --- layers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0.3, 1.0])
@pytest.mark.parametrize("shape", DENSE)
def test_dense(shape, slope, rng):
    P, C, D = shape
    x, weight, bias = (rng.standard_normal(s) for s in ((P, C), (C, D), (D,)))
    y = nn.dense_forward(x, weight, bias, slope)
    np.testing.assert_allclose(y, naive.dense(x, weight, bias, slope), rtol=1e-12, atol=1e-14)
    d_y, d_weight, d_bias = rng.standard_normal(y.shape), np.zeros((C, D)), np.zeros(D)
    d_x = nn.dense_backward(d_y.copy(), x, y, weight, d_weight, d_bias, slope)
    gradcheck.check_elements(
        lambda *inputs: nn.dense_forward(*inputs, slope),
        (x, weight, bias),
        (d_x, d_weight, d_bias),
        d_y,
        tolerance=1e-8,
    )


@pytest.mark.parametrize("slope", [0.3, 1.0])
@pytest.mark.parametrize("shape", CONV)
def test_convolution(shape, slope, rng):
    R, K, C, D, taps = shape
    x, weight, bias = (rng.standard_normal(s) for s in ((R, K, C), (taps, C, D), (D,)))
    y = nn.conv_forward(x, weight, bias, slope)
    assert y.shape == (R, K, D)
    for r in range(R):
        expected = naive.convolution(x[r], weight, bias, slope)
        np.testing.assert_allclose(y[r], expected, rtol=1e-12, atol=1e-13)
    d_y, d_weight, d_bias = rng.standard_normal(y.shape), np.zeros(weight.shape), np.zeros(D)
    d_x = nn.conv_backward(d_y.copy(), x, y, weight, d_weight, d_bias, slope)
    gradcheck.check_elements(
        lambda *inputs: nn.conv_forward(*inputs, slope),
        (x, weight, bias),
        (d_x, d_weight, d_bias),
        d_y,
        tolerance=1e-8,
    )


@pytest.mark.parametrize("shape", BINS)
def test_layers_over_bins(shape, rng):
    R, K, taps, widths = shape
    x = rng.standard_normal((R, K))
    sizes = [(taps, 1, widths[0]), *pairwise(widths)]
    layers = [(rng.standard_normal(size), rng.standard_normal(size[-1])) for size in sizes]
    weights = np.concatenate([array.ravel() for layer in layers for array in layer])
    z, last = nn.bins_forward(x, weights, widths, taps, 0.3)
    for r in range(R):
        rows = [naive.convolution(x[r][:, None], *layers[0], 0.3)]
        for layer in layers[1:]:
            rows.append(naive.dense(rows[-1], *layer, 0.3))
        found = np.vstack([z[r], last[r]]).T
        np.testing.assert_allclose(found, np.hstack(rows), rtol=1e-12, atol=1e-13)
    d_last, d_weights = rng.standard_normal(last.shape), np.ones(len(weights))
    nn.bins_backward(d_last, x, z, last, weights, d_weights, widths, taps, 0.3)
    gradcheck.check_elements(
        lambda weights: nn.bins_forward(x, weights, widths, taps, 0.3)[1],
        (weights,),
        (d_weights - 1,),  # it was added
        d_last,
        tolerance=1e-8,
    )


@pytest.mark.parametrize("rows", [1, 3, 50])
def test_products(rows, rng):
    x, y, matrix = (rng.standard_normal(s) for s in ((rows, 5), (rows, 3), (5, 4)))
    np.testing.assert_allclose(nn.product(x, matrix), x @ matrix, rtol=1e-13)
    np.testing.assert_allclose(nn.product(y, matrix[:3].copy()), y @ matrix[:3], rtol=1e-13)
    across = np.ascontiguousarray(matrix.T).T  # as the transposed head comes
    np.testing.assert_allclose(nn.product(x, across), x @ matrix, rtol=1e-13)
    np.testing.assert_allclose(nn.outer_product(x, y), x.T @ y, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4, 4), (1, 12, 4), (2, 3, 7), (1, 1, 1)])
def test_toeplitz(shape, rng):
    D, inputs, outputs = shape
    kernel = rng.standard_normal((D, inputs + outputs - 1))
    matrix = nn.toeplitz(kernel, outputs)
    assert np.array_equal(matrix, naive.toeplitz(kernel, outputs))
    d_matrix, d_kernel = rng.standard_normal(matrix.shape), np.zeros(kernel.shape)
    nn.toeplitz_backward(d_matrix, d_kernel)
    gradcheck.check_elements(
        lambda kernel: nn.toeplitz(kernel, outputs), (kernel,), (d_kernel,), d_matrix
    )


def test_gradients_of_parameters_are_added(rng):
    x, weight, bias = (rng.standard_normal(s) for s in ((2, 9, 3), (5, 3, 4), (4,)))
    y, kernel = rng.standard_normal((2, 9, 4)), rng.standard_normal((2, 11))
    matrix = rng.standard_normal((12, 6))

    def gradients(start):
        conv, dense = [start(weight), start(bias)], [start(weight[0]), start(bias)]
        toeplitz = [start(kernel)]
        nn.conv_backward(y.copy(), x, y, weight, *conv, 0.3)
        nn.dense_backward(y[0].copy(), x[0], y[0], weight[0], *dense, 0.3)
        nn.toeplitz_backward(matrix, *toeplitz)
        return conv + dense + toeplitz

    for found, fresh in zip(gradients(np.ones_like), gradients(np.zeros_like), strict=True):
        assert fresh.any()
        np.testing.assert_allclose(found, 1 + fresh, rtol=1e-12)


def test_a_gradient_that_is_not_wanted_changes_no_other(rng):
    x, weight, y = (rng.standard_normal(s) for s in ((9, 3), (3, 4), (9, 4)))

    def gradients(wanted):
        dense = [np.zeros((3, 4)), np.zeros(4)]
        d_x = nn.dense_backward(y.copy(), x, y, weight, *dense, 0.3, wanted=wanted)
        assert (d_x is not None) == wanted
        return dense

    assert all(map(np.array_equal, gradients(True), gradients(False)))


def test_inputs_are_left_alone(rng):
    x, weight, bias = (rng.standard_normal(s) for s in ((2, 9, 3), (5, 3, 4), (4,)))
    before = [a.copy() for a in (x, weight, bias)]
    y = nn.conv_forward(x, weight, bias, 0.3)
    kept = y.copy()
    nn.conv_backward(y.copy(), x, y, weight, np.zeros_like(weight), np.zeros(4), 0.3)
    rows = x.reshape(-1, 3)
    nn.dense_backward(kept.reshape(-1, 4).copy(), rows, nn.dense_forward(rows, weight[0], bias),
                      weight[0], np.zeros((3, 4)), np.zeros(4))  # fmt: skip
    assert all(map(np.array_equal, before, (x, weight, bias))) and np.array_equal(y, kept)


@pytest.mark.parametrize("parts", [1, 3, 64])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (200, 2)])
def test_leaky_kernels(shape, parts, rng):
    v, bias, d_y = rng.standard_normal(shape), rng.standard_normal(shape[1]), np.ones(shape)
    v[0] = -bias  # where it bends
    y = v.copy()
    cpu.leaky_forward(y, bias, 0.3, parts)
    expected = [
        [naive.leaky(v[r, c] + bias[c], 0.3) for c in range(shape[1])] for r in range(len(v))
    ]
    np.testing.assert_allclose(y, expected, rtol=1e-14)
    sums = np.full((parts, shape[1]), np.nan)
    cpu.leaky_backward(y, 0.3, d_y, sums)
    assert np.array_equal(d_y, np.where(np.array(expected) > 0, 1.0, 0.3))
    np.testing.assert_allclose(sums.sum(axis=0), d_y.sum(axis=0), rtol=1e-13)


@pytest.mark.parametrize("power", [0.5, 1.0, 0.3, 2.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (40, 7)])
def test_normalize(shape, power, rng):
    x = rng.uniform(0, 3, shape)
    expected = [naive.normalize(row, power) for row in x]
    np.testing.assert_allclose(nn.normalize(x, power), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silence_stays_0_and_level_does_not_matter(dtype):
    x = np.zeros((3, 8), dtype)
    x[1], x[2, 3] = 0.5, 1e-30
    y = nn.normalize(x, 0.5)
    assert y.dtype == dtype and not y[0].any()
    assert np.allclose(y[1], 1) and y[2, 3] == pytest.approx(np.sqrt(8))
    assert not nn.standardize(x[:2], 1e-5).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (40, 7)])
def test_standardize(shape, rng):
    x = 5 + rng.standard_normal(shape)
    expected = [naive.standardize(row, 1e-2) for row in x]
    np.testing.assert_allclose(nn.standardize(x, 1e-2), expected, rtol=1e-11, atol=1e-13)


def position_of(logits, temperature):
    p, position = np.empty_like(logits), np.empty(len(logits))
    cpu.expected_position_forward(logits, temperature, p, position)
    return p, position


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (4, 9)])
def test_expected_position(shape, temperature, rng):
    logits = 0.3 * rng.standard_normal(shape)
    p, position = position_of(logits, temperature)
    for r, row in enumerate(logits):
        expected, place = naive.expected_position(row, temperature)
        np.testing.assert_allclose(p[r], expected, rtol=1e-12)
        assert position[r] == pytest.approx(place, rel=1e-12)
    d_position, d_logits = rng.standard_normal(len(logits)), np.empty(shape)
    cpu.expected_position_backward(p, position, temperature, d_position, d_logits)
    if shape[1] == 1:
        assert not d_logits.any()  # one bin: nothing to choose
    else:
        gradcheck.check_elements(
            lambda logits: position_of(logits, temperature)[1], (logits,), (d_logits,), d_position,
            tolerance=1e-7,
        )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_logits_do_not_overflow(dtype):
    logits = np.array([[0.0, 3e4, -3e4], [-3e4, -3e4, -3e4]], dtype)
    p, position = position_of(logits, 0.1)
    np.testing.assert_allclose(p, [[0, 1, 0], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)
    np.testing.assert_allclose(position, [1, 1], rtol=1e-12)


@pytest.mark.parametrize("n_bins", [1, 12])
def test_read(n_bins, rng):
    x, offsets = rng.uniform(0, 1, (4, n_bins)), np.array([-20, -3.0, -0.4, 0.0, 1.7, 9.2, 30])
    bins = np.array([0.0, 0.3, 5.71, 11.0])
    values, slopes = heads.read(x, bins, offsets)
    for r in range(4):
        expected = naive.read(x[r], bins[r], offsets)
        np.testing.assert_allclose(values[r], expected, rtol=1e-12, atol=1e-13)
    step = 1e-6  # to the right of whole bins too, where the slope jumps
    moved = np.array([naive.read(x[r], bins[r] + step, offsets) for r in range(4)])
    np.testing.assert_allclose(slopes, (moved - values) / step, atol=1e-8)
    assert slopes.any()


def test_harmonics_of_any_f0_are_read_between_bins(rng):
    encoder = SharedEncoder(n_bins=60, n_harmonics=5, bins_per_octave=12, fmin=50.0)
    features, f0_hz = rng.uniform(0, 1, (4, 60)), np.array([50.0, 61.0, 400.0, 2000.0])
    heard = encoder.read(features, f0_hz)
    for row, hz, magnitudes in zip(heard, f0_hz, features, strict=True):
        bins = 12 * np.log2(hz * np.arange(1, 6) / 50.0)
        expected = np.interp(bins, np.arange(60), magnitudes)
        inside = bins <= 59
        np.testing.assert_allclose(row[inside], expected[inside], rtol=1e-12)
        assert not row[bins >= 60].any()


def test_amplitude(rng):
    u = rng.standard_normal((3, 5)) * 4
    a, slopes = heads._activation(u)
    np.testing.assert_allclose(a, [[naive.amplitude(v) for v in row] for row in u], rtol=1e-13)
    d_a = rng.standard_normal(u.shape)
    gradcheck.check_elements(
        lambda u: heads._activation(u)[0], (u,), (d_a * slopes,), d_a, tolerance=1e-7
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_amplitude_far_out(dtype):
    a, slopes = heads._activation(np.array([[-1e4, -100, 100, 1e4]], dtype))
    assert a.dtype == slopes.dtype == dtype and np.all(np.isfinite(slopes))
    np.testing.assert_allclose(a, [[1e-7, 1e-7, 2 + 1e-7, 2 + 1e-7]], rtol=1e-6)
    np.testing.assert_allclose(slopes, 0, atol=1e-30)


def test_start_has_the_variance_it_promises(rng):
    weight = np.empty((15, 20, 300))
    nn.uniform(rng, weight, 0.5)
    assert weight.std() == pytest.approx(0.5 / np.sqrt(300), rel=0.01)
    assert abs(weight).max() <= 0.5 * np.sqrt(3 / 300) and abs(weight.mean()) < 1e-3


def test_parameters_are_views_of_one_vector():
    parameters = nn.Parameters({"a": (2, 3), "b": (4,)}, np.float32)
    parameters["b"][...] = 1
    assert parameters.flat.tolist() == [0] * 6 + [1] * 4
    parameters.flat[:] = np.arange(10)
    assert parameters["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    like = parameters.like()
    assert like.shapes == parameters.shapes and like.flat.dtype == np.float32
    assert not like.flat.any() and [name for name, _ in like.items()] == ["a", "b"]


# --- encoders ------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["read", "level", "linear"])
@pytest.mark.parametrize("n_layers", [1, 3])
def test_shared_encoder_is_that_of_the_loops(n_layers, head, rng):
    encoder = SharedEncoder(
        channels=3, layers=n_layers, hidden=7, amplitudes=head, temperature=0.1, **SMALL
    )
    parameters, features = random_parameters(encoder, rng), rng.uniform(0, 1, (3, 60))
    f0_hz, amplitudes, _ = encoder.forward(parameters, features)
    for r, frame in enumerate(features):
        arrays = dict(parameters.items())
        f0, expected = naive.shared_encoder(arrays, frame, n_layers, 5, head)
        assert f0_hz[r] == pytest.approx(f0, rel=1e-11)
        np.testing.assert_allclose(amplitudes[r], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("widths", [(9, 6), (4,)])
def test_dense_encoder_is_that_of_the_loops(widths, rng):
    encoder = DenseEncoder(widths=widths, **SMALL)
    parameters, features = random_parameters(encoder, rng), rng.uniform(0, 1, (3, 60))
    f0_hz, amplitudes, _ = encoder.forward(parameters, features)
    for r, frame in enumerate(features):
        f0, expected = naive.dense_encoder(dict(parameters.items()), frame, len(widths) + 1)
        assert f0_hz[r] == pytest.approx(f0, rel=1e-11)
        np.testing.assert_allclose(amplitudes[r], expected, rtol=1e-11)


@pytest.mark.parametrize("n_frames", [1, 6])
@pytest.mark.parametrize("name", ENCODERS)
def test_gradient(name, n_frames, rng):
    encoder = ENCODERS[name]()
    parameters, features = random_parameters(encoder, rng), rng.uniform(0, 1, (n_frames, 60))
    # f0 in Hz is a hundred times as large as amplitudes
    d_f0_hz, d_amplitudes = (rng.standard_normal(s) for s in (n_frames, (n_frames, 5)))
    d_f0_hz *= 0.01
    _, _, gradient = run(encoder, parameters, features, d_f0_hz, d_amplitudes, random_rng(name))

    def forward(*arrays):
        moved = parameters.like()
        for (_, view), array in zip(moved.items(), arrays, strict=True):
            view[...] = array
        f0_hz, amplitudes, _ = encoder.forward(moved, features, random_rng(name))
        return np.concatenate([f0_hz, amplitudes.ravel()])

    gradcheck.check_projected(
        forward,
        [array for _, array in parameters.items()],
        [array for _, array in gradient.items()],
        np.concatenate([d_f0_hz, d_amplitudes.ravel()]),
        rng=rng,
        step=1e-6,  # few kinks are as near
    )


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_add_to_the_gradient(name, rng):
    encoder = ENCODERS[name]()
    parameters, features = random_parameters(encoder, rng), rng.uniform(0, 1, (2, 60))
    ones = np.ones(2), np.ones((2, 5))
    _, _, fresh = run(encoder, parameters, features, *ones, random_rng(name))
    assert all(array.any() for _, array in fresh.items())
    added = parameters.like()
    added.flat[:] = 7.0
    saved = encoder.forward(parameters, features, random_rng(name))[2]
    encoder.backward(parameters, added, *ones, saved)
    np.testing.assert_allclose(added.flat, 7 + fresh.flat, rtol=1e-10)


@pytest.mark.parametrize("name", ENCODERS)
def test_float32_follows_float64(name, rng, relative_error):
    encoder = ENCODERS[name]()
    parameters = random_parameters(encoder, rng, np.float32)
    exact = encoder.init(0, np.float64)
    exact.flat[:] = parameters.flat
    features = rng.uniform(0, 1, (6, 60)).astype(np.float32)
    d_f0_hz = 0.01 * rng.standard_normal(6)
    d_amplitudes = rng.standard_normal((6, 5)).astype(np.float32)
    found = run(encoder, parameters, features, d_f0_hz, d_amplitudes, random_rng(name))
    wide = [a.astype(np.float64) for a in (features, d_f0_hz, d_amplitudes)]
    expected = run(encoder, exact, *wide, random_rng(name))
    assert found[0].dtype == np.float64 and found[1].dtype == np.float32
    assert found[2].flat.dtype == np.float32
    np.testing.assert_allclose(found[0], expected[0], rtol=5e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=5e-5, atol=1e-6)
    for (key, one), (_, other) in zip(found[2].items(), expected[2].items(), strict=True):
        assert relative_error(one, other) < 1e-4, key


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits_for_one_and_two_threads(dtype, rng, with_threads):
    x, bias = rng.uniform(0, 1, (203, 60)).astype(dtype), rng.standard_normal(60).astype(dtype)
    bins, offsets = rng.uniform(0, 60, 203), np.arange(-7.5, 9)

    def kernels():
        y, d_y, sums = x.copy(), x - dtype(0.5), np.empty((64, 60))
        cpu.leaky_forward(y, bias, dtype(0.3), 64)
        cpu.leaky_backward(y, dtype(0.3), d_y, sums)
        p, position = position_of(x, 0.1)
        d_logits = np.empty_like(p)
        cpu.expected_position_backward(p, position, 0.1, bins, d_logits)
        return [y, d_y, sums, p, position, d_logits, *heads.read(x, bins, offsets),
                *heads._activation(y), nn.normalize(x, 0.5), nn.normalize(x, 0.7),
                nn.standardize(x, 1e-5)]  # fmt: skip

    first = with_threads(1, kernels)
    for n_threads in (2, 1):
        assert all(map(np.array_equal, first, with_threads(n_threads, kernels)))


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_give_the_same_bits_for_one_and_two_threads(name, rng, with_threads):
    encoder = ENCODERS[name]()
    parameters = random_parameters(encoder, rng, np.float32)
    features = rng.uniform(0, 1, (33, 60)).astype(np.float32)
    ones = np.ones(33), np.ones((33, 5), np.float32)

    def both():
        f0_hz, amplitudes, gradient = run(encoder, parameters, features, *ones, random_rng(name))
        return f0_hz, amplitudes, gradient.flat

    first = with_threads(1, both)
    for n_threads in (2, 1):
        assert all(map(np.array_equal, first, with_threads(n_threads, both)))


@pytest.mark.parametrize("n", [1, 9, -6])
def test_a_transposed_spectrum_moves_the_logits(n, rng):
    encoder = SharedEncoder(n_bins=90, n_harmonics=5, channels=4, layers=3)
    features = np.zeros((2, 90))
    features[:, 30:50] = rng.uniform(0, 1, (2, 20))
    moved = np.roll(features, n, axis=1)
    kept, shifted = (slice(max(0, s), 90 + min(0, s)) for s in (-n, n))
    parameters = encoder.init(0, np.float64)  # biases are 0
    a, b = (encoder._trunk(parameters, x, None)[1] for x in (features, moved))
    np.testing.assert_allclose(b[:, shifted], a[:, kept], rtol=0, atol=1e-13 * abs(a).max())
    # biases fill the empty bins, as in silence: what lies above that moves
    parameters = random_parameters(encoder, rng)
    a, b, silence = (encoder._trunk(parameters, x, None)[1] for x in (features, moved, 0 * moved))
    assert abs(silence).max() > 1e-3
    a, b = a - silence, b - silence
    np.testing.assert_allclose(b[:, shifted], a[:, kept], rtol=0, atol=1e-12 * abs(a).max())


def test_f0_stays_between_the_first_and_the_last_bin(rng):
    encoder = ENCODERS["dense"]()
    parameters, features = random_parameters(encoder, rng), rng.uniform(0, 1, (3, 60))
    for bin_number in (0, 17, 59):
        parameters["dense.2.bias"][...] = 0
        parameters["dense.2.bias"][bin_number] = 1e3
        f0_hz, _, _ = encoder.forward(parameters, features)
        np.testing.assert_allclose(f0_hz, 32.7 * 2 ** (bin_number / 36), rtol=1e-12)


@pytest.mark.parametrize("name", ENCODERS)
def test_silence_is_finite_and_pulls_finitely(name, rng):
    encoder = ENCODERS[name]()
    parameters = random_parameters(encoder, rng, np.float32)
    features = np.zeros((2, 60), np.float32)
    ones = np.ones(2), np.ones((2, 5), np.float32)
    f0_hz, amplitudes, gradient = run(encoder, parameters, features, *ones, random_rng(name))
    assert np.isfinite(f0_hz).all() and np.isfinite(gradient.flat).all()
    measures = name in ("shared, read", "shared, level")  # and there is nothing to measure
    assert np.all(amplitudes >= 0) and amplitudes.any() != measures


def test_read_head_starts_with_the_magnitudes_themselves(rng):
    encoder = ENCODERS["shared, read"]()
    parameters, features = encoder.init(0, np.float64), rng.uniform(0, 1, (4, 60))
    bins, head = np.array([0.0, 7.0, 12.4, 20.0]), encoder._head
    amplitudes, _ = head.forward(parameters, None, features, bins)
    expected = [naive.read(features[r], bins[r], head._harmonics) for r in range(4)]
    np.testing.assert_allclose(amplitudes, expected, rtol=0.1, atol=1e-12)
    assert amplitudes.any()
    parameters["amplitude.1.weight"][...] = 0
    amplitudes, _ = head.forward(parameters, None, features, bins)
    np.testing.assert_allclose(amplitudes, expected, rtol=0.01, atol=1e-12)


@pytest.mark.parametrize("f0_hz", [110.0, 442.0, 1000.0])
def test_level_head_starts_with_the_level_of_a_sine_falling_by_the_tilt(f0_hz):
    encoder = SharedEncoder(amplitudes="level", start=0.45, tilt=0.3)
    parameters = encoder.init(0, np.float64)
    parameters["amplitude.1.weight"][...] = 0
    sine = 0.2 * np.sin(2 * np.pi * f0_hz * np.arange(32000) / 16000)
    middle = Frames()(sine)[60:65].astype(np.float64)
    _, amplitudes, _ = encoder.forward(parameters, middle)
    np.testing.assert_allclose(amplitudes[:, 0], 0.45 * 0.2, rtol=0.01)
    first = parameters["amplitude.1.bias"][0]
    assert naive.amplitude(first) == pytest.approx(0.45)
    factors = np.array([naive.amplitude(first - 0.3 * h) for h in range(20)])
    np.testing.assert_allclose(amplitudes / amplitudes[:, :1], [factors / factors[0]] * 5)


TOGETHER = """
import threading
import numpy as np
import threadpoolctl
from spectralot.learn import SharedEncoder

def n_blas_threads():
    libraries = threadpoolctl.threadpool_info()
    return {lib["num_threads"] for lib in libraries if lib["user_api"] == "blas"}

encoder = SharedEncoder()
parameters, features = encoder.init(0), np.random.default_rng(0).random((64, 285), np.float32)
parameters["pitch.kernel"][...] = 0.1 * np.random.default_rng(1).standard_normal((4, 569))
found = []

def encode():
    for _ in range(100):
        found.append(b"".join(a.tobytes() for a in encoder.forward(parameters, features)[:2]))

before = n_blas_threads()
encode()
threads = [threading.Thread(target=encode) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(found), len(set(found)), n_blas_threads() == before)
"""


def test_threads_encode_side_by_side_and_blas_has_its_own_back():
    done = subprocess.run(
        [sys.executable, "-c", TOGETHER], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("400 1 True\n", "")


def test_dropout_leaves_out_a_share_in_training_alone(rng):
    encoder = PaperEncoder(channels=4, widths=(5, 40, 3), dropout=0.2, **SMALL)
    parameters, features = random_parameters(encoder, rng), rng.uniform(0, 1, (5, 60))
    plain = encoder.forward(parameters, features)
    assert plain[2][0][5] is None
    trained = encoder.forward(parameters, features, np.random.default_rng(0))
    kept = trained[2][0][5]
    assert kept.shape == (300, 40) and set(np.unique(kept)) == {0, 1.25}
    assert np.mean(kept == 0) == pytest.approx(0.2, abs=0.02)  # five standard errors
    assert not np.array_equal(trained[1], plain[1])
    none = PaperEncoder(channels=4, widths=(5, 40, 3), dropout=0, **SMALL)
    never = none.forward(parameters, features, np.random.default_rng(0))
    assert np.array_equal(never[0], plain[0]) and np.array_equal(never[1], plain[1])


@pytest.mark.parametrize("name", ENCODERS)
def test_a_seed_says_all(name):
    encoder = ENCODERS[name]()
    one, same, other = (encoder.init(seed) for seed in (1, 1, 2))
    assert one.flat.dtype == np.float32 and np.array_equal(one.flat, same.flat)
    assert not np.array_equal(one.flat, other.flat)
    wide = encoder.init(1, np.float64)
    assert wide.flat.dtype == np.float64
    np.testing.assert_allclose(wide.flat, one.flat, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SharedEncoder(n_bins=1), "n_bins must be at least 2, got 1"),
        (lambda: DenseEncoder(n_bins=9.5), "n_bins must be an integer, got 9.5"),
        (lambda: PaperEncoder(n_harmonics=0), "n_harmonics must be at least 1, got 0"),
        (lambda: SharedEncoder(fmin=0), "fmin must be above 0, got 0"),
        (lambda: DenseEncoder(bins_per_octave=0), "bins_per_octave must be at least 1, got 0"),
        (lambda: PaperEncoder(temperature=0), "temperature must be above 0, got 0"),
        (lambda: SharedEncoder(temperature=np.nan), "temperature must be finite, got nan"),
        (lambda: SharedEncoder(power=0), "power must be above 0, got 0"),
        (lambda: SharedEncoder(channels=0), "channels must be at least 1, got 0"),
        (lambda: SharedEncoder(layers=0), "layers must be at least 1, got 0"),
        (lambda: SharedEncoder(out_channels=0), "out_channels must be at least 1, got 0"),
        (lambda: SharedEncoder(hidden=0), "hidden must be at least 1, got 0"),
        (
            lambda: SharedEncoder(amplitudes="none"),
            "amplitudes must be one of 'read', 'level', 'linear', got 'none'",
        ),
        (lambda: SharedEncoder(start=0), "start must be above 0, got 0"),
        (lambda: SharedEncoder(start=2), "start must be below 2, got 2"),
        (lambda: SharedEncoder(tilt=np.inf), "tilt must be finite, got inf"),
        (lambda: DenseEncoder(widths=(9, 0)), "widths must be at least 1, got 0"),
        (lambda: PaperEncoder(channels=0), "channels must be at least 1, got 0"),
        (lambda: PaperEncoder(widths=(3.5,)), "widths must be an integer, got 3.5"),
        (lambda: PaperEncoder(dropout=-0.1), "dropout must be at least 0, got -0.1"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


# --- the stored step of the reference ------------------------------------------------------------

REFERENCE_NAMES = {
    "norm": "layernorm",
    "conv": "conv1.0",
    "residual": "prefilt_list.0.0",
    "bin.0": "conv2.0",
    "bin.1": "conv3.0",
    "bin.2": "conv4.0",
    "bin.3": "conv4.3",
    "pitch": "linear.frequency.0",
    "amplitude": "linear.weights.0",
}


def ours(stored, kind, dtype=np.float64):
    """The reference's arrays in our names and layouts: it has outputs first and taps last."""
    parameters = nn.Parameters(PaperEncoder().shapes, dtype)
    for name, view in parameters.items():
        layer, what = name.rsplit(".", 1)
        their = "weight" if what == "kernel" else what
        array = stored[f"{kind}/{REFERENCE_NAMES[layer]}.{their}"]
        if layer in ("norm", "pitch") or what == "bias":
            array = array.reshape(view.shape)
        elif view.ndim == 3:
            array = array.transpose(2, 1, 0)
        else:
            array = array.reshape(array.shape[:2]).T
        assert array.shape == view.shape
        view[...] = array
    return parameters


def step_of_the_reference(reference, dtype):
    """Forward and backward through encoder, synthesizer and loss."""
    stored = reference("training_step")
    encoder, parameters = PaperEncoder(), ours(stored, "param", dtype)
    features = stored["cqt"].reshape(64, 285).astype(dtype)
    f0_hz, amplitudes, saved = encoder.forward(parameters, features)
    audio, synthesis = harmonic_forward(
        f0_hz.reshape(4, 16), amplitudes.reshape(4, 16, 20), n_samples=4096, sample_rate=16000
    )
    value, d_audio = preset("SOT-2048")(reference("signals")["x"].astype(dtype), audio)
    d_f0_hz, d_amplitudes, *_ = harmonic_backward(d_audio, synthesis)
    d_outputs = d_f0_hz.ravel(), d_amplitudes.reshape(64, 20).astype(dtype)
    gradient = parameters.like()
    encoder.backward(parameters, gradient, *d_outputs, saved)
    return parameters, f0_hz, amplitudes, audio, value, d_outputs, gradient


@pytest.fixture(scope="module")
def exact_step(reference):
    return step_of_the_reference(reference, np.float64)


def test_paper_encoder_has_as_many_parameters_as_the_paper_says():
    assert len(PaperEncoder().init(0).flat) == 46012


def test_features_are_those_of_the_reference(reference, full_scale_error):
    found = Frames(calibrated=False)(reference("signals")["x"][:, :-1])
    assert found.dtype == np.float32
    assert full_scale_error(found, reference("training_step")["cqt"]) < 2e-6


def test_training_step_of_the_reference(exact_step, reference, relative_error):
    _, f0_hz, amplitudes, audio, value, _, gradient = exact_step
    synth, losses = reference("synth"), reference("losses")
    np.testing.assert_allclose(f0_hz, synth["step_f0_hz"].ravel(), rtol=1e-12)
    np.testing.assert_allclose(amplitudes, synth["step_amplitudes"].reshape(64, 20), rtol=1e-12)
    np.testing.assert_allclose(audio, reference("signals")["x_hat"], rtol=0, atol=1e-9)
    assert value == pytest.approx(float(losses["step_loss"]), rel=2e-6)
    expected = ours(reference("training_step"), "grad")
    for (name, found), (_, wanted) in zip(gradient.items(), expected.items(), strict=True):
        assert relative_error(found, wanted) < 1e-9, name


def test_adam_step_of_the_reference(exact_step, reference):
    parameters, *_, gradient = exact_step
    expected = ours(reference("training_step"), "after_adam")
    adam = Adam(parameters.flat.shape, beta2=0.999, eps=1e-8)
    after = parameters.flat - adam.step(gradient.flat + 1e-4 * parameters.flat, 1e-4)
    assert abs(after - parameters.flat).max() > 9e-5
    np.testing.assert_allclose(after, expected.flat, rtol=0, atol=1e-9)


def test_training_step_in_float32(exact_step, reference, relative_error):
    """The network alone to 2e-5; its f0 is off by 1e-5 Hz, and the loss magnifies that.

    So small an error of f0 turns the gradient of the loss by 4e-4 in float64 too. How large it is
    depends on the BLAS: whole chains came out between 3e-4 and 2.3e-3.
    """
    _, f0_hz, amplitudes, _, value, d_outputs, _ = exact_step
    parameters, f0_single, single, _, value_single, _, chain = step_of_the_reference(
        reference, np.float32
    )
    assert single.dtype == np.float32
    np.testing.assert_allclose(f0_single, f0_hz, rtol=1e-6)
    np.testing.assert_allclose(single, amplitudes, rtol=1e-5)
    assert value_single == pytest.approx(value, rel=1e-5)
    features = reference("training_step")["cqt"].reshape(64, 285).astype(np.float32)
    d_f0_hz, d_amplitudes = d_outputs
    _, _, alone = run(
        PaperEncoder(), parameters, features, d_f0_hz, d_amplitudes.astype(np.float32)
    )
    expected = ours(reference("training_step"), "grad")
    for name, wanted in expected.items():
        assert relative_error(alone[name], wanted) < 2e-5, name
        assert relative_error(chain[name], wanted) < 1e-2, name


@pytest.mark.parametrize(
    ("encoder", "options", "message"),
    [
        (DenseEncoder, {"widths": ()}, r"widths must name one layer at least, got \(\)"),
        (DenseEncoder, {"widths": 3}, "widths must name one layer at least, got 3"),
        (PaperEncoder, {"widths": [4, 0]}, "widths must be at least 1, got 0"),
        (PaperEncoder, {"dropout": 1.0}, "dropout must be below 1, got 1"),
    ],
)
def test_sizes_that_make_no_network_are_refused(encoder, options, message):
    with pytest.raises(ParameterError, match=message):
        encoder(**options)
