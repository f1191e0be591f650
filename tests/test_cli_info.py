"""``spectralot info`` and ``spectralot warmup``: what they say, and what is compiled then."""

import ast
import json
import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numba
import pytest
from click.testing import CliRunner

import spectralot
from spectralot.cli import main
from spectralot.cli.info import compiled_code

HOME = "spectralot.cli.info"  # the package has the command under this name
CPU = Path(spectralot.__file__).parent / "cpu"


def run(*args, **environment):
    command = [sys.executable, "-c", "from spectralot.cli import main; main()", *args]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environment, check=False
    )


def test_info_says_what_is_installed():
    result = CliRunner().invoke(main, ["info", "--json"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["spectralot"] == spectralot.__version__
    assert found["python"].startswith(platform.python_version())
    for name in ("numpy", "scipy", "numba", "llvmlite", "rocket-fft", "soundfile", "soxr"):
        assert found["packages"][name] == version(name)
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", found["libsndfile"])
    assert 1 <= found["cores"] <= os.cpu_count()
    threads = found["threads"]
    assert threads["layer"] in threads["available"] and "workqueue" in threads["available"]
    assert threads["layer"] == numba.threading_layer()
    assert threads["number"] == numba.get_num_threads()
    assert Path(found["cache"]["folder"]).is_dir() or found["cache"]["files"] == 0
    assert isinstance(found["gpu"], str)
    assert any(entry.startswith("numba-cuda") for entry in found["extras"]["cuda"])


def test_info_prints_the_same_as_text():
    found = json.loads(run("info", "--json").stdout)
    done = run("info")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"spectralot: {spectralot.__version__}"
    assert f"  numba: {version('numba')}" in lines
    assert f"  layer: {found['threads']['layer']}" in lines
    assert f"  available: {', '.join(found['threads']['available'])}" in lines
    assert f"gpu: {found['gpu']}" in lines
    assert f"  folder: {found['cache']['folder']}" in lines


def test_info_hears_its_environment(tmp_path):
    settings = {"NUMBA_NUM_THREADS": "1", "NUMBA_THREADING_LAYER": "workqueue",
                "NUMBA_CACHE_DIR": str(tmp_path)}  # fmt: skip
    found = json.loads(run("info", "--json", **settings).stdout)
    assert found["numba settings"].items() >= settings.items()
    assert found["threads"]["layer"] == "workqueue" and found["threads"]["number"] == 1
    cache = found["cache"]
    assert Path(cache["folder"]).parent == tmp_path and (cache["files"], cache["bytes"]) == (0, 0)
    Path(cache["folder"]).mkdir(exist_ok=True)
    Path(cache["folder"], "synth.x.nbi").write_bytes(b"12345")
    Path(cache["folder"], "other.txt").write_bytes(b"12345")
    cache = json.loads(run("info", "--json", **settings).stdout)["cache"]
    assert (cache["files"], cache["bytes"]) == (1, 5)


def test_info_never_fails(monkeypatch):
    def broken():
        raise OSError("no\nsuch luck")

    for name in ("_version", "_libsndfile", "_cores", "_threads", "_gpu", "_extras",
                 "compiled_code"):  # fmt: skip
        monkeypatch.setattr(sys.modules[HOME], name, lambda *_: broken())
    for args in (["info"], ["info", "--json"]):
        result = CliRunner().invoke(main, args)
        assert result.exit_code == 0
        assert result.stdout.count("unknown (OSError: no such luck)") == 13
    done = run("info", "--json", NUMBA_DISABLE_JIT="1", NUMBA_THREADING_LAYER="nonsense")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["cache"] == "none: NUMBA_DISABLE_JIT is set"
    assert "nonsense" in str(found["threads"])


def test_info_imports_what_it_says_only_when_asked():
    code = (
        "import sys\n"
        "from spectralot.cli import main\n"
        "main([sys.argv[1], '--help'], standalone_mode=False)\n"
        "heavy = {'numpy', 'numba', 'scipy', 'soundfile', 'importlib.metadata'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    for command in ("info", "warmup"):
        done = subprocess.run(
            [sys.executable, "-c", code, command], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def cached_kernels():
    """Names of all functions that are compiled into the cache, by the source."""
    return {
        f"{file.stem}.{node.name}"
        for file in CPU.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef)
        and any("cache=True" in ast.unparse(mark) for mark in node.decorator_list)
    }


def compiled_by(*args):
    """Kernels that the command did not find in the cache."""
    code = (
        "import sys\n"
        "from numba.core.dispatcher import Dispatcher\n"
        "from spectralot.cli import main\n"
        "try:\n"
        "    main(standalone_mode=False)\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "for name, module in list(sys.modules.items()):\n"
        "    for kernel in vars(module).values() if name.startswith('spectralot.cpu') else ():\n"
        "        kernel = getattr(kernel, 'kernel', kernel)\n"
        "        if isinstance(kernel, Dispatcher) and kernel.stats.cache_misses:\n"
        "            print(kernel.__name__, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.split()


@pytest.mark.slow
def test_warmup_compiles_what_the_commands_use(tmp_path):
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        pytest.skip("nothing is compiled")
    done = run("warmup")
    assert (done.returncode, done.stderr) == (0, "")
    *lines, last = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "estimate", "resynth", "fit", "losses", "training", "in",
    ]  # fmt: skip
    assert all(re.search(r" +\d+\.\d s$", line) for line in lines)
    cache = compiled_code()
    found = re.fullmatch(r"cache: (.*), (\d+) files, (\d+\.\d) MB", last)
    assert found and found[1] == str(cache["folder"])
    # other processes may have compiled something since
    assert 0 <= cache["files"] - int(found[2]) < 5
    assert -0.05 <= cache["bytes"] / 1e6 - float(found[3]) < 0.5
    names = {file.name.rsplit("-", 1)[0] for file in Path(cache["folder"]).glob("*.nbc")}
    # no command uses these
    assert cached_kernels() - names <= {
        "morphing.add_components", "plan.quantile_function", "synth.sinusoidal_backward",
        "synth.sinusoidal_forward",
    }  # fmt: skip
    note = Path(__file__).parents[1] / "examples" / "notes" / "clarinet_F4.wav"
    assert compiled_by("estimate", note, "-o", tmp_path, "--resynth") == []
    assert compiled_by("resynth", tmp_path / "clarinet_F4.npz", "--pitch", 3) == []
    assert compiled_by("compare", note, note) == []
    assert compiled_by(
        "train", "-o", tmp_path / "run", "--sounds", 20, "--steps", 1, "--batch-size", 4
    ) == []  # fmt: skip
