"""``spectralot train`` and ``spectralot evaluate``: what is printed, written and refused."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from click.testing import CliRunner

from spectralot.cli import main
from spectralot.cli.train import train as command
from spectralot.learn import (
    ENCODERS,
    OBJECTIVES,
    HarmonicModel,
    TrainConfig,
    paper_sounds,
    recorded_sounds,
    scores,
    varied_sounds,
)
from spectralot.learn import train as learn

N_STEPS, N_SOUNDS = 4, 40
STEPS = ("--batch-size", 4, "--steps", N_STEPS, "--validate-every", 2)
TINY = ("--sounds", N_SOUNDS, *STEPS)
SPLIT = "28 to learn from, 8 to validate, 4 to test"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, so that messages hold short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*args):
    return CliRunner().invoke(main, list(map(str, args)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on the paper's sounds, and what was printed."""
    run = tmp_path_factory.mktemp("trained") / "run"
    result = call("train", "-o", run, *TINY)
    assert (result.exit_code, result.stderr) == (0, "")
    return run, result.stdout


@pytest.fixture
def recordings(folder):
    """13 slices in two recordings, of which one has silence at its end."""
    os.makedirs("in/deep")
    tones = 0.3 * np.sin(2 * np.pi * np.array([[200], [330]]) * np.arange(40960) / 16000)
    sf.write("in/a.wav", tones[0], 16000)
    sf.write("in/deep/b.flac", np.append(tones[1][:14000], np.zeros(9000)), 16000)
    return "in"


@pytest.fixture
def learning(monkeypatch):
    """What training is asked for; it takes no time."""
    asked = []

    def stand_in(config, training, validation, *, folder, progress):
        asked.append((config, training, validation, folder))
        return learn(TrainConfig(steps=1, batch_size=1), training[:1], validation[:1])

    monkeypatch.setattr("spectralot.learn.train", stand_in)
    return asked


def parameters(file):
    return HarmonicModel.load(file).parameters.flat


