"""HarmonicTracks: its rules, its sound, and its files."""

import dataclasses
import json
import os
import zipfile

import numpy as np
import pytest

import spectralot.tracks
from spectralot import HarmonicTracks, ParameterError

RATE, HOP, N = 8000, 100, 850  # the last frame lies before the end and is held


def make(dtype=np.float64, **changes):
    rng = np.random.default_rng(3)
    n_frames, n_harmonics = 8, 3
    fields = {
        "time_s": np.arange(n_frames) * HOP / RATE,
        "f0_hz": rng.uniform(200, 230, n_frames).astype(dtype),
        "confidence": rng.uniform(0, 1, n_frames),
        "amplitudes": rng.uniform(0, 0.3, (n_frames, n_harmonics)).astype(dtype),
        "phases": rng.uniform(-np.pi, np.pi, (n_frames, n_harmonics)).astype(dtype),
        "sample_rate": RATE,
        "n_samples": N,
        "loss_history": {"sot": np.array([3.0, 2.0, 1.5]), "finish": np.array([0.5])},
        "residual_db": -31.5,
    }
    return HarmonicTracks(**(fields | changes))


def full(dtype=np.float64, **changes):
    """Tracks with every optional field, infinities where they are allowed."""
    rng = np.random.default_rng(4)
    fields = {
        "voiced": np.arange(8) % 3 > 0,
        "f0_std_cents": np.r_[np.inf, rng.uniform(0, 9, 7)].astype(dtype),
        "amplitudes_std": rng.uniform(0, 1e-3, (8, 3)).astype(dtype),
        "inharmonicity": np.r_[0.0, rng.uniform(0, 1e-3, 7)].astype(dtype),
        "noise_db": np.r_[-np.inf, rng.uniform(-90, -30, 7)].astype(dtype),
        "snr_db": np.r_[-np.inf, np.inf, rng.uniform(-9, 60, 6)].astype(dtype),
        "octave_costs": np.c_[np.full(8, np.inf), rng.uniform(0, 2, (8, 3))].astype(dtype),
        "octave_margin": np.r_[np.inf, rng.uniform(-1, 2, 7)].astype(dtype),
        "settings": {"version": "0.1", "viterbi": True, "fmax": None, "fmin": 25.0, "n": 40},
    }
    return make(dtype, **(fields | changes))


def by_hand(tracks):
    """The sound by the definition: sine and cosine parts cross-faded by Hann windows."""
    n = np.arange(tracks.n_samples)
    hop = (tracks.time_s[1] - tracks.time_s[0]) * tracks.sample_rate
    frame = np.minimum((n / hop + 1e-9).astype(int), len(tracks.time_s) - 1)
    after = np.minimum(frame + 1, len(tracks.time_s) - 1)
    fade = 0.5 - 0.5 * np.cos(np.pi * (n / hop - frame))
    f0_hz = np.interp(n / hop, np.arange(len(tracks.f0_hz)), tracks.f0_hz)
    phase = np.cumsum(2 * np.pi * f0_hz / tracks.sample_rate)
    audio = np.zeros(tracks.n_samples)
    for h in range(tracks.amplitudes.shape[1]):
        sine = (tracks.amplitudes * np.cos(tracks.phases))[:, h]
        cosine = (tracks.amplitudes * np.sin(tracks.phases))[:, h]
        audio += (sine[frame] * (1 - fade) + sine[after] * fade) * np.sin((h + 1) * phase)
        audio += (cosine[frame] * (1 - fade) + cosine[after] * fade) * np.cos((h + 1) * phase)
    return audio


@pytest.mark.parametrize("step_s", [HOP / RATE, 0.01234])
def test_sound_follows_the_definition(step_s):
    tracks = make(time_s=np.arange(8) * step_s)
    np.testing.assert_allclose(tracks.resynthesize(), by_hand(tracks), rtol=0, atol=1e-9)


@pytest.mark.parametrize("block", [1, 37, 100, 849])
@pytest.mark.parametrize("step_s", [HOP / RATE, 0.01234])
def test_sound_in_blocks_is_the_same(step_s, block, monkeypatch):
    tracks = make(time_s=np.arange(8) * step_s)
    monkeypatch.setattr(spectralot.tracks, "_BLOCK", block)
    np.testing.assert_allclose(tracks.resynthesize(), by_hand(tracks), rtol=0, atol=1e-9)


def test_the_step_is_that_of_the_frames():
    assert make(time_s=np.arange(8) * 0.0125).step_s == pytest.approx(0.0125, rel=1e-15)
    one = HarmonicTracks([0.0], [100.0], [1.0], None, None, RATE, 400)
    assert one.step_s == 0.05


