"""Which files are meant, what each writes, and that it writes all of it or nothing."""

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from spectralot import HarmonicTracks, ParameterError, read_audio
from spectralot.corpus import Job, Options, Summary, estimate_file, find_recordings, plan_jobs

RATE = 8000


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, so that paths are short."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")


def test_words_mean_files_folders_patterns_and_standard_input(folder):
    touch("in/b.wav", "in/a.FLAC", "in/notes.txt", "in/.hidden.wav", "in/.old/x.wav", "in/z/c.mp3",
          "in/a.model.wav", "in/a.residual.wav", "in/a.f0.csv", "take [1].wav")  # fmt: skip
    words = ["in", "in/z/*.mp3", "take [1].wav", "-", "in/notes.txt", "gone.wav"]
    found, failures = find_recordings(words)
    assert failures == []
    assert found == [
        ("in/a.FLAC", "a"),
        ("in/b.wav", "b"),
        ("in/z/c.mp3", "z/c"),
        ("in/z/c.mp3", "c"),
        ("take [1].wav", "take [1]"),
        ("-", "stdin"),
        ("in/notes.txt", "notes"),
        ("gone.wav", "gone"),
    ]


def test_the_folder_one_stands_in_adds_nothing_to_names(folder):
    touch("b.wav", "z/c.wav")
    assert find_recordings(["."]) == ([("b.wav", "b"), ("z/c.wav", "z/c")], [])


def test_patterns_keep_the_place_below_their_fixed_part(folder):
    touch("in/b.wav", "in/z/c.wav", "in/z/y/d.wav", "in/z/c.model.wav")
    for pattern, places in (
        ("in/**/*.wav", ["b", "z/c", "z/y/d"]),
        ("in/*/*.wav", ["z/c"]),
        ("*/b.w?v", ["in/b"]),
        (f"{folder}/in/[bz]*", ["b"]),
    ):
        found, failures = find_recordings([pattern])
        assert [place for _, place in found] == places and failures == []
        assert all(os.path.isfile(file) for file, _ in found)


def test_names_come_in_order(folder):
    names = sorted(f"in/{17 * i % 40:02}.wav" for i in range(40))
    touch(*names[::3], *names[1::3], *names[2::3])
    for words in (["in"], ["in/*.wav"]):
        assert [file for file, _ in find_recordings(words)[0]] == names


def test_words_that_mean_nothing_are_failures(folder):
    os.mkdir("empty")
    assert find_recordings(["empty", "no*.wav"]) == (
        [],
        [
            ("empty", "no recording in the folder empty"),
            ("no*.wav", "no recording matches no*.wav"),
        ],
    )


def test_results_stand_beside_each_file_or_in_the_folder():
    recordings = [("in/a.b.wav", "a.b"), ("in/z/c.wav", "z/c"), ("-", "stdin")]
    options = Options()
    jobs = plan_jobs(recordings, options)
    assert [job.stem for job in jobs] == ["in/a.b", "in/z/c", None] and jobs[2].outputs == ()
    jobs = plan_jobs(recordings, options, "out")
    assert [job.stem for job in jobs] == ["out/a.b", "out/z/c", "out/stdin"]
    assert [job.stem for job in plan_jobs(recordings, options, "out", to_text=True)] == [None] * 3


@pytest.mark.parametrize(
    ("files", "folder", "where"),
    [
        (["a.wav", "a.flac"], None, "a.f0.csv"),
        (["a.wav", "a.wav"], None, "a.f0.csv"),
        (["a.wav", "sub/../a.wav"], None, "sub/../a.f0.csv"),
        (["a.wav", "sub/a.wav"], "out", "out/a.f0.csv"),
        (["sub", "sub/a.wav"], "out", "out/a.f0.csv"),
    ],
)
def test_two_files_with_one_result_are_refused(tmp_path, monkeypatch, files, folder, where):
    monkeypatch.chdir(tmp_path)
    touch("a.wav", "sub/a.wav")
    with pytest.raises(ParameterError) as caught:
        plan_jobs(find_recordings(files)[0], Options(), folder)
    first = "sub/a.wav" if files[0] == "sub" else files[0]
    assert str(caught.value) == f"{first} and {files[1]} would both write {where}"


