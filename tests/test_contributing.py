"""CONTRIBUTING.md: its example runs as it stands; hooks, forms and citation agree with the rest."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import test_kernel_policy
import test_readme
import yaml

import spectralot

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
TEXT = PAGE.read_text(encoding="utf-8")
FILES = dict(re.findall(r"(?ms)^`([\w/]+\.py)`:\n\n```python\n(.*?)^```", TEXT))
# the example's modules stand in a folder of their own, and are found as if they were the package's
FOUND = """
import spectralot, spectralot.cpu
spectralot.__path__.append("spectralot")
spectralot.cpu.__path__.append("spectralot/cpu")
"""
TESTS = f"""{FOUND}
import sys, pytest
sys.exit(pytest.main(["-q", "-W", "error", "tests/test_saturation.py", *sys.argv[1:]]))
"""
DOCTEST = f"""{FOUND}
import doctest
from spectralot import saturation
assert doctest.testmod(saturation) == (0, 3)
"""


@pytest.fixture
def example(tmp_path):
    """A function that writes the page's files, one text in them replaced, and runs what follows."""

    def start(command, old="", new=""):
        assert old in "".join(FILES.values())
        for name, source in FILES.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source.replace(old, new) if old else source, encoding="utf-8")
        for name in ("tests/conftest.py", "tests/gradcheck.py", "pyproject.toml"):
            (tmp_path / name).write_bytes((ROOT / name).read_bytes())
        paths = [str(Path(spectralot.__file__).parents[1]), str(ROOT / "tests")]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip

    return start


def test_the_page_shows_every_file_of_an_operation():
    assert list(FILES) == [
        "tests/naive_saturation.py", "spectralot/cpu/saturation.py", "spectralot/saturation.py",
        "tests/test_saturation.py",
    ]  # fmt: skip


def test_the_example_passes_its_tests(example):
    done = example([sys.executable, "-c", TESTS])
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^7 passed", done.stdout, re.MULTILINE), done.stdout
    done = example([sys.executable, "-c", DOCTEST])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "found_by"),
    [
        ("math.tanh(", "math.atan(", "match_the_loops"),
        ("1.0 - result[b, n] * result[b, n]", "1.0 - result[b, n]", "finite_differences"),
        ("total += audio[b, n] * through", "total += through", "finite_differences"),
    ],
)
def test_the_examples_tests_can_fail(example, right, wrong, found_by):
    done = example([sys.executable, "-c", TESTS, "-k", found_by], right, wrong)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^1 failed", done.stdout, re.MULTILINE), done.stdout


def test_the_example_keeps_the_rules_of_kernels():
    assert test_kernel_policy.faults_of(FILES["spectralot/cpu/saturation.py"]) == []


def test_the_example_passes_the_linters(example):
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["numpydoc", "lint"]):
        files = ["spectralot/saturation.py"] if command[0] == "numpydoc" else FILES
        done = example([sys.executable, "-m", *command, *files])
        assert done.returncode == 0, done.stdout + done.stderr


def test_links_and_formulas_of_the_page():
    test_readme.test_links_lead_somewhere(PAGE)
    test_readme.test_formulas_survive_markdown(PAGE)


def test_what_the_page_names_is_there():
    for path in re.findall(r"`((?:spectralot|tests|benchmarks|docs|\.ci)/[\w./]*)`", TEXT):
        assert (ROOT / path).exists() or re.search("saturation|NAME|_build", path), path
    for module in re.findall(r"`(?:python -m )?(benchmarks\.\w+)", TEXT):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module


def linters():
    """What `.ci/run` starts after the tests: the command, and where."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    return re.findall(r'^"\$bin/(\S+)" (.*?) (\.|\$\(.*\)) \|\| status=1$', script, re.MULTILINE)


def test_hooks_are_the_linters_of_every_change():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (local,) = hooks["repos"]
    assert local["repo"] == "local" and linters()
    *hooks, types = local["hooks"]
    assert (types["entry"], types["pass_filenames"]) == (".venv/bin/mypy", False)
    assert '"$bin/mypy" || status=1' in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert [hook["entry"] for hook in hooks] == [
        f".venv/bin/{tool} {arguments}" for tool, arguments, _ in linters()
    ]
    python = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("spectralot/**/*.py"))
    for hook, (*_, where) in zip(hooks, linters(), strict=True):
        assert hook["language"] == "system" and hook["types"] == ["python"]
        if where == ".":
            assert not {"files", "exclude"} & set(hook)
            continue
        listed = subprocess.run(
            ["bash", "-c", where[2:-1]], cwd=ROOT, capture_output=True, text=True, check=True
        )
        chosen = [
            path for path in python
            if re.search(hook["files"], path) and not re.search(hook["exclude"], path)
        ]  # fmt: skip
        assert chosen == sorted(listed.stdout.split()) and chosen


def test_the_citation_is_of_this_version_and_of_the_readmes_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == spectralot.__version__
    assert citation["title"] == "spectralot" and citation["license"] == "MIT"
    assert citation["type"] == "software" and citation["message"] and citation["authors"]
    paper = citation["preferred-citation"]
    readme = dict(re.findall(r"^  (\w+) += \{(.*)\}", test_readme.README, re.MULTILINE))
    assert readme["title"].replace("{", "").replace("}", "") == paper["title"]
    assert readme["author"].replace('{\\"e}', "ë") == " and ".join(
        f"{who['family-names']}, {who['given-names']}" for who in paper["authors"]
    )
    assert readme["year"] == str(paper["year"])
    assert readme["note"] == paper["identifiers"][0]["value"] == "arXiv:2312.14507"


@pytest.mark.parametrize("form", ["bug_report", "feature_request"])
def test_issue_forms_ask_for_what_is_needed(form):
    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / f"{form}.yml").read_text(encoding="utf-8")
    asked = yaml.safe_load(text)
    assert asked["name"] and asked["description"]
    fields = [field for field in asked["body"] if field["type"] != "markdown"]
    names = [field["id"] for field in fields]
    assert len(set(names)) == len(names) and all(f["attributes"]["label"] for f in fields)
    if form == "bug_report":
        (info,) = [field for field in fields if field["id"] == "info"]
        assert "spectralot info" in info["attributes"]["label"] and info["validations"]["required"]
