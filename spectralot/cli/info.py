"""``spectralot info``: what a bug report should say about the machine."""

import json
import os
import platform
import re
from pathlib import Path

import click

from .. import __version__
from .common import say

_PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "rocket-fft", "soundfile", "soxr")
_LAYERS = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}  # Numba's modules


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
def info(as_json):
    """Say what this installation consists of and runs on, for bug reports.

    Paths below your home folder show its name: look before you publish. What cannot be found out
    is "unknown", and why. Exit status: 0, or 2 for wrong usage.
    """
    found = {
        "spectralot": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "packages": {name: _tried(lambda name=name: _version(name)) for name in _PACKAGES},
        "libsndfile": _tried(_libsndfile),
        "platform": _tried(platform.platform),
        "cores": _tried(_cores),
        "threads": _tried(_threads),
        "numba settings": {
            name: value for name, value in sorted(os.environ.items()) if name.startswith("NUMBA_")
        },
        "cache": _tried(compiled_code),
        "gpu": _tried(_gpu),
        "extras": _tried(_extras),
    }
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        if isinstance(value, dict):
            say(f"{name}:" + "" if value else f"{name}: none")
            for key, detail in value.items():
                say(f"  {key}: {_words(detail)}")
        else:
            say(f"{name}: {_words(value)}")


def compiled_code():
    """Where the compiled kernels lie, how many files these are, and their size in bytes."""
    from ..cpu.synth import harmonic_forward

    if not hasattr(harmonic_forward, "stats"):
        return "none: NUMBA_DISABLE_JIT is set"
    folder = harmonic_forward.stats.cache_path
    files = [file for end in ("nbi", "nbc") for file in Path(folder).glob(f"*.{end}")]
    return {"folder": folder, "files": len(files), "bytes": sum(f.stat().st_size for f in files)}


def _words(value):
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "missing" if value is None else str(value)


def _tried(read):
    """What it returns; a report about what is broken does not break."""
    try:
        return read()
    except Exception as error:
        return " ".join(f"unknown ({type(error).__name__}: {error})".split())


def _version(name):
    """Of an installed package, or None."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _libsndfile():
    import soundfile

    return soundfile.__libsndfile_version__


def _cores():
    from ..runners import n_cores

    return n_cores()


def _threads():
    """The threading layer that parallel kernels get here, those there are, and how many threads."""
    from importlib import import_module

    import numba
    from numba.np.ufunc import parallel

    available = []
    for layer, module in _LAYERS.items():
        try:
            import_module(f"numba.np.ufunc.{module}")
        except ImportError:
            continue
        available.append(layer)
    return {"layer": _tried(lambda: _layer(numba, parallel)), "available": available,
            "number": numba.get_num_threads()}  # fmt: skip


def _layer(numba, parallel):
    parallel._launch_threads()  # else Numba has not chosen yet
    return numba.threading_layer()


def _gpu():
    from ..backend import cuda_missing

    missing = cuda_missing()
    if missing:
        return f"none: {missing}"

    from numba import config, cuda

    if config.ENABLE_CUDASIM:
        return "Numba's simulator"
    name = cuda.get_current_device().name
    return name.decode() if isinstance(name, bytes) else name


def _extras():
    """What each optional extra needs, and in which version it is there."""
    from importlib.metadata import requires

    extras = {}
    for line in requires("spectralot") or []:
        needed, _, marker = line.partition(";")
        extra = re.search(r"extra == ['\"]([^'\"]+)", marker)
        if extra:
            name = re.match(r"[\w.-]+", needed).group()
            extras.setdefault(extra.group(1), []).append(f"{name} {_words(_version(name))}")
    return extras
