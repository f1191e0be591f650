"""How public names may be called is a promise: every change of it is seen."""

import inspect
import sys
from pathlib import Path

import spectralot

STORED = Path(__file__).parent / "data" / "signatures.txt"


def plain(name):
    """Its arguments, their kinds and defaults, without hints."""
    parameters = inspect.signature(getattr(spectralot, name)).parameters.values()
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    return f"{name}{inspect.Signature(bare)}"


def test_what_a_backward_is_given_cannot_be_changed():
    for name in [name for name in spectralot.__all__ if name.endswith("_forward")]:
        module = sys.modules[getattr(spectralot, name).__module__]
        saved = [kept for what, kept in vars(module).items() if what.endswith("Saved")]
        assert saved and all(kept.__dataclass_params__.frozen for kept in saved)


def test_signatures_are_those_promised():
    found = "\n".join(plain(n) for n in spectralot.__all__ if callable(getattr(spectralot, n)))
    assert found.splitlines() == STORED.read_text(encoding="utf-8").splitlines(), found
