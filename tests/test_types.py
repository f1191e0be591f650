"""What type checkers are told: every public name, and what goes in and comes out of each."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import spectralot

PACKAGE = Path(spectralot.__file__).parent
PRIVATE = {"cpu", "cuda", "cli"}  # kernels and commands
MODULES = [
    info.name
    for info in pkgutil.walk_packages([str(PACKAGE)], "spectralot.")
    if not any(part in PRIVATE or part[0] == "_" for part in info.name.split("."))
]


def functions_of(thing):
    """A function itself; of a class what can be called of it, as written in its own body."""
    if inspect.isfunction(thing):
        return [thing]
    if not inspect.isclass(thing):
        return []
    members = [
        getattr(member, "__func__", getattr(member, "fget", member))
        for name, member in vars(thing).items()
        if name[0] != "_" or name in ("__init__", "__call__", "__iter__", "__getitem__")
    ]
    return [member for member in members if inspect.isfunction(member)]


def faults_of(thing):
    for function in functions_of(thing):
        signature = inspect.signature(function)
        for name, parameter in signature.parameters.items():
            if name not in ("self", "cls") and parameter.annotation is inspect.Parameter.empty:
                yield f"{function.__qualname__}: {name}"
        made = getattr(thing, "__dataclass_fields__", None) and function.__name__ == "__init__"
        if signature.return_annotation is inspect.Signature.empty and not made:
            yield f"{function.__qualname__}: what it returns"


@pytest.mark.parametrize("name", MODULES)
def test_public_signatures_are_annotated(name):
    module = importlib.import_module(name)
    own = [
        thing
        for key, thing in vars(module).items()
        if key[0] != "_" and getattr(thing, "__module__", None) == name
    ]
    assert [fault for thing in own for fault in faults_of(thing)] == []


def test_every_public_name_is_in_one_of_these_modules():
    for name in spectralot._HOME_OF:
        thing = getattr(spectralot, name)
        assert not callable(thing) or thing.__module__ in MODULES


def test_what_is_not_annotated_is_found():
    class Half:
        def __init__(self, a: int, b) -> None: ...

        @property
        def c(self): ...

        @classmethod
        def d(cls, e: int) -> None: ...

    def without(f: int): ...

    found = [fault.split(".")[-1] for thing in (Half, without) for fault in faults_of(thing)]
    assert found == ["__init__: b", "c: what it returns", "without: what it returns"]


def test_the_stub_names_what_is_loaded_on_first_use():
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: node.module for node in imports for alias in node.names}
    assert seen == spectralot._HOME_OF | {"__version__": "_version"}
    assert all(alias.name == alias.asname for node in imports for alias in node.names)


def test_the_package_says_that_it_has_types():
    assert (PACKAGE / "py.typed").is_file()


def test_tracks_are_made_as_checkers_are_told():
    """Their ``__init__`` is written twice: by dataclass, and for checkers alone."""
    tree = ast.parse((PACKAGE / "tracks.py").read_text(encoding="utf-8"))
    (told,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    names = [argument.arg for argument in told.args.args[1:]]
    fields = dataclasses.fields(spectralot.HarmonicTracks)
    assert names == [field.name for field in fields]
    n_given = sum(field.default is dataclasses.MISSING for field in fields)
    assert len(told.args.defaults) == len(names) - n_given
    assert all(ast.literal_eval(default) is None for default in told.args.defaults)
