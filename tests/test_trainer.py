"""Sounds to learn from, training that may be killed at any moment, and the file of a model."""

import csv
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import naive_vertical
import numpy as np
import pytest
import soundfile as sf

from spectralot import LIN, ParameterError
from spectralot.learn import (
    Guided,
    HarmonicModel,
    Joint,
    Sounds,
    TrainConfig,
    paper_sounds,
    recorded_sounds,
    scores,
    train,
    trainer,
    varied_sounds,
)
from spectralot.synth import harmonic_forward

RATE = 16000
TINY = {"kind": "shared", "channels": 4, "hidden": 8}
PAPER = {"kind": "paper", "channels": 4, "widths": [4, 3]}  # has dropout
CONFIG = {
    "objective": "guided", "encoder": TINY, "steps": 10, "batch_size": 8, "warmup": 4,
    "learning_rate": 5e-3, "validate_every": 3,
}  # fmt: skip


def tiny(**changed):
    return TrainConfig(**CONFIG | changed)


@pytest.fixture(scope="module")
def parts():
    return paper_sounds(40).split()[:2]


@pytest.fixture(scope="module")
def undisturbed(parts, tmp_path_factory):
    """A training that nothing came between, and its folder."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return train(tiny(), *parts, folder=folder), folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, so that messages hold short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bits(model):
    return model.parameters.flat.tobytes()


def without_seconds(log):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in log]


def assert_same(result, expected):
    assert result.finished and result.step == expected.step
    assert bits(result.model) == bits(expected.model)
    assert without_seconds(result.log) == without_seconds(expected.log)


def step_of(path):
    with np.load(path, allow_pickle=False) as file:
        for name in file.files:
            assert file[name] is not None
        return int(file["step"])


# settings


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"objective": "L2"}, "objective must be one of 'guided', 'LIN', .* got 'L2'"),
        ({"schedule": "step"}, "schedule must be one of 'constant', 'cosine', got 'step'"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"steps": 2.5}, "steps must be an integer, got 2.5"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"warmup": -1}, "warmup must be at least 0, got -1"),
        ({"validate_every": 0}, "validate_every must be at least 1, got 0"),
        ({"patience": -1}, "patience must be at least 0, got -1"),
        ({"learning_rate": 0}, "learning_rate must be above 0, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be finite, got nan"),
        ({"clip": 0}, "clip must be above 0, got 0"),
        ({"clip": 1.5}, "clip must be at most 1, got 1.5"),
        ({"moves": -1}, "moves must be at least 0, got -1"),
        (
            {"moves": 2, "frames": {"calibrated": False}},
            "moves must be 0 where frames are not calibrated, got 2",
        ),
        ({"l2": -1}, "l2 must be at least 0, got -1"),
        ({"gradient_limit": -1}, "gradient_limit must be at least 0, got -1"),
        ({"gradient_limit": 1}, r"gradient_limit must be above 1, or 0 for none \(.*\), got 1"),
    ],
)
def test_settings_out_of_range_are_refused(changed, message):
    with pytest.raises(ParameterError, match=f"^{message}$"):
        TrainConfig(**changed)


def test_a_steep_gradient_counts_as_twice_the_last_ones(parts):
    def lengths(scales, **changed):
        run = trainer._Run(tiny(**changed), *parts, None)
        found = []
        for scale in scales:
            gradient = np.full(run.parameters.flat.shape, scale, np.float32)
            run._shorten(gradient)
            assert np.ptp(gradient) == 0  # the direction stays
            found.append(float(gradient[0]))
        return found

    assert lengths([1, 1, 1.9, 0.5]) == pytest.approx([1, 1, 1.9, 0.5])
    assert lengths([1, 100, 100]) == pytest.approx([1, 2, 2.04], rel=1e-5)
    assert lengths([0, 100, 1000]) == pytest.approx([0, 100, 200], rel=1e-5)
    assert lengths([1, 100], gradient_limit=0.0) == pytest.approx([1, 100])


def test_the_learning_rate_rises_and_falls():
    def rates(**settings):
        config = TrainConfig(learning_rate=2.0, **settings)
        return [config.rate(step) for step in range(config.steps)]

    flat = {"steps": 6, "schedule": "constant"}
    assert rates(**flat, warmup=0) == [2] * 6
    assert rates(**flat, warmup=4) == [0.5, 1, 1.5, 2, 2, 2]
    # 0.01 + 0.99 cos^2 of a quarter turn in four parts
    fall = [1, 0.01 + 0.99 * (2 + 2**0.5) / 4, 0.505, 0.01 + 0.99 * (2 - 2**0.5) / 4]
    assert rates(steps=4, warmup=0) == pytest.approx(2 * np.array(fall), rel=1e-12)
    assert rates(steps=4, warmup=2)[:2] == pytest.approx([1, 2 * fall[1]], rel=1e-12)


# scores


class StandIn:
    """Knows f0 and amplitudes of sound 0, 1, ... in the order in which it is asked."""

    def __init__(self, f0_hz, amplitudes):
        self.f0_hz, self.amplitudes, self.asked = np.array(f0_hz, float), amplitudes, 0
        self.transform = SimpleNamespace(hop_length=256, sample_rate=RATE)
        self.grid = {"hop_length": 256, "sample_rate": RATE}
        self.frames = self

    def __call__(self, audio, n_frames):
        which = np.arange(self.asked, self.asked + len(audio))
        self.asked += len(audio)
        return np.repeat(which[:, None, None], n_frames, axis=1).astype(np.float32)

    def encode(self, features):
        which = features[:, 0].astype(int)
        return self.f0_hz[which], self.amplitudes[which]


@pytest.fixture
def known():
    """Four sounds of 4 frames and a model's f0: right, an octave up, 40 and 60 cents up."""
    f0_hz = [200, 400, 200 * 2 ** (40 / 1200), 200 * 2 ** (60 / 1200)]
    amplitudes = np.array([[1.0, 0.5], [0.3, 0.2], [0.0, 0.0], [0.7, 0.0]])
    true_hz = np.full((4, 4), 200.0)
    true_hz[3, 2:] = 0  # not judged
    model = StandIn(f0_hz, amplitudes)
    each = [np.repeat(x[:, None], 4, axis=1) for x in (model.f0_hz, amplitudes)]
    rendered, _ = harmonic_forward(*each, n_samples=1024, sample_rate=RATE)
    audio = rendered.astype(np.float32)
    audio[3] = 0.1 * np.random.default_rng(0).standard_normal(1024)
    return model, Sounds(audio, true_hz), rendered


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_scores_are_those_computed_by_hand(known, batch_size):
    model, sounds, rendered = known
    found = scores(model, sounds, batch_size=batch_size)
    # 14 judged frames: 4 right, 4 an octave up, 4 by 40 cents, 2 by 60
    assert found["rpa"] == pytest.approx(100 * 8 / 14)
    assert found["rca"] == pytest.approx(100 * 12 / 14)
    assert found["octaves"] == pytest.approx((4 + 4 * 40 / 1200 + 2 * 60 / 1200) / 14)
    assert found["cents"] == pytest.approx(40)
    stft = {"n_fft": 1024, "hop_length": 256, "window": "hann", "padding": "end"}
    apart = naive_vertical.log_spectral_distance(
        sounds.audio[3], rendered[3], floor_db=-50, average="square", **stft
    )
    assert found["lsd"] == pytest.approx(apart / 4, rel=1e-4) and apart > 100
    assert "lsd_clean" not in found
    model.asked = 0
    noisy = scores(model, replace(sounds, clean=rendered), batch_size=batch_size)
    assert noisy == found | {"lsd_clean": pytest.approx(0, abs=1e-6)}


