"""Shared fixtures: stored reference numbers, seeded randomness, thread counts."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

# a machine with a single core can still compare one Numba thread with two
os.environ.setdefault("NUMBA_NUM_THREADS", "2")
# threads that spin while they wait slow each other down on a busy machine
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# small products gain nothing from a second thread, and lose much on a busy machine
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numba
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

DATA = Path(__file__).parent / "data"

settings.register_profile(
    "spectralot",
    deadline=None,  # the first example compiles
    max_examples=40,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("spectralot")

if numba.config.DISABLE_JIT:
    from interpreted import install, patience  # noqa: F401

    install()


SIMULATED = "test_kernels_agree_with_the_cpu"


def pytest_collection_modifyitems(items):
    """What waits for the simulator comes last."""
    items.sort(key=lambda item: item.name == SIMULATED)


def pytest_collection_finish(session):
    """Simulated kernels take one core for minutes: they begin first, in a process of their own."""
    wanted = any(item.name == SIMULATED for item in session.items)
    if wanted and not session.config.option.collectonly:
        session.config.simulated_log = log = tempfile.TemporaryFile("w+")
        session.config.simulated = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", str(Path(__file__).parent / "simulator")],
            env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}, stdout=log, stderr=log,
        )  # fmt: skip


def pytest_sessionfinish(session):
    """Nobody waits for it any more."""
    if simulated := getattr(session.config, "simulated", None):
        simulated.kill()
        simulated.wait()
        session.config.simulated_log.close()


@pytest.fixture(scope="session")
def reference():
    """Stored numbers of the reference implementation by file name, as dictionaries of arrays."""
    loaded = {}

    def load(name):
        if name not in loaded:
            with np.load(DATA / f"{name}.npz") as file:
                loaded[name] = {key: file[key] for key in file.files}
        return loaded[name]

    return load


@pytest.fixture
def rng():
    return np.random.default_rng(20231214)


@pytest.fixture
def one_thread():
    """Thousands of tiny calls: waiting for a second thread on a busy machine costs more."""
    numba = pytest.importorskip("numba")
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


@pytest.fixture
def with_threads():
    """Call a function under a given number of Numba threads."""
    numba = pytest.importorskip("numba")
    before = numba.get_num_threads()

    def call(n_threads, function, *args, **kwargs):
        numba.set_num_threads(n_threads)
        return function(*args, **kwargs)

    yield call
    numba.set_num_threads(before)


def _relative_error(found, expected):
    """Norm of the difference over the norm of the expected array."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def _full_scale_error(found, expected):
    """Largest difference over the largest expected magnitude."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    return float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))


@pytest.fixture(scope="session")
def relative_error():
    return _relative_error


@pytest.fixture(scope="session")
def full_scale_error():
    return _full_scale_error


@pytest.fixture
def estimator(monkeypatch):
    """Put the stand-in in the estimator's place, and list its calls."""
    import stand_in

    from spectralot.corpus import _estimator

    monkeypatch.setitem(sys.modules, "spectralot.estimate.estimator", stand_in)
    stand_in.calls.clear()
    _estimator.cache_clear()
    yield stand_in.calls
    _estimator.cache_clear()
