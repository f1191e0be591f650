"""Landscapes: values are the loss's own, slopes are their derivatives, the two scores count."""

import numpy as np
import pytest

import spectralot as so
from spectralot import ParameterError
from spectralot.landscape import (
    _BATCH,
    landscape,
    landscape_of_tracks,
    minimum_error,
    noisy_tone,
    slope_accuracy,
    timbre,
)

RATE = 16000


def losses():
    transport = so.SOT(1024, padding="none", frequency_axis="log", p=1, mass="balanced")
    return {
        "SOT": transport,
        "LIN": so.LIN(512, padding="none"),
        "sum": so.WeightedSum({"sot": (1.0, transport), "log": (0.1, so.LOG(512))}),
    }


@pytest.fixture(scope="module")
def tone():
    """A tone that glides by a semitone while its second harmonic fades."""
    f0_hz = np.geomspace(300.0, 317.8, 9)
    amplitudes = np.stack([np.full(9, 0.4), np.linspace(0.3, 0.05, 9)], axis=1)
    grid = dict(n_samples=4000, sample_rate=RATE)
    return so.harmonic_forward(f0_hz, amplitudes, **grid)[0], f0_hz, amplitudes


def test_values_are_those_of_the_loss_one_by_one(tone):
    target, f0_hz, amplitudes = tone
    cents, curves = landscape(target, f0_hz, amplitudes, losses(), cents=[-700, 0, 40])
    assert list(curves) == ["SOT", "LIN", "sum"]
    for name, loss in losses().items():
        for c, found in zip(cents, curves[name][0], strict=True):
            estimate, _ = so.harmonic_forward(
                f0_hz * 2 ** (c / 1200), amplitudes, n_samples=len(target), sample_rate=RATE
            )
            assert found == pytest.approx(loss(target, estimate)[0], rel=1e-12, abs=1e-15)
        assert curves[name][0].argmin() == 1


def test_slopes_are_the_derivatives_per_cent(tone):
    target, f0_hz, amplitudes = tone
    h = 1e-3
    cents = np.array([-333.0, 150.0])
    _, curves = landscape(target, f0_hz, amplitudes, losses(), cents=cents)
    moved = np.r_[cents - h, cents + h]
    _, ends = landscape(target, f0_hz, amplitudes, losses(), cents=moved)
    for name, (_, slopes) in curves.items():
        values = ends[name][0].reshape(2, 2)
        np.testing.assert_allclose(slopes, (values[1] - values[0]) / (2 * h), rtol=2e-3)


def test_one_f0_or_one_timbre_stands_for_all_frames(tone):
    target = tone[0]
    both = landscape(target, np.full(5, 300.0), np.full((5, 2), 0.3), losses(), cents=[-50, 50])
    for f0_hz, amplitudes in ((300.0, np.full((5, 2), 0.3)), (np.full(5, 300.0), [0.3, 0.3])):
        one = landscape(target, f0_hz, amplitudes, losses(), cents=[-50, 50])
        for name in both[1]:
            np.testing.assert_array_equal(one[1][name], both[1][name])


def test_hop_length_places_the_frames(tone):
    target, f0_hz, amplitudes = tone
    loss = {"LIN": so.LIN(512)}
    _, curves = landscape(target, f0_hz, amplitudes, loss, cents=[0.0], hop_length=200.0)
    estimate, _ = so.harmonic_forward(
        f0_hz, amplitudes, n_samples=4000, sample_rate=RATE, hop_length=200.0
    )
    assert curves["LIN"][0][0] == pytest.approx(loss["LIN"](target, estimate)[0], rel=1e-12)


def test_batches_do_not_show():
    """More offsets than one batch holds, and a last batch that is not full."""
    n = 1 << 15
    size = _BATCH // n
    target, _ = so.harmonic_forward([200.0], [[0.5]], n_samples=n, sample_rate=RATE)
    cents = np.linspace(-300, 300, 2 * size + 3)
    loss = {"LIN": so.LIN(2048, padding="none")}
    _, curves = landscape(target, 200.0, [0.5], loss, cents=cents)
    for i in (0, size - 1, size, 2 * size, 2 * size + 2):
        _, one = landscape(target, 200.0, [0.5], loss, cents=[cents[i]])
        np.testing.assert_array_equal(np.array(curves["LIN"])[:, i], np.array(one["LIN"])[:, 0])