def test_scores_of_unknown_f0_are_one_number(known):
    model, sounds, _ = known
    lsd = scores(model, sounds)["lsd"]
    for f0_hz in (None, np.zeros((4, 4))):
        model.asked = 0
        assert scores(model, Sounds(sounds.audio, f0_hz)) == {"lsd": lsd}


def test_scores_refuse_what_they_cannot_judge(known):
    model, sounds, _ = known
    with pytest.raises(ParameterError, match=r"^sounds must hold a sound at least, got none$"):
        scores(model, sounds[:0])
    with pytest.raises(ParameterError, match=r"^sounds.f0_hz must have shape \(4, 4\), got "):
        scores(model, Sounds(sounds.audio, sounds.f0_hz[:, :3]))


# sounds


@pytest.mark.parametrize("n_sounds", [10, 40, 57])
def test_the_three_parts_are_disjoint_complete_and_seeded(n_sounds):
    count = np.arange(n_sounds)[:, None]
    sounds = Sounds(count, count + 100, count + 1000)
    split = sounds.split()
    found = np.concatenate([part.audio[:, 0] for part in split])
    assert sorted(found) == list(range(n_sounds))
    assert [len(part) for part in split[:2]] == [round(0.7 * n_sounds), round(0.2 * n_sounds)]
    assert len(split[2]) > 0
    for part, again in zip(split, sounds.split(0), strict=True):
        assert np.array_equal(part.audio, again.audio)
        assert np.array_equal(part.f0_hz, part.audio + 100)
        assert np.array_equal(part.clean, part.audio + 1000)
    assert not np.array_equal(split[0].audio, sounds.split(1)[0].audio)
    assert Sounds(sounds.audio).split()[0].f0_hz is None


@pytest.mark.parametrize("n_recordings", [3, 10, 40])
def test_no_recording_is_in_two_parts_if_there_are_ten(n_recordings, rng):
    recording = np.repeat(np.arange(n_recordings) * 3, rng.integers(1, 9, n_recordings))
    sounds = Sounds(np.arange(len(recording))[:, None], recording=recording)
    parts = sounds.split()
    found = np.concatenate([part.audio[:, 0] for part in parts])
    assert sorted(found) == list(range(len(recording))) and all(map(len, parts))
    for part in parts:
        assert np.array_equal(part.recording, recording[part.audio[:, 0]])
    shared = sum(len(set(part.recording)) for part in parts) - n_recordings
    assert (shared == 0) == (n_recordings >= 10)
    if n_recordings == 40:
        assert [len(part) / len(sounds) for part in parts] == pytest.approx(
            [0.7, 0.2, 0.1], abs=0.06
        )


def test_one_long_recording_among_short_ones_is_shared():
    recording = np.repeat(np.arange(12), [200] + 11 * [1])
    parts = Sounds(np.zeros((211, 1)), recording=recording).split()
    assert [len(part) for part in parts] == [148, 42, 21]


def harmonics_of(sound, f0_hz):
    """Amplitudes of eight harmonics whose phase is 0 before the first sample; and the rest."""
    angles = 2 * np.pi * f0_hz / RATE * np.arange(1, len(sound) + 1)[:, None] * np.arange(1, 9)
    waves = np.hstack([np.sin(angles), np.cos(angles)])
    found = np.linalg.solve(waves.T @ waves, waves.T @ sound)
    return found[:8], np.abs(found[8:]).max() + np.abs(sound - waves @ found).max()


