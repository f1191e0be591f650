"""STFT, mel bands and constant-Q against plain loops, the reference and finite differences."""

import gradcheck
import naive
import naive_transforms
import numpy as np
import pytest

from spectralot import ParameterError, stft_magnitude_backward, stft_magnitude_forward
from spectralot.transforms import STFT, ConstantQ, Mel

pytestmark = pytest.mark.usefixtures("one_thread")

# samples, options: several blocks of frames, wide bands, odd sizes, windows longer than the signal
CONSTANT_Q = [
    (600, dict(fmin=50, n_bins=9, bins_per_octave=4, hop_length=7, sample_rate=1000)),
    (200, dict(fmin=30, n_bins=5, bins_per_octave=1, hop_length=16, sample_rate=1000)),
    (200, dict(fmin=30, n_bins=8, bins_per_octave=2, hop_length=1, sample_rate=1000)),
    (150, dict(fmin=100, n_bins=20, bins_per_octave=9, hop_length=32, sample_rate=1000)),
    (90, dict(fmin=400, n_bins=3, bins_per_octave=12, hop_length=50, sample_rate=1000)),
    (1, dict(fmin=100, n_bins=3, bins_per_octave=3, hop_length=9, sample_rate=1000)),
    (150, dict(fmin=30, n_bins=8, bins_per_octave=3, gamma=9.0, hop_length=9, sample_rate=1000)),
    (150, dict(fmin=60, n_bins=3, bins_per_octave=2, hop_length=10, window="boxcar",
               sample_rate=1000)),
    (150, dict(fmin=60, n_bins=3, bins_per_octave=2, hop_length=10, window=("kaiser", 8.0),
               sample_rate=1000)),
]  # fmt: skip
SMALL = [
    STFT(16, hop_length=5, sample_rate=1000),
    STFT(15, power=2, padding="center", sample_rate=1000),
    Mel(5, 64, hop_length=20, sample_rate=1000),
    Mel(4, 64, power=2, fmin=50, fmax=400, padding="none", sample_rate=1000),
    ConstantQ(**CONSTANT_Q[0][1]),
    ConstantQ(power=2, padding="end", **CONSTANT_Q[1][1]),
    ConstantQ(padding="none", **CONSTANT_Q[3][1]),
]
DEFAULTS = [STFT(512), Mel(40, 1024), ConstantQ()]


def centres(n_samples, longest, hop, padding):
    """Sample on which each frame of a constant-Q transform is centred."""
    starts = naive.frame_starts(n_samples, longest, hop, padding)
    half = longest // 2 if padding == "center" else (longest + 1) // 2
    return [first + half for first in starts]


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", ["center", "end", "none"])
@pytest.mark.parametrize(("n_samples", "options"), CONSTANT_Q, ids=range(len(CONSTANT_Q)))
def test_constant_q_matches_the_plain_loops(n_samples, options, padding, rng):
    x = rng.standard_normal(n_samples)
    transform = ConstantQ(padding=padding, **options)
    longest = transform.window_lengths[0]
    if padding == "none" and longest > n_samples:
        with pytest.raises(ParameterError, match="x must have at least n_fft"):
            transform.forward(x)
        return
    places = centres(n_samples, longest, options["hop_length"], padding)
    expected = np.abs(
        naive_transforms.constant_q(x, centres=places, **{"window": "hann", **options})
    )
    found, _ = transform.forward(x)
    assert found.shape == expected.shape
    # taps below 1e-6 of the largest are left out
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * expected.max() + 1e-15)
    squares, _ = ConstantQ(padding=padding, power=2, **options).forward(x)
    np.testing.assert_allclose(squares, found**2, rtol=1e-12)


def test_constant_q_is_that_of_the_reference(reference, full_scale_error):
    x, stored = reference("signals")["x"][:2, :-1], reference("cqt")
    transform = ConstantQ()
    found, _ = transform.forward(x)
    assert full_scale_error(found, stored["cqt"]) < 2e-6
    assert full_scale_error(transform.forward(x.astype(np.float32))[0], stored["cqt"]) < 2e-6
    assert np.array_equal(transform.frequencies_hz, stored["frequencies_hz"])