@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_help_imports_nothing_heavy(name):
    code = (
        "import sys\n"
        "from spectralot.cli import main\n"
        f"main(['{name}', '--help'], standalone_mode=False)\n"
        "heavy = {'numpy', 'numba', 'scipy', 'rich', 'soundfile', 'matplotlib'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout


def test_help_tells_the_defaults():
    """They are written out there, where nothing heavy may be imported."""
    told, defaults = {option.name: option for option in command.params}, TrainConfig()
    for name in ("objective", "seed", "steps", "batch_size", "learning_rate", "validate_every",
                 "patience"):  # fmt: skip
        assert told[name].help.endswith(f"[default: {getattr(defaults, name)}]")
    assert told["encoder"].default == defaults.encoder["kind"]
    assert list(told["encoder"].type.choices) == list(ENCODERS)
    text = " ".join(call("train", "--help").stdout.split())
    assert "The same command given again goes on from RUN's checkpoint" in text


# train


def test_training_prints_validations_scores_and_the_model(trained):
    run, text = trained
    assert sorted(os.listdir(run)) == ["checkpoint.npz", "log.csv", "model.npz"]
    first, *rows, test, model = text.splitlines()
    assert first == f"{N_SOUNDS} of the paper's sounds: {SPLIT}"
    found = [
        re.fullmatch(r"step (\d) of 4: loss [\d.]+, LSD (.*) dB\^2, RPA (.*) %", row)
        for row in rows
    ]
    log = [line.split(",") for line in Path(run, "log.csv").read_text().splitlines()]
    at = [log[0].index(key) for key in ("step", "lsd", "rpa")]
    for match, row in zip(found, log[1:], strict=True):
        step, lsd, rpa = (float(row[i]) for i in at)
        assert match.groups() == (f"{step:.0f}", f"{lsd:.2f}", f"{rpa:.1f}")
    best = scores(HarmonicModel.load(run / "model.npz"), paper_sounds(N_SOUNDS).split()[2])
    assert test == (
        "test: LSD {lsd:.2f} dB^2, RPA {rpa:.1f} %, RCA {rca:.1f} %, octaves {octaves:.3f}, "
        "cents {cents:.1f}".format(**best)
    )
    assert model == f"model: {run / 'model.npz'}"


def test_a_command_is_the_same_as_the_function(trained):
    config = TrainConfig(batch_size=4, steps=4, validate_every=2)
    expected = learn(config, *paper_sounds(N_SOUNDS).split()[:2])
    np.testing.assert_array_equal(
        parameters(trained[0] / "model.npz"), expected.model.parameters.flat
    )


def test_a_finished_run_tells_its_scores_again(trained):
    run, text = trained
    result = call("train", "-o", run, *TINY)
    first, *_, test, model = text.splitlines()
    assert (result.exit_code, result.output.splitlines()) == (0, [first, test, model])


@pytest.mark.parametrize(
    "changed",
    [("--seed", 1), ("--steps", 5), ("--encoder", "dense"), ("--objective", "LIN"),
     ("--snr-db", 20), ("--synthetic", "varied"), ("--sounds", 41), ("--learning-rate", 0.1),
     ("--patience", 3)],
)  # fmt: skip
def test_a_run_of_other_settings_is_refused(trained, changed):
    run, _ = trained
    before = {path: path.read_bytes() for path in run.iterdir()}
    result = call("train", "-q", "-o", run, *TINY, *changed)
    assert result.exit_code == 1
    assert result.output == (
        f"cannot go on from {run}/checkpoint.npz: it is of other settings or sounds: "
        "choose another folder\n"
    )
    assert before == {path: path.read_bytes() for path in run.iterdir()}


def test_a_broken_checkpoint_is_one_line(folder):
    os.mkdir("run")
    Path("run/checkpoint.npz").write_bytes(b"broken")
    result = call("train", "-q", "-o", "run", *TINY)
    assert result.exit_code == 1
    assert result.output == "cannot read run/checkpoint.npz: it is no checkpoint, or damaged\n"


def test_quiet_prints_nothing(folder, trained):
    result = call("train", "-q", "-o", "new/run", *TINY)
    assert (result.exit_code, result.output) == (0, "")
    np.testing.assert_array_equal(
        parameters("new/run/model.npz"), parameters(trained[0] / "model.npz")
    )


def test_every_option_reaches_the_training(folder, learning):
    options = ("--objective", "SOT-512", "--encoder", "paper", "--seed", 3, "--steps", 7,
               "--batch-size", 5, "--learning-rate", 0.25, "--patience", 2, "--validate-every", 6,
               "--sounds", 50, "--snr-db", -3.5)  # fmt: skip
    assert call("train", "-o", "run", *options).exit_code == 0
    config, training, validation, run = learning[0]
    # the paper's encoder takes the transform as it is
    assert config == TrainConfig(
        objective="SOT-512", encoder={"kind": "paper"}, frames={"calibrated": False}, seed=3,
        steps=7, batch_size=5, learning_rate=0.25, patience=2, validate_every=6,
    )  # fmt: skip
    expected = paper_sounds(50, snr_db=-3.5).split()
    for part, other in zip((training, validation), expected, strict=False):
        assert np.array_equal(part.audio, other.audio) and np.array_equal(part.f0_hz, other.f0_hz)
    assert run == "run"


def test_what_is_left_out_has_its_default(folder, learning):
    result = call("train", "-o", "run")
    assert result.stdout.startswith("4000 of the paper's sounds: 2800 to learn from, 800 to ")
    assert learning[0][0] == TrainConfig() and len(learning[0][1]) == 2800
    result = call("train", "-o", "run", "--sounds", N_SOUNDS, "--snr-db", 20)
    assert result.stdout.startswith(f"40 of the paper's sounds, noise 20 dB below: {SPLIT}\n")


def test_varied_sounds_can_be_learned_from(folder, learning):
    result = call("train", "-o", "run", "--synthetic", "varied", "--sounds", N_SOUNDS)
    assert result.stdout.startswith(f"40 varied sounds: {SPLIT}\n")
    expected = varied_sounds(N_SOUNDS).split()[0]
    assert np.array_equal(learning[0][1].audio, expected.audio)


def test_recordings_are_learned_from(recordings, learning):
    result = call("train", "-o", "run", "in/deep/*.flac", "in/a.wav")
    assert (result.exit_code, result.stderr) == (0, "")
    first, *_, test, _ = result.stdout.splitlines()
    assert first == "14 slices of 2 recording(s): 10 to learn from, 3 to validate, 1 to test"
    assert re.fullmatch(r"test: LSD [\d.]+ dB\^2", test)  # f0 is not known
    expected = recorded_sounds(["in/deep/b.flac", "in/a.wav"]).split()
    for part, other in zip(learning[0][1:3], expected, strict=False):
        assert np.array_equal(part.audio, other.audio) and part.f0_hz is None


def test_recordings_are_really_learned_from(recordings):
    result = call("train", "-o", "run", "in", *STEPS)
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 5 and "RPA" not in result.stdout
    assert parameters("run/model.npz").any()


def test_a_file_that_cannot_be_read_costs_one_line(recordings):
    Path("in/bad.wav").write_text("no audio")
    sf.write("in/zero.wav", np.zeros(9000), 16000)
    result = call("train", "-o", "run", "in", "gone.wav", "no*.wav", *STEPS)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "no recording matches no*.wav",
        "cannot read in/bad.wav: Format not recognised",
        "in/zero.wav: files must hold 4096 samples at 16000 Hz that are not silent, got none in "
        "1 file(s)",
        "cannot read gone.wav: No such file or directory",
    ]
    assert result.stdout.startswith("14 slices of 2 recording(s): 10 to learn from")
    assert result.stdout.endswith("model: run/model.npz\n")
    os.remove("in/bad.wav")
    again = call("train", "-o", "run", "in", *STEPS)  # the same sounds as before
    assert again.exit_code == 1 and "zero.wav" in again.stderr and "model: run" in again.stdout


