"""What README.md and the pages say and show is so."""

import re
from pathlib import Path

import pytest

import spectralot as so

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


@pytest.mark.slow
def test_python_block_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    value, leads_down = capsys.readouterr().out.split()
    assert float(value) > 0 and leads_down == "True"  # f0 was too high: its gradient is positive
    residual, sample_rate = so.read_audio("residual.wav")
    assert (len(residual), sample_rate) == (len(names["audio"]), 44100)
    assert abs(residual).max() < 0.5 * abs(names["audio"]).max()


def test_preset_table_names_every_preset():
    assert re.findall(r"^\| `([\w-]+)` \| .*`", README, re.MULTILINE)[-8:] == [*so.PRESETS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#\s]+)(#[^)\s]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in link[0]:
            assert (page.parent / link[0]).exists(), link[0]
