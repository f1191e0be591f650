"""Pitch salience against loops, finite differences, and what it is meant to hear."""

import pickle

import gradcheck
import naive
import naive_salience
import numpy as np
import pytest

from spectralot import SOT, ParameterError, PitchSalience, preset
from spectralot.landscape import landscape, minimum_error, noisy_tone, slope_accuracy, timbre

pytestmark = pytest.mark.usefixtures("one_thread")

RATE = 16000
FRAMES = dict(window="blackman", padding="none")
SMALL = dict(fmin=150, fmax=1000, bins_per_octave=6, highest=3000, sharpness=3)


@pytest.fixture
def transform():
    return PitchSalience(256, hop_length=100, **SMALL)


def tone(f0, harmonics, n_samples=4096, rate=RATE):
    t = np.arange(n_samples) / rate
    return sum(np.sin(2 * np.pi * h * f0 * t + h) / h for h in harmonics)


@pytest.mark.parametrize("sharpness", [1, 2, 7])
def test_salience_matches_the_loops(sharpness, rng):
    options = {**SMALL, "sharpness": sharpness}
    transform = PitchSalience(256, hop_length=100, **options)
    x = rng.standard_normal((2, 500))
    salience, _ = transform.forward(x)
    bins_hz = np.arange(129) * RATE / 256
    bins_hz = bins_hz[bins_hz <= 3000]
    assert transform.frequencies_hz[[0, -1]] == pytest.approx([150, 150 * 2 ** (16 / 6)])
    for b in range(2):
        frames = naive.stft_magnitude(x[b], n_fft=256, hop_length=100, **FRAMES)
        assert salience.shape == (2, len(frames), 17)
        for t, magnitude in enumerate(frames):
            expected = naive_salience.salience(
                magnitude[: len(bins_hz)], bins_hz, transform.frequencies_hz, sharpness
            )
            np.testing.assert_allclose(salience[b, t], expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("sharpness", [1, 3, 7])
def test_gradient(sharpness, rng):
    transform = PitchSalience(256, hop_length=100, **{**SMALL, "sharpness": sharpness})
    x = rng.standard_normal((2, 500))
    salience, saved = transform.forward(x)
    d_salience = rng.standard_normal(salience.shape)
    d_x = transform.backward(d_salience, saved)
    gradcheck.check_projected(
        lambda x: transform.forward(x)[0], (x,), (d_x,), d_salience, rng=rng, step=1e-7
    )


def test_one_signal_is_a_batch_of_one(transform, rng):
    x = rng.standard_normal(500)
    one, saved = transform.forward(x)
    batch, _ = transform.forward(x[None])
    assert np.array_equal(one, batch[0]) and one.ndim == 2
    assert transform.backward(one, saved).shape == x.shape
    assert len(transform.frame_times(500)) == len(one)


@pytest.mark.parametrize("missing", [(), (1,), (1, 2), (2, 4, 6)])
@pytest.mark.parametrize("f0", [70.0, 220.0, 700.0])
def test_the_best_candidate_is_the_pitch_whatever_the_timbre(f0, missing):
    transform = PitchSalience()
    harmonics = [h for h in range(1, 9) if h not in missing]
    salience, _ = transform.forward(tone(f0, harmonics))
    found = transform.frequencies_hz[salience.argmax(axis=1)]
    assert np.all(np.abs(1200 * np.log2(found / f0)) <= 50)  # the spacing of the candidates


def test_transport_of_salience_leads_from_an_octave_away_with_the_wrong_timbre():
    loss = SOT(PitchSalience(), frequency_axis="cents", p=1, mass="balanced")
    target = tone(220, [2, 3, 4, 5, 6])
    for cents in (-1200, -700, 700, 1200):
        estimate = tone(220 * 2 ** (cents / 1200), range(1, 4))
        assert loss(target, estimate)[0] == pytest.approx(abs(cents), rel=0.25)


@pytest.mark.parametrize(
    ("without", "candidates", "noise", "snr_db"),
    [
        ((), "1/k", "none", 0),
        ((), "uniform", "none", 0),
        ((1,), "1/k", "none", 0),
        *(((), "1/k", kind, snr_db) for kind in ("white", "pink") for snr_db in (20, 0)),
    ],
)
def test_the_recommended_loss_leads_from_everywhere(without, candidates, noise, snr_db):
    """What docs/reproduction.md claims, at another pitch."""
    f0_hz, amplitudes = 185.0, timbre("1/k", 8)
    for h in without:
        amplitudes[h - 1] = 0
    x = noisy_tone(f0_hz, amplitudes, duration_s=0.256, noise=noise, snr_db=snr_db, seed=77)
    cents = 1200 * np.log2(np.geomspace(50, 1600, 81) / f0_hz)
    loss = {"it": preset("SOT-Pitch", RATE)}
    _, curves = landscape(x, f0_hz, timbre(candidates, 8), loss, cents=cents, sample_rate=RATE)
    values, slopes = curves["it"]
    assert slope_accuracy(cents, slopes) >= 0.98
    assert abs(minimum_error(cents, values)) <= 50


@pytest.mark.parametrize("gain", [1e-12, 1e-3, 1e6])
def test_level_does_not_matter(gain, transform, rng):
    x = rng.standard_normal(500)
    expected, saved = transform.forward(x)
    found, saved_gain = transform.forward(gain * x)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    d_x = transform.backward(np.ones_like(expected), saved)
    d_gain = transform.backward(np.ones_like(expected), saved_gain)
    np.testing.assert_allclose(d_gain * gain, d_x, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000, 192000])
