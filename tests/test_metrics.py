"""Metrics against loops, the reference's number and their own rules."""

import naive_vertical
import numpy as np
import pytest

from spectralot import ParameterError
from spectralot.metrics import (
    level_difference_db,
    log_spectral_distance,
    melody_scores,
    pitch_scores,
)

pytestmark = pytest.mark.usefixtures("one_thread")

# of the stored signals x and xh, by the reference implementation of arXiv:2312.14507 in float64
REFERENCE_LSD = 159.58360118422863


@pytest.fixture
def sounds(rng):
    return rng.standard_normal((2, 900)), 0.1 * rng.standard_normal((2, 900))


def test_the_reference_implementations_number(reference):
    signals = reference("signals")
    distances = log_spectral_distance(signals["x"], signals["xh"], average="square")
    assert distances.shape == (4,)
    assert distances.mean() == pytest.approx(REFERENCE_LSD, rel=1e-9)


@pytest.mark.parametrize("average", ["rms", "square"])
@pytest.mark.parametrize(
    "options",
    [
        {"n_fft": 128, "hop_length": 50, "floor_db": -10.0},
        {"n_fft": 65, "hop_length": 16, "floor_db": -80.0, "window": "hamming"},
        {"n_fft": 64, "hop_length": 64, "floor_db": 3.0, "padding": "none"},
    ],
)
def test_distance_matches_the_loops(options, average, sounds):
    options = options | {"average": average}
    expected = [
        naive_vertical.log_spectral_distance(a, b, **options) for a, b in zip(*sounds, strict=True)
    ]
    np.testing.assert_allclose(log_spectral_distance(*sounds, **options), expected, rtol=1e-10)
    alone = log_spectral_distance(sounds[0][0], sounds[1][0], **options)
    assert isinstance(alone, float) and alone == pytest.approx(expected[0], rel=1e-10)


def test_a_gain_is_a_distance_in_decibels(rng):
    noise = rng.standard_normal(8000)
    louder = 10 ** (7 / 20) * noise
    assert log_spectral_distance(noise, louder, floor_db=-300) == pytest.approx(7, rel=1e-9)
    assert log_spectral_distance(noise, louder, floor_db=-300, average="square") == (
        pytest.approx(49, rel=1e-9)
    )
    assert level_difference_db(noise, louder) == pytest.approx(7, rel=1e-12)
    assert level_difference_db(louder, noise) == pytest.approx(-7, rel=1e-12)


