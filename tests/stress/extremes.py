"""Numbers at the edge: scales, silence, ties, what is not finite, and other kinds of arrays."""

import re
import warnings

import numba
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralot import ParameterError

from .operations import numbers, operations

SCALES = (
    0.0, 5e-324, 1e-310, 1e-300, 1e-200, 1e-100, 1e-45, 1e-40, 1e-38, 1e-30, 1e-20, 1e-10,
    1e10, 1e15, 1e19, 1e30, 1e38, 1e100, 1e160, 1e300,
)  # fmt: skip
FEW_SCALES = (0.0, 1e-310, 1e-30, 1e30)
SLOW = ("fit_note", "fit_harmonics", "HarmonicEstimator")  # seconds, or many tenths of one
# what these give may be infinite (an error of f0 in silence) or no number (a share of nothing)
INFINITE = ("fit_harmonics", "HarmonicEstimator")
UNKNOWN = ("pitch_scores", "melody_scores")

# largest difference of float32 from float64: of the value, and of the gradients or other arrays,
# relative to the norm of each; slopes of kinks and of logarithms turn where magnitudes are noise
BOUNDS = {
    "harmonic_forward": (1e-6, 1e-6), "sinusoidal_forward": (1e-6, 1e-6),
    "stft_magnitude_forward": (1e-6, 1e-4), "STFT": (1e-6, 1e-4), "Mel": (1e-6, 1e-4),
    "ConstantQ": (2e-6, 1e-4), "PitchSalience": (1e-5, 1e-4), "noise_floor_forward": (1e-6, 1e-6),
    "wasserstein_1d_forward": (1e-6, 1e-6), "circular_wasserstein_1d_forward": (1e-6, 1e-6),
    "transport_plan": (1e-6, 1e-6), "displacement_interpolation": (1e-6, 0),
    "wasserstein_barycenter": (1e-6, 0), "morph": (1e-6, 0), "LIN": (1e-6, 1e-3),
    "LOG": (1e-6, 1e-2), "MSS": (1e-5, 1e-2), "SmoothMSS": (1e-5, 1e-4), "LogCosh": (1e-5, 1e-4),
    "SpectralConvergence": (1e-6, 1e-4), "SOT": (1e-5, 1e-2), "WeightedSum": (1e-5, 1e-2),
    "preset": (1e-5, 2e-2), "LineSOT": (1e-6, 1e-6), "LineSOT.harmonic": (1e-6, 1e-6),
    "log_spectral_distance": (1e-6, 0), "level_difference_db": (1e-6, 0),
    "HarmonicTracks.resynthesize": (1e-5, 1e-5), "shift_pitch": (1e-6, 1e-6),
    "stretch_time": (1e-6, 1e-6), "scale_harmonics": (1e-6, 1e-6), "morph_tracks": (1e-6, 1e-6),
}  # fmt: skip


def outcome(operation, arrays, **options):
    """What comes back, or the line of the refusal; anything else is a failure."""
    about = f"{operation.name} of { {name: np.shape(array) for name, array in arrays.items()} }"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = numbers(operation.call(**arrays, **options))
        except ParameterError as error:
            names = "|".join(map(re.escape, (*operation.arrays, *operation.options)))
            named = re.match(rf"(({names}|d_\w+|frame|weights|f0_hz|x|p)\b|fmin and)", str(error))
            assert named and "\n" not in str(error), f"{about}: {error}"
            return str(error)
        except Exception as error:
            raise AssertionError(f"{about}: {type(error).__name__}: {error}") from error
    if operation.name in UNKNOWN:
        return found
    good = (lambda a: ~np.isnan(a)) if operation.name in INFINITE else np.isfinite
    assert all(good(array).all() for array in found), f"{about}: not finite"
    return found


def _same(found, wanted):
    """Whether both are refused, or the same numbers."""
    if isinstance(found, str) or isinstance(wanted, str):
        return isinstance(found, str) and isinstance(wanted, str)
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(found, wanted, strict=True))


def _tally(found):
    refused = sum(isinstance(one, str) for one in found)
    return f"{len(found)} calls: {len(found) - refused} finite, {refused} refused in one line"


def _quick(table):
    return [operation for operation in table if operation.name not in SLOW]


def _scaled(table, scales):
    """Every level at every scale: all arrays together, and each alone beside ordinary ones."""
    for dtype in (np.float64, np.float32):
        found = []
        for operation in table:
            alone = [{name} for name in operation.scaled] if len(operation.scaled) > 1 else []
            for scale in scales if operation.name not in SLOW else (scales[0], 1e-30, 1e30):
                for chosen in [{*operation.scaled}, *alone] if operation.scaled else []:
                    with np.errstate(all="ignore"):
                        arrays = {
                            name: (array * scale if name in chosen else array).astype(dtype)
                            for name, array in operation.arrays.items()
                        }
                    if all(np.isfinite(array).all() for array in arrays.values()):
                        found.append(outcome(operation, arrays))
        yield f"{len(scales)} scales from 0 to {scales[-1]:g} in {dtype.__name__}", _tally(found)