def test_the_papers_sounds_are_as_the_paper_says():
    sounds = paper_sounds(300, 3)
    assert sounds.audio.shape == (300, 4096) and sounds.audio.dtype == np.float32
    assert sounds.f0_hz.shape == (300, 16)
    f0_hz = sounds.f0_hz[:, 0]
    assert (sounds.f0_hz == f0_hz[:, None]).all()
    assert 40 <= f0_hz.min() < 80 and 1900 < f0_hz.max() <= 1950
    assert abs(np.median(f0_hz) - 995) < 100  # uniform in Hz
    np.testing.assert_allclose(np.abs(sounds.audio).max(axis=1), 0.9, rtol=1e-6)
    counts = []
    for sound, f0 in zip(sounds.audio, f0_hz, strict=True):
        if 8 * f0 > RATE / 2:
            continue  # the highest cannot sound
        found, rest = harmonics_of(sound.astype(float), f0)
        n = int((found > 0.01).sum())
        counts.append(n)
        assert rest < 1e-3 and np.abs(found[n:]).max(initial=0) < 1e-3
        assert found[:n].min() >= 0.399 * found[:n].max()
    assert set(counts) == set(range(1, 9)) and np.bincount(counts).max() < 40


def test_the_same_seed_gives_the_same_sounds():
    for make in (paper_sounds, varied_sounds):
        first, again, other = make(12, 1), make(12, 1), make(12, 2)
        assert np.array_equal(first.audio, again.audio) and np.array_equal(first.f0_hz, again.f0_hz)
        assert not np.array_equal(first.audio, other.audio)
        with pytest.raises(ParameterError, match=r"^n_sounds must be at least 1, got 0$"):
            make(0)


@pytest.mark.parametrize("snr_db", [-3, 20])
def test_noise_lies_as_far_below_as_told(snr_db):
    clean, noisy = paper_sounds(50, 4), paper_sounds(50, 4, snr_db=snr_db)
    assert np.array_equal(noisy.clean, clean.audio) and clean.clean is None
    parts = clean.audio, noisy.audio - noisy.clean
    power = [np.mean(np.square(part, dtype=float), axis=1) for part in parts]
    np.testing.assert_allclose(10 * np.log10(power[0] / power[1]), snr_db, atol=0.5)


def test_varied_sounds_are_in_range():
    sounds = varied_sounds(300, 5)
    assert sounds.audio.shape == (300, 4096) and sounds.audio.dtype == np.float32
    assert np.isfinite(sounds.audio).all()
    np.testing.assert_allclose(np.abs(sounds.audio).max(axis=1), 0.9, rtol=1e-6)
    octaves = np.log2(sounds.f0_hz / 40)
    beyond = (0.6 + 0.75) / 12  # vibrato and glide
    assert octaves.shape == (300, 16) and octaves.min() > -beyond
    assert octaves.max() < np.log2(50) + beyond
    assert abs(np.median(octaves) - np.log2(50) / 2) < 0.5  # uniform in pitch
    assert 0.4 < np.mean(np.ptp(octaves, axis=1) > 0) < 0.6
    other = varied_sounds(5, n_samples=3000, sample_rate=8000, n_frames=10)
    assert other.audio.shape == (5, 3000) and other.f0_hz.shape == (5, 10)


def test_varied_sounds_have_the_f0_they_claim():
    """A comb of the claimed f0 catches more of a sound than one a third of a semitone off."""
    sounds = varied_sounds(200, 6)
    still = np.ptp(sounds.f0_hz, axis=1) == 0
    won = []
    for sound, f0 in zip(sounds.audio[still], sounds.f0_hz[still, 0], strict=True):
        turns = np.arange(4096)[:, None] * np.arange(1, 31) / RATE
        caught = []
        for cents in (-33, 0, 33):
            hz = f0 * 2 ** (cents / 1200)
            waves = np.hanning(4096)[:, None] * np.exp(-2j * np.pi * hz * turns)
            caught.append((np.abs(sound @ waves)[np.arange(1, 31) * hz < RATE / 2] ** 2).sum())
        won.append(np.argmax(caught) == 1)
    assert len(won) > 60 and np.mean(won) > 0.9


def test_varied_sounds_move_when_they_claim():
    """The same for f0 that moves: half a frame sooner or later catches less."""
    sounds = varied_sounds(200, 6)
    moving = 1200 * np.ptp(np.log2(sounds.f0_hz), axis=1) > 40
    orders, middle, won = np.arange(1, 31), np.arange(512, 3584), []
    for sound, f0 in zip(sounds.audio[moving], sounds.f0_hz[moving], strict=True):
        caught = []
        for late in (-128, 0, 128):
            hz = np.interp(np.arange(4096) - late, 256 * np.arange(16), f0)
            turns = np.cumsum(hz)[middle, None] * orders / RATE
            found = (sound[middle] * np.hanning(len(middle))) @ np.exp(-2j * np.pi * turns)
            caught.append((np.abs(found)[orders * hz.max() < RATE / 2] ** 2).sum())
        won.append(np.argmax(caught) == 1)
    assert len(won) > 60 and np.mean(won) > 0.9


def tone(n_samples, hz=440.0, rate=RATE, level=0.5):
    return level * np.sin(2 * np.pi * hz * np.arange(n_samples) / rate)


def test_recordings_are_sliced_and_silence_is_left_out(folder):
    loud, soft, softer = tone(4096), tone(4096, 300, level=0.0055), tone(4096, 300, level=0.0045)
    silence = np.zeros(4096)
    sound = np.concatenate([loud, silence, soft, softer, tone(4000)])  # the rest is no slice
    sf.write("a.wav", sound, RATE, subtype="FLOAT")
    sf.write("b.wav", silence, RATE, subtype="FLOAT")
    sf.write("c.wav", tone(8192, 500, level=1e-3), RATE, subtype="FLOAT")
    sounds = recorded_sounds(["a.wav", "b.wav", "c.wav"])
    assert sounds.f0_hz is None and sounds.audio.dtype == np.float32
    expected = [loud, soft, *tone(8192, 500).reshape(2, -1)]  # each file by its own loudest slice
    expected = [0.9 * x / np.abs(x).max() for x in expected]
    np.testing.assert_allclose(sounds.audio, expected, rtol=0, atol=1e-6)
    assert len(recorded_sounds(["a.wav"], silence_db=-45)) == 3
    assert recorded_sounds(["a.wav"], n_samples=1024).audio.shape == (15 - 4, 1024)


