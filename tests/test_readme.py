"""What README.md and the pages say and show is so."""

import re
from pathlib import Path

import numpy as np
import pytest

import spectralot as so

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


@pytest.mark.slow
def test_python_block_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), names := {})
    found, slope = capsys.readouterr().out.splitlines()
    assert float(found.split()[0]) == pytest.approx(349.15, abs=0.1)
    value, leads_down = slope.split()
    # the distance in octaves from 370 Hz, and a little for the rest of the spectrum
    assert np.log2(370 / 349.15) < float(value) < 0.15 and leads_down == "True"
    assert names["d_amplitudes"].shape == (8, 5)


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
