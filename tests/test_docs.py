"""The site of the pages: builds without a warning, has every name, fetches nothing."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest

import spectralot

ROOT = Path(__file__).parents[1]
MODULES = ("compare", "formats", "landscape", "learn", "losses", "plot", "report")
LOADING = r"<(?:script|link|img|source|iframe|audio|video|object|embed)\b[^>]*>"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; the gallery without its figures, whose scripts have tests of their own."""
    for package in ("sphinx", "furo", "math_core", "myst_parser", "numpydoc", "sphinx_gallery"):
        pytest.importorskip(package, reason="the site needs pip install 'spectralot[docs]'")
    copy = tmp_path_factory.mktemp("root")
    for folder in ("docs", "examples"):
        made = shutil.ignore_patterns("_build", "api", "gallery", "__pycache__")
        shutil.copytree(ROOT / folder, copy / folder, ignore=made)
    for file in filter(Path.is_file, ROOT.iterdir()):
        shutil.copy(file, copy)
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "docs", "site"]
    done = subprocess.run(
        [*command, "-D", "sphinx_gallery_conf.filename_pattern=^$"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return copy / "site"


@pytest.fixture(scope="module")
def pages(site):
    """Text of every page by its file, but for listings of code."""
    files = [file for file in site.rglob("*.html") if "_modules" not in file.parts]
    return {file: file.read_text(encoding="utf-8") for file in files}


def public_names():
    """Each public name once, with what it is."""
    names = {f"spectralot.{name}": getattr(spectralot, name) for name in spectralot.__all__}
    for module in MODULES:
        home = importlib.import_module(f"spectralot.{module}")
        own = [name for name in home.__all__ if name not in spectralot.__all__]
        names |= {f"spectralot.{module}.{name}": getattr(home, name) for name in own}
    del names["spectralot.__version__"]
    return names


def test_every_public_name_is_described(site, pages):
    for name, value in public_names().items():
        page = site / ("api" + (f"/{name}" if callable(value) else "") + ".html")
        assert page in pages, name
        assert pages[page].count(f'id="{name}"') == 1, name


def test_every_page_is_in_the_navigation(site, pages):
    navigation = pages[site / "index.html"].split('class="sidebar-tree"')[1]
    listed = set(re.findall(r'class="reference internal" href="([^"#]+)"', navigation))
    listed |= {"index.html", "genindex.html", "search.html"}
    assert {str(page.relative_to(site)) for page in pages} == listed - {"#"}


def test_nothing_is_fetched_from_elsewhere(site, pages):
    for page, text in pages.items():
        for tag in re.findall(LOADING, text):
            assert not re.search(r"(?:src|href|srcset|data)=[\"'](?:\w+:)?//", tag), (page, tag)
    for sheet in site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"(?:url\([\"']?|@import\s*[\"'])(?:\w+:)?//", text), sheet


def test_links_lead_to_pages_and_headings(pages):
    anchors = {page: set(re.findall(r'\bid="([^"]+)"', text)) for page, text in pages.items()}
    for page, text in pages.items():
        for link in re.findall(r'<a\b[^>]*\bhref="([^"]+)"', text):
            path, _, anchor = unquote(unescape(link)).partition("#")
            if "://" in path:
                continue
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), (page, link)
            assert not anchor or anchor in anchors.get(target, {anchor}), (page, link)


def test_formulas_are_mathml(site, pages):
    for file in ROOT.glob("docs/derivations/*.md"):
        text = pages[site / file.relative_to(ROOT / "docs").with_suffix(".html")]
        blocks = file.read_text(encoding="utf-8").count("\n```math\n")
        assert text.count('<div class="math"><math display="block">') == blocks, file
        seen = re.sub(r"<(pre|code|script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
        assert "$" not in seen and "\\tag" not in seen, file
