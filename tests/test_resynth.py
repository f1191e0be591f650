"""Resynthesis: pitch, time, timbre and morphing, heard by FFT, least squares and the estimator."""

import numpy as np
import pytest

from spectralot import HarmonicEstimator, HarmonicTracks, ParameterError
from spectralot.resynth import (
    harmonic_gains,
    morph_tracks,
    render,
    scale_harmonics,
    shift_pitch,
    stretch_time,
)

RATE = 16000


def take(f0_hz, amplitudes, *, seconds=1.0, step_s=0.01, rate=RATE, seed=0, drift=0.0, **more):
    """Tracks of these harmonics with random phases; f0 and amplitudes may be functions of time.

    Harmonic h is `drift` * h**2 Hz above its multiple of f0.
    """
    n_samples = round(seconds * rate)
    time_s = step_s * np.arange(1 + int(n_samples / rate / step_s + 1e-9))
    f0_hz = np.broadcast_to(f0_hz(time_s) if callable(f0_hz) else f0_hz, time_s.shape)
    if callable(amplitudes):
        amplitudes = amplitudes(time_s)
    amplitudes = np.broadcast_to(amplitudes, (len(time_s), np.shape(amplitudes)[-1]))
    orders = np.arange(1, amplitudes.shape[1] + 1)
    phases = np.random.default_rng(seed).uniform(-np.pi, np.pi, len(orders))
    phases = phases + 2 * np.pi * np.outer(time_s, drift * orders**2)
    phases = np.angle(np.exp(1j * phases))
    fields = dict(
        confidence=np.ones(len(time_s)), amplitudes=amplitudes, phases=phases, sample_rate=rate,
        n_samples=n_samples,
    )  # fmt: skip
    return HarmonicTracks(time_s, f0_hz, **fields | more)


def peak_hz(sound, near_hz, rate=RATE):
    """Frequency of the partial near this one, by the phase it gains from half to half."""
    n = len(sound) // 2
    window, time_s = np.hanning(n), np.arange(n) / rate
    hz = near_hz
    for _ in range(4):
        wave = window * np.exp(-2j * np.pi * hz * time_s)
        gained = np.angle((sound[n : 2 * n] @ wave) * np.conj(sound[:n] @ wave)
                          * np.exp(-2j * np.pi * hz * n / rate))  # fmt: skip
        hz += gained / (2 * np.pi * n / rate)
    return hz


def fitted(sound, frequencies_hz, rate=RATE):
    """Amplitudes of steady tones at these frequencies, by least squares."""
    time_s = np.arange(len(sound)) / rate
    waves = [wave(2 * np.pi * f * time_s) for f in frequencies_hz for wave in (np.sin, np.cos)]
    pairs = np.linalg.lstsq(np.transpose(waves), sound, rcond=None)[0]
    return np.hypot(pairs[::2], pairs[1::2])


def cents(found_hz, expected_hz):
    return 1200 * np.log2(found_hz / expected_hz)


def db(x):
    return 20 * np.log10(x)


def formants_db(hz):
    """A voice-like envelope: three humps on a slope."""
    humps = ((600, 250, 18), (1400, 350, 14), (2700, 500, 12))
    return -hz / 250 + sum(top * np.exp(-0.5 * ((hz - f) / b) ** 2) for f, b, top in humps)


def voice(f0_hz, *, top_hz=4000, **more):
    orders = np.arange(1, 1 + int(top_hz / f0_hz))
    return take(f0_hz, 0.02 * 10 ** (formants_db(orders * f0_hz) / 20), **more)