def test_one_frame_holds_throughout():
    tracks = HarmonicTracks([0.0], [100.0], [1.0], [[0.5, 0.25]], [[0.3, -2.0]], RATE, N)
    phase = 2 * np.pi * 100 / RATE * np.arange(1, N + 1)
    expected = 0.5 * np.sin(phase + 0.3) + 0.25 * np.sin(2 * phase - 2.0)
    np.testing.assert_allclose(tracks.resynthesize(), expected, rtol=0, atol=1e-12)


def test_wraps_of_the_phase_cannot_be_heard():
    tracks = make()
    wrapped = dataclasses.replace(tracks, phases=tracks.phases + 2 * np.pi * np.arange(8)[:, None])
    difference = wrapped.resynthesize() - tracks.resynthesize()
    np.testing.assert_allclose(difference, 0, rtol=0, atol=1e-12)


def test_float32_stays_float32():
    tracks = make(np.float32)
    assert tracks.resynthesize().dtype == np.float32
    np.testing.assert_allclose(tracks.resynthesize(), by_hand(tracks), rtol=0, atol=1e-5)


def test_residual_is_what_the_harmonics_leave(rng):
    tracks = make()
    noise = 0.01 * rng.standard_normal(N)
    left = tracks.residual(by_hand(tracks) + noise)
    np.testing.assert_allclose(left, noise, rtol=0, atol=1e-9)
    with pytest.raises(ParameterError, match=r"audio must have shape \(850,\), got \(849,\)"):
        tracks.residual(noise[1:])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"f0_hz": np.full(7, 200.0)}, r"f0_hz must have shape \(8,\), got \(7,\)"),
        ({"phases": np.zeros((8, 2))}, r"phases must have shape \(8, 3\), got \(8, 2\)"),
        ({"amplitudes": np.zeros(8)}, r"amplitudes must have 2 dimension\(s\), got shape \(8,\)"),
        ({"f0_hz": [200.0, 0.0] + 6 * [200.0]}, r"f0_hz must be above 0, got 0 at index \(1\)"),
        (
            {"f0_hz": 7 * [200.0] + [4000.0]},
            r"f0_hz must be below sample_rate / 2 = 4000 Hz, got 4000 at index \(7\)",
        ),
        ({"f0_hz": 8 * [np.nan]}, r"f0_hz must be finite, got nan at index \(0\)"),
        ({"confidence": 8 * [1.5]}, r"confidence must be from 0 to 1, got 1.5 at index \(0\)"),
        (
            {"amplitudes": np.full((8, 3), -0.1)},
            r"amplitudes must be at least 0, got -0.1 at index \(0, 0\)",
        ),
        ({"time_s": np.arange(8) + 1.0}, "time_s must start at 0, got 1"),
        (
            {"time_s": np.arange(8) ** 2 / 10},
            "time_s must rise in equal steps, got steps from 0.1 to 1.3 s",
        ),
        ({"time_s": np.zeros(8)}, "time_s must rise in equal steps, got steps from 0 to 0 s"),
        ({"sample_rate": 0}, "sample_rate must be above 0, got 0"),
        ({"n_samples": 0.5}, "n_samples must be an integer, got 0.5"),
        ({"n_samples": 0}, "n_samples must be at least 1, got 0"),
        ({"residual_db": np.nan}, "residual_db must be a number, got nan"),
        ({"loss_history": {"sot": [[1.0]]}}, r"loss_history\['sot'\] must have 1 dimension\(s\)"),
        ({"phases": None}, "amplitudes and phases must come together, got only amplitudes"),
        ({"amplitudes": None}, "amplitudes and phases must come together, got only phases"),
        ({"f0_hz": None}, "f0_hz must hold real numbers, got dtype object"),
        ({"voiced": np.ones(8)}, "voiced must hold True and False, got dtype float64"),
        ({"voiced": [True]}, r"voiced must have shape \(8,\), got \(1,\)"),
        ({"f0_std_cents": np.zeros(7)}, r"f0_std_cents must have shape \(8,\), got \(7,\)"),
        ({"f0_std_cents": np.full(8, -1.0)}, "f0_std_cents must be at least 0, got -1 at index"),
        ({"f0_std_cents": np.full(8, np.nan)}, "f0_std_cents must not be NaN, got nan at index"),
        ({"amplitudes_std": np.zeros((8, 2))}, r"amplitudes_std must have shape \(8, 3\), got"),
        ({"amplitudes_std": np.full((8, 3), np.inf)}, "amplitudes_std must be finite, got inf at"),
        ({"amplitudes_std": np.full((8, 3), -1)}, "amplitudes_std must be at least 0, got -1 at"),
        (
            {"amplitudes": None, "phases": None, "amplitudes_std": np.zeros((8, 3))},
            "amplitudes_std must not be given without amplitudes",
        ),
        ({"inharmonicity": np.full(8, np.inf)}, "inharmonicity must be finite, got inf at index"),
        ({"inharmonicity": np.full(8, -1e-4)}, "inharmonicity must be at least 0, got -0.0001 at"),
        ({"noise_db": np.full(8, np.inf)}, "noise_db must be below infinity, got inf at index"),
        ({"snr_db": np.full(8, np.nan)}, "snr_db must not be NaN, got nan at index"),
        ({"octave_costs": np.zeros((8, 3))}, r"octave_costs must have shape \(8, 4\), got \(8, 3"),
        (
            {"octave_costs": np.full((8, 4), -np.inf)},
            r"octave_costs must be above -infinity, got -inf at index \(0, 0\)",
        ),
        ({"octave_margin": np.full(8, np.nan)}, "octave_margin must not be NaN, got nan at index"),
        ({"settings": [1]}, "settings must be a dict, got list"),
        ({"settings": {"a": [1]}}, "settings must map names to text, .*, got 'a': list"),
        ({"settings": {1: 2}}, "settings must map names to text, .*, got 1: int"),
    ],
)
def test_broken_rules_are_named(changes, message):
    with pytest.raises(ParameterError, match=message):
        make(**changes)