@pytest.mark.parametrize("rate", [8000, 44100])
def test_recordings_are_resampled(folder, rate):
    sf.write("a.wav", tone(rate, 1000, rate), rate, subtype="FLOAT")
    sounds = recorded_sounds(["a.wav"])
    assert sounds.audio.shape == (3, 4096)
    spectrum = np.abs(np.fft.rfft(sounds.audio * np.hanning(4096)))
    assert (np.argmax(spectrum, axis=1) == 1000 * 4096 / RATE).all()


def test_nothing_but_silence_is_refused_in_one_line(folder):
    sf.write("zero.wav", np.zeros(9000), RATE)
    sf.write("short.wav", tone(4095), RATE)
    with pytest.raises(ParameterError) as caught:
        recorded_sounds(["zero.wav", "short.wav"])
    assert str(caught.value) == (
        "files must hold 4096 samples at 16000 Hz that are not silent, got none in 2 file(s)"
    )
    with pytest.raises(ParameterError, match=r"^cannot read gone.wav: No such file or directory$"):
        recorded_sounds(["gone.wav"])


# training


@pytest.mark.parametrize("learns", [True, False])
def test_the_loss_goes_down(parts, monkeypatch, learns):
    """Or stays, where the learning rate forbids to learn: this test is able to fail."""
    monkeypatch.setattr(
        trainer, "objective", lambda _, grid, **__: Guided(grid, amplitudes_from=2)
    )  # f0 alone
    settings = {"steps": 40, "validate_every": 20, "learning_rate": 2e-3 if learns else 1e-9}
    first, last = (row["loss"] for row in train(tiny(**settings), *parts).log)
    assert (last < 0.7 * first) is learns


def test_a_run_is_a_folder_of_three_files(undisturbed, parts):
    result, folder = undisturbed
    assert sorted(os.listdir(folder)) == ["checkpoint.npz", "log.csv", "model.npz"]
    assert result.finished and result.step == 10 == step_of(folder / "checkpoint.npz")
    assert [row["step"] for row in result.log] == [3, 6, 9, 10]
    with open(folder / "log.csv", newline="") as file:
        rows = [{key: float(text) for key, text in row.items()} for row in csv.DictReader(file)]
    assert rows == result.log
    assert list(rows[0]) == ["step", "seconds", "loss", "lsd", "rpa", "rca", "octaves", "cents"]
    assert bits(HarmonicModel.load(folder / "model.npz")) == bits(result.model)
    with np.load(folder / "model.npz") as file:
        facts = json.loads(str(file["settings"]))["facts"]
    assert facts["config"] == asdict(tiny())
    best = min(result.log, key=lambda row: row["lsd"])
    assert facts["validation"] == best
    assert scores(result.model, parts[1])["lsd"] == best["lsd"]


def test_nothing_is_written_without_a_folder(undisturbed, parts, folder):
    assert_same(train(tiny(), *parts), undisturbed[0])
    assert os.listdir(folder) == []


def test_progress_is_told_after_each_step(parts):
    told = []
    result = train(tiny(steps=4), *parts, progress=lambda step, row: told.append((step, row)))
    assert told == [(1, None), (2, None), (3, result.log[0]), (4, result.log[1])]


def test_seeds_and_settings_matter(undisturbed, parts):
    for changed in ({"seed": 1}, {"l2": 0.0}, {"warmup": 2}, {"batch_size": 7}):
        assert bits(train(tiny(**changed), *parts).model) != bits(undisturbed[0].model)


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_f0_follows_where_it_was_moved_to_if_enough_is_convincing(parts, monkeypatch, share):
    seen, drawn = [], trainer._drawn

    def note(f0_hz, d_f0_hz, targets):
        seen.append(np.log2(f0_hz / targets)[:, 0])
        return drawn(f0_hz, d_f0_hz, targets)

    def moved(self, audio, f0_hz, read):
        assert read(f0_hz).shape == (*f0_hz.shape, 20)
        return f0_hz * 2, np.arange(len(audio)) / len(audio) < share

    monkeypatch.setattr(trainer, "_drawn", note)
    monkeypatch.setattr(Joint, "moved", moved)
    config = tiny(**MOVES | {"steps": 20, "validate_every": 20, "batch_size": 28})
    result = train(config, *parts)
    if share == 0.1:
        assert seen == []
        return
    assert len(seen) == 12  # three times four steps, and the last four without
    assert all(np.isfinite(row).all() for row in seen)
    assert all(np.allclose(seen[first], -1, atol=1e-6) for first in (0, 4, 8))
    monkeypatch.setattr(trainer, "QUORUM", 2.0)
    assert bits(train(config, *parts).model) != bits(result.model)
    seen.clear()
    train(tiny(moves=3), *parts)  # the recipe has its own way
    assert seen == []


def test_f0_is_drawn_with_one_vote_a_frame_and_more_gently_when_near():
    f0_hz, slopes = np.array([[200.0, 400.0, 100.0]] * 2), np.array([[0.3, -0.001, -0.02]] * 2)
    targets = np.array([[400.0, 400.0, 100.0 / 2 ** (25 / 1200)], [np.nan] * 3])
    expected = np.array([[-1 / 200 / 6, 0, 0.5 / 100 / 6], slopes[1]])
    np.testing.assert_allclose(trainer._drawn(f0_hz, slopes, targets), expected, atol=1e-15)


