"""ModelEstimator: the shipped network on sounds of known pitch, and from the command line."""

import csv
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from spectralot import ParameterError, harmonic_forward, read_audio, write_wav
from spectralot.cli import main
from spectralot.learn import HarmonicModel, ModelEstimator, varied_sounds
from spectralot.learn import estimator as module

NOTES = Path(__file__).parents[1] / "examples" / "notes"


@pytest.fixture(scope="module")
def shipped():
    return ModelEstimator()


def tone(f0_hz, sample_rate=16000, seconds=0.6, n_harmonics=10):
    amplitudes = np.tile(0.3 / np.arange(1, n_harmonics + 1), (2, 1))
    n_samples = int(seconds * sample_rate)
    return harmonic_forward(
        np.full(2, float(f0_hz)), amplitudes, n_samples=n_samples, sample_rate=sample_rate
    )[0]


def inside(tracks, margin_s=0.15):
    end_s = tracks.n_samples / tracks.sample_rate - margin_s
    return (tracks.time_s >= margin_s) & (tracks.time_s <= end_s)


def test_shipped_model_is_small(shipped):
    assert (Path(module.__file__).parent / module.SHIPPED).stat().st_size < 300_000
    assert shipped.model.encoder.n_harmonics == 30


@pytest.mark.parametrize("f0_hz", [60, 110, 220, 440, 880, 1500])
@pytest.mark.parametrize("sample_rate", [16000, 22050, 44100])
def test_tones_are_found_with_their_amplitudes(shipped, f0_hz, sample_rate):
    tracks = shipped.estimate(tone(f0_hz, sample_rate), sample_rate)
    here = inside(tracks)
    assert np.abs(1200 * np.log2(tracks.f0_hz[here] / f0_hz)).max() < 30
    assert tracks.voiced[here].all()
    level_db = 20 * np.log10(
        np.median(tracks.amplitudes[here, :3], axis=0) / (0.3 / np.array([1, 2, 3]))
    )
    assert np.abs(level_db).max() < 3


def test_frames_are_where_they_say(shipped):
    """A jump of pitch is seen at its time, whatever the step."""
    low, high = tone(300, seconds=0.5), tone(500, seconds=0.5)
    audio = np.concatenate([low, high])
    for options in ({"step_ms": 10}, {"step_ms": 7.3}, {"hop_length": 100}, {"hop_length": 91.7}):
        estimator = ModelEstimator(shipped.model, **options)
        tracks = estimator.estimate(audio, 16000)
        step_s = tracks.time_s[1]
        assert step_s == pytest.approx(
            options.get("step_ms", 0) / 1000 or options["hop_length"] / 16000
        )
        assert len(tracks.time_s) == 1 + int(1.0 / step_s + 1e-9)
        change = tracks.time_s[np.argmax(tracks.f0_hz > 387)]
        assert abs(change - 0.5) < 0.02 + step_s


def test_long_sounds_are_measured_in_pieces_without_seams(shipped, monkeypatch):
    audio = tone(220, seconds=1.0)
    whole = shipped.estimate(audio, 16000)
    monkeypatch.setattr(module, "_ROWS", 17)
    pieces = shipped.estimate(audio, 16000)
    np.testing.assert_allclose(pieces.f0_hz, whole.f0_hz, rtol=1e-4)
    np.testing.assert_allclose(pieces.amplitudes, whole.amplitudes, atol=1e-4)


def test_blocks_give_the_same_as_the_whole(shipped):
    audio = tone(330)
    tracks = shipped.estimate(audio, 16000)
    again = shipped.estimate_blocks(np.array_split(audio, 7), 16000)
    assert np.array_equal(tracks.f0_hz, again.f0_hz)


def test_silence_and_noise_are_not_voiced(shipped, rng):
    assert not shipped.estimate(np.zeros(8000), 16000).voiced.any()
    noise = shipped.estimate(0.1 * rng.standard_normal(32000), 16000)
    assert noise.voiced.mean() < 0.1


