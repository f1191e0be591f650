"""Morphing: ends given back, tones that move, glides, silence."""

import numpy as np
import pytest

from spectralot import ParameterError
from spectralot.morphing import morph

SAMPLE_RATE = 16000
MIDDLE = slice(4000, 12000)  # away from the ends, where frames are cut


def tone(frequency_hz, *, seconds=1.0, phase=0.0):
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.sin(2 * np.pi * frequency_hz * time + phase)


def snr_db(expected, found):
    return 10 * np.log10(np.sum(expected**2) / np.sum((found - expected) ** 2))


def fitted(sound, *frequencies_hz, part=MIDDLE):
    """Amplitudes of steady tones at the given frequencies, and what is left, relative, in dB."""
    time = np.arange(len(sound))[part] / SAMPLE_RATE
    waves = [wave(2 * np.pi * f * time) for f in frequencies_hz for wave in (np.sin, np.cos)]
    pairs = np.linalg.lstsq(np.transpose(waves), sound[part], rcond=None)[0]
    rest = sound[part] - np.transpose(waves) @ pairs
    return (
        np.hypot(pairs[::2], pairs[1::2]),
        10 * np.log10(np.mean(rest**2) / np.mean(sound[part] ** 2)),
    )


def example(rng, seconds=0.5):
    """Something like a recording: partials that decay, in noise, after a pause."""
    n = int(seconds * SAMPLE_RATE)
    decay = np.exp(-np.arange(n) / 3000)
    x = sum(tone(220 * h, seconds=seconds, phase=h) / h for h in range(1, 9)) * decay
    x += 0.01 * rng.standard_normal(n)
    x[: n // 5] = 0.0
    return x


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("sizes", [(2048, None), (1000, 100), (333, 83)], ids=str)
def test_ends_are_the_sounds_themselves(sizes, power, rng):
    options = {"n_fft": sizes[0], "hop_length": sizes[1], "power": power}
    a, b = example(rng), rng.standard_normal(5000)
    longer = np.r_[b, np.zeros(len(a) - len(b))]
    for t, expected in ((0, a), (1, longer), (np.zeros(9), a)):
        found = morph(a, b, t, **options)
        assert found.shape == a.shape
        assert snr_db(expected, found) > 150
        assert np.max(np.abs(found - expected)) < 1e-7 * np.max(np.abs(expected))


def test_power_says_what_is_matched():
    """Of two equal tones the higher gives half as much as its amplitude, or its energy, has to."""
    a, b = tone(300) + tone(900), 2 * tone(300) + tone(900)
    between = [fitted(morph(a, b, 0.5, power=power), 300, 600, 900)[0] for power in (1, 2)]
    # moved: 2/3 - 1/2 of the amplitudes, 4/5 - 1/2 of the energies
    assert between[1][1] > 1.3 * between[0][1] > 0.1


@pytest.mark.parametrize(("low", "high"), [(300, 500), (311.3, 477.7), (220, 660)])
def test_two_tones_give_a_clean_tone_between(low, high):
    a, b = tone(low), 0.5 * tone(high, phase=1.0)
    for t in (0.25, 0.5):
        sound = morph(a, b, t)
        between = (1 - t) * low + t * high
        (amplitude,), rest_db = fitted(sound, between)
        assert amplitude == pytest.approx(1 - 0.5 * t, rel=2e-3)
        assert rest_db < -60
        spectrum = np.abs(np.fft.rfft(sound[MIDDLE] * np.hanning(8000), 2**17))
        assert np.argmax(spectrum) * SAMPLE_RATE / 2**17 == pytest.approx(between, abs=0.2)


def test_steps_of_a_component_get_finer_with_oversampling():
    coarse, fine = (
        fitted(morph(tone(300), tone(477.3), 0.4, oversampling=o), 370.92)[1] for o in (1, 8)
    )
    assert coarse > fine + 15


def test_components_go_in_order():
    a, b = tone(300) + tone(900), tone(500) + tone(1500)
    amplitudes, rest_db = fitted(morph(a, b, 0.5), 400, 1200)
    np.testing.assert_allclose(amplitudes, 1, rtol=5e-3)
    assert rest_db < -40


def test_a_glide_passes_all_frequencies_between():
    sound = morph(tone(300), tone(500), [0, 1])
    for start in range(3000, 13000, 2000):
        spectrum = np.abs(np.fft.rfft(sound[start : start + 1000] * np.hanning(1000), 2**16))
        expected = 300 + 200 * (start + 500) / SAMPLE_RATE
        assert np.argmax(spectrum) * SAMPLE_RATE / 2**16 == pytest.approx(expected, abs=0.5)
    by_frame, by_sample = (morph(tone(300), tone(500), np.linspace(0, 1, n)) for n in (33, 16000))
    np.testing.assert_allclose(by_frame, sound, atol=1e-9)
    np.testing.assert_allclose(by_sample, sound, atol=1e-9)


def test_the_longer_sound_fades_where_the_other_has_ended():
    a, b = tone(300, seconds=0.4), tone(500)
    amplitudes, rest_db = fitted(morph(a, b, 0.25), 500, part=slice(9500, 14500))
    assert amplitudes[0] == pytest.approx(0.25, rel=1e-6) and rest_db < -80
    only = morph(np.zeros(1), b, 0.25)
    assert snr_db(0.25 * b, only) > 150


def test_equal_sounds_stay_what_they_are(rng):
    a = example(rng)
    assert snr_db(a, morph(a, a, 0.3)) > 150


def test_silence_short_sounds_scales_and_dtypes(rng):
    assert not morph(np.zeros(10), np.zeros(3), 0.5).any()
    assert np.isfinite(morph([1.0], [2.0, -1.0], 0.5)).all()
    assert np.isfinite(morph(np.ones(9), np.eye(9)[4], 0.5, n_fft=4)).all()
    a, b = example(rng), rng.standard_normal(3000)
    expected = morph(a, b, 0.5)
    for scale in (1e-300, 1e-12, 1e6):
        np.testing.assert_allclose(morph(a * scale, b * scale, 0.5) / scale, expected, atol=1e-7)
    single = morph(a.astype(np.float32), b.astype(np.float32), 0)
    assert single.dtype == np.float32 and expected.dtype == np.float64
    assert snr_db(a, single) > 120
    assert morph(a.astype(np.float32), b, 0.5).dtype == np.float64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: morph([], [1], 0), "a must not be empty"),
        (lambda: morph([1], [np.nan], 0), "b must be finite, got nan"),
        (lambda: morph(np.ones((2, 9)), [1], 0), r"a must have 1 dimension\(s\), got shape"),
        (lambda: morph([1], [1], 1.5), "t must lie between 0 and 1, got 1.5"),
        (lambda: morph([1], [1], [0, -0.5]), "t must lie between 0 and 1, got -0.5"),
        (lambda: morph([1], [1], 0, n_fft=2), "n_fft must be at least 4, got 2"),
        (lambda: morph([1], [1], 0, hop_length=1024),
         "hop_length must be at most n_fft / 4 = 512, got 1024"),
        (lambda: morph([1], [1], 0, power=3), "power must be one of 1, 2, got 3"),
        (lambda: morph([1], [1], 0, oversampling=0), "oversampling must be at least 1, got 0"),
    ],
)  # fmt: skip
def test_messages(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