def test_too_few_sounds_are_one_line(recordings):
    for words, lines in (
        (["gone.wav"], ["cannot read gone.wav: No such file or directory"]),
        (["in/deep"], ["recordings must hold 10 slices of 4096 samples at 16000 Hz that are not "
                       "silent, got 4"]),
        (["in", "-q"], ["training must hold batch_size = 32 sounds at least, got 10"]),
    ):  # fmt: skip
        result = call("train", "-o", "run", *words)
        assert (result.exit_code, result.stderr.splitlines()) == (1, lines)
    assert not Path("run/checkpoint.npz").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-o", "run", "--objective", "L2"], "--objective must be one of guided, LIN, MSS, "),
        (["-o", "run", "--objective", "L2"], "got 'L2'"),
        ([], "Missing option '-o' / '--output'"),
        (["-o", "file"], "Directory 'file' is a file"),
        (["-o", "run", "--encoder", "deep"], "'deep' is not one of 'shared', 'dense', 'paper'"),
        (["-o", "run", "--steps", "0"], "0 is not in the range x>=1"),
        (["-o", "run", "--steps", "1.5"], "'1.5' is not a valid integer"),
        (["-o", "run", "--batch-size", "0"], "0 is not in the range x>=1"),
        (["-o", "run", "--validate-every", "0"], "0 is not in the range x>=1"),
        (["-o", "run", "--patience", "-1"], "-1 is not in the range x>=0"),
        (["-o", "run", "--seed", "-1"], "-1 is not in the range x>=0"),
        (["-o", "run", "--learning-rate", "0"], "0.0 is not in the range x>0"),
        (["-o", "run", "--learning-rate", "nan"], "'nan' is not finite"),
        (["-o", "run", "--snr-db", "inf"], "is not in the range -100<=x<=200"),
        (["-o", "run", "--sounds", "9"], "9 is not in the range x>=10"),
        (["-o", "run", "--synthetic", "all"], "'all' is not one of 'paper', 'varied'"),
        (["-o", "run", "--synthetic", "varied", "--snr-db", "3"], "--snr-db is for the paper's s"),
        (["-o", "run", "in", "--sounds", "50"], "--sounds is for synthetic sounds: leave it out"),
        (["-o", "run", "in", "--snr-db", "3"], "--snr-db is for synthetic sounds: leave it out"),
        (["-o", "run", "in", "--synthetic", "paper"], "--synthetic is for synthetic sounds"),
        (["-o", "run", "--loud"], "No such option"),
    ],
)
def test_wrong_usage_exits_2(folder, args, message):
    Path("file").write_text("")
    result = call("train", *args)
    assert result.exit_code == 2
    assert message in result.output
    assert os.listdir() == ["file"]


def test_a_wrong_objective_lists_them_all(folder):
    result = call("train", "-o", "run", "--objective", "nix")
    assert result.output == (
        f"Error: --objective must be one of {', '.join(OBJECTIVES)}, got 'nix'\n"
    )


def test_a_loss_that_is_no_number_is_one_line(folder, monkeypatch):
    def diverge(*_, **__):
        raise FloatingPointError("the loss is nan at step 7")

    monkeypatch.setattr("spectralot.learn.train", diverge)
    result = call("train", "-q", "-o", "run", *TINY)
    assert result.exit_code == 1
    assert result.output == (
        "the loss is nan at step 7: try a lower --learning-rate in another RUN\n"
    )


def test_training_that_stops_early_says_so(folder, monkeypatch):
    from spectralot.learn import trainer

    worse = iter(range(10))
    monkeypatch.setattr(trainer, "scores", lambda *_: {"lsd": float(next(worse))})
    options = ("--sounds", 40, "--batch-size", 4, "--steps", 9, "--validate-every", 1)
    result = call("train", "-o", "run", *options, "--patience", 2)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-3] == (
        "stopped at step 3 of 9: none of the last 2 validations was better"
    )