def test_no_recording_is_written_over(folder):
    touch("a.wav", "a.model.wav")
    recordings, _ = find_recordings(["a.wav", "a.model.wav"])
    assert len(plan_jobs(recordings, Options())) == 2
    with pytest.raises(ParameterError, match=r"^a.wav would write over the recording a.model.wav$"):
        plan_jobs(recordings, Options(resynth=True, overwrite=True))


def test_suffixes_follow_the_options():
    def suffixes(**options):
        return " ".join(Options(**options).suffixes)

    assert suffixes() == ".f0.csv .npz"
    assert suffixes(formats=("json",)) == ".f0.csv .json"
    assert suffixes(formats=("json", "npz", "csv"), plot=True) == ".f0.csv .npz .json .png"
    assert suffixes(formats=(), resynth=True) == ".f0.csv .model.wav .residual.wav"


def test_jobs_can_be_pickled():
    job = Job("a.wav", "a", Options(settings={"fmin": 50.0}, plot=True))
    assert pickle.loads(pickle.dumps(job)) == job


@pytest.fixture
def recording(folder):
    sf.write("a.wav", 0.1 * np.sin(2 * np.pi * 200 * np.arange(1600) / RATE), RATE, subtype="FLOAT")


EVERYTHING = Options(formats=("csv", "npz", "json"), plot=True, resynth=True)


def test_every_result_is_written(recording, estimator):
    pytest.importorskip("matplotlib")
    summary = estimate_file(Job("a.wav", "new/a", EVERYTHING))
    assert summary == Summary(tuple("new/a" + end for end in EVERYTHING.suffixes), False, 0.75, 220)
    assert sorted(os.listdir("new")) == sorted("a" + end for end in EVERYTHING.suffixes)
    tracks = HarmonicTracks.load_npz("new/a.npz")
    assert tracks.n_samples == 1600
    assert len(Path("new/a.f0.csv").read_text().splitlines()) == 1 + len(tracks.time_s)
    assert json.loads(Path("new/a.json").read_text())
    assert Path("new/a.png").read_bytes()[:4] == b"\x89PNG"
    (model, rate), (residual, _) = read_audio("new/a.model.wav"), read_audio("new/a.residual.wav")
    assert rate == RATE and len(model) == 1600
    np.testing.assert_allclose(model + residual, read_audio("a.wav")[0], rtol=0, atol=1e-4)


def test_blocks_reach_the_estimator_unless_the_whole_is_needed(recording, estimator, monkeypatch):
    monkeypatch.setattr("spectralot.audio._READ_VALUES", 1000)
    estimate_file(Job("a.wav", "b", Options()))
    estimate_file(Job("a.wav", "c", Options(resynth=True)))
    assert [call["blocks"] for call in estimator] == [[1000, 600], [1600]]


def test_settings_reach_the_estimator_and_csv_alone_asks_for_no_harmonics(recording, estimator):
    settings = {"fmin": 50.0, "n_harmonics": 5}
    for i, (options, expected) in enumerate(
        (
            (Options(settings=settings), settings),
            (Options(settings=settings, formats=("csv",)), {"fmin": 50.0, "n_harmonics": 0}),
            (Options(formats=(), resynth=True), {}),
            (Options(formats=()), {"n_harmonics": 0}),
        )
    ):
        estimate_file(Job("a.wav", f"{i}", options))
        assert estimator[-1]["settings"] == expected
    assert settings == {"fmin": 50.0, "n_harmonics": 5}


def test_the_fit_gets_the_whole_sound(recording, monkeypatch, estimator):
    made = []

    def fit_note(audio, sample_rate, **settings):
        made.append((len(audio), sample_rate, settings))
        return HarmonicTracks([0.0], [220.0], [1.0], [[0.1]], [[0.0]], sample_rate, len(audio))

    monkeypatch.setattr("spectralot.estimate.fit.fit_note", fit_note)
    summary = estimate_file(Job("a.wav", "a", Options(method="fit", settings={"fmin": 60.0})))
    assert made == [(1600, RATE, {"fmin": 60.0})] and estimator == []
    assert (summary.voiced_share, summary.median_hz) == (1, 220)


