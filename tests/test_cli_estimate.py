"""``spectralot estimate``: exit status, what is written, and one line for each thing that fails."""

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import stand_in
from click.testing import CliRunner

from spectralot import HarmonicTracks, ParameterError
from spectralot.cli import main
from spectralot.corpus import Summary

RATE = 8000
FOUND = "(75 % voiced, median 220.0 Hz)"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, so that messages hold short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wav(path, n_samples=400, rate=RATE, **options):
    sf.write(path, np.linspace(-0.5, 0.5, n_samples), rate, **options)


def run(*args, stdin=None):
    return CliRunner().invoke(main, ["estimate", *map(str, args)], input=stdin)


def test_writes_both_files_beside_the_input(folder, estimator):
    (folder / "in").mkdir()
    wav(folder / "in" / "a.b.wav")
    result = run("in/a.b.wav")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"in/a.b.wav -> in/a.b.f0.csv, in/a.b.npz {FOUND}\n"
    assert sorted(os.listdir("in")) == ["a.b.f0.csv", "a.b.npz", "a.b.wav"]
    lines = (folder / "in" / "a.b.f0.csv").read_text().splitlines()
    assert lines[:3] == [
        "time,frequency,confidence", "0.000,220.000,0.200000", "0.010,220.000,1.000000",
    ]  # fmt: skip
    assert HarmonicTracks.load_npz("in/a.b.npz").n_samples == 400


def test_output_folder_is_made_and_settings_reach_the_estimator(folder, estimator):
    wav("a.wav", subtype="PCM_24")
    sf.write("b.flac", np.full((300, 2), [0.25, 0.75]), 44100)
    sf.write("c.wav", np.zeros(200), 11127, subtype="FLOAT")
    result = run("-q", "a.wav", "b.flac", "c.wav", "-o", "new/out", "--fmin", "50", "--fmax", 900)
    assert (result.exit_code, result.output) == (0, "")
    assert [call["rate"] for call in estimator] == [8000, 44100, 11127]
    assert all(call["settings"] == {"fmin": 50.0, "fmax": 900.0} for call in estimator)
    np.testing.assert_array_equal(estimator[1]["audio"], np.full(300, 0.5))
    assert sorted(os.listdir("new/out")) == sorted(
        f"{name}.{suffix}" for name in "abc" for suffix in ("f0.csv", "npz")
    )
    assert sorted(os.listdir()) == ["a.wav", "b.flac", "c.wav", "new"]


@pytest.mark.parametrize(
    ("args", "settings"),
    [
        ([], {}),
        (["-s", "2.5"], {"step_ms": 2.5}),
        (["--hop", "64"], {"hop_length": 64}),
        (["--harmonics", "auto"], {"n_harmonics": "auto"}),
        (["--harmonics", "0"], {"n_harmonics": 0}),
        (["--no-viterbi", "--no-center"], {"viterbi": False, "center": False}),
        (["--voicing-threshold", "0"], {"voicing_threshold": 0.0}),
        (["--silence-db", "-80"], {"silence_db": -80.0}),
        (["--format", "csv"], {"n_harmonics": 0}),
        (["--format", "csv", "--harmonics", "3"], {"n_harmonics": 0}),
    ],
)
def test_each_option_reaches_the_estimator(folder, estimator, args, settings):
    wav("a.wav")
    assert run("a.wav", *args).exit_code == 0
    assert estimator[0]["settings"] == settings


def test_formats_figures_and_sounds_are_written_as_told(folder, estimator):
    pytest.importorskip("matplotlib")
    wav("a.wav")
    args = ("a.wav", "--format", "json", "--resynth", "-p", "--unvoiced", "negative")
    outputs = ["a.f0.csv", "a.json", "a.png", "a.model.wav", "a.residual.wav"]
    assert run(*args).stdout == f"a.wav -> {', '.join(outputs)} {FOUND}\n"
    assert sorted(os.listdir()) == sorted(["a.wav", *outputs])
    assert "0.000,-220.000," in Path("a.f0.csv").read_text()


