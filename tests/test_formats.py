"""Formats of other programs: hand-made files, round trips, notes, and what is refused."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from spectralot import HarmonicTracks, ParameterError, read_tracks, write_tracks
from spectralot.formats import FORMATS, find_format, read_pitch
from spectralot.formats.notes import segment_notes

HAND = Path(__file__).parent / "data" / "formats"
# all of them say: 220, 221.5 and 440 Hz at 10, 20 and 50 ms, and a guess of 110 Hz at 30 ms or none
HAND_MADE = [
    "crepe.csv", "pesto.csv", "swift_f0.csv", "mir_eval.txt", "mirex.txt", "praat_long.PitchTier",
    "praat_short.PitchTier", "praat_sheet.PitchTier", "dense.jams", "sparse.jams", "layer.svl",
    "partials.spear.txt", "own.json",
]  # fmt: skip


@pytest.mark.parametrize("name", HAND_MADE)
def test_hand_made_files_are_read(name):
    tracks = read_tracks(HAND / name, sample_rate=8000)
    np.testing.assert_allclose(tracks.time_s, 0.01 * np.arange(6), rtol=1e-12)
    assert tracks.voiced.tolist() == [False, True, True, False, False, True]
    assert tracks.f0_hz[tracks.voiced].tolist() == [220, 221.5, 440]
    assert tracks.sample_rate == 8000
    if name in ("mirex.txt", "dense.jams", "own.json"):
        assert tracks.f0_hz[3] == 110
    elif name in ("mir_eval.txt", "layer.svl"):  # between 221.5 and 440 Hz
        np.testing.assert_allclose(np.diff(np.log(tracks.f0_hz[2:])), np.log(440 / 221.5) / 3)
        assert tracks.f0_hz[0] == pytest.approx(220)


def test_what_else_hand_made_files_say():
    assert read_tracks(HAND / "crepe.csv").confidence.tolist() == [0.02, 0.9, 0.51, 0.49, 0, 1]
    assert read_tracks(HAND / "sparse.jams").confidence.tolist() == [0.1, 0.9, 0.4, 0, 0, 1]
    assert read_tracks(HAND / "mirex.txt").confidence.tolist() == [0, 1, 1, 0, 0, 1]
    for name in ("praat_long.PitchTier", "dense.jams", "layer.svl", "own.json"):
        assert read_tracks(HAND / name, sample_rate=8000).n_samples == 440
    assert read_tracks(HAND / "mir_eval.txt").n_samples == 2205  # the last of 50 ms at 44.1 kHz
    tracks = read_tracks(HAND / "partials.spear.txt")
    assert tracks.amplitudes.tolist() == [
        [0, 0, 0], [0.5, 0, 0.1], [0.4, 0, 0.2], [0, 0, 0], [0, 0, 0], [0.3, 0, 0],
    ]  # fmt: skip
    assert not tracks.phases.any()


def test_null_in_json_is_what_has_no_number():
    tracks, inf = read_tracks(HAND / "own.json"), np.inf
    assert tracks.f0_std_cents.tolist() == [inf, 1, 2, inf, inf, 3]
    assert tracks.noise_db[0] == -inf and tracks.octave_costs[0, 0] == inf
    assert tracks.snr_db.tolist() == [-inf, inf, 20, -5, -inf, 30]
    assert tracks.octave_margin[0] == inf and tracks.settings == {"by": "hand"}
    assert tracks.residual_db is None and tracks.amplitudes_std is None


def test_pitch_is_read_as_it_stands(tmp_path):
    (tmp_path / "a.txt").write_text("0.005 220\n0.015 -110\n0.1 0\n0.11 nan\n")
    time_s, f0_hz = read_pitch(tmp_path / "a.txt")
    assert time_s.tolist() == [0.005, 0.015, 0.1, 0.11] and f0_hz.tolist() == [220, -110, 0, 0]
    assert read_pitch(HAND / "crepe.csv")[1].tolist() == [-110, 220, 221.5, -110, -112, 440]
    for name in ("layer.svl", "praat_long.PitchTier", "sparse.jams", "own.json"):
        time_s, f0_hz = read_pitch(HAND / name)
        voiced = f0_hz > 0
        np.testing.assert_allclose(time_s[voiced], [0.01, 0.02, 0.05], rtol=1e-12)
        assert f0_hz[voiced].tolist() == [220, 221.5, 440]
    assert len(read_pitch(HAND / "layer.svl")[0]) == 6  # the silence is in it


GRIDS = [(0.01, 16000), (256 / 44100, 44100), (0.0029, 22050.5), (0.001, 8000)]
# largest errors of f0 in cents and of amplitudes; the rest is lost
KEPT = {
    "csv": (0.05, None), "crepe": (0.05, None), "json": (1e-3, 1e-6), "npz": (0, 0),
    "mir_eval": (0.05, None), "mirex": (0.05, None), "pitchtier": (1e-4, None),
    "jams": (1e-4, None), "svl": (1e-4, None), "spear": (1e-4, 1e-8),
}  # fmt: skip


def random_tracks(rng, step_s, rate, n_frames=400):
    """Notes with a wandering pitch, silence at both ends; amplitudes are 0 there."""
    voiced = np.repeat(rng.random(n_frames // 10 + 1) < 0.6, 10)[:n_frames]
    voiced[:7], voiced[-5:], voiced[100:160] = False, False, True
    f0_hz = rng.uniform(60, 900) * 2 ** np.cumsum(rng.normal(0, 0.01, n_frames))
    n_harmonics = 5
    shape = n_frames, n_harmonics
    return HarmonicTracks(
        time_s=step_s * np.arange(n_frames), f0_hz=f0_hz,
        confidence=np.where(voiced, rng.uniform(0.5, 1, n_frames), rng.uniform(0, 0.49, n_frames)),
        amplitudes=rng.uniform(0.01, 0.3, shape) * voiced[:, None],
        phases=rng.uniform(-3, 3, shape), sample_rate=rate, voiced=voiced,
        n_samples=round((n_frames - 0.4) * step_s * rate),
    )  # fmt: skip


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", KEPT)
def test_round_trips(tmp_path, rng, name, grid):
    cents, amplitude = KEPT[name]
    for _ in range(3):
        tracks = random_tracks(rng, *grid)
        path = tmp_path / f"a{FORMATS[name].suffix}"
        write_tracks(tracks, path, name, overwrite=True)
        found = read_tracks(path, name, sample_rate=tracks.sample_rate)
        n_frames = len(found.time_s)  # SPEAR knows nothing of the silence at the end
        voiced = tracks.voiced[:n_frames]
        assert n_frames == 400 or (name == "spear" and not tracks.voiced[n_frames:].any())
        np.testing.assert_array_equal(found.voiced, voiced)
        np.testing.assert_allclose(found.time_s, tracks.time_s[:n_frames], rtol=2e-5)
        error = 1200 * np.log2(found.f0_hz / tracks.f0_hz[:n_frames])[voiced]
        assert np.abs(error).max() <= cents
        if amplitude is None:
            assert found.amplitudes is None
        else:
            sounds = np.arange(1, 6) * tracks.f0_hz[:, None] < 0.5 * tracks.sample_rate
            expected = tracks.amplitudes * (sounds if name == "spear" else 1)
            n_harmonics = found.amplitudes.shape[1]
            assert not expected[:, n_harmonics:].any()
            found_a, expected = found.amplitudes, expected[:n_frames, :n_harmonics]
            np.testing.assert_allclose(found_a, expected, rtol=0, atol=amplitude)
        if name in ("json", "npz", "jams", "svl", "pitchtier") and grid[1] != 22050.5:
            assert found.n_samples == tracks.n_samples
        if name in ("csv", "crepe", "json", "jams"):
            np.testing.assert_allclose(found.confidence, tracks.confidence, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["csv", "mir_eval", "mirex", "json"])
@pytest.mark.parametrize("unvoiced", ["keep", "zero", "nan", "negative"])
def test_unvoiced_frames_are_written_as_told(tmp_path, rng, name, unvoiced):
    tracks, path = random_tracks(rng, 0.01, 16000), tmp_path / "a"
    write_tracks(tracks, path, name, unvoiced=unvoiced)
    if name == "json":
        f0_hz = np.array(json.loads(path.read_text())["f0_hz"], float)
    else:
        lines = path.read_text().splitlines()[name == "csv" :]
        f0_hz = np.array([line.replace(",", "\t").split("\t")[1] for line in lines], float)
    instead = {"keep": tracks.f0_hz, "zero": 0, "nan": np.nan, "negative": -tracks.f0_hz}
    expected = np.where(tracks.voiced, tracks.f0_hz, instead[unvoiced])
    np.testing.assert_allclose(f0_hz, expected, rtol=0, atol=5.1e-4)
    found = read_tracks(path, name)
    if unvoiced != "keep" or name in ("csv", "json"):
        np.testing.assert_array_equal(found.voiced, tracks.voiced)
    if unvoiced in ("keep", "negative"):
        np.testing.assert_allclose(found.f0_hz, tracks.f0_hz, rtol=0, atol=5.1e-4)


def test_text_is_what_mir_eval_reads(tmp_path, rng):
    io = pytest.importorskip("mir_eval").io
    tracks = random_tracks(rng, 256 / 44100, 44100)
    for name, guess in (("mir_eval", 0), ("mirex", -tracks.f0_hz)):
        write_tracks(tracks, tmp_path / name, name)
        time_s, f0_hz = io.load_time_series(tmp_path / name)
        np.testing.assert_allclose(time_s, tracks.time_s, rtol=0, atol=5.1e-7)
        expected = np.where(tracks.voiced, tracks.f0_hz, guess)
        np.testing.assert_allclose(f0_hz, expected, rtol=0, atol=5.1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_jams_is_what_the_package_jams_reads(tmp_path, rng):
    jams = pytest.importorskip("jams")
    tracks = random_tracks(rng, 0.01, 16000)
    write_tracks(tracks, tmp_path / "a.jams")
    loaded = jams.load(str(tmp_path / "a.jams"), validate=True, strict=True)
    (contour,) = loaded.search(namespace="pitch_contour")
    assert contour.validate(strict=True) and loaded.file_metadata.duration > 3.9
    time_s, values = contour.to_event_values()
    np.testing.assert_allclose(time_s, tracks.time_s)
    assert [value["voiced"] for value in values] == tracks.voiced.tolist()
    np.testing.assert_allclose([value["frequency"] for value in values], tracks.f0_hz, atol=1e-6)


def test_frames_of_rounded_times_are_taken_as_they_stand(tmp_path):
    """CREPE writes three decimals at any step."""
    step_s, rng = 256 / 44100, np.random.default_rng(1)
    f0_hz = rng.uniform(100, 200, 9000)
    lines = [f"{step_s * i:.3f},{hz:.3f},1.0" for i, hz in enumerate(f0_hz)]
    (tmp_path / "a.csv").write_text("\n".join(["time,frequency,confidence", *lines]))
    tracks = read_tracks(tmp_path / "a.csv")
    assert tracks.step_s == pytest.approx(step_s, abs=1e-8)
    np.testing.assert_allclose(tracks.f0_hz, f0_hz, rtol=0, atol=5.1e-4)


def test_other_times_are_read_at_whole_steps(tmp_path):
    """Praat centres its frames in the file: they begin anywhere."""
    time_s = np.r_[0.0234 + 0.01 * np.arange(20), 0.5034 + 0.01 * np.arange(5)]
    f0_hz = 100 * 2**time_s  # log-linear: reading between frames is exact
    points = [f"{t} {hz}" for t, hz in zip(time_s, f0_hz, strict=True)]
    lines = ['"ooTextFile"', '"PitchTier"', "0 0.6 25", *points]
    (tmp_path / "a.PitchTier").write_text("\n".join(lines))
    tracks = read_tracks(tmp_path / "a.PitchTier")
    np.testing.assert_allclose(tracks.time_s, 0.01 * np.arange(61))
    assert np.flatnonzero(tracks.voiced).tolist() == [*range(2, 22), *range(50, 55)]
    inner = [*range(3, 22), *range(51, 55)]
    np.testing.assert_allclose(tracks.f0_hz[inner], 100 * 2 ** tracks.time_s[inner])
    assert tracks.f0_hz[2] == pytest.approx(f0_hz[0])  # held at most half a step before
    half_way = [f"{0.025 + 0.01 * i} 150" for i in range(9)]
    (tmp_path / "a.txt").write_text("\n".join(half_way))
    assert np.flatnonzero(read_tracks(tmp_path / "a.txt").voiced).tolist() == [*range(2, 11)]
    later = "\n".join(f"{0.03 + 0.01 * i:.2f} 150" for i in range(4))
    (tmp_path / "a.txt").write_text(later)
    tracks = read_tracks(tmp_path / "a.txt")
    assert tracks.voiced.tolist() == [False] * 3 + [True] * 4


def test_uneven_confidence_follows(tmp_path):
    rows = [f"{0.004 + 0.01 * i:.3f},200,{0.5 + 0.05 * i:.2f}" for i in range(8)]
    (tmp_path / "a.csv").write_text("\n".join(["time,frequency,confidence", *rows]))
    tracks = read_tracks(tmp_path / "a.csv")
    np.testing.assert_allclose(tracks.confidence[1:7], 0.5 + 0.05 * np.arange(0.6, 6), atol=1e-9)


def test_one_frame_and_silence(tmp_path):
    (tmp_path / "a.txt").write_text("0 220")
    tracks = read_tracks(tmp_path / "a.txt")
    assert len(tracks.time_s) == 1 and tracks.voiced.all()
    (tmp_path / "a.txt").write_text("0 0\n0.01 0\n0.02 nan")
    tracks = read_tracks(tmp_path / "a.txt")
    assert len(tracks.time_s) == 3 and not tracks.voiced.any()
    write_tracks(tracks, tmp_path / "a.PitchTier")
    assert "points: size = 0" in (tmp_path / "a.PitchTier").read_text()
    write_tracks(tracks, tmp_path / "a.svl")
    for name in ("a.PitchTier", "a.svl"):
        with pytest.raises(ParameterError, match=f"^cannot read .*{name}: it holds no frames$"):
            read_tracks(tmp_path / name)


def test_spear_partials_follow_what_sounds(tmp_path):
    amplitudes = np.array([[0.2, 0.1], [0.2, 0.0], [0, 0], [0.3, 0.1], [0.3, 0.1]])
    f0_hz = [1500, 1600, 1700, 1900, 2100]  # the second harmonic leaves at 2 kHz
    tracks = HarmonicTracks(
        0.01 * np.arange(5), f0_hz, [1.0] * 5, amplitudes, 0 * amplitudes, 8000, 400
    )
    write_tracks(tracks, tmp_path / "a.spear.txt")
    lines = (tmp_path / "a.spear.txt").read_text().splitlines()
    assert lines[2:4] == ["partials-count 4", "partials-data"]
    assert lines[4:8:2] == ["0 2 0.000000 0.010000", "1 2 0.000000 0.010000"]
    assert lines[8::2] == ["2 2 0.030000 0.040000", "3 1 0.030000 0.030000"]
    assert lines[7] == "0.000000 3000.000000 0.100000000 0.010000 3200.000000 0.000000000"
    found = read_tracks(tmp_path / "a.spear.txt")
    assert found.amplitudes[4].tolist() == [0.3, 0] and found.amplitudes[3].tolist() == [0.3, 0.1]


def steps(*parts, step_s=0.01):
    """Tracks of (MIDI pitch, frames); None: unvoiced."""
    pitch = np.concatenate([np.full(n, 60.0 if p is None else p) for p, n in parts])
    voiced = np.concatenate([np.full(n, p is not None) for p, n in parts])
    f0_hz, n_frames = 440 * 2 ** ((pitch - 69) / 12), len(pitch)
    time_s = step_s * np.arange(n_frames)
    n_samples = round(n_frames * step_s * 48000)
    return HarmonicTracks(
        time_s, f0_hz, voiced.astype(float), None, None, 48000, n_samples, voiced=voiced
    )


def test_notes_are_stretches_of_steady_pitch():
    tracks = steps(
        (None, 5), (60.2, 20), (62, 4), (63, 4), (64.1, 30), (76.1, 2), (64.1, 10), (None, 8),
        (64.1, 12), (66, 5), (None, 3), (67, 6),
    )  # fmt: skip
    notes = segment_notes(tracks)
    found = [(round(note.onset_s, 6), round(note.duration_s, 6), note.pitch) for note in notes]
    # a glide and a short tone are none, a frame an octave off cuts nothing, a rest does
    assert found == [
        (0.05, 0.2, pytest.approx(60.2)), (0.33, 0.42, pytest.approx(64.1)),
        (0.83, 0.12, pytest.approx(64.1)), (1.03, 0.06, pytest.approx(67)),
    ]  # fmt: skip
    assert notes[1].frames == slice(33, 75)
    assert len(segment_notes(tracks, minimum_s=0.03)) == 7
    semitones = steps((60, 12), (61, 8), (60, 6), (61, 6), (62.5, 5), (64, 20))
    starts = [note.frames.start for note in segment_notes(semitones)]
    assert starts == [0, 12, 20, 26, 37]
    (whole,) = segment_notes(steps((60, 10), (60.7, 10), (61.2, 10)), tolerance_cents=200)
    assert whole.frames == slice(0, 30)
    assert segment_notes(steps((None, 10))) == []


@pytest.mark.parametrize("center", [69, 69.3, 69.5])
@pytest.mark.parametrize("phase", np.arange(8))
def test_notes_keep_a_vibrato_whole(phase, center):
    turns = 5 * 0.01 * np.arange(200) + phase / 8
    (note,) = segment_notes(steps(*((center + 0.5 * np.sin(2 * np.pi * x), 1) for x in turns)))
    assert note.frames == slice(0, 200) and abs(note.pitch - center) < 0.1


@pytest.mark.parametrize("name", ["tolerance_cents", "minimum_s"])
def test_notes_need_positive_limits(name):
    with pytest.raises(ParameterError, match=f"{name} must be above 0, got 0"):
        segment_notes(steps((60, 10)), **{name: 0})


def test_midi_is_what_mido_reads(tmp_path):
    mido = pytest.importorskip("mido")
    tracks = steps((None, 5), (60.25, 20), (62, 10), (None, 7), (130, 10))
    write_tracks(tracks, tmp_path / "a.mid")
    now, notes, bend = 0.0, [], None
    for message in mido.MidiFile(tmp_path / "a.mid"):
        now += message.time
        if message.type == "pitchwheel":
            bend = message.pitch
        elif message.type in ("note_on", "note_off"):
            notes.append((message.type, message.note, pytest.approx(now, abs=1e-6), bend))
    assert notes == [
        ("note_on", 60, 0.05, 1024), ("note_off", 60, 0.25, 1024), ("note_on", 62, 0.25, 0),
        ("note_off", 62, 0.35, 0), ("note_on", 127, 0.42, 8191), ("note_off", 127, 0.52, 8191),
    ]  # fmt: skip


def test_louder_notes_are_struck_harder(tmp_path):
    mido = pytest.importorskip("mido")
    tracks = steps((60, 10), (62, 10), (64, 10))
    levels = np.repeat([0.4, 0.1, 0.0], 10)[:, None]
    loud = HarmonicTracks(**vars(tracks) | {"amplitudes": levels, "phases": 0 * levels})
    for each, expected in ((loud, [127, 64, 1]), (tracks, [80, 80, 80])):
        write_tracks(each, tmp_path / "a.mid", overwrite=True)
        found = [m.velocity for m in mido.MidiFile(tmp_path / "a.mid") if m.type == "note_on"]
        assert found == expected


@pytest.mark.parametrize("step_s", [0.01, 0.0058])
def test_midi_round_trip(tmp_path, step_s):
    pytest.importorskip("mido")
    tracks = steps((None, 50), (60.25, 200), (62, 100), (None, 70), (70.4, 100), step_s=step_s)
    wave = 1 + 0.01 * np.sin(np.arange(520))
    tracks = HarmonicTracks(**vars(tracks) | {"f0_hz": tracks.f0_hz * wave})
    write_tracks(tracks, tmp_path / "a.mid")
    found = read_tracks(tmp_path / "a.mid")
    assert found.step_s == pytest.approx(0.01)
    before = np.minimum(((found.time_s + 0.0005) / step_s + 1e-9).astype(int), 519)
    same = found.voiced == tracks.voiced[before]
    assert same[:-1].all()
    cents = 1200 * np.log2(found.f0_hz / tracks.f0_hz[before])[found.voiced]
    assert np.abs(cents[:-1]).max() < 0.02 if step_s == 0.01 else np.median(np.abs(cents)) < 0.02


def test_hand_made_midi():
    pytest.importorskip("mido")
    tracks = read_tracks(HAND / "notes.mid")
    assert np.flatnonzero(tracks.voiced).tolist() == [2, 3, 4, 7, 8]
    expected = [220, 220 * 2 ** (1 / 12), 220 * 2 ** (1 / 12), 440, 440]
    np.testing.assert_allclose(tracks.f0_hz[tracks.voiced], expected)


def test_midi_without_mido_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mido", None)
    message = r"midi needs mido: pip install 'spectralot\[midi\]'$"
    with pytest.raises(ParameterError, match=f"^{message}"):
        write_tracks(steps((60, 10)), tmp_path / "a.mid")
    with pytest.raises(ParameterError, match=f"^cannot read .*notes.mid: {message}"):
        read_tracks(HAND / "notes.mid")
    assert not list(tmp_path.iterdir())


def test_midi_of_chords_is_refused(tmp_path):
    mido = pytest.importorskip("mido")
    track = mido.MidiTrack(
        [mido.Message("note_on", note=60), mido.Message("note_on", note=64, time=10),
         mido.Message("note_off", note=60, time=500)]
    )  # fmt: skip
    mido.MidiFile(tracks=[track]).save(tmp_path / "a.mid")
    with pytest.raises(ParameterError, match=r"one note must sound at a time, got two at 0\.0"):
        read_tracks(tmp_path / "a.mid")
    mido.MidiFile().save(tmp_path / "a.mid")
    with pytest.raises(ParameterError, match="it holds no notes"):
        read_tracks(tmp_path / "a.mid")


@pytest.mark.parametrize(
    ("path", "format", "found"),
    [
        ("a.f0.csv", None, "csv"), ("A.PITCHTIER", None, "pitchtier"), ("a.txt", None, "mir_eval"),
        ("a.spear.txt", None, "spear"), ("a.mid", None, "midi"), ("a.txt", "mirex", "mirex"),
        ("a.b", "svl", "svl"), (Path("a.jams"), None, "jams"),
    ],
)  # fmt: skip
def test_suffixes_tell_formats(path, format, found):
    assert find_format(path, format) == found


def test_unknown_formats_and_options_are_refused(tmp_path):
    tracks = steps((60, 10))
    for path, options, message in (
        ("a.wav", {}, "format must be given for .*a.wav, which ends in none of .csv, .json, "),
        ("a.csv", {"format": "wav"}, "format must be one of 'csv', 'crepe', .*, got 'wav'"),
        ("a.svl", {"unvoiced": "zero"}, "unvoiced must be left out for svl, got 'zero'"),
        ("a.csv", {"unvoiced": "none"}, "unvoiced must be one of 'keep', .*, got 'none'"),
        ("a.spear.txt", {}, "tracks must hold amplitudes for spear, got f0 alone"),
        ("no/a.csv", {}, "cannot write .*a.csv: there is no folder"),
    ):
        with pytest.raises(ParameterError, match=message):
            write_tracks(tracks, tmp_path / path, **options)
    with pytest.raises(ParameterError, match="sample_rate must be above 0, got -1"):
        read_tracks(HAND / "mirex.txt", sample_rate=-1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FORMATS)
def test_files_are_not_overwritten_unless_told(tmp_path, rng, name):
    if name == "midi":
        pytest.importorskip("mido")
    path = tmp_path / f"a{FORMATS[name].suffix}"
    path.write_text("mine")
    with pytest.raises(ParameterError, match="it exists already; set overwrite to replace it"):
        write_tracks(random_tracks(rng, 0.01, 16000), path, name)
    assert path.read_text() == "mine"
    write_tracks(random_tracks(rng, 0.01, 16000), path, name, overwrite=True)
    assert path.read_bytes() != b"mine" and list(tmp_path.iterdir()) == [path]


PRAAT = '"ooTextFile"\n"PitchTier"\n'
SPEAR = (
    "par-text-partials-format\npoint-type time frequency amplitude\npartials-count 2\n"
    "partials-data\n"
)
FRAME = '{"time": 0, "duration": 0, "confidence": null, "value": %s}'
VALUE = '{"index": 0, "frequency": 220, "voiced": true}'


def jams(*frames):
    return f'{{"annotations": [{{"namespace": "pitch_contour", "data": [{",".join(frames)}]}}]}}'


def svl(*points, rate=8000):
    return f'<sv>\n<model sampleRate="{rate}"/>\n' + "\n".join(points) + "\n</sv>"


def own(**changes):
    fields = json.loads((HAND / "own.json").read_text()) | changes
    return json.dumps({name: value for name, value in fields.items() if value != "none"})


HOSTILE = [
    ("a.csv", "time,frequency,confidence\n", "it holds no frames"),
    ("a.csv", "0.0,220,1\n", r"line 1 must name the columns time and frequency, got '0\.0,220,1'"),
    ("a.csv", "time,pitch\n0,1\n", "line 1 must name the columns time and frequency, got"),
    ("a.csv", "time,frequency\n0,220\nx,220\n", "line 3: time must be a number, got 'x'"),
    ("a.csv", "time,frequency\n0,a4\n", "line 2: frequency must be a number, got 'a4'"),
    ("a.csv", "time,frequency\n0,inf\n", "line 2: frequency must be finite, got inf"),
    ("a.csv", "time,frequency\nnan,1\n", "line 2: time must be finite, got nan"),
    ("a.csv", "time,frequency\n0,1\n\n0.01\n", "line 4 must hold 2 values, got 1"),
    ("a.csv", "time,frequency\n0,1\n0.02,1\n0.01,1\n", "line 4: time must rise, got 0.01 a"),
    ("a.csv", "time,frequency\n-1,1\n", "line 2: time must be at least 0, got -1"),
    ("a.csv", "time,frequency\n0,30000\n", "f0_hz must be below sample_rate / 2 = 22050 Hz"),
    ("a.csv", "time,frequency,confidence\n0,1,1.5\n", "line 2: confidence must be from 0 to 1"),
    ("a.csv", "time,frequency,voiced\n0,1,maybe\n", "line 2: voiced must be true or false, got"),
    ("a.csv", "time,frequency\n0,1\n0.01,1\n1e8,1\n", "times must be about even, got 3 in a span"),
    ("a.csv", "time,frequency\n0,1\n1e300,1\n", r"time must be seconds, got 1e\+300"),
    ("a.csv", b"time,frequency\n0,\xff\n", "it is no text"),
    ("a.txt", "", "it holds no frames"),
    ("a.txt", "time\tf0\n0\t220\n", "line 1: time must be a number, got 'time'"),
    ("a.txt", "0 220 1\n", "line 1 must hold a time and a frequency, got '0 220 1'"),
    ("a.txt", "0,220\n", "line 1 must hold a time and a frequency, got '0,220'"),
    ("a.txt", "0 1\n# b\n0 1\n", "line 3: time must rise, got 0 after 0"),
    ("a.PitchTier", "", 'line 1: a PitchTier must begin with "ooTextFile" and "PitchTier"'),
    ("a.PitchTier", '"ooTextFile"\n"TextGrid"\n', "line 1: a PitchTier must begin with"),
    ("a.PitchTier", PRAAT + "0\n", "it must say xmin, xmax and the number of points"),
    ("a.PitchTier", PRAAT + "0\n1\n2\n0.1\n220\n", "line 5: it must hold 2 points, got 1"),
    ("a.PitchTier", PRAAT + "xmin = a\n", "line 3: xmin must be a number, got 'a'"),
    ("a.PitchTier", PRAAT + "0 1 1\n0.1 --undefined--", "line 4: what stands here must be"),
    ("a.PitchTier", PRAAT + "0 1 2\n0.2 9\n0.1 9", "line 5: time must rise, got 0.1 after 0.2"),
    ("a.jams", "", "line 1: it is no JSON: Expecting value"),
    ("a.jams", '{"annotations":\n nix}', "line 2: it is no JSON: Expecting value"),
    ("a.jams", "[" * 100_000, "it is no JSON of tracks: a number or nesting has no end"),
    ("a.json", "9" * 5000, "it is no JSON of tracks: a number or nesting has no end"),
    ("a.json", own(loss_history=[1]), r"loss_history must map names to lists, got \[1\]"),
    ("a.json", own(residual_db="low"), "residual_db must be a number, got 'low'"),
    ("a.jams", "[]", "it is no JAMS file: it has no list of annotations"),
    ("a.jams", '{"annotations": [1]}', "it is no JAMS file: it has no list of annotations"),
    ("a.jams", '{"annotations": []}', 'it has no annotation "pitch_contour"'),
    ("a.jams", jams(), "it holds no frames"),
    ("a.jams", jams("1"), "each observation must have a time and a value of index, frequency and"),
    ("a.jams", jams(FRAME % "220"), "each observation must have a time and a value of index, freq"),
    ("a.jams", jams(FRAME % VALUE, FRAME % VALUE), "observation 1: time must rise, got 0 after 0"),
    ("a.jams", jams(FRAME % VALUE.replace("220", '"x"')), "observation 0: frequency must be a"),
    ("a.jams", jams(FRAME % VALUE, FRAME % VALUE.replace("0", "1", 1)), "it must hold one c"),
    ("a.svl", "", "line 1: it is no XML: no element found"),
    ("a.svl", "<sv>\n<model>\n", "line 3: it is no XML: no element found"),
    ("a.svl", "BZh9", "line 1: it is no XML: syntax error"),
    ("a.svl", '<?xml version="1.0" encoding="UFT"?><sv/>', "line 1: it is no XML: unknown"),
    ("a.svl", "<sv></sv>", "its model must have a sampleRate of at least 1, got 0"),
    ("a.svl", svl(rate="high"), "line 2: sampleRate must be a number, got 'high'"),
    ("a.svl", svl(), "it holds no frames"),
    ("a.svl", svl('<point frame="0"/>'), "line 3: value must be a number, got None"),
    ("a.svl", svl('<point frame="9" value="1"/>', '<point frame="8" value="1"/>'),
     "line 4: time must rise, got 0.001 after 0.001125"),
    ("a.spear.txt", "", "line 1 must begin with 'par-text-partials-format', got ''"),
    ("a.spear.txt", "par-text-frame-format\n", "line 1 must begin with 'par-text-partials-format'"),
    ("a.spear.txt", SPEAR, "line 3: it must hold 2 partials, got 0"),
    ("a.spear.txt", SPEAR.replace("2", "two"), "line 3: partials-count must be a number"),
    ("a.spear.txt", SPEAR + "0 1 0 0\n", "its last line must hold 3 numbers, got 0"),
    ("a.spear.txt", SPEAR + "0 1 0 0\n0 220\n", "line 6 must hold 3 numbers, got 2"),
    ("a.spear.txt", SPEAR + "0 1 0 0\n0 220 loud\n", "line 6: a point must be a number"),
    ("a.spear.txt", SPEAR + "0 1 0 0\n0 0 1\n", "line 6: frequencies must be at least 0.001 Hz"),
    ("a.spear.txt", SPEAR + "0 2 1 0\n1 9 1 0 9 1\n", "line 6: time must rise, got 0 after 1"),
    ("a.spear.txt", SPEAR + "0 1 0 0\n0 220 1\n1 1 0 0\n0 317 1\n",
     "line 8: a partial must be a harmonic of the lowest, 220 Hz at 0.000 s, got 317 Hz"),
    ("a.json", "", "line 1: it is no JSON: Expecting value"),
    ("a.json", "[1]", "it must hold one object"),
    ("a.json", "{}", "it lacks f0_hz"),
    ("a.json", own(step_s=0), "step_s must be above 0, got 0"),
    ("a.json", own(f0_hz="high"), "f0_hz must be a list of numbers"),
    ("a.json", own(amplitudes=[[1], [1, 2]]), "amplitudes must be a list of numbers in equal rows"),
    ("a.json", own(amplitudes="none"), "amplitudes and phases must come together, got only phases"),
    ("a.json", own(voiced=[True]), r"voiced must have shape \(6,\), got \(1,\)"),
    ("a.json", own(snr_db=[None]), r"snr_db must have shape \(6,\), got \(1,\)"),
    ("a.json", own(confidence=[2] * 6), r"confidence must be from 0 to 1, got 2 at index \(0\)"),
    ("a.npz", "no archive", "it is no NumPy archive, or is cut short"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), HOSTILE)
def test_other_files_are_refused_in_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for read in (read_tracks, read_pitch):
        if read is read_pitch and ("be below sample_rate" in message or "about even" in message):
            continue  # as it stands
        with pytest.raises(
            ParameterError, match=f"^cannot (read|load) {path}: .*{message}"
        ) as caught:
            read(path)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < len(str(path)) + 160


def test_files_are_named_whatever_their_names_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a").write_text("")
    with pytest.raises(ParameterError, match=r"^cannot read a: it holds no frames$"):
        read_tracks("a", "mirex")
    with pytest.raises(ParameterError, match=r"^format must be given for a, which ends in none of"):
        read_tracks("a")


@pytest.mark.parametrize("name", FORMATS)
def test_missing_empty_and_alien_files_are_refused_in_one_line(tmp_path, rng, name):
    if name == "midi":
        pytest.importorskip("mido")
    path = tmp_path / f"a{FORMATS[name].suffix}"
    for content in (None, b"", b"\n", bytes(range(256)), b"RIFF....WAVE" + bytes(99), b"MThd\0\0"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ParameterError, match=f"^cannot (read|load) {path}: ") as caught:
            read_tracks(path, name)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < len(str(path)) + 160
    with pytest.raises(ParameterError, match=f"^cannot (read|load) {tmp_path}: "):
        read_tracks(tmp_path, name)


@pytest.mark.parametrize("name", FORMATS)
def test_files_cut_anywhere_are_refused_or_read(tmp_path, rng, name):
    """Whatever is left of a file: tracks, or one line."""
    if name == "midi":
        pytest.importorskip("mido")
    path = tmp_path / f"a{FORMATS[name].suffix}"
    write_tracks(random_tracks(rng, 0.01, 16000, 60), path, name, overwrite=True)
    whole = path.read_bytes()
    for size in rng.integers(1, len(whole), 60):
        path.write_bytes(whole[:size])
        try:
            assert isinstance(read_tracks(path, name), HarmonicTracks)
        except ParameterError as error:
            assert str(path) in str(error) and "\n" not in str(error)
