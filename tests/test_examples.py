"""The example as a reader would start it."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import spectralot as so

ROOT = Path(__file__).parents[1]
NOTES = ROOT / "examples" / "notes"


def start(*command, cwd):
    """Run a command there; warnings are errors in it as they are here."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, "PYTHONWARNINGS": "error"},
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