def test_the_fit_is_another_method(folder, monkeypatch, estimator):
    def fit_note(audio, sample_rate, fmin):
        return HarmonicTracks([0.0], [fmin], [1.0], [[0.1]], [[0.0]], sample_rate, len(audio))

    monkeypatch.setattr("spectralot.estimate.fit.fit_note", fit_note)
    wav("a.wav")
    result = run("a.wav", "--method", "fit", "--fmin", "70")
    assert result.stdout == "a.wav -> a.f0.csv, a.npz (100 % voiced, median 70.0 Hz)\n"
    assert estimator == []


def test_each_failed_file_gets_one_line_and_the_rest_goes_on(folder, estimator):
    wav("good.wav")
    wav("cut.wav")
    cut = (folder / "cut.wav").read_bytes()
    (folder / "cut.wav").write_bytes(cut[:-100])
    (folder / "text.wav").write_text("no audio")
    (folder / "none.wav").write_bytes(b"")
    (folder / "sub").mkdir()
    wav("short.wav", 7)
    wav("empty.wav", 0)
    sf.write("zero.wav", np.zeros(400), RATE)
    sf.write("nan.wav", np.array([0.0, np.nan], np.float32), RATE, subtype="FLOAT")
    bad = ["cut", "text", "none", "gone", "short", "empty", "nan"]
    result = run("sub", "x*.wav", *[f"{name}.wav" for name in (*bad, "good", "zero")], "-o", "out")
    assert result.exit_code == 1
    assert result.stdout == (
        f"good.wav -> out/good.f0.csv, out/good.npz {FOUND}\n"
        "zero.wav -> out/zero.f0.csv, out/zero.npz (nothing voiced)\n"
    )
    assert result.stderr.splitlines() == [
        "no recording in the folder sub",
        "no recording matches x*.wav",
        "cannot read cut.wav: it is cut short: its header declares 800 bytes of sound, "
        "the file holds 700",
        "cannot read text.wav: Format not recognised",
        "cannot read none.wav: Format not recognised",
        "cannot read gone.wav: No such file or directory",
        "short.wav: audio must have at least 64 samples, got 7",
        "cannot read empty.wav: it holds no samples",
        "cannot read nan.wav: samples must be finite, got nan at sample 1",
    ]
    assert len(os.listdir("out")) == 4


def test_folders_keep_their_shape_and_results_are_no_input(folder, estimator):
    os.makedirs("in/deep")
    for name in ("in/a.wav", "in/deep/a.wav"):
        wav(name)
    for args in (["in"], ["in/**/*.wav"]):
        assert run(*args, "-o", "out", "--resynth", "--overwrite", "--format", "csv").exit_code == 0
        assert sorted(os.listdir("out/deep")) == ["a.f0.csv", "a.model.wav", "a.residual.wav"]
    run("in", "--resynth")
    again = run("in", "--resynth", "--skip-existing")
    assert (again.exit_code, again.output) == (0, "skipped: 2 of 2 files, whose results exist\n")
    assert run("in", "--resynth", "--skip-existing", "-q").output == ""


def test_existing_results_are_kept_unless_told(folder, estimator):
    wav("a.wav")
    Path("a.npz").write_text("mine")
    result = run("a.wav")
    assert result.exit_code == 1
    assert result.output == (
        "a.wav: cannot write a.npz: it exists already; set overwrite to replace it\n"
    )
    assert estimator == [] and sorted(os.listdir()) == ["a.npz", "a.wav"]
    assert run("a.wav", "--overwrite").exit_code == 0
    assert HarmonicTracks.load_npz("a.npz").n_samples == 400


def test_two_inputs_with_one_output_are_refused(folder, estimator):
    wav("a.wav")
    wav("a.flac")
    result = run("a.wav", "a.flac", "-o", "out")
    assert result.exit_code == 2
    assert result.output == "Error: a.wav and a.flac would both write out/a.f0.csv\n"
    assert estimator == [] and not (folder / "out").exists()


def wav_bytes():
    file = io.BytesIO()
    wav(file, format="WAV")
    return file.getvalue()


def test_standard_input_gives_csv_on_standard_output(folder, estimator):
    result = run("-", "--unvoiced", "zero", "--fmin", 30, stdin=wav_bytes())
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("time,frequency,confidence\n0.000,0.000,0.200000\n")
    assert len(result.stdout.splitlines()) == 5 and os.listdir() == []
    assert estimator[0]["settings"] == {"fmin": 30.0, "n_harmonics": 0}
    result = run("-", stdin=b"no sound")
    assert result.exit_code == 1
    assert result.output == "-: cannot read standard input: Format not recognised\n"


