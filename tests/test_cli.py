"""The command line: exit status, what is written, and one line for each thing that fails."""

import json
import os
import subprocess
import sys
import types

import numpy as np
import pytest
import soundfile as sf
from click.testing import CliRunner

from spectralot import HarmonicTracks, ParameterError, __version__
from spectralot.cli import main

RATE = 8000


@pytest.fixture
def calls(monkeypatch):
    """Replace the fit by a stand-in; its calls are listed, and 7 samples are too short for it."""
    made = []

    def fit_note(audio, sample_rate, **options):
        made.append((audio, sample_rate, options))
        if len(audio) == 7:
            raise ParameterError("audio must have at least 64 samples, got 7")
        n_frames = 4
        return HarmonicTracks(
            time_s=np.arange(n_frames) * 0.01,
            f0_hz=np.full(n_frames, 220.0),
            confidence=np.ones(n_frames),
            amplitudes=np.full((n_frames, 2), 0.1),
            phases=np.zeros((n_frames, 2)),
            sample_rate=sample_rate,
            n_samples=len(audio),
            residual_db=-31.04,
        )

    fit = types.ModuleType("spectralot.estimate.fit")
    fit.fit_note = fit_note
    monkeypatch.setitem(sys.modules, "spectralot.estimate.fit", fit)
    return made


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, so that messages hold short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wav(path, n_samples=400, rate=RATE, **options):
    sf.write(path, np.linspace(-0.5, 0.5, n_samples), rate, **options)


def run(*args):
    return call("estimate", *args)


def call(*args):
    return CliRunner().invoke(main, list(map(str, args)))


def test_writes_both_files_beside_the_input(folder, calls):
    (folder / "in").mkdir()
    wav(folder / "in" / "a.b.wav")
    result = run("in/a.b.wav")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "in/a.b.wav -> in/a.b.f0.csv, in/a.b.npz (residual -31.0 dB)\n"
    assert sorted(os.listdir("in")) == ["a.b.f0.csv", "a.b.npz", "a.b.wav"]
    lines = (folder / "in" / "a.b.f0.csv").read_text().splitlines()
    assert lines[:2] == ["time,frequency,confidence", "0.000,220.000,1.000000"]
    assert HarmonicTracks.load_npz("in/a.b.npz").n_samples == 400


def test_output_folder_is_made_and_options_reach_the_fit(folder, calls):
    wav("a.wav", subtype="PCM_24")
    sf.write("b.flac", np.full((300, 2), [0.25, 0.75]), 44100)
    sf.write("c.wav", np.zeros(200), 11127, subtype="FLOAT")
    result = run("-q", "a.wav", "b.flac", "c.wav", "-o", "new/out", "--fmin", "50", "--fmax", 900)
    assert (result.exit_code, result.output) == (0, "")
    assert [rate for _, rate, _ in calls] == [8000, 44100, 11127]
    assert all(options == {"fmin": 50.0, "fmax": 900.0} for *_, options in calls)
    np.testing.assert_array_equal(calls[1][0], np.full(300, 0.5))
    assert sorted(os.listdir("new/out")) == sorted(
        f"{name}.{suffix}" for name in "abc" for suffix in ("f0.csv", "npz")
    )
    assert sorted(os.listdir()) == ["a.wav", "b.flac", "c.wav", "new"]


def test_each_failed_file_gets_one_line_and_the_rest_goes_on(folder, calls):
    wav("good.wav")
    wav("cut.wav")
    cut = (folder / "cut.wav").read_bytes()
    (folder / "cut.wav").write_bytes(cut[:-100])
    (folder / "text.wav").write_text("no audio")
    (folder / "none.wav").write_bytes(b"")
    (folder / "sub.wav").mkdir()
    wav("short.wav", 7)
    wav("empty.wav", 0)
    sf.write("nan.wav", np.array([0.0, np.nan], np.float32), RATE, subtype="FLOAT")
    bad = ["cut", "text", "none", "sub", "gone", "short", "empty", "nan"]
    result = run(*[f"{name}.wav" for name in bad], "good.wav", "-o", "out")
    assert result.exit_code == 1
    assert result.stdout == "good.wav -> out/good.f0.csv, out/good.npz (residual -31.0 dB)\n"
    assert result.stderr.splitlines() == [
        "cannot read cut.wav: it is cut short: its header declares 800 bytes of sound, "
        "the file holds 700",
        "cannot read text.wav: Format not recognised",
        "cannot read none.wav: Format not recognised",
        "cannot read sub.wav: Is a directory",
        "cannot read gone.wav: No such file or directory",
        "short.wav: audio must have at least 64 samples, got 7",
        "cannot read empty.wav: it holds no samples",
        "cannot read nan.wav: samples must be finite, got nan at sample 1",
    ]
    assert sorted(os.listdir("out")) == ["good.f0.csv", "good.npz"]


