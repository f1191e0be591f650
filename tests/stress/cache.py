"""Compiled code on disk: upgrades, processes at once, damage, folders and disks that refuse."""

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import spectralot

from . import processes

PACKAGE = Path(spectralot.__file__).parent
# of a kernel and the one it calls: what they find, and how often their code was not found
PROBE = """
import hashlib, sys
import numpy as np
import spectralot.cpu.harmonics as kernels

rng = np.random.default_rng(0)
dtype, most, lanes = np.dtype(sys.argv[1]), 3, 2
parts = rng.standard_normal((2, 5, most)).astype(dtype)
energy = np.empty((5, most), dtype)
workspace = [(2 * most + 1, lanes), (most + 1, most + 1, lanes), (most + 1, lanes)]
kernels.nested_energies(
    rng.uniform(0.1, 0.2, 5), *parts, np.full(5, most), 400, *map(np.empty, workspace), energy
)
misses = sum(
    sum(kernel.stats.cache_misses.values())
    for kernel in vars(kernels).values() if hasattr(kernel, "stats")
)
print(hashlib.sha256(energy.tobytes()).hexdigest(), misses)
"""
LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""


def begin(cache, *, python=sys.executable, before="", dtype="float64", **environment):
    return subprocess.Popen(
        [python, "-P", "-c", before + PROBE, dtype], text=True,
        env=os.environ | processes.ONE_THREAD | {"NUMBA_CACHE_DIR": str(cache)} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def end(process):
    """What the sound was, and how much was compiled; nothing may be complained of."""
    status, out, err = processes.finish(process)
    assert (status, err) == (0, ""), err
    sound, misses = out.split()
    return sound, int(misses)


def probe(*args, **options):
    return end(begin(*args, **options))


def kept(cache):
    return sorted(Path(cache).rglob("*.nbc"))


def build(path, number, edit=None):
    """A wheel of the package as it stands, with another version and an edit of (file, old, new)."""
    name = f"spectralot-{number}"
    with zipfile.ZipFile(path / f"{name}-py3-none-any.whl", "w") as wheel:
        record = []
        for file in sorted(PACKAGE.rglob("*.py")):
            place, text = file.relative_to(PACKAGE.parent).as_posix(), file.read_text()
            if edit is not None and place == edit[0]:
                assert text.count(edit[1]) == 1
                text = text.replace(edit[1], edit[2])
            if place == "spectralot/_version.py":
                text = f'__version__ = "{number}"\n'
            record.append((place, text))
        info = f"{name}.dist-info"
        record += [
            (f"{info}/METADATA", f"Metadata-Version: 2.1\nName: spectralot\nVersion: {number}\n"),
            (f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        ]
        record.append((f"{info}/RECORD", "".join(f"{place},,\n" for place, _ in record)))
        for place, text in record:
            wheel.writestr(zipfile.ZipInfo(place), text)  # all of the same date
    return Path(wheel.filename)


class Installed:
    """An environment with nothing in it but what is installed; all else is found where it is."""

    def __init__(self, path):
        venv.create(path, with_pip=False, symlinks=True)
        self.python = path / "bin" / "python"
        self.site = next((path / "lib").glob("python*")) / "site-packages"
        others = [folder for folder in sys.path if folder.endswith("-packages")]
        (self.site / "others.pth").write_text("\n".join(others))

    def install(self, wheel):
        """As users do; then every file gets the same date, which packagers and copies may do."""
        quiet = ("-q", "--disable-pip-version-check", "--no-index", "--no-deps")
        command = [sys.executable, "-m", "pip", "--python", self.python, "install", *quiet, wheel]
        subprocess.run(command, check=True)
        for file in self.site.rglob("spectralot/**/*.py"):
            os.utime(file, (1_700_000_000, 1_700_000_000))

    def probe(self):
        # NUMBA_CACHE_DIR empty: beside the package, as for most users
        return probe("", python=self.python, PYTHONPATH="", PYTHONDONTWRITEBYTECODE="1")


def upgrades(short):
    """Another version over one: never the code of the one before."""
    if importlib.util.find_spec("pip") is None:
        return "not checked: there is no pip"
    edit = ("spectralot/cpu/harmonics.py", "0.5 * (dirichlet", "0.4 * (dirichlet")  # of a helper
    with processes.folder() as path:
        env = Installed(path / "env")
        one, two = build(path, "1.0"), build(path, "1.1", edit)
        env.install(one)
        first, misses = env.probe()
        assert misses == 3 and env.probe() == (first, 0)
        env.install(two)
        n_before = len(kept(env.site))
        second, misses = env.probe()
        assert n_before == misses == 3 and second != first
        if not short:
            assert env.probe() == (second, 0)
            env.install(one)
            assert env.probe()[0] == first
    return "a constant changed in what a kernel calls, dates and sizes equal: new results"


def at_once(n_processes):
    """An empty cache filled by many, for two types at once."""
    dtypes = ["float64", "float32"] * (n_processes // 2)
    with processes.folder() as cache:
        found = [end(p) for p in [begin(cache, dtype=dtype) for dtype in dtypes]]
        n_files = len(kept(cache))
        for sounds in (found[::2], found[1::2]):
            assert len({sound for sound, _ in sounds}) == 1
        for dtype, (sound, _) in zip(dtypes[:2], found, strict=False):
            assert probe(cache, dtype=dtype) == (sound, 0)
        assert len(kept(cache)) == n_files and not list(cache.rglob("*.part"))
    return f"equal results, no message, {n_files} files that are whole, nothing compiled afterwards"


DAMAGE = (
    lambda data, other: data[: len(data) // 2],
    lambda data, other: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    lambda data, other: other,
    lambda data, other: b"",
    lambda data, other: bytes(len(data)),
)


def damaged(short):
    """Files that were cut, emptied, changed, or exchanged."""
    with processes.folder() as cache:
        sound, misses = probe(cache)
        files = kept(cache)
        whole = [file.read_bytes() for file in files]
        assert misses == len(files) == 3
        for first in (0,) if short else range(len(DAMAGE)):
            for k, file in enumerate(files):
                file.write_bytes(DAMAGE[(first + k) % len(DAMAGE)](whole[k], whole[k - 1]))
            assert probe(cache) == (sound, 3)
            assert kept(cache) == files
            assert probe(cache) == (sound, 0)
    return "empty, cut, zeros, one bit, another kernel's code: compiled anew, and whole again"


def refused():
    """Nowhere to write: code is compiled, used and not kept."""
    with processes.folder() as path:
        cache = path / "cache"
        sound, misses = probe(cache, before=LIMITED)  # as on a full disk
        assert misses == 3 and not [file for file in cache.rglob("*") if file.is_file()]
        package = path / "site" / "spectralot"
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        file = package / "cpu" / "__pycache__"
        file.write_text("no folder")
        site = str(path / "site")
        assert probe(file, PYTHONPATH=site, HOME=str(file), XDG_CACHE_HOME=str(file))[0] == sound
    return "no folder can be written, or the disk is full: the same results without a message"


def check(short):
    """Yield what was checked and found."""
    yield "another version installed over one", upgrades(short)
    if not short:
        yield "8 processes fill one cache at once", at_once(8)
    yield "damaged files", damaged(short)
    yield "no place for compiled code", refused()
