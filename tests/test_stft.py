"""STFT magnitudes and their adjoint against plain transforms, finite differences, the reference."""

import gradcheck
import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralot import (
    ParameterError,
    frame_count,
    frame_times,
    stft_magnitude_backward,
    stft_magnitude_forward,
)
from spectralot.stft import SIZES_ON_DEVICE

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = [  # batch, samples, n_fft, hop
    (1, 1, 4, 1),
    (2, 50, 16, 5),
    (1, 97, 15, 4),  # odd lengths: no Nyquist bin
    (3, 64, 16, 16),
    (2, 100, 8, 13),  # samples between the frames count nothing
    (1, 30, 64, 16),  # shorter than a frame
    (1, 700, 256, 64),
    (2, 40, 2, 3),
    (1, 65, 16, 5),  # one sample more than a thread's piece
]
WINDOWS = ["hann", "flattop", ("kaiser", 6.0), "array"]
OPTIONS = [
    {},
    {"power": 2},
    {"normalized": False},
    {"padding": "center"},
    {"padding": "center", "power": 2, "normalized": False},
    {"padding": "none"},
]


def window_for(window, n_fft):
    # not symmetric, and negative in places: a plain array is taken as it is
    return (
        np.sin(np.arange(n_fft) + 1.0) if isinstance(window, str) and window == "array" else window
    )


def fits(shape, options):
    return options.get("padding") != "none" or shape[1] >= shape[2]


CASES = [(shape, options) for shape in SHAPES for options in OPTIONS if fits(shape, options)]


# --- frames --------------------------------------------------------------------------------------


@given(
    st.integers(1, 300), st.integers(2, 40), st.integers(1, 50),
    st.sampled_from(["end", "center", "none"]),
)  # fmt: skip
def test_frame_count_and_times_follow_the_framing_rule(n_samples, n_fft, hop_length, padding):
    if padding == "none" and n_samples < n_fft:
        return
    starts = naive.frame_starts(n_samples, n_fft, hop_length, padding)
    count = frame_count(n_samples, n_fft=n_fft, hop_length=hop_length, padding=padding)
    assert count == len(starts) and isinstance(count, int)
    times = frame_times(
        count, n_fft=n_fft, hop_length=hop_length, sample_rate=8000, padding=padding
    )
    half = n_fft // 2 if padding == "center" else n_fft / 2
    np.testing.assert_allclose(times, (np.array(starts) + half) / 8000, rtol=1e-14, atol=1e-17)
    assert times.dtype == np.float64


def test_devices_take_the_sizes_that_the_docstring_names():
    assert SIZES_ON_DEVICE == (64, 128, 256, 512, 1024, 2048, 4096)


def test_the_smallest_frames_are_counted():
    for padding in ("end", "none"):
        assert frame_count(5, n_fft=1, hop_length=1, padding=padding) == 5
    assert frame_times(1, n_fft=1, hop_length=1, sample_rate=2).tolist() == [0.25]


