"""What importing costs, and that every public name exists."""

import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import spectralot


def run_python(code):
    command, root = [sys.executable, "-c", code], Path(spectralot.__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("heavy", ["numba", "numba.cuda", "matplotlib", "scipy"])
def test_import_loads_nothing_heavy(heavy):
    assert run_python(f"import sys, spectralot; print({heavy!r} in sys.modules)") == ["False"]


@pytest.mark.parametrize("heavy", ["numba.cuda", "matplotlib"])
def test_the_operations_load_neither_plots_nor_a_gpu(heavy):
    names = "s.preset; s.harmonic_forward; s.wasserstein_1d_forward"
    code = f"import sys, spectralot as s; {names}; print({heavy!r} in sys.modules)"
    assert run_python(code) == ["False"]


@pytest.mark.parametrize("name", spectralot.__all__)
def test_every_public_name_resolves(name):
    assert getattr(spectralot, name) is not None
    assert name in dir(spectralot)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        spectralot.no_such_name  # noqa: B018


def test_public_names_say_where_they_live_and_what_they_do():
    for name in spectralot.__all__:
        thing = getattr(spectralot, name)
        if callable(thing):
            assert thing.__doc__ and thing.__module__.startswith("spectralot")


def test_importing_every_module_compiles_nothing():
    code = """
import importlib, pkgutil, spectralot
from numba.core.dispatcher import Dispatcher
found, compiled = 0, []
for info in pkgutil.walk_packages(spectralot.__path__, "spectralot."):
    if ".cuda" in info.name or info.name.endswith("__main__"):
        continue
    module = importlib.import_module(info.name)
    for name, thing in vars(module).items():
        thing = getattr(thing, "kernel", thing)
        if isinstance(thing, Dispatcher):
            found += 1
            if thing.signatures:
                compiled.append(name)
print(found > 50, compiled)
"""
    assert run_python(code) == ["True", "[]"]


MODULES = [
    info.name
    for info in pkgutil.walk_packages(spectralot.__path__, "spectralot.")
    if ".cpu" not in info.name
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run_and_say_the_truth(name, monkeypatch):
    monkeypatch.chdir(Path(spectralot.__file__).parents[1])
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_examples_are_found():
    finder = doctest.DocTestFinder()
    module = importlib.import_module("spectralot.transport")
    assert sum(bool(found.examples) for found in finder.find(module)) >= 2
