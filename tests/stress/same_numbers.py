"""The same bits: in every run, on any number of threads, in any blocks, compiled anew or not.

``python -m tests.stress.same_numbers --renew`` stores the numbers of today.
"""

import argparse
import hashlib
import json
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

from .calls import NOTES, QUICK, arrays_of, call, digest, in_process

DATA = Path(__file__).parents[1] / "data"
VALUES, DIGESTS = DATA / "estimates.npz", DATA / "estimates.json"
PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "rocket-fft")
SWITCHES = ("NUMBA_CPU_", "NPY_DISABLE_CPU_", "OPENBLAS_CORETYPE", "NUMBA_OPT")
# on other platforms, relative to the largest value of an array: NumPy's routines for processors
# without AVX2 differ by 1.2e-6 from those with AVX-512; a decision may fall otherwise in a frame
TOLERANCE, MOST = 1e-4, 0.99


def check(short):
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        yield "bits", "skipped: NUMBA_DISABLE_JIT is set, nothing is compiled"
        return
    yield "estimates of the shipped recordings", compare_with_stored()
    here = {name: call(name) for name in QUICK}
    assert here == {name: call(name) for name in QUICK}, "two calls, different bits"
    yield f"{len(QUICK)} functions, twice", "the same bits"
    for numbers in [[1, 2]] if short else [[1, 2], [3, 5]]:
        there = in_process(__name__, "on_threads", numbers, NUMBA_NUM_THREADS=str(numbers[-1]))
        assert all(found == here for found in there), f"other bits on one of {numbers} threads"
        yield f"a fresh process, Numba's threads {' and '.join(map(str, numbers))}", "the same bits"
    yield "a recording in blocks of " + in_blocks(short), "the same bits as in one piece"
    names = ["stft"] if short else [*QUICK]
    with tempfile.TemporaryDirectory() as cache:
        for state in ("compiled anew", "from that cache"):
            found = in_process(__name__, "digests", names, NUMBA_CACHE_DIR=cache)
            assert found == {name: here[name] for name in names}, f"{state}: other bits"
            yield f"{len(names)} functions, {state}", "the same bits"
    if not short:
        with tempfile.TemporaryDirectory() as cache:
            found = in_process(
                __name__, "compare_with_stored", NUMBA_CACHE_DIR=cache, NUMBA_CPU_NAME="generic",
                NUMBA_CPU_FEATURES="", OPENBLAS_CORETYPE="Haswell",
            )  # fmt: skip
        yield "estimates by code for any processor, and BLAS's for one with AVX2", found


def estimates():
    """Arrays of `HarmonicEstimator` on each recording: recording.field to array."""
    from spectralot import HarmonicEstimator, read_audio

    estimator = HarmonicEstimator()
    return {
        path.stem: dict(arrays_of(estimator.estimate(*read_audio(path))))
        for path in sorted(NOTES.glob("*.wav"))
    }


def this_platform():
    """What bits depend on besides this package: processor, system, compilers, libraries."""
    import llvmlite.binding as llvm
    import scipy.linalg  # noqa: F401  (whose BLAS is to be listed)
    from threadpoolctl import threadpool_info

    features = hashlib.sha256(llvm.get_host_cpu_features().flatten().encode()).hexdigest()[:8]
    blas = {
        f"{each['internal_api']} {each['version']} {each.get('architecture')}"
        for each in threadpool_info()
        if each["user_api"] == "blas"
    }
    return ", ".join(
        [
            f"{platform.system()} {platform.machine()} {llvm.get_host_cpu_name()} {features}",
            " ".join(platform.libc_ver()),
            *sorted(blas),
            *(f"{name} {version(name)}" for name in PACKAGES),
            *(f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(SWITCHES)),
        ]
    )


def compare_with_stored():
    """What agrees with the stored numbers, and how exactly; who differs is named in one line."""
    known = json.loads(DIGESTS.read_text(encoding="utf-8")).get(this_platform())
    found = estimates()
    if known == {note: digest(arrays) for note, arrays in found.items()}:
        return "the bits stored for this platform"
    where, largest = largest_difference(found)
    if known or not agrees(found):
        raise AssertionError(
            f"{where} differs from the stored estimate by up to {largest:.2g} of its largest value"
            f"{'' if known else ', on a platform that is not known'}; if that is meant: "
            "python -m tests.stress.same_numbers --renew"
        )
    return f"a platform that is not known: differences up to {largest:.1g}, in {where}"


