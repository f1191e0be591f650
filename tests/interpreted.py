"""Kernels interpreted, not compiled (``NUMBA_DISABLE_JIT=1``): what they need then, and a limit."""

import os
import signal

import pytest
import rocket_fft
import scipy.fft


def _r2c(real, bins, axes, forward, factor, threads):
    assert forward
    bins[...] = factor * scipy.fft.rfft(real, real.shape[axes[0]], axis=axes[0])


def _c2r(bins, real, axes, forward, factor, threads):
    assert not forward
    n = real.shape[axes[0]]
    real[...] = factor * n * scipy.fft.irfft(bins, n, axis=axes[0])


def _c2c(given, out, axes, forward, factor, threads):
    n = given.shape[axes[0]]
    transform, scale = (scipy.fft.fft, 1) if forward else (scipy.fft.ifft, n)
    out[...] = factor * scale * transform(given, axis=axes[0])


def install():
    """Put FFTs, which rocket-fft has for compiled code only, where the kernels look for them."""
    rocket_fft.r2c, rocket_fft.c2r, rocket_fft.c2c = _r2c, _c2r, _c2c


@pytest.fixture(autouse=True)
def patience():
    """Skip what takes too long when it is interpreted."""

    def end(*_):
        pytest.skip("interpreted, it takes too long")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, float(os.environ.get("SPECTRALOT_TEST_SECONDS", 0)))
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
