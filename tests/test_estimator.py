"""HarmonicEstimator as it is called: frames, blocks, threads, odd inputs and exact tones."""

import numpy as np
import pytest

from spectralot import HarmonicTracks, ParameterError
from spectralot.estimate.estimator import HarmonicEstimator
from spectralot.synth import harmonic_forward

RATE = 16000
DEFAULT = HarmonicEstimator()
PITCH = HarmonicEstimator(n_harmonics=0)


def tone(f0_hz, rate=RATE, duration_s=1.0, partials=range(1, 11)):
    """Partials 0.1 / h below 0.45 times the rate."""
    t = np.arange(round(duration_s * rate)) / rate
    heard = [h for h in partials if h * f0_hz < 0.45 * rate]
    return 0.1 * sum(np.sin(2 * np.pi * h * f0_hz * t + h * h) / h for h in heard)


def vibrato(rate=RATE, duration_s=2.0, f0_hz=220.0, cents=40.0, hop=None):
    """A sound, its f0 (T,) and amplitudes (T, H) of frames `hop` samples apart."""
    hop = hop or 0.01 * rate
    n = round(duration_s * rate)
    time_s = np.arange(1 + int(n / hop)) * hop / rate
    f0 = f0_hz * 2 ** (cents / 1200 * np.sin(2 * np.pi * 5.5 * time_s))
    h = np.arange(1, 13)
    swell = 1 + 0.3 * np.sin(2 * np.pi * (3 + 0.3 * h) * time_s[:, None])
    audio, _ = harmonic_forward(f0, 0.2 / h * swell, n_samples=n, sample_rate=rate, hop_length=hop)
    return audio, f0, 0.2 / h * swell


def off_cents(tracks, f0_hz, edge=15):
    return 1200 * np.log2(tracks.f0_hz / f0_hz)[edge : len(tracks.f0_hz) - edge]


def assert_same(found, expected):
    """All fields equal to the bit."""
    for name, value in vars(expected).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)
        else:
            assert getattr(found, name) == value, name