def _smallest(table):
    """One sample, one bin, one frame, one row; a row of equal weights; silence beside sound."""
    found = []
    for operation in table:
        sizes = {
            "one": {name: array[..., :1] for name, array in operation.arrays.items()},
            "two": {name: array[..., :2] for name, array in operation.arrays.items()},
            "first": {name: array[:1] for name, array in operation.arrays.items()},
            "zeros": {name: 0 * array for name, array in operation.arrays.items()},
        }
        for name in operation.scaled:
            one = operation.arrays[name]
            sizes[f"{name} equal"] = operation.arrays | {name: np.full_like(one, 0.5)}
            impulse = np.zeros_like(one)
            impulse[..., -1] = 1.0
            sizes[f"{name} impulse"] = operation.arrays | {name: impulse}
        for arrays in sizes.values():
            found.append(outcome(operation, arrays))
    yield "one sample, bin, frame or row; zeros; equal weights; impulses", _tally(found)


def _equal(table):
    """Where target and estimate are the same, losses are 0 and have no slope."""
    n = 0
    for operation in table:
        if {*operation.arrays} != {"target", "estimate"} or operation.name.endswith("_db"):
            continue
        for sound in (operation.arrays["target"], 0 * operation.arrays["target"]):
            for dtype in (np.float64, np.float32):
                same = sound.astype(dtype)
                for array in outcome(operation, dict(target=same, estimate=same.copy())):
                    assert not np.any(array), f"{operation.name}: equal sounds have a slope"
                    n += 1
    yield "equal sounds, silent ones too", f"{n} values and gradients, all exactly 0"


def _not_finite(table):
    """NaN and infinities are refused by the name of the argument, wherever they stand."""
    n = 0
    for operation in table:
        for name, array in operation.arrays.items():
            for value in (np.nan, np.inf, -np.inf):
                if operation.name in UNKNOWN and "f0" in name and np.isnan(value):
                    continue  # there it says that nothing is known
                bad = array.copy()
                bad[(*[-1] * bad.ndim,)] = value
                line = outcome(operation, operation.arrays | {name: bad})
                named = isinstance(line, str) and line.startswith(name)
                assert named, f"{operation.name}: {name} = {value} gives {line}"
                n += 1
        for name, ordinary in operation.options.items():
            for value in (np.nan, np.inf, -np.inf) if ordinary is not None else ():
                line = outcome(operation, operation.arrays, **{name: value})
                named = isinstance(line, str) and name in line
                assert named, f"{operation.name}: {name} = {value} gives {line}"
                n += 1
    yield "NaN and both infinities in every array and number", f"{n} calls, each refused by name"


def _empty(table):
    """Arrays without elements are refused by name."""
    n = 0
    for operation in table:
        for name, array in operation.arrays.items():
            for empty in (array[..., :0], array[:0], np.zeros(0), []):
                line = outcome(operation, operation.arrays | {name: empty})
                assert isinstance(line, str), f"{operation.name}: {name} may be empty"
                n += 1
    yield "empty arrays", f"{n} calls, each refused in one line"


def _kinds():
    """Arrays of the same numbers as a float64 copy, but of another kind."""

    def strided(array):
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]))
        wide[..., ::2] = array
        return wide[..., ::2]

    def read_only(array):
        array = array.copy()
        array.setflags(write=False)
        return array

    return {
        "list": np.ndarray.tolist,
        "Fortran order": np.asfortranarray,
        "strided": strided,
        "backwards": lambda array: array[..., ::-1].copy()[..., ::-1],
        "read-only": read_only,
        "byte-swapped": lambda array: array.astype(array.dtype.newbyteorder()),
        "masked nowhere": np.ma.masked_array,
        "float16": lambda array: array.astype(np.float16),
        "float128": lambda array: array.astype(np.longdouble),
        "int16": lambda array: np.rint(100 * array).astype(np.int16),
        "int64": lambda array: np.rint(100 * array).astype(np.int64),
        "bool": lambda array: array > np.median(array),
    }


def _other_kinds(table):
    """Other kinds of arrays give what a float64 copy gives, to the bit; no input is changed."""
    for kind, of in _kinds().items():
        n = 0
        for operation in table:
            chosen = operation.arrays
            if kind in ("int16", "int64", "bool"):  # frequencies and times would be others
                chosen = operation.scaled
            arrays = {
                name: of(array) if name in chosen else array.copy()
                for name, array in operation.arrays.items()
            }
            copies = {name: np.array(array, np.float64) for name, array in arrays.items()}
            before = {name: np.array(array) for name, array in arrays.items()}
            found = outcome(operation, arrays)
            assert _same(found, outcome(operation, copies)), f"{operation.name}: {kind}"
            for name, array in before.items():
                assert np.array_equal(arrays[name], array), f"{operation.name} changed {name}"
            n += 1
        yield f"{kind} instead of float64", f"{n} operations, the same to the bit, inputs unchanged"
    n = 0
    for operation in table:
        for name, array in operation.arrays.items():
            masked = np.ma.masked_array(array, array == array.flat[0])
            line = outcome(operation, operation.arrays | {name: masked})
            assert isinstance(line, str) and line.startswith(name), f"{operation.name}: {name}"
            n += 1
    yield "masked elements", f"{n} calls, each refused by name"


