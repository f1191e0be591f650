"""The device's kernels without a device: simulated, compiled, and their parameters compared."""

import inspect
import sys
from importlib import import_module
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.kernels import compiled, float64_instructions, is_kernel, signatures

TWINS = ("stft", "synth", "transport", "network")
MODULES = (*TWINS, "arrays", "training")
# what NumPy does on the CPU, outside of compiled functions
ALONE = {
    "product_transposed", "add_up", "toeplitz", "toeplitz_backward", "convolution",
    "convolution_backward",
}  # fmt: skip
# sums over many samples, places in time and between bins, and all of transport's levels
DOUBLE = {
    "arrays": {"_cast", "_add_means"},
    "training": {"_gather_targets", "_vote", "_draw", "_tally", "_level_distance"},
    "stft": {"_vertical"},
    "synth": {
        "_phase_of_frames", "_phase_of_samples", "_forward", "_slopes", "_projections",
        "_gather_f0", "_gather_start", "_end", "_sinusoidal_forward", "_sinusoidal_backward",
    },
    "transport": {
        "_forward_1", "_forward_2", "_forward_p", "_on_one_grid", "_backward", "_charge_silence",
    },
    "network": {
        "_normalize", "_expected_position_forward", "_expected_position_backward", "_frequency",
        "_frequency_backward", "_bin_of", "_read", "_see", "_see_backward",
    },
}  # fmt: skip


def test_kernels_agree_with_the_cpu(pytestconfig):
    """They were begun when the tests were collected: see conftest.py."""
    status, log = pytestconfig.simulated.wait(), pytestconfig.simulated_log
    log.seek(0)
    told = log.read()
    assert status == 0, told
    assert " passed" in told and "skipped" not in told


@pytest.mark.parametrize("name", TWINS)
def test_both_places_have_functions_of_the_same_parameters(name):
    cpu, cuda = (import_module(f"spectralot.{place}.{name}") for place in ("cpu", "cuda"))
    made_here = [f for f in vars(cuda).values() if getattr(f, "__module__", "") == cuda.__name__]
    public = {f for f in made_here if inspect.isfunction(f) and f.__name__[0] != "_"}
    assert public
    for made in public:
        if made.__name__ in ALONE:
            continue
        twin = getattr(cpu, made.__name__)
        twin = getattr(twin, "py_func", twin)
        assert list(inspect.signature(made).parameters) == list(inspect.signature(twin).parameters)


@pytest.mark.parametrize("capability", [(8, 0), (9, 0)], ids=["sm_80", "sm_90"])
@pytest.mark.parametrize("name", MODULES)
def test_kernels_compile_without_a_driver(name, capability):
    pytest.importorskip("numba_cuda", reason="compiles for a device: install spectralot[cuda]")
    from numba import types

    module = import_module(f"spectralot.cuda.{name}")
    kernels = {k: v for k, v in vars(module).items() if is_kernel(v)}
    given = signatures(types)[name]
    assert kernels.keys() == given.keys()
    for kernel, arguments in given.items():
        double = set(float64_instructions(compiled(name, kernel, arguments, capability)))
        assert bool(double) == (kernel in DOUBLE.get(name, ())), (kernel, double)