def test_every_sound_is_learned_from_once_an_epoch(parts, monkeypatch):
    taken, advance = [], trainer._Run.advance

    def note(run):
        taken.append(run._batch())
        advance(run)

    monkeypatch.setattr(trainer._Run, "advance", note)
    train(tiny(steps=9), *parts)  # 28 sounds: three batches of 8 an epoch
    epochs = np.array(taken).reshape(3, 24)
    assert all(len(set(epoch)) == 24 for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])


class Killed(BaseException):
    """No program catches this one, so nothing is tidied up after it."""


MOVES = {"objective": "SOT-2048", "clip": 0.5, "moves": 3}  # at steps 2, 4, 6; followed up to 8


@pytest.mark.parametrize(
    "changed",
    [{}, {"encoder": PAPER}, MOVES],
    ids=["shared", "paper", "moves"],
)
@pytest.mark.parametrize("at", [(1,), (5,), (4, 6, 8)])
def test_a_run_killed_between_checkpoints_ends_as_if_it_had_not_been(
    folder, parts, at, changed, monkeypatch
):
    monkeypatch.setattr(trainer, "QUORUM", 0.0)
    config = tiny(**changed)
    for step in at:

        def progress(now, row, step=step):
            if now == step:
                raise Killed

        with pytest.raises(Killed):
            train(config, *parts, folder="run", progress=progress)
        if step < 3:
            assert os.listdir("run") == []
        else:
            assert step_of("run/checkpoint.npz") == step // 3 * 3
    assert_same(train(config, *parts, folder="run"), train(config, *parts))


def test_a_finished_run_is_not_trained_again(undisturbed, parts):
    told = []
    again = train(tiny(), *parts, folder=undisturbed[1], progress=lambda *a: told.append(a))
    assert told == []
    assert_same(again, undisturbed[0])


def test_a_run_can_be_begun_anew(folder, parts, undisturbed):
    train(tiny(seed=5), *parts, folder="run")
    assert_same(train(tiny(), *parts, folder="run", resume=False), undisturbed[0])
    assert_same(train(tiny(), *parts, folder="run"), undisturbed[0])


SCRIPT = f"""
import os, signal, sys
import numpy as np
from spectralot.learn import TrainConfig, paper_sounds, train

savez, saves = np.savez, []

def half(file, **arrays):
    saves.append(None)
    savez(file, **arrays)
    if len(saves) == int(sys.argv[1]):
        file.truncate(file.tell() // 2)
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

np.savez = half
training, validation, _ = paper_sounds(40).split()
config = TrainConfig(**{CONFIG!r})

def tell(step, row):
    print(step, flush=True)
    sys.stdin.readline()

train(config, training, validation, folder="run", progress=tell)
"""
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


def start(half_save=0):
    Path("main.py").write_text(SCRIPT)
    command = [sys.executable, "main.py", str(half_save)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes)


@POSIX
def test_a_process_killed_at_random_moments_ends_as_if_it_had_not_been(
    folder, parts, undisturbed, rng
):
    at = 0
    for _ in range(3):
        with start() as process:
            process.stdin.write("\n" * 3)  # allows four steps: it cannot end before it is killed
            process.stdin.flush()
            seen = [int(process.stdout.readline())]
            time.sleep(rng.uniform(0, 0.1))
            process.kill()
            seen += map(int, process.stdout.read().split())
        assert process.returncode == -signal.SIGKILL
        assert seen[0] == at + 1  # it went on from the checkpoint
        at = step_of("run/checkpoint.npz") if os.path.exists("run/checkpoint.npz") else 0
        assert at >= seen[-1] // 3 * 3  # no more is lost than the steps since the checkpoint
    assert_same(train(tiny(), *parts, folder="run"), undisturbed[0])


@POSIX
def test_a_process_killed_while_it_writes_leaves_the_checkpoint_before(folder, parts, undisturbed):
    with start(half_save=3) as process:
        process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert step_of("run/checkpoint.npz") == 6
    assert any(name.endswith(".part") for name in os.listdir("run"))
    assert_same(train(tiny(), *parts, folder="run"), undisturbed[0])


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(folder, parts, monkeypatch):
    savez, saves = np.savez, []

    def full(file, **arrays):
        saves.append(None)
        if len(saves) == 2:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        savez(file, **arrays)

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(ParameterError, match=r"^cannot write run/checkpoint.npz: No space left"):
        train(tiny(), *parts, folder="run")
    assert step_of("run/checkpoint.npz") == 3
    assert sorted(os.listdir("run")) == ["checkpoint.npz", "log.csv"]