def test_standard_input_has_a_name_in_a_folder(folder, estimator):
    result = run("-", "-o", "out", stdin=wav_bytes())
    assert result.output == f"- -> out/stdin.f0.csv, out/stdin.npz {FOUND}\n"
    assert sorted(os.listdir("out")) == ["stdin.f0.csv", "stdin.npz"]


def test_one_file_can_go_to_standard_output(folder, estimator):
    wav("a.wav")
    wav("b.wav")
    result = run("a.wav", "-o", "-", "--format", "csv")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "time,frequency,confidence")
    for args in (["a.wav", "b.wav", "-o", "-"], ["-", "a.wav"]):
        result = run(*args)
        assert result.exit_code == 2
        assert "standard output takes one file, got 2: name a folder with -o" in result.output
    for extra in (["--format", "csv,npz"], ["-p"], ["--resynth"]):
        result = run("a.wav", "-o", "-", *extra)
        assert result.exit_code == 2
        assert "standard output takes CSV only: name a folder with -o" in result.output
    assert sorted(os.listdir()) == ["a.wav", "b.wav"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "Missing argument 'FILE...'"),
        (["a.wav", "--fmin", "0"], "0.0 is not in the range x>0"),
        (["a.wav", "--fmin", "high"], "'high' is not a valid float"),
        (["a.wav", "--fmax", "inf"], "'inf' is not finite"),
        (["a.wav", "--fmin", "50", "--fmax", "50"], "--fmin must be below --fmax, got 50 and 50"),
        (["a.wav", "-s", "nan"], "'nan' is not finite"),
        (["a.wav", "-s", "5", "--hop", "64"], "--step-ms and --hop exclude each other"),
        (["a.wav", "--hop", "0"], "0 is not in the range x>=1"),
        (["a.wav", "--harmonics", "-1"], "-1 is not in the range x>=0"),
        (["a.wav", "--harmonics", "all"], "'all' is not a valid integer"),
        (["a.wav", "--harmonics", "0", "--resynth"], "--resynth needs harmonics"),
        (["a.wav", "--no-center", "--resynth"], "which --no-center leaves out"),
        (["a.wav", "--voicing-threshold", "1.1"], "1.1 is not in the range 0<=x<=1"),
        (["a.wav", "--method", "guess"], "'guess' is not one of 'signal', 'fit', 'model'"),
        (["a.wav", "--method", "model", "--fmin", "50"], "--fmin is not for --method model"),
        (["a.wav", "--method", "model", "--resynth"], "--resynth is not for --method model"),
        (["a.wav", "--method", "fit", "--model", "a.wav"], "--model is for --method model, got"),
        (["a.wav", "--model", "gone.npz"], "'gone.npz' does not exist"),
        (["a.wav", "--method", "fit", "-s", "5"], "--step-ms is not for --method fit"),
        (["a.wav", "--method", "fit", "--no-viterbi"], "--no-viterbi is not for --method fit"),
        (["a.wav", "--format", "csv,pitch"], "must name some of csv, npz, json, got 'pitch'"),
        (["a.wav", "--overwrite", "--skip-existing"], "exclude each other"),
        (["a.wav", "--dask", "tcp://x:1", "-j", "2"], "--jobs and --dask exclude each other"),
        (["a.wav", "-o", "a.wav"], "Directory 'a.wav' is a file"),
        (["a.wav", "--loud"], "No such option"),
    ],
)
def test_wrong_usage_exits_2(folder, estimator, args, message):
    wav("a.wav")
    result = run(*args)
    assert result.exit_code == 2
    assert message in result.output
    assert os.listdir() == ["a.wav"]


