"""``spectralot resynth``: what it writes, says and refuses, on recordings and on other files."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from click.testing import CliRunner

from spectralot import HarmonicEstimator, HarmonicTracks, read_audio, read_tracks, write_tracks
from spectralot.cli import main

NOTES = Path(__file__).parents[1] / "examples" / "notes"


@pytest.fixture(scope="module")
def estimates():
    return {
        name: HarmonicEstimator().estimate(*read_audio(NOTES / f"{name}.wav"))
        for name in ("cello_D2", "clarinet_F4")
    }


@pytest.fixture
def folder(tmp_path, monkeypatch, estimates):
    """Work in a folder that holds two takes and f0 alone of one, so that messages are short."""
    monkeypatch.chdir(tmp_path)
    for name, file in (("cello_D2", "a.npz"), ("clarinet_F4", "b.npz")):
        estimates[name].save_npz(file)
    estimates["cello_D2"].save_csv("f0.csv")
    return tmp_path


def call(*args):
    return CliRunner().invoke(main, ["resynth", *map(str, args)])


def heard(file):
    """Median f0 where voiced, sound and rate."""
    sound, rate = sf.read(file)
    tracks = HarmonicEstimator().estimate(sound, rate)
    return np.median(tracks.f0_hz[tracks.voiced]), sound, rate


def median_hz(tracks):
    return np.median(tracks.f0_hz[tracks.voiced])


def cents(found_hz, expected_hz):
    return abs(1200 * np.log2(found_hz / expected_hz))


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from spectralot.cli import main\n"
        "main(['resynth', '--help'], standalone_mode=False)\n"
        "heavy = {'numpy', 'numba', 'scipy', 'soundfile'} & set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout


def test_a_take_comes_back(folder, estimates):
    result = call("a.npz")
    assert (result.exit_code, result.stderr) == (0, "")
    f0_hz = estimates["cello_D2"].f0_hz[estimates["cello_D2"].amplitudes.any(axis=1)]
    assert result.stdout == (
        f"a.npz -> a.resynth.wav: 1.500 s at 44100 Hz, "
        f"f0 {f0_hz.min():.1f} to {f0_hz.max():.1f} Hz\n"
    )
    found_hz, sound, rate = heard("a.resynth.wav")
    assert rate == 44100 and cents(found_hz, median_hz(estimates["cello_D2"])) < 1
    expected = estimates["cello_D2"].resynthesize()
    np.testing.assert_allclose(sound[300:-300], expected[300:-300], atol=2 / 2**15)
    assert sorted(os.listdir()) == ["a.npz", "a.resynth.wav", "b.npz", "f0.csv"]


@pytest.mark.parametrize(
    ("args", "ratio"),
    [
        (["--pitch", "7"], 2 ** (7 / 12)),
        (["--pitch", "-3.5", "--envelope", "move"], 2 ** (-3.5 / 12)),
        (["--pitch-ratio", "1.25"], 1.25),
        (["--pitch", "12", "--stretch", "1.6", "--harmonics", "even:-3dB"], 2),
    ],
)
def test_pitch_and_pace(folder, estimates, args, ratio):
    result = call("b.npz", "-o", "out.wav", *args)
    assert (result.exit_code, result.stderr) == (0, "")
    found_hz, sound, _ = heard("out.wav")
    assert cents(found_hz, ratio * median_hz(estimates["clarinet_F4"])) < 1
    factor = 1.6 if "--stretch" in args else 1
    assert len(sound) == round(factor * estimates["clarinet_F4"].n_samples)
    step = np.abs(np.diff(sound, prepend=0.0, append=0.0))
    assert sound[0] == sound[-1] == 0
    assert max(step[:500].max(), step[-500:].max()) <= step[500:-500].max()


def test_gains_are_in_the_file(folder):
    call("b.npz")
    result = call("b.npz", "-o", "out.wav", "--harmonics", "2-:off")
    assert result.exit_code == 0
    plain, out = (sf.read(file)[0][20000:40000] for file in ("b.resynth.wav", "out.wav"))
    hz = np.fft.rfftfreq(20000, 1 / 44100)
    before, after = (np.abs(np.fft.rfft(x * np.blackman(20000))) for x in (plain, out))
    first = (hz > 330) & (hz < 370)
    np.testing.assert_allclose(after[first].max(), before[first].max(), rtol=1e-3)
    assert after[hz > 600].max() < 1e-3 * before[hz > 600].max()


def test_takes_are_morphed(folder, estimates):
    for args, share in (((), 0.5), (("--at", 0.25), 0.25)):
        result = call("a.npz", "--morph", "b.npz", *args, "-o", "m.wav", "--overwrite")
        assert (result.exit_code, result.stderr) == (0, "")
        ends = [median_hz(estimates[name]) for name in ("cello_D2", "clarinet_F4")]
        assert cents(heard("m.wav")[0], ends[0] ** (1 - share) * ends[1] ** share) < 10
    for share, file in ((0, "a.npz"), (1, "b.npz")):
        call("a.npz", "--morph", "b.npz", "--at", share, "-o", f"{share}.wav")
        call(file)
        with open(f"{share}.wav", "rb") as one, open(f"{file[0]}.resynth.wav", "rb") as other:
            assert one.read() == other.read()


def test_another_rate(folder, estimates):
    result = call("a.npz", "--sample-rate", 22050)
    assert (result.exit_code, result.stderr) == (0, "")
    found_hz, sound, rate = heard("a.resynth.wav")
    assert (rate, len(sound)) == (22050, 33075)
    assert cents(found_hz, median_hz(estimates["cello_D2"])) < 1


def test_what_is_too_loud_is_made_softer(folder):
    result = call("b.npz", "--harmonics", "all:+20dB")
    assert (result.exit_code, result.stderr) == (0, "")
    line, gain = result.stdout.splitlines()
    assert line.startswith("b.npz -> b.resynth.wav: ")
    peak = np.abs(read_tracks("b.npz").resynthesize()).max()
    expected = 20 + 20 * np.log10(peak)
    assert gain == f"made softer by {expected:.1f} dB: it was beyond full scale"
    sound, _ = sf.read("b.resynth.wav")
    assert sf.info("b.resynth.wav").subtype == "PCM_16"
    assert 0.999 < np.abs(sound).max() <= 1


def test_partials_of_spear_and_json_are_heard(folder, estimates):
    for file in ("s.spear.txt", "s.json"):
        write_tracks(estimates["clarinet_F4"], file)
        result = call(file, "--pitch", -5, "-o", f"{file}.wav")
        assert (result.exit_code, result.stderr) == (0, "")
        expected = median_hz(estimates["clarinet_F4"]) * 2 ** (-5 / 12)
        assert cents(heard(f"{file}.wav")[0], expected) < 1
    assert call("s.spear.txt", "--sample-rate", 16000).exit_code == 0
    assert sf.info("s.spear.resynth.wav").samplerate == 16000


def test_silence_stays_silence(folder):
    nothing = np.zeros((11, 2))
    HarmonicTracks(0.1 * np.arange(11), np.full(11, 100.0), np.zeros(11), nothing, nothing,
                   8000, 8000).save_npz("none.npz")  # fmt: skip
    result = call("none.npz", "--pitch", 5)
    assert result.stdout == "none.npz -> none.resynth.wav: 1.000 s at 8000 Hz, silent\n"
    assert not sf.read("none.resynth.wav")[0].any()


def test_existing_files_are_kept_unless_told(folder):
    Path("a.resynth.wav").write_text("mine")
    result = call("a.npz")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "cannot write a.resynth.wav: it exists already; set overwrite to replace it\n"
    )
    assert Path("a.resynth.wav").read_text() == "mine"
    assert call("a.npz", "--overwrite").exit_code == 0
    assert sf.info("a.resynth.wav").frames == 66150


def test_failures_are_one_line(folder):
    Path("bad.npz").write_text("no archive")
    before = sorted(os.listdir())
    for args, message in (
        (["gone.npz"], "cannot read gone.npz: No such file or directory"),
        (["bad.npz"], "cannot load bad.npz: it is no NumPy archive, or is cut short"),
        (["f0.csv"], "f0.csv holds f0 alone: resynth needs the amplitudes of harmonics"),
        (["a.npz", "--morph", "f0.csv"],
         "f0.csv holds f0 alone: resynth needs the amplitudes of harmonics"),
        (["a.npz", "--morph", "gone.npz"], "cannot read gone.npz: No such file or directory"),
        (["a.npz", "-o", "no/x.wav"], "cannot write no/x.wav: there is no folder no"),
    ):  # fmt: skip
        result = call(*args)
        assert (result.exit_code, result.output) == (1, message + "\n")
    write_tracks(read_tracks("b.npz"), "b.json")
    Path("b.json").write_text(Path("b.json").read_text().replace("44100", "8000", 1))
    result = call("b.json", "--pitch-ratio", 13)
    assert result.exit_code == 1 and len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("f0_hz must be below sample_rate / 2 = 4000 Hz, got ")
    assert sorted(os.listdir()) == sorted([*before, "b.json"])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "Missing argument 'TRACKS'"),
        (["a.npz", "-o", "x.mp3"], "must end in .wav, got x.mp3"),
        (["a.npz", "--pitch", "1", "--pitch-ratio", "2"], "--pitch and --pitch-ratio exclude"),
        (["a.npz", "--pitch", "nan"], "'nan' is not"),
        (["a.npz", "--pitch", "60"], "60.0 is not in the range -48<=x<=48"),
        (["a.npz", "--pitch-ratio", "0"], "0.0 is not in the range"),
        (["a.npz", "--envelope", "move"], "--envelope is for --pitch and --pitch-ratio: leave"),
        (["a.npz", "--pitch", "1", "--envelope", "x"], "'x' is not one of 'keep', 'move'"),
        (["a.npz", "--stretch", "0"], "0.0 is not in the range 0.01<=x<=100"),
        (["a.npz", "--at", "0.5"], "--at is for --morph: leave it out"),
        (["a.npz", "--morph", "b.npz", "--at", "2"], "2.0 is not in the range 0<=x<=1"),
        (["a.npz", "--harmonics", "2:-6"], "--harmonics: gains must be terms such as 2:-6dB"),
        (["a.npz", "--harmonics", "5-2:off"], "harmonics must count upwards from 1, got '5-2:off'"),
        (["a.npz", "--sample-rate", "0"], "0 is not in the range x>=1"),
    ],
)
def test_wrong_usage_exits_2(folder, args, message):
    before = sorted(os.listdir())
    result = call(*args)
    assert result.exit_code == 2
    assert message in result.output
    assert sorted(os.listdir()) == before
