"""Names, links, folders and files that change: the command line's exit codes and what is left."""

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from click.testing import CliRunner

import spectralot as so
from spectralot.audio import read_blocks
from spectralot.cli import main

NAMES = (
    "a name", " before and after ", "Ünïcödé 音", "quote'\"s", "new\nline", "tab\tand\rreturn",
    "star*[x]?", "-dash", ".hidden", "dots...", "%s{}", "$HOME;#&", "n" * 180,
)  # fmt: skip


def run(*words):
    """Exit code and lines of a command; an exception that reaches the user is a failure."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    told = result.exception is None or isinstance(result.exception, SystemExit)
    assert told, f"{words[0]}: {result.exception!r}"
    return result.exit_code, result.output.splitlines()


def _left(folder):
    """Names of all files below a folder."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def _sound(path, seconds=0.3):
    time = np.arange(int(8000 * seconds)) / 8000
    so.write_wav(path, 0.5 * np.sin(2 * np.pi * 220 * time), 8000, overwrite=True)
    return path


def _names(folder, names):
    """Any name that a file system takes is read, written and told of in one line."""
    n = 0
    for name in names:
        place = folder / name
        place.mkdir()
        sound = _sound(place / f"{name}.wav")
        code, lines = run("estimate", "-o", place / "out", "--harmonics", "4", "--", sound)
        assert (code, len(lines)) == (0, 1), f"estimate {name!r}: {code}, {lines}"
        stem = place / "out" / name
        table, other = f"{stem}.f0.csv", place / f"{name}.json"
        for words in (
            ("convert", "--", table, other), ("eval", "--", table, other),
            ("report", "-o", place / "page.html", "--", sound),
        ):  # fmt: skip
            code, lines = run(*words)
            assert code == 0 and lines, f"{words[0]} {name!r}: {code}, {lines}"
        missing = place / f"{name}.none.wav"
        code, lines = run("estimate", "-o", place / "out", "--", missing)
        assert (code, len(lines)) == (1, 1), f"estimate {name!r}: {code}, {lines}"
        try:
            so.read_audio(missing)
        except so.ParameterError as error:
            assert "\n" not in str(error)
        n += 6
    told = f"{n} calls, each read, or refused in one line"
    yield f"{len(names)} names: blanks, quotes, other alphabets, line feeds, patterns", told


def _bad_inputs(folder):
    """What is no file of the kind that is wanted, by name and as each command takes it."""
    made = folder / "bad"
    made.mkdir()
    good = _sound(made / "good.wav")
    (made / "text.wav").write_text("no sound\n" * 9)
    (made / "empty.wav").write_bytes(b"")
    (made / "cut.wav").write_bytes(good.read_bytes()[:-100])
    (made / "folder.wav").mkdir()
    bad = {name: made / f"{name}.wav" for name in ("text", "empty", "cut", "missing", "folder")}
    if hasattr(os, "symlink"):
        (made / "dangling.wav").symlink_to(made / "nowhere")
        (made / "loop.wav").symlink_to(made / "loop.wav")
        (made / "link.wav").symlink_to(good)
        bad |= {name: made / f"{name}.wav" for name in ("dangling", "loop")}
        assert run("estimate", made / "link.wav", "-o", made / "linked")[0] == 0
    if sys.platform == "linux":
        bad |= {"device": Path("/dev/zero"), "null": Path("/dev/null")}
    n = 0
    for kind, path in bad.items():
        out = folder / f"out {kind}"
        commands = (
            ("estimate", path, "-o", out), ("estimate", "--method", "fit", path, "-o", out),
            ("report", path, "-o", out), ("train", path, "-o", out / "run", "--steps", "1"),
            *[("convert", path, out / "a.csv", "--from", form) for form in so.formats.FORMATS],
            ("eval", path, path, "--from-ref", "csv", "--from-est", "csv"),
            ("resynth", path, "-o", out / "a.wav"), ("evaluate", path),
            ("estimate", "--model", path, good, "-o", out),
            ("report", "--tracks", path, good, "-o", out),
        )  # fmt: skip
        for words in commands:
            code, lines = run(*words)
            usage = code == 2 and lines[-1].startswith("Error: ")
            refused = code == 1 and len(lines) == 1
            assert usage or refused, f"{' '.join(map(str, words))}: {code}, {lines}"
            n += 1
        assert not out.exists() or not _left(out), f"{kind}: {_left(out)}"
    code, lines = run("estimate", *bad.values(), good, "-o", folder / "mixed")
    assert code == 1 and _left(folder / "mixed") == ["good.f0.csv", "good.npz"], lines
    told = f"{n} calls: exit code 1 and one line, or 2; nothing left; good files done"
    yield f"{', '.join(bad)} as input of every command", told
    if hasattr(os, "mkfifo"):
        os.mkfifo(made / "pipe.csv")
        table = folder / "mixed/good.f0.csv"
        code, lines = run("convert", table, made / "pipe.csv", "--overwrite")
        assert (code, len(lines)) == (1, 1) and (made / "pipe.csv").is_fifo(), lines
        yield "a pipe as output, with --overwrite", "refused in one line, still a pipe"