@pytest.mark.parametrize(
    ("args", "n_processes", "address", "skips"),
    [
        ([], 1, None, False),
        (["-j", "3"], 3, None, False),
        (["-j", "0", "--skip-existing"], "cores", None, True),
        (["--dask", "tcp://x:1"], 1, "tcp://x:1", False),
    ],
)
def test_where_the_work_is_done(folder, monkeypatch, args, n_processes, address, skips):
    asked = []

    def run_jobs(jobs, **options):
        asked.append(options)
        assert all(job.options.skip_existing is skips for job in jobs)
        yield from ((job, Summary(job.outputs, skips, 1.0, 100.0)) for job in jobs)

    monkeypatch.setattr("spectralot.runners.run_jobs", run_jobs)
    monkeypatch.setattr("spectralot.runners.n_cores", lambda: "cores")
    assert run("a.wav", "b.wav", *args).exit_code == 0
    assert asked == [{"n_processes": n_processes, "address": address}]


def test_a_cluster_that_is_not_there_is_one_line(folder, monkeypatch):
    def run_jobs(jobs, **options):
        raise ParameterError("cannot reach a dask scheduler at tcp://x:1: no")
        yield

    monkeypatch.setattr("spectralot.runners.run_jobs", run_jobs)
    result = run("a.wav", "--dask", "tcp://x:1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "cannot reach a dask scheduler at tcp://x:1: no\n"


INTERRUPTED = f"""
import signal, sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import stand_in
from spectralot import HarmonicTracks

class Slow(stand_in.HarmonicEstimator):
    def estimate_blocks(self, blocks, sample_rate):
        found = super().estimate_blocks(blocks, sample_rate)
        return found if len(stand_in.calls[-1]["audio"]) == 400 else SlowToSave(**vars(found))

class HalfMade:
    def __del__(self):
        raise AttributeError("what the constructor would have made")

class SlowToSave(HarmonicTracks):
    def save_npz(self, path, **options):
        half_made = HalfMade()
        path.write_text("half")
        Path("mark").write_text("at work")
        time.sleep(60)

stand_in.HarmonicEstimator = Slow
stand_in.install()  # in worker processes too, which import this file
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's "&" has it ignored
    from spectralot.cli import main
    main(["estimate", "a.wav", "slow.wav", "-o", "out", *sys.argv[1:]])
"""


@pytest.mark.parametrize("args", [[], ["-j", "2"]])
def test_an_interrupt_is_one_line_and_leaves_no_half(folder, args):
    wav("a.wav")
    wav("slow.wav", 500)
    Path("main.py").write_text(INTERRUPTED)
    status, out, err = stand_in.interrupted(args, "out/a.npz")
    assert (status, err) == (130, "interrupted: 1 of 2 files done\n")
    assert out == f"a.wav -> out/a.f0.csv, out/a.npz {FOUND}\n"
    assert sorted(os.listdir("out")) == ["a.f0.csv", "a.npz"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text_are_printed_too(folder, estimator):
    name = os.fsdecode(b"\xff.wav")
    wav("a.wav")
    os.rename("a.wav", name)
    result = run(name, os.fsdecode(b"\xfe.wav"))
    assert result.exit_code == 1
    assert result.stdout == f"?.wav -> ?.f0.csv, ?.npz {FOUND}\n"
    assert result.stderr == "cannot read ?.wav: No such file or directory\n"


def _read_all(descriptor):
    """What a pseudo-terminal was sent, once its other end is closed."""
    parts = []
    try:
        while part := os.read(descriptor, 4096):
            parts.append(part)
    except OSError:  # so Linux says that this is all
        pass
    os.close(descriptor)
    return b"".join(parts).decode()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
@pytest.mark.parametrize("quiet", [False, True])
def test_bar_is_drawn_on_a_terminal_only(folder, estimator, monkeypatch, quiet):
    """Standard error is a terminal here, standard output is not: results keep to their pipe."""
    for name in ("a.wav", "b.wav"):
        wav(name)
    reader, writer = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(writer, "w") as terminal, open("out.txt", "w") as out:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(SystemExit) as exit_:
            main(["estimate", "a.wav", "gone.wav", "b.wav", *(["-q"] if quiet else [])])
        monkeypatch.undo()
    drawn = _read_all(reader)
    assert exit_.value.code == 1
    assert "cannot read gone.wav: No such file or directory" in drawn
    assert ("3/3" in drawn) is not quiet
    results = (folder / "out.txt").read_text().splitlines()
    assert [line.split(" ->")[0] for line in results] == ([] if quiet else ["a.wav", "b.wav"])