def test_constant_q_of_a_sine():
    transform = ConstantQ()
    f = transform.frequencies_hz[150]
    x = 0.3 * np.sin(2 * np.pi * f * np.arange(16000) / 16000)
    magnitude, _ = transform.forward(x)
    length = np.ceil(16000 / f / (2 ** (1 / 36) - 1))
    assert magnitude.shape == (63, 285) and magnitude[31].argmax() == 150
    assert magnitude[31, 150] == pytest.approx(0.3 * np.sqrt(length) / 2, rel=1e-4)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize(
    ("n_bands", "fmin", "fmax"), [(1, 0, None), (6, 0, None), (3, 300, 500), (4, 31.25, 437.5)]
)
def test_mel_bands_match_the_plain_triangles(n_bands, fmin, fmax, power, rng):
    x = rng.standard_normal((2, 300))
    mel = Mel(
        n_bands, 64, hop_length=20, power=power, fmin=fmin, fmax=fmax, window="flattop",
        sample_rate=1000,
    )  # fmt: skip
    found, _ = mel.forward(x)
    f = np.arange(33) * 1000 / 64
    weights, tips = naive_transforms.mel_weights(n_bands, f, fmin, fmax or 500)
    np.testing.assert_allclose(mel.frequencies_hz, tips, rtol=1e-12)
    for b in range(2):
        magnitude = naive.stft_magnitude(
            x[b], n_fft=64, hop_length=20, power=power, window="flattop"
        )
        np.testing.assert_allclose(found[b], magnitude @ weights.T, rtol=1e-10)


def test_mel_bands_keep_the_mass_between_the_first_and_the_last_tip(rng):
    mel = Mel(60, 2048, power=2)
    x = np.sin(2 * np.pi * rng.uniform(200, 6000, (5, 1)) * np.arange(16000) / 16000)
    x *= np.hanning(16000)
    bands, _ = mel.forward(x)
    bins, _ = STFT(2048, power=2).forward(x)
    np.testing.assert_allclose(bands.sum(axis=-1)[:, 5:25], bins.sum(axis=-1)[:, 5:25], rtol=1e-5)


def test_stft_is_the_function(rng):
    x = rng.standard_normal((2, 200))
    options = dict(n_fft=32, hop_length=8, window="flattop", padding="center", power=2)
    found, saved = STFT(**options, sample_rate=8000).forward(x)
    expected, expected_saved = stft_magnitude_forward(x, **options)
    d = rng.standard_normal(found.shape)
    assert np.array_equal(found, expected)
    d_x = STFT(**options).backward(d, saved)
    assert np.array_equal(d_x, stft_magnitude_backward(d, expected_saved))
    window = np.sin(np.arange(32) + 1.0)
    found, _ = STFT(32, window=window).forward(x)
    assert np.array_equal(
        found, stft_magnitude_forward(x, n_fft=32, hop_length=8, window=window)[0]
    )


# --- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", SMALL, ids=repr)
def test_gradients_agree_with_finite_differences(transform, rng):
    x = rng.standard_normal((2, 400))
    magnitude, saved = transform.forward(x)
    d_magnitude = rng.standard_normal(magnitude.shape)
    if transform.power == 1:  # a magnitude near 0 bends within a step
        d_magnitude *= magnitude > 1e-2 * magnitude.max()
    d_x = transform.backward(d_magnitude, saved)
    gradcheck.check_projected(
        lambda x: transform.forward(x)[0], [x], [d_x], d_magnitude, rng=rng, tolerance=1e-6
    )
    x = x[0, :90] if transform.padding != "none" else x[0, :200]
    magnitude, saved = transform.forward(x)
    d_magnitude = rng.uniform(0.5, 1.0, magnitude.shape) * (magnitude > 1e-2 * magnitude.max())
    d_x = transform.backward(d_magnitude, saved)
    gradcheck.check_elements(
        lambda x: transform.forward(x)[0], [x], [d_x], d_magnitude, tolerance=1e-5
    )


def test_bins_near_nyquist_of_odd_blocks_have_values_and_adjoint(rng):
    """Kernels reach over the middle of the spectrum, where odd and even sizes differ."""
    options = dict(fmin=60, n_bins=9, bins_per_octave=3, hop_length=9, sample_rate=1000)
    transform, x = ConstantQ(**options), rng.standard_normal(300)
    longest = int(np.ceil(1000 / 60 / (2 ** (1 / 3) - 1)))
    expected = np.abs(
        naive_transforms.constant_q(
            x, centres=centres(300, longest, 9, "center"), window="hann", **options
        )
    )
    found, saved = transform.forward(x)
    # taps below 1e-6 of the largest are left out
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-6 * expected.max())
    d = rng.standard_normal(found.shape) * (found > 1e-2 * found.max())
    d_x = transform.backward(d, saved)
    # for a phasor of length 1, <d * |C x|> is linear in x along x itself
    assert d_x @ x == pytest.approx(np.sum(d * found), rel=1e-9)
    gradcheck.check_projected(
        lambda x: transform.forward(x)[0], [x], [d_x], d, rng=rng, tolerance=1e-7, step=1e-6
    )