@contextmanager
def _small_disk(folder, size):
    """A folder that holds so much; None where the system does not let us have one."""
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"):
        yield None
        return
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _full_folders(folder, short):
    """Output folders that are full or cannot be written to."""
    sound, take = _sound(folder / "long.wav", 12), folder / "long.npz"
    assert run("estimate", sound, "-o", folder / "whole")[0] == 0
    shutil.copy(folder / "whole/long.npz", take)
    with _small_disk(folder / "disk", "64k") as disk:
        if disk is None:
            yield "full and read-only output folders", "left out: mounting one needs root on Linux"
            return
        commands = (
            ("estimate", sound, "-o", disk), ("estimate", sound, "-o", disk / "new"),
            ("report", sound, "-o", disk), ("convert", take, disk / "a.json"),
            ("resynth", take, "-o", disk / "a.wav"),
            ("train", "--sounds", "10", "--steps", "1", "--batch-size", "2", "-o", disk / "run"),
        )  # fmt: skip
        commands, n = commands[::3] if short else commands, 0
        for state in ("full", "read-only"):
            if state == "read-only":
                subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            for words in commands:
                code, lines = run(*words)
                telling = [line for line in lines if "cannot " in line]
                about = f"{words[0]} into a {state} folder: {code}, {lines}"
                assert code == 1 and len(telling) == 1, about
                assert lines[-1] == telling[0] and ".part" not in lines[-1], about
                assert not _left(disk), f"{about}, {_left(disk)}"
                n += 1
        told = f"{n} calls, each exit code 1 and one line, nothing left"
        yield "full (64 KB) and read-only output folders", told


def _changing(folder):
    """Files that are another before they have been read."""
    path, n = folder / "changing.wav", 0

    def cut():
        os.truncate(path, 40000)

    def grow():
        with open(path, "ab") as file:
            file.write(bytes(100_000))

    def other_rate():
        so.write_wav(path, np.zeros(20000), 16000, overwrite=True)

    def text():
        path.write_text("no sound any more")

    for change in (cut, grow, other_rate, text, path.unlink):
        for n_before in (0, 1):
            _sound(path, 5)
            blocks = read_blocks(path, 10000)
            parts = iter(blocks)
            found = [next(parts) for _ in range(n_before)]
            change()
            try:
                found += parts
                # a file that is open stays the same when its name is given to another
                assert sum(map(len, found)) == 40000 and blocks.sample_rate == 8000

            except so.ParameterError as error:
                assert str(error).startswith(f"cannot read {path}: ")
                assert change is not grow
            n += 1
    told = f"{n} files: all samples as declared, or one line"
    yield "recordings cut, grown, replaced or removed while they are read", told


def check(short):
    """Yield what was tried and what was found; an AssertionError says what failed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from _names(folder, NAMES[4:5] if short else NAMES)
        yield from _bad_inputs(folder)
        yield from _full_folders(folder, short)
        yield from _changing(folder)