def _differences(operation, rng):
    """Of float32 from float64, relative to the norm of each result, whose levels vary a little."""
    single = {
        name: (array * rng.uniform(0.9, 1.1, array.shape) if name in operation.scaled else array)
        for name, array in operation.arrays.items()
    }
    single = {name: array.astype(np.float32) for name, array in single.items()}
    double = {name: array.astype(np.float64) for name, array in single.items()}
    found, wanted = outcome(operation, single), outcome(operation, double)
    for a, b in zip(found, wanted, strict=True):
        size = np.linalg.norm(b.ravel())
        yield np.linalg.norm((a - b).ravel()) / size if size > 0 else float(np.any(a))


def _single_precision(table, draws=1):
    """float32 beside float64 from the same float32 numbers: the value, then all gradients."""
    found, rng = {}, np.random.default_rng(8)
    for operation in table:
        name = operation.name.split(",")[0].split(" ")[0]
        for _ in range(draws if operation.name not in UNKNOWN else 0):
            value, *others = _differences(operation, rng)
            worst = found.setdefault(name, [0.0, 0.0])
            worst[:] = max(worst[0], value), max(worst[1], *others, 0.0)
    for name, worst in found.items():
        bounds = BOUNDS.get(name, (0, 0))
        text = " and ".join(f"{error:.1e}" for error in worst)
        limits = " and ".join(f"{bound:g}" for bound in bounds)
        for error, bound in zip(worst, bounds, strict=True):
            assert error <= bound, f"{name}: float32 is off by {text}, more than {limits}"
        yield f"float32, {name}: value and gradients within {limits}", text


@st.composite
def _any_arrays(draw, table):
    """An operation, and numbers of any size, sign and pattern in its arrays."""
    operation = draw(st.sampled_from(table))
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    arrays = dict(operation.arrays)
    for name in draw(st.sets(st.sampled_from([*arrays]), min_size=1)):
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        array, pattern = arrays[name], draw(st.sampled_from(
            ["exponents", "bits", "ties", "sparse", "constant", "one"]))  # fmt: skip
        if pattern == "exponents":  # a huge range within one array
            low, high = sorted(draw(st.tuples(st.integers(-320, 30), st.integers(-320, 30))))
            array = array * 10.0 ** rng.uniform(low, high, array.shape)
        elif pattern == "bits":  # any float at all
            bits = rng.integers(0, 2**63, array.shape).view(np.float64)
            array = np.where(np.isfinite(bits), bits, 0) * rng.choice([1, -1], array.shape)
        elif pattern == "ties":
            array = rng.choice([0.0, 1.0, 2.0], array.shape) * draw(st.sampled_from([1, 1e-30]))
        elif pattern == "sparse":
            array = array * (rng.uniform(size=array.shape) < 0.05)
        elif pattern == "constant":
            array = np.full_like(array, draw(st.floats(allow_nan=False, allow_infinity=False)))
        else:
            array = array.copy()
            array.flat[draw(st.integers(0, array.size - 1))] = draw(st.floats(allow_nan=False))
        arrays[name] = array
    with np.errstate(all="ignore"):
        return operation, {name: array.astype(dtype) for name, array in arrays.items()}


def _anything(table, n_examples):
    """Arrays drawn by hypothesis: finite results or one line that names an argument."""
    found = []

    @settings(max_examples=n_examples, deadline=None, derandomize=True, database=None)
    @given(_any_arrays(table))
    def holds(drawn):
        found.append(outcome(*drawn))

    holds()
    yield "arrays of any finite numbers, drawn", _tally(found)


def check(short):
    """Yield what was tried and what was found; an AssertionError says what failed."""
    table = operations(presets=("SOT-512-LogF",)) if short else operations()
    quick = _quick(table)
    before = numba.get_num_threads()
    numba.set_num_threads(1)  # thousands of tiny calls: threads would wait for each other
    try:
        yield from _scaled(quick if short else table, FEW_SCALES if short else SCALES)
        for part in (_smallest, _equal, _not_finite, _empty, _other_kinds):
            yield from part(quick)
        yield from _single_precision(quick, 1 if short else 20)
        yield from _anything(quick, 60 if short else 4000)
    finally:
        numba.set_num_threads(before)