def agrees(found):
    """Whether all but few numbers are those stored, as exactly as platforms agree."""
    return largest_difference(found, MOST)[1] <= TOLERANCE


def largest_difference(found, quantile=1.0):
    """The array that differs most from what is stored, and how much, relative to its values."""
    worst = "nothing", 0.0
    with np.load(VALUES) as stored:
        names = {f"{note}{field}" for note, arrays in found.items() for field in arrays}
        if names != {*stored.files}:
            return f"the list of arrays ({', '.join(sorted(names ^ {*stored.files}))})", np.inf
        for note, arrays in found.items():
            kept = {field: stored[f"{note}{field}"] for field in arrays}
            for field in arrays:
                share = _share(_comparable(kept, field), _comparable(arrays, field), quantile)
                worst = max(worst, (f"{note}{field}", share), key=lambda each: each[1])
    return worst


def _comparable(arrays, field):
    """A phase counts as much as its harmonic does."""
    if field == ".phases":
        return arrays[".amplitudes"] * np.exp(1j * arrays[field])
    return arrays[field]


def _share(stored, found, quantile):
    """Difference relative to the largest stored value; infinite where only one of them is."""
    if stored.shape != found.shape:
        return np.inf
    stored, found = (np.atleast_1d(a).astype(complex) for a in (stored, found))
    with np.errstate(invalid="ignore"):
        same = (stored == found) | (np.isnan(stored) & np.isnan(found))
        difference = np.nan_to_num(np.abs(np.where(same, 0, found - stored)), nan=np.inf)
    largest = np.abs(stored[np.isfinite(stored)]).max(initial=0.0) or 1.0
    return float(np.quantile(difference, quantile, method="lower") / largest)


def renew():
    """Store the numbers of today; where only the platform is new, its digests beside the others."""
    found, platforms, here = estimates(), {}, this_platform()
    if DIGESTS.exists():
        platforms = json.loads(DIGESTS.read_text(encoding="utf-8"))
    if not platforms or here in platforms or not agrees(found):
        platforms = {}
        flat = {
            f"{note}{field}": a for note, arrays in found.items() for field, a in arrays.items()
        }
        np.savez_compressed(VALUES, **flat)
    platforms[here] = {note: digest(arrays) for note, arrays in found.items()}
    DIGESTS.write_text(json.dumps(platforms, indent=1) + "\n", encoding="utf-8")
    return f"{len(platforms)} platforms in {DIGESTS.name}, {VALUES.stat().st_size} bytes of values"


def in_blocks(short):
    """Compare blocks of several sizes with the whole; return which."""
    from spectralot import HarmonicEstimator, read_audio

    sizes = (4410, 371) if short else (37, 4410, 1 << 16)
    estimator, lengths = HarmonicEstimator(), np.random.default_rng(4).integers(1, 9000, 500)
    audio, rate = read_audio(NOTES / "cello_D2.wav")
    audio = audio if short else np.tile(audio, 10)  # 15 s: several chunks
    whole = digest(estimator.estimate(audio, rate))
    cuts = {f"{size}": range(size, len(audio), size) for size in sizes}
    cuts["random length"] = np.cumsum(lengths)[np.cumsum(lengths) < len(audio)]
    for name, at in cuts.items():
        found = estimator.estimate_blocks(np.split(audio, at), rate)
        assert digest(found) == whole, f"blocks of {name}: other bits"
    return ", ".join(cuts) + f" samples, {len(audio) / rate:g} s"


def digests(names):
    """Digests of calls, made by a process of their own."""
    return {name: call(name) for name in names}


def on_threads(numbers):
    """Digests on each number of Numba's threads."""
    import numba

    found = []
    for number in numbers:
        numba.set_num_threads(number)
        found.append(digests(QUICK))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.stress.same_numbers")
    parser.add_argument("--renew", action="store_true", help="store the numbers of today")
    done = renew() if parser.parse_args().renew else compare_with_stored()
    sys.stdout.write(f"{done}\n")