@pytest.mark.parametrize("existing", ["a.f0.csv", "a.npz"])
def test_existing_results_are_kept_unless_told(folder, calls, existing):
    wav("a.wav")
    (folder / existing).write_text("mine")
    result = run("a.wav")
    assert result.exit_code == 1
    assert result.output == (
        f"a.wav: cannot write {existing}: it exists already; set overwrite to replace it\n"
    )
    assert calls == []  # nothing is fitted in vain
    assert (folder / existing).read_text() == "mine"
    assert sorted(os.listdir()) == sorted(["a.wav", existing])

    assert run("a.wav", "--overwrite").exit_code == 0
    assert HarmonicTracks.load_npz("a.npz").n_samples == 400
    assert sorted(os.listdir()) == ["a.f0.csv", "a.npz", "a.wav"]


def test_no_half_of_a_result_is_left(folder, calls, monkeypatch):
    wav("a.wav")

    def fail(self, path):
        path.write_text("half")
        raise ParameterError("disk full")

    monkeypatch.setattr(HarmonicTracks, "save_npz", fail)
    result = run("a.wav")
    assert (result.exit_code, result.output) == (1, "a.wav: disk full\n")
    assert os.listdir() == ["a.wav"]


@pytest.mark.parametrize(
    ("files", "where"),
    [
        (["a.wav", "a.flac"], "a.f0.csv"),
        (["a.wav", "a.wav"], "a.f0.csv"),
        (["a.wav", "sub/../a.wav"], "sub/../a.f0.csv"),
        (["a.wav", "sub/a.wav", "-o", "out"], "out/a.f0.csv"),
    ],
)
def test_two_inputs_with_one_output_are_refused(folder, calls, files, where):
    (folder / "sub").mkdir()
    for name in ("a.wav", "a.flac", "sub/a.wav"):
        wav(name)
    result = run(*files)
    assert result.exit_code == 2
    assert result.output == f"Error: {files[0]} and {files[1]} would both write {where}\n"
    assert calls == [] and not (folder / "out").exists()


def test_output_folder_that_cannot_be_made_is_one_line(folder, calls):
    wav("a.wav")
    (folder / "file").write_text("")
    result = run("a.wav", "-o", "file/out")
    assert result.exit_code == 1
    assert result.output == "a.wav: cannot make the folder file/out: Not a directory\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "Missing argument 'FILE...'"),
        (["a.wav", "--fmin", "0"], "0.0 is not in the range x>0"),
        (["a.wav", "--fmin", "high"], "'high' is not a valid float"),
        (["a.wav", "--fmin", "50", "--fmax", "50"], "--fmin must be below --fmax, got 50 and 50"),
        (["a.wav", "-o", "a.wav"], "Directory 'a.wav' is a file"),
        (["a.wav", "--loud"], "No such option"),
    ],
)
def test_wrong_usage_exits_2(folder, calls, args, message):
    wav("a.wav")
    result = run(*args)
    assert result.exit_code == 2
    assert message in result.output
    assert os.listdir() == ["a.wav"]


def test_version_and_help():
    result = CliRunner().invoke(main, ["--version"])
    assert (result.exit_code, result.output) == (0, f"spectralot, version {__version__}\n")
    result = CliRunner().invoke(main, ["estimate", "--help"])
    assert result.exit_code == 0 and "--overwrite" in result.output