def test_what_the_estimator_does_not_give_is_none_but_voicing_follows_the_confidence():
    tracks = make(confidence=[0, 0.3, 0.49, 0.5, 0.51, 1, 0, 0])
    assert tracks.voiced.tolist() == [False] * 3 + [True] * 3 + [False] * 2
    for name in ("f0_std_cents", "amplitudes_std", "inharmonicity", "noise_db", "snr_db"):
        assert getattr(tracks, name) is None
    assert tracks.octave_costs is None and tracks.octave_margin is None and tracks.settings is None


def test_infinities_stand_where_they_mean_something():
    tracks = full()
    assert tracks.f0_std_cents[0] == np.inf and tracks.noise_db[0] == -np.inf
    assert tracks.snr_db[:2].tolist() == [-np.inf, np.inf]
    assert tracks.octave_costs[:, 0].min() == np.inf == tracks.octave_margin[0]


def test_scalars_of_numpy_become_plain_settings():
    settings = full(settings={"n": np.int64(3), "x": np.float32(0.5)}).settings
    assert settings == {"n": 3, "x": 0.5} and {type(v) for v in settings.values()} == {int, float}


def test_f0_alone_has_no_sound():
    tracks = make(amplitudes=None, phases=None)
    assert "T=8, H=0" in repr(tracks)
    message = "^tracks must hold amplitudes and phases to be heard, got f0 alone$"
    with pytest.raises(ParameterError, match=message):
        tracks.resynthesize()
    with pytest.raises(ParameterError, match=message):
        tracks.residual(np.zeros(N))


def test_fields_cannot_be_reassigned():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().n_samples = 3


def test_repr_is_one_line():
    tracks = make(f0_hz=np.linspace(200, 207, 8), sample_rate=8000.0)
    assert repr(tracks) == "HarmonicTracks(T=8, H=3, 0.106 s at 8000 Hz, f0 200.000 to 207.000 Hz)"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("build", [make, full])
def test_npz_returns_everything(tmp_path, build, dtype):
    saved = build(dtype)
    saved.save_npz(tmp_path / "a.data")  # no suffix is added
    assert os.listdir(tmp_path) == ["a.data"]
    loaded = HarmonicTracks.load_npz(tmp_path / "a.data")
    for field in dataclasses.fields(HarmonicTracks):
        before, after = getattr(saved, field.name), getattr(loaded, field.name)
        if field.name == "loss_history":
            assert before.keys() == after.keys()
            for stage in before:
                np.testing.assert_array_equal(after[stage], before[stage], strict=True)
        elif before is None or field.name == "settings":
            assert after == before
        else:
            assert type(after) is type(before)
            np.testing.assert_array_equal(after, before, strict=True)