@pytest.fixture
def python_interrupts():
    """As at a keyboard, even where whoever started the tests ignores interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_ends_with_a_checkpoint(folder, parts, undisturbed, python_interrupts):
    def progress(step, row):
        if step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    result = train(tiny(), *parts, folder="run", progress=progress)
    assert not result.finished and result.step == 5 == step_of("run/checkpoint.npz")
    assert [row["step"] for row in result.log] == [3]
    assert sorted(os.listdir("run")) == ["checkpoint.npz", "log.csv"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert_same(train(tiny(), *parts, folder="run"), undisturbed[0])
    assert not train(tiny(), *parts, progress=progress).finished  # without a folder, too


def test_a_second_interrupt_does_not_wait(folder, parts, undisturbed, python_interrupts):
    def progress(step, row):
        if step == 5:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(tiny(), *parts, folder="run", progress=progress)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert step_of("run/checkpoint.npz") == 3
    assert_same(train(tiny(), *parts, folder="run"), undisturbed[0])


def test_other_threads_can_train(parts, undisturbed):
    """There are no interrupts there."""
    results = []
    thread = threading.Thread(target=lambda: results.append(train(tiny(), *parts)))
    thread.start()
    thread.join()
    assert_same(results[0], undisturbed[0])


@pytest.fixture
def scripted(monkeypatch):
    """Validations that give these distances, and copies of the parameters that got them."""

    def script(*distances):
        left, copies = list(distances), []

        def give(model, sounds):
            copies.append(bits(model))
            return {"lsd": left.pop(0)}

        monkeypatch.setattr(trainer, "scores", give)
        return copies

    return script


@pytest.mark.parametrize(
    ("patience", "distances", "stop", "best"),
    [
        (0, [5, 6, 7, 8, 9], 10, 0),
        (2, [5, 6, 7], 6, 0),
        (1, [5, 4, 4], 6, 1),  # no better is as bad as worse
        (2, [5, 4, 6, 3, 6], 10, 3),
        (3, [5, 6, 7, 4, 8], 10, 3),
    ],
)
def test_training_stops_early_and_keeps_the_best(
    folder, parts, scripted, patience, distances, stop, best
):
    copies = scripted(*distances)
    config = tiny(validate_every=2, patience=patience)
    result = train(config, *parts, folder="run")
    assert result.finished and result.step == stop == step_of("run/checkpoint.npz")
    assert len(copies) == len(set(copies)) == len(distances)
    assert bits(result.model) == copies[best] == bits(HarmonicModel.load("run/model.npz"))
    with np.load("run/model.npz") as file:
        facts = json.loads(str(file["settings"]))["facts"]
    assert facts["validation"]["step"] == 2 * (best + 1)
    again = train(config, *parts, folder="run")  # asks for no further validation
    assert_same(again, result)


def test_the_best_is_remembered_over_an_interruption(folder, parts, scripted):
    copies = scripted(5, 3, 4, 6, 7)

    def progress(step, row):
        if step == 7:
            raise Killed

    config = tiny(validate_every=2)
    with pytest.raises(Killed):
        train(config, *parts, folder="run", progress=progress)
    assert bits(train(config, *parts, folder="run").model) == copies[1]


def test_a_loss_that_is_no_number_ends_the_training(folder, parts, monkeypatch):
    class Broken(Joint):
        def __call__(self, step, *rest):
            value, *gradients = super().__call__(step, *rest)
            return np.nan if step == 4 else value, *gradients

    monkeypatch.setattr(trainer, "objective", lambda _, grid, **__: Broken(LIN(), grid))
    with pytest.raises(FloatingPointError, match=r"^the loss is nan at step 4$"):
        train(tiny(), *parts, folder="run")
    assert step_of("run/checkpoint.npz") == 3


def test_too_few_sounds_are_refused(parts):
    training, validation = parts
    with pytest.raises(
        ParameterError, match=r"^training must hold batch_size = 29 sounds at least"
    ):
        train(tiny(batch_size=29), training, validation)
    with pytest.raises(ParameterError, match=r"^validation must hold a sound at least, got none$"):
        train(tiny(), training, validation[:0])


def test_a_folder_that_cannot_be_made_is_one_line(folder, parts):
    Path("file").write_text("mine")
    with pytest.raises(ParameterError, match=r"^cannot make the folder file: File exists$"):
        train(tiny(), *parts, folder="file")
    with pytest.raises(ParameterError, match=r"^cannot make the folder file/run: Not a directory$"):
        train(tiny(), *parts, folder="file/run")
    assert Path("file").read_text() == "mine"


OTHER = {
    "objective": "LIN",
    "refine": False,
    "clip": 0.5,
    "moves": 2,
    "encoder": TINY | {"channels": 5},
    "frames": {"hop_length": 512},
    "seed": 1,
    "steps": 11,
    "batch_size": 9,
    "learning_rate": 1e-3,
    "schedule": "constant",
    "warmup": 5,
    "l2": 0.0,
    "gradient_limit": 3.0,
    "validate_every": 4,
    "patience": 1,
}


@pytest.mark.parametrize("name", [*OTHER, "training", "validation", "fewer"])
def test_a_checkpoint_of_other_settings_or_sounds_is_refused(undisturbed, parts, name):
    assert list(OTHER) == list(asdict(tiny()))
    run, (training, validation) = undisturbed[1], parts
    before = {path: path.read_bytes() for path in run.iterdir()}
    config = replace(tiny(), **{name: OTHER[name]}) if name in OTHER else tiny()
    if name == "training":
        audio = training.audio.copy()
        audio[5, 100] += 1e-3
        training = Sounds(audio, training.f0_hz)
    elif name == "validation":
        validation = validation[::-1]
    elif name == "fewer":
        training = training[:-1]
    with pytest.raises(ParameterError) as caught:
        train(config, training, validation, folder=run)
    assert str(caught.value) == (
        f"cannot go on from {run}/checkpoint.npz: it is of other settings or sounds: "
        "choose another folder"
    )
    assert before == {path: path.read_bytes() for path in run.iterdir()}


# damaged files, of checkpoints and of models


class Bomb:
    """Leaves a folder behind if it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


def cut(length):
    return lambda data: data[: int(length * len(data)) if isinstance(length, float) else length]


def flipped(member, place):
    """Turn one byte of the sound part of a member around, at a share of its length."""

    def change(data):
        Path("whole.npz").write_bytes(data)
        with zipfile.ZipFile("whole.npz") as file:
            info = file.infolist()[member]
        head = data[info.header_offset :]
        begin = 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        at = info.header_offset + begin + int(place * (info.compress_size - 1))
        return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]

    return change


