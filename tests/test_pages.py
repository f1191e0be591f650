"""What the pages tell a reader to type runs, and prints what they show.

The ``sh`` and ``python`` blocks of a page run from top to bottom in a folder that holds
``examples/``, as a clone does, and, for what a page calls yours, ``take.wav`` and ``takes/``, which
are the shipped notes; its Python blocks share their names. A ``text`` block is what the block
before it prints: words as they stand, numbers within 2 %, or within 2 of their last decimal;
``...`` stands for any part of a line. A block under ``<!-- not run: REASON -->``, which readers do
not see, is not run but listed.
"""

import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTES = ROOT / "examples" / "notes"
FENCE = re.compile(r"(?:<!-- not run: (.+) -->\n)?^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
TOKEN = re.compile(rf"(?<![\w.])({NUMBER})(?![\w])|(\.\.\.)|(\s+)")
NEEDS = {"docs/howto/librosa.md": "librosa"}  # 70 MB for one page; its own warnings are its own


def blocks(page):
    """(line, reason not to run it or "", language, lines) of each block."""
    text = page.read_text(encoding="utf-8")
    return [(1 + text.count("\n", 0, m.start()), *m.groups("")) for m in FENCE.finditer(text)]


PAGES = {str(page.relative_to(ROOT)): blocks(page) for page in sorted(ROOT.glob("docs/**/*.md"))}
RUN = [
    name for name, found in PAGES.items()
    if any(language in ("sh", "python") and not reason for _, reason, language, _ in found)
]  # fmt: skip
NOT_RUN = [
    f"{name}:{line}: {reason}"
    for name, found in PAGES.items() for line, reason, *_ in found if reason
]  # fmt: skip


def run_sh(lines):
    done = subprocess.run(
        ["bash", "-e"], input=lines, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def run_python(lines, where, names):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(lines, where, "exec"), names)
    return printed.getvalue()


def check_shown(shown, printed):
    """Words as they stand, numbers within the tolerance."""
    shown, pattern, numbers, at = shown.strip(), "", [], 0
    for token in TOKEN.finditer(shown):
        number, dots, _ = token.groups()
        pattern += re.escape(shown[at : token.start()])
        pattern += f"({NUMBER})" if number else ".*?" if dots else r"\s+"
        numbers += [number] if number else []
        at = token.end()
    found = re.fullmatch(pattern + re.escape(shown[at:]), printed.strip())
    assert found, f"shown:\n{shown}\nprinted:\n{printed}"
    for number, value in zip(numbers, found.groups(), strict=True):
        decimals = len(number.partition("e")[0].partition(".")[2])
        tolerance = max(0.02 * abs(float(number)), 2.01 * 10.0**-decimals if decimals else 0)
        off = abs(float(value) - float(number))
        assert off <= tolerance, f"shown: {number}, printed: {value}, in\n{printed}"


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_blocks_run_and_print_what_is_shown(page, tmp_path, monkeypatch):
    needed = NEEDS.get(page)
    if needed and importlib.util.find_spec(needed) is None:
        pytest.skip(f"needs {needed}, which is not installed")
    if needed:
        warnings.simplefilter("ignore")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    shutil.copytree(NOTES, tmp_path / "takes")
    shutil.copy(NOTES / "clarinet_F4.wav", tmp_path / "take.wav")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    names, printed = {"__name__": "__main__"}, None
    for line, reason, language, lines in PAGES[page]:
        if reason:
            printed = None
        elif language == "sh":
            printed = run_sh(lines)
        elif language == "python":
            printed = run_python("\n" * line + lines, page, names)
        elif language == "text" and printed is not None:
            check_shown(lines, printed)


@pytest.mark.parametrize("reason", NOT_RUN)
def test_block_is_not_run(reason):
    pytest.skip(reason)


@pytest.mark.parametrize("page", PAGES)
def test_no_block_is_passed_over(page):
    """Another language, or a mark that is not read, would hide a block from the test."""
    text = (ROOT / page).read_text(encoding="utf-8")
    languages = {language for _, _, language, _ in PAGES[page]}
    assert languages <= {"sh", "python", "text", "math", "{eval-rst}"}
    assert text.count("```") - 2 * len(PAGES[page]) == 0
    assert text.count("<!-- not run") == sum(bool(reason) for _, reason, *_ in PAGES[page])


def test_what_is_shown_must_be_printed():
    shown = "3 files, f0 220.00 Hz ... in cello_D2.wav\n-0.01 e 1e-05"
    check_shown(shown, "3 files,  f0 220.02 Hz +- 1.7 in cello_D2.wav\n0.01 e 1.01e-05\n")
    for wrong in (
        ("3 files", "4 files"),
        ("files,", "file,"),
        ("220.00", "226.00"),
        ("-0.01", "0.02"),
        ("D2", "D3"),
    ):
        with pytest.raises(AssertionError):
            check_shown(shown, shown.replace(*wrong))
