"""`.ci/release` up to where it begins to build, which needs a network: what it refuses."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "release"
CHANGELOG, CITATION = "docs/changelog.md", "CITATION.cff"
BEGAN = 7  # the exit status of what stands in Python's place


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A function that writes a file of a tree that is ready for its release 1.2.3."""
    git = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    git |= {
        f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    for name, value in git.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").write_text(f"#!/bin/sh\nexit {BEGAN}\n")
    (tmp_path / "bin" / "python3").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    folder = tmp_path / "tree"

    def write(name, text):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    write(".ci/release", SCRIPT.read_text())
    write("spectralot/_version.py", '__version__ = "1.2.3"\n')
    write(CHANGELOG, "# Changelog\n\n## Unreleased\n\n## 1.2.3 (2027-01-31)\n")
    write(CITATION, "cff-version: 1.2.0\nversion: 1.2.3\n")
    monkeypatch.chdir(folder)
    commit("init", "-q")
    commit()
    return write


def commit(*command):
    for arguments in [command] if command else [["add", "-A"], ["commit", "-qm", "x"]]:
        subprocess.run(["git", *arguments], check=True, capture_output=True)


def release(*arguments):
    done = subprocess.run(
        ["bash", ".ci/release", *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr.splitlines()


def test_a_tree_that_is_ready_is_built(tree):
    assert release() == (BEGAN, [])


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        (CHANGELOG, "## Unreleased\n", 'no heading "## 1.2.3 (YYYY-MM-DD)"'),
        (CHANGELOG, "## 1.2.3\n", 'no heading "## 1.2.3 (YYYY-MM-DD)"'),
        (CHANGELOG, "## 1.2.34 (2027-01-31)\n## 1x2x3 (2027-01-31)\n", "no heading"),
        (CITATION, "version: 1.2.30\n", "CITATION.cff has not the version 1.2.3"),
    ],
)
def test_versions_that_disagree_are_refused(tree, name, text, fault):
    tree(name, text)
    commit()
    status, (line,) = release()
    assert status == 1 and line.startswith("not ready: ") and fault in line
    assert release("--try") == (BEGAN, [line])


def test_all_that_is_missing_is_said_at_once(tree):
    commit("tag", "v1.2.3")
    tree("new.txt", "not committed")
    tree(CITATION, "version: 1.2\n")
    assert release() == (
        1,
        [
            "not ready: the tree holds what is not committed",
            "not ready: CITATION.cff has not the version 1.2.3",
            "not ready: the tag v1.2.3 exists",
        ],
    )


def test_wrong_usage(tree):
    assert release("--fast") == (2, ["usage: .ci/release [--try]"])
