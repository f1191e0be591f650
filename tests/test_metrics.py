"""Metrics against loops, the reference's number and their own rules."""

import naive_vertical
import numpy as np
import pytest

from spectralot import ParameterError
from spectralot.metrics import level_difference_db, log_spectral_distance, pitch_scores

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