def test_any_sample_rate_has_a_frame_of_128_ms_and_no_empty_candidate(rate):
    transform = PitchSalience(sample_rate=rate)
    assert 0.128 <= transform.n_fft / rate < 0.256
    salience, _ = transform.forward(tone(220, range(1, 9), n_samples=rate // 2, rate=rate))
    found = transform.frequencies_hz[salience.argmax(axis=1)]
    assert np.all(np.isfinite(salience)) and np.all(np.abs(1200 * np.log2(found / 220)) <= 50)
    assert "PitchSalience(STFT(" in repr(transform)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silence_has_no_salience_and_pulls_nowhere(dtype, transform):
    x = np.zeros((2, 500), dtype)
    salience, saved = transform.forward(x)
    assert salience.dtype == dtype and not salience.any()
    d_x = transform.backward(np.ones_like(salience), saved)
    assert d_x.dtype == dtype and not d_x.any()


@pytest.mark.parametrize("gain", [1e-12, 1.0, 1e6])
def test_float32_follows_float64(gain, rng, relative_error):
    transform, x = PitchSalience(), tone(200, range(1, 6)) + 0.1 * rng.standard_normal(4096)
    x = (gain * x).astype(np.float32)
    found, saved = transform.forward(x)
    exact, saved_exact = transform.forward(x.astype(np.float64))
    assert found.dtype == np.float32
    assert np.max(np.abs(found - exact)) < 1e-5
    d = np.ones_like(exact)
    d_x, d_exact = transform.backward(d, saved), transform.backward(d, saved_exact)
    assert d_x.dtype == np.float32 and relative_error(d_x, d_exact) < 2e-4


def test_bitwise_equal_for_any_thread_count(rng, with_threads):
    transform, x = PitchSalience(), rng.standard_normal((3, 4096))

    def both():
        salience, saved = transform.forward(x)
        return salience, transform.backward(salience, saved)

    first = with_threads(1, both)
    for n_threads in (2, 1):
        assert all(map(np.array_equal, first, with_threads(n_threads, both)))


def test_it_cannot_be_changed(transform):
    with pytest.raises(AttributeError):
        transform.sharpness = 3
    assert pickle.loads(pickle.dumps(transform)).sharpness == SMALL["sharpness"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PitchSalience(fmin=0), "fmin must be above 0, got 0"),
        (lambda: PitchSalience(fmin=500, fmax=400), r"0 < fmin < fmax <= 4000 Hz.*got 500, 400"),
        (lambda: PitchSalience(fmax=6000), r"fmax <= 4000 Hz .*got 27.5, 6000"),
        (lambda: PitchSalience(sharpness=0.5), "sharpness must be an integer, got 0.5"),
        (lambda: PitchSalience(sharpness=31), "sharpness must be at most 30, got 31"),
        (
            lambda: PitchSalience(1024, fmin=20),
            "fmin must be at least two bins, 31.25 Hz, got 20",
        ),
        (lambda: PitchSalience(bins_per_octave=0), "bins_per_octave must be at least 1, got 0"),
        (lambda: PitchSalience().forward(np.ones(100)), "at least n_fft = 2048 samples"),
        (
            lambda: SOT(PitchSalience(), level_weight=1),
            "level_weight must be 0 for a transform without level, got 1",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_backward_refuses_another_shape(transform, rng):
    salience, saved = transform.forward(rng.standard_normal(500))
    with pytest.raises(
        ParameterError, match=r"d_salience must have shape \(3, 17\), got \(17, 3\)"
    ):
        transform.backward(salience.T, saved)