@pytest.fixture(scope="module")
def mixed():
    """Eleven seconds, so that several chunks are decided: noise, notes, silence, a glide."""
    rng = np.random.default_rng(8)
    glide, _ = harmonic_forward(
        np.linspace(90, 300, 300), np.full((300, 8), 0.05), n_samples=3 * RATE, sample_rate=RATE
    )
    parts = [
        0.01 * rng.standard_normal(RATE), tone(110, duration_s=2), np.zeros(RATE // 2), glide,
        tone(440) + tone(1500), vibrato()[0], 0.1 * rng.standard_normal(3 * RATE // 2 + 77),
    ]  # fmt: skip
    return np.concatenate(parts).astype(np.float32)


# frames


@pytest.mark.parametrize(
    ("rate", "options", "hop"),
    [
        (44100, {}, 441.0), (22050, {}, 220.5), (11025, {}, 110.25), (16000, dict(step_ms=5), 80.0),
        (44100, dict(step_ms=2.5), 110.25), (16000, dict(hop_length=256), 256.0),
        (22050, dict(hop_length=1000.25), 1000.25),
    ],
)  # fmt: skip
@pytest.mark.parametrize("n", [5512, 4410, 4411, 4409])
def test_frames_are_equal_steps_from_zero(rate, options, hop, n):
    tracks = HarmonicEstimator(n_harmonics=0, **options).estimate(tone(300, rate)[:n], rate)
    assert len(tracks.time_s) == 1 + int(n // hop)
    np.testing.assert_allclose(tracks.time_s, np.arange(len(tracks.time_s)) * hop / rate)
    assert tracks.settings["hop_length"] == hop
    assert (tracks.sample_rate, tracks.n_samples) == (rate, n)


def test_what_comes_back_is_complete():
    audio, f0_hz, _ = vibrato()
    tracks = DEFAULT.estimate(audio, RATE)
    assert isinstance(tracks, HarmonicTracks)
    T, H = tracks.amplitudes.shape
    assert len(f0_hz) == T and 12 <= H <= 40
    for name in ("f0_std_cents", "noise_db", "snr_db", "inharmonicity", "octave_margin", "voiced"):
        assert getattr(tracks, name).shape == (T,), name
    assert tracks.phases.shape == tracks.amplitudes_std.shape == (T, H)
    assert tracks.octave_costs.shape == (T, 4)
    assert tracks.settings["version"]
    assert tracks.settings["n_harmonics"] == "auto"
    assert (tracks.f0_std_cents > 0).all()


@pytest.mark.parametrize("n_harmonics", [1, 5, 60])
def test_as_many_harmonics_as_asked_for(n_harmonics):
    tracks = HarmonicEstimator(n_harmonics=n_harmonics).estimate(tone(220), RATE)
    expected = DEFAULT.estimate(tone(220), RATE)
    assert tracks.amplitudes.shape == (101, n_harmonics)
    shared = min(n_harmonics, expected.amplitudes.shape[1])
    np.testing.assert_array_equal(tracks.amplitudes[:, :shared], expected.amplitudes[:, :shared])
    np.testing.assert_array_equal(tracks.f0_hz, expected.f0_hz)
    assert not tracks.amplitudes[:, int(0.5 * RATE / 219) :].any()  # none beyond half the rate


def test_automatic_harmonics_end_below_half_the_rate():
    assert DEFAULT.estimate(tone(1000), RATE).amplitudes.shape[1] == 7
    assert DEFAULT.estimate(tone(60), RATE).amplitudes.shape[1] == 40


def test_f0_alone():
    tracks = PITCH.estimate(tone(220), RATE)
    assert tracks.amplitudes is None and tracks.phases is None and tracks.amplitudes_std is None
    with pytest.raises(ParameterError, match="amplitudes"):
        tracks.resynthesize()


# the same whatever the blocks, threads, steps, types


def test_blocks_give_the_same_bits_as_the_whole(mixed):
    expected = DEFAULT.estimate(mixed, RATE)
    rng = np.random.default_rng(0)
    for n_cuts in (1, 9, 300):
        cuts = np.sort(rng.integers(0, len(mixed), n_cuts))  # empty blocks come up, too
        assert_same(DEFAULT.estimate_blocks(np.split(mixed, cuts), RATE), expected)
    assert_same(DEFAULT.estimate_blocks(iter([mixed]), RATE), expected)


def test_blocks_of_one_sample():
    audio = tone(220)[:2500]
    blocks = (audio[i : i + 1] for i in range(len(audio)))
    assert_same(DEFAULT.estimate_blocks(blocks, RATE), DEFAULT.estimate(audio, RATE))


def test_blocks_at_a_rate_that_is_decimated(mixed):
    expected = DEFAULT.estimate(mixed, 3 * RATE)
    blocks = np.split(mixed, np.arange(1000, len(mixed), 1001))
    assert_same(DEFAULT.estimate_blocks(blocks, 3 * RATE), expected)


def test_same_bits_for_one_and_two_threads(mixed, with_threads):
    one, two = (with_threads(n, DEFAULT.estimate, mixed, RATE) for n in (1, 2))
    assert_same(two, one)


def test_an_estimator_remembers_nothing(mixed):
    estimator = HarmonicEstimator()
    first = estimator.estimate(mixed, RATE)
    estimator.estimate(tone(300), 8000)
    assert_same(estimator.estimate(mixed, RATE), first)


def test_input_stays_as_it_is(mixed):
    before = mixed.copy()
    DEFAULT.estimate(mixed, RATE)
    np.testing.assert_array_equal(mixed, before)


@pytest.mark.parametrize("rate", [RATE, 44100])
def test_steps_of_5_and_10_ms_agree(rate):
    audio, _, _ = vibrato(rate)
    ten, five = (HarmonicEstimator(step_ms=s, n_harmonics=0).estimate(audio, rate) for s in (10, 5))
    assert np.abs(off_cents(ten, five.f0_hz[::2])).max() < 1.5
    assert (ten.voiced == five.voiced[::2]).mean() > 0.99


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float64, ">f4"])
def test_numbers_of_any_type(dtype):
    audio = 20000 * tone(220)
    tracks = DEFAULT.estimate(audio.astype(dtype), RATE)
    expected = DEFAULT.estimate(audio, RATE)
    np.testing.assert_allclose(tracks.f0_hz[15:-15], expected.f0_hz[15:-15], rtol=1e-5)
    np.testing.assert_allclose(tracks.amplitudes[15:-15, 0], 2000, rtol=1e-3)


@pytest.mark.parametrize("level", [1e-6, 1e-3, 1e4])
def test_level_does_not_matter(level):
    tracks = DEFAULT.estimate(10 * level * tone(220), RATE)
    assert tracks.voiced[8:-8].all()
    assert np.abs(off_cents(tracks, 220.0)).max() < 0.1
    np.testing.assert_allclose(tracks.amplitudes[15:-15, 0], level, rtol=1e-3)


# exact tones


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
def test_exact_tones_at_every_rate(rate):
    for f0_hz in (25.0, 41.2, 110.0, 440.0, 1000.0, 2000.0, 4000.0):
        if f0_hz > 0.44 * rate:
            continue
        tracks = PITCH.estimate(tone(f0_hz, rate, 0.7), rate)
        assert tracks.voiced[8:-8].all(), f0_hz
        assert np.abs(off_cents(tracks, f0_hz)).max() < 0.2, f0_hz


@pytest.mark.parametrize("f0_hz", [60.0, 440.0, 3000.0])
def test_pure_sines(f0_hz):
    tracks = DEFAULT.estimate(0.5 * np.sin(2 * np.pi * f0_hz * np.arange(RATE) / RATE), RATE)
    assert tracks.voiced[8:-8].all()
    assert np.abs(off_cents(tracks, f0_hz)).max() < 0.2
    np.testing.assert_allclose(tracks.amplitudes[15:-15, 0], 0.5, rtol=1e-3)
    assert tracks.amplitudes[15:-15, 1:].max(initial=0) < 1e-3


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_missing_fundamentals(missing):
    tracks = DEFAULT.estimate(tone(150.0, partials=range(1 + missing, 13)), RATE)
    assert tracks.voiced[8:-8].all()
    assert np.abs(off_cents(tracks, 150.0)).max() < 0.5
    assert tracks.amplitudes[15:-15, :missing].max() < 2e-4


def test_clipped_tone():
    tracks = DEFAULT.estimate(np.clip(20 * tone(220), -1, 1), RATE)
    assert tracks.voiced[8:-8].all()
    assert np.abs(off_cents(tracks, 220.0)).max() < 1


@pytest.mark.parametrize("options", [dict(fmin=300.0), dict(fmax=150.0)])
def test_f0_keeps_to_its_range(options):
    tracks = HarmonicEstimator(n_harmonics=0, **options).estimate(tone(220), RATE)
    # from candidates at the range's ends partials may lead away by half a semitone and a bit
    low, high = options.get("fmin", 20.0) / 1.04, options.get("fmax", 5000.0) * 1.06
    assert (tracks.f0_hz >= low).all() and (tracks.f0_hz <= high).all()


def test_f0_up_to_the_highest_there_is():
    found = HarmonicEstimator(fmax=0.45 * RATE).estimate(tone(6500.0), RATE)
    assert np.abs(off_cents(found, 6500.0)).max() < 1


# what has no pitch


def coloured(slope, n, seed):
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    spectrum /= np.arange(1, len(spectrum) + 1) ** slope
    noise = np.fft.irfft(spectrum, n)
    return 0.1 * noise / noise.std()


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_noise_is_mostly_unvoiced(slope):
    found = [DEFAULT.estimate(coloured(slope, 4 * RATE, s), RATE).voiced.mean() for s in range(3)]
    assert np.mean(found) < 0.05


def click(n):
    audio = np.zeros(n)
    audio[n // 2] = 1.0
    return audio


@pytest.mark.parametrize(
    "audio", [np.zeros(RATE), np.ones(RATE), click(RATE), np.full(RATE, -1e-9)],
    ids=["zeros", "constant", "click", "tiny constant"],
)  # fmt: skip
@pytest.mark.parametrize("viterbi", [True, False])
def test_nothing_to_hear(audio, viterbi):
    tracks = HarmonicEstimator(viterbi=viterbi).estimate(audio, RATE)
    assert not tracks.voiced.any()
    assert not tracks.amplitudes.any()
    assert ((tracks.f0_hz > 15) & (tracks.f0_hz < 8000)).all()
    assert not np.isnan(tracks.snr_db).any() and not np.isnan(tracks.f0_std_cents).any()
    assert not tracks.resynthesize().any()


def test_pauses_are_silent_and_notes_are_not():
    audio = np.concatenate([np.zeros(RATE // 2), tone(220), np.zeros(RATE // 2)])
    audio += 1e-6 * np.random.default_rng(0).standard_normal(len(audio))
    tracks = DEFAULT.estimate(audio, RATE)
    sounds = (tracks.time_s > 0.5) & (tracks.time_s < 1.5)
    near = np.abs(np.abs(tracks.time_s - 1.0) - 0.5) < 0.04
    assert tracks.voiced[sounds & ~near].all()
    assert not tracks.voiced[~sounds & ~near].any()


def test_silence_and_threshold_can_be_set():
    audio = np.concatenate([tone(220), 0.01 * tone(220)])
    # for 0.2 s after the loud one the soft one may be its echo
    assert DEFAULT.estimate(audio, RATE).voiced[122:190].all()
    assert not HarmonicEstimator(silence_db=-30).estimate(audio, RATE).voiced[110:].any()
    strict = HarmonicEstimator(voicing_threshold=0.99).estimate(coloured(0, RATE, 1), RATE)
    np.testing.assert_array_equal(strict.voiced, strict.confidence >= 0.99)


@pytest.mark.parametrize("n", [1, 2, 10, 100, 159, 160, 161, 700, 1760])
@pytest.mark.parametrize("center", [True, False])
def test_short_sounds(n, center):
    tracks = HarmonicEstimator(center=center).estimate(tone(220)[:n], RATE)
    usable = n if center else max(0, n - 1024)
    assert len(tracks.time_s) == 1 + usable // 160
    assert tracks.n_samples == n
    assert np.isfinite(tracks.f0_hz).all()


def test_steps_longer_than_the_sound():
    tracks = HarmonicEstimator(hop_length=50_000).estimate(tone(220), RATE)
    assert len(tracks.time_s) == 1
    tracks = HarmonicEstimator(step_ms=300).estimate(tone(220), RATE)
    assert len(tracks.time_s) == 4
    assert np.abs(off_cents(tracks, 220.0, 1)).max() < 0.5


def test_rates_so_low_that_nothing_is_left():
    """A defined result or one line; once this wrote beyond its buffers."""
    for rate in (50, 100, 200, 400, 1000):
        try:
            tracks = DEFAULT.estimate(tone(110, 1000, 5), rate)
        except ParameterError as error:
            assert "\n" not in str(error)
        else:
            assert (tracks.f0_hz < 0.5 * rate).all()


# frames that begin instead of being centred, frames on their own


def test_no_center_measures_later():
    audio, _, _ = vibrato()
    late = HarmonicEstimator(center=False).estimate(audio, RATE)
    centred = HarmonicEstimator(hop_length=0.002 * RATE).estimate(audio, RATE)  # 32 ms: 16 steps
    assert len(late.time_s) == 1 + (len(audio) - 1024) // 160
    expected = centred.f0_hz[16::5][: len(late.f0_hz)]
    assert np.abs(off_cents(late, expected)).max() < 1.5
    assert late.amplitudes is None
    assert late.settings["center"] is False


def test_every_frame_for_itself():
    """Without a track, a frame does not know what came long before it."""
    audio = coloured(0, 2 * RATE, 3)
    audio[RATE:] += tone(220)
    alone = HarmonicEstimator(viterbi=False, n_harmonics=0)
    found, tracked = alone.estimate(audio, RATE), PITCH.estimate(audio, RATE)
    leaps = [np.sum(np.abs(np.diff(np.log2(t.f0_hz[:95]))) > 0.2) for t in (found, tracked)]
    assert leaps[0] > 20 > leaps[1]
    assert np.abs(off_cents(alone.estimate(tone(220), RATE), 220.0)).max() < 0.1


# arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(step_ms=5, hop_length=80), "step_ms and hop_length exclude each other, got 5 and 80"),
        (dict(step_ms=0), "step_ms must be above 0, got 0"),
        (dict(step_ms=np.nan), "step_ms must be finite, got nan"),
        (dict(hop_length=-1), "hop_length must be above 0, got -1"),
        (dict(fmin=5), "fmin must be at least 10, got 5"),
        (dict(fmin=500, fmax=400), "fmin must be below fmax, got 500 and 400"),
        (dict(fmax="high"), "fmax must be a number, got 'high'"),
        (dict(n_harmonics=-1), "n_harmonics must be at least 0, got -1"),
        (dict(n_harmonics=2.5), "n_harmonics must be an integer, got 2.5"),
        (dict(n_harmonics="all"), "n_harmonics must be an integer, got 'all'"),
        (dict(voicing_threshold=-0.1), "voicing_threshold must be at least 0, got -0.1"),
        (dict(voicing_threshold=1.5), "voicing_threshold must be at most 1, got 1.5"),
        (dict(silence_db=-np.inf), "silence_db must be finite, got -inf"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ParameterError) as error:
        HarmonicEstimator(**options)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        ([], RATE, "audio must not be empty"),
        ([0.0, np.nan], RATE, "audio must be finite, got nan"),
        ([np.inf, 0.0], RATE, "audio must be finite, got inf"),
        (np.zeros((2, 50)), RATE, "audio must have 1 dimension"),
        ([1j], RATE, "audio must hold real numbers"),
        ([0.0] * 99, 0, "sample_rate must be above 0, got 0"),
        ([0.0] * 99, np.nan, "sample_rate must be finite, got nan"),
        ([0.0] * 99, 40, "40|18 Hz|sample_rate"),
    ],
)
def test_wrong_sounds_are_named(audio, rate, message):
    for function, sound in ((DEFAULT.estimate, audio), (DEFAULT.estimate_blocks, [audio])):
        with pytest.raises(ParameterError, match=message) as error:
            function(sound, rate)
        assert "\n" not in str(error.value)


def test_limits_that_depend_on_the_rate_are_named():
    with pytest.raises(ParameterError, match=r"5000|fmax"):
        HarmonicEstimator(fmax=5000).estimate(tone(220, 8000), 8000)
    with pytest.raises(ParameterError, match=r"a step must be at least one sample, got 0\.16"):
        HarmonicEstimator(step_ms=0.01).estimate(tone(220), RATE)
    with pytest.raises(ParameterError, match="audio must not be empty"):
        DEFAULT.estimate_blocks(iter([]), RATE)


def test_repr_says_how_it_is_set():
    text = repr(HarmonicEstimator(step_ms=5, n_harmonics=12))
    assert "step_ms=5" in text and "n_harmonics=12" in text and "_candidates" not in text
    assert eval(text).n_harmonics == 12