def test_an_impulse_peaks_in_the_frame_whose_time_is_its_own():
    n_fft, hop, rate = 64, 16, 1000
    for padding in ("end", "center", "none"):
        times = frame_times(12, n_fft=n_fft, hop_length=hop, sample_rate=rate, padding=padding)
        x = np.zeros(256)
        x[round(times[4] * rate)] = 1.0
        magnitude, _ = stft_magnitude_forward(x, n_fft=n_fft, hop_length=hop, padding=padding)
        assert np.argmax(magnitude.sum(axis=1)) == 4


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "options"), CASES, ids=str)
def test_magnitude_matches_the_plain_transform(shape, options, rng):
    B, N, n_fft, hop = shape
    x = rng.standard_normal((B, N))
    for window in WINDOWS:
        window = window_for(window, n_fft)
        extra = {"n_fft": n_fft, "hop_length": hop, "window": window, **options}
        magnitude, _ = stft_magnitude_forward(x, **extra)
        padding = options.get("padding", "end")
        T = frame_count(N, n_fft=n_fft, hop_length=hop, padding=padding)
        assert magnitude.shape == (B, T, n_fft // 2 + 1)
        assert magnitude.dtype == np.float64
        for b in range(B):
            expected = naive.stft_magnitude(x[b], **extra)
            atol = 1e-14 * n_fft * np.max(expected)
            np.testing.assert_allclose(magnitude[b], expected, rtol=1e-12, atol=atol)
            single, _ = stft_magnitude_forward(x[b], **extra)
            assert np.array_equal(single, magnitude[b])


def test_a_single_frame_equals_the_numpy_transform(rng):
    x = rng.standard_normal(48)
    taper = rng.standard_normal(48)
    magnitude, _ = stft_magnitude_forward(
        x, n_fft=48, hop_length=48, window=taper, padding="none", normalized=False
    )
    np.testing.assert_allclose(magnitude[0], np.abs(np.fft.rfft(x * taper)), rtol=1e-12)
    # orthonormal scaling keeps the energy of real even frames, middle bins counted twice
    power, _ = stft_magnitude_forward(
        x, n_fft=48, hop_length=48, window="boxcar", padding="none", power=2
    )
    twice = np.r_[1.0, np.full(23, 2.0), 1.0]
    assert power[0] @ twice == pytest.approx(x @ x, rel=1e-13)


def test_a_window_may_weigh_up_to_a_thousand():
    options = {"n_fft": 16, "hop_length": 4}
    magnitude, _ = stft_magnitude_forward(np.ones(64), window=np.full(16, 1000.0), **options)
    plain, _ = stft_magnitude_forward(np.ones(64), window="boxcar", **options)
    np.testing.assert_allclose(magnitude, 1000 * plain, rtol=1e-12, atol=1e-10)


# --- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "options"), CASES, ids=str)
def test_gradient(shape, options, rng):
    B, N, n_fft, hop = shape
    x = rng.standard_normal((B, N))
    window = window_for(WINDOWS[(N + n_fft) % 4], n_fft)
    extra = {"n_fft": n_fft, "hop_length": hop, "window": window, **options}

    def forward(x):
        return stft_magnitude_forward(x, **extra)[0]

    magnitude, saved = stft_magnitude_forward(x, **extra)
    d_magnitude = rng.standard_normal(magnitude.shape)
    d_x = stft_magnitude_backward(d_magnitude, saved)
    assert d_x.shape == x.shape and d_x.dtype == np.float64
    # the curvature of a magnitude is the inverse of its size: small bins ask for a small step
    gradcheck.check_projected(forward, (x,), (d_x,), d_magnitude, rng=rng, step=1e-6)
    if x.size <= 100:
        gradcheck.check_elements(forward, (x,), (d_x,), d_magnitude, step=1e-6)
    _, saved = stft_magnitude_forward(x[0], **extra)
    assert np.array_equal(stft_magnitude_backward(d_magnitude[0], saved), d_x[0])


@given(
    st.integers(1, 120), st.integers(2, 33), st.integers(1, 40),
    st.sampled_from(["end", "center", "none"]), st.booleans(), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_backward_is_the_adjoint_of_the_linear_part(N, n_fft, hop, padding, normalized, seed):
    """<A y, d * phasor> = <y, A'(d * phasor)> for any y, with A the complex transform."""
    if padding == "none" and N < n_fft:
        return
    rng = np.random.default_rng(seed)
    options = {"n_fft": n_fft, "hop_length": hop, "padding": padding, "normalized": normalized}
    x, y = rng.standard_normal((2, N))
    magnitude, saved = stft_magnitude_forward(x, window="boxcar", **options)
    d_magnitude = rng.standard_normal(magnitude.shape)
    d_x = stft_magnitude_backward(d_magnitude, saved)
    spectra_x = naive.stft(x, window="boxcar", **options)
    spectra_y = naive.stft(y, window="boxcar", **options)
    if np.abs(spectra_x).min() < 1e-6:  # the phase of such a bin is rounding
        return
    left = np.sum(d_magnitude * np.real(np.conj(spectra_x) * spectra_y) / np.abs(spectra_x))
    assert abs(left - y @ d_x) <= 1e-8 * (np.linalg.norm(y) * np.linalg.norm(d_x) + abs(left))


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_bins_have_zero_gradient(power, dtype):
    x = np.zeros((3, 200), dtype)
    x[1, 100:] = np.linspace(-1, 1, 100)  # its first frames are silent
    magnitude, saved = stft_magnitude_forward(x, n_fft=32, hop_length=8, power=power)
    d_x = stft_magnitude_backward(np.ones_like(magnitude), saved)
    assert np.all(magnitude[::2] == 0) and np.all(d_x[::2] == 0)
    assert np.all(np.isfinite(d_x)) and np.any(d_x[1] != 0)
    assert np.all(d_x[1, :70] == 0)


def test_tiny_and_huge_signals_stay_finite(rng):
    x = rng.standard_normal(200)
    for dtype, scale in [(np.float64, 1e-150), (np.float64, 1e140), (np.float32, 1e-22)]:
        scaled = (scale * x).astype(dtype)
        magnitude, saved = stft_magnitude_forward(scaled, n_fft=32, hop_length=8)
        plain, plain_saved = stft_magnitude_forward(x, n_fft=32, hop_length=8)
        np.testing.assert_allclose(magnitude / dtype(scale), plain, rtol=1e-4, atol=1e-5)
        d_x = stft_magnitude_backward(np.ones_like(magnitude), saved)
        expected = stft_magnitude_backward(np.ones_like(plain), plain_saved)
        np.testing.assert_allclose(d_x, expected, rtol=1e-3, atol=1e-3)


# --- the reference -------------------------------------------------------------------------------

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)], ids=["float64", "float32"]
)


