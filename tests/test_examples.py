"""The examples as a reader would start them."""

import csv
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import spectralot as so

ROOT = Path(__file__).parents[1]
NOTES = ROOT / "examples" / "notes"
GALLERY = sorted((ROOT / "examples").glob("plot_*.py"))


def start(*command, cwd):
    """Run a command there; warnings are errors in it as they are here."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={"PYTHONWARNINGS": "error", **os.environ},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def short_note(tmp_path):
    """0.3 s of the recorder beside a table of known pitches."""
    audio, sample_rate = so.read_audio(NOTES / "recorder_E6.wav")
    folder = tmp_path / "in"
    folder.mkdir()
    begin = int(0.4 * sample_rate)
    so.write_wav(folder / "short.wav", audio[begin : begin + int(0.3 * sample_rate)], sample_rate)
    (folder / "notes.csv").write_text("file,f0_hz\nother.wav,1\nshort.wav,1323.354\n")
    return folder / "short.wav"


def test_fit_single_note(short_note, tmp_path):
    pytest.importorskip("matplotlib")
    script = ROOT / "examples" / "fit_single_note.py"
    out = tmp_path / "new" / "out"
    names = ["short.model.wav", "short.png", "short.residual.wav"]
    out.mkdir(parents=True)
    for name in names:
        (out / name).write_text("an earlier run's")
    done = start(sys.executable, script, short_note, "-o", "new/out", cwd=tmp_path)
    first, second, third = done.stdout.splitlines()
    found = re.fullmatch(
        r"short\.wav: f0 ([\d.]+) Hz \(([+-][\d.]+) cents from 1323\.354 Hz\)", first
    )
    assert found and abs(float(found[1]) - 1323.354) < 4 and abs(float(found[2])) < 5
    assert re.fullmatch(r"residual -\d+\.\d dB .*, fitted in \d+\.\d s", second)
    assert sorted(os.listdir(out)) == names
    assert all(f"new/out/{name}" in third for name in names)
    recorded, model, residual = (
        sf.read(file)[0] for file in (short_note, out / names[0], out / names[2])
    )
    np.testing.assert_allclose(model + residual, recorded, atol=1e-4)  # 16 bits each
    assert (out / "short.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_example_knows_the_pitch_of_the_shipped_notes(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(ROOT / "examples")
    import fit_single_note

    with open(NOTES / "notes.csv", newline="") as table:
        known = {row["file"]: float(row["f0_hz"]) for row in csv.DictReader(table)}
    assert len(known) == 3
    for file, f0_hz in known.items():
        assert fit_single_note.known_pitch(NOTES / file) == f0_hz
    assert fit_single_note.known_pitch(ROOT / "README.md") is None


@pytest.fixture
def shown(monkeypatch):
    """The figures that were there when an example called plt.show()."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figures = []
    monkeypatch.setattr(plt, "show", lambda: figures.extend(map(plt.figure, plt.get_fignums())))
    with matplotlib.rc_context():
        yield figures
    plt.close("all")


def files_and_times(folder):
    return {
        file: file.stat().st_mtime_ns
        for file in folder.rglob("*")
        if "__pycache__" not in file.parts and file.is_file()
    }


def labelled(ax, name):
    """Whether the x or y axis names its quantity, itself or where it is shared, or has no ticks."""
    axes = getattr(ax, f"get_shared_{name}_axes")().get_siblings(ax)
    named = any(getattr(each, f"get_{name}label")() for each in axes)
    return named or not len(getattr(ax, f"get_{name}ticks")())


def test_there_is_a_gallery():
    assert len(GALLERY) >= 9


@pytest.mark.parametrize("script", GALLERY, ids=lambda script: script.stem)
def test_gallery(script, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = files_and_times(script.parent)
    names = runpy.run_path(str(script), run_name="__main__")
    title, rule = names["__doc__"].strip().splitlines()[:2]
    assert rule == "=" * len(title)
    (figure,) = shown
    figure.canvas.draw()  # warns where a glyph is missing or the layout fails
    assert any(ax.get_title(loc) for ax in figure.axes for loc in ("left", "center"))
    for ax in figure.axes:
        assert ax.name == "polar" or (labelled(ax, "x") and labelled(ax, "y"))
    assert not any(tmp_path.iterdir()) and files_and_times(script.parent) == before


def test_gallery_runs_without_a_file_name(shown, monkeypatch):
    """In the gallery's builder there is no __file__, and the folder is the script's."""
    script = ROOT / "examples" / "plot_timbre.py"
    monkeypatch.chdir(script.parent)
    exec(compile(script.read_text(), script.name, "exec"), {"__name__": "__main__"})
    assert len(shown) == 1
