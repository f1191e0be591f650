"""What README.md and the pages say and show is so."""

import re
from pathlib import Path

import pytest

import spectralot as so

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


@pytest.mark.slow
def test_python_blocks_run_as_they_stand(tmp_path, monkeypatch, capsys):
    first, second = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(first, "README.md", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    value, leads_down = lines[0].split()
    assert lines[1].startswith("HarmonicTracks(T=151, H=40") and lines[2].startswith("349.")
    assert float(value) > 0 and leads_down == "True"  # f0 was too high: its gradient is positive
    residual, sample_rate = so.read_audio("residual.wav")
    assert (len(residual), sample_rate) == (len(names["audio"]), 44100)
    assert abs(residual).max() < 0.5 * abs(names["audio"]).max()
    exec(compile(second, "README.md", "exec"), names)
    cents, f0_hz = capsys.readouterr().out.split()
    assert 1000 < float(cents) < 1500 and float(f0_hz) == pytest.approx(220, abs=0.1)


def test_preset_table_names_every_preset():
    assert re.findall(r"^\| `([\w-]+)` \| .*`", README, re.MULTILINE)[-8:] == [*so.PRESETS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#\s]+)(#[^)\s]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in link[0]:
            assert (page.parent / link[0]).exists(), link[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_formulas_survive_markdown(page):
    """In $$ and bare $ GitHub eats a backslash before a sign; some macros it refuses."""
    text = page.read_text(encoding="utf-8")
    assert "$$" not in text and "\\operatorname" not in text
    bare = re.sub(r"```.*?```|\$`.*?`\$|`[^`]*`", "", text, flags=re.DOTALL)
    assert not re.findall(r"\$[^$\n]*\\[^A-Za-z\s][^$\n]*\$", bare)