def test_the_level_does_not_matter_but_for_the_amplitudes(shipped):
    audio = tone(440).astype(np.float32)
    loud, soft = shipped.estimate(audio, 16000), shipped.estimate(1e-3 * audio, 16000)
    here = inside(loud)
    np.testing.assert_allclose(soft.f0_hz[here], loud.f0_hz[here], rtol=1e-4)
    np.testing.assert_allclose(
        1e3 * soft.amplitudes[here, :5], loud.amplitudes[here, :5], rtol=2e-2, atol=1e-4
    )


@pytest.mark.parametrize("n_samples", [1, 2, 100, 161])
def test_short_sounds(shipped, n_samples):
    tracks = shipped.estimate(np.ones(n_samples), 16000)
    assert len(tracks.f0_hz) == 1 + n_samples // 160


def test_low_sample_rates_keep_f0_below_half_of_them(shipped, rng):
    tracks = shipped.estimate(rng.standard_normal(2000), 4000)
    assert (tracks.f0_hz < 2000).all()
    orders = np.arange(1, tracks.amplitudes.shape[1] + 1)
    assert not tracks.amplitudes[orders * tracks.f0_hz[:, None] >= 2000].any()


def test_fewer_harmonics_or_none(shipped):
    audio = tone(220)
    assert (
        ModelEstimator(shipped.model, n_harmonics=5).estimate(audio, 16000).amplitudes.shape[1] == 5
    )
    assert ModelEstimator(shipped.model, n_harmonics=0).estimate(audio, 16000).amplitudes is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step_ms": 5, "hop_length": 80}, "step_ms and hop_length exclude each other"),
        ({"step_ms": 0}, "step_ms must be above 0, got 0"),
        ({"hop_length": -1}, "hop_length must be above 0, got -1"),
        ({"n_harmonics": -1}, "n_harmonics must be at least 0, got -1"),
        ({"voicing_threshold": 1.5}, "voicing_threshold must be at most 1, got 1.5"),
        ({"model": "gone.npz"}, "cannot read gone.npz: No such file or directory"),
    ],
)
def test_what_breaks_a_rule_is_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        ModelEstimator(**options)


def test_varied_sounds_it_has_not_seen(shipped):
    """Another seed than that of the training; noise is as loud as 5 dB below."""
    sounds, right = varied_sounds(60, seed=99), []
    for audio, f0_hz in zip(sounds.audio, sounds.f0_hz, strict=True):
        estimator = ModelEstimator(shipped.model, hop_length=256)
        found = estimator.estimate(audio, 16000).f0_hz[3:13]
        right.append(np.abs(1200 * np.log2(found / f0_hz[3:13])) < 50)
    assert np.mean(right) > 0.85


@pytest.mark.parametrize("note", ["cello_D2", "clarinet_F4", "recorder_E6"])
def test_shipped_notes(shipped, note):
    with open(NOTES / "notes.csv", encoding="utf-8") as file:
        pitches = {row["file"]: row for row in csv.DictReader(file)}
    f0_hz = float(next(v["f0_hz"] for k, v in pitches.items() if k.startswith(note)))
    tracks = shipped.estimate(*read_audio(NOTES / f"{note}.wav"))
    median = np.median(tracks.f0_hz[tracks.voiced])
    assert abs(1200 * np.log2(median / f0_hz)) < 40
    assert tracks.voiced.mean() > 0.5


def test_command_line_uses_the_shipped_model_or_another(tmp_path, shipped, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_wav("a.wav", tone(440), 16000)
    assert CliRunner().invoke(main, ["estimate", "a.wav", "--method", "model"]).exit_code == 0
    with open("a.f0.csv", encoding="ascii") as file:
        frequencies = [float(row["frequency"]) for row in csv.DictReader(file)]
    assert abs(np.median(frequencies) - 440) < 5
    other = HarmonicModel({"kind": "shared", "channels": 2, "hidden": 4}, {}, 0)
    other.save("other.npz")
    done = CliRunner().invoke(main, ["estimate", "a.wav", "--model", "other.npz", "-o", "b"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "b" / "a.npz").exists()
    (tmp_path / "bad.npz").write_bytes(b"no model")
    bad = CliRunner().invoke(main, ["estimate", "a.wav", "--model", "bad.npz", "-o", "c"])
    assert bad.exit_code == 1 and "cannot read bad.npz" in bad.output