@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e6])
def test_silence_and_extreme_levels_stay_finite(tone, scale):
    target, f0_hz, amplitudes = tone
    _, curves = landscape(scale * target, f0_hz, amplitudes, losses(), cents=[-50, 0, 50])
    _, too = landscape(target, f0_hz, scale * amplitudes, losses(), cents=[-50, 0, 50])
    for values, slopes in (*curves.values(), *too.values()):
        assert np.isfinite(values).all() and np.isfinite(slopes).all()


def test_float32_sounds_are_compared_in_float32(tone, monkeypatch):
    target, f0_hz, amplitudes = tone
    seen = []
    loss = so.LIN(512)
    per_item = loss.per_item
    monkeypatch.setattr(
        loss, "per_item", lambda t, e: seen.append((t.spectra[0].dtype, e.dtype)) or per_item(t, e)
    )
    landscape(target.astype(np.float32), f0_hz, amplitudes, {"LIN": loss}, cents=[0.0])
    assert seen == [(np.float32, np.float32)]


def test_landscape_of_tracks_is_a_bowl_and_its_slope_is_the_derivative():
    n_frames = 51
    levels = np.array([0.5, 0.25, 0.1]) * np.geomspace(1, 0.1, n_frames)[:, None]
    fixed = np.arange(n_frames) * 0.01, np.full(n_frames, 440.0), np.ones(n_frames)
    tracks = so.HarmonicTracks(*fixed, levels, np.zeros((n_frames, 3)), RATE, 8160)
    audio = tracks.resynthesize()
    cents, curves = landscape_of_tracks(audio, tracks, cents=np.arange(-600.0, 601.0, 100.0))
    assert list(curves) == ["SOT", "LIN"]
    values, slopes = curves["SOT"]
    assert values.argmin() == 6 and minimum_error(cents, values) == 0
    assert (np.diff(values[:7]) < 0).all() and (np.diff(values[6:]) > 0).all()
    assert slope_accuracy(cents, slopes) == 1
    _, close = landscape_of_tracks(audio, tracks, cents=[149.99, 150.0, 150.01])
    for value, slope in close.values():
        assert slope[1] == pytest.approx((value[2] - value[0]) / 0.02, rel=2e-3)


def test_the_excerpt_of_tracks_begins_where_it_is_loudest():
    """A soft tone, then a loud one a fourth higher: sound and frames must be the same part."""
    n_frames = 101
    late = np.arange(n_frames) >= 50
    f0_hz, levels = np.where(late, 440.0, 330.0), np.where(late, 0.5, 0.05)[:, None]
    fixed = np.arange(n_frames) * 0.01, f0_hz, np.ones(n_frames)
    tracks = so.HarmonicTracks(*fixed, levels, np.zeros((n_frames, 1)), RATE, 16160)
    audio = tracks.resynthesize()
    cents, curves = landscape_of_tracks(audio, tracks, duration_s=0.3)
    for values, _ in curves.values():
        assert minimum_error(cents, values) == 0
        assert values.min() < 0.02 * values.max()


def test_landscape_of_tracks_takes_other_losses_rates_and_short_sounds():
    frame = [0.0], [200.0], [1.0], [[0.3]], [[0.0]]
    tracks = so.HarmonicTracks(*frame, 44100, 4000)
    audio = tracks.resynthesize()
    _, curves = landscape_of_tracks(audio, tracks, cents=[-50, 0, 50], losses={"mine": so.LIN(512)})
    assert curves["mine"][0].argmin() == 1
    _, curves = landscape_of_tracks(audio, tracks, cents=[-50, 0, 50])
    assert [values.argmin() for values, _ in curves.values()] == [1, 1]


def test_slope_accuracy_counts_signs_and_leaves_0_out():
    cents = [-2.0, -1.0, 0.0, 1.0, 2.0]
    assert slope_accuracy(cents, [-1.0, -1.0, 5.0, 1e-300, 1.0]) == 1
    assert slope_accuracy(cents, [1.0, -1.0, 0.0, 0.0, 1.0]) == 0.5  # a slope of 0 leads nowhere


def test_minimum_error_has_a_sign_and_takes_the_worst_of_equal_minima():
    assert minimum_error([-100.0, 0.0, 100.0], [1.0, 2.0, 3.0]) == -100
    assert minimum_error([-100.0, 0.0, 50.0], [1.0, 1.0, 1.0]) == -100