def encrypted(data):
    at = data.index(b"PK\x01\x02") + 8  # flags of the first member
    return data[:at] + b"\x01" + data[at + 1 :]


def pickled(data):
    return pickle.dumps(Bomb())


def array_file(data):
    np.save("array.npy", np.ones(3))
    return Path("array.npy").read_bytes()


def other_member(data):
    with zipfile.ZipFile("other.npz", "w") as file:
        for name in ("settings", "identity", "log"):
            file.writestr(name, "no array")
    return Path("other.npz").read_bytes()


def bad_head(data):
    """An array whose header is no Python, in an archive that is whole."""
    np.save("array.npy", np.ones(3))
    array = (
        Path("array.npy").read_bytes().replace(b"'fortran_order': False", b"'fortran_order: ((((")
    )
    with zipfile.ZipFile("other.npz", "w") as file:
        for name in ("settings", "identity", "log"):
            file.writestr(f"{name}.npy", array)
    return Path("other.npz").read_bytes()


DAMAGE = {
    **{f"cut at {n}": cut(n) for n in (0, 1, 4, 100, 0.25, 0.5, 0.9, -100, -22, -1)},
    **{
        f"member {member} flipped at {place}": flipped(member, place)
        for member in (0, 1, 3, 5)
        for place in (0.1, 0.5, 0.9)
    },
    "text": lambda data: b"no archive",
    "nothing but the end": lambda data: data[-22:],
    "first byte": lambda data: b"\0" + data[1:],
    "method": lambda data: data.replace(b"PK\x01\x02", b"PK\x01\x03"),
    "encrypted": encrypted,
    "array": array_file,
    "pickle": pickled,
    "other member": other_member,
    "bad head": bad_head,
}


def one_line(function, *args, **kwargs):
    """The message of its ParameterError, and of no other exception."""
    with pytest.raises(ParameterError) as caught:
        function(*args, **kwargs)
    message = str(caught.value)
    assert len(message.splitlines()) == 1 and len(message) < 250
    assert not os.path.exists("exploded")
    return message


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_one_line(folder, parts, undisturbed, damage):
    os.mkdir("run")
    data = DAMAGE[damage]((undisturbed[1] / "checkpoint.npz").read_bytes())
    Path("run/checkpoint.npz").write_bytes(data)
    message = one_line(train, tiny(), *parts, folder="run")
    assert message == "cannot read run/checkpoint.npz: it is no checkpoint, or damaged"
    assert Path("run/checkpoint.npz").read_bytes() == data and os.listdir("run") == [
        "checkpoint.npz"
    ]


STATE = ("identity", "step", "flat", "mean", "square", "adam_steps", "best", "log", "targets",
         "total", "n_total", "length", "seconds")  # fmt: skip


@pytest.mark.parametrize("name", STATE)
@pytest.mark.parametrize("change", ["missing", "shape", "pickle"])
def test_a_checkpoint_of_other_arrays_is_one_line(folder, parts, undisturbed, name, change):
    os.mkdir("run")
    with np.load(undisturbed[1] / "checkpoint.npz") as file:
        state = {key: file[key] for key in file.files}
    assert sorted(state) == sorted(STATE)
    if change == "missing":
        del state[name]
    else:
        state[name] = np.ones((2, 3)) if change == "shape" else np.array([Bomb()], object)
    np.savez("run/checkpoint.npz", **state)
    message = one_line(train, tiny(), *parts, folder="run")
    assert message.startswith(("cannot read run/checkpoint.npz", "cannot go on from run/checkp"))


def test_a_checkpoint_that_is_a_folder_is_one_line(folder, parts):
    os.makedirs("run/checkpoint.npz")
    message = one_line(train, tiny(), *parts, folder="run")
    assert message == "cannot read run/checkpoint.npz: Is a directory"


# the file of a model


@pytest.fixture(scope="module")
def model():
    return HarmonicModel(TINY, {}, 7)


@pytest.mark.parametrize(
    ("encoder", "frames"),
    [
        (TINY, {}),
        (TINY | {"amplitudes": "linear", "n_harmonics": 3}, {"hop_length": 512}),
        ({"kind": "dense", "widths": [6, 5]}, {"n_bins": 60, "bins_per_octave": 12}),
        (PAPER, {"calibrated": False, "sample_rate": 22050}),
    ],
)
def test_a_model_comes_back_bitwise(folder, rng, encoder, frames):
    model = HarmonicModel(encoder, frames, 3)
    model.save("a.npz", quality=1.5)
    again = HarmonicModel.load("a.npz")
    assert again.facts == {"quality": 1.5} and model.facts == {}
    assert again.settings == model.settings == {"encoder": encoder, "frames": frames}
    assert again.parameters.flat.dtype == np.float32 and bits(again) == bits(model)
    features = again.frames(rng.standard_normal(4096))
    for one, other in zip(model.encode(features), again.encode(features), strict=True):
        assert one.tobytes() == other.tobytes()
    with pytest.raises(ParameterError, match=r"^cannot write a.npz: it exists already"):
        model.save("a.npz")
    again.save("b.npz")  # with its facts
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()


def test_float64_parameters_are_read_in_float32(folder, model):
    wide = HarmonicModel(TINY, {}, model.encoder.init(7, np.float64))
    wide.save("a.npz")
    again = HarmonicModel.load("a.npz").parameters.flat
    np.testing.assert_array_equal(again, wide.parameters.flat.astype(np.float32))