def test_the_default_constant_q_has_the_gradient_of_its_values(rng):
    transform, x = ConstantQ(power=2), rng.standard_normal(5000)
    magnitude, saved = transform.forward(x)
    d_magnitude = rng.standard_normal(magnitude.shape)
    d_x = transform.backward(d_magnitude, saved)
    gradcheck.check_projected(
        lambda x: transform.forward(x)[0], [x], [d_x], d_magnitude, rng=rng, tolerance=1e-6
    )


@pytest.mark.parametrize("transform", [*SMALL, *DEFAULTS], ids=repr)
def test_silence_has_gradient_zero_and_extreme_scales_are_finite(transform, rng):
    for dtype in (np.float32, np.float64):
        magnitude, saved = transform.forward(np.zeros(600 if transform in SMALL else 30000, dtype))
        assert not magnitude.any()
        assert not transform.backward(np.ones_like(magnitude), saved).any()
        x = rng.standard_normal(30000).astype(dtype)
        for scale in (1e-12, 1e6):
            magnitude, saved = transform.forward(x * dtype(scale))
            d_x = transform.backward(np.ones_like(magnitude), saved)
            assert np.isfinite(magnitude).all() and np.isfinite(d_x).all() and d_x.any()
            assert magnitude.any() and magnitude.dtype == d_x.dtype == dtype


def test_constant_q_next_to_silence(rng):
    x = np.zeros(30000, np.float32)
    x[:1000] = rng.standard_normal(1000)
    transform = ConstantQ()
    magnitude, saved = transform.forward(x)
    # the windows that touch no sound hear nothing, though they share their FFT with some that do
    length = np.ceil(16000 / transform.frequencies_hz / (2 ** (1 / 36) - 1))
    silence = np.arange(118)[:, None] * 256 - length / 2 - 999  # between the sound and the window
    apart = silence > 1
    assert apart.any() and not magnitude[apart].any() and magnitude[silence < -1].all()
    assert not transform.backward(apart.astype(float), saved).any()
    tiny, saved = transform.forward(np.full(4096, 1e-42, np.float32))
    d_x = transform.backward(np.ones_like(tiny), saved)
    assert np.isfinite(tiny).all() and np.isfinite(d_x).all()


# --- dtypes, shapes, threads ---------------------------------------------------------------------


@pytest.mark.parametrize("transform", [*SMALL, *DEFAULTS], ids=repr)
def test_float32_follows_float64(transform, rng, relative_error):
    x = rng.standard_normal((2, 26000)).astype(np.float32)
    single, saved = transform.forward(x)
    double, saved_double = transform.forward(x.astype(np.float64))
    assert single.dtype == np.float32 and double.dtype == np.float64
    assert relative_error(single, double) < 1e-6
    d = rng.standard_normal(single.shape).astype(np.float32) * (double > 1e-3 * double.max())
    d_x, d_x_double = transform.backward(d, saved), transform.backward(d, saved_double)
    assert d_x.dtype == np.float32 and relative_error(d_x, d_x_double) < 1e-5
    assert np.array_equal(transform.forward(x.astype(np.int64))[0].dtype, np.float64)


@pytest.mark.parametrize("transform", [*SMALL, *DEFAULTS], ids=repr)
def test_items_of_a_batch_are_apart_and_times_fit(transform, rng):
    x = rng.standard_normal((3, 26000))
    magnitude, saved = transform.forward(x)
    d = rng.standard_normal(magnitude.shape)
    d_x = transform.backward(d, saved)
    for b in range(3):
        single, saved = transform.forward(x[b])
        assert np.array_equal(single, magnitude[b])
        assert np.array_equal(transform.backward(d[b], saved), d_x[b])
    times = transform.frame_times(26000)
    assert times.shape == magnitude.shape[1:2] and times.dtype == np.float64
    assert transform.frequencies_hz.shape == magnitude.shape[2:]
    assert np.all(np.diff(times) > 0) and np.all(np.diff(transform.frequencies_hz) > 0)


@pytest.mark.parametrize("padding", ["center", "end", "none"])
@pytest.mark.parametrize("kind", [STFT, Mel, ConstantQ])
def test_a_click_peaks_in_the_frame_of_its_time(kind, padding):
    if kind is ConstantQ:
        options = {**CONSTANT_Q[0][1], "padding": padding}
    else:
        options = dict(n_fft=64, hop_length=7, sample_rate=1000, padding=padding)
    transform = kind(**options, **({"n_bands": 5} if kind is Mel else {}))
    times = transform.frame_times(600)
    x = np.zeros(600)
    x[round(times[20] * 1000)] = 1.0
    magnitude, _ = transform.forward(x)
    assert magnitude.sum(axis=1).argmax() == 20