@PRECISIONS
def test_reference_magnitudes(dtype, tolerance, reference, full_scale_error):
    stored = reference("stft")
    x = reference("signals")["xh"].astype(dtype)
    every = {2048: 2, 512: 8, 64: 16}  # frames kept
    for n_fft in (2048, 1024, 512, 256, 128, 64):
        magnitude, _ = stft_magnitude_forward(x, n_fft=n_fft, hop_length=n_fft // 4)
        assert magnitude.dtype == dtype
        sums = magnitude.sum(axis=(1, 2), dtype=np.float64)
        assert full_scale_error(sums, stored[f"sum_mag_hann_{n_fft}"]) < tolerance
        if n_fft in every:
            expected = stored[f"mag_hann_{n_fft}"]
            found = magnitude[0, :: every[n_fft]].T
            assert full_scale_error(found, expected) < tolerance
            if dtype == np.float64:
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    for n_fft in (2048, 512):
        magnitude, _ = stft_magnitude_forward(x, n_fft=n_fft, hop_length=256, window="flattop")
        expected = stored[f"mag_flattop_{n_fft}_hop256"]
        assert full_scale_error(magnitude[0, ::8], expected) < tolerance


@pytest.mark.parametrize("n_fft", [2048, 64])
def test_reference_gradients(n_fft, reference, relative_error):
    stored = reference("stft")
    _, saved = stft_magnitude_forward(
        reference("signals")["xh"][0], n_fft=n_fft, hop_length=n_fft // 4
    )
    d_x = stft_magnitude_backward(stored[f"d_mag_hann_{n_fft}"].T, saved)
    assert relative_error(d_x, stored[f"d_x_hann_{n_fft}"]) < 1e-7


@pytest.mark.parametrize("n_fft", [2048, 64])
def test_reference_gradients_in_float32(n_fft, reference, relative_error):
    """Only bins within 60 dB of the loudest get a gradient.

    The stored signals have bins 150 dB down. Their phases are lost as soon as the audio itself is
    rounded to float32, which alone moves the stored gradient for n_fft 2048 by 1 %.
    """
    options = {"n_fft": n_fft, "hop_length": n_fft // 4}
    x = reference("signals")["xh"][0]
    audible = naive.stft_magnitude(x, **options)
    audible = audible > 1e-3 * audible.max()
    d_magnitude = reference("stft")[f"d_mag_hann_{n_fft}"].T * audible
    expected = naive.stft_magnitude_adjoint(d_magnitude, x, **options)
    _, saved = stft_magnitude_forward(x.astype(np.float32), **options)
    d_x = stft_magnitude_backward(d_magnitude.astype(np.float32), saved)
    assert d_x.dtype == np.float32
    assert relative_error(d_x, expected) < 2e-4


# --- reproducibility, dtypes, memory -------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 3001, 256, 60), (7, 300, 64, 50)], ids=str)
def test_bitwise_equal_for_any_thread_count_and_on_repetition(dtype, shape, rng, with_threads):
    B, N, n_fft, hop = shape
    x = rng.standard_normal((B, N)).astype(dtype)
    T = frame_count(N, n_fft=n_fft, hop_length=hop)
    d_magnitude = rng.standard_normal((B, T, n_fft // 2 + 1)).astype(dtype)

    def run():
        magnitude, saved = stft_magnitude_forward(x, n_fft=n_fft, hop_length=hop)
        return magnitude, stft_magnitude_backward(d_magnitude, saved)

    first = with_threads(2, run)
    for n_threads in (1, 2, 1):
        again = with_threads(n_threads, run)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("power", [1, 2])
def test_dtypes_follow_the_input(power, rng, full_scale_error):
    def run(x):
        magnitude, saved = stft_magnitude_forward(x, n_fft=32, hop_length=8, power=power)
        d_x = stft_magnitude_backward(np.ones_like(magnitude), saved)
        assert magnitude.dtype == d_x.dtype
        return magnitude

    x = rng.integers(-9, 9, 150)
    expected = run(x.astype(np.float64))
    single = run(x.astype(np.float32))
    assert single.dtype == np.float32
    assert full_scale_error(single, expected) < 1e-6
    assert np.array_equal(run(x), expected) and run(x).dtype == np.float64
    assert np.array_equal(run(x.tolist()), expected)


def test_inputs_may_be_strided_and_are_never_written_to(rng):
    options = {"n_fft": 32, "hop_length": 8}
    x = np.repeat(rng.standard_normal((3, 120)), 2, axis=1)[:, ::2]
    taper = np.repeat(rng.standard_normal(32), 2)[::2]
    copies = x.copy(), taper.copy()
    x.setflags(write=False)
    taper.setflags(write=False)
    magnitude, saved = stft_magnitude_forward(x, window=taper, **options)
    expected, expected_saved = stft_magnitude_forward(copies[0], window=copies[1], **options)
    assert np.array_equal(magnitude, expected)
    d_magnitude = np.asfortranarray(rng.standard_normal(magnitude.shape))
    d_copy = np.ascontiguousarray(d_magnitude)
    d_x = stft_magnitude_backward(d_magnitude, saved)
    assert np.array_equal(d_x, stft_magnitude_backward(d_copy, expected_saved))
    assert np.array_equal(d_x, stft_magnitude_backward(d_copy, expected_saved))
    assert np.array_equal(x, copies[0]) and np.array_equal(taper, copies[1])
    assert np.array_equal(d_magnitude, d_copy)
    x_then = copies[0]  # a caller who reuses its buffers does not change the gradient
    x_then[:] = 0
    magnitude[:] = 0
    assert np.array_equal(d_x, stft_magnitude_backward(d_copy, expected_saved))


@pytest.mark.parametrize("level", [1e-45, 1e-42, 1e-38, 1e30])
def test_magnitudes_near_the_ends_of_float32_have_finite_gradients(level):
    x = np.full(64, level, np.float32)
    magnitude, saved = stft_magnitude_forward(x, n_fft=16, hop_length=4)
    d_x = stft_magnitude_backward(np.full_like(magnitude, 3.0), saved)
    assert np.all(np.isfinite(d_x)) and np.abs(d_x).max() > 0


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": []}, r"x must not be empty, got shape \(0,\)"),
        ({"x": np.ones((2, 0))}, r"x must not be empty, got shape \(2, 0\)"),
        ({"x": 1.0}, r"x must have 1 or 2 dimension\(s\), got shape \(\)"),
        ({"x": np.ones((1, 2, 30))}, r"x must have 1 or 2 dimension\(s\), got shape \(1, 2, 30\)"),
        ({"x": [0.0, np.nan, 1.0]}, r"x must be finite, got nan at index \(1\)"),
        ({"x": [[0.0], [-np.inf]]}, r"x must be finite, got -inf at index \(1, 0\)"),
        ({"x": np.ones(30) * 1j}, "x must hold real numbers, got dtype complex128"),
        ({"x": np.ones(15), "padding": "none"}, r"15.*n_fft.*16|n_fft.*16.*15"),
        ({"n_fft": 1}, "n_fft must be at least 2, got 1"),
        ({"n_fft": 16.0}, "n_fft must be an integer, got 16.0"),
        ({"hop_length": 0}, "hop_length must be at least 1, got 0"),
        ({"hop_length": "8"}, "hop_length must be an integer, got '8'"),
        ({"padding": "reflect"}, "padding must be one of 'end', 'center', 'none', got 'reflect'"),
        ({"power": 3}, "power must be one of 1, 2, got 3"),
        ({"window": "no such window"}, "window .*no such window"),
        ({"window": np.full(16, 1001.0)}, "window must .*1000.*, got"),
        ({"window": np.ones(15)}, r"window must have shape \(16,\), got \(15,\)"),
        ({"window": np.full(16, np.nan)}, r"window must be finite, got nan at index \(0\)"),
    ],
)
def test_errors_name_argument_rule_and_value(changes, message):
    arguments = {"x": np.ones(30), "n_fft": 16, "hop_length": 4, **changes}
    with pytest.raises(ParameterError, match=message):
        stft_magnitude_forward(arguments.pop("x"), **arguments)


@pytest.mark.parametrize(
    ("d_magnitude", "message"),
    [
        (np.ones((8, 8)), r"d_magnitude must have shape \(8, 9\), got \(8, 8\)"),
        (np.ones((1, 8, 9)), r"d_magnitude must have .*, got (shape )?\(1, 8, 9\)"),
        (np.full((8, 9), np.nan), r"d_magnitude must be finite, got nan at index \(0, 0\)"),
    ],
)
def test_backward_errors_name_argument_rule_and_value(d_magnitude, message):
    _, saved = stft_magnitude_forward(np.ones(30), n_fft=16, hop_length=4)
    with pytest.raises(ParameterError, match=message):
        stft_magnitude_backward(d_magnitude, saved)


@pytest.mark.parametrize(
    ("function", "count", "changes", "message"),
    [
        (frame_count, 0, {}, "n_samples must be at least 1, got 0"),
        (frame_count, 2.5, {}, "n_samples must be an integer, got 2.5"),
        (frame_count, 15, {"padding": "none"}, r"15.*n_fft.*16|n_fft.*16.*15"),
        (frame_count, 30, {"n_fft": 0}, "n_fft must be at least 1, got 0"),
        (frame_count, 30, {"hop_length": 0}, "hop_length must be at least 1, got 0"),
        (frame_count, 30, {"padding": "x"}, "padding must be one of .*, got 'x'"),
        (frame_times, 0, {"sample_rate": 1}, "n_frames must be at least 1, got 0"),
        (frame_times, 3, {"sample_rate": 1, "n_fft": 0}, "n_fft must be at least 1, got 0"),
        (frame_times, 3, {"sample_rate": 1, "hop_length": 0}, "hop_length must be at least 1"),
        (frame_times, 3, {"sample_rate": 0}, "sample_rate must be above 0, got 0"),
        (frame_times, 3, {"sample_rate": 1, "padding": 1}, "padding must be one of .*, got 1"),
    ],
)
def test_frame_errors_name_argument_rule_and_value(function, count, changes, message):
    with pytest.raises(ParameterError, match=message):
        function(count, **{"n_fft": 16, "hop_length": 4, **changes})