@pytest.mark.parametrize(
    ("unvoiced", "frequency"),
    [("keep", 220.0), ("zero", 0.0), ("nan", np.nan), ("negative", -220.0)],
)
def test_the_csv_can_come_back_as_text(recording, estimator, unvoiced, frequency):
    summary = estimate_file(Job("a.wav", None, Options(unvoiced=unvoiced, formats=("csv",))))
    assert os.listdir() == ["a.wav"] and summary.outputs == ()
    head, *rows = summary.csv.splitlines()
    assert head == "time,frequency,confidence"
    np.testing.assert_equal(float(rows[0].split(",")[1]), frequency)
    assert float(rows[1].split(",")[1]) == 220


def test_silence_has_no_median(folder, estimator):
    sf.write("zero.wav", np.zeros(800), RATE)
    summary = estimate_file(Job("zero.wav", None))
    assert (summary.voiced_share, summary.median_hz) == (0, None)


@pytest.mark.parametrize("existing", EVERYTHING.suffixes)
def test_what_exists_is_kept_unless_told(recording, estimator, existing):
    Path("a" + existing).write_text("mine")
    plot = existing == ".png"  # figures take their time
    for options in (EVERYTHING, replace(EVERYTHING, skip_existing=True, plot=plot)):
        with pytest.raises(ParameterError, match=rf"cannot write a{existing}: it exists already"):
            estimate_file(Job("a.wav", "a", options))
        # nothing is done in vain, but to see whether it is what a killed process left
        assert len(estimator) == (options.skip_existing and existing != ".f0.csv")
    assert sorted(os.listdir()) == sorted(["a.wav", "a" + existing])
    assert Path("a" + existing).read_text() == "mine"
    anew = replace(EVERYTHING, overwrite=True, plot=plot)
    estimate_file(Job("a.wav", "a", anew))
    assert Path("a" + existing).read_bytes() != b"mine"


def test_what_was_killed_between_two_renames_is_finished(recording, estimator):
    options = Options(formats=("npz", "json"), resynth=True, skip_existing=True)
    job = Job("a.wav", "a", options)
    estimate_file(job)
    expected = {name: Path(name).read_bytes() for name in job.outputs}
    for n_missing in range(1, len(job.outputs)):  # the CSV is the last to appear
        for name in job.outputs[:n_missing]:
            os.remove(name)
        assert not estimate_file(job).skipped
        assert {name: Path(name).read_bytes() for name in job.outputs} == expected
        assert sorted(os.listdir()) == sorted(["a.wav", *job.outputs])


def test_a_finished_file_is_skipped(recording, estimator):
    options = Options(skip_existing=True)
    assert not estimate_file(Job("a.wav", "a", options)).skipped
    before = Path("a.f0.csv").stat()
    os.remove("a.wav")  # it is not even read
    assert estimate_file(Job("a.wav", "a", options)) == Summary(("a.f0.csv", "a.npz"), True)
    assert Path("a.f0.csv").stat() == before and len(estimator) == 1


@pytest.mark.parametrize("fault", [ParameterError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", ["save_csv", "save_json", "resynthesize"])
def test_no_part_of_the_results_is_left(recording, estimator, monkeypatch, at, fault):
    def fail(self, path=None, **_):
        if path is not None:
            Path(path).write_text("half")
        raise fault

    monkeypatch.setattr(HarmonicTracks, at, fail)
    with pytest.raises(type(fault)):
        estimate_file(Job("a.wav", "a", EVERYTHING))
    assert os.listdir() == ["a.wav"]


def test_the_csv_appears_last(recording, estimator, monkeypatch):
    renamed, rename = [], os.replace

    def note(old, new):
        renamed.append(os.path.basename(new))
        rename(old, new)

    monkeypatch.setattr(os, "replace", note)
    estimate_file(Job("a.wav", "a", Options(formats=("csv", "npz", "json"))))
    shown = [name for name in renamed if not name.startswith(".")]
    assert len(shown) == 3 and shown[-1] == "a.f0.csv"


def test_a_folder_that_cannot_be_made_is_one_line(recording, estimator):
    Path("file").write_text("")
    with pytest.raises(ParameterError, match=r"^cannot make the folder file/out: Not a directory$"):
        estimate_file(Job("a.wav", "file/out/a"))