def test_level_difference_of_a_batch(sounds):
    found = level_difference_db(*sounds)
    expected = [
        20 * np.log10(np.linalg.norm(b) / np.linalg.norm(a)) for a, b in zip(*sounds, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("metric", [log_spectral_distance, level_difference_db])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silence_and_every_level_are_finite(metric, dtype, sounds):
    target, estimate = (side.astype(dtype) for side in sounds)
    for scale in (0.0, 1e-30, 1e-12, 1e6, 1e18):
        level = dtype(scale)
        quiet = level * estimate
        for a, b in ((level * target, estimate), (target, quiet), (target * 0, quiet)):
            assert np.isfinite(metric(a, b)).all()
    assert not np.any(metric(target, target)) and not np.any(metric(0 * target, 0 * target))


def test_silence_stands_at_the_floor():
    silence, full = np.zeros(100), np.ones(100)
    assert level_difference_db(full, silence) == pytest.approx(-120)
    assert level_difference_db(full, silence, floor_db=-60) == pytest.approx(-60)
    rectangular = {"n_fft": 2, "hop_length": 2, "window": np.ones(2), "floor_db": -40}
    # bin 0 has the magnitude sqrt 2, bin 1 none
    expected = (40 + 20 * np.log10(np.sqrt(2))) / np.sqrt(2)
    assert log_spectral_distance(silence, full, **rectangular) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: log_spectral_distance(x, x, average="mean"),
            "average must be one of 'rms', 'square', got 'mean'",
        ),
        (
            lambda x: log_spectral_distance(x, x[:-1]),
            r"estimate must have shape \(99,\), got \(98,\)",
        ),
        (
            lambda x: log_spectral_distance(x, x, floor_db=-301),
            "floor_db must be at least -300, got -301",
        ),
        (lambda x: log_spectral_distance(x, x, n_fft=1), "n_fft must be at least 2, got 1"),
        (lambda x: level_difference_db(x, x * np.nan), "estimate must be finite, got nan"),
        (lambda x: level_difference_db(x, x, floor_db=np.inf), "floor_db must be finite, got inf"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call(np.ones(99))


def pitches(rng, n=400):
    """A reference with silences, and an estimate with errors of all kinds."""
    ref = 110 * 2 ** rng.uniform(0, 3, n)
    cents = rng.choice([4, 20, 40, 70, 1195, -1230, 2400, 300], n) + rng.uniform(-9, 9, n)
    est = ref * 2 ** (cents / 1200)
    ref[rng.random(n) < 0.3] = 0
    est[rng.random(n) < 0.1] = 0
    return 0.01 * np.arange(n), ref, est, (rng.random(n) < 0.7) & (est > 0)


def test_pitch_scores_are_mir_evals(rng):
    mir_eval = pytest.importorskip("mir_eval")
    for _ in range(5):
        time, ref, est, voiced = pitches(rng)
        signed = np.where(voiced, est, -est)  # mir_eval's way to tell an unvoiced f0
        theirs = mir_eval.melody.evaluate(time, ref, time, signed)
        ours = pitch_scores(time, ref, time, est, voiced)
        assert ours["rpa50"] == pytest.approx(theirs["Raw Pitch Accuracy"])
        assert ours["rca50"] == pytest.approx(theirs["Raw Chroma Accuracy"])
        assert ours["voicing_recall"] == pytest.approx(theirs["Voicing Recall"])
        assert ours["voicing_false_alarm"] == pytest.approx(theirs["Voicing False Alarm"])
        for tolerance in (25, 10):
            tracks = mir_eval.melody.to_cent_voicing(time, ref, time, signed)
            expected = mir_eval.melody.raw_pitch_accuracy(*tracks, cent_tolerance=tolerance)
            assert ours[f"rpa{tolerance}"] == pytest.approx(expected)
        assert 0.05 < ours["octave_up"] and 0.05 < ours["octave_down"]
        gross = ours["rca50"] - ours["rpa50"]
        assert ours["octave_up"] + ours["octave_down"] == pytest.approx(gross)


def test_pitch_is_read_between_frames_and_not_far_from_them():
    cents = np.array([0.0, 60.0, 1260.0, 1260.0])
    est_time = np.array([0.0, 0.02, 0.04, 0.06])
    ref_time = np.array([0.005, 0.01, 0.02, 0.029, 0.031, 0.09, 0.12])
    found = 100 * 2 ** (cents / 1200)
    expected = 100 * 2 ** (np.array([15, 30, 60, 60, 1260, 1260, 0]) / 1200)
    scores = pitch_scores(ref_time, expected * 2 ** (9 / 1200), est_time, found)
    assert scores["rpa10"] == pytest.approx(6 / 7) and scores["median_cents"] == pytest.approx(9)
    assert scores["rca50"] == pytest.approx(6 / 7)
    assert pitch_scores(ref_time, expected, [], [])["rpa50"] == 0


def test_what_is_not_judged_counts_nowhere():
    ref = np.array([100, np.nan, 0, np.nan, 0])
    time = np.arange(5.0)
    scores = pitch_scores(time, ref, time, [100.0, 0, 0, 300, 300])
    assert scores["rpa50"] == 1 and scores["voicing_recall"] == 1
    assert scores["voicing_false_alarm"] == 0.5
    scores = pitch_scores(time, 0 * time, time, 0 * time)
    assert np.isnan(scores["rpa50"]) and scores["voicing_false_alarm"] == 0
    with pytest.raises(ParameterError, match="est_voiced must have shape"):
        pitch_scores(time, ref, time, ref, [True])


MIR_EVAL = {
    "rpa": "raw_pitch_accuracy", "rca": "raw_chroma_accuracy", "oa": "overall_accuracy",
}  # fmt: skip


def melody(rng, time):
    """Steps and glides of pitch; a third of the frames without a pitch, some with a guess."""
    f0 = 110 * 2 ** np.cumsum(rng.choice([0, 0.01, -0.01, 0.3, -0.3], len(time)) / 3)
    sign = rng.choice([1, 1, 0, -1], len(time) // 7 + 1).repeat(7)[: len(time)]
    return f0 * sign


def grids(rng):
    """Pairs of times: equal, of other steps, later starts and earlier ends, uneven."""
    ref = 0.01 * np.arange(500)
    yield ref, ref
    yield ref, ref + 4e-9  # the same but for rounding
    yield ref, 0.0058 * np.arange(700)
    yield 0.0058 * np.arange(700), ref
    yield ref, 0.0023 + 0.01 * np.arange(300)
    yield 0.02 + 0.01 * np.arange(300), ref
    yield ref + 0.004, 0.001 + 256 / 44100 * np.arange(2000)
    yield ref, np.sort(rng.uniform(0, 5, 400))
    yield np.sort(rng.uniform(0, 5, 400)), ref


@pytest.mark.filterwarnings("ignore:Non-uniform timescale")
def test_melody_scores_are_mir_evals_on_any_times(rng):
    theirs = pytest.importorskip("mir_eval").melody
    for ref_time, est_time in grids(rng):
        for _ in range(3):
            ref, noise = melody(rng, ref_time), rng.choice([3, 15, 35, 70, 1190], len(est_time))
            est = np.interp(est_time, ref_time, np.abs(ref)) * 2 ** (noise / 1200)
            est *= np.sign(melody(rng, est_time))
            ours = melody_scores(ref_time, ref, est_time, est)
            expected = theirs.evaluate(ref_time, ref, est_time, est)
            assert ours["vr"] == pytest.approx(expected["Voicing Recall"], abs=1e-9)
            assert ours["vfa"] == pytest.approx(expected["Voicing False Alarm"], abs=1e-9)
            pitches = theirs.to_cent_voicing(ref_time, ref, est_time, est)
            for name, function in MIR_EVAL.items():
                for cents in (50, 25, 10):
                    score = getattr(theirs, function)(*pitches, cent_tolerance=cents)
                    assert ours[f"{name}{cents}"] == pytest.approx(score, abs=1e-9)
            ref_voiced, ref_cents, est_voiced, est_cents = pitches
            both = (ref_voiced > 0) & (est_voiced > 0) & (est_cents != 0)
            error = (est_cents - ref_cents)[both]
            for cents in (50, 25, 10):
                gross = np.abs(error) >= cents
                assert 0 < gross.mean() < 1
                assert ours[f"gpe{cents}"] == pytest.approx(gross.mean(), abs=1e-9)
                assert ours[f"fpe{cents}"] == pytest.approx(error[~gross].std(), abs=1e-9)
            assert 0 < ours["gpe_20_percent"] <= ours["gpe50"]


def test_melody_scores_of_a_track_by_hand():
    time, nan = 0.01 * np.arange(8), np.nan
    ref = np.array([100, 100, 100, 100, 100, 0, -90, nan])
    cents = np.array([4, -20, 40, 1190, 0, 0, 0, 0])
    est = np.array([100, 100, 100, 100, -100, 0, 80, nan]) * 2 ** (cents / 1200)
    scores = melody_scores(time, ref, time, est)
    assert (scores["vr"], scores["vfa"]) == pytest.approx((4 / 5, 1 / 3))
    rates = {name: [scores[f"{name}{c}"] for c in (50, 25, 10)] for name in ("rpa", "rca", "oa")}
    assert rates["rpa"] == pytest.approx([4 / 5, 3 / 5, 2 / 5])
    assert rates["rca"] == pytest.approx([1, 4 / 5, 2 / 5])
    assert rates["oa"] == pytest.approx([5 / 8, 4 / 8, 3 / 8])
    assert [scores[f"gpe{c}"] for c in (50, 25, 10)] == [1 / 4, 2 / 4, 3 / 4]
    assert scores["fpe50"] == pytest.approx(np.std([4, -20, 40]))
    assert scores["fpe25"] == pytest.approx(12) and scores["fpe10"] == pytest.approx(0)
    assert scores["gpe_20_percent"] == 1 / 4


def test_melody_scores_where_nothing_has_a_pitch():
    time, none, tone = [0.0, 0.1], [0.0, 0.0], [100.0, 100.0]
    scores = melody_scores(time, none, time, none)
    assert (scores["vr"], scores["vfa"], scores["rpa50"], scores["oa50"]) == (1, 0, 0, 1)
    assert np.isnan(scores["gpe50"]) and np.isnan(scores["fpe50"])
    scores = melody_scores(time, tone, time, none)
    assert (scores["vr"], scores["rpa50"], scores["oa50"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("times", "f0", "message"),
    [
        ([0, 0.1, 0.1], [1, 1, 1], "est_time_s must be at least 0 and rise, got 0 and steps of 0"),
        ([-1, 0, 1], [1, 1, 1], "est_time_s must be at least 0 and rise, got -1 and steps of 1"),
        ([0, 1, 2], [1, 1], r"est_f0_hz must have shape \(3,\), got \(2,\)"),
        ([], [], "est_time_s must not be empty"),
        ([0, 1, np.nan], [1, 1, 1], "est_time_s must be finite"),
        ([0, 1, 2], [1, np.inf, 1], "est_f0_hz must be finite"),
    ],
)
def test_melody_scores_refuse_what_is_no_track(times, f0, message):
    with pytest.raises(ParameterError, match=message):
        melody_scores([0, 1, 2], [1, 1, 1], times, f0)