def test_an_unknown_kind_of_encoder_is_refused():
    with pytest.raises(
        ParameterError, match=r"^kind must be one of shared, dense, paper, got 'x'$"
    ):
        HarmonicModel({"kind": "x"}, {})


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model_is_one_line(folder, model, damage):
    model.save("a.npz")
    Path("a.npz").write_bytes(DAMAGE[damage](Path("a.npz").read_bytes()))
    message = one_line(HarmonicModel.load, "a.npz")
    if damage == "other member":
        assert message.startswith("cannot read a.npz: it is no model of this version (JSON")
    else:
        assert message == "cannot read a.npz: it is no model, or damaged"


def test_any_flipped_byte_is_noticed_or_harmless(folder, model, rng):
    model.save("a.npz")
    data, n_noticed = Path("a.npz").read_bytes(), 0
    for at in rng.integers(0, len(data), 150):
        changed = bytearray(data)
        changed[at] ^= 1 << int(rng.integers(8))
        Path("b.npz").write_bytes(changed)
        try:
            assert bits(HarmonicModel.load("b.npz")) == bits(model)
        except ParameterError as error:
            n_noticed += 1
            assert str(error).startswith("cannot read b.npz") and "\n" not in str(error)
    assert n_noticed > 100


def with_array(name, change):
    def changed(arrays, settings):
        arrays[name] = change(arrays[name])

    return changed


def without(name):
    return lambda arrays, settings: arrays.pop(name)


def with_setting(*path, value):
    def changed(arrays, settings):
        for name in path[:-1]:
            settings = settings[name]
        settings[path[-1]] = value

    return changed


def without_setting(name):
    return lambda arrays, settings: settings.pop(name)


def with_text(text):
    def changed(arrays, settings):
        arrays["settings"] = np.array(text)

    return changed


def one_bad(value):
    def changed(array):
        array.flat[3] = value
        return array

    return changed


WEIGHT, KERNEL = "conv.weight", "pitch.kernel"
MUTATIONS = {
    "no weight": without(WEIGHT),
    "no kernel": without(KERNEL),
    "no settings": with_text(""),
    "short": with_array(WEIGHT, lambda a: a[:-1]),
    "turned": with_array(KERNEL, lambda a: a.T),
    "flat": with_array(WEIGHT, np.ravel),
    "scalar": with_array(WEIGHT, lambda a: a[0, 0, 0]),
    "one deeper": with_array(KERNEL, lambda a: a[None]),
    "empty": with_array(KERNEL, lambda a: a[:0]),
    "nan": with_array(WEIGHT, one_bad(np.nan)),
    "inf": with_array(KERNEL, one_bad(np.inf)),
    "too large": with_array(KERNEL, lambda a: a.astype(float) + 1e300),
    "integers": with_array(KERNEL, lambda a: a.astype(int)),
    "truths": with_array(KERNEL, lambda a: a > 0),
    "complex": with_array(KERNEL, lambda a: a + 1j),
    "words": with_array(KERNEL, lambda a: a.astype(str)),
    "objects": with_array(KERNEL, lambda a: a.astype(object)),
    "bomb": with_array(KERNEL, lambda a: np.array([Bomb()], object)),
    "bombs for settings": lambda arrays, _: arrays.update(settings=np.array([Bomb()], object)),
    "records": with_array(WEIGHT, lambda a: np.zeros(a.shape, [("x", "f4")])),
    "no JSON": with_text("{"),
    "a list": with_text("[1, 2]"),
    "a number": with_text("1"),
    "null": with_text("null"),
    "deep": with_text("[" * 100_000),
    "two texts": with_text(["{}", "{}"]),
    "numbers": with_text([1.0, 2.0]),
    "other format": with_setting("format", value=2),
    "no format": without_setting("format"),
    "no encoder": without_setting("encoder"),
    "no frames": without_setting("frames"),
    "encoder a text": with_setting("encoder", value="shared"),
    "frames a list": with_setting("frames", value=[1]),
    "kind": with_setting("encoder", "kind", value="deep"),
    "kind a list": with_setting("encoder", "kind", value=[]),
    "channels": with_setting("encoder", "channels", value=5),
    "no channels": with_setting("encoder", "channels", value=0),
    "channels a text": with_setting("encoder", "channels", value="4"),
    "unknown option": with_setting("encoder", "dropin", value=1),
    "bins twice": with_setting("encoder", "n_bins", value=285),
    "n_bins": with_setting("frames", "n_bins", value=400),
    "endless": with_setting("frames", "sample_rate", value=float("inf")),
    "calibrated": with_setting("frames", "calibrated", value=[]),
    "unknown frames": with_setting("frames", "a\nb", value=1),
}  # fmt: skip


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_model_that_breaks_a_rule_is_one_line(folder, model, mutation):
    model.save("a.npz")
    with np.load("a.npz") as file:
        arrays = {name: file[name] for name in file.files}
    settings = json.loads(str(arrays["settings"]))
    np.savez("same.npz", **arrays)
    assert bits(HarmonicModel.load("same.npz")) == bits(model)
    before = arrays["settings"]
    MUTATIONS[mutation](arrays, settings)
    if arrays["settings"] is before:
        arrays["settings"] = np.array(json.dumps(settings))
    np.savez("bad.npz", **arrays)
    assert one_line(HarmonicModel.load, "bad.npz").startswith("cannot read bad.npz: ")


def test_a_model_that_is_not_there_is_one_line(folder):
    message = one_line(HarmonicModel.load, "gone.npz")
    assert message == "cannot read gone.npz: No such file or directory"
    assert one_line(HarmonicModel.load, ".") == "cannot read .: Is a directory"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_bombs_do_explode_where_pickles_are_loaded(folder):
    """Else the tests that nothing explodes could not fail."""
    pickle.loads(pickled(b""))
    assert os.path.isdir("exploded")
