"""The command line: help, and the commands ``compare`` and ``landscape``."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf
from click.testing import CliRunner

from spectralot import HarmonicTracks, ParameterError, __version__
from spectralot.cli import main

RATE = 8000


@pytest.fixture
def fit(monkeypatch):
    """Replace the fit by a stand-in that finds 220 Hz; 7 samples are too short for it."""

    def fit_note(audio, sample_rate):
        if len(audio) == 7:
            raise ParameterError("audio must have at least 64 samples, got 7")
        tracks = dict(time_s=[0.0], f0_hz=[220.0], confidence=[1.0], phases=[[0.0, 0.0]])
        return HarmonicTracks(
            **tracks, amplitudes=[[0.1, 0.1]], sample_rate=sample_rate, n_samples=len(audio)
        )

    monkeypatch.setattr("spectralot.estimate.fit.fit_note", fit_note)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, so that messages hold short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wav(path, n_samples=400, rate=RATE, **options):
    sf.write(path, np.linspace(-0.5, 0.5, n_samples), rate, **options)


def call(*args):
    return CliRunner().invoke(main, list(map(str, args)))


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


def test_landscape_of_a_file(folder, fit):
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