@pytest.mark.parametrize("transform", [*SMALL, *DEFAULTS], ids=repr)
def test_the_number_of_threads_changes_nothing(transform, with_threads, rng):
    x = rng.standard_normal((3, 30000)).astype(np.float32)

    def both(x):
        magnitude, saved = transform.forward(x)
        return magnitude, transform.backward(np.ones_like(magnitude), saved)

    for one, two in zip(with_threads(1, both, x), with_threads(2, both, x), strict=True):
        assert np.array_equal(one, two)


# --- objects -------------------------------------------------------------------------------------


def test_objects_are_readable_and_stay_as_they_are():
    assert repr(STFT(512, sample_rate=8000)) == (
        "STFT(n_fft=512, hop_length=128, window='hann', padding='end', power=1, sample_rate=8000.0)"
    )
    assert repr(Mel(20, 512)).startswith("Mel(n_bands=20, n_fft=512, hop_length=128, ")
    assert repr(ConstantQ()).startswith("ConstantQ(fmin=32.7, n_bins=285, bins_per_octave=36, ")
    for transform in DEFAULTS:
        with pytest.raises(AttributeError, match="cannot be changed"):
            transform.power = 2
        with pytest.raises(ValueError, match="read-only"):
            transform.frequencies_hz[0] = 1.0
    window = np.ones(8)
    transform = STFT(8, window=window)
    window[:] = 0.0
    assert transform.window.sum() == 8


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: STFT(1), "n_fft must be at least 2, got 1"),
        (lambda: STFT(64, hop_length=0), "hop_length must be at least 1, got 0"),
        (lambda: STFT(64, window="round"), "window must be a scipy window name or an array"),
        (lambda: STFT(64, window=np.ones(3)), r"window must have shape \(64,\), got \(3,\)"),
        (lambda: STFT(64, padding="left"), "padding must be one of .*, got 'left'"),
        (lambda: STFT(64, power=3), r"power must be one of 1, 2, got 3"),
        (lambda: STFT(64, sample_rate=0), "sample_rate must be above 0, got 0"),
        (lambda: Mel(0, 64), "n_bands must be at least 1, got 0"),
        (lambda: Mel(4, 64, fmin=-1), "fmin must be at least 0, got -1"),
        (lambda: Mel(4, 64, fmax=9000), "fmax must be at most sample_rate / 2 = 8000 Hz, got 9000"),
        (lambda: Mel(4, 64, fmin=50, fmax=40), "fmin must be below fmax = 40 Hz, got 50"),
        (
            lambda: Mel(128, 512),
            r"n_bands must leave each band a bin of the STFT with n_fft 512, got 128: none "
            r"between 0\.0 and 27\.9 Hz",
        ),
        (lambda: ConstantQ(fmin=0), "fmin must be above 0, got 0"),
        (lambda: ConstantQ(n_bins=0), "n_bins must be at least 1, got 0"),
        (
            lambda: ConstantQ(n_bins=300),
            r"n_bins must keep the highest bin below sample_rate / 2 = 8000 Hz, got 300 \(10345",
        ),
        (lambda: ConstantQ(window=np.ones(3)), "window must be a scipy window name, got array"),
        (lambda: ConstantQ(window="round"), "window must be a scipy window name"),
        (lambda: ConstantQ(padding="left"), "padding must be one of"),
        (lambda: ConstantQ(bins_per_octave=0), "bins_per_octave must be at least 1, got 0"),
    ],
)
def test_errors_of_arguments(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.parametrize("transform", DEFAULTS, ids=repr)
def test_errors_of_calls(transform):
    with pytest.raises(ParameterError, match="x must be finite, got nan"):
        transform.forward([0.0, np.nan])
    with pytest.raises(ParameterError, match="x must not be empty"):
        transform.forward(np.zeros((2, 0)))
    magnitude, saved = transform.forward(np.zeros((2, 500)))
    with pytest.raises(ParameterError, match="d_magnitude must have shape"):
        transform.backward(magnitude[:, :1, :1], saved)
    with pytest.raises(ParameterError, match="d_magnitude must have 3 dimension"):
        transform.backward(magnitude[0], saved)
    with pytest.raises(ParameterError, match="n_samples must be at least 1, got 0"):
        transform.frame_times(0)