def test_npz_holds_what_there_is_and_nothing_pickled(tmp_path):
    full(amplitudes=None, phases=None, amplitudes_std=None, snr_db=None).save_npz(tmp_path / "a")
    with np.load(tmp_path / "a", allow_pickle=False) as archive:
        stored = {name: archive[name] for name in archive.files}
    assert not {"amplitudes", "phases", "amplitudes_std", "snr_db"} & stored.keys()
    assert stored["voiced"].dtype == bool and stored["settings"].shape == ()
    assert json.loads(stored["settings"].item())["viterbi"] is True
    loaded = HarmonicTracks.load_npz(tmp_path / "a")
    assert loaded.amplitudes is None and loaded.phases is None and loaded.snr_db is None


def test_npz_of_before_there_was_voicing_still_loads(tmp_path):
    path = tmp_path / "a.npz"
    old = ("time_s", "f0_hz", "confidence", "amplitudes", "phases")
    old += ("sample_rate", "n_samples", "residual_db")
    np.savez(path, **{name: getattr(make(), name) for name in old})
    loaded = HarmonicTracks.load_npz(path)
    np.testing.assert_array_equal(loaded.amplitudes, make().amplitudes, strict=True)
    np.testing.assert_array_equal(loaded.voiced, make().confidence >= 0.5, strict=True)
    assert loaded.settings is None


def test_npz_keeps_a_perfect_fit_and_an_empty_history(tmp_path):
    make(residual_db=-np.inf, loss_history=None).save_npz(tmp_path / "a.npz")
    loaded = HarmonicTracks.load_npz(tmp_path / "a.npz")
    assert loaded.residual_db == -np.inf and loaded.loss_history == {}


@pytest.mark.parametrize(
    ("step_s", "times"),
    [
        (0.01, ["0.000", "0.010", "0.020"]),
        (256 / 44100, ["0.000000", "0.005805", "0.011610"]),
    ],
)
def test_csv_is_that_of_crepe(tmp_path, step_s, times):
    tracks = make(time_s=np.arange(8) * step_s)
    tracks.save_csv(tmp_path / "a.f0.csv")
    lines = (tmp_path / "a.f0.csv").read_bytes().decode("ascii").split("\n")
    assert lines[0] == "time,frequency,confidence" and lines[-1] == "" and len(lines) == 10
    for t, time in enumerate(times):
        assert lines[1 + t] == f"{time},{tracks.f0_hz[t]:.3f},{tracks.confidence[t]:.6f}"


@pytest.mark.parametrize(
    ("unvoiced", "expected"),
    [("keep", "90.000"), ("zero", "0.000"), ("nan", "nan"), ("negative", "-90.000")],
)
def test_csv_shows_unvoiced_frames_as_told(tmp_path, unvoiced, expected):
    # the estimator's word counts, not the confidence
    frames = [0.0, 0.01], [90.0, 80.0], [0.9, 0.1], None, None, RATE, 160
    tracks = HarmonicTracks(*frames, voiced=[False, True])
    tracks.save_csv(tmp_path / "a", unvoiced=unvoiced)
    lines = (tmp_path / "a").read_text().splitlines()
    assert lines[1:] == [f"0.000,{expected},0.900000", "0.010,80.000,0.100000"]
    tracks.save_json(tmp_path / "b", unvoiced=unvoiced)
    f0_hz = json.loads((tmp_path / "b").read_text())["f0_hz"]
    assert f0_hz == [None if expected == "nan" else float(expected), 80.0]


@pytest.mark.parametrize("method", ["save_csv", "save_json"])
def test_unvoiced_must_be_one_of_four(tmp_path, method):
    message = "unvoiced must be one of 'keep', 'zero', 'nan', 'negative', got 'none'"
    with pytest.raises(ParameterError, match=message):
        getattr(make(), method)(tmp_path / "a", unvoiced="none")
    assert os.listdir(tmp_path) == []


def _refuse(word):
    raise AssertionError(f"{word} is not JSON")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [3, 4096])
