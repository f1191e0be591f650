"""Every kernel of the device, with the types of its arguments."""

from importlib import import_module
from types import SimpleNamespace
from unittest.mock import patch


def signatures(types):
    """Arguments of every kernel, as the public functions will give them."""
    f, d, i, b = types.float32, types.float64, types.int64, types.boolean
    f1, f2, f3, f4 = (types.Array(f, n, "C") for n in (1, 2, 3, 4))
    d1, d2, d3 = (types.Array(d, n, "C") for n in (1, 2, 3))
    c1, c3 = (types.Array(types.complex64, n, "C") for n in (1, 3))
    j2 = types.Array(types.int32, 2, "C")
    u2, i1 = types.Array(types.uint32, 2, "C"), types.Array(i, 1, "C")
    grid = types.Tuple((d, d, d, i, b))
    pair = d2, f3, d2, u2, grid, f
    sides = f2, f2, d2, d2, d, b, d, d2, u2, d3, d1, f2, f2, f2, f2
    return {
        "arrays": {
            "_cast": (d1, f1),
            "_fill": (f1, f),
            "_add": (f1, f1, f),
            "_copy": (f1, f, f1),
            "_scale": (f1, f),
            "_add_means": (d2, b, d1),
        },
        "training": {
            "_gather": (f2, j2, i1, f2),
            "_gather_targets": (d3, j2, i1, d2),
            "_vote": (d2, d2, d, d2),
            "_draw": (d1, d1, d, i, d1),
            "_adam": (f1, f1, f1, f2, i1, f, f, f, f1),
            "_tally": (d1, d1, i1),
            "_level_distance": (f2, f2, f, d1),
        },
        "stft": {
            "_forward": (f2, f1, c1, i, i, i, i, f, i, c3, f3),
            "_backward": (f3, c3, f3, f1, c1, i, i, f, i, f3),
            "_vertical": (f2, f3, f1, c1, i, i, i, i, f, f, f, f, f, d2, f3),
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
            "_gather_start": (f4, d2),
            "_end": (u2, d2, d2),
            "_sinusoidal_forward": (d3, f3, d2, grid, d, d2, f2),
            "_sinusoidal_backward": (f2, d3, f3, d2, grid, d, d3, f3, d2),
        },
        "transport": {
            "_forward_1": sides,
            "_forward_2": sides,
            "_forward_p": sides,
            "_on_one_grid": (f2, f2, d1, b, d, d2, d1, f2, f2),
            "_backward": (d1, f2, f2),
            "_charge_silence": (f2, f2, d, d, d1),
        },
        "network": {
            "_leaky_forward": (f2, f2, f),
            "_leaky_backward": (f2, f, f2, f3),
            "_product": (f2, f3, b, f2),
            "_outer_product": (f2, f2, f4),
            "_convolution": (f2, f3, i, i, f2),
            "_convolution_backward": (f2, f2, i, i, f4),
            "_add_up": (f2, f1),
            "_times": (f2, f2, f2),
            "_affine": (f2, f2, f2, f2),
            "_turn": (f4, f4),
            "_dropout": (i1, f, f1),
            "_toeplitz": (f3, f3),
            "_toeplitz_backward": (f3, f3),
            "_bins_forward": (f2, f2, i1, i, f, f3, f3),
            "_bins_backward": (f2, f2, i1, i, i, f, f3, f3, f3, f3),
            "_normalize": (f2, d, f2),
            "_standardize": (f2, f, f2),
            "_expected_position_forward": (f2, f, f2, d1),
            "_expected_position_backward": (f2, d1, f, d1, f2),
            "_frequency": (d1, d, d, d1),
            "_frequency_backward": (d1, d1, d, d1),
            "_bin_of": (d1, d, d, d1),
            "_read": (f2, d1, d1, f2, f2),
            "_see": (f2, d1, d1, f2, f2),
            "_see_backward": (f2, f2, f2, f2, f2, d, d1),
            "_level": (f2, f, f2),
            "_amplitude": (f2, f2, f2),
        },
    }


def is_kernel(value):
    """Whether this is what cuda.jit makes of a function that can be launched."""
    options = getattr(value, "targetoptions", {})
    return hasattr(value, "py_func") and "device" in options and not options["device"]


def compiled(name, kernel, arguments, capability):
    """PTX of a kernel of spectralot.cuda's module `name`; needs numba-cuda, but no device."""
    from numba.cuda import compile_ptx, dispatcher

    function = getattr(import_module(f"spectralot.cuda.{name}"), kernel).py_func
    here = SimpleNamespace(compute_capability=capability)
    # device functions ask which device there is
    with patch.object(dispatcher, "get_current_device", lambda: here):
        ptx, _ = compile_ptx(function, arguments, cc=capability)
    return ptx


def float64_instructions(ptx):
    """The instructions that work on float64; one does not by being handed an argument."""
    lines = [line.split()[0] for line in ptx.splitlines() if ".f64" in line]
    return [line for line in lines if not line.startswith((".", "ld.param", "mov"))]
