"""The device's kernels without a device: simulated, compiled, and their parameters compared."""

import inspect
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

SIMULATOR = Path(__file__).parent / "simulator"
MODULES = ("stft", "synth", "transport", "network")
# sums over many samples, places in time and between bins, and all of transport's levels
DOUBLE = {
    "synth": {
        "_phase_of_frames", "_phase_of_samples", "_forward", "_slopes", "_projections",
        "_gather_f0", "_gather_start",
    },
    "transport": {"_forward", "_on_one_grid", "_backward"},
    "network": {"_normalize", "_expected_position_forward", "_expected_position_backward", "_read"},
}  # fmt: skip


def test_kernels_agree_with_the_cpu():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(SIMULATOR)],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "skipped" not in done.stdout


@pytest.mark.parametrize("name", MODULES)
def test_both_places_have_functions_of_the_same_parameters(name):
    cpu, cuda = (import_module(f"spectralot.{place}.{name}") for place in ("cpu", "cuda"))
    made_here = [f for f in vars(cuda).values() if getattr(f, "__module__", "") == cuda.__name__]
    public = [f for f in made_here if inspect.isfunction(f) and f.__name__[0] != "_"]
    assert public
    for made in public:
        twin = getattr(cpu, made.__name__).py_func
        assert list(inspect.signature(made).parameters) == list(inspect.signature(twin).parameters)


def signatures(types):
    """Arguments of every kernel, as the public functions will give them."""
    f, d, i, b = types.float32, types.float64, types.int64, types.boolean
    f1, f2, f3, f4 = (types.Array(f, n, "C") for n in (1, 2, 3, 4))
    d1, d2, d3 = (types.Array(d, n, "C") for n in (1, 2, 3))
    c1, c3 = (types.Array(types.complex64, n, "C") for n in (1, 3))
    u2, i1 = types.Array(types.uint32, 2, "C"), types.Array(i, 1, "C")
    grid = types.Tuple((d, d, d, i, b))
    pair = d2, f3, d2, u2, grid, f
    sides = f2, f2, d2, d2, d, b, d
    return {
        "stft": {
            "_forward": (f2, f1, c1, i, i, i, i, f, i, c3, f3),
            "_backward": (f3, c3, f3, f1, c1, i, i, f, i, f3),
            "_vertical": (f2, f3, f1, c1, i, i, i, i, f, f, f, f, f, f2, f3),
            "_overlap_add": (f3, i, i, b, f2),
        },
        "synth": {
            "_phase_of_frames": (d2, d, d, i, d, u2),
            "_phase_of_samples": (d2, d, d, i, d, u2),
            "_forward": (*pair, f2),
            "_slopes": (f2, *pair, f2),
            "_projections": (f2, *pair, f4),
            "_gather_f0": (f2, d, d, i, d, d2),
            "_gather_amplitudes": (f4, f3),
            "_gather_start": (f4, f2),
        },
        "transport": {
            "_forward": (*sides, d2, u2, d3, d1, f2, f2, f2, f2),
            "_on_one_grid": (f2, f2, d1, b, d, d2, d1, f2, f2),
            "_backward": (d1, f2, f2),
        },
        "network": {
            "_leaky_forward": (f2, f1, f),
            "_leaky_backward": (f2, f, f2, f2),
            "_product": (f2, f2, f2),
            "_outer_product": (f2, f2, f3),
            "_bins_forward": (f2, f1, i1, i, f, f3, f3),
            "_bins_backward": (f2, f1, i1, i, i, f, f3, f3, f3, f2),
            "_normalize": (f2, d, f2),
            "_standardize": (f2, f, f2),
            "_expected_position_forward": (f2, f, f2, d1),
            "_expected_position_backward": (f2, d1, f, d1, f2),
            "_read": (f2, d1, d1, f2, f2),
            "_amplitude": (f2, f2, f2),
        },
    }


def is_kernel(value):
    """Whether this is what cuda.jit makes of a function that can be launched."""
    options = getattr(value, "targetoptions", {})
    return hasattr(value, "py_func") and "device" in options and not options["device"]


@pytest.mark.parametrize("capability", [(8, 0), (9, 0)], ids=["sm_80", "sm_90"])
@pytest.mark.parametrize("name", MODULES)
def test_kernels_compile_without_a_driver(name, capability, monkeypatch):
    pytest.importorskip("numba_cuda", reason="compiles for a device: install spectralot[cuda]")
    from numba import types
    from numba.cuda import compile_ptx, dispatcher

    # device functions ask which device there is
    here = SimpleNamespace(compute_capability=capability)
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: here)
    module = import_module(f"spectralot.cuda.{name}")
    kernels = {k: v for k, v in vars(module).items() if is_kernel(v)}
    given = signatures(types)[name]
    assert kernels.keys() == given.keys()
    for kernel, arguments in given.items():
        ptx, _ = compile_ptx(kernels[kernel].py_func, arguments, cc=capability)
        lines = [line.split()[0] for line in ptx.splitlines() if ".f64" in line]
        double = {line for line in lines if not line.startswith((".", "ld.param", "mov"))}
        assert bool(double) == (kernel in DOUBLE.get(name, ())), (kernel, double)