@pytest.mark.parametrize("command", ["estimate", "compare", "landscape"])
def test_help_imports_nothing_heavy(command):
    """What makes ``spectralot --help`` slow is what it imports."""
    code = (
        "import sys\n"
        "from spectralot.cli import main\n"
        f"main(['{command}', '--help'], standalone_mode=False)\n"
        "heavy = {'numpy', 'numba', 'scipy', 'rich', 'soundfile', 'matplotlib'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout


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
def test_bar_is_drawn_on_a_terminal_only(folder, calls, monkeypatch, quiet):
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


@pytest.fixture
def pair(folder):
    """Half a second of 1000 Hz at one rate, and of its fifth, softer and longer, at another."""
    for name, hz, rate, n_samples in (("a", 1000, 16000, 8000), ("b", 1500, 24000, 15000)):
        tone = np.sin(2 * np.pi * hz * np.arange(n_samples) / rate) * (0.5 if name == "a" else 0.05)
        sf.write(f"{name}.wav", tone, rate, subtype="FLOAT")
    return "a.wav", "b.wav"


def test_compare_prints_a_table(pair):
    result = call("compare", *pair)
    assert (result.exit_code, result.stderr) == (0, "")
    head, table = result.stdout.split("\n\n")
    assert head.splitlines() == [
        "A: a.wav, 0.500 s at 16000 Hz",
        "B: b.wav, 0.625 s at 24000 Hz, resampled to 16000 Hz",
        "compared over the common length, the first 0.500 s",
    ]
    rows = [(line[:20].strip(), float(line[20:32]), line[34:]) for line in table.splitlines()]
    assert [name for name, *_ in rows] == [
        "SOT over pitch", "SOT over frequency", "MSS", "LSD", "level difference",
    ]  # fmt: skip
    assert rows[0][1] == pytest.approx(702, abs=1)
    assert rows[4][1] == pytest.approx(-20, abs=0.1) and "B relative to A" in rows[4][2]
    assert sorted(os.listdir()) == ["a.wav", "b.wav"]


def test_compare_prints_json_and_nothing_else(pair):
    result = call("compare", "a.wav", "a.wav", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["a"] == {"file": "a.wav", "sample_rate": 16000, "duration_s": 0.5} == found["b"]
    assert found["compared"] == {"sample_rate": 16000, "duration_s": 0.5}
    assert found["metrics"]["sot_cents"] == 0 and len(found["metrics"]) == 5
    found = json.loads(call("compare", *pair, "--json").stdout)
    assert found["compared"] == {"sample_rate": 16000, "duration_s": 0.5}
    assert found["b"]["sample_rate"] == 24000


def test_figures_are_written_once(pair):
    pytest.importorskip("matplotlib")
    small = ("landscape", "--losses", "LIN", "--range", 25)
    for args, name, start in (
        (("compare", *pair), "x.PNG", b"\x89PNG"),
        (small, "y.svg", b"<?xml"),
    ):
        result = call(*args, "-o", name)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.endswith(f"\nfigure: {name}\n")
        with open(name, "rb") as file:
            assert file.read(5).startswith(start)
        result = call(*args, "-o", name)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "it exists already" in result.stderr and len(result.stderr.splitlines()) == 1
        result = call(*args, "-o", name, "--overwrite", "--json")
        assert result.exit_code == 0 and json.loads(result.stdout)
    assert sorted(os.listdir()) == ["a.wav", "b.wav", "x.PNG", "y.svg"]


@pytest.mark.parametrize("option", [("--range", "nan"), ("--range", "inf"), ("--step", "nan"),
                                    ("--snr-db", "-1e5"), ("--losses", "LIN,nix")])  # fmt: skip
def test_landscape_refuses_what_is_no_number_or_name(option):
    result = call("landscape", *option)
    assert result.exit_code == 2 and "Traceback" not in result.output


def test_landscape_offsets_reach_the_range():
    result = call("landscape", "--range", "0.3", "--step", "0.1", "--losses", "LIN", "--json")
    assert json.loads(result.stdout)["cents"][-1] == pytest.approx(0.3)


def test_compare_has_no_transport_of_silence(folder):
    sf.write("tone.wav", 0.1 * np.sin(0.3 * np.arange(4000)), RATE)
    sf.write("zero.wav", np.zeros(4000), RATE)
    result = call("compare", "zero.wav", "tone.wav")
    assert result.exit_code == 0 and result.stdout.count("n/a") == 2
    metrics = json.loads(call("compare", "zero.wav", "tone.wav", "--json").stdout)["metrics"]
    assert metrics["sot_cents"] is None and metrics["mss"] > 0
    result = call("compare", "tone.wav", "zero.wav", "-o", "out.png")
    assert (result.exit_code, result.output) == (1, "cannot draw zero.wav: it is silent\n")
    assert not os.path.exists("out.png")


def test_compare_says_in_one_line_what_is_wrong(pair):
    sf.write("silent.wav", np.zeros(8000), 16000)
    sf.write("short.wav", np.zeros(2000), 16000)
    for args, message in (
        (["a.wav", "gone.wav"], "cannot read gone.wav: No such file or directory"),
        (["a.wav", "short.wav"],
         "a and b must have at least 2048 samples, 128 ms, got 8000 and 2000"),
        (["a.wav", "silent.wav", "-o", "x.png"], "cannot draw silent.wav: it is silent"),
        (["a.wav", "b.wav", "-o", "no/x.png"], "cannot write no/x.png: there is no folder no"),
    ):  # fmt: skip
        result = call("compare", *args)
        assert (result.exit_code, result.output) == (1, message + "\n")
    assert call("compare", "a.wav", "silent.wav").exit_code == 0
    assert sorted(os.listdir()) == ["a.wav", "b.wav", "short.wav", "silent.wav"]


def test_landscape_of_a_tone(folder):
    args = ("landscape", "--losses", "LIN,SOT-512", "--range", 110, "--step", 50, "--f0", 440)
    result = call(*args)
    assert (result.exit_code, result.stderr) == (0, "")
    head, table = result.stdout.split("\n\n")
    assert head.splitlines() == [
        "tone of 440 Hz, 8 harmonics 1/k",
        "5 offsets of f0, -100 to 100 cents",
    ]
    rows = [line.split() for line in table.splitlines()[1:]]
    assert [name for name, *_ in rows] == ["LIN", "SOT-512"]

    found = json.loads(call(*args, "--json").stdout)
    assert found["cents"] == [-100, -50, 0, 50, 100]
    assert list(found["losses"]) == ["LIN", "SOT-512"]
    lin = found["losses"]["LIN"]
    assert np.argmin(lin["values"]) == 2 and lin["minimum_cents"] == 0
    right = (np.array(lin["slopes"]) * found["cents"] > 0).sum() / 4
    assert lin["slope_accuracy"] == right and rows[0][1:] == [f"{100 * right:.1f}", "0"]


def test_landscape_hears_its_options(folder):
    fixed = ("landscape", "--losses", "LIN", "--range", 25, "--json")
    seen = {}
    for options in (
        (), ("--timbre", "uniform"), ("--candidates", "uniform"), ("--harmonics", 3),
        ("--noise", "white"), ("--noise", "pink"), ("--noise", "pink", "--snr-db", 3),
        ("--noise", "pink", "--seed", 1), ("--f0", 300),
    ):  # fmt: skip
        found = json.loads(call(*fixed, *options).stdout)
        seen[tuple(found["losses"]["LIN"]["values"])] = found["target"]
    assert len(seen) == 9
    assert "tone of 220 Hz, 8 harmonics 1/k, candidates uniform" in seen.values()
    assert "tone of 220 Hz, 8 harmonics 1/k, pink noise at 3 dB" in seen.values()


def test_landscape_of_a_file(folder, calls):
    """The stand-in for the fit finds 220 Hz with two harmonics of amplitude 0.1."""
    t = np.arange(8000) / RATE
    tone = 0.1 * np.sin(2 * np.pi * 220 * t) + 0.1 * np.sin(4 * np.pi * 220 * t)
    sf.write("a.wav", tone, RATE, subtype="FLOAT")
    result = call("landscape", "a.wav", "--losses", "LIN", "--range", 100)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("a.wav, fitted at 220.00 Hz\n9 offsets of f0")
    name, share, lowest = result.stdout.splitlines()[-1].split()
    assert (name, lowest) == ("LIN", "0") and float(share) > 50
    wav("short.wav", 7)
    for name, message in (
        ("gone.wav", "cannot read gone.wav: No such file or directory\n"),
        ("short.wav", "short.wav: audio must have at least 64 samples, got 7\n"),
    ):
        result = call("landscape", name)
        assert (result.exit_code, result.output) == (1, message)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["compare", "a.wav"], "Missing argument 'B'"),
        (["compare", "a.wav", "a.wav", "-o", "x.doc"], "must end in .png, .pdf or .svg, got x.doc"),
        (["landscape", "--losses", "LIN,L2"], "--losses must name some of LIN, MSS, "),
        (["landscape", "--losses", "LIN,L2"], "got 'L2'"),
        (["landscape", "--step", "50", "--range", "25"], "--step must not be above --range"),
        (["landscape", "--step", "0"], "0.0 is not in the range x>0"),
        (["landscape", "--f0", "4000"], "f0_hz must be above 0 and below sample_rate / 2"),
        (["landscape", "--harmonics", "0"], "0 is not in the range x>=1"),
        (["landscape", "--noise", "brown"], "'brown' is not one of"),
        (["landscape", "a.wav", "--snr-db", "3"], "--snr-db is for the tone: leave it out"),
    ],
)
def test_wrong_usage_of_figures_and_tones_exits_2(folder, args, message):
    wav("a.wav")
    result = call(*args)
    assert result.exit_code == 2
    assert message in result.output
    assert os.listdir() == ["a.wav"]