def middle(sound):
    return sound[len(sound) // 4 : 3 * len(sound) // 4]


@pytest.mark.parametrize("envelope", ["keep", "move"])
@pytest.mark.parametrize("semitones", [-17.3, -12, -0.01, 0, 0.5, 7, 19])
def test_pitch_is_as_asked_within_a_hundredth_of_a_cent(semitones, envelope):
    shifted = shift_pitch(voice(150.0), semitones, envelope=envelope)
    expected = 150.0 * 2 ** (semitones / 12)
    sound = shifted.resynthesize()
    assert len(sound) == RATE
    for h in (1, 3):
        assert abs(cents(peak_hz(middle(sound), h * expected), h * expected)) < 0.01


@pytest.mark.parametrize("semitones", [-7, 5])
def test_the_estimator_hears_the_new_pitch(semitones):
    def vibrato(t):
        return 220 * 2 ** (0.5 / 12 * np.sin(2 * np.pi * 5 * t))

    sound = shift_pitch(take(vibrato, [0.3, 0.2, 0.1, 0.05]), semitones).resynthesize()
    found = HarmonicEstimator().estimate(sound, RATE)
    inside = slice(10, 90)
    expected = vibrato(found.time_s[inside]) * 2 ** (semitones / 12)
    off = cents(found.f0_hz[inside], expected)
    assert abs(np.median(off)) < 0.5 and np.abs(off).max() < 3


@pytest.mark.parametrize("semitones", [-9, -4, 3, 5.5, 12])
def test_formants_stay_within_a_decibel(semitones):
    shifted = shift_pitch(voice(110.0), semitones)
    f0_hz = 110.0 * 2 ** (semitones / 12)
    harmonics_hz = f0_hz * np.arange(1, 1 + int(3900 / f0_hz))
    found = fitted(middle(shifted.resynthesize()), harmonics_hz)
    inside = harmonics_hz >= 110
    error = db(found / 0.02) - formants_db(harmonics_hz)
    assert np.abs(error[inside]).max() < 1
    # below the first harmonic nothing was measured: its level is held
    np.testing.assert_allclose(db(found[~inside] / 0.02), formants_db(110), atol=0.01)
    n_harmonics = shifted.amplitudes.shape[1]  # as far as the old ones reached
    assert n_harmonics * f0_hz <= 36 * 110.0 + 1e-6 < (n_harmonics + 1) * f0_hz


def test_formants_move_with_the_pitch_if_told():
    tracks = voice(110.0)
    shifted = shift_pitch(tracks, 12, envelope="move")
    np.testing.assert_array_equal(shifted.amplitudes, tracks.amplitudes)
    found = fitted(middle(shifted.resynthesize()), 220.0 * np.arange(1, 37))
    np.testing.assert_allclose(found, tracks.amplitudes[0], rtol=1e-5)


def test_an_envelope_is_read_along_straight_lines():
    tracks = take(100.0, [1.0, 0.01, 0.0, 1.0])
    found = shift_pitch(tracks, -12).amplitudes[3]
    # the level of the first is held below it; the gap at 300 Hz counts as -120 dB, and stays a gap
    assert found[5] == 0
    np.testing.assert_allclose(db(np.delete(found, 5)), [0, 0, -20, -40, -80, -60, 0], atol=1e-9)
    assert shift_pitch(tracks, 24).amplitudes[3].tolist() == [1.0]
    for up in range(1, 40):  # harmonic 41 is to be read at the last one, in spite of rounding
        semitones = 12 * np.log2((41 + up) / 41)
        last = shift_pitch(take(40.0, np.full(41 + up, 0.1)), semitones).amplitudes
        assert last.shape[1] == 41
    assert shift_pitch(tracks, 30).amplitudes.shape[1] == 1


@pytest.mark.parametrize("envelope", ["keep", "move"])
def test_nothing_asked_for_changes_nothing(envelope, rng):
    tracks = take(180.0, np.r_[rng.uniform(0, 1, 6), 0.0], drift=0.01)
    for same in (
        shift_pitch(tracks, 0, envelope=envelope), stretch_time(tracks, 1),
        scale_harmonics(tracks, np.ones(7)), morph_tracks(tracks, tracks, 0.4),
    ):  # fmt: skip
        np.testing.assert_allclose(same.resynthesize(), tracks.resynthesize(), atol=1e-9)


@pytest.mark.parametrize("factor", [0.4, 0.5, 1, 1.7, 3])
def test_time_is_stretched_and_pitch_is_not(factor):
    tracks = voice(150.0, seconds=1.003)
    longer = stretch_time(tracks, factor)
    sound = longer.resynthesize()
    assert len(sound) == round(1.003 * RATE * factor)
    assert 0 < longer.step_s <= tracks.step_s * max(factor, 1)
    for h in (1, 5):
        assert abs(cents(peak_hz(middle(sound), 150 * h), 150 * h)) < 0.01
    expected = fitted(middle(tracks.resynthesize()), 150 * np.arange(1, 27))
    found = fitted(middle(sound), 150 * np.arange(1, 27))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_vibrato_and_swells_slow_down():
    tracks = take(lambda t: 300 + 6 * np.sin(2 * np.pi * 5 * t),
                  lambda t: 0.2 + 0.1 * np.cos(2 * np.pi * 3 * t)[:, None])  # fmt: skip
    sound = stretch_time(tracks, 2.5).resynthesize()
    time_s = np.arange(len(sound)) / RATE
    # the analytic signal of a single partial gives its frequency and its amplitude
    spectrum = np.fft.fft(sound)
    spectrum[len(spectrum) // 2 :] = 0
    analytic = 2 * np.fft.ifft(spectrum)
    hz = np.diff(np.unwrap(np.angle(analytic))) * RATE / (2 * np.pi)
    inside = slice(RATE // 4, -RATE // 4)
    np.testing.assert_allclose(
        hz[inside], 300 + 6 * np.sin(2 * np.pi * 2 * time_s[:-1][inside]), atol=0.4
    )
    swell = 0.2 + 0.1 * np.cos(2 * np.pi * 1.2 * time_s[inside])
    np.testing.assert_allclose(np.abs(analytic)[inside], swell, atol=3e-3)


def test_frames_between_are_as_the_synthesizer_has_them():
    tracks = HarmonicTracks(
        [0.0, 0.1], [200.0, 230.0], [0.3, 0.9], [[0.0], [1.0]], [[0.0], [3.0]], RATE, 3200,
        voiced=np.array([False, True]),
    )  # fmt: skip
    longer = stretch_time(tracks, 3)
    np.testing.assert_allclose(longer.time_s, [0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(longer.f0_hz, [200, 210, 220, 230])
    np.testing.assert_allclose(longer.confidence, [0.3, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(longer.amplitudes[:, 0], [0, 0.25, 0.75, 1])
    np.testing.assert_allclose(longer.phases[:, 0], [0, 3, 6 - 2 * np.pi, 9 - 2 * np.pi])
    assert longer.voiced.tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("change", "f0_hz", "off_hz"),
    [
        (lambda t: stretch_time(t, 3), 200, 0.3 * 16),
        (lambda t: stretch_time(t, 0.6), 200, 0.3 * 16),
        (lambda t: shift_pitch(t, 12, envelope="move"), 400, 2 * 0.3 * 16),
        (lambda t: shift_pitch(t, 12), 400, 0.3 * 64),  # of what lay there, harmonic 8
        (lambda t: morph_tracks(t, t, 0.5), 200, 0.3 * 16),
    ],
)
def test_partials_keep_their_distance_from_the_multiples(change, f0_hz, off_hz):
    sound = change(take(200.0, np.full(9, 0.1), drift=0.3)).resynthesize()
    assert peak_hz(middle(sound), 4 * f0_hz + off_hz) == pytest.approx(4 * f0_hz + off_hz, abs=0.01)


def test_phases_that_make_up_for_a_wrong_f0_still_do():
    time_s = np.arange(101) * 0.01
    tracks = take(
        200.0, np.full(8, 0.1), phases=2 * np.pi * 0.4 * np.outer(time_s, np.arange(1, 9))
    )
    for envelope in ("keep", "move"):
        for semitones in (-12, 7):
            shifted = shift_pitch(tracks, semitones, envelope=envelope)
            expected = 200.4 * 2 ** (semitones / 12)
            sound = middle(shifted.resynthesize())
            for h in (1, 2, 3):
                assert peak_hz(sound, h * expected) == pytest.approx(h * expected, abs=0.01)
            assert np.abs(shifted.phases).max() <= np.pi + 1e-9


def test_stretched_partials_meet_halfway_in_a_morph():
    low = take(200.0, np.full(9, 0.1), drift=0.3)
    high = take(400.0, np.full(9, 0.1), drift=1.2, seconds=2.0)
    expected = 200 * np.sqrt(2) * (4 + 16 * (0.3 / 200 + 1.2 / 400) / 2)  # as both, in cents
    sound = middle(morph_tracks(low, high, 0.5).resynthesize())
    assert peak_hz(sound, expected) == pytest.approx(expected, abs=0.01)


def test_gains_are_exact():
    tracks = take(200.0, np.full(8, 0.05))
    scaled = scale_harmonics(tracks, "1:0dB 2:-6dB 3-8:-12dB odd:+3dB")
    expected = np.array([3, -6, -9, -12, -9, -12, -9, -12.0])
    found = db(fitted(middle(scaled.resynthesize()), 200 * np.arange(1, 9)) / 0.05)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert scale_harmonics(tracks, np.arange(8.0)).amplitudes[5].tolist() == pytest.approx(
        0.05 * np.arange(8.0)
    )


@pytest.mark.parametrize(
    ("text", "expected_db"),
    [
        ("all:0dB", [0, 0, 0, 0, 0]),
        ("2:-6db,EVEN:+1.5DB", [0, -4.5, 0, 1.5, 0]),
        ("2-3:6dB 3-9:6dB 9:6dB", [0, 6, 12, 6, 6]),
        ("4-:off 5:+12dB", [0, 0, 0, -np.inf, -np.inf]),
        ("7-:off", [0, 0, 0, 0, 0]),
        ("  1:-20dB ,  ", [-20, 0, 0, 0, 0]),
    ],
)
def test_gains_are_read_from_text(text, expected_db):
    found = harmonic_gains(text, 5)
    np.testing.assert_allclose(found, 10 ** (np.array(expected_db) / 20), rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got ''"), ("2", "got '2'"), ("2:-6", "got '2:-6'"), ("2: -6dB", "got '2:'"),
        ("2:-6dB third:0dB", "got 'third:0dB'"), ("-3:0dB", "got '-3:0dB'"),
        ("2:nandB", "got '2:nandB'"), ("2:1e9dB", "got '2:1e9dB'"), ("1:0dB;2:0dB", "got '1:0dB;"),
        ("0:3dB", "harmonics must count upwards from 1, got '0:3dB'"),
        ("5-2:off", "harmonics must count upwards from 1, got '5-2:off'"),
    ],
)  # fmt: skip
def test_other_text_is_refused_in_one_line(text, message):
    with pytest.raises(ParameterError, match=message) as caught:
        harmonic_gains(text, 5)
    assert "\n" not in str(caught.value)


@pytest.fixture
def two_takes():
    """A low one that is bright and long, a high one that is dark and short, all of it sounding."""
    low = take(110.0, 0.2 / np.arange(1, 13), seconds=1.2)
    high = take(330.0, 0.1 * 0.4 ** np.arange(6), seconds=0.8, step_s=0.02, seed=1)
    return low, high


def test_a_morph_begins_and_ends_as_the_takes(two_takes):
    low, high = two_takes
    assert morph_tracks(low, high, 0) is low and morph_tracks(low, high, 1) is high
    for share, end in ((1e-9, low), (1 - 1e-9, high)):
        near = morph_tracks(low, high, share)
        np.testing.assert_allclose(near.resynthesize(), end.resynthesize(), atol=1e-5)
        assert near.step_s == pytest.approx(end.step_s)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_morph_lies_between_the_takes(two_takes, share):
    low, high = two_takes
    between = morph_tracks(low, high, share)
    weights = np.array([1 - share, share])
    assert between.n_samples == round(weights @ [1.2, 0.8] * RATE)
    f0_hz = 110.0 ** weights[0] * 330.0 ** weights[1]
    sound = middle(between.resynthesize())
    assert abs(cents(peak_hz(sound, f0_hz), f0_hz)) < 0.01
    orders = np.arange(1, 13)
    found = fitted(sound, f0_hz * orders)
    # level in dB is linear, and so is the mean of log frequency, which transport keeps
    sides = [low.amplitudes[0], np.pad(high.amplitudes[0], (0, 6))]
    levels = [10 * np.log10(np.sum(a**2)) for a in (*sides, found)]
    assert levels[2] == pytest.approx(weights @ levels[:2], abs=1e-3)
    means = [a @ np.log(orders) / a.sum() for a in (*sides, found)]
    assert means[2] == pytest.approx(weights @ means[:2], abs=1e-4)


def test_a_formant_moves_and_does_not_fade_in_elsewhere():
    def hump(hz):
        orders = np.arange(1, 41)
        return take(100.0, 0.1 * np.exp(-0.5 * (np.log2(100 * orders / hz) / 0.1) ** 2))

    found = morph_tracks(hump(800), hump(3200), 0.5).amplitudes[50]
    assert np.argmax(found) + 1 == 16
    assert db(found[[7, 31]] / found.max()).max() < -60


def test_what_is_too_soft_to_have_phases_lends_none(rng):
    """Harmonic 3 comes from 1 and 9; what both takes have at 3 is noise 100 dB below."""
    sides = []
    for loud in (1, 9):
        amplitudes = np.full(9, 1e-6)
        amplitudes[loud - 1] = 0.1
        phases = rng.uniform(-np.pi, np.pi, (101, 9))
        phases[:, loud - 1] = 0.5
        sides.append(take(200.0, amplitudes, phases=phases))
    sound = middle(morph_tracks(*sides, 0.5).resynthesize())
    assert fitted(sound, [600.0])[0] == pytest.approx(0.1, rel=1e-3)
    time_s = np.arange(len(sound)) / RATE
    waves = np.transpose([np.sin(1200 * np.pi * time_s), np.cos(1200 * np.pi * time_s)])
    rest = sound - waves @ np.linalg.lstsq(waves, sound, rcond=None)[0]
    assert db(np.std(rest) / np.std(sound)) < -60


def test_takes_that_are_silent_at_times():
    """Pauses count as 80 dB below the loudest frame; f0 is then that of the sound around them."""

    def with_pause(t):
        return np.where((t > 0.3) & (t < 0.6), 0.0, 0.1)[:, None]

    low = take(lambda t: np.where((t > 0.3) & (t < 0.6), 700.0, 200.0), with_pause)
    between = morph_tracks(low, take(400.0, [0.1]), 0.5)
    np.testing.assert_allclose(between.f0_hz, 200 * np.sqrt(2), rtol=1e-9)
    unsure = take(200.0, [0.1], voiced=np.arange(101) < 50)
    both = [take(300.0, [0.1], confidence=np.full(101, 0.2)), unsure]
    for sides in (both, both[::-1]):
        joined = morph_tracks(*sides, 0.5)
        assert joined.voiced.sum() == 50
        np.testing.assert_allclose(joined.confidence, 0.6)
    np.testing.assert_allclose(
        db(between.amplitudes[[10, 45, 80], 0] / 0.1), [0, -40, 0], atol=1e-9
    )
    silent = take(300.0, [0.0])
    assert not morph_tracks(silent, low, 0.5).amplitudes.any()
    assert not morph_tracks(silent, silent, 0.5).resynthesize().any()


def test_takes_of_different_rates_meet_at_the_higher():
    between = morph_tracks(take(200.0, [0.1]), take(200.0, [0.1], rate=44100), 0.5)
    assert (between.sample_rate, between.n_samples) == (44100, 44100)


def test_one_frame_is_enough():
    tracks = HarmonicTracks([0.0], [200.0], [1.0], [[0.1, 0.1]], [[0.0, 1.0]], RATE, RATE)
    assert stretch_time(tracks, 2.5).n_samples == 2.5 * RATE
    np.testing.assert_allclose(shift_pitch(tracks, -12).amplitudes, np.full((1, 4), 0.1))
    between = morph_tracks(tracks, stretch_time(tracks, 3), 0.5)
    assert peak_hz(middle(between.resynthesize()), 200) == pytest.approx(200, abs=1e-3)


def test_what_no_longer_holds_is_left_out():
    tracks = take(200.0, np.full((101, 2), 0.1), noise_db=np.zeros(101), settings={"by": "hand"})
    changed = shift_pitch(tracks, 3)
    assert changed.noise_db is None and changed.settings == {"by": "hand"}
    assert changed.amplitudes.dtype == np.float64
    half = np.full((101, 2), 0.5, np.float32)
    single = take(200.0, lambda t: half, phases=half)
    for changed in (
        shift_pitch(single, 3), stretch_time(single, 2), scale_harmonics(single, "1:off"),
        morph_tracks(single, single, 0.5),
    ):  # fmt: skip
        assert changed.amplitudes.dtype == changed.phases.dtype == np.float32
        assert render(changed)[0].dtype == np.float32


def steps(sound):
    """The largest step between samples at the edges, from and to silence too, and within."""
    step = np.abs(np.diff(sound, prepend=0.0, append=0.0))
    n = len(step) // 10
    return max(step[:n].max(), step[-n:].max()), step[n:-n].max()


@pytest.mark.parametrize("change", [
    lambda t: t, lambda t: shift_pitch(t, 7), lambda t: shift_pitch(t, -12),
    lambda t: stretch_time(t, 2.2), lambda t: stretch_time(t, 0.3),
    lambda t: morph_tracks(t, shift_pitch(t, 5), 0.5),
])  # fmt: skip
def test_what_is_rendered_does_not_click(change):
    tracks = change(voice(150.0))
    sound, gain_db = render(tracks)
    at_edges, within = steps(sound)
    assert gain_db == 0 and sound[0] == sound[-1] == 0
    assert at_edges <= within * (1 + 1e-5)
    bare = tracks.resynthesize()  # which sets in at once, and does
    assert np.abs(bare[[0, -1]]).max() > 1e-3
    inside = slice(RATE // 100, -RATE // 100)
    np.testing.assert_allclose(sound[inside], bare[inside], atol=1e-12)


def test_nothing_is_beyond_full_scale():
    tracks = take(150.0, np.full(20, 0.3))
    sound, gain_db = render(tracks)
    assert np.abs(sound).max() == pytest.approx(1, abs=1e-12) and gain_db < -3
    bare = tracks.resynthesize()
    assert gain_db == pytest.approx(-db(np.abs(bare[200:-200]).max()), abs=1e-9)
    np.testing.assert_allclose(db(np.abs(sound[5000:9000] / bare[5000:9000])), gain_db, atol=1e-6)
    assert render(scale_harmonics(tracks, "all:-40dB"))[1] == 0
    assert render(take(100.0, [0.0]))[1] == 0


def test_harmonics_beyond_half_the_rate_are_silent_and_cross_it_without_a_click():
    def vibrato(t):
        return 1000 + 40 * np.sin(2 * np.pi * 6 * t)

    amplitudes = [0.1, 0.1, 0.1, 0.1]  # the last to and fro across 4000 Hz
    sound, _ = render(take(vibrato, amplitudes), 8000)
    assert len(sound) == 8000
    clean, _ = render(take(vibrato, amplitudes[:3]), 8000)
    only = (sound - clean)[400:-400]
    assert 0.001 < np.abs(only).max() < 0.09
    # switched on and off it would be heard at all frequencies, such as from 500 to 3000 Hz
    spectrum = np.abs(np.fft.rfft(only * np.hanning(len(only)))) / len(only)
    bins_hz = np.fft.rfftfreq(len(only), 1 / 8000)
    assert spectrum[(bins_hz > 500) & (bins_hz < 3000)].max() < 1e-3 * spectrum.max()
    assert not render(take(1000.0, amplitudes), 2000)[0].any()
    high = shift_pitch(take(1000.0, amplitudes), 12 * np.log2(3), envelope="move")
    found = np.abs(np.fft.rfft(middle(render(high)[0]))) / 4000
    assert found[round(3000 / 2)] == pytest.approx(0.1, rel=1e-3)
    assert np.delete(found, [*range(1400, 1600), *range(2900, 3100)]).max() < 1e-6


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_another_rate_is_the_same_sound(rate):
    tracks = voice(150.0, top_hz=3000)
    sound, _ = render(tracks, rate)
    assert len(sound) == rate
    orders = np.arange(1, 21)
    found = fitted(middle(sound), 150 * orders, rate)
    np.testing.assert_allclose(found, tracks.amplitudes[0], rtol=1e-4)


def test_a_guess_where_nothing_sounds_refuses_nothing():
    def f0_hz(t):
        return np.where(t < 0.5, 200.0, 5000.0)

    tracks = take(f0_hz, lambda t: np.where(t < 0.5, 0.1, 0.0)[:, None])
    assert shift_pitch(tracks, 12).f0_hz.max() < RATE / 2
    assert len(render(tracks, 8000)[0]) == 8000


F0_ONLY = HarmonicTracks([0.0], [100.0], [1.0], None, None, 8000, 800)
TONE = take(1000.0, [0.1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: shift_pitch(F0_ONLY, 1),
            "tracks must hold amplitudes and phases to be heard, got",
        ),
        (lambda: stretch_time(F0_ONLY, 1), "tracks must hold amplitudes and phases"),
        (lambda: scale_harmonics(F0_ONLY, "1:off"), "tracks must hold amplitudes and phases"),
        (lambda: morph_tracks(TONE, F0_ONLY, 0), "tracks must hold amplitudes and phases"),
        (lambda: render(F0_ONLY), "tracks must hold amplitudes and phases"),
        (lambda: shift_pitch(TONE, 49), "semitones must be at most 48, got 49"),
        (lambda: shift_pitch(TONE, np.nan), "semitones must be finite, got nan"),
        (
            lambda: shift_pitch(TONE, 1, envelope="formant"),
            "envelope must be one of 'keep', 'move'",
        ),
        (lambda: shift_pitch(TONE, 36.5), "f0_hz must be below sample_rate / 2 = 8000 Hz, got"),
        (lambda: stretch_time(TONE, 0), "factor must be at least 0.01, got 0"),
        (lambda: stretch_time(TONE, 101), "factor must be at most 100, got 101"),
        (lambda: scale_harmonics(TONE, [1, 2]), r"gains must have shape \(1,\), got \(2,\)"),
        (lambda: scale_harmonics(TONE, [-1]), "gains must not be negative, got -1"),
        (lambda: morph_tracks(TONE, TONE, 1.1), "share must be at most 1, got 1.1"),
        (lambda: render(TONE, 0), "sample_rate must be at least 1, got 0"),
        (lambda: render(TONE, 8000.5), "sample_rate must be an integer, got 8000.5"),
    ],
)
def test_messages(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