def test_timbres_have_the_same_power():
    for name in ("1/k", "uniform"):
        assert np.sum(timbre(name, 7) ** 2) == pytest.approx(0.1)
    falling = timbre("1/k", 4)
    np.testing.assert_allclose(falling / falling[0], [1, 1 / 2, 1 / 3, 1 / 4])
    assert np.ptp(timbre("uniform", 4)) == 0


@pytest.mark.parametrize(("noise", "ratio"), [("white", 1.0), ("pink", 0.5)])
def test_noise_has_its_level_and_its_slope(noise, ratio):
    """An octave higher white noise is as strong in each hertz, pink noise half as strong."""
    long = dict(duration_s=8.0, seed=3)
    clean = noisy_tone(220.0, [0.4, 0.2], **long)
    hiss = noisy_tone(220.0, [0.4, 0.2], noise=noise, snr_db=7.0, **long) - clean
    assert 10 * np.log10(np.mean(clean**2) / np.mean(hiss**2)) == pytest.approx(7.0)
    power = np.abs(np.fft.rfft(hiss)) ** 2
    hz = np.arange(len(power)) / 8.0
    low, high = (power[(hz > f - 200) & (hz < f + 200)].mean() for f in (2000, 4000))
    assert high / low == pytest.approx(ratio, rel=0.1)
    assert abs(hiss.mean()) < 0.01


def test_seed_draws_phases_and_noise():
    options = dict(noise="white", duration_s=0.1)
    one = noisy_tone(220.0, [0.4], seed=1, **options)
    np.testing.assert_array_equal(one, noisy_tone(220.0, [0.4], seed=1, **options))
    assert np.abs(one - noisy_tone(220.0, [0.4], seed=2, **options)).max() > 0.1
    assert noisy_tone(220.0, np.float32([0.4]), **options).dtype == np.float32
    assert not noisy_tone(220.0, [0.0], **options).any()


def test_wrong_arguments_are_named(tone):
    target, f0_hz, amplitudes = tone
    loss = {"LIN": so.LIN(512)}
    for args, message in (
        ((target, f0_hz, amplitudes, {}), r"losses must name at least one loss, got \{\}"),
        ((target, f0_hz, amplitudes[:4], loss), "amplitudes must have 1 or 9 frames, got 4"),
        ((target, f0_hz[:4], amplitudes, loss), "f0_hz must have 1 or 9 frames, got 4"),
        ((target, 4000.0, [1.0], loss), "f0_hz must be above 0 and below .* got 8000"),
        ((target[None], 300.0, [1.0], loss), "target must have 1 dimension"),
    ):
        with pytest.raises(ParameterError, match=message):
            landscape(*args)
    with pytest.raises(ParameterError, match="cents must hold an offset other than 0"):
        slope_accuracy([0.0], [1.0])
    with pytest.raises(ParameterError, match=r"slopes must have shape \(2,\), got \(1,\)"):
        slope_accuracy([0.0, 1.0], [1.0])
    with pytest.raises(ParameterError, match=r"values must have shape \(2,\), got \(1,\)"):
        minimum_error([0.0, 1.0], [1.0])
    with pytest.raises(ParameterError, match=r"noise must be one of .* got 'brown'"):
        noisy_tone(220.0, [1.0], noise="brown")
    with pytest.raises(ParameterError, match="f0_hz must be above 0 and below"):
        noisy_tone(8000.0, [1.0])
    with pytest.raises(ParameterError, match="name must be one of '1/k', 'uniform', got 'k'"):
        timbre("k", 8)
    with pytest.raises(ParameterError, match="n_harmonics must be at least 1, got 0"):
        timbre("uniform", 0)
    tracks = so.HarmonicTracks([0.0], [100.0], [1.0], [[0.3]], [[0.0]], RATE, 4000)
    with pytest.raises(ParameterError, match=r"audio must have shape \(4000,\), got \(3999,\)"):
        landscape_of_tracks(target[:-1], tracks)
    f0_alone = so.HarmonicTracks([0.0], [100.0], [1.0], None, None, RATE, 4000)
    with pytest.raises(ParameterError, match="tracks must hold amplitudes, got none"):
        landscape_of_tracks(target, f0_alone)
