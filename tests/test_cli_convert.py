"""``spectralot convert`` and ``spectralot eval``: what they print, write and refuse."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from spectralot import HarmonicTracks, read_tracks
from spectralot.cli import main
from spectralot.formats import FORMATS

HAND = Path(__file__).parent / "data" / "formats"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, so that messages hold short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*args):
    return CliRunner().invoke(main, list(map(str, args)))


@pytest.mark.parametrize("command", ["convert", "eval"])
def test_help_imports_nothing_heavy(command):
    code = (
        "import sys\n"
        "from spectralot.cli import main\n"
        f"main(['{command}', '--help'], standalone_mode=False)\n"
        "heavy = {'numpy', 'numba', 'scipy', 'rich', 'mido'} & set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout


def test_help_lists_every_format():
    text = call("convert", "--help").stdout
    for name, form in FORMATS.items():
        assert f"  {name:<11}{form.suffix:<12}{form.what}\n" in text


def test_converts_by_suffixes(folder):
    result = call("convert", HAND / "mirex.txt", "a.PitchTier")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        f"{HAND / 'mirex.txt'} (mir_eval) -> a.PitchTier (pitchtier): 6 frames, 50 % voiced\n"
    )
    for source, target in (("a.PitchTier", "b.svl"), ("b.svl", "c.jams"), ("c.jams", "d.csv")):
        assert call("convert", source, target).exit_code == 0
    tracks = read_tracks("d.csv")
    assert tracks.voiced.tolist() == [False, True, True, False, False, True]
    np.testing.assert_allclose(tracks.f0_hz[tracks.voiced], [220, 221.5, 440])
    assert sorted(os.listdir()) == ["a.PitchTier", "b.svl", "c.jams", "d.csv"]


def test_options_say_what_suffixes_do_not(folder):
    args = ("--from", "crepe", "--to", "mirex", "--unvoiced", "nan")
    assert call("convert", HAND / "crepe.csv", "a", *args).exit_code == 0
    lines = Path("a").read_text().splitlines()
    assert lines[:2] == ["0.000\tnan", "0.010\t220.000"]
    assert call("convert", "a", "a.npz", "--from", "mir_eval", "--sample-rate", 8000).exit_code == 0
    assert HarmonicTracks.load_npz("a.npz").sample_rate == 8000
    for to, shown in (("mirex", "-110.000"), ("mir_eval", "0.000"), ("csv", "110.000")):
        assert call("convert", HAND / "own.json", to, "--to", to).exit_code == 0
        assert shown in Path(to).read_text().replace(",", "\t").splitlines()[-3].split("\t")


def test_existing_files_are_kept_unless_told(folder):
    Path("a.csv").write_text("mine")
    result = call("convert", HAND / "mirex.txt", "a.csv")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "cannot write a.csv: it exists already; set overwrite to replace it\n"
    assert Path("a.csv").read_text() == "mine"
    assert call("convert", HAND / "mirex.txt", "a.csv", "--overwrite").exit_code == 0
    assert Path("a.csv").read_text().startswith("time,frequency,confidence\n")


def test_failures_are_one_line(folder):
    Path("bad.csv").write_text("time,frequency\n0,220\n0.01,a4\n")
    Path("empty.txt").write_text("")
    for args, message in (
        (["gone.csv", "a.npz"], "cannot read gone.csv: No such file or directory"),
        (["bad.csv", "a.npz"],
         "cannot read bad.csv: line 3: frequency must be a number, got 'a4'"),
        (["empty.txt", "a.npz"], "cannot read empty.txt: it holds no frames"),
        ([HAND / "crepe.csv", "a.spear.txt"],
         "tracks must hold amplitudes for spear, got f0 alone"),
    ):  # fmt: skip
        result = call("convert", *args)
        assert (result.exit_code, result.output) == (1, message + "\n")
    for args in (["bad.csv", HAND / "mirex.txt"], [HAND / "mirex.txt", "bad.csv"]):
        result = call("eval", *args)
        assert (result.exit_code, result.output) == (
            1, "cannot read bad.csv: line 3: frequency must be a number, got 'a4'\n",
        )  # fmt: skip
    assert sorted(os.listdir()) == ["bad.csv", "empty.txt"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["convert", "a.csv"], "Missing argument 'OUT'"),
        (["convert", "a.csv", "a.wav"], "--to must be given for a.wav, which ends in none of"),
        (["convert", "a", "a.csv"], "--from must be given for a, which ends in none of .csv"),
        (["convert", "a.csv", "a.svl", "--unvoiced", "nan"], "--unvoiced is not for svl: leave"),
        (["convert", "a.csv", "a.svl", "--to", "wav"], "'wav' is not one of 'csv', 'crepe'"),
        (["convert", "a.csv", "a.svl", "--sample-rate", "0"], "0.0 is not in the range x>0"),
        (["eval", "a.csv"], "Missing argument 'EST'"),
        (["eval", "a", "a.csv"], "--from-ref must be given for a, which"),
        (["eval", "a.csv", "a.csv", "--from-est", "b"], "'b' is not one of"),
    ],
)
def test_wrong_usage_exits_2(folder, args, message):
    result = call(*args)
    assert result.exit_code == 2
    assert message in result.output
    assert os.listdir() == []


@pytest.fixture
def pair(folder, rng):
    """A reference from 20 ms on, and an estimate at other times with errors of all kinds."""
    time_s = 0.02 + 0.01 * np.arange(300)
    ref = 200 * 2 ** (np.sin(time_s))
    off = rng.choice([3, 15, 35, 80, 1200, 700], 520) / 1200
    est_time = 0.0058 * np.arange(520)
    est = 200 * 2 ** (np.sin(est_time) + off)
    ref[100:140], est[200:220], est[300:340] = 0, 0, -est[300:340]
    np.savetxt("ref.txt", np.column_stack([time_s, ref]), fmt="%.6f")
    np.savetxt("est.txt", np.column_stack([est_time, est]), fmt="%.6f")
    return "ref.txt", "est.txt"


def test_eval_prints_mir_evals_scores(pair):
    mir_eval = pytest.importorskip("mir_eval")
    sides = [mir_eval.io.load_time_series(name) for name in pair]
    expected = mir_eval.melody.evaluate(*sides[0], *sides[1])
    result = call("eval", *pair, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["ref"] == {"file": "ref.txt", "frames": 300, "voiced_share": 260 / 300}
    assert found["est"]["frames"] == 520
    for name, key in (
        ("Raw Pitch Accuracy", "rpa50"), ("Raw Chroma Accuracy", "rca50"),
        ("Overall Accuracy", "oa50"), ("Voicing Recall", "vr"), ("Voicing False Alarm", "vfa"),
    ):  # fmt: skip
        assert found["scores"][key] == pytest.approx(expected[name], abs=1e-9)


def test_eval_prints_a_table(pair):
    scores = json.loads(call("eval", *pair, "--json").stdout)["scores"]
    result = call("eval", *pair)
    assert (result.exit_code, result.stderr) == (0, "")
    head, table, rest = result.stdout.split("\n\n")
    assert head.splitlines() == [
        "REF: ref.txt, 300 frames, 87 % voiced", "EST: est.txt, 520 frames, 88 % voiced",
    ]  # fmt: skip
    lines = table.splitlines()
    assert lines[0].split() == ["50", "cents", "25", "cents", "10", "cents"]
    for line in lines[1:]:
        name, *values, unit = line.split()
        key, scale = name.lower(), 1 if name == "FPE" else 100
        assert unit == ("cents" if name == "FPE" else "%")
        expected = [scale * scores[f"{key}{cents}"] for cents in (50, 25, 10)]
        assert list(map(float, values)) == pytest.approx(expected, abs=0.0051)
    assert [line.split()[0] for line in lines[1:]] == ["RPA", "RCA", "OA", "GPE", "FPE"]
    last = [float(line.split()[-2]) for line in rest.splitlines()]
    expected = [100 * scores[key] for key in ("vr", "vfa", "gpe_20_percent")]
    assert last == pytest.approx(expected, abs=0.0051)


def test_eval_of_silence_has_no_errors_to_show(folder):
    Path("a.txt").write_text("0 0\n0.01 0\n")
    result = call("eval", "a.txt", "a.txt")
    assert result.exit_code == 0 and result.stdout.count("n/a") == 7
    scores = json.loads(call("eval", "a.txt", "a.txt", "--json").stdout)["scores"]
    assert scores["gpe50"] is None and scores["oa50"] == 1


def test_eval_reads_any_two_formats(folder):
    for ref, est in (("mirex.txt", "layer.svl"), ("own.json", "praat_long.PitchTier")):
        scores = json.loads(call("eval", HAND / ref, HAND / est, "--json").stdout)["scores"]
        assert (scores["rpa10"], scores["oa10"], scores["vr"], scores["vfa"]) == (1, 1, 1, 0)
