"""Sounds whose pitch is known: the truth has to be true."""

import csv
import sys
from pathlib import Path

import naive_harmonics
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.groups import GROUPS
from benchmarks.material import degraded, frame_rms, material, write_set
from benchmarks.sounds import FINE, Canvas
from spectralot.metrics import pitch_scores

RATE = 16000


def glissando(rng):
    """One note that rises and swells, with 6 partials, over next to no noise."""
    canvas = Canvas(rng, RATE, 1.0)
    f0 = 220 * 2 ** (0.1 * canvas.fine + 0.01 * canvas.wander(0.2, canvas.fine))
    level = np.clip(np.minimum(canvas.time - 0.2, 0.8 - canvas.time) / 0.1, 0, 1)
    amplitudes = level[:, None] / np.arange(1, 7)
    canvas.note(f0, amplitudes)
    return canvas.sound("", peak_db=-3, floor_db=-140)


def test_f0_and_amplitudes_are_those_of_the_samples(rng):
    sound = glissando(rng)
    middle = np.flatnonzero((sound.time_s > 0.35) & (sound.time_s < 0.65))[::10]
    for frame in middle:
        centre = round(sound.time_s[frame] * RATE)
        part = sound.audio[centre - 128 : centre + 129]
        found = naive_harmonics.fit(part, RATE, sound.f0_hz[frame], 6, slope=0.0)
        assert 1200 * abs(np.log2(found["f0"] / sound.f0_hz[frame])) < 0.3
        np.testing.assert_allclose(found["amplitudes"], sound.amplitudes[frame], rtol=0.01)


def test_pitch_stands_where_the_note_sounds(rng):
    sound = glissando(rng)
    voiced = sound.f0_hz > 0
    assert not voiced[sound.time_s < 0.2].any() and not voiced[sound.time_s > 0.8].any()
    assert voiced[(sound.time_s > 0.21) & (sound.time_s < 0.79)].all()
    assert np.abs(sound.audio[: int(0.19 * RATE)]).max() < 1e-5


def test_a_decaying_note_ends_where_its_pitch_ends(rng):
    canvas = Canvas(rng, RATE, 1.0, decaying=True)
    decay = 10 ** (-100 * canvas.time / 20)
    canvas.note(np.full(len(canvas.fine), 300.0), decay[:, None])
    sound = canvas.sound("", floor_db=-140)
    end = sound.time_s[np.flatnonzero(sound.f0_hz)[-1]]
    assert end == pytest.approx(0.445, abs=0.01)
    assert np.abs(sound.audio[int((end + 0.011) * RATE) :]).max() < 1e-5


def test_subharmonics_are_no_part_of_the_truth(rng):
    canvas = Canvas(rng, RATE, 1.0)
    halves = np.full((len(canvas.time), 3), 0.05)
    f0 = np.full(len(canvas.fine), 200.0)
    canvas.note(f0, np.ones((len(canvas.time), 3)), subharmonics=halves)
    sound = canvas.sound("", floor_db=-140)
    assert (sound.f0_hz == 200).all() and len(f0) == FINE * (len(canvas.time) - 1) + 1
    part = sound.audio[4000:4800]
    found = naive_harmonics.amplitudes_at(part, RATE, 100.0, 6)[0]
    np.testing.assert_allclose(found[1::2], sound.amplitudes[10], rtol=1e-3)
    np.testing.assert_allclose(found[::2], 0.05 * found[1], rtol=1e-2)


def test_sets_repeat_and_splits_differ():
    groups = ("high", "nothing")
    first, again, test = (list(material(3, s, groups)) for s in ("dev", "dev", "test"))
    assert [n for n, *_ in first] == [n for n, *_ in test]
    assert len(first) == sum(GROUPS[g][1] for g in groups)
    for (_, a, _), (_, b, _), (_, c, _) in zip(first, again, test, strict=True):
        np.testing.assert_array_equal(a.audio, b.audio)
        if a.f0_hz.any():
            assert len(a.audio) != len(c.audio) or (a.f0_hz != c.f0_hz).mean() > 0.5
    voiced = [s.f0_hz[s.f0_hz > 0] for name, s, _ in first if name.startswith("high")]
    assert all(900 < f.min() and f.max() < 2200 for f in voiced)


@pytest.mark.parametrize("kind", ["white", "pink", "babble"])
def test_noise_has_the_level_asked_for(kind, rng):
    t = np.arange(RATE) / RATE
    audio = 0.1 * np.sin(2 * np.pi * 300 * t) * (t < 0.6)
    noisy, noise = degraded(audio, RATE, kind, 10, rng)
    np.testing.assert_allclose(noisy - noise, audio, atol=1e-12)
    loud = 0.1 / np.sqrt(2)
    assert 20 * np.log10(loud / np.sqrt(np.mean(noise**2))) == pytest.approx(10, abs=0.2)
    assert frame_rms(audio, RATE, [0.3])[0] == pytest.approx(loud, rel=0.02)


def test_a_set_on_disk(tmp_path):
    assert write_set(tmp_path, groups=("high",), noise="pink", snr_db=0.0) == GROUPS["high"][1]
    rows = list(
        csv.DictReader((tmp_path / "manifest.csv").read_text(encoding="utf-8").splitlines())
    )
    for row in rows:
        truth = np.genfromtxt(tmp_path / row["annotation"], delimiter=",", skip_header=1)
        np.testing.assert_allclose(np.diff(truth[:, 0]), 5e-3)
        itself = pitch_scores(*truth.T, *truth.T)
        assert itself["rpa10"] == 1 and itself["voicing_false_alarm"] == 0
        assert (tmp_path / row["file"]).exists() and row["kind"] == "resynth"
