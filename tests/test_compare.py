"""Comparison of two sounds: each number against what is known of the pair."""

import numpy as np
import pytest
import soundfile as sf

import spectralot as so
from spectralot import ParameterError
from spectralot.compare import METRICS, N_FFT, compare, mean_power, read_pair

RATE = 16000


def tone(hz, amplitude=0.5, n_samples=8000, rate=RATE):
    return amplitude * np.sin(2 * np.pi * hz * np.arange(n_samples) / rate)


def test_a_moved_tone_costs_its_interval():
    """500 cents, on each axis in its unit; the window's lobes move as their centre does."""
    a, b = tone(1000.0), tone(1000.0 * 2 ** (5 / 12))
    found = compare(a, b, RATE)
    assert found["sot_cents"] == pytest.approx(500, abs=0.5)
    assert found["sot"] == pytest.approx((1000 * (2 ** (5 / 12) - 1) / 8000) ** 2, rel=0.01)
    assert found["level_difference_db"] == pytest.approx(0, abs=0.01)
    assert found["mss"] == so.MSS(padding="none")(a, b)[0]


def test_energy_moves_frame_by_frame_and_loud_frames_count_more():
    """The second half is 20 dB softer, so its 1200 cents weigh a hundredth."""
    n = 20 * N_FFT
    a = np.r_[tone(1000.0, 0.5, n), tone(1000.0, 0.05, n)]
    b = np.r_[tone(1000.0, 0.5, n), tone(2000.0, 0.05, n)]
    assert compare(a, b, RATE)["sot_cents"] == pytest.approx(1200 / 101, rel=0.2)


def test_frames_weigh_by_both_sounds():
    """Loud against soft counts as soft against loud: the geometric mean of the energies."""
    n = 20 * N_FFT
    a = np.r_[tone(1000.0, 0.5, n), tone(1000.0, 0.05, n)]
    b = np.r_[tone(1000.0, 0.05, n), tone(2000.0, 0.5, n)]
    assert compare(a, b, RATE)["sot_cents"] == pytest.approx(600, rel=0.1)
    assert compare(b, a, RATE)["sot_cents"] == pytest.approx(600, rel=0.1)


def test_level_is_heard_by_what_hears_it():
    a = tone(440.0) + 0.1 * np.random.default_rng(1).standard_normal(8000)
    found, back = compare(a, 0.1 * a, RATE), compare(0.1 * a, a, RATE)
    assert found["level_difference_db"] == pytest.approx(-20) and back[
        "level_difference_db"
    ] == pytest.approx(20)
    assert found["sot_cents"] == pytest.approx(0, abs=1e-6)
    assert found["lsd_db"] > 5
    assert found["sot_cents"] == pytest.approx(back["sot_cents"], abs=1e-6)


def test_equal_sounds_have_distance_0():
    a = tone(440.0)
    found = compare(a, a, RATE)
    assert [found[key] for key in METRICS] == pytest.approx([0] * len(METRICS), abs=1e-9)


def test_the_longer_one_is_cut():
    a, b = tone(440.0, n_samples=9000), tone(660.0, n_samples=5000)
    found, cut = compare(a, b, RATE), compare(a[:5000], b, RATE)
    assert {key: found[key] for key in METRICS} == {key: cut[key] for key in METRICS}
    durations_s = [found[f"duration_{which}s"] for which in ("a_", "b_", "")]
    assert durations_s == [9000 / RATE, 5000 / RATE, 5000 / RATE]


@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e6])
def test_silence_and_extreme_levels_are_finite(scale):
    a = tone(440.0)
    for pair in ((scale * a, a), (a, scale * a), (scale * a, scale * a)):
        for sounds in (pair, [s.astype(np.float32) for s in pair]):
            found = compare(*sounds, RATE)
            numbers = [x for x in found.values() if x is not None]
            assert np.isfinite(numbers).all() and len(found) - len(numbers) == 2 * (scale == 0)
            if scale == 0:  # silence has no energy that could move
                assert found["sot_cents"] is None and found["sot"] is None


def test_mean_power_has_its_peak_and_shrinks_with_the_sound():
    for n_samples, n_fft in ((40000, 8192), (5000, 4096), (2048, 2048)):
        frequencies_hz, power = mean_power(tone(1000.0, n_samples=n_samples), RATE)
        assert len(power) == len(frequencies_hz) == n_fft // 2
        assert frequencies_hz[0] == RATE / n_fft and frequencies_hz[-1] == RATE / 2
        assert frequencies_hz[power.argmax()] == pytest.approx(1000, abs=RATE / n_fft)


def test_files_meet_at_the_lower_rate(tmp_path):
    sf.write(tmp_path / "a.wav", tone(440.0, rate=44100, n_samples=44100), 44100, subtype="FLOAT")
    sf.write(tmp_path / "b.wav", tone(440.0), RATE, subtype="FLOAT")
    a, b, rate, rates = read_pair(tmp_path / "a.wav", tmp_path / "b.wav")
    assert (rate, rates, len(a), len(b)) == (16000, (44100, 16000), 16000, 8000)
    assert compare(a, b, rate)["sot_cents"] < 1
    _, _, rate, rates = read_pair(tmp_path / "b.wav", tmp_path / "a.wav")
    assert (rate, rates) == (16000, (16000, 44100))


def test_wrong_arguments_are_named():
    a = tone(440.0)
    for args, message in (
        ((a, a[:2047], RATE), "a and b must have at least 2048 samples, 128 ms, got 8000 and 2047"),
        ((a[None], a, RATE), "a must have 1 dimension"),
        ((a, a * np.nan, RATE), "b must be finite, got nan"),
        ((a, a, 0), "sample_rate must be above 0, got 0"),
    ):
        with pytest.raises(ParameterError, match=message):
            compare(*args)
    with pytest.raises(ParameterError, match="audio must have at least 2048 samples, got 2047"):
        mean_power(a[:2047], RATE)