def test_an_interrupt_before_the_first_step_is_one_line(folder, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("spectralot.learn.paper_sounds", interrupted)
    result = call("train", "-o", "run", *TINY)
    assert (result.exit_code, result.output) == (
        130, "interrupted before the first step: run the same command again to go on\n",
    )  # fmt: skip


def test_an_interrupted_training_goes_on(folder):
    """Processes of their own, because a signal ends them."""
    code = (
        "import sys, signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from spectralot.cli import main; main(sys.argv[1:])"
    )
    args = ["train", "-o", "run", "--sounds", "20", "--batch-size", "4", "--validate-every", "2"]
    args += ["--steps", "100000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    before = 0
    for again in (False, True):
        with subprocess.Popen([sys.executable, "-c", code, *args], **pipes) as process:
            lines = [process.stdout.readline() for _ in range(3)]
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        found = re.fullmatch(
            r"interrupted at step (\d+) of 100000: run the same command again to go on\n", err
        )
        with np.load("run/checkpoint.npz") as file:
            step = int(file["step"])
        assert int(found[1]) == step > before and not Path("run/model.npz").exists()
        assert (lines[1] == f"going on from step {before}\n") is again
        assert re.match(r"step \d+ of 100000: loss ", lines[2])
        before = step


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
def test_bar_is_drawn_on_a_terminal_only(folder, recordings, monkeypatch, quiet):
    """Standard error is a terminal here, standard output is not: results keep to their pipe."""
    reader, writer = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with os.fdopen(writer, "w") as terminal, open("out.txt", "w") as out:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(SystemExit) as exit_:
            main(["train", "-o", "run", "in", *map(str, STEPS), *(["-q"] if quiet else [])])
        monkeypatch.undo()
    drawn = _read_all(reader)
    assert exit_.value.code == 0
    for text in ("reading", "2/2", "4/4", "loss", "LSD"):
        assert (text in drawn) is not quiet
    results = (folder / "out.txt").read_text().splitlines()
    assert [line.split()[0] for line in results] == (
        [] if quiet else ["14", "step", "step", "test:", "model:"]
    )


# evaluate


@pytest.fixture
def models(folder, trained):
    """Two models by short names."""
    HarmonicModel.load(trained[0] / "model.npz").save("a.npz")
    HarmonicModel({"kind": "dense", "widths": [8]}, {"hop_length": 512}, 1).save("longer.npz")
    return "a.npz", "longer.npz"


def test_evaluate_prints_a_table(models):
    result = call("evaluate", *models, "--sounds", N_SOUNDS)
    assert (result.exit_code, result.stderr) == (0, "")
    head, table = result.stdout.split("\n\n")
    assert head == f"a tenth of {N_SOUNDS} of the paper's sounds"
    heads, *rows = table.splitlines()
    assert re.split(r"  +", heads) == [
        "model", "LSD / dB^2", "RPA / %", "RCA / %", "octaves", "cents"
    ]  # fmt: skip
    assert all(len(row) == len(heads) for row in rows)
    for row, file, n_frames in zip(rows, models, (16, 8), strict=True):
        test = paper_sounds(N_SOUNDS, n_frames=n_frames).split()[2]
        found = scores(HarmonicModel.load(file), test)
        expected = "{lsd:.2f} {rpa:.1f} {rca:.1f} {octaves:.3f} {cents:.1f}".format(**found)
        assert row.split() == [file, *expected.split()]


def test_evaluate_scores_as_train_did(trained):
    run, text = trained
    result = call("evaluate", run / "model.npz", "--sounds", N_SOUNDS)
    told = re.findall(r"-?\d+\.\d+", text.splitlines()[-2])
    assert result.stdout.splitlines()[-1].split()[1:] == told


def test_evaluate_prints_json_and_nothing_else(models):
    result = call("evaluate", *models, "--sounds", N_SOUNDS, "--snr-db", 10, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["sounds"] == "a tenth of 40 of the paper's sounds, noise 10 dB below"
    assert [row.pop("model") for row in found["models"]] == list(models)
    test = paper_sounds(N_SOUNDS, snr_db=10).split()[2]
    assert found["models"][0] == scores(HarmonicModel.load("a.npz"), test)
    clean = json.loads(call("evaluate", "a.npz", "--sounds", N_SOUNDS, "--json").stdout)["models"]
    assert clean[0]["lsd_clean"] is None and clean[0]["lsd"] != found["models"][0]["lsd"]
    table = call("evaluate", *models, "--sounds", N_SOUNDS, "--snr-db", 10).stdout.splitlines()
    assert "LSD to clean / dB^2" in table[2] and len(table[2]) == len(table[3])
    assert table[3].split()[2] == f"{found['models'][0]['lsd_clean']:.2f}"


def test_evaluate_takes_varied_sounds_on_the_models_own_grid(models):
    options = ("--synthetic", "varied", "--sounds", N_SOUNDS, "--json")
    found = json.loads(call("evaluate", *models, *options).stdout)
    assert found["sounds"] == "a tenth of 40 varied sounds"
    for row, n_frames in zip(found["models"], (16, 8), strict=True):
        test = varied_sounds(N_SOUNDS, n_frames=n_frames).split()[2]
        expected = scores(HarmonicModel.load(row.pop("model")), test)
        assert row == expected | {"lsd_clean": None}
    HarmonicModel({"kind": "dense", "widths": [4]}, {"sample_rate": 22050}).save("fast.npz")
    assert call("evaluate", "fast.npz", *options).exit_code == 0
    result = call("evaluate", "fast.npz", "--sounds", N_SOUNDS)
    assert (result.exit_code, result.output) == (
        1, "fast.npz: the paper's sounds have 16000 Hz, the model 22050 Hz\n",
    )  # fmt: skip


def test_evaluate_takes_recordings(models, recordings):
    words = ("--recordings", "in/a.wav", "--recordings", "in/deep")
    result = call("evaluate", *models, *words)
    assert (result.exit_code, result.stderr) == (0, "")
    head, table = result.stdout.split("\n\n")
    assert head == "a tenth of 14 slices of 2 recording(s)"
    test = recorded_sounds(["in/a.wav", "in/deep/b.flac"]).split()[2]
    lsd = scores(HarmonicModel.load("a.npz"), test)["lsd"]
    assert table.splitlines()[0].split() == ["model", "LSD", "/", "dB^2"]
    assert table.splitlines()[1].split() == ["a.npz", f"{lsd:.2f}"]
    row = json.loads(call("evaluate", "a.npz", *words, "--json").stdout)["models"][0]
    unknown = dict.fromkeys(["lsd_clean", "rpa", "rca", "octaves", "cents"])
    assert row == {"model": "a.npz", "lsd": lsd} | unknown


def test_evaluate_goes_on_after_a_recording_that_fails(models, recordings):
    result = call("evaluate", "a.npz", "--recordings", "in", "--recordings", "gone.wav")
    assert result.exit_code == 1 and "a.npz" in result.stdout
    assert result.stderr == "cannot read gone.wav: No such file or directory\n"
    for word, line in (
        ("gone.wav", "cannot read gone.wav: No such file or directory"),
        ("in/deep", "recordings must hold 10 slices of 4096 samples at 16000 Hz that are not "
                    "silent, got 4"),
    ):  # fmt: skip
        result = call("evaluate", *models, "--recordings", word)
        assert (result.exit_code, result.output) == (1, line + "\n")


def test_a_model_that_cannot_be_read_costs_one_line(models):
    Path("bad.npz").write_text("no model")
    result = call("evaluate", "bad.npz", "a.npz", "gone.npz", ".", "--sounds", N_SOUNDS)
    assert result.exit_code == 1
    lines = [
        "cannot read bad.npz: it is no model, or damaged",
        "cannot read gone.npz: No such file or directory",
        "cannot read .: Is a directory",
    ]
    assert result.stderr.splitlines() == lines
    assert result.stdout.splitlines()[-1].startswith("a.npz ")
    for extra in ([], ["--json"]):
        result = call("evaluate", "bad.npz", *extra)
        assert (result.exit_code, result.output) == (1, lines[0] + "\n")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "Missing argument 'MODEL...'"),
        (["a.npz", "--recordings", "in", "--snr-db", "3"], "--snr-db is for synthetic sounds"),
        (["a.npz", "--recordings", "in", "--sounds", "30"], "--sounds is for synthetic sounds"),
        (["a.npz", "--synthetic", "varied", "--snr-db", "3"], "--snr-db is for the paper's sounds"),
        (["a.npz", "--sounds", "0"], "0 is not in the range x>=10"),
        (["a.npz", "--seed", "0"], "No such option"),
    ],
)
def test_wrong_usage_of_evaluate_exits_2(models, args, message):
    result = call("evaluate", *args)
    assert result.exit_code == 2
    assert message in result.output