def test_json_holds_every_field_rounded(tmp_path, rows, dtype, monkeypatch):
    monkeypatch.setattr("spectralot.export._ROWS", rows)
    settings = {"version": "0.1", "silence_db": -np.inf, "viterbi": False}
    tracks = full(dtype, settings=settings, residual_db=-np.inf)
    tracks.save_json(tmp_path / "a.json")
    got = json.loads((tmp_path / "a.json").read_text(), parse_constant=_refuse)
    assert (got["sample_rate"], got["n_samples"], got["step_s"]) == (RATE, N, HOP / RATE)
    assert got["settings"] == {"version": "0.1", "silence_db": None, "viterbi": False}
    assert got["residual_db"] is None and got["loss_history"]["sot"] == [3.0, 2.0, 1.5]
    assert got["voiced"] == tracks.voiced.tolist()
    rounding = {
        "time_s": (0, 5.1e-7), "f0_hz": (0, 5.1e-5), "confidence": (0, 5.1e-7),
        "amplitudes": (5.1e-6, 0), "phases": (0, 5.1e-5), "f0_std_cents": (5.1e-4, 0),
        "amplitudes_std": (5.1e-4, 0), "inharmonicity": (5.1e-4, 0), "noise_db": (0, 5.1e-4),
        "snr_db": (0, 5.1e-4), "octave_costs": (5.1e-6, 0), "octave_margin": (5.1e-6, 0),
    }  # fmt: skip
    assert len(got) == 4 + 1 + 1 + 1 + len(rounding)
    for name, (relative, absolute) in rounding.items():
        array = getattr(tracks, name)
        expected = np.where(np.isfinite(array), array, np.nan)  # null
        back = np.array(got[name], float)
        np.testing.assert_allclose(back, expected, rtol=relative, atol=absolute, err_msg=name)
    digits = len(str(got["amplitudes"][0][0]).removeprefix("0.").lstrip("0"))
    assert digits <= 6 and len(str(got["f0_hz"][0])) <= 8


def test_json_leaves_out_what_there_is_not(tmp_path):
    make(amplitudes=None, phases=None, loss_history=None).save_json(tmp_path / "a")
    names = set(json.loads((tmp_path / "a").read_text()))
    head = {"sample_rate", "n_samples", "step_s", "residual_db", "settings"}
    assert names == head | {"time_s", "f0_hz", "confidence", "voiced"}


@pytest.mark.parametrize("method", ["save_csv", "save_json", "save_npz"])
def test_files_are_written_whole_and_not_overwritten_unless_told(tmp_path, method, monkeypatch):
    path = tmp_path / "a"
    path.write_text("mine")
    with pytest.raises(ParameterError) as caught:
        getattr(make(), method)(path)
    assert (
        str(caught.value) == f"cannot write {path}: it exists already; set overwrite to replace it"
    )
    assert path.read_text() == "mine"

    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space")))
    with pytest.raises(ParameterError, match=f"^cannot write {path}: No space$"):
        getattr(make(), method)(path, overwrite=True)
    assert path.read_text() == "mine" and os.listdir(tmp_path) == ["a"]
    monkeypatch.undo()

    getattr(make(), method)(path, overwrite=True)
    assert path.read_bytes()[:4] != b"mine"


def _without(name):
    def change(path):
        with np.load(path) as archive:
            kept = {key: archive[key] for key in archive.files if key != name}
        np.savez(path, **kept)

    return change


def _with(**fields):
    def change(path):
        with np.load(path) as archive:
            kept = {key: archive[key] for key in archive.files}
        np.savez(path, **(kept | fields))

    return change


def _damaged(path):
    whole = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("phases.npy").header_offset
    whole[start + 250] ^= 255
    path.write_bytes(whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), "No such file or directory"),
        (lambda path: path.write_text("text"), "it is no NumPy archive, or is cut short"),
        (lambda path: path.write_bytes(b""), "it is no NumPy archive, or is cut short"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "it is no NumPy archive"),
        (_damaged, "Bad CRC-32 for file 'phases.npy'"),
        (_without("f0_hz"), "it lacks f0_hz$"),
        (_without("n_samples"), "it lacks n_samples$"),
        (_with(f0_hz=np.zeros(8)), r"f0_hz must be above 0, got 0 at index \(0\)"),
        (_with(f0_hz=np.array(8 * ["a"])), "f0_hz must hold real numbers, got dtype <U1"),
        (_with(sample_rate=np.ones(2)), "sample_rate must be a single number, got shape"),
        (_with(sample_rate=np.array("x")), "sample_rate must be a number, got 'x'"),
        (_with(phases=np.array([{}])), "Object arrays cannot be loaded"),
        (_without("phases"), "amplitudes and phases must come together, got only amplitudes$"),
        (_with(voiced=np.zeros(8)), "voiced must hold True and False, got dtype float64"),
        (_with(settings=np.array("{")), "Expecting property name"),
        (_with(settings=np.array("[" * 100000)), "recursion"),
        (_with(settings=np.array("[]")), "settings must be a dict, got list"),
        (_with(settings=np.array(["{}"])), r"settings must be one text, got <U2 \(1,\)"),
    ],
)
def test_load_refuses_other_files_in_one_line(tmp_path, change, message):
    path = tmp_path / "a.npz"
    make().save_npz(path)
    change(path)
    with pytest.raises(ParameterError, match=f"^cannot load {path}: .*{message}") as caught:
        HarmonicTracks.load_npz(path)
    assert "\n" not in str(caught.value)
