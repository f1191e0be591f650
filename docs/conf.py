"""The site of these pages: ``sphinx-build -W docs docs/_build``.

The pages are written for the code host, which reads them as they are. What the site needs besides
is made here: lists of an index become its navigation, formulas become MathML, and links that leave
this folder lead to pages of the site where there are some.
"""

import os
import re
from pathlib import Path

import click
import math_core
from docutils import nodes

from spectralot import __version__
from spectralot.cli import main

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line does

DOCS = Path(__file__).parent
ROOT = DOCS.parent

project, author, release = "spectralot", "The spectralot developers", __version__
copyright = author
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery/**/*.ipynb", "gallery/**/*.py", "gallery/**/*.json"]
templates_path = ["_templates"]
smartquotes = False  # "--plot" is no dash

# --- Markdown as the code host has it ------------------------------------------------------------

myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4
myst_update_mathjax = False

MIRRORS = {  # pages of the site that are files elsewhere
    "readme": ROOT / "README.md",
    "notes": ROOT / "examples" / "notes" / "README.md",
    "contributing": ROOT / "CONTRIBUTING.md",
    "security": ROOT / "SECURITY.md",
}
PICTURE = re.compile(  # light and dark, as the code host wants it
    r'<picture>\s*<source [^>]*srcset="([^"]+)">\s*<img src="([^"]+)" alt="([^"]+)">\s*</picture>'
)
PLACES = {file: DOCS / f"{page}.md" for page, file in MIRRORS.items()}
PLACES[ROOT / "examples"] = DOCS / "gallery" / "index.rst"


def adapt_page(app, docname, source):
    """Turn a page as the code host has it into one that MyST reads the same way."""
    page = Path(app.env.doc2path(docname))
    if page.suffix != ".md":
        return
    file = MIRRORS.get(docname, page)
    text = file.read_text(encoding="utf-8") if file != page else source[0]
    app.env.note_dependency(file)

    def moved(link):
        target = (file.parent / link[1]).resolve()
        target = PLACES.get(target, target)
        return f"]({os.path.relpath(target, page.parent)}" if target.exists() else link[0]

    def picture(found):
        images = zip(("only-dark", "only-light"), found.groups(), strict=False)
        paths = ((kind, os.path.relpath(file.parent / path, page.parent)) for kind, path in images)
        return "\n".join(
            f"```{{image}} {path}\n:class: {kind}\n:alt: {found[3]}\n```\n" for kind, path in paths
        )

    text = re.sub(r"\]\(([^)#\s:]+)", moved, text)
    text = PICTURE.sub(picture, text)
    text = re.sub(r"\$`([^`]+)`\$", r"$\1$", text)
    if page.stem == "index":
        text += "".join(toctrees(text))
    if docname == "cli":
        text += "".join(helps())
    source[0] = text


def toctrees(text):
    """Navigation out of an index: a caption for each heading, an entry for each page listed."""
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    for caption, body in zip(parts[1::2], parts[2::2], strict=True):
        links = re.findall(r"^- \[(.+?)\]\(([^)#:\s]+)\.(?:md|rst)\)", body, re.MULTILINE)
        pages = "\n".join(f"{title} <{page}>" for title, page in links)
        yield f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```"


def helps():
    """A section for each command with what its ``--help`` prints."""
    top = click.Context(main, info_name="spectralot", terminal_width=80, **main.context_settings)
    for name, command in sorted(main.commands.items()):
        context = click.Context(command, info_name=name, parent=top)
        yield f"\n\n## {name}\n\n```text\n{command.get_help(context)}\n```"


# --- formulas without a script -------------------------------------------------------------------

html_math_renderer = "mathml"
latex = math_core.LatexToMathML(fancy_error=False)


def mathml(node, display):
    """The formula for the browser; with a ``\\tag`` it is an equation that has a number."""
    formula = node.astext()
    if "\\tag" in formula:
        formula = f"\\begin{{equation}}{formula}\\end{{equation}}"
    found = latex.convert_with_local_state(formula, displaystyle=display)
    # Chromium draws a large bracket small where it is itself what has an exponent or index
    return re.sub(r"(<msu[bp]+>)(<mo minsize[^>]*>.</mo>)", r"\1<mrow>\2</mrow>", found)


def visit_inline(writer, node):
    writer.body.append(mathml(node, display=False))
    raise nodes.SkipNode


def visit_block(writer, node):
    writer.body.append(f'<div class="math">{mathml(node, display=True)}</div>')
    raise nodes.SkipNode


# --- the library's reference ---------------------------------------------------------------------

default_role = "py:obj"  # links where there is such a name, else code
nitpicky, nitpick_ignore_regex = True, [("py:obj", ".*")]
autodoc_typehints = "none"  # numpydoc names types in words
autosummary_generate = True
numpydoc_show_class_members = False  # the template lists them once


def skip_alias(app, what, name, member, skip, options):
    """Leave out fields of named tuples, which their class's docstring describes."""
    return True if str(member.__doc__).startswith("Alias for field number") else None


# --- the gallery ---------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"^(?!plot_)",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "image_srcset": ["2x"],
    "thumbnail_size": (480, 320),
}


def headers_in_rst(app, config):
    """Keep ``examples/notes``, which has a README.md, from being a gallery of its own."""
    config.sphinx_gallery_conf["source_suffix"] = {".rst": "restructuredtext"}


# --- the look ------------------------------------------------------------------------------------

html_theme = "furo"
pygments_dark_style = "a11y-dark"
html_title = "spectralot"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_theme_options = {
    "top_of_page_buttons": [],
    "light_css_variables": {"color-brand-primary": "#0072B2", "color-brand-content": "#0069A6"},
    "dark_css_variables": {"color-brand-primary": "#56B4E9", "color-brand-content": "#56B4E9"},
}


def setup(app):
    app.connect("source-read", adapt_page)
    app.connect("config-inited", headers_in_rst, priority=900)
    app.connect("autodoc-skip-member", skip_alias)
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
